"""Intake as a whole: any bytes under any name are documents or a refusal, and text is unharmed."""

from __future__ import annotations

import unicodedata
from xml.sax.saxutils import escape

import pytest
from growth import is_linear
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_files import SENTENCES, document_xml, docx, mail, paragraph, part, pdf_of_pages

from classifier.errors import EmptyArticle, InputRefused, TooLarge
from service.intake import Document, Limits, read_document, read_in_sandbox

NAMES = st.one_of(
    st.sampled_from(
        ["", "../../x", "CON", "a\x00b.docx", "\udcff.pdf", "x" * 5000 + ".html", "/etc/passwd"]
    ),
    st.text(max_size=20),
)
STARTS = st.sampled_from(
    [
        b"",
        b"PK\x03\x04",
        b"%PDF-1.7\n",
        b"<html>",
        b"From: a\nSubject: b\n\n",
        b"\xff\xfe",
        b"{\\rtf1",
    ]
)
TEXTS = st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6).map("\n".join)


def assert_storable(documents: tuple[Document, ...]) -> None:
    """No lone surrogate, no control character but tab and line feed, no foreign line end."""
    assert documents
    for document in documents:
        for value in (document.text, document.title, document.name, *document.warnings):
            value.encode("utf-8")
            assert not any((c < " " and c not in "\t\n") or "\x7f" <= c <= "\x9f" for c in value)
        assert "\n" not in document.title + document.name
        assert document.format in ("txt", "docx", "pdf", "html", "eml")


@settings(max_examples=400, deadline=None)
@given(STARTS, st.binary(max_size=300), NAMES, st.sampled_from([None, "gbk", "utf-16", "?"]))
def test_any_bytes_are_documents_or_a_refusal(
    start: bytes, rest: bytes, name: str, charset: str | None
) -> None:
    """Nothing else is raised, and what is refused says where and what to do."""
    try:
        documents = read_document(start + rest, name=name, charset=charset)
    except InputRefused as refusal:
        str(refusal).encode("utf-8")
        assert refusal.what
        assert refusal.fix
    else:
        assert_storable(documents)


def bare(text: str) -> list[str]:
    """A text's characters but for blanks and control characters."""
    return [c for c in text if not c.isspace() and unicodedata.category(c) != "Cc"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
@example("\r\n\r\n第一行\r第二行\v第三行\u2028第四行\x85\x00\x1b[31m\t尾\ufeff")
@example("  　　缩进  \n\n\n\n\n下一段\t\n")
def test_plain_text_loses_only_what_cannot_be_stored(text: str) -> None:
    """Every other character is there, in order."""
    try:
        (document,) = read_document(b"\xef\xbb\xbf" + text.encode(), name="稿件.txt")
    except EmptyArticle:
        assert not bare(text)
    else:
        assert_storable((document,))
        assert bare(document.text) == bare(text)


@settings(max_examples=40, deadline=None)
@given(
    TEXTS, st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
)
def test_text_comes_back_through_every_encoding_and_format(text: str, encoding: str) -> None:
    """The same manuscript as text, web page, Word file, PDF and mail is the same text."""
    lines = text.split("\n")
    page = "<html><meta charset=x>" + "".join(f"<p>{escape(line)}</p>" for line in lines)
    files = {
        "txt": text.replace("\n", "\r\n").encode(encoding),
        "html": page.encode(encoding),
        "docx": docx(document_xml("".join(paragraph(escape(line)) for line in lines))),
        "pdf": pdf_of_pages([lines]),
        "eml": mail(text.encode(), "Subject: x", "Content-Type: text/plain; charset=utf-8"),
    }
    for format, content in files.items():
        (document,) = read_document(content)
        assert (document.format, document.text) == (format, text)


@pytest.mark.parametrize(
    "name",
    [
        "../../稿件.docx",
        "CON",
        "C:\\新闻\\稿件.docx",
        "长" * 3000 + ".docx",
        ".docx",
        "稿\u3000件.docx",
    ],
)
def test_a_name_is_shown_as_sent_and_never_used(name: str) -> None:
    """It is in the document and in a refusal's place, and opens nothing."""
    content = docx(document_xml(paragraph(SENTENCES[0])))
    assert read_document(content, name=name)[0].name == name
    assert read_in_sandbox(content, name=name)[0].name == name
    with pytest.raises(InputRefused) as refusal:
        read_document(content[:50], name=name)
    assert refusal.value.where == name


def test_control_characters_are_counted_in_a_warning() -> None:
    """NUL breaks one database and shortens strings in another."""
    (document,) = read_document("清点\x00垃圾\x1b，三十斤\x7f".encode(), name="a.txt")
    assert document.text == "清点垃圾，三十斤"
    assert document.warnings == ("去掉了 3 个控制字符",)


def test_a_file_too_large_is_refused_unread() -> None:
    """Whatever it is, and an attachment just the same."""
    with pytest.raises(TooLarge, match="上限是 20 MB"):
        read_document(b"PK\x03\x04" + bytes(21 << 20))
    with pytest.raises(TooLarge):
        read_document(part(b"x" * 2000, "From: a", "Subject: b"), limits=Limits(file_bytes=1000))


@pytest.mark.parametrize("content", [b"", b" \r\n\t", "\u3000\n".encode(), b"\xef\xbb\xbf"])
def test_a_file_without_text_is_refused_as_empty(content: bytes) -> None:
    """Also when blanks and control characters are all there is."""
    with pytest.raises(EmptyArticle):
        read_document(content, name="空.txt")


def test_long_text_costs_no_more_than_its_length() -> None:
    """Eight times the characters take about eight times as long, never sixty-four times."""
    assert is_linear(lambda count: read_document(("的" * count).encode("gb18030")), 1_000_000)
