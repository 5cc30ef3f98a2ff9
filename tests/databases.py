"""A real PostgreSQL, started by the tests themselves, on a free port of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def lay_tables(path: Path) -> Path:
    """Write a SQLite file with the store's empty tables, unless there is one; quicker than making them."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_tables())
    return path


@cache
def _empty_tables() -> bytes:
    from service.store import open_store

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tables.db")
        open_store(str(path)).close()
        return path.read_bytes()


def postgresql_binaries() -> Path | None:
    """The folder of the server's programs: Debian's newest, else the one on the path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


class Server:
    """A PostgreSQL server in a temporary folder, for one run of the tests."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.port = _free_port()
        self._has_tables = False
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # as whom the server refuses to run
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._as_user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        initdb = [str(binaries / "initdb"), "-D", "cluster", "-U", "test", "-A", "trust"]
        subprocess.run(
            ["setpriv", *self._as_user, *initdb, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            cwd=folder,
            env=_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        self.start()

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 150,
        }
        chosen = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            # Quits when the tests die, however they die.
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=QUIT", *self._as_user),
                    *(str(self.binaries / "postgres"), "-D", "cluster", *chosen),
                ],
                cwd=self.folder,
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        asked = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(600):
            if subprocess.run(asked, check=False).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def url(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://test@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, *, like: str = "template1") -> Iterator[str]:
        """A database, empty or like another; its address."""
        name = f"t{uuid.uuid4().hex}"
        self._order(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
        yield self.url(name)
        self._order(f'DROP DATABASE "{name}" WITH (FORCE)')

    def with_tables(self) -> str:
        """The name of a database with the store's tables, to make others like it quickly."""
        from service.store import open_store

        name = "with_tables"
        if not self._has_tables:
            self._order(f'CREATE DATABASE "{name}"')
            open_store(self.url(name)).close()
            self._has_tables = True
        return name

    def _order(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_server(binaries: Path) -> Iterator[Server]:
    """A server that is gone afterwards."""
    # Not pytest's folder: its parents are closed to the server's own user.
    folder = Path(tempfile.mkdtemp(prefix="gaoqian-postgresql-"))
    try:
        server = Server(binaries, folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
