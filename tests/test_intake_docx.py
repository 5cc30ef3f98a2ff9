"""Word documents: python-docx writes them and says what is in them; bombs are made by hand."""

from __future__ import annotations

import io
import zipfile

import docx as python_docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import SENTENCES, WORD, archive, document_xml, docx, paragraph

from classifier.errors import EmptyArticle, InputRefused, TooLarge, UnreadableFile
from service.intake import Limits, read_document
from service.intake.document import Document

LINES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=30)


def saved(document: python_docx.document.Document) -> bytes:
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def read(content: bytes, *, name: str = "稿件.docx", limits: Limits | None = None) -> Document:
    (document,) = read_document(content, name=name, limits=limits)
    assert document.format == "docx"
    return document


def text_of(body: str) -> str:
    return read(docx(document_xml(body))).text


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(LINES, st.lists(LINES, min_size=2, max_size=3)), min_size=1, max_size=6))
def test_paragraphs_and_tables_are_read_as_python_docx_wrote_them(
    blocks: list[str | list[str]],
) -> None:
    """Every paragraph is a line and every row a line with tabs, in the order of the document."""
    document = python_docx.Document()
    for block in blocks:
        if isinstance(block, str):
            document.add_paragraph(block)
        else:
            row = document.add_table(1, len(block)).rows[0]
            for cell, text in zip(row.cells, block, strict=True):
                cell.text = text
    expected = "\n".join(b if isinstance(b, str) else "\t".join(b) for b in blocks)
    assert read(saved(document)).text == expected


def test_breaks_tabs_and_formatting_inside_a_paragraph() -> None:
    """A run's end is no space; a line break is a line, a tab a tab."""
    document = python_docx.Document()
    line = document.add_paragraph("河长")
    line.add_run("李长河").bold = True
    line.add_run("\t下河\n捞垃圾")
    assert read(saved(document)).text == "河长李长河\t下河\n捞垃圾"


@pytest.mark.parametrize("level", [0, 1])
def test_a_first_paragraph_in_a_title_style_is_the_title(level: int) -> None:
    """It is the title and no longer part of the text; a later heading stays in the text."""
    document = python_docx.Document()
    document.add_paragraph("")
    document.add_heading("河长巡河", level)
    document.add_paragraph(SENTENCES[0])
    document.add_heading("第二节", level)
    found = read(saved(document), name="河长.wps")
    assert found.title == "河长巡河"
    assert found.text == f"{SENTENCES[0]}\n第二节"
    assert found.name == "河长.wps"


def test_a_plain_first_paragraph_is_no_title() -> None:
    """What looks like a headline is left for others to judge."""
    document = python_docx.Document()
    document.add_paragraph("河长巡河")
    document.add_heading("后面的标题", 0)
    assert read(saved(document)).title == ""


def test_headers_footers_and_comments_are_left_out() -> None:
    """Only the body is the manuscript."""
    document = python_docx.Document()
    document.add_paragraph(SENTENCES[1])
    document.sections[0].header.paragraphs[0].text = "内部资料"
    document.sections[0].footer.paragraphs[0].text = "第 1 页"
    document.add_comment(document.paragraphs[0].runs, text="请核实", author="编辑")
    assert read(saved(document)).text == SENTENCES[1]


def test_deleted_moved_and_hidden_text_is_not_read() -> None:
    """What the author struck out is not the manuscript; what she put in is."""
    body = (
        "<w:p><w:r><w:t>今年</w:t></w:r>"
        '<w:del w:id="1"><w:r><w:delText>去年</w:delText><w:t>前年</w:t></w:r></w:del>'
        '<w:ins w:id="2"><w:r><w:t>三月</w:t></w:r></w:ins>'
        '<w:moveFrom w:id="3"><w:r><w:t>挪走</w:t></w:r></w:moveFrom>'
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>隐藏</w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>开工</w:t></w:r>'
        "<w:r><w:instrText>PAGE \\* MERGEFORMAT</w:instrText></w:r></w:p>"
    )
    assert text_of(body) == "今年三月开工"


def test_a_text_box_is_read_once_and_after_its_paragraph() -> None:
    """Word writes a box twice, as a choice and as a fallback for old versions."""
    box = f"<w:txbxContent>{paragraph('图注：河长下河')}</w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>正文上半句，</w:t></w:r><w:r><mc:AlternateContent>"
        f'<mc:Choice Requires="wps">{box}</mc:Choice><mc:Fallback><w:pict>{box}</w:pict>'
        "</mc:Fallback></mc:AlternateContent></w:r><w:r><w:t>正文下半句。</w:t></w:r></w:p>"
    )
    assert text_of(body) == "正文上半句，正文下半句。\n图注：河长下河"


def test_a_table_used_for_layout_keeps_its_paragraphs_apart() -> None:
    """A cell with several paragraphs is a column of text, not a value."""
    cells = "".join(
        f"<w:tc>{paragraph(a)}{paragraph(b)}</w:tc>" for a, b in (("一", "二"), ("三", "四"))
    )
    assert text_of(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>") == "一\n二\n三\n四"


def test_tab_stops_drawings_and_ruby_are_no_text() -> None:
    """Tab stops of a style, labels of a chart, pinyin over a word."""
    body = (
        '<w:p><w:pPr><w:tabs><w:tab w:val="left" w:pos="420"/></w:tabs></w:pPr>'
        "<w:r><w:drawing><a:p><a:r><a:t>图例</a:t></a:r></a:p></w:drawing></w:r>"
        "<w:r><w:ruby><w:rt><w:r><w:t>wen</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>汶</w:t></w:r>"
        "</w:rubyBase></w:ruby></w:r><w:r><w:t>上县</w:t></w:r></w:p>"
    )
    assert text_of(body) == "汶上县"


def test_strict_documents_and_odd_part_names_are_read() -> None:
    """ISO strict files use another namespace, and the main part may lie anywhere."""
    strict = "http://purl.oclc.org/ooxml/wordprocessingml/main"
    relations = (
        b'<Relationships><Relationship Target="/content/main.xml" Type="http://purl.oclc.org/'
        b'ooxml/officeDocument/relationships/officeDocument"/></Relationships>'
    )
    main = document_xml(paragraph(SENTENCES[2])).replace(WORD.encode(), strict.encode())
    content = archive([("_rels/.rels", relations), ("content/main.xml", main)])
    assert read(content).text == SENTENCES[2]


def test_an_embedded_file_is_mentioned() -> None:
    """What is not read is not passed over in silence."""
    found = read(docx(document_xml(paragraph("正文") + '<w:altChunk w:id="r"/>')))
    assert found.warnings == ("文档里嵌入了另一份文件，没有读",)


def test_a_document_of_pictures_says_so() -> None:
    """No text and no picture is an empty document; no text but a picture is something else."""
    empty = document_xml(paragraph(""))
    with pytest.raises(EmptyArticle):
        read(docx(empty))
    with pytest.raises(UnreadableFile, match="只有图片"):
        read(docx(empty, others=[("word/media/image1.png", b"\x89PNG")]))


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("xl/workbook.xml", "电子表格"),
        ("ppt/presentation.xml", "演示文稿"),
        ("OFD.xml", "OFD"),
        ("content.xml", "OpenDocument"),
        ("稿件/一.txt", "压缩包"),
    ],
)
def test_other_packages_are_named(entry: str, what: str) -> None:
    """A zip file that is no document says what it is."""
    with pytest.raises(UnreadableFile, match=what):
        read(archive([(entry, b"<a/>")]))


ENTITIES = '<!DOCTYPE d [<!ENTITY a "哈哈哈哈哈哈哈哈哈哈">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)


@pytest.mark.parametrize(
    "prolog",
    [
        f"{ENTITIES}]>",
        '<!DOCTYPE d [<!ENTITY j SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd" [<!ENTITY j "1">]>',
    ],
)
def test_entities_are_refused_unread(prolog: str) -> None:
    """Neither a billion laughs nor a file of this machine nor a foreign DTD gets any further."""
    with pytest.raises(UnreadableFile, match="实体") as refusal:
        read(docx(document_xml(paragraph("&j;"), prolog=prolog)))
    assert "root" not in str(refusal.value)


def test_a_part_that_unpacks_without_end_is_stopped() -> None:
    """Forty megabytes of blanks pack into forty kilobytes; reading stops after a few."""
    with pytest.raises(TooLarge, match="倍以上"):
        read(docx(document_xml(paragraph("字") + " " * 40_000_000)))


def test_unpacked_bytes_are_limited_in_all() -> None:
    """Also where nothing is packed tightly."""
    content = docx(document_xml(paragraph("字" * 50_000)), stored=True)
    with pytest.raises(TooLarge, match="解开后超过"):
        read(content, limits=Limits(unpacked_bytes=100_000))


def test_half_a_million_paragraphs_are_too_many() -> None:
    """Empty paragraphs cost nothing to send and much to keep."""
    with pytest.raises(TooLarge, match="段"):
        read(docx(document_xml("<w:p/>" * 500_000), stored=True))


@pytest.mark.parametrize("element", ["w:tbl", "w:del", "w:x", "w:r"])
def test_five_thousand_levels_are_no_matter(element: str) -> None:
    """Depth costs no recursion; the sentence after it is read."""
    body = f"<{element}>" * 5000 + f"</{element}>" * 5000
    assert text_of(body + paragraph("还在")).strip() == "还在"


def test_nested_tables_do_not_multiply() -> None:
    """Handing lines up through nested cells is counted like any other lines."""
    body = "<w:tbl><w:tr><w:tc>" * 2000 + paragraph("一") * 500 + "</w:tc></w:tr></w:tbl>" * 2000
    with pytest.raises(TooLarge):
        text_of(body)


def test_three_thousand_entries_are_too_many() -> None:
    """A document has a few dozen parts."""
    others = [(f"word/media/{number}", b"") for number in range(3000)]
    with pytest.raises(TooLarge, match="部件"):
        read(docx(document_xml(paragraph("字")), others=others))


def test_overlapping_entries_are_refused() -> None:
    """Two entries of the directory that point at the same bytes."""
    content = bytearray(docx(document_xml(paragraph("字")), others=[("word/styles.xml", b"<a/>")]))
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        first, last = package.infolist()[0], package.infolist()[-1]
    at = content.rindex(last.filename.encode()) - 46
    assert content[at : at + 4] == b"PK\x01\x02"
    content[at + 42 : at + 46] = first.header_offset.to_bytes(4, "little")
    with pytest.raises(UnreadableFile, match="重叠"):
        read(bytes(content))


def test_a_password_on_the_zip_is_named() -> None:
    """The encryption flag of an entry."""
    content = bytearray(docx(document_xml(paragraph("字")), stored=True))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 4)
    with pytest.raises(UnreadableFile, match="密码"):
        read(bytes(content))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_markup_is_refused_or_read(data: st.DataObject) -> None:
    """Bytes of the main part replaced, lost or repeated never raise anything else."""
    part = bytearray(
        document_xml(
            paragraph("一") + f"<w:tbl><w:tr><w:tc>{paragraph('二')}</w:tc></w:tr></w:tbl>"
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(part) - 1))
        part[at : at + data.draw(st.integers(0, 20))] = data.draw(
            st.one_of(
                st.binary(max_size=3), st.sampled_from([b"<w:p>", b"</w:tr>", b"<w:t>", b"&#0;"])
            )
        )
    try:
        read(docx(bytes(part)))
    except InputRefused as refusal:
        assert refusal.where == "稿件.docx"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 5000), st.binary(min_size=1, max_size=4))
def test_a_damaged_archive_is_refused_or_read(at: int, noise: bytes) -> None:
    """Bytes of the zip file overwritten never raise anything else."""
    content = bytearray(docx(document_xml(paragraph(SENTENCES[0])), stored=True))
    at %= len(content)
    content[at : at + len(noise)] = noise
    try:
        read_document(bytes(content), name="稿件.docx")
    except InputRefused as refusal:
        assert refusal.where == "稿件.docx"
