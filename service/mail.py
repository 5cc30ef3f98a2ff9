"""A mailbox that is emptied of manuscripts: unseen letters come in and are marked as seen.

A letter is first stored and then marked, and stored under what makes it that letter; so a lost
connection or a crash between the two loses nothing and doubles nothing. No letter is ever deleted
or moved: one that cannot be read is starred for a person to look at.
"""

from __future__ import annotations

import base64
import hashlib
import imaplib
import logging
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from classifier.errors import (
    Busy,
    GaoqianError,
    InputRefused,
    NotAllowed,
    SettingRefused,
    TooLarge,
    UnknownEncoding,
)
from service.arrival import Receive
from service.intake import Limits
from service.intake.mail import decode_field
from service.receive import Piece, read_pieces
from service.slip import count_characters
from service.stopping import Stop

KEYWORD = "$Gaoqian"
"""Marks a letter that came in."""
REFUSED_KEYWORD = "$GaoqianRefused"
"""Marks a letter that could not be read; it is starred (\\Flagged) as well."""

SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds before a lost connection is tried again: doubled each time, up to the longest."""

_LOG = logging.getLogger(__name__)
_MIB = 1024 * 1024
_TIMEOUT = 60.0  # seconds for one answer of the server
_TRIES = 3  # before a letter that makes the program fail is put aside
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_HEAD_BYTES = 1 << 18
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_PASSING = re.compile(r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]")  # RFC 5530: try again later
_COVER_CHARS = 120
_COVER = re.compile(r"附件|附上|见附|查收|审阅|审稿|投稿|来稿|稿件|请收")


@dataclass(frozen=True, slots=True)
class Account:
    """Where the letters are."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    security: Literal["tls", "starttls", "none"] = "tls"
    folder: str = "INBOX"
    ca: str = ""  # file with the certificates to trust; "" for the system's


@dataclass(frozen=True, slots=True)
class Round:
    """What one look into the mailbox came to."""

    taken: int = 0  # letters
    refused: int = 0


class MailIntake:
    """Takes the unseen letters of one mailbox, again and again.

    `tell` gets a sentence in Chinese for each letter and each trouble.
    """

    def __init__(
        self,
        account: Account,
        receive: Receive,
        *,
        most_bytes: int,
        tell: Callable[[str], None],
    ) -> None:
        self._account = account
        self._receive = receive
        self._most_bytes = most_bytes
        self._tell = tell
        self._tries: dict[str, int] = {}

    def look(self) -> Round:
        """Take all letters that are unseen now.

        Raises Busy when the server or the store is not to be had, NotAllowed when it refuses the
        login, SettingRefused for a folder that is not there or read-only. What was taken until
        then is taken.
        """
        taken = refused = 0
        with _talking(self._account), _mailbox(self._account) as mailbox:
            for uid in mailbox.unseen():
                came_in = self._take(mailbox, uid)
                taken += came_in is True
                refused += came_in is False
        return Round(taken, refused)

    def keep_looking(self, stop: Stop, *, interval: float) -> None:
        """Look every `interval` seconds until `stop`; what goes wrong is told and tried again."""
        pause = SHORTEST_PAUSE
        while not stop.is_set():
            try:
                self.look()
            except GaoqianError as error:
                self._tell(f"{error}{pause:g} 秒后再试。")
                stop.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                pause = SHORTEST_PAUSE
                stop.wait(interval)

    def _take(self, mailbox: _Mailbox, uid: str) -> bool | None:
        """Whether the letter came in; None for one that is gone, or tried again later."""
        try:
            content = mailbox.fetch(uid, most_bytes=self._most_bytes)
            if content is None:
                return None
            name, key = letter_name(content), letter_key(content)
            received = self._received(content, name, key)
        except InputRefused as refusal:
            mailbox.mark(uid, "\\Seen", "\\Flagged", REFUSED_KEYWORD)
            self._tell(f"有一封信没有收下，已加星标。{refusal}")
            return False
        if received is None:
            return None
        mailbox.mark(uid, "\\Seen", KEYWORD)
        self._tell("\n".join((f"{name}：", *received)))
        return True

    def _received(self, content: bytes, name: str, key: str) -> tuple[str, ...] | None:
        """What the store says of a letter; None to try again later. Raises InputRefused."""
        try:
            received = self._receive(content, name=name, key=key)
        except (GaoqianError, OSError):
            raise
        except Exception as error:
            _LOG.exception("cannot take the letter %s", name)
            tries = self._tries[key] = self._tries.get(key, 0) + 1
            if tries < _TRIES:
                return None
            raise InputRefused(
                f"程序处理时出错（{type(error).__name__}）", where=name, fix="请报告技术员"
            ) from error
        self._tries.pop(key, None)
        again = ("以前收过，没有重复入库。",) if received.again else ()
        return (*again, *received.lines)


# Letters


def letter_key(content: bytes) -> str:
    """The same for every copy of one letter, however it was delivered; 64 hexadecimal digits.

    Message-ID alone is not enough: some mailers send it twice, and anybody may copy one.

    >>> letter = b"Message-ID: <1@paper.cn>\\r\\nSubject: a\\r\\n\\r\\nbody"
    >>> letter_key(b"Received: from x\\r\\n" + letter) == letter_key(letter)
    True
    """
    head, body = _split(content)
    names = ("Message-ID",) if _header(head, "Message-ID") else ("Date", "From", "Subject")
    told = "\n".join(_header(head, name) for name in names)
    return hashlib.sha256(told.encode("utf-8", "surrogateescape") + b"\n" + body).hexdigest()


def letter_name(content: bytes) -> str:
    """What to call a letter: its subject, with the ending of a mail file."""
    subject = ""
    with suppress(UnknownEncoding):
        subject = decode_field(_header(_split(content)[0], "Subject"))
    return f"{subject[:60] or '无主题'}.eml"


def manuscripts(content: bytes, name: str, *, limits: Limits | None = None) -> tuple[Piece, ...]:
    """The articles in a letter: its body and its attachments.

    A body that only says that something is attached is left out when the attachment was read.
    Raises InputRefused and Busy.
    """
    message_id = _header(_split(content)[0], "Message-ID")
    pieces = read_pieces(content, name=name, external_id=message_id[:200], limits=limits)
    rest = tuple(piece for piece in pieces if not _is_cover(piece))
    return rest or pieces


def _is_cover(piece: Piece) -> bool:
    short = count_characters(piece.text) <= _COVER_CHARS
    empty = not piece.text.strip()
    return piece.format == "eml" and (empty or (short and _COVER.search(piece.text) is not None))


def _split(content: bytes) -> tuple[bytes, bytes]:
    """The headers of a letter and what follows them."""
    end = _HEAD_END.search(content[:_HEAD_BYTES])
    return (content[: end.start()], content[end.end() :]) if end else (b"", content)


def _header(head: bytes, name: str) -> str:
    """One header as it was sent, bytes beyond UTF-8 as surrogates; "" where there is none."""
    found = re.search(rb"(?im)^%s:[ \t]*(.*(?:\r?\n[ \t].*)*)" % name.encode(), head)
    return found[1].decode("utf-8", "surrogateescape").strip() if found else ""


# The server


@contextmanager
def _talking(account: Account) -> Iterator[None]:
    """Within it, whatever goes wrong on the wire becomes a GaoqianError."""
    where = f"{account.user}@{account.host}:{account.port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Busy(
            f"邮箱服务器的证书不可信（{error.verify_message}）",
            where=where,
            fix="自建的证书请用 mail_ca 指明",
        ) from error
    except (OSError, imaplib.IMAP4.error) as error:
        raise Busy(f"与邮箱服务器的连接出错（{error}）", where=where) from error


@contextmanager
def _mailbox(account: Account) -> Iterator[_Mailbox]:
    connection = _connected(account)
    try:
        _log_in(connection, account)
        yield _Mailbox(connection, account)
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            connection.logout()
        with suppress(OSError):
            connection.shutdown()


def _connected(account: Account) -> imaplib.IMAP4:
    try:
        context = ssl.create_default_context(cafile=account.ca or None)
    except OSError as error:
        raise SettingRefused("读不出证书", where=f"mail_ca = {account.ca}") from error
    if account.security == "tls":
        return imaplib.IMAP4_SSL(account.host, account.port, ssl_context=context, timeout=_TIMEOUT)
    connection = imaplib.IMAP4(account.host, account.port, timeout=_TIMEOUT)
    if account.security == "starttls":
        try:
            connection.starttls(context)
        except BaseException:
            connection.shutdown()
            raise
    return connection


def _log_in(connection: imaplib.IMAP4, account: Account) -> None:
    try:
        if "AUTH=PLAIN" in connection.capabilities:
            # LOGIN takes only ASCII.
            secret = f"\0{account.user}\0{account.password}".encode()
            connection.authenticate("PLAIN", lambda _: secret)
        else:
            connection.login(account.user, account.password)
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, UnicodeEncodeError) as error:
        if _PASSING.search(str(error)):
            raise
        raise NotAllowed(
            f"邮箱不接受这个用户名或密码（{_said(error)}）",
            where=f"{account.user}@{account.host}",
            fix="有的邮箱要用“授权码”代替密码，并先在网页上开通 IMAP",
        ) from error


def _said(error: Exception) -> str:
    """What a server said, without the bytes' quotes that imaplib leaves on."""
    return re.sub(r"^b(['\"])(.*)\1$", r"\2", str(error))


class _Mailbox:
    """One folder of letters, opened for reading and marking."""

    def __init__(self, connection: imaplib.IMAP4, account: Account) -> None:
        self._connection = connection
        where = f"mail_folder = {account.folder}"
        if "ID" in connection.capabilities:
            # 163.com and 126.com show a folder only to clients that say who they are.
            connection.xatom("ID", '("name" "gaoqian")')
        try:
            status, said = connection.select(quoted_folder(account.folder))
        except imaplib.IMAP4.readonly as error:
            raise SettingRefused("这个邮箱文件夹是只读的，收过的信没法标记", where=where) from error
        if status != "OK":
            told = b" ".join(line for line in said if isinstance(line, bytes))
            raise SettingRefused(
                f"打不开这个邮箱文件夹（{told.decode('utf-8', 'replace')}）", where=where
            )
        _, permanent = connection.response("PERMANENTFLAGS")
        self._keywords = any(b"\\*" in (flags or b"") for flags in permanent)

    def unseen(self) -> Sequence[str]:
        """The letters that nobody has opened, oldest first."""
        _, found = self._connection.uid("SEARCH", "UNSEEN")
        return [uid.decode() for line in found if line for uid in line.split()]

    def fetch(self, uid: str, *, most_bytes: int) -> bytes | None:
        """A letter as it was sent, still unseen; None if it is gone.

        Raises TooLarge without fetching it.
        """
        _, sizes = self._connection.uid("FETCH", uid, "(RFC822.SIZE)")
        size = next(
            (found for line in sizes if line and (found := _SIZE.search(_flat(line)))), None
        )
        if size is None:
            return None
        if int(size[1]) > most_bytes:
            raise TooLarge(
                f"信有 {int(size[1]) / _MIB:.1f} MB，上限是 {most_bytes / _MIB:g} MB",
                where=letter_name(self._part(uid, "HEADER") or b""),
                fix="请发件人去掉图片或拆成几封",
            )
        return self._part(uid, "")

    def _part(self, uid: str, part: str) -> bytes | None:
        _, answer = self._connection.uid("FETCH", uid, f"(BODY.PEEK[{part}])")
        return next((line[1] for line in answer if isinstance(line, tuple)), None)

    def mark(self, uid: str, *flags: str) -> None:
        """Set flags; keywords only where the server keeps them."""
        kept = [flag for flag in flags if self._keywords or flag.startswith("\\")]
        status, _ = self._connection.uid("STORE", uid, "+FLAGS", f"({' '.join(kept)})")
        if status != "OK":
            raise imaplib.IMAP4.error(f"STORE: {status}")


def _flat(line: bytes | tuple[bytes, bytes]) -> bytes:
    return line if isinstance(line, bytes) else b" ".join(line)


def quoted_folder(name: str) -> str:
    """A folder's name as IMAP wants it: modified UTF-7, in quotes.

    >>> quoted_folder("INBOX"), quoted_folder("投稿 & 来信")
    ('"INBOX"', '"&YpV6Pw- &- &Z2VP4Q-"')
    """

    def shifted(run: re.Match[str]) -> str:
        letters = base64.b64encode(run[0].encode("utf-16-be")).decode().rstrip("=")
        return f"&{letters.replace('/', ',')}-"

    coded = re.sub(r"[^\x20-\x7e]+", shifted, name.replace("&", "&-"))
    return '"' + coded.replace("\\", "\\\\").replace('"', '\\"') + '"'
