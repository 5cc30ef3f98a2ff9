"""The watched folder: files come in once, move on, and say what became of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from intake_desk import Desk

from classifier.errors import Busy, GaoqianError, SettingRefused, UnreadableFile
from service.store import open_store
from service.store.records import Query
from service.watch import Look, WatchedFolder

SETTLE = 3.0


class Bench:
    """A folder under watch with a clock that only the test moves."""

    def __init__(self, path: Path) -> None:
        self.path, self.told, self.time = path, [""], 0.0
        self.desk = Desk(note="：环境（自动定题）")
        path.mkdir(exist_ok=True)
        self.watched = self.opened()

    def opened(self) -> WatchedFolder:
        """One more watcher of the same folder."""
        return WatchedFolder(
            self.path,
            self.desk,
            settle=SETTLE,
            most_bytes=1000,
            clock=lambda: self.time,
            now=lambda: datetime(2026, 11, 23, 22, 15, tzinfo=UTC),
            tell=self.told.append,
        )

    def look(self, after: float = 0.0) -> Look:
        """One look, `after` seconds."""
        self.time += after
        return self.watched.look()

    def settle(self) -> Look:
        """Look until what lies there has settled."""
        self.look()
        return self.look(after=SETTLE)

    def names(self, bin: str = "") -> set[str]:
        """What lies in the folder, or in done or failed."""
        return {entry.name for entry in (self.path / bin).iterdir()} - {"done", "failed"}

    def note(self, bin: str, name: str) -> str:
        """The note beside a file."""
        return (self.path / bin / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A folder under watch."""
    bench = Bench(tmp_path / "来稿")
    with closing(bench.watched):
        yield bench


def test_a_file_moves_to_done_with_a_note_of_what_became_of_it(bench: Bench) -> None:
    """The note tells the moment, the name, the id and the decision."""
    (bench.path / "河长.docx").write_bytes(b"river")

    assert bench.look() == Look(waiting=1)
    assert bench.look(after=SETTLE) == Look(done=1)

    assert bench.names() == set()
    assert (bench.path / "done" / "河长.docx").read_bytes() == b"river"
    (id,) = (key[:6] for key in bench.desk.kept)
    assert bench.note("done", "河长.docx") == (
        f"2026-11-23 22:15:00\n河长.docx\n收下 1 篇：\n{id}　河长.docx：环境（自动定题）\n"
    )


def test_a_refused_file_moves_to_failed_with_the_reason(bench: Bench) -> None:
    """Also one that is too large, which is not even read."""
    bench.desk.trouble = lambda content: UnreadableFile("文件有密码", fix="请去掉密码后重投")
    (bench.path / "a.docx").write_bytes(b"secret")
    (bench.path / "b.pdf").write_bytes(b"x" * 1001)

    assert bench.settle() == Look(failed=2)

    assert bench.note("failed", "a.docx").endswith(
        "没有收下。a.docx：文件有密码。请去掉密码后重投。\n"
    )
    assert "上限是" in bench.note("failed", "b.pdf")
    assert bench.desk.calls == 1


def test_a_file_still_being_copied_is_not_read(bench: Bench) -> None:
    """As long as it grows, or is open for writing, or was just made and is still empty."""
    path = bench.path / "a.txt"
    with path.open("wb") as copy:
        assert bench.settle() == Look(waiting=1)  # empty
        for _ in range(5):
            copy.write(b"half")
            copy.flush()
            assert bench.look(after=SETTLE - 0.1) == Look(waiting=1)
        assert bench.look(after=SETTLE) == Look(waiting=1)  # at rest, but the writer has it open
    assert bench.desk.calls == 0

    assert bench.settle() == Look(done=1)
    assert [content for _, content in bench.desk.kept.values()] == [b"half" * 5]


def test_a_file_that_changes_while_it_is_read_waits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was added between the look and the end of reading is not lost."""
    path = bench.path / "a.txt"
    path.write_bytes(b"one")
    bench.look()
    real = os.fstat

    def growing(fd: int) -> os.stat_result:
        monkeypatch.setattr(os, "fstat", real)
        status = real(fd)
        with path.open("ab") as more:
            more.write(b" two")
        return status

    monkeypatch.setattr("service.watch._has_writer", lambda fd: False)
    monkeypatch.setattr(os, "fstat", growing)
    assert bench.look(after=SETTLE) == Look(waiting=1)

    assert bench.settle() == Look(done=1)
    assert [content for _, content in bench.desk.kept.values()] == [b"one two"]


def test_a_file_replaced_while_it_is_stored_comes_in_again(bench: Bench) -> None:
    """What was read is stored; the new content is not moved away unread."""
    path = bench.path / "a.txt"
    path.write_bytes(b"one")

    def replaced(content: bytes) -> None:
        if content == b"one":
            path.write_bytes(b"two")

    bench.desk.trouble = replaced
    assert bench.settle() == Look(waiting=1)
    assert bench.settle() == Look(done=1)

    assert sorted(content for _, content in bench.desk.kept.values()) == [b"one", b"two"]
    assert bench.names("done") == {"a.txt", "a.txt.txt"}


def test_unfinished_and_hidden_files_are_left_alone(bench: Bench) -> None:
    """What office programs, browsers and systems leave lying is no manuscript."""
    left = {
        ".a.docx",
        "~$a.docx",
        "a.docx.part",
        "A.PDF.CRDOWNLOAD",
        "a.tmp",
        "a.txt~",
        "Thumbs.db",
    }
    for name in left:
        (bench.path / name).write_bytes(b"x")
    (bench.path / "folder").mkdir()
    os.mkfifo(bench.path / "pipe.txt")

    assert bench.settle() == Look()
    assert bench.names() == left | {"folder", "pipe.txt"}


def test_links_are_not_followed(bench: Bench, tmp_path: Path) -> None:
    """A link in the folder stays where it is, and what it leads to is not read."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    (bench.path / "link.txt").symlink_to(secret)

    assert bench.settle() == Look()
    assert bench.desk.calls == 0
    assert secret.read_bytes() == b"secret"


def test_a_file_that_turns_into_a_link_is_not_read(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even between the look at the folder and the opening."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    path = bench.path / "a.txt"
    path.write_bytes(b"mine")
    bench.look()
    real = os.open

    def swapped(name: str, *rest: int, **more: int) -> int:
        if name == "a.txt":
            path.unlink()
            path.symlink_to(secret)
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", swapped)
    assert bench.look(after=SETTLE).done == 0
    assert bench.desk.calls == 0


@pytest.mark.parametrize("kind", ["link", "file"])
def test_done_must_be_a_real_folder(tmp_path: Path, kind: str) -> None:
    """Otherwise manuscripts would be moved elsewhere."""
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    done = tmp_path / "in" / "done"
    done.symlink_to(tmp_path / "out") if kind == "link" else done.write_bytes(b"")

    with pytest.raises(SettingRefused, match="真正的文件夹"):
        Bench(tmp_path / "in")


def test_only_one_watcher_holds_a_folder(bench: Bench) -> None:
    """The second is told so; when the first has gone, it may."""
    with pytest.raises(SettingRefused, match="另一个"):
        bench.opened()
    bench.watched.close()
    bench.watched = bench.opened()


def test_names_that_are_taken_in_done_get_a_number(bench: Bench) -> None:
    """Neither a file nor a note is ever overwritten, whatever a file is called."""
    for content in (b"1", b"2", b"3"):
        (bench.path / "稿.txt").write_bytes(content)
        assert bench.settle() == Look(done=1)
    (bench.path / "稿.txt.txt").write_bytes(b"4")
    assert bench.settle() == Look(done=1)

    names = {"稿.txt", "稿 (2).txt", "稿 (3).txt", "稿.txt (2).txt"}
    assert bench.names("done") == names | {f"{name}.txt" for name in names}
    contents = {(bench.path / "done" / name).read_bytes() for name in names}
    assert contents == {b"1", b"2", b"3", b"4"}


@pytest.mark.parametrize(
    "name",
    [("稿" * 83 + ".docx").encode(), b"x" * 255, "投稿.txt".encode("gb18030"), b"a\nb.txt", b"-rf"],
    ids=["long", "longest", "gb18030", "newline", "dash"],
)
def test_any_name_that_a_disk_allows_is_taken(bench: Bench, name: bytes) -> None:
    """Up to 255 bytes, in any encoding; content and note are there."""
    (bench.path / os.fsdecode(name)).write_bytes(b"river")

    assert bench.settle() == Look(done=1)

    assert len(bench.names("done")) == 2
    assert [content for _, content in bench.desk.kept.values()] == [b"river"]


def test_the_same_content_is_stored_once(bench: Bench) -> None:
    """Under another name, or laid in again, it goes to done and its note says so."""
    (bench.path / "a.txt").write_bytes(b"river")
    (bench.path / "b.txt").write_bytes(b"river")

    assert bench.settle() == Look(done=2)

    assert len(bench.desk.kept) == 1
    notes = [bench.note("done", name) for name in ("a.txt", "b.txt")]
    assert sorted("没有重复入库" in note for note in notes) == [False, True]


def test_a_busy_store_leaves_the_file_and_is_asked_less_and_less_often(bench: Bench) -> None:
    """Pauses double; once the store answers, the file comes in and the pause is forgotten."""
    (bench.path / "a.txt").write_bytes(b"river")
    troubles: list[GaoqianError | OSError] = [
        Busy("数据库正忙"),
        OSError(28, "disk full"),
        Busy("忙"),
    ]
    bench.desk.trouble = lambda content: troubles.pop(0) if troubles else None

    assert bench.settle().put_off
    assert bench.look(after=0.9).put_off == "稍后再试"
    assert bench.look(after=0.2).put_off
    assert bench.look(after=1.9).put_off == "稍后再试"
    assert bench.look(after=0.2).put_off
    assert bench.desk.calls == 3
    assert bench.names() == {"a.txt"}

    assert bench.look(after=4.1) == Look(done=1)
    assert "留在原处" in bench.told[1]


def test_a_file_that_makes_the_program_fail_is_put_aside_at_the_third_try(bench: Bench) -> None:
    """It does not stand in the way of the others, and is not lost."""
    bench.desk.trouble = lambda content: ZeroDivisionError() if content == b"bad" else None
    (bench.path / "bad.txt").write_bytes(b"bad")
    (bench.path / "good.txt").write_bytes(b"good")

    looks = [bench.settle() for _ in range(3)]

    assert sum(look.done for look in looks) == 1
    assert sum(look.failed for look in looks) == 1
    assert "请报告技术员" in bench.note("failed", "bad.txt")


@pytest.mark.parametrize("step", range(8))
def test_a_crash_at_any_step_of_a_move_loses_and_doubles_nothing(tmp_path: Path, step: int) -> None:
    """A process that dies at its n-th change of the disk leaves what the next one can finish."""
    bench = Bench(tmp_path / "in")
    store = tmp_path / "store"
    for name in ("a.txt", "b.txt"):
        (bench.path / name).write_bytes(name.encode())
    bench.watched.close()
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(real: Callable[..., object]) -> Callable[..., object]:
            def act(*args: object, **named: object) -> object:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*args, **named)

            return act

        desk = bench.desk

        def keep(content: bytes) -> None:
            with store.open("ab") as file:
                file.write(content + b"\n")

        desk.trouble = dying(keep)  # type: ignore[assignment]
        bench.watched = bench.opened()
        os.rename, os.fsync = dying(os.rename), dying(os.fsync)  # type: ignore[assignment]
        bench.settle()
        os._exit(0)
    os.waitpid(child, 0)

    kept = store.read_bytes().split() if store.exists() else []
    bench.watched = bench.opened()
    with closing(bench.watched):
        bench.settle()

    again = [content for _, content in bench.desk.kept.values()]
    assert {*kept, *again} == {b"a.txt", b"b.txt"}
    assert bench.names() == set()
    assert bench.names("done") == {"a.txt", "a.txt.txt", "b.txt", "b.txt.txt"}
    assert all("收" in bench.note("done", name) for name in ("a.txt", "b.txt"))


def command(folder: Path, home: Path, *more: str) -> subprocess.Popen[bytes]:
    """`gaoqian watch` on its own database, without a model, in its own process."""
    environment = {
        "PATH": os.environ["PATH"],
        "GAOQIAN_DATABASE": str(home / "store.db"),
        "GAOQIAN_MODELS": str(home / "models"),
        "GAOQIAN_SETTLE_SECONDS": "0.1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "watch", str(folder), *more],
        env=environment,
        cwd=Path(__file__).parents[1],
        stderr=subprocess.PIPE,
    )


def test_the_real_command_survives_being_killed_at_any_moment(tmp_path: Path) -> None:
    """Killed over and over among 60 files, in the end each is stored once and lies in done."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        encoding = "gb18030" if number % 2 else "utf-8"
        text = f"第{number}号来稿\n\n　　六月二十日，河长在岸边清点垃圾{number}斤。\n"
        (folder / f"{number}.txt").write_text(text, encoding=encoding)
    chance = random.Random(7)
    kills = 0
    for _ in range(5):
        child = command(folder, tmp_path)
        assert child.stderr is not None
        for _ in range(chance.randint(2, 12)):
            child.stderr.readline()
        time.sleep(chance.random() / 50)
        kills += child.poll() is None
        child.kill()
        child.wait()
        child.stderr.close()

    child = command(folder, tmp_path, "--once")
    _, said = child.communicate(timeout=300)

    assert child.returncode == 0, said.decode()
    assert kills == 5
    assert {entry.name for entry in folder.iterdir()} == {"done", "failed"}
    files = {f"{number}.txt" for number in range(60)}
    done = {entry.name for entry in (folder / "done").iterdir()}
    assert done == files | {f"{name}.txt" for name in files}
    with closing(open_store(str(tmp_path / "store.db"), clock=lambda: datetime.now(UTC))) as store:
        stored = [one.name for one in store.submissions.each(Query(with_twins=True))]
    assert sorted(stored) == sorted(files)


def test_the_command_ends_with_the_file_in_hand_and_says_what_failed(tmp_path: Path) -> None:
    """SIGTERM ends it in good order; --once leaves with 1 when a file failed."""
    folder = tmp_path / "in"
    folder.mkdir()
    child = command(folder, tmp_path)
    assert child.stderr is not None
    while "在看" not in child.stderr.readline().decode():
        pass
    child.terminate()
    assert child.wait(timeout=60) == 0
    child.stderr.close()

    (folder / "bad.docx").write_bytes(b"PK\x03\x04 no docx")
    once = command(folder, tmp_path, "--once")
    _, said = once.communicate(timeout=60)
    assert once.returncode == 1
    assert "没有收下 1 个" in said.decode()
    assert (folder / "failed" / "bad.docx.txt").is_file()

    nowhere = command(tmp_path / "nowhere", tmp_path)
    _, said = nowhere.communicate(timeout=60)
    assert nowhere.returncode == 1
    assert "没有这个文件夹" in said.decode()
