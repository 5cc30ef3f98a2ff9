"""Claims about service.today: the minutes are spent well, the audit is blind, alarms mean something."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from made_submissions import THEMES, new, tagging

from classifier.article import Decision
from classifier.registry import Registry
from service.cli import gaoqian
from service.store import Store, open_store
from service.store.records import Action, Submission
from service.today import (
    SECONDS_EACH,
    Why,
    alarms,
    find_drift,
    live_precision,
    plan_today,
    read_draws,
    share_interval,
)
from training.gate import precision_interval


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty store; the databases are compared elsewhere."""
    opened = open_store(str(tmp_path / "today.db"), clock=clock)
    yield opened
    opened.close()


def _fill(
    store: Store, count: int, *, decision: Decision, theme: str = "environment", **fields: float
) -> Sequence[Submission]:
    """Submissions that a model tagged alike."""
    made = [
        new(
            f"{decision}的第{number}篇{sorted(fields.items())}",
            tagging=replace(
                tagging(theme, decision=decision), coverage=fields.get("coverage", 0.75)
            ),
            doubt=fields.get("doubt", 0.5),
        )
        for number in range(count)
    ]
    return store.submissions.add(made).submissions


def test_the_budget_is_kept_and_the_audit_never_empty(
    store: Store, registry: Registry, clock: Clock
) -> None:
    """However little time: at least one article settled by the model, shown blind."""
    _fill(store, 60, decision=Decision.REVIEW)
    _fill(store, 60, decision=Decision.AUTO)
    for minutes in (0.5, 5, 20):
        items = plan_today(store, registry, minutes=minutes, now=clock.now)

        assert len(items) == max(1, int(minutes * 60 / SECONDS_EACH))
        audit = [item for item in items if item.why is Why.AUDIT]
        assert audit
        assert all(item.blind and item.submission.state == "auto" for item in audit)
        assert all(item.blind is (item.why is Why.AUDIT) for item in items)
        assert len({item.submission.id for item in items}) == len(items)


def test_what_the_model_hardly_knows_is_on_the_list(
    store: Store, registry: Registry, clock: Clock
) -> None:
    """Below the model's floor of coverage an article is called unfamiliar, the strangest first."""
    _fill(store, 40, decision=Decision.REVIEW, doubt=0.9)
    strange = _fill(store, 3, decision=Decision.REVIEW, doubt=0.1, coverage=0.05)

    items = plan_today(store, registry, minutes=10, now=clock.now)

    unfamiliar = [item.submission.id for item in items if item.why is Why.UNFAMILIAR]
    assert set(unfamiliar) == {one.id for one in strange}


def test_a_draw_stays_until_it_is_answered(store: Store, registry: Registry, clock: Clock) -> None:
    """Asking twice draws once; what is answered makes room for another."""
    _fill(store, 50, decision=Decision.AUTO)
    first = plan_today(store, registry, minutes=10, now=clock.now)
    again = plan_today(store, registry, minutes=10, now=clock.now)
    assert [item.submission.id for item in first] == [item.submission.id for item in again]

    clock.now += timedelta(minutes=1)
    store.reviews.review(first[0].submission.id, Action.CONFIRM, by="林编辑")
    later = plan_today(store, registry, minutes=10, now=clock.now)
    assert first[0].submission.id not in {item.submission.id for item in later}
    assert len(read_draws(registry)) == len(first) + 1


def test_live_precision_is_that_of_the_audit_alone(
    store: Store, registry: Registry, clock: Clock
) -> None:
    """Answers to doubted articles do not count; those drawn do, right and wrong."""
    _fill(store, 200, decision=Decision.AUTO)
    doubted = _fill(store, 30, decision=Decision.REVIEW)
    for one in doubted:
        store.reviews.review(one.id, Action.NONE, by="林编辑")
    items = plan_today(store, registry, minutes=200, now=clock.now)
    audit = [item.submission.id for item in items if item.why is Why.AUDIT]
    clock.now += timedelta(minutes=1)
    for id in audit[:40]:
        store.reviews.review(id, Action.CONFIRM, by="林编辑")
    for id in audit[40:]:
        store.reviews.review(id, Action.SET, by="林编辑", themes=("elder_care",))

    live = {one.theme: one for one in live_precision(store, registry, now=clock.now)}

    assert (live["environment"].audited, live["environment"].right) == (len(audit), 40)
    assert live["elder_care"].missed == len(audit) - 40
    assert live["party_building"].audited == 0
    assert live["environment"].broken
    (alarm,) = [one for one in alarms(store, registry, now=clock.now) if "环境" in one]
    assert "没有守住" in alarm


def test_a_promise_that_holds_raises_no_alarm(
    store: Store, registry: Registry, clock: Clock
) -> None:
    """Sixty audits, all right: kept or not yet certain, never broken."""
    _fill(store, 100, decision=Decision.AUTO)
    items = plan_today(store, registry, minutes=200, now=clock.now)
    clock.now += timedelta(minutes=1)
    for item in items:
        store.reviews.review(item.submission.id, Action.CONFIRM, by="林编辑")

    assert alarms(store, registry, now=clock.now) == ()


def _stream(store: Store, clock: Clock, count: int, weights: Sequence[float], seed: int) -> None:
    chance = random.Random(seed)
    made = []
    for number in range(count):
        theme = chance.choices(THEMES, weights)[0]
        scores = {slug: 0.95 if slug == theme else 0.05 * chance.random() for slug in THEMES}
        made.append(
            new(
                f"{clock.now}{seed}{number}",
                tagging=replace(
                    tagging(theme, decision=Decision.AUTO, **scores),
                    coverage=chance.gauss(0.8, 0.05),
                ),
            )
        )
    store.submissions.add(made)


def test_drift_is_told_and_chance_is_not(store: Store, clock: Clock) -> None:
    """The same mix again is no alarm; a theme that doubles its share is, by its name."""
    clock.now -= timedelta(days=60)
    _stream(store, clock, 600, (4, 3, 2, 1), seed=1)
    clock.now += timedelta(days=55)
    _stream(store, clock, 300, (4, 3, 2, 1), seed=2)
    clock.now += timedelta(days=5)
    assert find_drift(store, now=clock.now) == ()

    _stream(store, clock, 500, (1, 1, 1, 7), seed=3)
    drifts = find_drift(store, now=clock.now)
    assert "elder_care" in {drift.what for drift in drifts}
    assert all(drift.index > drift.limit for drift in drifts)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.data())
def test_the_interval_is_that_of_scipy(count: int, data: st.DataObject) -> None:
    """Clopper and Pearson's, computed here without scipy, which the service does not load."""
    right = data.draw(st.integers(0, count))
    assert share_interval(right, count) == pytest.approx(precision_interval(right, count), abs=1e-6)


def test_the_command_shows_no_opinion_on_audited_articles(
    store: Store, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither themes nor a reason stand behind 抽查."""
    monkeypatch.setenv("GAOQIAN_DATABASE", str(tmp_path / "today.db"))
    _fill(store, 20, decision=Decision.AUTO)
    _fill(store, 20, decision=Decision.REVIEW)
    told = CliRunner().invoke(gaoqian, ["today", "--minutes", "10"], catch_exceptions=False)

    lines = told.output.splitlines()
    kinds = Counter(line.split("  ")[1] for line in lines if "  " in line)
    assert kinds["抽查"] >= 1
    for line in lines:
        if "  抽查  " in line:
            assert "environment" not in line
        if "  拿不准  " in line:
            assert "environment" in line
