"""What the store does when processes die, disks fill up, and databases go away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import Server
from made_submissions import new
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from classifier.errors import Busy, ExtraMissing, GaoqianError, SettingRefused, StorageFull
from service.store import Store, database, open_store
from service.store.database import Database
from service.store.records import Action, KeyUse, Order, Query
from service.store.tables import metadata

EVERYTHING = Query(with_twins=True, order=Order.OLDEST)
FOLDERS = os.pathsep.join(str(path) for path in (Path(__file__).parent, Path(__file__).parents[1]))

_WRITER = """
import sys
from made_submissions import new
from service.store import open_store
from service.store.records import KeyUse
store = open_store(sys.argv[1])
for number in range(int(sys.argv[2]), 10_000):
    added = store.submissions.add(
        [new(f"{number} {part}", original=b"%d" % number) for part in range(3)],
        key=KeyUse("cms", str(number), str(number)),
    )
    print(number, added.reply.body.replace(" ", ""), flush=True)
"""

_MIGRATOR = """
import os, signal, sys
from sqlalchemy import Engine, event
from service.store import open_store
left = [int(sys.argv[2])]
@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1])
print("done")
"""


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": FOLDERS},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_writer_loses_and_doubles_nothing(store: Store, store_url: str) -> None:
    """Four times a process that stores is killed in the middle of it: every submission that it
    acknowledged is there, none twice, none in part; all sent again leaves each one once."""
    chance = random.Random(20261124)
    acknowledged: dict[int, str] = {}
    for _ in range(4):
        writer = child(_WRITER, store_url, str(len(acknowledged)))
        assert writer.stdout is not None
        for _ in range(chance.randrange(5, 25)):
            number, ids = writer.stdout.readline().split()
            acknowledged[int(number)] = ids
        writer.send_signal(signal.SIGKILL)
        # What was still in the pipe when it died was acknowledged as well.
        for line in writer.stdout.read().splitlines(keepends=True):
            if line.endswith("]\n"):
                number, ids = line.split()
                acknowledged[int(number)] = ids
        writer.wait()
        writer.stdout.close()

        texts = [one.text for one in store.submissions.each(EVERYTHING)]
        assert len(texts) == len(set(texts))
        assert len(texts) % 3 == 0
        assert {f"{number} {part}" for number in acknowledged for part in range(3)} <= {*texts}

    for number in range(len(acknowledged) + 3):
        added = store.submissions.add(
            [new(f"{number} {part}") for part in range(3)],
            key=KeyUse("cms", str(number), str(number)),
        )
        if number in acknowledged:
            assert added.replayed
            assert added.reply is not None
            assert added.reply.body.replace(" ", "") == acknowledged[number]
    stored = list(store.submissions.each(EVERYTHING))
    assert len(stored) == 3 * (len(acknowledged) + 3)
    assert len({one.text for one in stored}) == len(stored)
    assert all(one.tagging is not None for one in stored)
    assert len(store.events.after(0, limit=10_000)) == len(stored)
    with store._database.reading() as connection:
        if not store._database.on_postgresql:
            assert connection.execute(text("PRAGMA integrity_check")).scalars().all() == ["ok"]
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_killed_anywhere_can_be_run_again(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Killed at any of several statements the migration leaves all or nothing behind."""
    url = str(tmp_path / "killed.db")
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    for at in (4, 12, 25, 40):
        migrator = child(_MIGRATOR, url, str(at))
        assert migrator.communicate()[0] == ""
        assert migrator.returncode == -signal.SIGKILL
    store = open_store(url)
    assert store.submissions.add([new("甲")]).submissions
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_migrations_make_the_tables_that_the_code_knows(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Tables, columns, types, indexes and keys after the last migration are those of tables.py."""
    url = str(tmp_path / "new.db")
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with closing(open_store(url)) as store:
        assert _differences(store) == []


def _differences(store: Store) -> Any:
    def differs(context: Any, _: object, __: object, made: Any, known: Any) -> bool:
        return bool(made.compile(context.dialect) != known.compile(context.dialect))

    def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
        return not (kind == "table" and str(name).startswith("search_grams"))

    with store._database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": differs, "include_object": ours}
        )
        return compare_metadata(context, metadata)


def test_processes_that_start_together_migrate_once(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Six that open a new database at once all find their tables."""
    for url in (str(tmp_path / "new.db"), request.getfixturevalue("postgres_url")):
        started, failures = threading.Barrier(6), []

        def start(
            url: str = url, started: threading.Barrier = started, failures: list[Any] = failures
        ) -> None:
            started.wait()
            try:
                store = open_store(url)
                store.submissions.states()
                store.close()
            except GaoqianError as error:
                failures.append(error)

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_tables_of_a_newer_program_are_refused(store: Store, store_url: str) -> None:
    """A store whose tables are newer than the program is not opened, and not touched."""
    with store._database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingRefused, match="9999"):
        open_store(store_url)


def test_a_full_disk_is_said_and_got_over(tmp_path: Path) -> None:
    """On a full disk storing raises StorageFull and leaves nothing; reading goes on; with room
    again the same request is stored."""
    store = open_store(str(tmp_path / "full.db"))
    (kept,) = store.submissions.add([new("甲")]).submissions
    room = [200]

    @event.listens_for(store._database.engine, "checkout")
    def limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={room[0]}")

    key = KeyUse("cms", "k", "d")
    big = [new(f"{number} " + "长" * 30_000) for number in range(20)]
    with pytest.raises(StorageFull):
        store.submissions.add(big, key=key)
    assert [one.id for one in store.submissions.each(EVERYTHING)] == [kept.id]
    assert store.submissions.reply_to(key) is None
    room[0] = 1_000_000
    assert len(store.submissions.add(big, key=key).submissions) == 20
    store.close()


@pytest.mark.parametrize(
    ("state", "error"),
    [("53100", StorageFull), ("53300", Busy), ("57014", Busy), ("40001", Busy), ("08006", Busy)],
)
def test_postgresql_errors_mean_what_they_say(
    postgres_url: str, state: str, error: type[GaoqianError]
) -> None:
    """Errors that a server raises become the refusal that fits them."""
    opened = Database(postgres_url)
    with pytest.raises(error), opened.writing() as connection:
        connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"))
    opened.close()


def test_a_mistake_of_ours_is_not_called_busy(store: Store) -> None:
    """A statement that makes no sense comes out as the error it is."""
    with pytest.raises(DBAPIError, match="no_such_table"), store._database.writing() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))


def test_waiting_for_a_writer_ends_in_busy(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody holds the tables, writing is refused after the time set; then it works.

    On SQLite reading goes on meanwhile.
    """
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    store = open_store(store_url)
    (one,) = store.submissions.add([new("甲")]).submissions
    with store._database.engine.connect() as holder:
        if store._database.on_postgresql:
            holder.execute(text("LOCK TABLE submissions"))
        else:
            holder.exec_driver_sql("ROLLBACK")
            holder.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match="1 秒"):
            store.reviews.review(one.id, Action.NONE, by="li")
        if not store._database.on_postgresql:
            assert store.submissions.get(one.id).version == 1
        holder.exec_driver_sql("ROLLBACK")
    assert store.reviews.review(one.id, Action.NONE, by="li").version == 2
    store.close()


def test_threads_that_write_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite the second says Busy after the time set, and neither is in doubt of its own."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    store = open_store(str(tmp_path / "store.db"))
    refused: list[Busy] = []

    def write() -> None:
        try:
            store.submissions.add([new("乙")])
        except Busy as refusal:
            refused.append(refusal)

    with store._database.writing():
        second = threading.Thread(target=write)
        second.start()
        second.join(timeout=60)
    assert [refusal.slug for refusal in refused] == ["busy"]
    write()
    assert len(refused) == 1
    assert store.submissions.count(Query()) == 1
    store.close()


def test_a_child_forked_while_somebody_writes_has_its_own_turn(tmp_path: Path) -> None:
    """Else the child would wait for a thread that it does not have."""
    store = open_store(str(tmp_path / "store.db"))
    assert store._database._turn.acquire()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            store.submissions.add([new("丙")])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    store._database._turn.release()
    assert store.submissions.count(Query()) == 1
    store.close()


def test_a_server_that_was_away_is_found_again(
    postgresql_server: Server, postgres_url: str
) -> None:
    """While PostgreSQL is down every call says Busy; when it is back the same store works."""
    store = open_store(postgres_url)
    store.submissions.add([new("甲")])
    postgresql_server.stop()
    try:
        calls: list[Callable[[], object]] = [
            store.ping,
            lambda: store.submissions.add([new("乙")]),
            lambda: store.submissions.page(Query()),
            lambda: open_store(postgres_url),
        ]
        for call in calls:
            with pytest.raises(Busy):
                call()
    finally:
        postgresql_server.start()
    store.ping()
    store.submissions.add([new("乙")])
    assert store.submissions.count(EVERYTHING) == 2
    store.close()


def test_a_forked_process_has_connections_of_its_own(store: Store) -> None:
    """A child of a process with an open store stores and reads; the parent goes on."""
    store.submissions.add([new("甲")])
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            store.submissions.add([new("乙")])
            status = 0 if store.submissions.count(EVERYTHING) == 2 else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    store.submissions.add([new("丙")])
    assert {one.text for one in store.submissions.each(EVERYTHING)} == {"甲", "乙", "丙"}


def test_sqlite_answers_only_after_the_disk(tmp_path: Path) -> None:
    """Every connection is in WAL mode, synchronous FULL, with foreign keys; the file is private."""
    path = tmp_path / "folder" / "store.db"
    store = open_store(str(path))
    with store._database.reading() as connection:
        told = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert told == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000,
    }  # fmt: skip
    assert path.stat().st_mode & 0o077 == 0
    store.close()


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    """A file that is no database, or whose pages were overwritten, is named as damaged."""
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database at all" * 500)
    with pytest.raises(Busy, match="损坏"):
        open_store(str(path))


@pytest.mark.parametrize("url", ["mysql://a/b", "sqlite://", "sqlite:///:memory:", "://", "x://y"])
def test_addresses_that_make_no_sense_are_refused(url: str) -> None:
    """What is neither a SQLite file nor PostgreSQL is refused, with what it may be."""
    with pytest.raises(SettingRefused) as caught:
        open_store(url)
    assert "postgresql://" in caught.value.fix


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A path whose parent is a file is refused with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingRefused) as caught:
        open_store(str(tmp_path / "file" / "store.db"))
    assert "store.db" in caught.value.where


def test_without_its_driver_postgresql_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where psycopg is not installed the refusal names the extra."""
    monkeypatch.setattr(database, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"gaoqian\[postgres\]"):
        open_store("postgresql://localhost/gaoqian")


def test_passwords_of_databases_are_not_told(postgres_url: str) -> None:
    """A refusal that names the database's address leaves out its password."""
    address = postgres_url.replace("test@", "test:s3cret@").replace("/t", "/nothing")
    with pytest.raises(Busy) as caught:
        open_store(address)
    assert "s3cret" not in str(caught.value)
    assert "does not exist" in caught.value.what


def test_a_store_opened_by_alembic_tools_alike(tmp_path: Path) -> None:
    """A plain engine sees the version that the migrations wrote."""
    open_store(str(tmp_path / "store.db")).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0001"
    engine.dispose()
