"""What Prometheus may ask: requests, slips, the queue, the model, the last retraining.

Counts are kept by each process and added up for whoever asks (gunicorn's workers share a folder
of small files); what a look at database and models folder tells is looked up when asked. Labels
are routes, themes, decisions, states and model ids: never a title, a submission or a person.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from classifier.errors import GaoqianError
from classifier.registry import Registry
from service.retrain import Stage, read_status
from service.serving import ServingStatus
from service.store import Store

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where processes leave their counts; read once, when prometheus_client is imported."""

disable_created_metrics()  # type: ignore[no-untyped-call]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1)


class Slip(Protocol):
    """What is counted of a tagging, fresh or stored."""

    @property
    def themes(self) -> tuple[str, ...]: ...
    @property
    def decision(self) -> str: ...
    @property
    def coverage(self) -> float: ...


class Metrics:
    """The counts of one application."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._loaded: datetime | None = None
        self.registry = registry = CollectorRegistry()
        # A count by its labels is looked up once: that takes a lock and longer than counting.
        self._requests = cache(
            Counter(
                "http_requests",
                "Requests answered.",
                ["method", "route", "status"],
                registry=registry,
            ).labels
        )
        self._seconds = cache(
            Histogram(
                "http_request_duration_seconds",
                "Time until an answer began.",
                ["method", "route"],
                buckets=_SECONDS,
                registry=registry,
            ).labels
        )
        self._refusals = Counter(
            "tagger_refusals",
            "Requests refused, by kind of problem.",
            ["problem"],
            registry=registry,
        )
        self._taggings = cache(
            Counter(
                "tagger_taggings", "Articles tagged over HTTP.", ["decision"], registry=registry
            ).labels
        )
        self._predictions = cache(
            Counter(
                "tagger_predictions",
                "Themes given to articles tagged over HTTP.",
                ["theme", "decision"],
                registry=registry,
            ).labels
        )
        self._coverage = Histogram(
            "tagger_coverage_ratio",
            "Share of an article's features that the model knows.",
            buckets=_SHARES,
            registry=registry,
        )
        self._reload_failures = Counter(
            "tagger_model_reload_failures",
            "Promoted models that a process could not take.",
            registry=registry,
        )

    def answered(
        self, *, method: str, route: str, status: int, seconds: float, problem: str
    ) -> None:
        """Count a request; `route` is the rule it matched, `problem` the slug of a refusal."""
        method = method if method in _METHODS else "other"
        self._requests(method, route, str(status)).inc()
        self._seconds(method, route).observe(seconds)
        if problem:
            self._refusals.labels(problem).inc()

    def tagged(self, slips: Iterable[Slip]) -> None:
        """Count the slips of articles that came over HTTP."""
        for slip in slips:
            decision = str(slip.decision)
            self._taggings(decision).inc()
            self._coverage.observe(slip.coverage)
            for theme in slip.themes:
                self._predictions(theme, decision).inc()

    def model_answers(self, version: str, problem: str) -> None:
        """Note that this process took a promoted model, or why it could not."""
        if problem:
            self._reload_failures.inc()
        else:
            self._loaded = self._now()

    def exposition(self, status: ServingStatus, store: Store, models: Registry) -> bytes:
        """Everything in Prometheus's text format, `status` being that of the answering process."""
        folder = os.environ.get(FOLDER_VARIABLE)
        counts = CollectorRegistry() if folder else self.registry
        if folder:
            MultiProcessCollector(counts, path=folder)  # type: ignore[no-untyped-call]
        found = CollectorRegistry()
        found.register(_Fixed([*_model(status, self._loaded), *_queue(store), *_retrain(models)]))
        return generate_latest(counts) + generate_latest(found)


class _Fixed(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _model(status: ServingStatus, loaded: datetime | None) -> Iterable[Metric]:
    info = GaugeMetricFamily("tagger_model_info", "The model in service.", labels=["version"])
    if status.serving is not None:
        info.add_metric([status.serving], 1)
    yield info
    if loaded is not None:
        yield _gauge(
            "tagger_model_loaded_timestamp_seconds",
            "When the answering process took its model.",
            loaded.timestamp(),
        )
    yield _gauge(
        "tagger_model_lag_seconds",
        "For how long the answering process has served another model than the promoted one.",
        status.lag,
    )


def _queue(store: Store) -> Iterable[Metric]:
    length = GaugeMetricFamily(
        "tagger_queue_length", "Submissions by state, twins folded.", labels=["state"]
    )
    try:
        for state, count in store.submissions.states().items():
            length.add_metric([str(state)], count)
        up = 1
    except GaoqianError:
        up = 0
    yield _gauge("tagger_database_up", "Whether the database answered just now.", up)
    if up:
        yield length


def _retrain(models: Registry) -> Iterable[Metric]:
    status = read_status(models)
    outcome = GaugeMetricFamily(
        "tagger_retrain_outcome", "1 for how the last retraining ended.", labels=["outcome"]
    )
    for stage in Stage:
        outcome.add_metric([str(stage)], status.stage is stage)
    yield outcome
    if status.at and status.since:
        at, since = datetime.fromisoformat(status.at), datetime.fromisoformat(status.since)
        yield _gauge(
            "tagger_retrain_timestamp_seconds",
            "When the last retraining last said something.",
            at.timestamp(),
        )
        yield _gauge(
            "tagger_retrain_duration_seconds",
            "How long the last retraining took, or has taken so far.",
            (at - since).total_seconds(),
        )


def _gauge(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, value=value)
