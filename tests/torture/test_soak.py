"""Hours in minutes: memory, files and threads of a server that works and changes models."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
from conftest import NOW
from running import running
from test_kills import SECOND, published

from service.serving import ServedModel
from training.fit import Trained
from training.labelled import Corpus

SWITCHES = int(os.environ.get("TORTURE_SWITCHES", "1000"))
MINUTES = float(os.environ.get("TORTURE_MINUTES", "10"))


def test_a_thousand_switches_and_many_requests_leak_nothing(
    tmp_path: Path, trained: Trained, packed_model: dict[str, bytes], corpus: Corpus
) -> None:
    """After the first tenth neither memory (10 %), open files nor threads grow."""
    registry = published(tmp_path, trained, packed_model)
    served = ServedModel(registry)
    here = psutil.Process()
    before = (0, 0, 0)
    article = corpus.articles[0].article
    for number in range(SWITCHES):
        registry.promote((SECOND, trained.manifest.id)[number % 2], now=NOW, by="test")
        served.refresh()
        served.model().tag(article)
        if number == SWITCHES // 10:
            before = (here.memory_info().rss, here.num_fds(), here.num_threads())
    after = (here.memory_info().rss, here.num_fds(), here.num_threads())
    print(f"{SWITCHES} switches: {before} -> {after} (bytes, files, threads)")
    assert after[0] < before[0] * 1.1
    assert after[1:] == before[1:]


def test_minutes_of_work_leave_memory_as_it_was(
    tmp_path: Path, trained: Trained, packed_model: dict[str, bytes], corpus: Corpus
) -> None:
    """Predictions, submissions, lists, refusals for TORTURE_MINUTES: no error, memory within a
    tenth of what it was after the first fifth, as many open files."""
    published(tmp_path, trained, packed_model)
    articles = [one.article for one in corpus.articles]
    with running(tmp_path, workers=2) as server:
        start = time.monotonic()
        before: tuple[int, int] | None = None
        number = 0
        while (gone := time.monotonic() - start) < MINUTES * 60:
            article = articles[number % len(articles)]
            body = {"title": article.title, "text": article.text}
            wanted = {
                ("POST", "/v1/predict"): (200, body),
                ("POST", "/v1/submissions"): (201, {**body, "text": f"{number}{article.text}"}),
                ("GET", "/v1/submissions?limit=20"): (200, None),
                ("POST", "/v1/pages/split"): (200, {"page": article.text}),
                ("POST", "/v1/predict?x"): (422, {"text": " "}),
            }
            for (method, path), (status, sent) in wanted.items():
                answer = server.ask(method, path, json_body=sent, timeout=60)
                assert answer.status == status, (path, answer.body)
            number += 1
            if before is None and gone > MINUTES * 12:
                before = server.memory(), sum(one.num_fds() for one in server.workers())
        after = server.memory(), sum(one.num_fds() for one in server.workers())
        print(f"{MINUTES:g} minutes, {5 * number} requests: {before} -> {after} (bytes, files)")
        assert before is not None
        assert after[0] < before[0] * 1.1
        assert after[1] <= before[1] + 8
