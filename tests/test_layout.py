"""Claims about classifier.layout."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.layout import Columns, Kind, ends_sentence, headline_shaped, read_lines

COLUMN = """路修好了
县里今年把六条通村公路列进民生
实事，派出两支施工队，赶在雨季前
完工。村民说，出门再也不踩泥，卖
菜的三轮车能一直开到地头。
下一步，还要在路边装灯，栽树，把
排水沟清一遍。"""


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_lines_are_the_page_without_its_white_space(text: str) -> None:
    """Each line slices out of the page where it says, and together they hold every letter."""
    lines = read_lines(text)

    assert all(text[line.start : line.end] == line.text for line in lines)
    assert "".join("".join(line.text.split()) for line in lines) == "".join(text.split())
    assert all(a.end <= b.start for a, b in pairwise(lines))


def test_blank_lines_and_indents_are_counted() -> None:
    """White space is layout: lines of spaces are blank, a full-width space is two."""
    first, second = read_lines("标题一行\r\n \r\n\r\n　　路修好了。")

    assert (first.gap, second.gap, second.indent) == (0, 2, 4)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("微山县西平镇 督查提质增效", Kind.SHORT),
        ("县里今年把六条通村公路列进民生实事。", Kind.BODY),
        ("（一）清理积存垃圾", Kind.STEP),
        ("问：怎么办？", Kind.STEP),
        ("第3版 要闻 2023年2月24日 星期五", Kind.FURNITURE),
        ("A3 民生新闻", Kind.FURNITURE),
        ("国内统一连续出版物号 CN 37-0000 邮发代号 23-0", Kind.FURNITURE),
        ("今日天气：晴转多云，最高气温14℃", Kind.FURNITURE),
        ("望川新闻网 > 县区 > 正文", Kind.FURNITURE),
        ("2023-02-24 09:12  来源：望川日报", Kind.POSTED),
        ("编辑同志：", Kind.SALUTATION),
        ("读者 钱大勇", Kind.SIGNED),
        ("2023年2月20日", Kind.FURNITURE),
        ("———", Kind.RULE),
        ("投资 20 亿元项目落户", Kind.SHORT),
        ("市领导慰问老党员 李明参加", Kind.SHORT),
        ("每周三 社区义诊进楼栋", Kind.SHORT),
        ("柳园街道：“小板凳”上话家常", Kind.SHORT),
        ("柳园街道 “小板凳”上话家常", Kind.SHORT),
    ],
)
def test_a_line_is_taken_for_what_it_looks_like(line: str, kind: Kind) -> None:
    """The page's own lines are told from headlines and body."""
    (only,) = read_lines(line)

    assert only.kind is kind


@pytest.mark.parametrize("text", ["路修好了。", "路修好了。”", "“修好了！”", "3200棵.", "来的有："])
def test_sentences_end_with_their_stop(text: str) -> None:
    """Full and half width, inside quotes, before a list."""
    assert ends_sentence(text)


@pytest.mark.parametrize("text", ["把“双向”", "聚焦，", "投资3.5", "（通讯员 张霄", "村头巷尾"])
def test_a_broken_line_does_not_end_a_sentence(text: str) -> None:
    """A quote, a comma or a decimal point stops nothing."""
    assert not ends_sentence(text)


@pytest.mark.parametrize(
    "text", ["，再接再厉", "提升群众幸福感和", "他说：“路修好了”", "好。路通了", "（"]
)
def test_pieces_of_sentences_have_not_the_shape_of_a_headline(text: str) -> None:
    """A headline is whole, and no speech."""
    assert not headline_shaped(text)


def test_a_column_is_known_by_its_broken_lines() -> None:
    """Lines cut at one width are full; a headline, and the last line of a paragraph, are not."""
    lines = read_lines(COLUMN)

    assert Columns(lines).full == [False, True, True, True, False, True, False]


def test_headlines_of_one_length_make_no_column() -> None:
    """Three short lines over long paragraphs are not a text set at their width."""
    body = "县里今年把六条通村公路列进民生实事，派出两支施工队，赶在雨季前完工，方便群众出行。"
    lines = read_lines("\n".join(f"第{n}条村路已经修好\n{body}" for n in "一二三四"))

    assert not any(Columns(lines).full)
