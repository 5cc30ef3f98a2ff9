"""Claims about 今日待审 over HTTP: the audit is blind to its end, and the figures are those of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desks import Desk, staffed_desk
from made_submissions import THEMES, new, tagging

from classifier.article import Decision
from classifier.registry import Registry
from service.api.slips import SubmissionReply
from service.store import Store
from service.store.records import Submission

_SECOND = timedelta(seconds=1)
OPINIONS = {"themes", "themes_by", "scores", "decision", "state", "doubt", "coverage", "model",
            "evidence", "taggings", "history"}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Iterator[Desk]:
    """A desk with a model and an account of every role."""
    with staffed_desk(tmp_path, models=str(registry.folder)) as made:
        yield made


def _fill(desk: Desk, count: int, decision: Decision) -> tuple[Submission, ...]:
    store = desk.app.extensions["gaoqian.store"]
    assert isinstance(store, Store)
    made = [
        new(f"{decision}第{number}篇", tagging=tagging("environment", decision=decision))
        for number in range(count)
    ]
    return store.submissions.add(made).submissions


def _get(desk: Desk, path: str, who: str = "editor") -> Any:
    answer = desk.ask("GET", path, cookie=desk.cookie(who))
    assert answer.status_code == 200, answer.text
    return answer.json


def _names(value: Any) -> set[str]:
    """Every name of a field anywhere in a JSON value."""
    match value:
        case dict():
            return {*value}.union(*map(_names, value.values()))
        case list():
            return set().union(*map(_names, value))
    return set()


def test_the_budget_is_filled_and_says_why(desk: Desk) -> None:
    """Ten minutes are fifteen articles, each with a reason; longer ones are more."""
    _fill(desk, 40, Decision.REVIEW)
    _fill(desk, 20, Decision.AUTO)
    told = _get(desk, "/v1/today?minutes=10")

    assert len(told["items"]) == 10 * 60 // told["seconds_each"]
    assert told["waiting"] == 40
    assert {one["why"] for one in told["items"]} == {"unsure", "audit"}
    assert all(one["sentence"] for one in told["items"])
    assert len(_get(desk, "/v1/today?minutes=20")["items"]) > len(told["items"])


def test_an_audited_article_comes_without_an_opinion_until_it_is_answered(desk: Desk) -> None:
    """Neither in the list nor when it is fetched: no field, no theme, no model; then all of it."""
    _fill(desk, 20, Decision.AUTO)
    (blind, *_) = [one for one in _get(desk, "/v1/today")["items"] if one["blind"]]
    fetched = _get(desk, f"/v1/today/{blind['id']}")

    assert fetched["blind"] and fetched["slip"] is None
    assert fetched["article"]["text"]
    for told in (blind, fetched):
        assert not _names(told) & OPINIONS
        assert not [word for word in (*THEMES, "auto", "m1") if f'"{word}"' in json.dumps(told)]
    assert {*SubmissionReply.model_fields} >= OPINIONS - {"evidence", "taggings", "history"}

    asked = {"action": "set", "themes": ["elder_care"], "version": fetched["article"]["version"]}
    path = f"/v1/submissions/{blind['id']}/review"
    desk.clock.now += _SECOND
    assert desk.ask("POST", path, cookie=desk.cookie("editor"), json=asked).status_code == 200
    answered = _get(desk, f"/v1/today/{blind['id']}")
    assert not answered["blind"]
    assert answered["slip"]["taggings"][0]["themes"] == ["environment"]
    live = {one["theme"]: one for one in _get(desk, "/v1/precision", "reader")["themes"]}
    assert (live["environment"]["audited"], live["environment"]["right"]) == (1, 0)
    assert live["elder_care"]["missed"] == 1


def test_what_was_not_drawn_comes_with_its_slip(desk: Desk) -> None:
    """A doubted article is shown with what the model says, and why."""
    (one,) = _fill(desk, 1, Decision.REVIEW)
    fetched = _get(desk, f"/v1/today/{one.id}")

    assert not fetched["blind"]
    assert fetched["slip"]["themes"] == ["environment"]
    assert fetched["slip"]["id"] == fetched["article"]["id"] == one.id


def test_an_article_passed_on_is_for_somebody_else_and_still_blind(desk: Desk) -> None:
    """Whoever was unsure does not get it again; the second editor is not told either."""
    _fill(desk, 1, Decision.AUTO)
    (item,) = _get(desk, "/v1/today")["items"]
    desk.clock.now += _SECOND
    path = f"/v1/submissions/{item['id']}/review"
    desk.ask("POST", path, cookie=desk.cookie("editor"), json={"action": "unsure"})

    assert _get(desk, "/v1/today")["items"] == []
    (again,) = _get(desk, "/v1/today", "administrator")["items"]
    assert (again["id"], again["blind"], again["why"]) == (item["id"], True, "audit")
    assert _get(desk, f"/v1/today/{item['id']}", "administrator")["slip"] is None


def test_what_a_colleague_has_open_is_not_on_the_list(desk: Desk) -> None:
    """Also of the audit: two editors who begin at once do not answer the same draw."""
    _fill(desk, 2, Decision.AUTO)
    (first,) = _get(desk, "/v1/today?minutes=1")["items"]
    desk.ask("POST", f"/v1/submissions/{first['id']}/lock", cookie=desk.cookie("editor"))
    (second,) = _get(desk, "/v1/today?minutes=1", "administrator")["items"]

    assert second["id"] != first["id"]
    assert [one["id"] for one in _get(desk, "/v1/today?minutes=1")["items"]] == [first["id"]]


def test_a_broken_promise_is_an_alarm_that_names_the_theme(desk: Desk) -> None:
    """Twelve audits, all wrong: the sentence says which theme and how many."""
    _fill(desk, 60, Decision.AUTO)
    assert _get(desk, "/v1/alarms", "reader") == {"alarms": []}
    drawn = [one for one in _get(desk, "/v1/today?minutes=40")["items"] if one["blind"]]
    desk.clock.now += _SECOND
    for one in drawn:
        path = f"/v1/submissions/{one['id']}/review"
        desk.ask("POST", path, cookie=desk.cookie("editor"), json={"action": "none"})

    (alarm, *_) = _get(desk, "/v1/alarms", "reader")["alarms"]
    assert "环境" in alarm and "没有守住" in alarm and f"抽查 {len(drawn)} 篇" in alarm
