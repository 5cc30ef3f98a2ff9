"""Claims about themes that change over HTTP: told before, done at once, taken back whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import Desk, staffed_desk
from made_submissions import new

from classifier.registry import Registry
from service.taxonomy import THEMES


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Iterator[Desk]:
    """A desk with a model and an account of every role."""
    with staffed_desk(tmp_path, models=str(registry.folder)) as made:
        yield made


def _ask(desk: Desk, method: str, path: str, body: Any = None, who: str = "administrator") -> Any:
    given = {} if body is None else {"json": body}
    return desk.ask(method, path, cookie=desk.cookie(who), **given)


def _slugs(desk: Desk) -> list[str]:
    return [theme["slug"] for theme in _ask(desk, "GET", "/v1/themes", who="reader").json["themes"]]


def test_a_preview_tells_what_a_step_touches_and_changes_nothing(desk: Desk) -> None:
    """Articles, submissions, tokens are counted; the file of steps is not there afterwards."""
    store = desk.app.extensions["gaoqian.store"]
    store.submissions.add([new("河长巡河"), new("清理垃圾")])
    registry = desk.app.extensions["gaoqian.models"]
    learned = registry.load().manifest.training["per_theme"]["environment"]
    told = _ask(desk, "POST", "/v1/taxonomy/preview", {"kind": "retire", "slug": "environment"})

    assert told.status_code == 200
    assert (told.json["learned"], told.json["submissions"]) == (learned, 2)
    assert f"训练稿 {learned} 篇" in told.json["sentence"]
    assert not (registry.folder / THEMES).exists()


def test_steps_are_taken_and_taken_back_one_by_one(desk: Desk) -> None:
    """Each shows at once; the way back leads to where it began; the wrong step is not taken back."""
    before = _slugs(desk)
    steps = [
        {"kind": "add", "slug": "farming", "name": "春耕", "examples": ["播种", " 播种 ", ""]},
        {"kind": "rename", "slug": "environment", "into": "ecology", "name": "生态"},
        {"kind": "merge", "slug": "elder_care", "into": "party_building"},
        {"kind": "retire", "slug": "farming"},
    ]
    for step in steps:
        assert _ask(desk, "POST", "/v1/taxonomy/changes", step).status_code == 201
    told = _ask(desk, "GET", "/v1/taxonomy", who="reader").json
    assert told["replaced"] == {
        "environment": "ecology", "elder_care": "party_building", "farming": None,
    }  # fmt: skip
    assert [one["kind"] for one in told["changes"]] == [step["kind"] for step in steps]
    assert {one["by"] for one in told["changes"]} == {"administrator"}

    assert _ask(desk, "POST", "/v1/taxonomy/undo", {"expected": 3}).status_code == 409
    for count in (4, 3, 2, 1):
        assert _ask(desk, "POST", "/v1/taxonomy/undo", {"expected": count}).status_code == 200
    assert _ask(desk, "POST", "/v1/taxonomy/undo", {"expected": 1}).status_code == 409
    assert _slugs(desk) == before


def test_a_merged_theme_is_listed_once_with_the_weaker_promise(desk: Desk) -> None:
    """Also before the next retraining, though the model has a column for either."""
    promises = {
        theme["slug"]: theme["promise"]
        for theme in _ask(desk, "GET", "/v1/themes", who="reader").json["themes"]
    }
    step = {"kind": "merge", "slug": "elder_care", "into": "party_building"}
    _ask(desk, "POST", "/v1/taxonomy/changes", step)

    for path in ("/v1/themes", "/v1/model"):
        themes = _ask(desk, "GET", path, who="reader").json["themes"]
        slugs = [theme["slug"] for theme in themes]
        assert slugs.count("party_building") == 1 and "elder_care" not in slugs
        (merged,) = [one for one in themes if one["slug"] == "party_building"]
        weaker = min(
            (promises[slug] for slug in ("elder_care", "party_building")),
            key=lambda one: (one["precision_kept"], one["precision_proved"] or 0),
        )
        assert merged["promise"] == weaker


def test_a_new_theme_can_be_given_before_a_model_knows_it(desk: Desk) -> None:
    """It is listed last, says that it is not learned, and an editor may set it."""
    store = desk.app.extensions["gaoqian.store"]
    (one,) = store.submissions.add([new("春耕正忙")]).submissions
    review = {"action": "set", "themes": ["farming"]}
    path = f"/v1/submissions/{one.id}/review"
    assert _ask(desk, "POST", path, review, who="editor").status_code == 422
    step = {"kind": "add", "slug": "farming", "name": "春耕"}
    _ask(desk, "POST", "/v1/taxonomy/changes", step)

    assert _slugs(desk)[-1] == "farming"
    added = _ask(desk, "GET", "/v1/themes", who="reader").json["themes"][-1]
    assert added["promise"]["articles"] == 0 and "没有学过" in added["promise"]["sentence"]
    assert _ask(desk, "POST", path, review, who="editor").json["themes"] == ["farming"]


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"kind": "add", "slug": "farming"}, 422),
        ({"kind": "add", "slug": "environment", "name": "环境"}, 409),
        ({"kind": "add", "slug": "Farming", "name": "春耕"}, 400),
        ({"kind": "add", "slug": "farming", "name": "春耕", "into": "environment"}, 422),
        ({"kind": "rename", "slug": "environment"}, 422),
        ({"kind": "rename", "slug": "nothing", "name": "无"}, 404),
        ({"kind": "merge", "slug": "environment"}, 422),
        ({"kind": "merge", "slug": "environment", "into": "environment"}, 404),
        ({"kind": "retire", "slug": "environment", "name": "环境"}, 422),
    ],
)
def test_what_makes_no_sense_is_refused_before_and_when_done(
    desk: Desk, step: dict[str, Any], status: int
) -> None:
    """Preview and step refuse alike, with a sentence; editors may do neither."""
    for path in ("/v1/taxonomy/preview", "/v1/taxonomy/changes"):
        refused = _ask(desk, "POST", path, step)
        assert refused.status_code == status
        assert refused.json["detail"]
        assert _ask(desk, "POST", path, step, who="editor").status_code == 403
