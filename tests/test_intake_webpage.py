"""Web pages: what a reader sees, and nothing fetched or run."""

from __future__ import annotations

import pytest
from growth import is_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import SENTENCES

from classifier.errors import EmptyArticle, InputRefused, TooLarge
from service.intake import Limits, read_document
from service.intake.document import Document

BODY = "".join(f"<p>　　{sentence}</p>" for sentence in SENTENCES[:4])


def read(markup: str, *, encoding: str = "utf-8", limits: Limits | None = None) -> Document:
    content = markup.encode(encoding)
    (document,) = read_document(content, name="稿件.html", limits=limits)
    assert document.format == "html"
    return document


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        (f"<title>河长巡河_汶上新闻网</title><h1>河长巡河</h1>{BODY}", "河长巡河"),
        (f"<title>河长巡河 - 汶上新闻网</title><p>河长巡河</p>{BODY}", "河长巡河"),
        (f"<h1>河长<br>巡河</h1>{BODY}", "河长巡河"),
        (f"<title>河长巡河</title><h1>汶上县人民政府</h1>{BODY}", "河长巡河"),
        (f"<title>河长\n巡河</title>{BODY}", "河长巡河"),
        (f"<html>{BODY}", ""),
    ],
)
def test_the_headline_is_the_title_and_leaves_the_text(markup: str, title: str) -> None:
    """Found by what <title>, <h1> and the lines agree on; never both title and text."""
    found = read(markup)
    assert found.title == title
    assert "河长巡河" not in found.text
    assert found.text.endswith("\n".join(f"　　{sentence}" for sentence in SENTENCES[:4]))


@pytest.mark.parametrize("declared", ["utf-8", "gb2312", "big5", "iso-8859-1", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_a_page_is_read_in_its_encoding_whatever_it_declares(declared: str, encoding: str) -> None:
    """A saved page often keeps the declaration of the encoding it was served in."""
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={declared}">'
    found = read(f"<html><head>{meta}</head><body>{BODY}", encoding=encoding)
    assert found.text.startswith(f"　　{SENTENCES[0]}")


def test_what_a_reader_does_not_see_is_not_read() -> None:
    """Scripts, styles, menus, forms, comments, hidden elements and embedded pages."""
    unseen = (
        "<script>document.write('甲<p>')</script><style>乙{}</style><nav><a>丙</a></nav>"
        "<!-- 丁 --><select><option>戊</select><iframe src='http://127.0.0.1:9/'>己</iframe>"
        "<p hidden>庚</p><div style='color:red; display : none'>辛<p>壬</p></div>"
        "<svg><title>癸</title></svg><textarea>子</textarea><noscript>丑</noscript>"
    )
    found = read(f"<title>标题在此</title>{unseen}<p>正文{unseen}完</p>")
    assert (found.title, found.text) == ("标题在此", "正文\n完")


def test_blocks_are_lines_and_inline_elements_are_not() -> None:
    """A link or a bold word does not break the line; a list item and a cell row do."""
    markup = (
        "<p>河长<b>李长河</b>在<a href='x'>岸边</a>\n清点&nbsp;垃圾，共 30\n kg。</p>"
        "<ul><li>一<li>二</ul><table><tr><th>菜<th>价<tr><td>鱼<td><b>8</b> 元</table>"
        "前<br>后<pre>甲\n乙</pre>"
    )
    assert read(f"<body>{markup}").text.split("\n") == [
        "河长李长河在岸边清点\xa0垃圾，共 30 kg。",
        *("一", "二", "菜\t价", "鱼\t8 元", "前", "后", "甲", "乙"),
    ]


def test_a_page_without_text_is_empty() -> None:
    """A page of scripts has nothing to read."""
    with pytest.raises(EmptyArticle):
        read("<html><script>alert(1)</script></html>")


def test_a_hundred_thousand_levels_are_no_matter() -> None:
    """Depth costs no recursion and loses no text behind it."""

    def read_below(levels: int) -> None:
        page = "<html>" + "<div>" * levels + "还在" + "</div>" * 9 + "<p>也在"
        assert read(page).text == "还在\n也在"

    assert is_linear(read_below, 100_000)


def test_endless_lines_and_endless_text_are_stopped() -> None:
    """Both are limits of their own."""
    with pytest.raises(TooLarge, match="行"):
        read("<html>" + "一<br>" * 150_000)
    with pytest.raises(TooLarge, match="字"):
        read("<html>" + "字" * 10_000, limits=Limits(characters=5_000))


TAGS = (
    "<p> </p> <title> </title> <h1> </h1> <td> <tr> <table> </table> <pre> </pre> <script> "
    "</script> <div hidden> </div> <br> <!-- --> &nbsp; &#0; &#xd800; <![CDATA[ ]]> <?x ?>"
)


TAGS = (
    "<p> </p> <title> </title> <h1> </h1> <td> <tr> <table> </table> <pre> </pre> <script> "
    "</script> <div hidden> </div> <br> <!-- --> &nbsp; &#0; &#xd800; <![CDATA[ ]]> <?x ?>"
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=5), st.sampled_from(TAGS.split(" "))), max_size=30))
def test_any_soup_of_tags_is_read_or_refused(soup: list[str]) -> None:
    """Unclosed, crossed and nested wrongly: no other exception, no character without a home."""
    try:
        documents = read_document(("<html>" + "".join(soup)).encode("utf-8", "replace"))
    except InputRefused:
        return
    for document in documents:
        assert "\x00" not in document.text + document.title
        (document.text + document.title).encode("utf-8")
