"""发稿统计: who sent how much from where, on what, month by month, received and settled.

Pure: filings or the store's tallies go in, tables come out, and from tables a workbook.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

By = Literal["town", "name", "theme", "month"]

TITLES: dict[By, tuple[str, str]] = {
    "town": ("按镇街", "镇街"),
    "name": ("按通讯员", "通讯员"),
    "theme": ("按主题", "主题"),
    "month": ("按月份", "月份"),
}
"""Of each kind of table its title and the head of its first column."""

NOBODY: dict[By, str] = {
    "town": "（未写明地点）",
    "name": "（未署名）",
    "theme": "（不属任何主题）",
    "month": "",
}
TOTAL = "合计（篇）"


@dataclass(frozen=True, slots=True)
class Filing:
    """One article as 发稿统计 counts it; twins should be left out."""

    received: date
    settled: date | None = None  # when an editor settled it
    city: str | None = None
    county: str | None = None
    town: str | None = None
    correspondents: tuple[str, ...] = ()
    unit: str | None = None  # tells two correspondents of one name apart
    themes: tuple[str, ...] = ()


class Tallied(Protocol):
    """How many articles of one month have a value; the store's Tally is one."""

    @property
    def value(self) -> str | None:
        """The town, name, theme …; None where an article has none."""

    @property
    def month(self) -> str:
        """As in 2026-11."""

    @property
    def count(self) -> int:
        """Articles."""


@dataclass(frozen=True, slots=True)
class Count:
    """Articles of one month with one value."""

    value: str | None
    month: str
    count: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people: all rows as long as the head; the last row is the total."""

    by: By
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]


def tables_of(
    filings: Iterable[Filing], *, theme_names: Mapping[str, str] | None = None
) -> tuple[Table, ...]:
    """The four tables of some filings, by town, correspondent, theme and month.

    An article of two correspondents or themes counts once under each and once in the total.
    `theme_names` are the names of themes by slug.

    >>> filing = Filing(date(2026, 3, 1), county="微山县", town="西平镇", correspondents=("葛一山",))
    >>> town, name, theme, month = tables_of([filing])
    >>> town.head, town.rows
    (('镇街', '收稿', '定稿', '2026-03'), (('微山县西平镇', 1, 0, 1), ('合计（篇）', 1, 0, 1)))
    """
    filings = tuple(filings)
    towns, names = _counties_of(filings), _units_of(filings)
    labels = theme_names or {}
    values: dict[By, Callable[[Filing], Sequence[str]]] = {
        "town": lambda one: _place(one, towns),
        "name": lambda one: [_signed(name, one, names) for name in one.correspondents],
        "theme": lambda one: [labels.get(theme, theme) for theme in one.themes],
        "month": lambda one: (),
    }
    everything = _counts(filings, lambda one: (), settled=False)
    all_settled = _counts(filings, lambda one: (), settled=True)
    return tuple(
        table_of(
            by,
            _counts(filings, value, settled=False),
            _counts(filings, value, settled=True),
            everything=everything,
            all_settled=all_settled,
        )
        for by, value in values.items()
    )


def table_of(
    by: By,
    received: Iterable[Tallied],
    settled: Iterable[Tallied],
    *,
    everything: Iterable[Tallied],
    all_settled: Iterable[Tallied],
) -> Table:
    """One table from counts: those received, most first, beside those settled.

    `everything` and `all_settled` count each article once, whatever its value; they are the rows
    of "month" and the last row of each table. Months of the columns are those of receipt.
    """
    received, settled = tuple(received), tuple(settled)
    everything, all_settled = tuple(everything), tuple(all_settled)
    title, first = TITLES[by]
    came, done = _by_month(everything), _by_month(all_settled)
    total = (TOTAL, came.total(), done.total())
    if by == "month":
        months = sorted({*came, *done}, reverse=True)
        each = [(month, came[month], done[month]) for month in months]
        return Table(by, title, (first, "收稿", "定稿"), (*each, total))
    columns = sorted(came)
    cells: Counter[tuple[str | None, str]] = Counter()
    for one in received:
        cells[one.value, one.month] += one.count
    finished: Counter[str | None] = Counter()
    for one in settled:
        finished[one.value] += one.count
    lines: list[tuple[str | None, list[int]]] = []
    for value in {*(value for value, _ in cells), *finished}:
        months_of = [cells[value, month] for month in columns]
        lines.append((value, [sum(months_of), finished[value], *months_of]))
    lines.sort(key=lambda line: (line[0] is None, -line[1][0], -line[1][1], line[0] or ""))
    rows: list[tuple[str | int, ...]] = [
        (NOBODY[by] if value is None else value, *numbers) for value, numbers in lines
    ]
    head = (first, "收稿", "定稿", *columns)
    return Table(by, title, head, (*rows, (*total, *(came[month] for month in columns))))


def _by_month(counts: Iterable[Tallied]) -> Counter[str]:
    months: Counter[str] = Counter()
    for one in counts:
        months[one.month] += one.count
    return months


def _counts(
    filings: Iterable[Filing], values: Callable[[Filing], Sequence[str]], *, settled: bool
) -> list[Count]:
    counts: Counter[tuple[str | None, str]] = Counter()
    for one in filings:
        day = one.settled if settled else one.received
        if day is not None:
            for value in dict.fromkeys(values(one)) or (None,):
                counts[value, f"{day:%Y-%m}"] += 1
    return [Count(value, month, count) for (value, month), count in counts.items()]


def _counties_of(filings: Iterable[Filing]) -> dict[str, set[str]]:
    counties: dict[str, set[str]] = {}
    for one in filings:
        if one.town and one.county:
            counties.setdefault(one.town, set()).add(one.county)
    return counties


def _place(one: Filing, counties: Mapping[str, set[str]]) -> Sequence[str]:
    if one.town is None:
        return [place] if (place := one.county or one.city) else ()
    known = counties.get(one.town, set())
    # An article that leaves the county out is of the only one that has such a town here.
    county = one.county or (next(iter(known)) if len(known) == 1 else one.city or "")
    return [county + one.town]


def _units_of(filings: Iterable[Filing]) -> dict[str, set[str]]:
    units: dict[str, set[str]] = {}
    for one in filings:
        for name in one.correspondents:
            units.setdefault(name, set()).update([one.unit] if one.unit else [])
    return units


def _signed(name: str, one: Filing, units: Mapping[str, set[str]]) -> str:
    """A name, with its office where people of several offices are called so."""
    return f"{name}（{one.unit}）" if one.unit and len(units[name]) > 1 else name


# Out of the house

_UNSAFE_CELL = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED_CELL = re.compile(r"''*[=+\-@\t\r\n＝＋－＠]")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NOT_IN_SHEET_NAME = re.compile(r"[\[\]:*?/\\']")
_CELL_CHARS = 32_767  # Excel's limit


def inert_cell(text: str) -> str:
    """A text as it can stand in a CSV or XLSX cell without becoming a formula anywhere.

    What begins like a formula gets a leading ', and so does what already looks guarded, so that
    `bare_cell` gives every text back.

    >>> inert_cell("=1+1"), inert_cell("＠SUM(A1)"), inert_cell("'=1"), inert_cell("河长'巡河")
    ("'=1+1", "'＠SUM(A1)", "''=1", "河长'巡河")
    """
    return f"'{text}" if _UNSAFE_CELL.match(text) else text


def bare_cell(text: str) -> str:
    """What `inert_cell` was given.

    >>> bare_cell(inert_cell("-5℃")), bare_cell("'quoted'")
    ('-5℃', "'quoted'")
    """
    return text[1:] if _GUARDED_CELL.match(text) else text


def to_xlsx(tables: Sequence[Table]) -> bytes:
    """A workbook with one sheet for each table, first row frozen, numbers as numbers."""
    from openpyxl import Workbook
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    workbook = Workbook()
    workbook.remove(workbook.active)
    bold = Font(bold=True)
    for number, table in enumerate(tables, start=1):
        name = _NOT_IN_SHEET_NAME.sub("", table.title)[:31] or f"表{number}"
        sheet = workbook.create_sheet(name)
        for row in (table.head, *table.rows):
            sheet.append([sheet_cell(value) for value in row])
        for cell in (*sheet[1], *sheet[sheet.max_row]):
            cell.font = bold
        sheet.freeze_panes = "B2"
        for column, values in enumerate(zip(table.head, *table.rows, strict=True), start=1):
            widest = max(sum(1 + (char > "\u2e7f") for char in str(value)) for value in values)
            sheet.column_dimensions[get_column_letter(column)].width = min(60, widest + 2)
    if not tables:
        workbook.create_sheet("空")
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def sheet_cell(value: str | int) -> str | int:
    """A value as it can stand in an XLSX cell."""
    return inert_cell(_NOT_IN_XML.sub("", value)[:_CELL_CHARS]) if isinstance(value, str) else value
