"""Mails: the body first, then every attachment that can be read.

The standard library parses headers and undoes transfer encodings; the tree of parts is cut here,
because its parser takes time quadratic in the depth of nesting, decodes with replacement
characters, and has no limit on depth.
"""

from __future__ import annotations

import binascii
import email
import quopri
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.policy import Compat32

from classifier.errors import EmptyArticle, InputRefused, TooLarge, UnknownEncoding, UnreadableFile
from service.intake.document import Allowance, Document, compose
from service.intake.encoding import decode, read_name
from service.intake.recognise import declared_charset
from service.intake.webpage import lay_out

_HEAD_END = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_FIRST_END = re.compile(rb"\A\r?\n")
_HEAD_BYTES = 1 << 18
_FIELD_CHARACTERS = 20_000
_PARTS_DEEP = 20  # multiparts inside multiparts
_ENCODED_WORD = re.compile(r"=\?([\w.:-]{1,40})(?:\*[\w-]*)?\?([bq])\?([^?\s]{0,2000})\?=", re.I)
_NOT_MANUSCRIPTS = (
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "text/calendar",
    "text/vcard",
    "text/x-vcard",
    "message/delivery-status",
)
_PLAIN = "text/plain"
_HTML = "text/html"


class _Unchanged(Compat32):
    """Headers as they stand; by default one with bytes beyond ASCII loses them when fetched."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        """The header's value with those bytes as surrogates."""
        return value


_RAW = _Unchanged()

ReadAttachment = Callable[..., tuple[Document, ...]]


@dataclass(slots=True)
class _Mail:
    """What has been found in a mail so far."""

    body: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    attached: list[Document] = field(default_factory=list)
    refusals: list[InputRefused] = field(default_factory=list)  # of pieces of the body


def read(
    content: bytes,
    *,
    name: str,
    charset: str | None,
    allowance: Allowance,
    read_attachment: ReadAttachment,
) -> tuple[Document, ...]:
    """Read a mail and what is attached to it.

    `read_attachment(content, name=, charset=, allowance=)` reads one attachment. What it
    refuses becomes a warning on the body that names the file and the reason. Raises TooLarge for
    mails nested too deep or with too many parts, EmptyArticle where there is nothing at all.
    """
    head, body = _split_head(content)
    mail = _Mail()
    reader = _Reader(mail, charset, allowance, read_attachment)
    with allowance.mail():
        reader.read_part(head, body, nested=0, body_read=False)
    subject, doubts = _subject(head)
    document = compose(
        "\n".join(mail.body),
        title=subject,
        name=name,
        format="eml",
        warnings=(*doubts, *mail.warnings),
    )
    if not document.text.strip() and not mail.attached:
        if mail.refusals:
            raise mail.refusals[0]
        if mail.warnings:
            raise UnreadableFile(
                "邮件没有正文；" + "；".join(mail.warnings), fix="请把正文粘贴到邮件里"
            )
        if not subject:
            raise EmptyArticle("邮件没有正文", fix="请补上正文后重投")
    return (document, *mail.attached)


@dataclass(slots=True)
class _Reader:
    """Walks the parts of one mail."""

    mail: _Mail
    charset: str | None
    allowance: Allowance
    read_attachment: ReadAttachment

    def read_part(self, head: Message, body: bytes, *, nested: int, body_read: bool) -> None:
        """Read one part into the mail: a branch, a piece of the body, or an attachment."""
        self.allowance.part()
        kind = head.get_content_type()
        name = _attachment_name(head)
        if kind.startswith("multipart/"):
            self._read_branch(head, body, nested=nested, body_read=body_read)
        elif _is_body(head, kind, name):
            if not body_read:
                self._read_body(kind, head, body)
        else:
            self._read_attached(kind, name, head, body)

    def _read_branch(self, head: Message, body: bytes, *, nested: int, body_read: bool) -> None:
        if nested >= _PARTS_DEEP:
            raise TooLarge(f"邮件的结构超过 {_PARTS_DEEP} 层", fix="请把稿件单独投来")
        parts = list(_split_parts(body, head.get_boundary(""), self.allowance.limits.mail_parts))
        if not parts:
            # A multipart without its boundaries is what a mailer cut short leaves behind.
            if not body_read:
                self._read_body(_PLAIN, head, body)
            return
        branches = [_split_head(part) for part in parts]
        chosen = None
        if head.get_content_subtype() == "alternative":
            chosen = _preferred(branches)
        for branch in branches:
            # Some mailers hang the attachments on the alternative that is not read.
            skip = chosen is not None and branch is not chosen
            self.read_part(*branch, nested=nested + 1, body_read=body_read or skip)

    def _read_body(self, kind: str, head: Message, body: bytes) -> None:
        content = _undo_transfer(head, body, self.mail)
        declared = self.charset or head.get_content_charset()
        if kind == _HTML:
            declared = declared or declared_charset(content)
        try:
            decoded = decode(content, declared=declared)
            if kind == _HTML:
                lines = lay_out(decoded.text, allowance=self.allowance).lines
            else:
                lines = (decoded.text,)
                self.allowance.write(len(decoded.text))
        except InputRefused as refusal:
            self.mail.refusals.append(refusal)
            self.mail.warnings.append(f"正文有一部分没有读：{refusal.what}")
        else:
            self.mail.warnings.extend(decoded.warnings)
            self.mail.body.extend(lines)

    def _read_attached(self, kind: str, name: str, head: Message, body: bytes) -> None:
        shown = f"附件“{_shortened(name)}”" if name else "一个没有文件名的附件"
        if kind in _NOT_MANUSCRIPTS:
            self.mail.warnings.append(f"{shown}没有读：不是稿件（{kind}）")
            return
        try:
            content = _undo_transfer(head, body, self.mail)
            documents = self.read_attachment(
                content,
                name=name,
                charset=head.get_content_charset(),
                allowance=self.allowance,
            )
        except InputRefused as refusal:
            self.mail.warnings.append(f"{shown}没有读：{refusal.what}")
        else:
            self.mail.attached.extend(documents)


def _is_body(head: Message, kind: str, name: str) -> bool:
    """Whether a part is text to be read in the mail itself."""
    return kind in (_PLAIN, _HTML) and not name and head.get_content_disposition() != "attachment"


def _preferred(branches: list[tuple[Message, bytes]]) -> tuple[Message, bytes]:
    """Of a mail's alternatives the plain text if there is any in it, else the last, the richest."""
    for branch in branches:
        head, body = branch
        if head.get_content_type() == _PLAIN and body.strip():
            return branch
    return branches[-1]


def _split_head(content: bytes) -> tuple[Message, bytes]:
    """The headers of a mail or part, parsed, and the bytes behind them."""
    end = _HEAD_END.search(content[:_HEAD_BYTES])
    if end is not None:
        source, body = content[: end.start()], content[end.end() :]
    elif re.match(rb"[!-9;-~]+:", content):
        source, body = content[:_HEAD_BYTES], b""
    else:
        source, body = b"", content
    head = email.message_from_bytes(source + b"\n\n", policy=_RAW)
    # Taking a field apart costs the square of its length.
    for field_name in ("Content-Type", "Content-Disposition"):
        if len(head.get(field_name, "")) > _FIELD_CHARACTERS:
            del head[field_name]
    return head, body


def _split_parts(body: bytes, boundary: str, most: int) -> Iterator[bytes]:
    """The parts between the boundaries of a multipart body; a missing last boundary is forgiven."""
    if not boundary:
        return
    mark = re.escape(boundary.encode("utf-8", "surrogateescape"))
    line = re.compile(rb"(?:\A|\r?\n)--" + mark + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start: int | None = None
    for number, match in enumerate(line.finditer(body)):
        if start is not None:
            yield _FIRST_END.sub(b"", body[start : match.start()], 1)
        start = match.end()
        if match.group(1):
            return
        if number > most:
            raise TooLarge(f"邮件超过 {most} 个部分", fix="请把附件分几次投")
    if start is not None and start < len(body):
        yield _FIRST_END.sub(b"", body[start:], 1)


def _undo_transfer(head: Message, body: bytes, mail: _Mail) -> bytes:
    """The bytes of a part as they were before the mailer made them safe to send."""
    match head.get("Content-Transfer-Encoding", "").strip().lower():
        case "base64":
            try:
                return binascii.a2b_base64(body)
            except binascii.Error:
                mail.warnings.append("邮件有一部分没有传完整，末尾可能缺字")
                letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
                return binascii.a2b_base64(letters[: len(letters) // 4 * 4])
        case "quoted-printable":
            return quopri.decodestring(body)
        case _:
            return body


def _subject(head: Message) -> tuple[str, tuple[str, ...]]:
    try:
        return decode_field(head.get("Subject", ""), charset=head.get_content_charset()), ()
    except UnknownEncoding:
        return "", ("邮件主题的编码认不出来，没有读",)


def _attachment_name(head: Message) -> str:
    """The file name as sent, whatever of the three ways of writing it was used; "" if none."""
    for holder, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        value = head.get_param(parameter, header=holder)
        try:
            if isinstance(value, tuple):
                charset, _, text = value
                name = decode(text.encode("latin-1"), declared=charset).text
            else:
                name = decode_field(value or "", charset=head.get_content_charset())
        except (UnknownEncoding, UnicodeEncodeError):
            continue
        if name := read_name(name.strip()):
            return name
    return ""


def decode_field(value: str, *, charset: str | None = None) -> str:
    """A header's text: encoded words and raw bytes, both in whatever charset.

    Neighbouring words of one charset are joined before decoding, because many mailers cut a
    character of two bytes in half between them. `charset` is a guess at that of the raw bytes.
    Raises UnknownEncoding.

    >>> decode_field("=?GB2312?B?1dDJzNL9?= =?GB2312?B?18o=?=")
    '招商引资'
    """
    value = re.sub(r"\r?\n[ \t]*", " ", value[:_FIELD_CHARACTERS])
    pieces: list[tuple[str | None, bytes]] = []
    position = 0
    for word in _ENCODED_WORD.finditer(value):
        between = value[position : word.start()]
        position = word.end()
        declared = word.group(1).lower()
        content = _undo_word(word.group(2), word.group(3))
        if not between.strip() and pieces and pieces[-1][0] == declared:
            pieces[-1] = (declared, pieces[-1][1] + content)
            continue
        if between.strip() or not pieces:
            pieces.append((charset, between.encode("utf-8", "surrogateescape")))
        pieces.append((declared, content))
    pieces.append((charset, value[position:].encode("utf-8", "surrogateescape")))
    return "".join(
        decode(content, declared=declared).text for declared, content in pieces if content
    ).strip()


def _undo_word(encoding: str, letters: str) -> bytes:
    source = letters.encode("ascii", "ignore")
    if encoding.lower() == "q":
        return quopri.decodestring(source, header=True)
    try:
        return binascii.a2b_base64(source + b"=" * (-len(source) % 4))
    except binascii.Error:
        return source


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:40]}…{name[-16:]}"
