"""What a file is, is said by its content; its name only breaks ties."""

from __future__ import annotations

import itertools

import pytest
from made_files import SENTENCES, archive, document_xml, docx, mail, paragraph, pdf_of_pages

from classifier.errors import InputRefused, UnreadableFile
from service.intake import read_document
from service.intake.recognise import declared_charset, is_page

FILES = {
    "docx": docx(document_xml(paragraph(SENTENCES[0]))),
    "pdf": pdf_of_pages([[SENTENCES[0]]]),
    "html": f"<!DOCTYPE html><p>{SENTENCES[0]}".encode("gbk"),
    "eml": mail(SENTENCES[0].encode("gbk"), "Subject: x", "Content-Type: text/plain; charset=gbk"),
    "txt": SENTENCES[0].encode("gbk"),
}
ENDINGS = ("docx", "wps", "doc", "pdf", "html", "htm", "eml", "mht", "txt", "jpg", "")


@pytest.mark.parametrize(("kind", "ending"), list(itertools.product(FILES, ENDINGS)))
def test_the_name_does_not_change_what_is_read(kind: str, ending: str) -> None:
    """Every format under every ending is read as what it is."""
    (document,) = read_document(FILES[kind], name=f"稿件.{ending}")
    assert document.format == kind
    assert document.text == SENTENCES[0]
    assert document.name == f"稿件.{ending}"


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "设了打开密码", "取消密码"),
        (OLE + "WordDocument".encode("utf-16-le"), "旧版 Word/WPS", "另存为 .docx"),
        (OLE + "Workbook".encode("utf-16-le"), "电子表格", "docx"),
        (OLE + "__substg1.0_37".encode("utf-16-le"), "msg", "eml"),
        (OLE, "旧版 Office", "另存为 .docx"),
        (b"{\\rtf1\\ansi}", "RTF", "另存为 .docx"),
        (b"\x89PNG\r\n\x1a\n", "图片", "文字稿"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "图片", "文字稿"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "图片", "文字稿"),
        (b"\x00\x00\x00\x18ftypmp42", "音视频", "文字稿"),
        (b"Rar!\x1a\x07\x01\x00", "压缩包", "解压"),
        (b"\x1f\x8b\x08\x00", "压缩包", "解压"),
        (b"MZ\x90\x00\x03", "程序", "文字稿"),
    ],
)
def test_formats_that_are_not_read_are_named(content: bytes, what: str, fix: str) -> None:
    """Each with what to do, whatever the file is called."""
    for name in ("稿件.docx", "稿件.txt", ""):
        with pytest.raises(UnreadableFile, match=what) as refusal:
            read_document(content + bytes(600), name=name)
        assert fix in refusal.value.fix
        assert refusal.value.where == name


@pytest.mark.parametrize(
    "text",
    [
        "MZ世代的年轻人回到村里，把老屋改成了民宿。",
        "GIF8这个词，很多老人没有听说过。",
        "PK赛上，八名选手讲了八个招商故事。",
        "BM集团的项目昨日落户开发区。",
        "ID3项目今天开工，县里派出专班。",
        "<本报讯>六月二十日清早，河长下了河。",
        "Note: 六月二十日清早，河长下了河。\nDate: 今天，县里召开大会。",
        "%PDF-这几个字母是什么意思，记者问了三个人。\n" * 3,
    ],
)
def test_text_that_begins_like_something_else_is_still_text(text: str) -> None:
    """A few letters are no magic number."""
    if text.startswith("%PDF"):
        text = "问：" + text
    (document,) = read_document(text.encode())
    assert document.format == "txt"
    assert document.text == text.strip()


def test_a_polyglot_is_what_it_begins_with() -> None:
    """A PDF with a zip behind it is a PDF, a zip with a PDF inside is a zip."""
    package = archive([("a.pdf", FILES["pdf"])], stored=True)
    assert read_document(FILES["pdf"] + FILES["docx"])[0].format == "pdf"
    with pytest.raises(InputRefused, match="压缩包"):
        read_document(package, name="a.pdf")


def test_a_word_file_saved_as_a_web_page_is_a_web_page() -> None:
    """Office systems hand out HTML under the name of .doc."""
    page = (
        f"<html xmlns:o='urn:x'><head><meta charset=gb2312></head><p>{SENTENCES[1]}<o:p></o:p></p>"
    )
    (document,) = read_document(page.encode("gbk"), name="通知.doc")
    assert (document.format, document.text) == ("html", SENTENCES[1])


def test_a_web_archive_is_read_as_the_mail_it_is() -> None:
    """.mht files are mails."""
    content = mail(f"<p>{SENTENCES[1]}".encode(), "Content-Type: text/html; charset=utf-8")
    assert read_document(content, name="网页.mht")[0].text == SENTENCES[1]


def test_markup_before_the_page_is_passed_over() -> None:
    """XHTML starts with a processing instruction, saved pages with a comment."""
    assert is_page('<?xml version="1.0" encoding="gbk"?>\n<!-- saved -->\n<html>')
    assert declared_charset(b'<?xml version="1.0" encoding="gbk"?><html>') == "gbk"
    assert not is_page("<!-- 只有注释")
    assert not is_page("<p>在文章里说到标签", "a.txt")
