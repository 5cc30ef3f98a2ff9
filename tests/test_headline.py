"""Claims about classifier.headline."""

from __future__ import annotations

import pytest

from classifier.headline import Form, Head, find_heads, is_column, names_one_piece
from classifier.layout import Columns, read_lines

BODY = "县里今年把六条通村公路列进民生实事，派出两支施工队，赶在雨季前完工，方便群众出行。"


def heads_of(*rows: str) -> tuple[list[Head], set[int]]:
    """The heads and sub-headings of a page with these lines."""
    lines = read_lines("\n".join(rows))
    return find_heads(lines, Columns(lines))


@pytest.mark.parametrize(
    ("opening", "form"),
    [
        ("本报讯（记者 王明）近日，路修好了。", Form.DATED),
        ("■程致远", Form.SIGNED),
        ("望川附中党总支书记  冯建国", Form.SIGNED),
        ("编辑同志：", Form.LETTER),
        (BODY, Form.BARE),
    ],
)
def test_a_headline_is_known_by_what_stands_under_it(opening: str, form: Form) -> None:
    """A dateline, a byline, a salutation or plain text make the line above a headline."""
    (head,), _ = heads_of("乡间公路通到家门口", opening, BODY)

    assert (head.title, head.form) == (range(1), form)


def test_all_lines_over_a_dateline_are_one_headline() -> None:
    """引题, 主题 and 副题 belong together."""
    (head,), _ = heads_of(
        "全市交通工作会议召开", "盯着工期干 对着图纸追", "——石岭县修路侧记", f"本报讯 {BODY}"
    )

    assert (head.section, head.title) == (range(0), range(3))


def test_numbered_steps_and_questions_are_never_headlines() -> None:
    """一、二、三 and 问：答： stay inside their article."""
    heads, _ = heads_of(
        "修路问答", f"本报讯 {BODY}", "一、修到哪里", BODY, "问：谁出钱？", "答：县里。"
    )

    assert [head.title for head in heads] == [range(1)]


def test_matching_short_lines_in_a_dated_article_are_sub_headings() -> None:
    """Two or more lines of one length over plain text do not open articles."""
    heads, subheadings = heads_of(
        "乡间公路通到家门口", f"本报讯 {BODY}", "修好一条路", BODY, "栽好一行树", BODY
    )

    assert (len(heads), subheadings) == (1, {2, 4})


def test_a_short_line_after_an_end_byline_opens_an_article() -> None:
    """（王明） closes what stands above it."""
    heads, _ = heads_of("公路通到家门口", BODY, f"{BODY}（王明）", "夜校开到村头", BODY)

    assert [head.title for head in heads] == [range(1), range(3, 4)]


def test_a_section_stands_over_two_headlines_of_a_kind() -> None:
    """A slogan over 石岭县…, with the same kind of headline following, names a section."""
    heads, _ = heads_of(
        "养好农村路 通到百姓家", "石岭县白沙镇 断头路接上了", f"本报讯 {BODY}",
        "石岭县青石乡 护栏装齐了", f"本报讯 {BODY}",
    )  # fmt: skip

    assert [(head.section, head.title) for head in heads] == [
        (range(1), range(1, 2)),
        (range(3, 3), range(3, 4)),
    ]


@pytest.mark.parametrize(
    "text", ["【基层动态】", "简讯", "读者来信", "◆民生短波", "干在当下·书记谈"]
)
def test_columns_are_known_by_name(text: str) -> None:
    """Brackets, stock words and 专栏·子栏 name a column."""
    assert is_column(text)


@pytest.mark.parametrize(
    "text", ["村村通了路", "石岭县白沙镇", "谈判桌上的支部", "干部下沉到一线", "【"]
)
def test_headlines_are_no_columns(text: str) -> None:
    """A word of a column's in the middle of a line names nothing."""
    assert not is_column(text)


def test_commentary_columns_stand_over_one_piece() -> None:
    """…·书记谈 names the piece under it; 简讯 all that follow."""
    assert names_one_piece("干在当下·书记谈")
    assert not names_one_piece("简讯")
