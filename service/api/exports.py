"""What leaves the house as a file: submissions as JSONL, CSV and XLSX, and 发稿统计."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from flask import Response, request
from flask.typing import ResponseReturnValue

from classifier.errors import ModelRefused
from service import access
from service.accounts import By
from service.api import asked, bodies, slips
from service.api.predict import reply, served
from service.api.routes import Route
from service.api.submissions import attachment, store
from service.statistics import TITLES, Table, Tallied, inert_cell, sheet_cell, table_of, to_xlsx
from service.store.records import Order, State, Submission

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
JSONL = "application/jsonl"
MOST_ROWS = 1_048_575  # of a sheet, without its head

_STATES = {
    State.NEW: "未打标签",
    State.AUTO: "自动放行",
    State.NONE: "无主题",
    State.REVIEW: "送审",
    State.UNSURE: "存疑",
    State.SETTLED: "已定稿",
}
_HEAD = (
    "编号", "收到时间", "标题", "正文", "主题", "状态", "定主题的", "定稿时间", "市", "县", "镇街",
    "地点", "通讯员", "单位", "字数", "类别", "来源", "投稿方编号", "文件名", "与哪篇相同",
)  # fmt: skip
_KINDS = {"article": "稿件", "caption": "图片说明"}
_CHUNK = 1 << 16
_LINES_TOGETHER = 100


def export_jsonl() -> ResponseReturnValue:
    """Everything a query finds, one JSON object a line, for programs."""
    lines = (
        json.dumps({**slips.told(one), "text": one.text}, ensure_ascii=False) + "\n"
        for one in _found("jsonl")
    )
    return _download(_joined(lines), JSONL, "来稿", "jsonl")


def export_csv() -> ResponseReturnValue:
    """Everything a query finds as a table for people, Chinese intact in Excel."""
    names, found = _theme_names(), _found("csv")
    rows = chain([_HEAD], (_row(one, names) for one in found))
    lines = chain(["\ufeff"], (csv_line(row) for row in rows))
    return _download(_joined(lines), "text/csv", "来稿", "csv")


def export_xlsx() -> ResponseReturnValue:
    """Everything a query finds as a workbook."""
    names, found = _theme_names(), _found("xlsx")
    made = _workbook(chain([_HEAD], (_row(one, names) for one in islice(found, MOST_ROWS))))
    return _download(chain([next(made)], made), XLSX, "来稿", "xlsx")


def _workbook(rows: Iterable[Iterable[str | int]]) -> Iterator[bytes]:
    from openpyxl import Workbook

    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("来稿")
    sheet.freeze_panes = "A2"
    for row in rows:
        sheet.append([sheet_cell(value) for value in row])
    with tempfile.TemporaryFile() as made:
        workbook.save(made)
        made.seek(0)
        while some := made.read(_CHUNK):
            yield some


def statistics() -> ResponseReturnValue:
    """发稿统计: the tables."""
    tables = [
        {"by": one.by, "title": one.title, "head": [*one.head], "rows": [[*r] for r in one.rows]}
        for one in _tables()
    ]
    return reply({"tables": tables})


def statistics_xlsx() -> ResponseReturnValue:
    """发稿统计 as a workbook, a sheet for each table."""
    return _download([to_xlsx(_tables())], XLSX, "发稿统计", "xlsx")


@dataclass(frozen=True, slots=True)
class _Counted:
    value: str | None
    month: str
    count: int


def _tables() -> list[Table]:
    sent = bodies.read_query(request, asked.StatisticsQuery)
    since = asked.read_moment(sent.from_) if sent.from_ else None
    until = asked.read_moment(sent.to, ends=True) if sent.to else None
    names = _theme_names()
    kinds = {"town": "place", "name": "name", "theme": "theme", "month": "all"}

    def counted(by: str, *, settled: bool) -> list[Tallied]:
        tallies = store().statistics.tallies(
            kinds[by],  # type: ignore[arg-type]
            since=since,
            until=until,
            settled=settled,
        )
        shown = names if by == "theme" else {}
        return [
            _Counted(
                None if one.value is None else shown.get(one.value, one.value), one.month, one.count
            )
            for one in tallies
        ]

    everything, all_settled = counted("month", settled=False), counted("month", settled=True)
    tables = []
    for kind in TITLES:
        received = everything if kind == "month" else counted(kind, settled=False)
        settled = all_settled if kind == "month" else counted(kind, settled=True)
        tables.append(
            table_of(kind, received, settled, everything=everything, all_settled=all_settled)
        )
    return tables


def _theme_names() -> Mapping[str, str]:
    try:
        return {theme.slug: theme.name for theme in served().model().manifest.themes}
    except ModelRefused:
        return {}  # slugs will do


def _found(kind: str) -> Iterator[Submission]:
    """What the query in hand finds; the first is fetched now, so that a refusal is still one."""
    sent = bodies.read_query(request, asked.ExportQuery)
    # Manuscripts before print: who took them out is written down.
    access.accounts().record(
        "export",
        By(access.asker().name, access.address()),
        kind,
        **sent.model_dump(mode="json", exclude_defaults=True, by_alias=True),
    )
    found = store().submissions.each(sent.query(order=Order(sent.order)))
    return chain([*islice(found, 1)], found)


def _row(one: Submission, names: Mapping[str, str]) -> tuple[str | int, ...]:
    return (
        one.id,
        _beijing(one.received),
        one.title,
        one.text,
        "、".join(names.get(theme, theme) for theme in one.themes),
        _STATES[one.state],
        one.themes_by,
        _beijing(one.settled) if one.settled else "",
        one.city or "",
        one.county or "",
        one.town or "",
        one.place or "",
        "、".join(one.names),
        one.unit or "",
        one.length,
        _KINDS.get(one.kind, one.kind),
        one.source,
        one.external_id,
        one.name,
        one.twin_of or "",
    )


def _beijing(moment: datetime) -> str:
    return moment.astimezone(asked.BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def csv_line(row: Iterable[str | int]) -> str:
    """A row as a line of CSV, no cell of it a formula."""
    line = io.StringIO()
    csv.writer(line).writerow(
        [inert_cell(value) if isinstance(value, str) else value for value in row]
    )
    return line.getvalue()


def _joined(lines: Iterator[str]) -> Iterator[bytes]:
    while some := "".join(islice(lines, _LINES_TOGETHER)):
        yield some.encode()


def _download(content: Iterable[bytes], media: str, what: str, suffix: str) -> Response:
    response = Response(content, content_type=media)
    if media == "text/csv":
        response.content_type = "text/csv; charset=utf-8"
    name = f"{what}-{store().clock().astimezone(asked.BEIJING):%Y%m%d-%H%M}.{suffix}"
    response.headers["Content-Disposition"] = attachment(name)
    return response


ROUTES = (
    Route(
        "GET",
        "/v1/submissions.jsonl",
        export_jsonl,
        "导出来稿，一行一个 JSON，给程序用",
        media=JSONL,
        query=asked.ExportQuery,
        refusals=(507,),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/submissions.csv",
        export_csv,
        "导出来稿为 CSV，Excel 可直接打开",
        media="text/csv",
        query=asked.ExportQuery,
        refusals=(507,),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/submissions.xlsx",
        export_xlsx,
        "导出来稿为 XLSX",
        media=XLSX,
        query=asked.ExportQuery,
        refusals=(507,),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/statistics",
        statistics,
        "发稿统计",
        reply=slips.StatisticsReply,
        query=asked.StatisticsQuery,
        role="reader",
    ),
    Route(
        "GET",
        "/v1/statistics.xlsx",
        statistics_xlsx,
        "发稿统计 XLSX",
        media=XLSX,
        query=asked.StatisticsQuery,
        role="reader",
    ),
)
