"""PDFs: the text layer, and the ways in which there is none."""

from __future__ import annotations

import io
import zlib

import pypdf
import pytest
from growth import is_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import SENTENCES, pdf, pdf_of_pages, stream

from classifier.errors import InputRefused, TooLarge, UnreadableFile
from service.intake import Limits, read_document, read_in_sandbox
from service.intake.document import Document

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"


def read(content: bytes, *, name: str = "版面.pdf", limits: Limits | None = None) -> Document:
    (document,) = read_document(content, name=name, limits=limits)
    assert document.format == "pdf"
    return document


def one_page(
    contents: bytes, *, font: bytes = b"<</Type/Font>>", others: tuple[bytes, ...] = ()
) -> bytes:
    """A PDF of one page with this content stream, font 5 and further objects from 6 on."""
    page = (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>"
    )
    return pdf([CATALOG, PAGES, page, contents, font, *others])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_lines_come_back_page_by_page(pages: list[list[str]]) -> None:
    """A line shown is a line read, in order, over the pages."""
    expected = "\n".join(line for page in pages for line in page)
    assert read(pdf_of_pages(pages)).text == expected


def test_a_font_with_its_own_numbering_is_read_through_its_table() -> None:
    """Printers number glyphs as they please and say in ToUnicode what they are."""
    text = "河长巡河"
    pairs = b"".join(
        b"<%04x> <%s>\n" % (number, c.encode("utf-16-be").hex().encode())
        for number, c in enumerate(text, 1)
    )
    table = (
        b"1 begincodespacerange <0000> <ffff> endcodespacerange\n%d beginbfchar\n%sendbfchar"
        % (
            len(text),
            pairs,
        )
    )
    font = (
        b"<</Type/Font/Subtype/Type0/BaseFont/ABCDEF+SimSun/Encoding/Identity-H/ToUnicode 6 0 R"
        b"/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/SimSun/DW 1000>>]>>"
    )
    shown = stream(b"BT /F1 12 Tf 50 700 Td <0001000200030004> Tj ET")
    assert read(one_page(shown, font=font, others=(stream(table),))).text == text


def test_radicals_become_the_characters_they_stand_for() -> None:
    """⼈⺠ looks like 人民 and is not found by any search for it."""
    assert read(pdf_of_pages([["⼈⺠⽇报记者⻓城⾏"]])).text == "人民日报记者长城行"


def test_a_scan_says_that_it_is_one() -> None:
    """Pages with nothing but pictures have no text."""
    with pytest.raises(UnreadableFile, match="扫描件") as refusal:
        read(one_page(stream(b"q 595 0 0 842 0 0 cm /Im1 Do Q")))
    assert "OCR" in refusal.value.fix


def test_pages_without_text_are_listed() -> None:
    """Where only some pages are pictures, the others are read and these named."""
    found = read(pdf_of_pages([[SENTENCES[0]], [], [SENTENCES[1]], []]))
    assert found.text.split() == "\n".join(SENTENCES[:2]).split()
    assert found.warnings == ("第 2、4 页没有文字，可能是图片",)


@pytest.mark.parametrize(("password", "readable"), [("", True), ("m1ma", False)])
def test_only_a_password_to_open_makes_a_pdf_unreadable(password: str, readable: bool) -> None:
    """One that only forbids copying opens for everybody."""
    writer = pypdf.PdfWriter(io.BytesIO(pdf_of_pages([[SENTENCES[3]]])))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    content = io.BytesIO()
    writer.write(content)
    if readable:
        assert read(content.getvalue()).text == SENTENCES[3]
    else:
        with pytest.raises(UnreadableFile, match="加了密"):
            read(content.getvalue())


def test_a_font_without_a_table_of_characters_is_refused() -> None:
    """Private-use and replacement characters are no text."""
    with pytest.raises(UnreadableFile, match="乱码"):
        read(pdf_of_pages([["\ue000\ue001\ue002\ue003"]]))


def refused_in_time(content: bytes) -> None:
    """It is refused for what it is, and not because half a minute of work did not suffice."""
    with pytest.raises(InputRefused) as refusal:
        read_in_sandbox(content, name="稿件.pdf", limits=Limits(cpu_seconds=30, wall_seconds=600))
    assert "已停止" not in str(refusal.value)


def test_a_page_tree_that_loops_is_refused() -> None:
    """A page tree whose branches are its own root: twice as many at each step, followed to no end."""
    loop = b"<</Type/Pages/Count 1000000/Kids[2 0 R 2 0 R]>>"
    refused_in_time(pdf([CATALOG, loop]))


def test_endless_pages_are_refused_for_the_price_of_their_list() -> None:
    """A hundred thousand references to one page, in a file of a few hundred kilobytes."""

    def refused(count: int) -> None:
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
        tree = b"<</Type/Pages/Count %d/Kids[" % count + b"3 0 R " * count + b"]>>"
        with pytest.raises(TooLarge):
            read(pdf([CATALOG, tree, page]))

    assert is_linear(refused, 100_000)


def test_six_hundred_pages_are_too_many() -> None:
    """The limit names both numbers."""
    with pytest.raises(TooLarge, match="600 页，上限是 500 页"):
        read(pdf_of_pages([[]] * 600))


def test_a_stream_that_unpacks_without_end_is_stopped() -> None:
    """A hundred megabytes in a hundred kilobytes."""
    packed = zlib.compress(b" " * 100_000_000, 1)
    with pytest.raises(TooLarge, match="超过上限"):
        read(one_page(stream(packed, b"/Filter/FlateDecode")))


def test_deeply_nested_objects_are_refused() -> None:
    """Arrays in arrays exhaust a recursive parser, not us."""
    with pytest.raises(InputRefused):
        read(pdf([CATALOG, b"[" * 50_000 + b"]" * 50_000]))


def test_a_form_that_draws_itself_ends() -> None:
    """A form that names itself among its resources."""
    form = stream(
        b"/Fm Do BT /F1 12 Tf (a) Tj ET",
        b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</Fm 4 0 R>>>>",
    )
    page = b"<</Type/Page/Parent 2 0 R/Contents 5 0 R/Resources<</XObject<</Fm 4 0 R>>>>>>"
    refused_in_time(pdf([CATALOG, PAGES, page, form, stream(b"/Fm Do")]))


def test_one_bad_page_does_not_cost_the_others() -> None:
    """The page is named and the rest read."""
    content = pdf_of_pages([[SENTENCES[0]], [SENTENCES[1]]])
    broken = content.replace(b"/Contents 6 0 R", b"/Contents (xxx)", 1)
    found = read(broken)
    assert found.text.strip() == SENTENCES[1]
    assert "第 1 页" in found.warnings[0]


def test_scripts_and_attachments_are_no_text() -> None:
    """What a PDF would run or carry is not looked at."""
    content = pdf_of_pages([[SENTENCES[4]]]).replace(
        b"/Type/Catalog", b"/Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>", 1
    )
    assert read(content).text == SENTENCES[4]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_damaged_pdf_is_refused_or_read(data: st.DataObject) -> None:
    """Bytes replaced, lost or added never raise anything else."""
    content = bytearray(pdf_of_pages([[SENTENCES[0]], [SENTENCES[1]]]))
    tokens = st.sampled_from([b"<<", b">>", b"[", b"/Kids", b"2 0 R", b"-9", b"endobj", b"999999"])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.one_of(st.binary(max_size=4), tokens)
        )
    try:
        read_document(bytes(content), name="版面.pdf")
    except InputRefused as refusal:
        assert refusal.where == "版面.pdf"
