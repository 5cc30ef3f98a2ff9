"""`python -m benchmarks.switch`: twenty promotions and rollbacks under load, nothing dropped or mixed.

A server with two processes answers several connections without a pause while the pointer moves to
and fro between two models. Every answer must be of one model alone, to the sixth place, and after
each move all processes must serve the same model within five seconds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from classifier.article import Article
from classifier.registry import Registry

ASKED_ALIKE = 16  # answers in a row, on fresh connections, that must name the same model


@dataclass
class Seen:
    """What the connections saw."""

    answers: Counter[str] = field(default_factory=Counter)  # by model
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds, of one answer
    settled: list[float] = field(default_factory=list)  # seconds from each move to agreement


@contextmanager
def serving(models: Path, database: Path, *, workers: int = 2) -> Iterator[int]:
    """A real server on a free port, ended by its own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "GAOQIAN_MODELS": str(models), "GAOQIAN_DATABASE": str(database)}
    asked = ["serve", "--port", str(port), "--workers", str(workers)]
    server = subprocess.Popen(
        [sys.executable, "-m", "service.cli", *asked],
        env=environment,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                ask(port, "GET", "/readyz")
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.1)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def switch_under_load(
    registry: Registry,
    versions: Sequence[str],
    articles: Sequence[Article],
    *,
    port: int,
    moves: int,
    connections: int = 4,
) -> Seen:
    """Move the pointer `moves` times between two versions while connections keep asking."""
    expected = {version: _answers(registry, version, articles) for version in versions}
    body = json.dumps({"articles": [{"title": one.title, "text": one.text} for one in articles]})
    seen, lock, stop = Seen(), threading.Lock(), threading.Event()

    def keep_asking() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not stop.is_set():
            start = time.monotonic()
            try:
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/v1/predict", body.encode(), headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                problem = "" if response.status == 200 else f"{response.status} {answer}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem, answer = repr(error), {}
                connection.close()
            with lock:
                seen.slowest = max(seen.slowest, time.monotonic() - start)
                if problem:
                    seen.failures.append(problem)
                    continue
                seen.answers[answer["model"]] += 1
                told = [[one["model"], one["themes"], one["scores"]] for one in answer["results"]]
                if told != expected.get(answer["model"]):
                    seen.mixed.append(answer["model"])
        connection.close()

    threads = [threading.Thread(target=keep_asking) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        for move in range(moves):
            target = versions[(move + 1) % 2]
            if move % 2:
                registry.rollback(now=datetime.now(UTC), by="benchmark")
            else:
                registry.promote(target, now=datetime.now(UTC), by="benchmark")
            start = time.monotonic()
            while not _all_serve(port, target):
                if time.monotonic() - start > 30:
                    break
                time.sleep(0.05)
            seen.settled.append(time.monotonic() - start)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return seen


def _answers(registry: Registry, version: str, articles: Sequence[Article]) -> list[Any]:
    """What a model says, as the API words it."""
    slips = [slip.as_json() for slip in registry.load(version).tag_many(articles)]
    return [[slip["model"], slip["themes"], slip["scores"]] for slip in slips]


def _all_serve(port: int, version: str) -> bool:
    # Whichever process takes a fresh connection answers; chance that one is never met: 2 ** -16.
    return all(ask(port, "GET", "/healthz")["serving"] == version for _ in range(ASKED_ALIKE))


def ask(port: int, method: str, path: str) -> Any:
    """The JSON answer to a request on a connection of its own; raises OSError for any other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise OSError(f"{path} {response.status}")
        return json.loads(content)
    finally:
        connection.close()


def main() -> None:
    """Train two models of the bundled corpus, serve them, switch, and print what was seen."""
    from training.evaluation import evaluate_training
    from training.fit import train
    from training.labelled import Corpus, read_corpus
    from training.pipeline import Recipe
    from training.run import model_files

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--connections", type=int, default=4)
    asked = parser.parse_args()
    corpus = read_corpus()
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder, "models"))
        versions = []
        for part in (corpus.articles, corpus.articles[::2]):
            made = train(Corpus(part, corpus.themes), recipe=Recipe(), now=datetime.now(UTC))
            files = model_files(made, made.manifest, evaluate_training(made))
            registry.add(made.manifest.id, files)
            versions.append(made.manifest.id)
        registry.promote(versions[0], now=datetime.now(UTC), by="benchmark")
        articles = [one.article for one in corpus.articles[:5]]
        with serving(registry.folder, Path(folder, "gaoqian.db")) as port:
            seen = switch_under_load(
                registry,
                versions,
                articles,
                port=port,
                moves=asked.moves,
                connections=asked.connections,
            )
    print(
        f"{asked.moves} 次换岗，{asked.connections} 个连接不停地问，共 {seen.answers.total()} 次回答"
    )
    print(f"失败 {len(seen.failures)}，混了两个模型的回答 {len(seen.mixed)}")
    print(f"全部进程换齐：最慢 {max(seen.settled):.2f} 秒；最慢的回答 {seen.slowest:.2f} 秒")
    if seen.failures or seen.mixed or max(seen.settled) > 5:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
