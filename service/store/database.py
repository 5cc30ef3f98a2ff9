"""One database, SQLite or PostgreSQL: connections, transactions, and what their failures mean.

SQLite writes under BEGIN IMMEDIATE (a deferred transaction that reads first and then wants to
write fails at once when another writes), in WAL mode, and answers only after the disk has. Those
who want to write take turns: SQLite's own waiting sleeps the longer the longer one has waited, so
that of many some would wait for seconds while others come and go.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from classifier.errors import Busy, ExtraMissing, GaoqianError, SettingRefused, StorageFull

BUSY_SECONDS = 5
"""How long a transaction waits for another before it says Busy."""

_ATTEMPTS = 8
_WRITES = "gaoqian_writes"
_ALONE = 0x6761_6F71  # any number of our own: advisory locks are one space per database
_TURNS = 64  # a server keeps room for as many locks for each transaction

_NO_ROOM = {"53100"}
_WAITED = {"55P03", "57014"}
_AWAY = {"08", "53", "55", "57"}
_RACES = {"40001", "40P01", "23505"}  # serialisation, deadlock, unique
_SQLITE_RACES = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}

Work = TypeVar("Work")


class Raced(Busy):
    """Another transaction was quicker; the same work done again will see what it did."""


class Database:
    """Connections to one database, and transactions on them."""

    def __init__(self, url: str) -> None:
        self.url = read_url(url)
        self.on_postgresql = self.url.get_backend_name() == "postgresql"
        self.engine = _postgresql(self.url) if self.on_postgresql else _sqlite(self.url)
        self._turn = threading.Lock()
        part_at_fork(self)

    @property
    def address(self) -> str:
        """Where it is, for the technician, without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite the only one at its time."""
        with self._own_turn(), told(), self.engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """On SQLite, one thread of this process at a time."""
        if self.on_postgresql:
            yield
        elif self._turn.acquire(timeout=BUSY_SECONDS):
            try:
                yield
            finally:
                self._turn.release()
        else:
            raise _busy()

    def write(self, work: Callable[[Connection], Work]) -> Work:
        """Do `work` in one writing transaction, again where another was quicker."""
        for attempt in range(1, _ATTEMPTS):
            try:
                with self.writing() as connection:
                    return work(connection)
            except Raced:
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311
        with self.writing() as connection:
            return work(connection)

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT."""
        return postgresql.insert(table) if self.on_postgresql else sqlite.insert(table)

    def alone(self, connection: Connection) -> None:
        """Keep all others who ask for this out until the transaction ends.

        On SQLite a writing transaction is alone from its start.
        """
        if self.on_postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ALONE})

    def in_turn(self, connection: Connection, names: Iterable[str]) -> None:
        """Keep others who ask for one of these names out until the transaction ends.

        Ask for it first: all take what they need in one order, so that nobody waits in a circle.
        """
        if self.on_postgresql:
            turns = {zlib.crc32(name.encode()) % _TURNS for name in names}
            for turn in sorted(turns):
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:alone, :turn)"),
                    {"alone": _ALONE, "turn": turn},
                )

    def close(self) -> None:
        """End all connections."""
        self.engine.dispose()

    def part(self, *, close: bool) -> None:
        """Let go of all connections around a fork; in the child, where none is closed, of turns."""
        self.engine.dispose(close=close)
        if not close:
            self._turn = threading.Lock()


@contextmanager
def told() -> Iterator[None]:
    """Translate what a database says into refusals: Busy, StorageFull, or Raced.

    They do not say where the database is: strangers may read them.
    """
    try:
        yield
    except PoolExhausted:
        raise Busy("数据库连接用尽", fix="请稍后再试，或减少同时的请求") from None
    except DBAPIError as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: DBAPIError) -> GaoqianError | None:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        extended = getattr(cause, "sqlite_errorcode", 0)
        if extended in _SQLITE_RACES:
            return Raced("同一记录正被别的请求写入", fix="请稍后再试")
        code = extended & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return StorageFull("磁盘已满，没有存下", fix="请腾出磁盘空间后重发")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return _busy()
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Busy("数据库文件损坏", fix="请从备份恢复")
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return Busy("数据库文件不能读写", fix="请检查磁盘和权限")
        return None
    state = getattr(cause, "sqlstate", None)
    if state in _NO_ROOM:
        return StorageFull("数据库所在的磁盘已满，没有存下", fix="请腾出磁盘空间后重发")
    if state in _RACES:
        return Raced("同一记录正被别的请求写入", fix="请稍后再试")
    if state in _WAITED:
        return _busy()
    # Shut down, starting, too many connections, out of memory, waited too long, read-only; or,
    # without a state, a connection that broke or never came about.
    broken = isinstance(error, OperationalError) and state is None
    if broken or error.connection_invalidated or str(state)[:2] in _AWAY or state == "25006":
        return Busy("数据库暂时连不上", fix="请稍后再试")
    return None


def _busy() -> Busy:
    return Busy(f"数据库正忙，等了 {BUSY_SECONDS} 秒", fix="请稍后再试")


def part_at_fork(database: Database) -> None:
    """See to it that parent and child of a fork share no connection, and no turn.

    SQLite must not even close in a child what its parent opened, so the parent closes before.
    """
    reference = weakref.ref(database)

    def part(*, close: bool) -> None:
        alive = reference()
        if alive is not None:
            alive.part(close=close)

    os.register_at_fork(before=partial(part, close=True), after_in_child=partial(part, close=False))


def read_url(url: str) -> URL:
    """The address in a setting: a path, sqlite:/// or postgresql://; raises SettingRefused."""
    if "://" not in url:
        return URL.create("sqlite", database=str(Path(url).expanduser().absolute()))
    try:
        read = make_url(url)
        backend = read.get_backend_name()
    except (ArgumentError, ValueError):
        raise SettingRefused("数据库地址读不懂", where="database", fix=_SHAPES) from None
    if backend in ("postgres", "postgresql"):
        if find_spec("psycopg") is None:
            raise ExtraMissing(
                "没有装 PostgreSQL 的驱动 psycopg", fix="请运行 pip install 'gaoqian[postgres]'"
            )
        return read.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and read.database and read.database != ":memory:":
        return read
    raise SettingRefused(f"不支持 {read.drivername} 这种数据库", where="database", fix=_SHAPES)


_SHAPES = "应是 SQLite 文件的路径，或 postgresql://用户:密码@主机/库名"


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # manuscripts before print are nobody else's business
    except OSError as error:
        raise SettingRefused(
            f"数据库文件打不开（{error.strerror}）", where=str(path), fix="请检查路径和权限"
        ) from None
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS}, pool_size=16, max_overflow=256
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below
        cursor = connection.cursor()
        _to_wal(cursor)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "cache_size=-16000",
            "temp_store=MEMORY",
            "journal_size_limit=67108864",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def _begin_writing(connection: Connection) -> None:
    """BEGIN IMMEDIATE as soon as no other process writes."""
    own: Any = connection.connection.driver_connection
    deadline = time.monotonic() + BUSY_SECONDS
    own.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                own.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _is_final(error, deadline):
                    break
                time.sleep(random.uniform(0.0005, 0.002))  # noqa: S311
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # which raises what everything else raises
    finally:
        own.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _is_final(error: sqlite3.OperationalError, deadline: float) -> bool:
    return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline


def _to_wal(cursor: sqlite3.Cursor) -> None:
    """Set WAL mode; on a new file SQLite does not wait for others who do the same, so we do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if _is_final(error, deadline):
                raise
            time.sleep(0.01)
        else:
            return


def _postgresql(url: URL) -> Engine:
    milliseconds = BUSY_SECONDS * 1000
    options = (
        f"-c lock_timeout={milliseconds} -c statement_timeout={6 * milliseconds} "
        f"-c idle_in_transaction_session_timeout={12 * milliseconds} -c jit=off -c timezone=UTC"
    )
    given = url.query.get("options", "")
    return create_engine(
        url.difference_update_query(["options"]),
        connect_args={
            "options": f"{options} {given if isinstance(given, str) else ' '.join(given)}".strip(),
            "connect_timeout": BUSY_SECONDS,
            "tcp_user_timeout": 2 * milliseconds,  # a network that swallows packets is noticed
            "client_encoding": "utf8",
            # A plan made for any theme is a bad plan for a rare one; and poolers do without.
            "prepare_threshold": None,
        },
        pool_size=8,
        max_overflow=16,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
    )
