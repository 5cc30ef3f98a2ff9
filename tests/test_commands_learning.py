"""Claims about `gaoqian themes`, `corrections`, `models diff` and `models prune` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_submissions import new, tagging

from classifier.errors import Conflict, ModelMissing, NotFound
from classifier.registry import Registry
from service.cli import gaoqian
from service.lessons import SUSPECTS
from service.store import open_store
from service.store.records import Action
from service.taxonomy import THEMES
from tests.conftest import NOW


def _type(*words: str) -> str:
    told = CliRunner().invoke(gaoqian, [*words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.output


def test_a_dry_run_tells_what_is_touched_and_writes_nothing(registry: Registry) -> None:
    """The counts are those of the model; the file of steps is not there afterwards."""
    told = _type("themes", "retire", "environment", "--dry-run")

    learned = registry.load().manifest.training["per_theme"]["environment"]
    assert f"训练稿 {learned} 篇" in told
    assert not (registry.folder / THEMES).exists()


def test_steps_are_taken_listed_and_undone(registry: Registry) -> None:
    """Add, rename, merge, retire, and back again one by one."""
    _type("themes", "add", "farming", "--name", "春耕", "--example", "播种")
    _type("themes", "rename", "environment", "--slug", "ecology", "--name", "生态")
    _type("themes", "merge", "elder_care", "party_building")
    _type("themes", "retire", "farming")

    told = json.loads(_type("themes", "list", "--json"))
    assert [theme["slug"] for theme in told["themes"]] == [
        "investment_promotion",
        "party_building",
        "ecology",
    ]
    assert told["replaced"] == {
        "environment": "ecology",
        "elder_care": "party_building",
        "farming": None,
    }
    assert [change["kind"] for change in told["changes"]] == ["add", "rename", "merge", "retire"]
    for _ in range(4):
        _type("themes", "undo")
    with pytest.raises(Conflict):
        _type("themes", "undo")
    assert json.loads(_type("themes", "list", "--json"))["replaced"] == {}


def test_corrections_and_doubts_are_listed_for_programs(registry: Registry, tmp_path: Path) -> None:
    """One JSON object a line; an answered doubt is gone from the list."""
    store = open_store(str(tmp_path / "gaoqian.db"), clock=lambda: NOW)
    (one,) = store.submissions.add(
        [new("老人食堂开张。", tagging=tagging("environment"))]
    ).submissions
    store.reviews.review(one.id, Action.SET, by="林编辑", themes=("elder_care",))
    store.close()
    doubt = {
        "id": one.id,
        "title": "",
        "text": "老人食堂开张。",
        "themes": ["elder_care"],
        "theme": "elder_care",
        "labelled": True,
        "probability": 0.1,
    }
    beside = registry.path(registry.current_id()) / SUSPECTS
    beside.write_text(json.dumps({"suspects": [doubt], "contradictions": []}), encoding="utf-8")

    (told,) = map(json.loads, _type("corrections", "list", "--json").splitlines())
    assert (told["by"], told["fate"], told["themes"]) == ("林编辑", "waiting", ["elder_care"])
    assert _type("corrections", "list", "--by", "别人") == "共 0 条更正\n"
    (shown,) = map(json.loads, _type("corrections", "suspects", "--json").splitlines())
    assert shown["id"] == one.id
    _type("corrections", "keep", one.id)
    assert "没有可疑" in _type("corrections", "suspects")
    _type("corrections", "reopen", one.id)
    assert one.id in _type("corrections", "suspects")
    with pytest.raises(NotFound):
        _type("corrections", "change", "nothing", "elder_care")


def test_pruning_keeps_what_serves_and_what_it_came_from(
    registry: Registry, packed_model: dict[str, bytes]
) -> None:
    """Of six versions the newest, the one in service and the one before it stay."""
    first = registry.current_id()
    names = [f"20990101-{number:06x}" for number in range(5)]
    for name in names:
        registry.add(name, packed_model)
    registry.promote(names[0], now=NOW, by="test")

    assert _type("models", "prune", "--keep", "1", "--dry-run").count("会删去") == 3
    _type("models", "prune", "--keep", "1")
    left = {version.id for version in registry.versions()}
    assert {first, names[0]} < left
    assert len(left) == 3
    with pytest.raises(Conflict):
        registry.remove(names[0])
    with pytest.raises(ModelMissing):
        registry.remove("20990101-zzzzzz")


def test_two_versions_of_the_same_files_differ_in_nothing(
    registry: Registry, packed_model: dict[str, bytes]
) -> None:
    """No data, promise or label is told as changed."""
    registry.add("20990101-000001", packed_model)
    told = json.loads(_type("models", "diff", "20990101-000001", "--json"))

    assert (told["changed"], told["themes"]) == ({}, {})
    assert told["labels"] == {"added": 0, "removed": 0, "relabelled": []}
