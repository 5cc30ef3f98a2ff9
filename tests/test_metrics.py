"""Claims about what can be watched: counts that add up, and no word of an article anywhere."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from classifier.registry import Registry
from service.app import create_app
from service.logs import REQUEST_FIELDS, formatter
from service.settings import read_settings
from training.labelled import Corpus

SECRET = "鲸落无声处"  # stands in every article sent, and must stand nowhere else
LABELS = {
    "method", "route", "status", "problem", "theme", "decision", "state", "version", "outcome", "le",
}  # fmt: skip

Sample = tuple[str, frozenset[tuple[str, str]]]


def _read(text: str) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _sum(samples: dict[Sample, float], name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(value for (one, own), value in samples.items() if one == name and wanted <= own)


@dataclass
class Running:
    """A real server."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(self.address + path, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, body: Any) -> int:
        request = urllib.request.Request(
            self.address + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            return refusal.code

    def lines(self) -> list[dict[str, Any]]:
        """The log's lines of JSON."""
        told = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in told if line.startswith("{")]

    def workers(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@pytest.fixture
def running(registry: Registry, tmp_path: Path) -> Iterator[Running]:
    """Two workers on a free port, ended by the server's own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "tmp").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--workers", "2"],
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "GAOQIAN_RELOAD_SECONDS": "0.2"},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    server = Running(process, f"http://127.0.0.1:{port}", tmp_path / "log")
    for _ in range(600):
        try:
            server.get("/readyz")
            break
        except OSError:
            time.sleep(0.1)
    yield server
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert not [*(tmp_path / "tmp").glob("gaoqian-metrics-*")]


@pytest.fixture
def client(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FlaskClient:
    """The application in process."""
    monkeypatch.chdir(tmp_path)
    return create_app(read_settings()).test_client()


def test_the_counts_of_all_processes_add_up_even_when_one_is_killed(
    running: Running, corpus: Corpus, registry: Registry
) -> None:
    """Every answer is counted once, whichever worker gave it and whatever became of that worker."""
    articles = [
        {"title": one.article.title, "text": f"{one.article.text}{SECRET}"}
        for one in corpus.articles[:20]
    ]
    for article in articles[:10]:
        assert running.post("/v1/predict", article) == 200
    os.kill(running.workers()[0], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(running.workers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    for article in articles[10:]:
        assert running.post("/v1/predict", article) == 200
    assert running.post("/v1/predict", {"articles": articles[:5]}) == 200
    assert running.post("/v1/submissions", articles[0]) == 201
    assert running.post("/v1/predict", {"text": ""}) == 422

    told = running.get("/metrics")

    samples = _read(told)
    predict = {"method": "POST", "route": "/v1/predict"}
    assert _sum(samples, "http_requests_total", **predict, status="200") == 21
    assert _sum(samples, "http_requests_total", **predict, status="422") == 1
    assert _sum(samples, "http_request_duration_seconds_count", **predict) == 22
    assert _sum(samples, "tagger_taggings_total") == 26
    assert _sum(samples, "tagger_coverage_ratio_count") == 26
    assert _sum(samples, "tagger_refusals_total", problem="empty-article") == 1
    assert _sum(samples, "tagger_model_info", version=registry.current_id()) == 1
    assert _sum(samples, "tagger_queue_length") == 1
    assert _sum(samples, "tagger_database_up") == 1
    assert _sum(samples, "tagger_retrain_outcome", outcome="never") == 1
    slugs = {theme.slug for theme in registry.load().manifest.themes}
    assert {
        value for _, labels in samples for name, value in labels if name == "theme"
    } <= slugs  # fmt: skip
    assert SECRET not in told

    requests = [line for line in running.lines() if line["event"] == "request"]
    assert sum(line["route"] == "/v1/predict" for line in requests) == 22
    assert {"/readyz", "/metrics"} & {line["route"] for line in requests} == set()
    assert all({*REQUEST_FIELDS[:5]} <= line.keys() for line in requests)
    assert SECRET not in running.log.read_text(encoding="utf-8")


def test_a_model_that_cannot_be_taken_is_counted_and_logged(
    running: Running, registry: Registry
) -> None:
    """Each worker says so once; the old model goes on and its lag grows."""
    before = registry.current_id()
    (registry.folder / "current").write_text("20990101-abcdef\n", encoding="ascii")
    deadline = time.monotonic() + 60
    while True:
        samples = _read(running.get("/metrics"))
        if _sum(samples, "tagger_model_reload_failures_total") >= 2 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    time.sleep(0.5)  # more than two looks of each: the third refusal would be here by now
    samples = _read(running.get("/metrics"))

    assert _sum(samples, "tagger_model_reload_failures_total") == 2
    assert _sum(samples, "tagger_model_lag_seconds") > 0
    assert _sum(samples, "tagger_model_info", version=before) == 1
    refused = [line for line in running.lines() if line["event"].startswith("model not taken")]
    assert len(refused) == 2
    assert {line["level"] for line in refused} == {"error"}


def test_labels_are_of_bounded_kinds(client: FlaskClient) -> None:
    """No id, no path as typed, no method of a caller's invention."""
    for path in ("/v1/submissions/0000000aaaaaaa", "/x/y", "/v1/submissions?text=%E9%B2%B8"):
        client.get(path)
    client.open("/healthz", method="PROPFINDXYZ")
    samples = _read(client.get("/metrics").text)

    names = {name for _, labels in samples for name, _ in labels}
    assert names <= LABELS
    routes = {value for _, labels in samples for name, value in labels if name == "route"}
    rules = {rule.rule for rule in client.application.url_map.iter_rules()}
    assert routes <= rules | {"unmatched"}
    methods = {value for _, labels in samples for name, value in labels if name == "method"}
    assert methods <= {"GET", "POST", "other"}


def test_metrics_are_for_this_machine_unless_a_token_is_set(
    client: FlaskClient, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an address elsewhere nor one behind a proxy; with a token, only who shows it."""
    assert client.get("/metrics").status_code == 200
    elsewhere = {"REMOTE_ADDR": "203.0.113.7"}
    assert client.get("/metrics", environ_overrides=elsewhere).status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403

    monkeypatch.setenv("GAOQIAN_METRICS_TOKEN", "抄表员的令牌")
    guarded = create_app(read_settings()).test_client()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        assert guarded.get("/metrics", headers=headers).status_code == 403
    monkeypatch.setenv("GAOQIAN_METRICS_TOKEN", "scraper-token")
    plain = create_app(read_settings()).test_client()
    shown = {"Authorization": "Bearer scraper-token"}
    assert plain.get("/metrics", headers=shown, environ_overrides=elsewhere).status_code == 200


def test_a_database_that_is_away_is_told_and_the_rest_still_stands(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tagger_database_up` is 0; nothing else is lost but the queue."""
    from classifier.errors import Busy

    def away() -> None:
        raise Busy("数据库暂时连不上")

    store = client.application.extensions["gaoqian.store"]
    monkeypatch.setattr(store.submissions, "states", away)
    samples = _read(client.get("/metrics").text)

    assert _sum(samples, "tagger_database_up") == 0
    assert not [name for name, _ in samples if name == "tagger_queue_length"]
    assert _sum(samples, "tagger_retrain_outcome") == 1


def test_every_reply_carries_the_id_of_its_line(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    """So that a problem told over the telephone is found in the log."""
    with caplog.at_level(logging.INFO, logger="service"):
        answer = client.post("/v1/predict", json={"text": ""})

    (line,) = [record for record in caplog.records if record.getMessage() == "request"]
    assert answer.headers["X-Request-Id"] == answer.get_json()["request_id"]
    assert vars(line)["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("asked_for", [False, True])
def test_articles_are_logged_only_when_asked(
    asked_for: bool, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a request nor an exception that quotes an article brings its text into the log."""
    monkeypatch.setenv("GAOQIAN_LOG_ARTICLES", str(asked_for).lower())
    app = create_app(read_settings())
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(with_articles=asked_for))
    loggers = [logging.getLogger("service"), app.logger]
    for logger in loggers:
        monkeypatch.setattr(logger, "handlers", [handler])
        monkeypatch.setattr(logger, "propagate", False)
        monkeypatch.setattr(logger, "level", logging.INFO)
    client = app.test_client()
    sent = {"title": SECRET, "text": f"{SECRET}，镇里清河。"}
    client.post("/v1/predict", json=sent)
    client.post("/v1/submissions", json=sent)

    def fail(*_: object, **__: object) -> None:
        try:
            raise ValueError(f"INSERT … {SECRET}")
        except ValueError as error:
            raise RuntimeError(f"[parameters: {SECRET}]") from error

    monkeypatch.setattr("service.api.submissions.receive", fail)
    assert client.post("/v1/submissions", json=sent).status_code == 500

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (SECRET in stream.getvalue()) is asked_for
    (failure,) = [line for line in lines if "exception" in line]
    assert [one["kind"] for one in failure["exception"]] == [
        "builtins.RuntimeError",
        "builtins.ValueError",
    ]
    assert any(" fail" in place for place in failure["exception"][0]["places"])
    articles = [line["articles"] for line in lines if "articles" in line]
    assert articles == ([[sent], [sent]] if asked_for else [])
