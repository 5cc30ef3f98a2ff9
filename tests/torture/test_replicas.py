"""Three real servers on one PostgreSQL behind a real nginx, and what happens when parts die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import NOW
from databases import Server
from running import Running, free_port, running
from test_kills import SECOND, Sender, check, published, stored

from training.fit import Trained

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="apt-get install nginx-light")
ARTICLE = {"text": "镇里的河长带着护河队下河捞垃圾，两岸种上了树。"}


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[Running]:
    """A front on a free port that hands requests to these ports in turn."""
    port = free_port()
    servers = "".join(f"server 127.0.0.1:{one} max_fails=1 fail_timeout=1s;" for one in ports)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder}/nginx.pid; error_log {folder}/nginx.log;"
        f"events {{ worker_connections 1024; }} http {{ access_log off; {temporary}"
        f"upstream replicas {{ {servers} }}"
        f"server {{ listen 127.0.0.1:{port}; client_max_body_size 21m; location / {{"
        "proxy_pass http://replicas; proxy_set_header Host $http_host; } } }",
        encoding="utf-8",
    )
    process = subprocess.Popen(["nginx", "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"])
    try:
        time.sleep(0.5)
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield Running(port, process, folder / "nginx.log")  # type: ignore[arg-type]
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=20)


def test_three_replicas_behind_nginx_lose_and_double_nothing(
    tmp_path: Path,
    postgresql_server: Server,
    postgres_url: str,
    trained: Trained,
    packed_model: dict[str, bytes],
) -> None:
    """One key fifty times at once is one submission, one version is settled once, a promotion
    reaches all; then a replica is killed and PostgreSQL too, among six senders: what was
    acknowledged is there once, and predictions go on without a database."""
    registry = published(tmp_path, trained, packed_model)
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(running(tmp_path, database=postgres_url, reload_seconds=0.2))
            for _ in range(3)
        ]
        front = stack.enter_context(nginx(tmp_path, [one.port for one in replicas]))
        _one_key_is_one_submission(front)
        _one_version_is_settled_once(front)

        registry.promote(SECOND, now=NOW, by="test")
        time.sleep(2)
        assert {one.ask("GET", "/healthz").json()["serving"] for one in replicas} == {SECOND}

        before = stored(front)
        senders = [Sender(f"cms{number}", front.port) for number in range(6)]
        for sender in senders:
            sender.start()
        time.sleep(2)
        replicas[0].kill()
        time.sleep(3)
        postgresql_server.stop()
        time.sleep(1)
        answers = [replicas[1].ask("POST", "/v1/predict", json_body=ARTICLE) for _ in range(20)]
        assert {one.status for one in answers} == {200}
        assert replicas[1].ask("GET", "/readyz").status == 503
        time.sleep(2)
        postgresql_server.start()
        time.sleep(4)
        for sender in senders:
            sender.over.set()
        for sender in senders:
            sender.join(timeout=60)
        assert min(len(sender.acknowledged) for sender in senders) > 5
        found = [one for one in stored(replicas[2]) if one not in before]
        print("replica and PostgreSQL killed:", check(senders, found))


def _one_key_is_one_submission(front: Running) -> None:
    def send(_: int) -> tuple[int, bytes]:
        answer = front.ask(
            "POST", "/v1/submissions", json_body={"text": "同一篇：" + ARTICLE["text"]},
            headers={"Idempotency-Key": "same"}, timeout=60,
        )  # fmt: skip
        return answer.status, answer.body

    with ThreadPoolExecutor(25) as pool:
        answers = {*pool.map(send, range(50))}
    assert len(answers) == 1
    assert next(iter(answers))[0] == 201


def _one_version_is_settled_once(front: Running) -> None:
    sent = front.ask("POST", "/v1/submissions", json_body={"text": "待审：" + ARTICLE["text"]})
    (one,) = sent.json()["submissions"]

    def review(number: int) -> int:
        themes = ["environment"] if number % 2 else ["elder_care"]
        answer = front.ask(
            "POST", f"/v1/submissions/{one['id']}/review",
            json_body={"action": "set", "themes": themes, "version": one["version"]}, timeout=60,
        )  # fmt: skip
        return answer.status

    with ThreadPoolExecutor(16) as pool:
        told = sorted(pool.map(review, range(16)))
    assert told.count(412) == 15, told
    history = front.ask("GET", f"/v1/submissions/{one['id']}").json()["history"]
    assert len(history) == 1
