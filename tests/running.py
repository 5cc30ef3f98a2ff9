"""Real servers for tests, torture and benchmarks: started as a user starts them, ended by pid."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))
STARTING = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class Running:
    """A server, and ways to ask it."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path
    headers: dict[str, str] = field(default_factory=dict)  # sent with every request

    def ask(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
        timeout: float = 60,
    ) -> Answer:
        """One request over a connection of its own; raises OSError or HTTPException if it fails."""
        sent = {**self.headers, **headers}
        if json_body is not None:
            body = json.dumps(json_body, ensure_ascii=False).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=sent)
            reply = connection.getresponse()
            told = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, told, reply.read())
        finally:
            connection.close()

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        return psutil.Process(self.process.pid).children()

    def spent(self) -> float:
        """Seconds of processor time that the processes which answer have used."""
        return sum(sum(one.cpu_times()[:2]) for one in self.workers())

    def memory(self) -> int:
        """Resident bytes of the master and its workers."""
        return sum(
            one.memory_info().rss for one in [psutil.Process(self.process.pid), *self.workers()]
        )

    def kill(self) -> None:
        """End it and its workers without a word, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment_of(folder: Path, **settings: Any) -> dict[str, str]:
    """An environment with everything in one folder and nothing of whoever runs the tests."""
    chosen = {"models": folder / "models", "database": folder / "gaoqian.db", **settings}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GAOQIAN_")}
    return kept | {f"GAOQIAN_{name.upper()}": str(value) for name, value in chosen.items()}


@contextmanager
def running(
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
    is_up: Callable[[Running], bool] | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """`gaoqian serve` in a folder, on a free port; `before` is a program that starts it."""
    settings = {"port": free_port(), "workers": 1, "login": "off", **settings}
    log = folder / f"serve-{settings['port']}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*before, GAOQIAN, "serve"],
            cwd=folder,
            env={**(environment or {}), **environment_of(folder, **settings)}
            if environment is None
            else {**environment, **_only_ours(environment_of(folder, **settings))},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    server = Running(int(settings["port"]), process, log)
    try:
        wait_until(lambda: (is_up or _answers)(server), while_alive=server)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()


def _only_ours(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("GAOQIAN_")}


def wait_until(
    condition: Callable[[], bool], *, while_alive: Running, seconds: float = STARTING
) -> None:
    """Wait for a condition of a server that must not die meanwhile."""
    end = time.monotonic() + seconds
    while not condition():
        assert while_alive.process.poll() is None, while_alive.log.read_text("utf-8", "replace")
        assert time.monotonic() < end, while_alive.log.read_text("utf-8", "replace")
        time.sleep(0.05)


def _answers(server: Running) -> bool:
    try:
        return server.ask("GET", "/healthz", timeout=2).status == 200
    except (OSError, http.client.HTTPException):
        return False
