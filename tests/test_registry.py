"""Claims about classifier.registry."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from classifier.errors import Conflict, GaoqianError, ModelDamaged, ModelMissing, ModelRefused
from classifier.model import ARRAYS, MANIFEST
from classifier.registry import POINTER, Registry
from tests.conftest import NOW
from training.fit import Trained


def _twin(registry: Registry, packed: dict[str, bytes], version: str) -> str:
    """The same files under another folder name."""
    registry.add(version, packed)
    return version


def test_the_promoted_version_is_the_one_that_loads(registry: Registry, trained: Trained) -> None:
    """What `promote` named is what a reader gets."""
    assert registry.current_id() == trained.manifest.id
    assert registry.load().id == trained.manifest.id


def test_an_empty_folder_says_that_nothing_is_trained_yet(tmp_path: Path) -> None:
    """The sentence names the command that helps."""
    with pytest.raises(ModelMissing, match="gaoqian train"):
        Registry(tmp_path).load()


@pytest.mark.parametrize("content", ["../../etc\n", "\x00\n", "A/B", "党"])
def test_a_pointer_that_is_no_version_is_never_followed(registry: Registry, content: str) -> None:
    """A planted pointer leads nowhere."""
    (registry.folder / POINTER).write_text(content, encoding="utf-8")

    with pytest.raises(ModelMissing):
        registry.load()


def test_rollback_goes_back_and_is_written_down(
    registry: Registry, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """One command undoes a promotion, and history tells both."""
    first = trained.manifest.id
    second = _twin(registry, packed_model, "20261125-aaaaaa")
    registry.promote(second, now=NOW, by="editor")

    assert registry.rollback(now=NOW, by="technician") == first
    assert registry.current_id() == first
    assert [(one["from"], one["to"], one["by"]) for one in registry.history()[-2:]] == [
        (first, second, "editor"),
        (second, first, "technician"),
    ]


def test_a_damaged_version_is_not_promoted(
    registry: Registry, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """The old one stays in service."""
    broken = {**packed_model, ARRAYS: packed_model[ARRAYS][:-9] + b"123456789"}
    registry.add("20261126-bbbbbb", broken)

    with pytest.raises(ModelDamaged):
        registry.promote("20261126-bbbbbb", now=NOW, by="editor")
    assert registry.current_id() == trained.manifest.id


def test_of_many_racing_promotions_one_wins(
    registry: Registry, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """All expect the same predecessor: one is carried out, the others are told; no mix."""
    names = [_twin(registry, packed_model, f"20261127-{number:06x}") for number in range(8)]
    told: list[str] = []

    def race(name: str) -> None:
        try:
            registry.promote(name, now=NOW, by=name, expected=trained.manifest.id)
            told.append(name)
        except Conflict:
            told.append("")

    threads = [threading.Thread(target=race, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len([name for name in told if name]) == 1
    assert registry.current_id() == next(name for name in told if name)
    assert len(registry.history()) == 2


def test_what_a_killed_write_left_is_not_a_version(
    registry: Registry, packed_model: dict[str, bytes]
) -> None:
    """A partial folder is not listed, and the next write clears it away."""
    partial = registry.folder / ".part-killed"
    partial.mkdir()
    (partial / MANIFEST).write_bytes(packed_model[MANIFEST])

    assert [version.id for version in registry.versions() if version.id.startswith(".")] == []
    registry.add("20261128-cccccc", packed_model)
    assert not partial.exists()


def test_a_damaged_version_is_listed_with_its_problem(
    registry: Registry, packed_model: dict[str, bytes]
) -> None:
    """`models list` shows what cannot be used, and why."""
    registry.add("20261129-dddddd", {**packed_model, MANIFEST: b"{}"})

    problems = {version.id: version.problem for version in registry.versions()}
    assert problems["20261129-dddddd"]
    with pytest.raises(ModelRefused):
        registry.load("20261129-dddddd")


def test_an_unknown_version_is_named(registry: Registry) -> None:
    """The refusal says which, and how to see those there are."""
    with pytest.raises(GaoqianError, match=r"20990101-ffffff.*models list"):
        registry.path("20990101-ffffff")
