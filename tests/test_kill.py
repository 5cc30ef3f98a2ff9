"""kill -9 of the real server while submissions are posted: what was acknowledged is there, once."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from classifier.registry import Registry
from service.store import open_store
from service.store.records import Query

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))
COUNT, KILLS, CLIENTS = int(os.environ.get("KILL_SUBMISSIONS", "300")), 2, 4


class Server:
    """`gaoqian serve` as a process group of its own."""

    def __init__(self, folder: Path, models: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.database = folder / "desk.db"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "GAOQIAN_DATABASE"},
            "GAOQIAN_DATABASE": str(self.database),
            "GAOQIAN_MODELS": str(models),
            "GAOQIAN_PORT": str(self.port),
            "GAOQIAN_WORKERS": "2",
        }
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, and wait until it answers."""
        log = self._folder / "serve.log"
        with log.open("ab") as written:
            self._process = subprocess.Popen(
                [GAOQIAN, "serve"],
                cwd=self._folder,
                env=self._environment,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )
        ends = time.monotonic() + 60
        while time.monotonic() < ends and self._process.poll() is None:
            try:
                if ask(self.port, "GET", "/healthz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"the server does not answer: {log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End all its processes at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def ask(
    port: int, method: str, path: str, body: object = None, key: str = ""
) -> tuple[int, dict[str, object]]:
    """One request on a connection of its own; raises OSError where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


@pytest.fixture
def server(tmp_path: Path, registry: Registry) -> Iterator[Server]:
    """The server, running."""
    made = Server(tmp_path, registry.folder)
    try:
        made.start()
        yield made
    finally:
        made.kill()


def post_all(
    server: Server, articles: dict[str, dict[str, str]], told: Callable[[str, str], None]
) -> None:
    """Post each under its key until it is acknowledged, as a CMS that retries."""
    for key, article in articles.items():
        ends = time.monotonic() + 120
        while time.monotonic() < ends:
            try:
                status, answer = ask(server.port, "POST", "/v1/submissions", article, key)
            except (OSError, ValueError):
                time.sleep(0.05)
                continue
            if status == 201:
                (one,) = answer["submissions"]  # type: ignore[misc]
                told(key, one["id"])
                break
            assert status in {503, 507}, answer
            time.sleep(0.1)


def test_kill_minus_nine_loses_and_doubles_nothing(server: Server) -> None:
    """Whatever was acknowledged before a kill is there after it, and the rest comes by retry."""
    articles = {
        f"key-{number}": {
            "id": f"cms-{number}",
            "title": f"第{number}期",
            "text": f"六月二十日，河长在岸边清点垃圾{number}袋。",
        }
        for number in range(COUNT)
    }
    acknowledged: dict[str, str] = {}
    lock = threading.Lock()

    def told(key: str, id: str) -> None:
        with lock:
            acknowledged[key] = id

    keys = [*articles]
    clients = [
        threading.Thread(
            target=post_all,
            args=(server, {key: articles[key] for key in keys[start::CLIENTS]}, told),
        )
        for start in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    chance = random.Random(4)
    before: list[dict[str, str]] = []
    for kill in range(KILLS):
        goal = COUNT * (kill + 1) // (KILLS + 1) - chance.randrange(10)
        ends = time.monotonic() + 120
        while len(acknowledged) < goal and time.monotonic() < ends:
            time.sleep(0.002)
        server.kill()
        with lock:
            before.append(dict(acknowledged))
        server.start()
    for client in clients:
        client.join()

    assert all(0 < len(one) < COUNT for one in before), "the kills came too late to mean anything"
    assert set(acknowledged) == set(articles)
    # A retry of what had been acknowledged gets the very same answer.
    for key in [*before[0]][:20]:
        status, answer = ask(server.port, "POST", "/v1/submissions", articles[key], key)
        assert status == 201
        assert answer["submissions"][0]["id"] == before[0][key]  # type: ignore[index]
    store = open_store(str(server.database))
    found = [*store.submissions.each(Query(with_twins=True))]
    store.close()
    assert len(found) == COUNT
    assert {f"key-{one.external_id.removeprefix('cms-')}": one.id for one in found} == acknowledged
