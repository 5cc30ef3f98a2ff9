"""Claims about training.tune, on small slices of the bundled corpus, and on a real local cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifier.errors import CorpusRefused, ExtraMissing, InputRefused
from classifier.model import pack
from classifier.tokens import current_tokenizer
from tests.conftest import NOW
from tests.lessons import shortened
from training.fit import train
from training.labelled import Corpus
from training.pipeline import (
    Reading,
    Recipe,
    build_pipeline,
    count_features,
    label_matrix,
    read_features,
    score_counted,
)
from training.run import on_cluster, run_training
from training.tune import SPACE, Found, Ground, Search, Trial, choose, find_recipe, judge_recipes

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))
START = Recipe(folds=3)


@pytest.fixture(scope="module")
def small(corpus: Corpus) -> Corpus:
    """Every twelfth article's beginning."""
    return shortened(corpus, every=12, length=160)


@pytest.fixture(scope="module")
def readings(small: Corpus) -> list[Reading]:
    """Their features."""
    tokenizer = current_tokenizer()
    return [read_features(one.article, tokenizer) for one in small.articles]


def _search(corpus: Corpus, folder: Path, *, seconds: float) -> Found:
    """By a clock that moves a second whenever it is looked at: four a trial, a second of work."""
    ticks = count()
    return find_recipe(
        corpus, Search(seconds / 60, folder), start=START, jobs=1, clock=lambda: float(next(ticks))
    )


def _lines(folder: Path) -> list[bytes]:
    return [line for path in folder.glob("search-*") for line in path.read_bytes().splitlines()]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    point=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in SPACE.items()}),
    every=st.integers(2, 4),
)
def test_a_trial_scores_as_the_pipeline_would(
    small: Corpus, readings: list[Reading], point: dict[str, float], every: int
) -> None:
    """From shared counts come the scores of `build_pipeline`, to 1e-9, whatever the recipe."""
    recipe = replace(START, **point)
    truth = label_matrix(
        [one.themes for one in small.articles], [theme.slug for theme in small.themes]
    )
    places = np.arange(len(truth))
    judged, learned = places[::every], np.delete(places, places[::every])

    pipeline = build_pipeline(recipe).fit([readings[one] for one in learned], truth[learned])
    scores = score_counted(
        *count_features(readings), truth, learned=learned, judged=judged, recipe=recipe
    )

    expected = pipeline.decision_function([readings[one] for one in judged])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)


def _judged(ground: Ground) -> list[Trial]:
    recipes = {0: START, 1: replace(START, cost=0.3, word_weight=1.0)}
    with joblib.Parallel(n_jobs=1) as pool:
        return judge_recipes(recipes, ground, pool, time.monotonic)


def test_the_choice_for_a_fold_knows_nothing_of_it(small: Corpus) -> None:
    """Other labels and no words in one fold change all figures but those made without it."""
    ground = Ground.of(small, START, ())
    original = _judged(ground)
    for fold in range(ground.fold_count):
        own = ground.folds == fold
        truth, grams = ground.truth.copy(), ground.grams.tolil()
        truth[own] = ~truth[own]
        grams[own] = 0
        changed = replace(ground, truth=truth, grams=grams.tocsr())

        for before, after in zip(original, _judged(changed), strict=True):
            for kept_out, (one, other) in enumerate(
                zip(before.without, after.without, strict=True)
            ):
                assert (one == other) is (kept_out == fold)


def test_a_search_taken_up_again_finds_what_an_unbroken_one_finds(
    small: Corpus, tmp_path: Path
) -> None:
    """Also after a kill that cut the last line short: the same trials, the same choice."""
    unbroken = _search(small, tmp_path / "one", seconds=22)
    _search(small, tmp_path / "two", seconds=14)
    (path,) = (tmp_path / "two").glob("*.jsonl")
    before = path.read_bytes()
    path.write_bytes(before[:-40])
    while len(_lines(tmp_path / "two")) < len(_lines(tmp_path / "one")) + 1:
        resumed = _search(small, tmp_path / "two", seconds=6)

    whole = [json.loads(line) for line in _lines(tmp_path / "one")]
    pieces = _lines(tmp_path / "two")
    cut = before.count(b"\n") - 1
    assert whole == [json.loads(line) for line in (*pieces[:cut], *pieces[cut + 1 :])]
    assert unbroken == resumed
    assert unbroken.trials == len(whole) > 3


def test_the_search_ends_within_its_time(small: Corpus, tmp_path: Path) -> None:
    """Judging the choice included; a time too short for anything still judges the start."""
    ticks = count()
    told: list[str] = []

    found = find_recipe(
        small,
        Search(20 / 60, tmp_path),
        start=START,
        tell=told.append,
        jobs=1,
        clock=lambda: float(next(ticks)),
    )
    hurried = _search(small, tmp_path / "hurried", seconds=0.01)

    assert next(ticks) <= 20
    assert 1 < found.trials < 20
    assert sum("还剩" in line and "最好的是第" in line for line in told) == found.trials
    assert hurried.trials == 1
    assert hurried.recipe == START
    assert hurried.gain_interval == (0.0, 0.0)


def test_the_choice_is_by_log_loss_and_the_earliest_of_equals(small: Corpus) -> None:
    """With or without a fold."""
    first, second = _judged(Ground.of(small, START, ()))
    twin = replace(first, number=2)

    assert choose([first, second, twin]).log_loss == min(first.log_loss, second.log_loss)
    assert choose([first, twin]) is first
    assert choose([first, twin], without=1) is first


def test_too_little_to_learn_from_is_refused_before_any_trial(
    small: Corpus, tmp_path: Path
) -> None:
    """Nothing is written either."""
    with pytest.raises(CorpusRefused, match="至少要"):
        _search(Corpus(small.articles[:5], small.themes), tmp_path / "trials", seconds=9)
    assert not (tmp_path / "trials").exists()


def _write(corpus: Corpus, path: Path) -> None:
    rows = [
        {"id": one.article.id, "title": one.article.title, "text": one.article.text,
         "themes": sorted(one.themes)}
        for one in corpus.articles
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")


def test_a_stopped_command_keeps_its_trials_and_goes_on(small: Corpus, tmp_path: Path) -> None:
    """Ctrl-C, then kill -9, then to the end: kept lines stand, the best is in the manifest."""
    _write(small, tmp_path / "own.jsonl")
    models = tmp_path / "models"
    # Who runs the tests in the background may have them ignore Ctrl-C.
    heeding = ["env", "--default-signal=INT"]
    command = [*heeding, GAOQIAN, "train", "own.jsonl", "--jobs", "1", "--out", "m", "--tune", "5"]
    environment = {**os.environ, "GAOQIAN_MODELS": str(models)}
    kept: list[bytes] = []
    for blow in (signal.SIGINT, signal.SIGKILL):
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE
        ) as run:
            until = time.monotonic() + 60
            while len(_lines(models)) < len(kept) + 2:
                assert time.monotonic() < until
                time.sleep(0.02)
            run.send_signal(blow)
            told = run.communicate()[1].decode()
        assert run.returncode != 0
        assert "Traceback" not in told
        assert ("从这里接着搜索" in told) is (blow is signal.SIGINT)
        assert _lines(models)[: len(kept)] == kept
        kept = _lines(models)
    said: list[str] = []

    manifest, _, _ = run_training(
        [tmp_path / "own.jsonl"],
        recipe=Recipe(),
        now=NOW,
        tell=said.append,
        jobs=1,
        search=Search(0.001, models),
    )

    trials = [json.loads(line) for line in kept if _is_whole(line)]
    best = min(trials, key=lambda one: np.mean([fold["log_loss"] for fold in one["without"]]))
    assert f"接着上次：已试 {len(trials)} 种" in said[1]
    assert [one["number"] for one in trials] == [*range(len(trials))]
    assert best["point"].items() <= manifest.training["recipe"].items()
    assert manifest.training["search"]["trials"] == len(trials)
    assert _lines(models) == kept


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


@pytest.mark.filterwarnings("default")
def test_a_cluster_gives_the_same_choice_and_the_same_model(small: Corpus, tmp_path: Path) -> None:
    """Also by workers with two threads each, though liblinear has one generator per process."""
    distributed = pytest.importorskip("distributed")
    here = _search(small, tmp_path / "here", seconds=12)
    trained = train(small, recipe=START, now=NOW, jobs=1)
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=True,  # one of ours would wait for the interpreter while we train
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        there = _search(small, tmp_path / "there", seconds=12)
        remote = train(small, recipe=START, now=NOW, jobs=1)

    assert there == here
    assert [json.loads(one)["without"] for one in _lines(tmp_path / "there")] == [
        json.loads(one)["without"] for one in _lines(tmp_path / "here")
    ]
    assert remote.manifest == trained.manifest
    assert pack(remote.arrays) == pack(trained.arrays)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to install it."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ExtraMissing, match=r"pip install 'gaoqian\[dask\]'"),
        on_cluster("tcp://127.0.0.1:1"),
    ):
        pass


def test_an_address_that_is_none_is_refused() -> None:
    """At once, with the address."""
    pytest.importorskip("distributed")
    with pytest.raises(InputRefused, match="nonsense://x"), on_cluster("nonsense://x"):
        pass
