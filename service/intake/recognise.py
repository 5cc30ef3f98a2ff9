"""What kind of file some bytes are, by their content; the name only breaks ties."""

from __future__ import annotations

import re
from enum import StrEnum

from classifier.errors import UnreadableFile

_SAVE_AS_DOCX = "请用 Word 或 WPS 打开后另存为 .docx 再投"


class Kind(StrEnum):
    """How a file is read."""

    DOCX = "docx"
    PDF = "pdf"
    MAIL = "eml"
    TEXT = "txt"  # or HTML, which only its decoded text tells


# How files that are not read begin, what they are, and what to do.
_FOREIGN = (
    (rb"\{\\rtf", "这是 RTF 文件", _SAVE_AS_DOCX),
    (
        rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*|RIFF....WEBP|BM.{4}\0{4}",
        "这是图片，没有文字可读",
        "请投文字稿",
    ),
    (
        rb"Rar!\x1a\x07|7z\xbc\xaf\x27\x1c|\x1f\x8b\x08|BZh[1-9]1AY|\xfd7zXZ\0",
        "这是压缩包",
        "请解压后把里面的稿件投来",
    ),
    (
        rb"....ftyp|RIFF....(?:AVI |WAVE)|OggS\0|ID3[\2-\4]|#!AMR",
        "这是音视频文件，没有文字可读",
        "请投文字稿",
    ),
    (rb"x\x9f>\x22", "这是 Outlook 的 winmail.dat", "请让对方以纯文本或 HTML 格式重发"),
    (rb"MZ.\0|\x7fELF", "这是程序，不是稿件", "请投文字稿"),
)

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Entries of an OLE folder are named in UTF-16. An encrypted .docx is an OLE file too.
_OLE_ENTRIES = (
    ("EncryptedPackage", "这份文件设了打开密码", "请取消密码，另存为 .docx 再投"),
    ("__substg1.0_", "这是 Outlook 的 .msg 邮件", "请另存为 .eml，或把正文粘贴过来"),
    ("WordDocument", "这是旧版 Word/WPS 文档（.doc 或 .wps）", _SAVE_AS_DOCX),
    ("Workbook", "这是电子表格", "请把文字复制到 .docx 再投"),
    ("PowerPoint Document", "这是演示文稿", "请把文字复制到 .docx 再投"),
)

_MAIL_FIELD = re.compile(rb"([!-9;-~]{1,100}):")
_MAIL_FIELD_NAMES = (
    b"from to cc subject date received mime-version message-id content-type return-path sender "
    b"reply-to delivered-to x-mailer content-transfer-encoding dkim-signature"
)
_MAIL_FIELDS = frozenset(_MAIL_FIELD_NAMES.split())
_COMMON_WORDS = {b"to", b"cc", b"date"}  # "To:" and "Date:" also start lines of other texts
_MAIL_NAMES = (".eml", ".mht", ".mhtml")
_HEAD = 1 << 16

_BLANKS = b" \t\r\n\v\f"
_META_CHARSET = re.compile(rb"<meta\s[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I)
_XML_CHARSET = re.compile(rb"^\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.:-]{2,40})", re.I)
_PRESCAN = 4096
_TAG = re.compile(r"<(!?[a-z][a-z0-9]*)", re.I)
_PAGE_TAG_NAMES = (
    "!doctype html head body meta title script style link base div p table font center span "
    "section article main h1 h2 h3 h4 ul ol br a b img iframe"
)
_PAGE_TAGS = frozenset(_PAGE_TAG_NAMES.split())
_SURE_TAGS = frozenset(("!doctype", "html", "head", "body", "meta", "title"))
_ANY_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]{0,2000})?>", re.I)


def recognise(content: bytes, name: str = "") -> Kind:
    """How these bytes are to be read; raises UnreadableFile naming a format that is not read.

    >>> recognise(b"%PDF-1.7 ...", "稿件.docx").value
    'pdf'
    """
    if content.startswith(b"PK\x03\x04") or content.startswith(b"PK\x05\x06"):
        return Kind.DOCX
    if content.startswith(_OLE):
        raise _ole(content)
    at = content.find(b"%PDF-", 0, 1024)
    if at >= 0 and (not content[:at].strip(_BLANKS + b"\xef\xbb\xbf") or has_ending(name, ".pdf")):
        return Kind.PDF
    for start, what, fix in _FOREIGN:
        if re.match(start, content, re.S):
            raise UnreadableFile(what, fix=fix)
    if _is_mail(content, name):
        return Kind.MAIL
    return Kind.TEXT


def is_page(text: str, name: str = "") -> bool:
    """Whether decoded text is a web page.

    >>> is_page("<!DOCTYPE html><p>正文"), is_page("<p>正文", "a.html"), is_page("<本报讯> 正文")
    (True, True, False)
    """
    head = text[:_HEAD]
    tag = _first_tag(head)
    if tag in _SURE_TAGS:
        return True
    if tag in _PAGE_TAGS:
        return not has_ending(name, ".txt")
    return has_ending(name, ".html", ".htm", ".xhtml", ".shtml") and bool(_ANY_TAG.search(head))


def declared_charset(content: bytes) -> str | None:
    """The charset that a page names in its first bytes.

    >>> declared_charset(b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">')
    'gb2312'
    """
    head = content[:_PRESCAN]
    found = _META_CHARSET.search(head) or _XML_CHARSET.match(head)
    return found.group(1).decode("ascii", "replace") if found else None


def _first_tag(markup: str) -> str:
    """The first element's name, past comments and processing instructions; else ""."""
    rest = markup.lstrip("\ufeff \t\r\n")
    for opening, closing in (("<?", "?>"), ("<!--", "-->"), ("<!--", "-->")):
        if rest.startswith(opening):
            rest = rest.partition(closing)[2].lstrip()
    tag = _TAG.match(rest)
    return tag.group(1).lower() if tag else ""


def has_ending(name: str, *endings: str) -> bool:
    """Whether a file name ends in one of these, in any case."""
    return name.lower().endswith(endings)


def _is_mail(content: bytes, name: str) -> bool:
    """Whether the bytes start with a block of mail headers."""
    is_named_so = has_ending(name, *_MAIL_NAMES)
    fields = set()
    head = content[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    for number, line in enumerate(head.splitlines()):
        if not line:
            break
        field = _MAIL_FIELD.match(line)
        folded = line[:1] in (b" ", b"\t") or (number == 0 and line.startswith(b"From "))
        if field:
            fields.add(field.group(1).lower())
        elif not folded and not is_named_so:
            return False
    known = fields & _MAIL_FIELDS
    return len(known) >= (1 if is_named_so else 2) and not known <= _COMMON_WORDS


def _ole(content: bytes) -> UnreadableFile:
    for entry, what, fix in _OLE_ENTRIES:
        if entry.encode("utf-16-le") in content:
            return UnreadableFile(what, fix=fix)
    return UnreadableFile("这是旧版 Office 文件", fix=_SAVE_AS_DOCX)
