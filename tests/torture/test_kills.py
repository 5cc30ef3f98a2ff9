"""Killed at each step and hundreds of times: what the quick tests do in short, done at length."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import pytest
from conftest import NOW
from running import GAOQIAN, Running, environment_of, running

from classifier.model import ARRAYS, MANIFEST, write_manifest
from classifier.registry import Registry
from training.fit import Trained

KILLS = int(os.environ.get("TORTURE_KILLS", "200"))
SECOND = "20261125-aaaaaa"

needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="apt-get install strace")


def published(folder: Path, trained: Trained, packed: dict[str, bytes]) -> Registry:
    """A models folder with two versions, the first in service."""
    registry = Registry(folder / "models")
    registry.add(trained.manifest.id, packed)
    manifest = write_manifest(replace(trained.manifest, id=SECOND), packed[ARRAYS])
    registry.add(SECOND, {**packed, MANIFEST: manifest})
    registry.promote(trained.manifest.id, now=NOW, by="test")
    return registry


class Sender(threading.Thread):
    """A CMS: sends one article after the other under its key until it is acknowledged."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name, daemon=True)
        self.port = port
        self.acknowledged: dict[str, str] = {}
        self.over = threading.Event()

    def run(self) -> None:
        """Send until told to stop."""
        number = 0
        asked = Running(self.port, None, Path())  # type: ignore[arg-type]
        while not self.over.is_set():
            key = f"{self.name}-{number}"
            try:
                answer = asked.ask(
                    "POST", "/v1/submissions",
                    json_body={"text": f"{key}：河长带着护河队下河捞垃圾。"},
                    headers={"Idempotency-Key": key}, timeout=10,
                )  # fmt: skip
            except (OSError, HTTPException):
                time.sleep(0.02)
                continue
            if answer.status == 201:
                self.acknowledged[key] = answer.json()["submissions"][0]["id"]
                number += 1
            else:
                assert answer.status in {502, 503, 504, 507}, answer.body
                time.sleep(0.02)


def stored(server: Running) -> list[tuple[str, str]]:
    """Key and id of every submission."""
    found: list[tuple[str, str]] = []
    cursor = ""
    while True:
        page = server.ask(
            "GET", f"/v1/submissions?twins=true&order=oldest&limit=200&cursor={cursor}"
            if cursor else "/v1/submissions?twins=true&order=oldest&limit=200", timeout=60,
        ).json()  # fmt: skip
        for one in page["submissions"]:
            text = server.ask("GET", f"/v1/submissions/{one['id']}").json()["text"]
            found.append((text.partition("：")[0], one["id"]))
        if not page["cursor"]:
            return found
        cursor = page["cursor"]


def check(senders: list[Sender], found: list[tuple[str, str]]) -> str:
    """Nothing acknowledged is missing or another, nothing is there twice; the counts in words."""
    acknowledged = {key: id for sender in senders for key, id in sender.acknowledged.items()}
    kept = dict(found)
    lost = [key for key, id in acknowledged.items() if kept.get(key) != id]
    doubled = len(found) - len(kept)
    counts = f"acknowledged {len(acknowledged)}, stored {len(found)}, doubled {doubled}, lost {len(lost)}"
    assert not lost, counts
    assert not doubled, counts
    return counts


def test_two_hundred_kills_lose_and_double_nothing(
    tmp_path: Path, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """Master and workers killed at random moments among four senders: every acknowledged
    submission is there once, under the id that was told."""
    from running import free_port

    published(tmp_path, trained, packed_model)
    chance = random.Random(20261124)
    port = free_port()
    senders = [Sender(f"cms{number}", port) for number in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        with running(tmp_path, port=port, workers=2, timeout=20) as server:
            time.sleep(chance.uniform(0.05, 0.6))
            if chance.random() < 0.5:
                os.kill(chance.choice(server.workers()).pid, signal.SIGKILL)
                time.sleep(0.1)
            server.kill()
    for sender in senders:
        sender.over.set()
    with running(tmp_path, port=port, workers=2) as server:
        for sender in senders:
            sender.join(timeout=30)
        print(f"kills {KILLS}:", check(senders, stored(server)))


@needs_strace
@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_a_promotion_killed_at_each_step_leaves_a_model_that_serves(
    tmp_path: Path, trained: Trained, packed_model: dict[str, bytes], call: str
) -> None:
    """SIGKILL at the n-th rename or sync, for n = 1, 2 … until it gets through: the pointer is the
    old or the new model, and that model loads; the next promotion works."""
    registry = published(tmp_path, trained, packed_model)
    first = trained.manifest.id
    steps = 0
    for number in range(1, 50):
        registry.promote(first, now=NOW, by="test")
        told = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
             f"inject={call}:signal=SIGKILL:when={number}", GAOQIAN, "models", "promote", SECOND],
            env=environment_of(tmp_path), capture_output=True, check=False,
        )  # fmt: skip
        assert registry.current_id() in {first, SECOND}
        assert registry.load()
        if told.returncode == 0:
            break
        steps += 1
    print(f"killed at {steps} calls of {call}")
    assert 0 < steps < 49
    assert registry.current_id() == SECOND


@needs_strace
def test_what_the_disk_did_not_take_is_not_acknowledged(
    tmp_path: Path, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """With every sync of the disk failing, submissions get 503 and a promotion exit code 1; with
    the disk back, the server stores again."""
    registry = published(tmp_path, trained, packed_model)
    failing = ["strace", "-f", "-qq", "-o", "/dev/null", "-e"]
    inject = "inject=fsync,fdatasync:error=EIO"
    with running(tmp_path):  # makes the tables
        pass
    article = {"text": "镇里的河长下河捞垃圾。"}
    with running(tmp_path, before=[*failing, f"{inject}:when=1+"]) as server:
        answer = server.ask("POST", "/v1/submissions", json_body=article)
        assert answer.status in {503, 507}, answer.body
        assert server.ask("POST", "/v1/predict", json_body=article).status == 200
    told = subprocess.run(
        [*failing, inject, GAOQIAN, "models", "promote", SECOND],
        env=environment_of(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert registry.current_id() == trained.manifest.id
    with running(tmp_path) as server:
        assert server.ask("GET", "/v1/submissions").json()["submissions"] == []
        assert server.ask("POST", "/v1/submissions", json_body=article).status == 201
