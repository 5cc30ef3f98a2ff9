"""Claims about service.retrain and its command: what is learned, who is promoted, what a kill leaves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import Clock
from lessons import QUICK, shortened, without, written

from classifier.article import Article, Decision, Tagging
from classifier.errors import Conflict, GaoqianError
from classifier.model import Classifier, digest
from classifier.registry import Registry
from service.answers import Answer, pin, read_pinned, unpin
from service.commands.retraining import recipe_as_serving
from service.lessons import (
    answer_suspect,
    corrections_told,
    gather,
    gather_corrections,
    open_suspects,
)
from service.receive import Piece, receive
from service.retrain import (
    GATE,
    GATE_PAGE,
    LOCK,
    Retrained,
    Stage,
    read_status,
    retrain,
)
from service.store import Store, open_store
from service.store.records import Action, NewSubmission
from service.taxonomy import Change, Kind, Taxonomy, write_step
from service.versions import compare_versions, superfluous
from tests.conftest import NOW
from training.gate import Rules
from training.labelled import Corpus

RULES = Rules(rounds=500)


@pytest.fixture(scope="module")
def lesson(corpus: Corpus) -> Corpus:
    """Every fourth bundled article, cut short."""
    return shortened(corpus, every=4, length=120)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty store; the databases are compared elsewhere."""
    opened = open_store(str(tmp_path / "lessons.db"), clock=clock)
    yield opened
    opened.close()


def _run(
    folder: Path, corpus: Path, *, store: Store | None = None, by: str = "cron", day: int = 0
) -> Retrained:
    return retrain(
        Registry(folder),
        paths=[corpus],
        store=store,
        clock=lambda: NOW + timedelta(days=day),
        by=by,
        recipe=QUICK,
        rules=RULES,
        jobs=1,
    )


@pytest.fixture(scope="module")
def served_folder(lesson: Corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A models folder after a first retraining, and the corpus file it learned from."""
    folder = tmp_path_factory.mktemp("served")
    corpus = written(folder / "base.jsonl", lesson.articles)
    assert _run(folder / "models", corpus).stage is Stage.PROMOTED
    return folder / "models", corpus


@pytest.fixture
def serving(served_folder: tuple[Path, Path], tmp_path: Path) -> tuple[Registry, Path]:
    """A copy of it to do with as a test likes."""
    folder, corpus = served_folder
    subprocess.run(["cp", "-a", str(folder), str(tmp_path / "models")], check=True)
    return Registry(tmp_path / "models"), corpus


def _submit(
    store: Store, text: str, themes: tuple[str, ...], *, title: str = "", model: str = "m1"
) -> str:
    """A submission as a model tagged it."""
    tagging = Tagging("", title, themes, Decision.REVIEW, {"environment": 0.5}, 0.9, model)
    added = store.submissions.add(
        [NewSubmission(title, text, "http", text[:50] or title, tagging=tagging)]
    )
    return added.submissions[0].id


def test_unchanged_labels_change_nothing(serving: tuple[Registry, Path]) -> None:
    """The same corpus again: says so, trains nothing, leaves one version."""
    registry, corpus = serving
    outcome = _run(registry.folder, corpus, day=1)

    assert outcome.stage is Stage.UNCHANGED
    assert "没有变化" in outcome.sentence
    assert len(registry.versions()) == 1
    assert read_status(registry).stage is Stage.UNCHANGED


def test_a_refused_candidate_is_kept_and_not_served(
    serving: tuple[Registry, Path], lesson: Corpus, tmp_path: Path
) -> None:
    """A theme's articles are gone: the old model serves on, the report lies with the new one."""
    registry, _ = serving
    before = registry.current_id()
    poor = written(tmp_path / "poor.jsonl", without(lesson, "elder_care").articles)

    outcome = _run(registry.folder, poor, day=1)

    assert outcome.stage is Stage.REFUSED
    assert registry.current_id() == before
    assert outcome.version in [version.id for version in registry.versions()]
    verdict = json.loads((registry.folder / outcome.version / GATE).read_text("utf-8"))
    assert verdict["promoted"] is False
    assert "养老" in (registry.folder / outcome.version / GATE_PAGE).read_text("utf-8")
    assert superfluous(registry, keep=1) == []
    assert superfluous(registry, keep=0) == [outcome.version]


def test_what_was_refused_is_not_trained_again_until_something_changes(
    serving: tuple[Registry, Path], lesson: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same labels against the same model and pins: refused at once; other pins, trained anew."""
    registry, _ = serving
    poor = written(tmp_path / "poor.jsonl", without(lesson, "elder_care").articles)
    first = _run(registry.folder, poor, day=1)
    trained: list[str] = []

    def refuse_to_train(*_: object, **__: object) -> None:
        trained.append("asked")
        raise GaoqianError("asked to train")

    monkeypatch.setattr("training.fit.train", refuse_to_train)
    again = _run(registry.folder, poor, day=8)

    assert (again.stage, again.version, again.verdict) == (Stage.REFUSED, first.version, None)
    assert first.version in again.sentence and "养老" in again.sentence
    assert trained == [] and len(registry.versions()) == 2
    pin(registry, Answer(Article("河长巡河。", "", "p1"), ("environment",)), now=NOW, by="王主任")
    with pytest.raises(GaoqianError, match="asked to train"):
        _run(registry.folder, poor, day=9)


def test_a_tuned_recipe_is_carried_over(serving: tuple[Registry, Path]) -> None:
    """The serving model's whole recipe is used again; a promise asked for here replaces its own."""
    registry, _ = serving
    manifest = registry.path(registry.current_id()) / "manifest.json"
    record = json.loads(manifest.read_text("utf-8"))
    tuned = {**record["training"]["recipe"], "cost": 1.5, "smoothing": 0.07, "promise": 0.9}
    record["training"]["recipe"] = tuned
    record.pop("digest")
    record["digest"] = digest(json.dumps(record, ensure_ascii=False, sort_keys=True).encode())
    manifest.write_text(json.dumps(record, ensure_ascii=False))

    recipe, _words = recipe_as_serving(registry, None, None)
    assert recipe.as_json() == tuned
    recipe, _words = recipe_as_serving(registry, 0.95, None)
    assert recipe.as_json() == {**tuned, "promise": 0.95}


def test_only_what_a_person_settled_is_learned(
    serving: tuple[Registry, Path], store: Store
) -> None:
    """Of four submissions the confirmed and the corrected one are in the lesson, no other."""
    registry, corpus = serving
    texts = [
        f"{word}，村里又有新变化，群众都说好。" for word in ("河长巡河", "签约", "助餐", "党课")
    ]
    ids = [_submit(store, text, ("environment",)) for text in texts]
    store.reviews.review(ids[0], Action.CONFIRM, by="林编辑")
    store.reviews.review(ids[1], Action.SET, by="林编辑", themes=("investment_promotion",))
    store.reviews.review(ids[2], Action.UNSURE, by="林编辑")

    lesson = gather(registry.folder, paths=[corpus], store=store, taxonomy=Taxonomy())

    learned = {one.article.id: one.themes for one in lesson.corpus.articles}
    assert lesson.reviewed == 2
    assert learned[ids[0]] == {"environment"}
    assert learned[ids[1]] == {"investment_promotion"}
    assert not {ids[2], ids[3]} & set(learned)


def test_of_one_text_the_latest_word_counts(
    serving: tuple[Registry, Path], store: Store, lesson: Corpus
) -> None:
    """A review goes before the corpus file, and the article is learned once."""
    registry, corpus = serving
    known = lesson.articles[0]
    id = _submit(store, known.article.text, (), title=known.article.title)
    store.reviews.review(id, Action.SET, by="林编辑", themes=("elder_care",))

    gathered = gather(registry.folder, paths=[corpus], store=store, taxonomy=Taxonomy())

    same = [one for one in gathered.corpus.articles if one.article.text == known.article.text]
    assert [(one.article.id, one.themes) for one in same] == [(id, {"elder_care"})]
    assert len(gathered.corpus.articles) == len(lesson.articles)


def test_corrections_are_told_to_the_editor_who_made_them(
    serving: tuple[Registry, Path], store: Store, clock: Clock, corpus: Corpus
) -> None:
    """Learned, overruled, waiting: every correction has its fate, none is lost."""
    registry, path = serving
    fresh = [one for one in shortened(corpus, every=4, offset=1, length=120).articles if one.themes]
    ids = [_submit(store, one.article.text, (), title=one.article.title) for one in fresh[:12]]
    for id, one in zip(ids, fresh, strict=False):
        store.reviews.review(id, Action.SET, by="林编辑", themes=sorted(one.themes))
    store.reviews.review(ids[0], Action.SET, by="王主任", themes=("environment", "elder_care"))
    assert {one["fate"] for one in corrections_told(registry, store)} == {"waiting", "overruled"}

    outcome = _run(registry.folder, path, store=store, day=1)
    clock.now += timedelta(days=2)
    late = _submit(store, "新来的一篇，老人食堂开张。", ("environment",))
    store.reviews.review(late, Action.SET, by="林编辑", themes=("elder_care",))

    told = corrections_told(registry, store)
    assert outcome.stage is Stage.PROMOTED, outcome.sentence
    assert len(told) == len(gather_corrections(store)) == 14
    fates = {(one["submission"], one["by"]): one["fate"] for one in told}
    assert fates[ids[0], "林编辑"] == "overruled"
    assert fates[late, "林编辑"] == "waiting"
    assert "learned" in fates.values()
    for one in told:
        assert bool(one["opposites"]) <= (one["fate"] == "not_yet")


def test_a_doubted_label_is_answered_once(store: Store, lesson: Corpus, tmp_path: Path) -> None:
    """Kept or changed, it is doubted no more; changed, the next lesson says so."""
    wrong = [
        replace(one, themes=one.themes ^ {"environment"}) if place % 25 == 0 else one
        for place, one in enumerate(lesson.articles)
    ]
    noisy = written(tmp_path / "noisy.jsonl", tuple(wrong))
    fresh = Registry(tmp_path / "fresh")
    _run(fresh.folder, noisy)
    doubted = open_suspects(fresh, store)
    assert doubted

    answer_suspect(fresh, store, doubted[0]["id"], None, now=NOW, by="林编辑")
    answer_suspect(fresh, store, doubted[1]["id"], ["elder_care"], now=NOW, by="林编辑")

    left = [one["id"] for one in open_suspects(fresh, store)]
    assert left == [one["id"] for one in doubted[2:]]
    gathered = gather(fresh.folder, paths=[noisy], store=store, taxonomy=Taxonomy())
    labels = {one.article.id: one.themes for one in gathered.corpus.articles}
    assert labels[doubted[0]["id"]] == set(doubted[0]["themes"])
    assert labels[doubted[1]["id"]] == {"elder_care"}


def test_pinned_articles_are_kept_once_and_let_go(serving: tuple[Registry, Path]) -> None:
    """Pinning again changes the themes, unpinning forgets."""
    registry, _ = serving
    article = Article("六月二十日，河长在岸边清点垃圾。", "河长巡河", "p1")
    pin(registry, Answer(article, ()), now=NOW, by="林编辑")
    pin(registry, Answer(article, ("environment",)), now=NOW, by="王主任")

    (kept,) = read_pinned(registry.folder)
    assert (kept.themes, kept.by) == (("environment",), "王主任")
    unpin(registry, "p1")
    assert read_pinned(registry.folder) == ()
    (registry.folder / "pinned.jsonl").write_text('{"id": "x"}\n')
    with pytest.raises(GaoqianError, match=r"pinned\.jsonl:1"):
        read_pinned(registry.folder)


def test_a_new_theme_with_thirty_articles_hurts_nobody(
    lesson: Corpus, corpus: Corpus, tmp_path: Path
) -> None:
    """It is tagged, what is unsure of it goes to review, and the others keep their F1."""
    registry = Registry(tmp_path / "models")
    known = without(lesson, "elder_care")
    _run(registry.folder, written(tmp_path / "known.jsonl", known.articles))
    new = Change(Kind.ADD, "ageing", name="老龄", definition="面向老年人的服务")
    write_step(registry, new, registry.load().manifest.themes, now=NOW, by="林编辑")
    old = [
        replace(one, themes=one.themes - {"elder_care"} | {"ageing"})
        for one in shortened(corpus, every=1, length=120).articles
        if "elder_care" in one.themes
    ]
    grown = written(tmp_path / "grown.jsonl", (*known.articles, *old[:30]))

    outcome = _run(registry.folder, grown, day=1)

    assert outcome.stage is Stage.PROMOTED, outcome.sentence
    assert outcome.verdict is not None
    assert all(one.passed for one in outcome.verdict.themes)
    model = registry.load()
    assert "老龄" in [theme.name for theme in model.manifest.themes]
    slips = [*model.tag_many(one.article for one in old[30:])]
    tagged = [slip for slip in slips if "ageing" in slip.themes]
    assert len(tagged) > len(slips) / 2
    # Thirty articles prove nothing: whoever has the theme is looked at.
    assert {slip.decision for slip in tagged} == {Decision.REVIEW}
    assert sum(slip.decision is Decision.NONE for slip in slips) < len(slips) / 20


def test_a_retired_theme_passes_the_gate_and_stays_away(
    serving: tuple[Registry, Path], lesson: Corpus
) -> None:
    """Retired on purpose it is no loss; the next model does not know it."""
    registry, corpus = serving
    model = registry.load()
    write_step(
        registry, Change(Kind.RETIRE, "elder_care"), model.manifest.themes, now=NOW, by="王主任"
    )

    outcome = _run(registry.folder, corpus, day=1)

    assert outcome.stage is Stage.PROMOTED, outcome.sentence
    assert "elder_care" not in registry.load().manifest.slugs
    assert compare_versions(registry, model.id, outcome.version)["labels"]["relabelled"]


# Two at once, and kills


def _command(registry: Registry, corpus: Path) -> subprocess.Popen[str]:
    asked = ["retrain", "--without-reviews", "--jobs", "1", str(corpus)]
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", *asked],
        env={**os.environ, "GAOQIAN_MODELS": str(registry.folder)},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for(registry: Registry, stage: Stage, *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while read_status(registry).stage is not stage and time.monotonic() < end:
        time.sleep(0.02)


def test_the_second_of_two_is_refused_and_a_killed_one_leaves_no_trace(
    serving: tuple[Registry, Path], lesson: Corpus, tmp_path: Path, model: Classifier
) -> None:
    """The second names the first's process; kill -9 of the first leaves the serving model."""
    registry, _ = serving
    before = registry.current_id()
    grown = written(
        tmp_path / "grown.jsonl",
        (*lesson.articles, replace(lesson.articles[0], article=Article("新的一篇。", "", "new"))),
    )
    first = _command(registry, grown)
    try:
        _wait_for(registry, Stage.RUNNING)
        with pytest.raises(Conflict, match=str(first.pid)):
            _run(registry.folder, grown)
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    assert read_status(registry).stage is Stage.BROKEN
    assert registry.current_id() == before

    (registry.folder / ".part-left").mkdir()
    (registry.folder / ".part-file").write_text("half")
    assert _run(registry.folder, grown, day=1).stage is Stage.PROMOTED
    assert [*registry.folder.glob(".part-*")] == []


def test_killed_at_any_moment_of_its_writing_the_old_model_serves(
    serving: tuple[Registry, Path], lesson: Corpus, tmp_path: Path
) -> None:
    """kill -9 at random moments of adding and promoting: some whole model is always in service."""
    registry, _ = serving
    old = registry.current_id()
    packed = {path.name: path.read_bytes() for path in (registry.folder / old).iterdir()}
    (tmp_path / "packed").mkdir()
    for name, content in packed.items():
        (tmp_path / "packed" / name).write_bytes(content)
    program = (
        "import sys\nfrom pathlib import Path\nfrom datetime import datetime, UTC\n"
        "from classifier.registry import Registry\n"
        "registry, files = Registry(Path(sys.argv[1])), Path(sys.argv[2])\n"
        "packed = {path.name: path.read_bytes() for path in files.iterdir()}\n"
        "print('ready', flush=True)\n"
        "for number in range(10_000):\n"
        "    version = f'20990101-{number % 5:06x}'\n"
        "    registry.add(version, packed)\n"
        "    registry.promote(version, now=datetime.now(UTC), by='kill')\n"
    )
    chance = random.Random(4)
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", program, str(registry.folder), str(tmp_path / "packed")],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(chance.random() * 0.3)
        writer.kill()
        writer.communicate()
        assert registry.load(registry.current_id()).manifest.slugs
        assert all(not version.problem for version in registry.versions())


def test_the_command_leaves_with_three_where_the_gate_says_no(
    serving: tuple[Registry, Path], lesson: Corpus, tmp_path: Path
) -> None:
    """The sentence names the theme and the report; nothing but a sentence."""
    registry, _ = serving
    poor = written(tmp_path / "poor.jsonl", without(lesson, "party_building").articles)
    run = _command(registry, poor)
    told, refusal = run.communicate()

    assert run.returncode == 3, refusal
    assert "党建" in refusal
    assert GATE_PAGE in refusal
    assert "Traceback" not in told + refusal


def test_the_lock_is_free_for_whoever_only_looks(serving: tuple[Registry, Path]) -> None:
    """Reading the status of a folder without one neither waits nor writes."""
    registry, _ = serving
    (registry.folder / LOCK).unlink()

    assert read_status(Registry(registry.folder / "none")).stage is Stage.NEVER
    assert read_status(registry).stage is Stage.PROMOTED
    assert not (registry.folder / LOCK).exists()


def test_receipts_replay_to_the_bit(
    serving: tuple[Registry, Path], store: Store, corpus: Corpus
) -> None:
    """A thousand stored taggings are what that model says of them today, every bit of it."""
    registry, _ = serving
    model = registry.load()
    pieces = [Piece(one.article.text[:80], one.article.title) for one in corpus.articles[:1000]]
    added = receive(store, model, pieces, source="http")

    again = registry.load(model.id)
    for one in added.submissions:
        assert one.tagging is not None
        replayed = again.tag(one.article)
        assert dict(one.tagging.scores) == replayed.scores
        assert one.tagging.coverage == replayed.coverage
        assert one.tagging.themes == replayed.themes
        assert one.tagging.decision == replayed.decision
