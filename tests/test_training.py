"""Claims about training as a whole: pipeline, folds, calibration, cut-offs, arrays, the script."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.article import Article
from classifier.errors import CorpusRefused
from classifier.model import ARRAYS, pack
from tests.conftest import NOW
from training.cutoffs import choose_cutoffs, decide, fit_calibration
from training.duplicates import duplicate_groups
from training.evaluation import evaluate_training
from training.fit import Trained, assign_folds, train
from training.labelled import Corpus, Labelled
from training.measure import (
    calibration_error,
    lower_bounds,
    macro_f1,
    macro_f1_interval,
    theme_figures,
)
from training.pipeline import Recipe


@pytest.fixture(scope="module")
def small(corpus: Corpus) -> Corpus:
    """Every eighth bundled article."""
    return Corpus(corpus.articles[::8], corpus.themes)


def test_the_same_corpus_and_seed_give_the_same_bytes(small: Corpus) -> None:
    """Training twice, also with another number of processes, writes byte-identical arrays."""
    recipe = Recipe(folds=2)
    one = train(small, recipe=recipe, now=NOW, jobs=1)
    other = train(small, recipe=recipe, now=NOW, jobs=2)

    assert pack(one.arrays) == pack(other.arrays)
    assert one.manifest == other.manifest


def test_another_label_gives_another_version_id(small: Corpus) -> None:
    """The id is a digest of what the model was made from."""
    first = small.articles[0]
    flipped = replace(first, themes=frozenset({"environment"}) ^ first.themes)
    changed = Corpus((flipped, *small.articles[1:]), small.themes)

    ids = {
        train(one, recipe=Recipe(folds=2), now=NOW, jobs=1).manifest.id for one in (small, changed)
    }
    assert len(ids) == 2


def test_near_duplicates_never_stand_on_both_sides_of_a_split(corpus: Corpus) -> None:
    """Wire copy with another dateline and a changed word stays in the fold of its twin."""
    originals = corpus.articles[:60]
    twins = [
        replace(
            one,
            article=Article(
                "本报讯（通讯员 赵钱）" + one.article.text.replace("，", ",", 3) + "（完）",
                one.article.title,
                f"twin-{one.article.id}",
            ),
        )
        for one in originals
        if len(one.article.text) > 100
    ]
    everything = [*corpus.articles, *twins]
    groups = duplicate_groups([one.article for one in everything])
    truth = np.array([["environment" in one.themes] for one in everything])
    folds = assign_folds(truth, groups, count=5, seed=1)
    place = {one.article.id: number for number, one in enumerate(everything)}

    for twin in twins:
        own, other = place[twin.article.id], place[twin.article.id.removeprefix("twin-")]
        assert groups[own] == groups[other]
        assert folds[own] == folds[other]
    assert len(np.unique(groups)) > 0.95 * len(corpus.articles)


def test_calibrated_probabilities_are_frequencies() -> None:
    """Scores whose log-odds are known come back as those log-odds."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=20_000)
    truth = rng.random(20_000) < 1 / (1 + np.exp(-(3 * scores - 1)))

    slope, offset = fit_calibration(scores, truth)

    assert (slope, offset) == pytest.approx((3, -1), abs=0.15)


@pytest.mark.parametrize("wanted", [0.9, 0.95, 0.97])
def test_cutoffs_keep_their_promise_on_fresh_articles(wanted: float) -> None:
    """Chosen on one sample, precision and recall among the settled hold on another."""
    rng = np.random.default_rng(11)

    def sample(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = rng.random(size) < 0.25
        scores = rng.normal(np.where(truth, 1.2, -1.2), 0.9)
        return scores, 1 / (1 + np.exp(-2.9 * scores + 1.1)), truth

    cutoffs, promise = choose_cutoffs(*sample(6000), wanted=wanted)
    _, probabilities, truth = sample(60_000)
    settled, accepted = decide(probabilities[:, None], np.ones(60_000, dtype=bool), [cutoffs])
    auto = settled & accepted[:, 0]

    assert promise["precision_kept"]
    assert promise["recall_kept"]
    assert truth[auto].mean() >= wanted
    assert (truth & settled & ~accepted[:, 0]).sum() / truth.sum() <= 1 - wanted


def test_little_data_promises_nothing() -> None:
    """Thirty perfect articles do not prove 97 %, and the sentence says so."""
    truth = np.arange(200) < 30
    probabilities = np.where(truth, 0.99, 0.01)

    cutoffs, promise = choose_cutoffs(probabilities, probabilities, truth, wanted=0.97)

    assert cutoffs.sure_in is None
    assert not promise["precision_kept"]
    assert "不足以承诺" in promise["sentence"]


def test_bounds_agree_with_a_table() -> None:
    """Clopper-Pearson: n without an error proves 0.05 ** (1 / n)."""
    trials = np.array([10, 59, 99, 298])
    assert lower_bounds(trials, trials) == pytest.approx(0.05 ** (1 / trials))
    assert lower_bounds(np.array([0]), np.array([5])).tolist() == [0.0]


def test_figures_agree_with_scikit_learn(trained: Trained) -> None:
    """Precision, recall, F1 and macro-F1 are those of sklearn.metrics on the same predictions."""
    from sklearn.metrics import f1_score, precision_score, recall_score

    found = trained.out_of_fold.probabilities >= 0.5
    for theme in range(found.shape[1]):
        truth, own = trained.truth[:, theme], found[:, theme]
        figures = theme_figures(truth, own)
        assert figures.precision == pytest.approx(precision_score(truth, own))
        assert figures.recall == pytest.approx(recall_score(truth, own))
        assert figures.f1 == pytest.approx(f1_score(truth, own))
    macro = macro_f1(trained.truth, found)
    assert macro == pytest.approx(f1_score(trained.truth, found, average="macro"))
    low, high = macro_f1_interval(trained.truth, found, seed=1)
    assert low < macro < high


def test_calibration_error_of_honest_and_boastful_probabilities() -> None:
    """Nought where what is said comes true, the gap where it does not."""
    truth = np.tile([True, False], 500)
    assert calibration_error(np.full(1000, 0.5), truth) == pytest.approx(0)
    assert calibration_error(np.full(1000, 0.9), truth) == pytest.approx(0.4)


def test_the_bundled_corpus_is_learned_well_even_by_a_third(trained: Trained) -> None:
    """A third of the corpus already gives a macro-F1 above 0.9 on what was held out."""
    report = evaluate_training(trained)

    assert report["macro_f1"] > 0.9
    assert report["calibration_error"] < 0.05
    assert [row["promise"] for row in report["decisions"]] == [0.9, 0.95, 0.97, 0.99]


@pytest.mark.parametrize(
    ("articles", "said"),
    [
        ([], "没有一篇标了主题"),
        ([("a", ["x"])] * 3, "至少要"),
        ([("a", ["x"])] * 2 + [("b", [])] * 20, "x 只有 2 篇"),
    ],
)
def test_too_little_to_learn_from_is_refused(
    articles: list[tuple[str, list[str]]], said: str
) -> None:
    """The refusal counts what there is and says what is wanted."""
    from classifier.themes import Theme

    labelled = tuple(
        Labelled(Article(f"{text}{number}"), frozenset(themes), "w")
        for number, (text, themes) in enumerate(articles)
    )
    slugs = {slug for one in labelled for slug in one.themes}
    with pytest.raises(CorpusRefused, match=said):
        train(
            Corpus(labelled, tuple(Theme(slug, slug) for slug in slugs)), recipe=Recipe(), now=NOW
        )


def test_the_plain_script_writes_a_model_and_refuses_to_write_over_it(
    tmp_path: Path, small: Corpus
) -> None:
    """`python -m training` exits 0 with a folder, then 1 with a sentence and the folder as it was."""
    rows = [
        {"id": one.article.id, "title": one.article.title, "text": one.article.text,
         "themes": sorted(one.themes)}
        for one in small.articles[::2]
    ]  # fmt: skip
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    command = [sys.executable, "-m", "training", str(path), "--out", str(tmp_path / "m")]

    first = subprocess.run(command, capture_output=True, text=True, check=False)
    before = (tmp_path / "m" / ARRAYS).read_bytes()
    second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert first.returncode == 0, first.stderr
    assert "宏 F1" in first.stdout
    assert second.returncode == 1
    assert "不覆盖" in second.stderr
    assert "训练" not in second.stderr
    assert "Traceback" not in second.stderr
    assert (tmp_path / "m" / ARRAYS).read_bytes() == before
