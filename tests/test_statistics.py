"""发稿统计: tables, workbook and the cells that cannot be formulas."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from classifier.page import split_page
from service.slip import slip_of
from service.statistics import (
    TOTAL,
    Count,
    Filing,
    Table,
    bare_cell,
    inert_cell,
    table_of,
    tables_of,
    to_xlsx,
)

SEED = Path(__file__).parents[2] / "shared" / "seed" / "page.txt"
DAY = date(2023, 3, 1)

filings = st.builds(
    Filing,
    received=st.dates(date(2023, 1, 1), date(2024, 12, 31)),
    settled=st.none() | st.dates(date(2023, 1, 1), date(2024, 12, 31)),
    county=st.none() | st.sampled_from(["微山县", "汶上县"]),
    town=st.none() | st.sampled_from(["西平镇", "义桥镇"]),
    correspondents=st.lists(st.sampled_from(["王明", "李芳"]), max_size=2).map(tuple),
    unit=st.none() | st.just("县委宣传部"),
    themes=st.lists(st.sampled_from(["environment", "elder_care"]), max_size=2).map(tuple),
)
dangerous = st.text(st.sampled_from("=+-@\t\r\n＝＋－＠'a河1 (") | st.characters(), max_size=20)


@pytest.mark.skipif(not SEED.is_file(), reason="../shared/seed/page.txt is not here")
def test_the_seed_page_is_counted_as_a_reader_counts_it() -> None:
    """Twelve articles, twelve towns, nineteen correspondents, all received, two settled."""
    received = []
    for number, piece in enumerate(split_page(SEED.read_text(encoding="utf-8"))):
        slip = slip_of(piece.title, piece.text, byline=piece.byline, place=piece.place)
        settled = DAY if number < 2 else None
        received.append(
            Filing(DAY, settled, slip.city, slip.county, slip.town, slip.correspondents)
        )

    towns, names, _, months = tables_of(received)

    assert {row[0] for row in towns.rows[:-1]} == {
        "汶上县寅寺镇", "微山县西平镇", "微山县张楼镇", "汶上县中都街道", "梁山县水泊街道",
        "微山县赵庙镇", "汶上县南站街道", "济宁高新区接庄街道", "汶上县康驿镇", "汶上县义桥镇",
        "微山县傅村街道", "泗水县泗张镇",
    }  # fmt: skip
    assert all(row[1] == 1 for row in towns.rows[:-1])
    correspondents = (
        "白建喜 葛居涛 丁萌 张静茹 崔芳芳 张芊 刘志尚 王程 郭玉淼 李敏 夏晋 张霄燕 李秀明 宋同 付玉珑 "
        "王兴武 赵卿 乔元龙 王朋"
    )
    assert {row[0] for row in names.rows[:-1]} == set(correspondents.split(" "))
    assert months.rows == (("2023-03", 12, 2), (TOTAL, 12, 2))


@settings(max_examples=60)
@given(st.lists(filings, max_size=20))
def test_every_table_counts_every_article(given_filings: list[Filing]) -> None:
    """Rows are as long as the head, months add up, and the last row counts each article once."""
    for table in tables_of(given_filings):
        assert all(len(row) == len(table.head) for row in table.rows)
        assert table.rows[-1][:3] == (
            TOTAL,
            len(given_filings),
            sum(one.settled is not None for one in given_filings),
        )
        if table.by != "month":
            assert all(sum(map(int, row[3:])) == row[1] for row in table.rows)
        expected = {
            "town": len(given_filings),
            "name": sum(len(set(one.correspondents)) or 1 for one in given_filings),
            "theme": sum(len(set(one.themes)) or 1 for one in given_filings),
            "month": len(given_filings),
        }[table.by]
        assert sum(int(row[1]) for row in table.rows[:-1]) == expected


def test_a_town_without_its_county_joins_the_only_one_of_its_name() -> None:
    """石桥镇 of two counties stays apart; 西平镇 alone is that of 微山县."""
    towns = tables_of(
        [
            Filing(DAY, county="微山县", town="西平镇"),
            Filing(DAY, town="西平镇"),
            Filing(DAY, county="宁陵县", town="石桥镇"),
            Filing(DAY, county="当涂县", town="石桥镇"),
            Filing(DAY, town="石桥镇"),
            Filing(DAY, county="泗水县"),
            Filing(DAY),
        ]
    )[0]

    counted = {row[0]: row[1] for row in towns.rows}
    assert counted == {
        "微山县西平镇": 2, "宁陵县石桥镇": 1, "当涂县石桥镇": 1, "石桥镇": 1, "泗水县": 1,
        "（未写明地点）": 1, TOTAL: 7,
    }  # fmt: skip
    assert towns.rows[-2][0] == "（未写明地点）"


def test_two_correspondents_of_one_name_are_told_apart_by_their_office() -> None:
    """王明 of two offices makes two rows; without an office he is only 王明."""
    names = tables_of(
        [
            Filing(DAY, correspondents=("王明",), unit="县委宣传部"),
            Filing(DAY, correspondents=("王明",), unit="市公安局"),
            Filing(DAY, correspondents=("李芳",), unit="市公安局"),
        ]
    )[1]

    assert {row[0] for row in names.rows[:-1]} == {"王明（县委宣传部）", "王明（市公安局）", "李芳"}


def test_counts_of_a_database_make_the_same_table() -> None:
    """Tallies counted elsewhere give what the filings give."""
    some = [
        Filing(DAY, date(2023, 4, 1), themes=("environment", "elder_care")),
        Filing(date(2023, 4, 2), themes=("environment",)),
        Filing(date(2023, 4, 3)),
    ]
    received = Counter((theme, "2023-03") for theme in some[0].themes)
    received["environment", "2023-04"] += 1

    table = table_of(
        "theme",
        [
            *(Count(theme, month, n) for (theme, month), n in received.items()),
            Count(None, "2023-04", 1),
        ],
        [Count("environment", "2023-04", 1), Count("elder_care", "2023-04", 1)],
        everything=[Count("all", "2023-03", 1), Count("all", "2023-04", 2)],
        all_settled=[Count("all", "2023-04", 1)],
    )

    assert table == tables_of(some)[2]
    assert table.head[3:] == ("2023-03", "2023-04")


@given(dangerous)
def test_no_cell_begins_like_a_formula_and_every_text_comes_back(text: str) -> None:
    """Guarding hides = + - @, tabs, line ends and their wide forms; undoing it is exact."""
    guarded = inert_cell(text)

    assert not guarded.startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert bare_cell(guarded) == text
    assert guarded in (text, f"'{text}")


@given(st.lists(dangerous, min_size=1, max_size=5))
def test_a_csv_of_guarded_cells_comes_back(texts: list[str]) -> None:
    """Also through a CSV writer and reader."""
    texts = [text.replace("\0", "") for text in texts if text.isprintable()] or ["=1"]
    out = io.StringIO()
    csv.writer(out).writerow([inert_cell(text) for text in texts])

    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))

    assert [bare_cell(cell) for cell in row] == texts


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(dangerous, st.integers(0, 10_000)), max_size=5))
def test_a_workbook_holds_text_numbers_and_no_formula(rows: list[tuple[str, int]]) -> None:
    """What openpyxl reads back has the numbers, and not one formula, whatever the names are."""
    table = Table("name", "按通讯员", ("通讯员", "收稿"), tuple(rows))

    sheet = load_workbook(io.BytesIO(to_xlsx([table]))).active

    assert sheet is not None
    assert [cell.value for cell in sheet[1]] == ["通讯员", "收稿"]
    assert [row[1].value for row in sheet.iter_rows(min_row=2)] == [number for _, number in rows]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


def test_the_workbook_of_all_tables_keeps_its_chinese() -> None:
    """One sheet each, named after the table, with the theme's Chinese name."""
    tables = tables_of(
        [Filing(DAY, county="微山县", town="西平镇", themes=("environment",))],
        theme_names={"environment": "环境"},
    )

    workbook = load_workbook(io.BytesIO(to_xlsx(tables)))

    assert workbook.sheetnames == ["按镇街", "按通讯员", "按主题", "按月份"]
    assert [cell.value for cell in workbook["按主题"][2]] == ["环境", 1, 0, 1]
    assert workbook["按镇街"].freeze_panes == "B2"
    assert load_workbook(io.BytesIO(to_xlsx([]))).sheetnames == ["空"]
