"""A folder that is watched: what is laid into it comes in, and moves on with a note beside it.

A file is first stored and then moved, and stored under the digest of its content; so a crash
between the two, or at any other moment, loses nothing and doubles nothing. All names are looked
up in directories that were opened at the start, never along a path, and links are not followed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Literal

from classifier.errors import GaoqianError, InputRefused, SettingRefused, TooLarge
from service.arrival import Receive, Received
from service.intake.encoding import read_name

Clock = Callable[[], float]  # seconds, monotonic
Bin = Literal["done", "failed"]

_LOG = logging.getLogger(__name__)
_MIB = 1024 * 1024
_NAME_BYTES = 255 - len("..note")
_UNFINISHED = (
    ".part .partial .filepart .crdownload .download .tmp .temp .swp ~ .!ut".split(" ")  # noqa: SIM905
)
_NO_MANUSCRIPTS = frozenset(("thumbs.db", "desktop.ini"))
_EMPTY_FACTOR = 10  # an empty file waits longer: its writer may only have opened it
_TRIES = 3  # before a file that makes the program fail is put aside
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the folder came to."""

    done: int = 0
    failed: int = 0
    waiting: int = 0  # still being written, or put off
    put_off: str = ""  # why the store would not take anything just now


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it stood at one look; equal while nobody touches it."""

    device: int
    inode: int
    size: int
    modified: int  # nanoseconds
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Seen:
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


class _StillWritten(Exception):
    """A file changed while it was read, or somebody has it open for writing."""


class _Unreadable(Exception):
    """The disk does not give a file's bytes."""


class WatchedFolder:
    """One folder with its done/ and failed/; only one process may have it open.

    `settle` is how many seconds a file must lie untouched; `tell` gets a sentence in Chinese for
    all that happens. Raises SettingRefused for a folder that cannot be watched.
    """

    def __init__(
        self,
        path: Path,
        receive: Receive,
        *,
        settle: float,
        most_bytes: int,
        clock: Clock,
        now: Callable[[], datetime],
        tell: Callable[[str], None],
    ) -> None:
        self._path = path
        self._receive = receive
        self._settle = settle
        self._most_bytes = most_bytes
        self._clock = clock
        self._now = now
        self._tell = tell
        self._since: dict[str, tuple[_Seen, float]] = {}
        self._tries: dict[tuple[str, _Seen], int] = {}
        self._pause = 0.0
        self._paused_until = 0.0
        self._open: list[int] = []
        try:
            self._folder = self._opened(path)
            self._hold()
            self._bins: dict[Bin, int] = {"done": self._bin("done"), "failed": self._bin("failed")}
            for bin in self._bins.values():
                _finish_notes(bin)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folder."""
        while self._open:
            os.close(self._open.pop())

    def look(self) -> Look:
        """Take every file that has settled; returns when each is stored and moved, or waits."""
        if self._clock() < self._paused_until:
            return Look(waiting=len(self._since), put_off="稍后再试")
        counts: dict[Bin, int] = {"done": 0, "failed": 0}
        files = dict(self._files())
        self._since = {name: since for name, since in self._since.items() if name in files}
        for name, seen in files.items():
            if not self._has_settled(name, seen):
                continue
            try:
                with suppress(_StillWritten, FileNotFoundError):
                    counts[self._take(name, seen)] += 1
                    continue
            except (GaoqianError, OSError) as error:
                return self._put_off(error, counts)
            self._since.pop(name, None)
        self._pause = 0.0
        taken = counts["done"] + counts["failed"]
        return Look(counts["done"], counts["failed"], len(files) - taken)

    def _put_off(self, error: Exception, counts: dict[Bin, int]) -> Look:
        """Nothing is wrong with the file; the store, the disk or the machine will not have it."""
        self._pause = min(_LONGEST_PAUSE, max(1.0, self._pause * 2))
        self._paused_until = self._clock() + self._pause
        self._tell(f"{error}文件留在原处，{self._pause:g} 秒后再试。")
        return Look(counts["done"], counts["failed"], len(self._since), str(error))

    # The folder

    def _opened(self, path: Path) -> int:
        try:
            # Its own path may lead over links; what lies in it may not lead out.
            fd = os.open(path.resolve(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise SettingRefused(
                "没有这个文件夹", where=str(path), fix="请先建好，再运行 gaoqian watch"
            ) from None
        except PermissionError:
            raise SettingRefused("没有读取这个文件夹的权限", where=str(path)) from None
        self._open.append(fd)
        return fd

    def _hold(self) -> None:
        """Keep a second watcher out; on file systems without locks this does nothing."""
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingRefused(
                "已有另一个 gaoqian watch 在看这个文件夹",
                where=str(self._path),
                fix="请先停掉那一个",
            ) from None
        except OSError as error:
            _LOG.info("no lock on %s: %s", self._path, error)

    def _bin(self, name: Bin) -> int:
        where = str(self._path / name)
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o770, dir_fd=self._folder)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(name, flags, dir_fd=self._folder)
        except PermissionError:
            raise SettingRefused("没有写这个文件夹的权限", where=str(self._path)) from None
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise SettingRefused(
                "应是一个真正的文件夹，不能是文件或链接", where=where, fix="请把它移走"
            ) from None
        self._open.append(fd)
        if os.fstat(fd).st_dev != os.fstat(self._folder).st_dev:
            raise SettingRefused(
                "与所看的文件夹不在同一个磁盘上，移动文件时会断成两份",
                where=where,
                fix="请移到一起",
            )
        return fd

    def _files(self) -> Iterator[tuple[str, _Seen]]:
        """The files that may be manuscripts, oldest first, with what they look like."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not _is_passed_over(entry.name) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        status = os.stat(entry.name, dir_fd=self._folder, follow_symlinks=False)
                        found.append((status.st_mtime_ns, entry.name, _Seen.of(status)))
        for _, name, seen in sorted(found, key=lambda one: one[:2]):
            yield name, seen

    def _has_settled(self, name: str, seen: _Seen) -> bool:
        before, since = self._since.get(name, (None, 0.0))
        if before != seen:
            since = self._clock()
            self._since[name] = (seen, since)
        return self._clock() - since >= self._settle * (1 if seen.size else _EMPTY_FACTOR)

    # One file

    def _take(self, name: str, seen: _Seen) -> Bin:
        """Store one file and move it; or move it with the reason why it is refused."""
        shown = read_name(name)
        try:
            content = self._content(name, seen)
            key = hashlib.sha256(content).hexdigest()
            received = self._receive(content, name=shown, key=key)
        except InputRefused as refusal:
            refusal.where = refusal.where or shown
            return self._move(name, seen, "failed", f"没有收下。{refusal}", tell=str(refusal))
        except (GaoqianError, OSError, _StillWritten):
            raise
        except _Unreadable as error:
            return self._put_aside(name, seen, f"从磁盘上读不出来（{error}）")
        except Exception as error:
            _LOG.exception("cannot take %s", shown)
            fault = f"程序处理时出错（{type(error).__name__}），请报告技术员"
            return self._put_aside(name, seen, fault)
        account = _account(received)
        return self._move(name, seen, "done", account, tell=f"{shown}：{account}")

    def _put_aside(self, name: str, seen: _Seen, fault: str) -> Bin:
        """What is wrong may pass; after a few tries the file is moved out of the others' way."""
        tries = self._tries[name, seen] = self._tries.get((name, seen), 0) + 1
        if tries < _TRIES:
            raise _StillWritten
        sentence = f"没有收下。{read_name(name)}：{fault}。"
        return self._move(name, seen, "failed", sentence, tell=sentence)

    def _content(self, name: str, seen: _Seen) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, dir_fd=self._folder)
        except PermissionError:
            raise InputRefused("没有读取这个文件的权限", fix="请改好权限后重投") from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):  # it has become a link or a pipe
                raise _StillWritten from None
            raise
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if _Seen.of(status) != seen or not stat.S_ISREG(status.st_mode) or _has_writer(fd):
                raise _StillWritten
            if status.st_size > self._most_bytes:
                raise TooLarge(
                    f"文件有 {status.st_size / _MIB:.1f} MB，上限是 {self._most_bytes / _MIB:g} MB",
                    fix="请去掉图片或拆成几份再投",
                )
            try:
                content = file.read(self._most_bytes + 1)
            except OSError as error:
                raise _Unreadable(error.strerror) from error
            if _Seen.of(os.fstat(fd)) != seen or len(content) != seen.size:
                raise _StillWritten
        return content

    def _move(self, name: str, seen: _Seen, bin: Bin, sentence: str, *, tell: str) -> Bin:
        """Move a file and lay the note beside it; either both are there, or `_finish_notes` helps."""
        fd = self._bins[bin]
        target = _free_name(fd, name)
        draft = f".{target}.note"
        _write(fd, draft, f"{self._now():%Y-%m-%d %H:%M:%S}\n{read_name(name)}\n{sentence}\n")
        try:
            now = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            if _Seen.of(now) != seen:
                raise _StillWritten  # what was read is stored; what it has become comes in next
            os.rename(name, target, src_dir_fd=self._folder, dst_dir_fd=fd)
        except BaseException:
            os.unlink(draft, dir_fd=fd)
            raise
        os.rename(draft, f"{target}.txt", src_dir_fd=fd, dst_dir_fd=fd)
        self._since.pop(name, None)
        self._tries.pop((name, seen), None)
        self._tell(tell)
        return bin


def _account(received: Received) -> str:
    """What the note says of a file that was taken."""
    if received.again:
        head = "同样的内容以前收过，没有重复入库；编号和现状："
    else:
        head = f"收下 {len(received.ids)} 篇："
    return "\n".join((head, *received.lines))


def _is_passed_over(name: str) -> bool:
    folded = name.lower()
    return (
        folded.startswith((".", "~$"))
        or folded.endswith(tuple(_UNFINISHED))
        or folded in _NO_MANUSCRIPTS
    )


def _has_writer(fd: int) -> bool:
    """Whether somebody has the file open for writing, where the kernel can tell."""
    try:
        # A lease that is broken sends a signal, by default a deadly one.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _free_name(fd: int, name: str) -> str:
    """`name`, or `name (2)` …, such that neither it nor its note is there yet."""
    suffix = PurePath(name).suffix
    stem = name.removesuffix(suffix) if len(os.fsencode(suffix)) <= 16 else name
    suffix = name.removeprefix(stem)
    number = 1
    while True:
        ending = suffix if number == 1 else f" ({number}){suffix}"
        candidate = _shortened(stem, _NAME_BYTES - len(os.fsencode(ending))) + ending
        if not any(_exists(fd, taken) for taken in (candidate, f"{candidate}.txt")):
            return candidate
        number += 1


def _shortened(stem: str, most: int) -> str:
    """A name cut to so many bytes, between characters."""
    while len(os.fsencode(stem)) > most:
        stem = stem[:-1]
    return stem


def _exists(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write(fd: int, name: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o660, dir_fd=fd), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _finish_notes(fd: int) -> None:
    """After a crash: a note whose file was moved gets its name; one whose file was not, goes."""
    for draft in os.listdir(fd):
        if not (draft.startswith(".") and draft.endswith(".note")):
            continue
        target = draft[1:].removesuffix(".note")
        if _exists(fd, target) and not _exists(fd, f"{target}.txt"):
            os.rename(draft, f"{target}.txt", src_dir_fd=fd, dst_dir_fd=fd)
        else:
            os.unlink(draft, dir_fd=fd)
