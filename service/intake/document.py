"""What comes out of a file, and how much may come out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from classifier.errors import TooLarge
from service.intake.encoding import looks_garbled, read_name

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# NUL breaks PostgreSQL and shortens strings in SQLite; lone surrogates cannot be stored at all.
_UNSTORABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_BLANK_RUN = re.compile("\n{3,}")

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may cost; sizes in bytes, text in characters, time in seconds."""

    file_bytes: int = 20 * _MIB
    unpacked_bytes: int = 50 * _MIB  # all that is decompressed for one file, attachments included
    unpacked_ratio: int = 100  # of one zip entry, once it is past its first MiB
    zip_entries: int = 2_000
    pages: int = 500
    lines: int = 100_000  # paragraphs of a .docx, lines of a web page
    characters: int = 2_000_000  # of all the documents in one file
    mail_depth: int = 5  # mails inside mails
    mail_parts: int = 200
    cpu_seconds: int = 10
    wall_seconds: float = 20.0
    memory_bytes: int = 512 * _MIB  # address space of the child process


@dataclass(frozen=True, slots=True)
class Document:
    """What a person would read in one file, or in one attachment of a mail."""

    text: str
    title: str = ""  # the file's own title where its format has one
    name: str = ""  # the file's name as sent; for display, never a path
    format: str = "txt"  # "txt", "docx", "pdf", "html" or "eml"
    warnings: tuple[str, ...] = ()


class Allowance:
    """What is left to spend on one file; shared by a mail and everything attached to it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._unpacked = limits.unpacked_bytes
        self._characters = limits.characters
        self._parts = limits.mail_parts
        self._mails = limits.mail_depth

    def unpack(self, size: int) -> None:
        """Spend decompressed bytes; raises TooLarge when there are none left."""
        self._unpacked -= size
        if self._unpacked < 0:
            raise TooLarge(
                f"文件解开后超过 {self.limits.unpacked_bytes // _MIB} MB",
                fix="请只保留文字内容，另存后再投",
            )

    def write(self, characters: int) -> None:
        """Spend characters of text; raises TooLarge when there are none left."""
        self._characters -= characters
        if self._characters < 0:
            raise TooLarge(
                f"文件里的文字超过 {self.limits.characters} 字", fix="请拆成几个文件再投"
            )

    @contextmanager
    def mail(self) -> Iterator[None]:
        """While a mail is open; raises TooLarge when too many are open inside each other."""
        if self._mails <= 0:
            raise TooLarge(f"邮件里套邮件超过 {self.limits.mail_depth} 层", fix="请把稿件单独投来")
        self._mails -= 1
        try:
            yield
        finally:
            self._mails += 1

    def part(self) -> None:
        """Spend one part of a mail; raises TooLarge when there are none left."""
        self._parts -= 1
        if self._parts < 0:
            raise TooLarge(f"邮件超过 {self.limits.mail_parts} 个部分", fix="请把附件分几次投")


def compose(
    lines: str,
    *,
    title: str = "",
    name: str = "",
    format: str,
    warnings: tuple[str, ...] = (),
) -> Document:
    """Make a document of raw text: one kind of line end, nothing that cannot be stored.

    What was taken out, or looks wrong, is said in the warnings.

    >>> compose("第一行\\r\\n第二\\x00行", format="txt")  # doctest: +NORMALIZE_WHITESPACE
    Document(text='第一行\\n第二行', title='', name='', format='txt',
             warnings=('去掉了 1 个控制字符',))
    """
    text = _LINE_ENDS.sub("\n", lines)
    text, removed = _UNSTORABLE.subn("", text)
    heading = " ".join(_UNSTORABLE.sub("", _LINE_ENDS.sub("\n", title)).split())
    notes = list(warnings)
    if removed:
        notes.append(f"去掉了 {removed} 个控制字符")
    if lost := text.count("\ufffd"):
        notes.append(f"文字里有 {lost} 个“\ufffd”，原稿在别处转码时丢了字，请核对")
    if looks_garbled(text):
        notes.append("文字里生僻字太多，像是转码转坏的乱码，请核对原稿")
    return Document(
        text=_squeeze(text),
        title=heading,
        name=read_name(name),
        format=format,
        warnings=tuple(notes),
    )


def _squeeze(text: str) -> str:
    """Trim line ends and long runs of blank lines; indents stay."""
    trimmed = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_RUN.sub("\n\n", trimmed).strip("\n")
