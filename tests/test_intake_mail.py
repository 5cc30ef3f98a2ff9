"""Mails: the body, every attachment, and a word about each that cannot be read."""

from __future__ import annotations

import base64
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from growth import is_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import (
    SENTENCES,
    archive,
    document_xml,
    docx,
    mail,
    multipart,
    paragraph,
    part,
    pdf_of_pages,
)

from classifier.errors import EmptyArticle, InputRefused, TooLarge, UnknownEncoding, UnreadableFile
from service.intake import Document, Limits, read_document
from service.intake.mail import decode_field

DOCX = docx(document_xml(paragraph(SENTENCES[1])))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
OLD_DOC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le")


def read(content: bytes, *, limits: Limits | None = None) -> tuple[Document, ...]:
    documents = read_document(content, name="投稿.eml", limits=limits)
    assert (documents[0].format, documents[0].name) == ("eml", "投稿.eml")
    return documents


def attachment(content: bytes, *headers: str) -> bytes:
    headers = (*headers, "Content-Transfer-Encoding: base64")
    return part(base64.encodebytes(content), "Content-Type: application/octet-stream", *headers)


@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "gbk", "gb18030", "hz-gb-2312"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_the_body_is_read_in_every_charset_and_transfer_encoding(
    charset: str, encoding: str
) -> None:
    """As Python's own mailer writes them."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "投稿：河长巡河"
    message["From"] = "赵敏 <zhaomin@example.cn>"
    codec = "hz" if charset.startswith("hz") else charset
    text = "\r\n".join(SENTENCES[:4])
    content = text.encode(codec)
    match encoding:
        case "base64":
            body = base64.encodebytes(content)
        case "quoted-printable":
            body = "".join(f"={byte:02X}" for byte in content).encode()
        case _:
            body = content
    head = bytes(message)
    head += f"Content-Type: text/plain; charset={charset}\r\n".encode()
    head += f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    (found,) = read(head.replace(b"\r\n\r\nContent-Type", b"\r\nContent-Type") + body)
    assert found.title == "投稿：河长巡河"
    assert found.text == "\n".join(SENTENCES[:4])
    assert found.warnings == ()


def test_attachments_follow_the_body_in_order() -> None:
    """Each by its content, whatever type the mailer gave it."""
    message = EmailMessage(policy=SMTP)
    message["Subject"], message["From"] = "投稿", "a@example.cn"
    message.set_content("见附件。")
    for name, content in (
        ("一.docx", DOCX),
        ("二.pdf", pdf_of_pages([[SENTENCES[2]]])),
        ("三.txt", SENTENCES[3].encode("gb18030")),
        ("四.html", f"<html><h1>题</h1><p>{SENTENCES[4]}".encode()),
    ):
        message.add_attachment(content, maintype="image", subtype="jpeg", filename=name)
    documents = read(bytes(message))
    assert [d.text for d in documents] == ["见附件。", *SENTENCES[1:5]]
    assert [d.name for d in documents[1:]] == ["一.docx", "二.pdf", "三.txt", "四.html"]
    assert [d.format for d in documents] == ["eml", "docx", "pdf", "txt", "html"]
    assert documents[4].title == "题"


def test_an_attachment_that_cannot_be_read_is_named_with_the_reason() -> None:
    """Never dropped in silence, and never the end of the rest."""
    parts = [
        attachment(content, f'Content-Disposition: attachment; filename="{name}"')
        for name, content in (
            ("a.png", PNG),
            ("b.doc", OLD_DOC),
            ("c.zip", archive([("x.txt", b"x")])),
            ("d.docx", DOCX[:200]),
            ("e.docx", DOCX),
            ("f.txt", b""),
        )
    ]
    body, found = read(
        mail(
            multipart(part("见附件。".encode()), *parts).partition(b"\r\n\r\n")[2],
            'Content-Type: multipart/mixed; boundary="b1"',
        )
    )
    assert found.name == "e.docx"
    assert [warning.split("没有读")[0] for warning in body.warnings] == [
        f"附件“{name}”" for name in ("a.png", "b.doc", "c.zip", "d.docx", "f.txt")
    ]
    for warning, reason in zip(
        body.warnings, ("图片", "旧版 Word", "压缩包", "损坏", "空的"), strict=True
    ):
        assert reason in warning


def test_a_mail_in_html_only_is_read_as_the_page_it_is() -> None:
    """Nothing is fetched, nothing of the markup is left, and the page's title is no title."""
    page = (
        f"<title>x</title><style>p{{}}</style><p>{SENTENCES[0]}</p><img src='http://127.0.0.1:9'>"
    )
    (found,) = read(mail(page.encode("gbk"), "Content-Type: text/html; charset=gb2312"))
    assert (found.title, found.text) == ("", SENTENCES[0])


def test_of_alternatives_the_plain_one_is_read_once() -> None:
    """The same text in HTML is not read a second time, but what hangs on it is."""
    plain = part(SENTENCES[0].encode(), "Content-Type: text/plain; charset=utf-8")
    page = part(f"<p>{SENTENCES[0]}</p>".encode(), "Content-Type: text/html; charset=utf-8")
    file = attachment(DOCX, 'Content-Disposition: attachment; filename="a.docx"')
    branch = multipart(plain, multipart(page, file, boundary="b2"), kind="alternative")
    head, _, body = branch.partition(b"\r\n\r\n")
    first, second = read(mail(body, head.decode()))
    assert first.text == SENTENCES[0]
    assert second.name == "a.docx"


def test_an_empty_plain_alternative_gives_way_to_html() -> None:
    """Some mailers send a blank plain part."""
    plain = part(b"\r\n \r\n", "Content-Type: text/plain")
    page = part(f"<p>{SENTENCES[0]}</p>".encode(), "Content-Type: text/html; charset=utf-8")
    head, _, body = multipart(plain, page, kind="alternative").partition(b"\r\n\r\n")
    assert read(mail(body, head.decode()))[0].text == SENTENCES[0]


@pytest.mark.parametrize(
    "disposition",
    [
        "filename*=GB18030''%D5%D0%C9%CC.txt",
        "filename*=UTF-8'zh-CN'%E6%8B%9B%E5%95%86.txt",
        "filename*0*=UTF-8''%E6%8B%9B; filename*1*=%E5%95%86; filename*2=.txt",
        'filename="=?GB2312?B?1dDJzC50eHQ=?="',
        'filename="=?utf-8?Q?=E6=8B=9B=E5=95=86?=.txt"',
        'filename="招商.txt"',
        'filename="' + "招商".encode("gbk").decode("ascii", "surrogateescape") + '.txt"',
    ],
)
def test_file_names_are_read_however_they_are_written(disposition: str) -> None:
    """RFC 2231 in one piece and in three, RFC 2047, and raw bytes in two encodings."""
    file = part(SENTENCES[1].encode(), "Content-Type: text/plain; charset=utf-8")
    head = f"Content-Disposition: attachment; {disposition}\r\n".encode("utf-8", "surrogateescape")
    content = multipart(part(b"."), head + file).partition(b"\r\n\r\n")[2]
    documents = read(mail(content, "Content-Type: multipart/mixed; boundary=b1; charset=gbk"))
    assert documents[1].name == "招商.txt"


@pytest.mark.parametrize(
    "name", ["../../x.txt", "CON", "C:\\a\\b.txt", "x" * 5000 + ".txt", "a\u202etxt.exe"]
)
def test_a_wild_file_name_is_shown_and_nothing_else(name: str) -> None:
    """Names are for display; no file is ever opened by one."""
    file = attachment(
        SENTENCES[0].encode(),
        "Content-Disposition: attachment; filename*=utf-8''"
        + "".join(f"%{byte:02X}" for byte in name.encode()),
    )
    content = multipart(part(b"."), file).partition(b"\r\n\r\n")[2]
    assert read(mail(content, "Content-Type: multipart/mixed; boundary=b1"))[1].name == name


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SENTENCES),
    st.sampled_from(["utf-8", "gb2312", "gb18030", "big5"]),
    st.integers(20, 76),
)
def test_a_subject_is_read_as_python_writes_it(subject: str, charset: str, width: int) -> None:
    """Encoded words of any length and charset come together again."""
    try:
        subject.encode(charset)
    except UnicodeEncodeError:
        return
    assert decode_field(Header(subject, charset, maxlinelen=width).encode()) == subject


def test_a_character_cut_between_two_encoded_words_is_whole_again() -> None:
    """Many mailers cut the bytes, not the characters."""
    content = "招商引资结硕果".encode("gbk")
    words = [content[:5], content[5:9], content[9:]]
    value = "\r\n ".join(f"=?GBK?B?{base64.b64encode(word).decode()}?=" for word in words)
    assert decode_field(value) == "招商引资结硕果"


def test_raw_subjects_are_read_by_the_charset_of_the_body() -> None:
    """Old mailers send the subject's bytes as they are."""
    raw = "Subject: " + "招商".encode("gbk").decode("ascii", "surrogateescape")
    content = mail(SENTENCES[0].encode("gbk"), raw, "Content-Type: text/plain; charset=gb2312")
    assert read(content)[0].title == "招商"


def test_forwarded_mails_are_read_to_the_fifth() -> None:
    """A mail in a mail is read; the sixth in each other is not, and it says so."""
    content = mail(
        "最里面的一封。".encode(), "Subject: s0", "Content-Type: text/plain; charset=utf-8"
    )
    for depth in range(1, 7):
        inner = b"Content-Type: message/rfc822\r\n\r\n" + content
        body = multipart(part(f"第{depth}封".encode()), inner, boundary=f"b{depth}")
        head, _, rest = body.partition(b"\r\n\r\n")
        content = mail(rest, f"Subject: s{depth}", head.decode())
    documents = read(content)
    assert [d.title for d in documents] == ["s6", "s5", "s4", "s3", "s2"]
    assert [d.text for d in documents] == [f"第{depth}封" for depth in (6, 5, 4, 3, 2)]
    assert "超过 5 层" in documents[-1].warnings[0]


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed"])
def test_thousands_of_levels_are_refused_for_the_price_of_reading_them(kind: str) -> None:
    """Python's own parser gives up with a RecursionError; depth is counted here instead."""

    def refused(levels: int) -> None:
        if kind == "message/rfc822":
            content = mail(b"", "Content-Type: message/rfc822") * levels
            content += mail(SENTENCES[0].encode())
        else:
            content = b"From: a\r\nSubject: b\r\n" + b"".join(
                b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
                for depth in range(levels)
            )
            content += b"\r\n" + SENTENCES[0].encode() * levels
        with pytest.raises(InputRefused, match="层"):
            read(content)

    assert is_linear(refused, 4_000)


def test_thousands_of_parts_are_too_many() -> None:
    """And so are thousands of empty ones."""
    content = multipart(*[part(b"x")] * 5000).partition(b"\r\n\r\n")[2]
    with pytest.raises(TooLarge, match="部分"):
        read(mail(content, "Content-Type: multipart/mixed; boundary=b1"))


def test_attachments_share_one_allowance() -> None:
    """Ten attachments of which each is within the limit are not, together."""
    file = docx(document_xml(paragraph("字") + " " * 900_000))
    content = multipart(part(b"."), *[attachment(file)] * 10).partition(b"\r\n\r\n")[2]
    message = mail(content, "Content-Type: multipart/mixed; boundary=b1")
    body, *rest = read(message, limits=Limits(unpacked_bytes=3_000_000))
    assert len(rest) == 3
    assert len(body.warnings) == 7
    assert "解开后超过" in body.warnings[0]


def test_headers_that_cost_quadratic_time_cost_none() -> None:
    """Thousands of parameters with open quotes, a subject of encoded words without end."""

    def read_with(count: int) -> None:
        parameters = "; ".join(f'a{number}="x' for number in range(count))
        content = mail(
            SENTENCES[0].encode(),
            "Subject: " + "=?utf-8?q?a?= " * count,
            f"Content-Type: text/plain; {parameters}",
            f"Content-Disposition: inline; {parameters}",
        )
        read_document(content, name="投稿.eml")

    assert is_linear(read_with, 6_000)


def test_a_broken_body_is_refused_unless_something_else_is_there() -> None:
    """With a readable attachment it becomes a warning."""
    broken = part(SENTENCES[0].encode() + b"\xff", "Content-Type: text/plain; charset=utf-8")
    file = attachment(DOCX, 'Content-Disposition: attachment; filename="a.docx"')
    head = "Content-Type: multipart/mixed; boundary=b1"
    with pytest.raises(UnknownEncoding):
        read(mail(multipart(broken).partition(b"\r\n\r\n")[2], head))
    body, found = read(mail(multipart(broken, file).partition(b"\r\n\r\n")[2], head))
    assert "正文有一部分没有读" in body.warnings[0]
    assert found.text == SENTENCES[1]


def test_signatures_and_invitations_are_mentioned_and_not_read() -> None:
    """They are text, but nobody's manuscript."""
    invitation = part(b"BEGIN:VCALENDAR", "Content-Type: text/calendar; charset=utf-8")
    content = multipart(part(SENTENCES[0].encode()), invitation).partition(b"\r\n\r\n")[2]
    (found,) = read(mail(content, "Content-Type: multipart/mixed; boundary=b1"))
    assert found.warnings == ("一个没有文件名的附件没有读：不是稿件（text/calendar）",)


def test_headers_that_cannot_be_read_do_not_cost_the_mail() -> None:
    """A subject and a file name of bytes that are no text."""
    noise = b"\xff\x80\xfd\x80".decode("ascii", "surrogateescape")
    file = b'Content-Disposition: attachment; filename="\xff\x80\x80"\r\n\r\n' + PNG
    content = multipart(part(SENTENCES[0].encode()), file).partition(b"\r\n\r\n")[2]
    head = "Content-Type: multipart/mixed; boundary=b1"
    (found,) = read(mail(content, f"Subject: {noise}", head))
    assert (found.title, found.text) == ("", SENTENCES[0])
    assert found.warnings[0] == "邮件主题的编码认不出来，没有读"
    assert "没有读：这是图片" in found.warnings[1]


def test_a_multipart_without_its_boundaries_is_read_as_text() -> None:
    """What a mailer cut short leaves behind."""
    (found,) = read(mail(SENTENCES[0].encode(), "Content-Type: multipart/mixed; boundary=b1"))
    assert found.text == SENTENCES[0]


def test_a_mail_with_nothing_in_it_is_refused() -> None:
    """Nothing at all, or nothing that can be read."""
    with pytest.raises(EmptyArticle):
        read(mail(b"\r\n", "Content-Type: text/plain"))
    content = multipart(attachment(PNG)).partition(b"\r\n\r\n")[2]
    with pytest.raises(UnreadableFile, match="图片"):
        read(mail(content, "Content-Type: multipart/mixed; boundary=b1"))


def test_a_transfer_cut_short_is_mentioned() -> None:
    """Base64 that ends in the middle."""
    body = base64.b64encode((SENTENCES[0] + "完。").encode())[:-5]
    (found,) = read(
        mail(body, "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64")
    )
    assert found.text.startswith(SENTENCES[0])
    assert "没有传完整" in found.warnings[0]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_mail_is_refused_or_read(data: st.DataObject) -> None:
    """Bytes replaced, lost or added never raise anything else."""
    plain = part(SENTENCES[0].encode("gbk"), "Content-Type: text/plain; charset=gbk")
    page = part(b"<p>x</p>", "Content-Type: text/html")
    body = multipart(multipart(plain, page, kind="alternative", boundary="b2"), attachment(DOCX))
    head, _, rest = body.partition(b"\r\n\r\n")
    content = bytearray(mail(rest, "Subject: =?gbk?B?1dDJzA==?=", head.decode()))
    tokens = st.sampled_from([b"\r\n\r\n", b"--b1", b"--b2--", b'"', b"=?gbk?q?", b"*0*=", b"\x00"])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 9))] = data.draw(
            st.one_of(st.binary(max_size=4), tokens)
        )
    try:
        read_document(bytes(content), name="投稿.eml")
    except InputRefused as refusal:
        assert refusal.where == "投稿.eml"
