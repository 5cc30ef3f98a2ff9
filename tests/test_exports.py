"""Exports: everything that was asked for, Chinese intact, and no cell that is a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from desks import Desk, staffed_desk
from hypothesis import given, settings
from hypothesis import strategies as st
from made_submissions import many, new
from werkzeug.test import TestResponse

from service.api import exports
from service.statistics import bare_cell
from service.store import Store
from service.store.records import Action, Query

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠A1"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk without a model, its store to be filled by hand."""
    with staffed_desk(tmp_path) as made:
        yield made


def store_of(desk: Desk) -> Store:
    found = desk.app.extensions["gaoqian.store"]
    assert isinstance(found, Store)
    return found


def get(desk: Desk, path: str) -> TestResponse:
    _, token = desk.token("reader")
    answer = desk.ask("GET", path, token=token, buffered=True)
    assert answer.status_code == 200, answer.text
    return answer


def rows_of_csv(content: bytes) -> list[dict[str, str]]:
    return [*csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))]


def rows_of_xlsx(content: bytes) -> list[dict[str, Any]]:
    book = openpyxl.load_workbook(io.BytesIO(content))
    cells = [*book.worksheets[0].iter_rows()]
    assert all(cell.data_type != "f" for row in cells for cell in row)
    head = [cell.value for cell in cells[0]]
    return [dict(zip(head, (cell.value for cell in row), strict=True)) for row in cells[1:]]


def test_the_three_forms_hold_the_same_submissions(desk: Desk) -> None:
    """One row each, in the order asked for, more than fit into one read of the store."""
    store_of(desk).submissions.add(many(1200))
    lines = get(desk, "/v1/submissions.jsonl?order=newest").text.splitlines()
    whole = [json.loads(line) for line in lines]
    ids = [one["id"] for one in whole]

    assert len(ids) == len({*ids}) == store_of(desk).submissions.count(Query())
    assert ids == sorted(ids, reverse=True)
    table = rows_of_csv(get(desk, "/v1/submissions.csv?order=newest").data)
    sheet = rows_of_xlsx(get(desk, "/v1/submissions.xlsx?order=newest").data)
    assert [row["编号"] for row in table] == [row["编号"] for row in sheet] == ids
    for one, row in zip(whole, table, strict=True):
        assert bare_cell(row["正文"]) == one["text"]
        assert row["主题"] == "、".join(one["themes"])


def test_csv_opens_in_excel_with_its_chinese(desk: Desk) -> None:
    """A byte order mark, line ends of its kind, and times as the newsroom's clock tells them."""
    store_of(desk).submissions.add(
        [new("六月二十日，河长“清点”垃圾,共3袋\n第二段", title="河长巡河")]
    )
    answer = get(desk, "/v1/submissions.csv")

    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "filename*=UTF-8''%E6%9D%A5%E7%A8%BF" in answer.headers["Content-Disposition"]
    (row,) = rows_of_csv(answer.data)
    assert row["正文"] == "六月二十日，河长“清点”垃圾,共3袋\n第二段"
    assert (row["收到时间"], row["状态"]) == ("2026-11-24 16:30:00", "送审")


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_no_cell_is_a_formula(desk: Desk, suffix: str) -> None:
    """Whatever column an outsider can write into, it arrives as text, and can be had back."""
    store_of(desk).submissions.add(
        [
            new(f"{text}正文{number}", title=text, name=text, unit=text, names=(text,), place=text)
            for number, text in enumerate(FORMULAS)
        ]
    )
    content = get(desk, f"/v1/submissions.{suffix}").data
    rows = rows_of_csv(content) if suffix == "csv" else rows_of_xlsx(content)

    assert len(rows) == len(FORMULAS)
    for row, text in zip(rows, FORMULAS, strict=True):
        for column in ("标题", "正文", "通讯员", "单位", "地点", "文件名"):
            assert row[column].startswith("'")
        assert bare_cell(row["标题"]).replace("_x000D_", "\r") == text


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.one_of(st.integers(-9, 9), st.text(st.characters(codec="utf-8")))] * 3)
    )
)
def test_any_row_of_csv_can_be_read_back(rows: list[tuple[str | int, ...]]) -> None:
    """Commas, quotes, line ends and formulas included."""
    written = "".join(exports.csv_line(row) for row in rows)
    read = [*csv.reader(io.StringIO(written, newline=""))]

    assert [[bare_cell(cell) for cell in row] for row in read] == [
        [str(cell) for cell in row] for row in rows
    ]


def test_filters_hold_for_exports_too(desk: Desk) -> None:
    """And what makes no sense is refused before the first byte."""
    store_of(desk).submissions.add([new("甲", source="mail:a@b.cn"), new("乙")])

    assert len(get(desk, "/v1/submissions.jsonl?source=mail").text.splitlines()) == 1
    assert get(desk, "/v1/submissions.jsonl?source=watch").data == b""
    _, token = desk.token("reader")
    wrong = desk.ask("GET", "/v1/submissions.csv?state=lost", token=token)
    assert (wrong.status_code, wrong.mimetype) == (400, "application/problem+json")


def test_an_export_is_written_down(desk: Desk) -> None:
    """Who took what out, with which filters."""
    get(desk, "/v1/submissions.csv?place=微山县")
    entry = desk.accounts.audit(limit=1)[0]

    assert (entry.action, entry.by, entry.subject) == ("export", "reader", "csv")
    assert entry.detail == {"place": "微山县"}


def test_statistics_count_as_a_reader_of_the_submissions_would(desk: Desk) -> None:
    """Received and settled by place, correspondent, theme and month, twins once."""
    desk.clock.now = desk.clock.now.replace(month=10, day=31, hour=17)  # November in Beijing
    made = store_of(desk).submissions.add(
        [
            new("甲", place="西平镇", town="西平镇", names=("葛居涛",)),
            new("乙", place="西平镇", town="西平镇", names=("葛居涛", "王明")),
            new("乙", place="西平镇", town="西平镇", names=("王明",)),
            new("丙"),
        ]
    )
    store_of(desk).reviews.review(made.submissions[0].id, Action.NONE, by="editor")
    tables = {one["by"]: one for one in get(desk, "/v1/statistics").json["tables"]}

    assert tables["town"]["rows"] == [
        ["西平镇", 2, 1, 2],
        ["（未写明地点）", 1, 0, 1],
        ["合计（篇）", 3, 1, 3],
    ]
    assert tables["name"]["rows"][:2] == [["葛居涛", 2, 1, 2], ["王明", 1, 0, 1]]
    assert tables["month"]["rows"][0] == ["2026-11", 3, 1]
    later = get(desk, "/v1/statistics?from=2026-11-02").json["tables"]
    assert later[0]["rows"] == [["合计（篇）", 0, 0]]
    book = openpyxl.load_workbook(io.BytesIO(get(desk, "/v1/statistics.xlsx").data))
    assert [sheet.title for sheet in book] == [one["title"] for one in tables.values()]
    assert [cell.value for cell in book["按镇街"][2]] == ["西平镇", 2, 1, 2]
