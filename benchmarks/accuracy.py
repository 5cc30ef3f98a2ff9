"""`python -m benchmarks.accuracy`: ours and the peers on the same folds and the same headlines.

The bundled corpus by five outer folds, near-duplicates on one side. Ours is nested: calibration
and cut-offs come from inner folds of the outer training part. THUCNews titles: train.tsv → dev.tsv
where ../shared is present.
"""

from __future__ import annotations

import argparse
import platform
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import AnnifTfidf, FastText, Peer, Tutorial, jieba_cut, rjieba_cut
from classifier.article import Article
from classifier.model import sigmoid
from classifier.tokens import current_tokenizer
from training.cutoffs import ACCEPT, choose_cutoffs, decide, fit_calibration
from training.duplicates import duplicate_groups
from training.fit import assign_folds, score_out_of_fold
from training.labelled import Corpus, read_corpus
from training.measure import calibration_error, macro_f1, macro_f1_interval
from training.pipeline import Recipe, build_pipeline, label_matrix, read_features

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

TITLES = Path(__file__).parents[2] / "shared" / "data" / "thucnews-titles"
PROMISES = (0.90, 0.95, 0.97, 0.99)


def main() -> None:
    """Print all tables, or those asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", default=["corpus", "curve", "titles"])
    parser.add_argument("--annif", metavar="PYTHON", help="of an environment with Annif in it")
    asked = parser.parse_args()
    chosen = asked.tables
    print(f"{platform.processor() or platform.machine()}, CPython {platform.python_version()}")
    if "corpus" in chosen:
        corpus_table(read_corpus(), annif=asked.annif)
    if "curve" in chosen:
        curve_table(read_corpus(), annif=asked.annif)
    if "titles" in chosen:
        titles_table()


def _peers(annif: str | None) -> list[Peer]:
    peers: list[Peer] = [
        Tutorial(jieba_cut, "jieba + TF-IDF + LinearSVC"),
        Tutorial(rjieba_cut, "rjieba + TF-IDF + LinearSVC"),
        *([AnnifTfidf(annif)] if annif else ()),
    ]
    if not annif:
        print("Annif is left out: see --annif and benchmarks/annif_tfidf.py")
    try:
        import fasttext  # noqa: F401
    except ImportError:
        print("fastText is not installed: pip install 'gaoqian[bench]'")
        return peers
    return [
        *peers,
        FastText(jieba_cut, "fastText, jieba words + characters"),
        FastText(rjieba_cut, "fastText, rjieba words + characters"),
    ]


def corpus_table(corpus: Corpus, *, annif: str | None) -> None:
    """Nested cross-validation on the bundled corpus."""
    articles = [labelled.article for labelled in corpus.articles]
    texts = [f"{article.title}\n{article.text}" for article in articles]
    truth = label_matrix(
        [labelled.themes for labelled in corpus.articles], [theme.slug for theme in corpus.themes]
    )
    groups = duplicate_groups(articles)
    folds = assign_folds(truth, groups, count=5, seed=20261124)
    probabilities, settled = nested(articles, truth, groups, folds)
    print(f"\nbundled corpus, {len(articles)} articles, 5 outer folds")
    print(f"{'':38}macro-F1  95 % interval    exact set  themeless tagged")
    _row("gaoqian (nested)", truth, probabilities >= ACCEPT)
    _row("gaoqian, accepting from 0.5", truth, probabilities >= 0.5)
    for peer in _peers(annif):
        found = np.zeros(truth.shape, dtype=bool)
        for fold in np.unique(folds):
            own = folds == fold
            peer.fit([text for text, out in zip(texts, own, strict=True) if not out], truth[~own])
            found[own] = peer.scores([t for t, out in zip(texts, own, strict=True) if out]) > (
                peer.threshold
            )
        _row(peer.name, truth, found)
    print(f"gaoqian: calibration error {calibration_error(probabilities, truth):.4f}")
    for promise, (certain, accepted) in settled.items():
        tagged = accepted & certain[:, None]
        precision = truth[tagged].mean() if tagged.any() else float("nan")
        recall = accepted[truth & certain[:, None]].mean() if certain.any() else float("nan")
        print(
            f"promise {promise:.2f}: settled {certain.mean():.3f}, precision among them "
            f"{precision:.4f}, recall {recall:.4f}, "
            f"exact set {(truth == accepted).all(axis=1)[certain].mean():.4f}"
        )


def _row(name: str, truth: Labels, found: Labels) -> None:
    low, high = macro_f1_interval(truth, found, seed=1)
    exact = (truth == found).all(axis=1).mean()
    tagged = found[~truth.any(axis=1)].any(axis=1).mean()
    print(
        f"{name:38}{macro_f1(truth, found):.4f}    {low:.4f}–{high:.4f}   {exact:.4f}     {tagged:.4f}"
    )


def nested(
    articles: Sequence[Article], truth: Labels, groups: NDArray[np.intp], folds: NDArray[np.intp]
) -> tuple[Floats, dict[float, tuple[Labels, Labels]]]:
    """Probabilities, and decisions at each promise; all chosen inside the outer training part."""
    tokenizer, recipe = current_tokenizer(), Recipe()
    readings = [read_features(article, tokenizer) for article in articles]
    probabilities = np.zeros(truth.shape)
    settled = {
        promise: (np.zeros(len(truth), dtype=bool), np.zeros(truth.shape, dtype=bool))
        for promise in PROMISES
    }
    for fold in np.unique(folds):
        own, others = folds == fold, folds != fold
        inner_readings = [one for one, out in zip(readings, own, strict=True) if not out]
        inner = score_out_of_fold(
            inner_readings, truth[others], groups[others], recipe=recipe, jobs=2
        )
        fitted = build_pipeline(recipe).fit(inner_readings, truth[others])
        scores = fitted.decision_function(
            [one for one, out in zip(readings, own, strict=True) if out]
        )
        for theme in range(truth.shape[1]):
            slope, offset = fit_calibration(inner.scores[:, theme], truth[others][:, theme])
            probabilities[own, theme] = sigmoid(scores[:, theme] * slope + offset)
        for promise, (certain, accepted) in settled.items():
            cutoffs = [
                choose_cutoffs(
                    inner.scores[:, theme],
                    inner.probabilities[:, theme],
                    truth[others][:, theme],
                    wanted=promise,
                )[0]
                for theme in range(truth.shape[1])
            ]
            readable = np.ones(int(own.sum()), dtype=bool)
            certain[own], accepted[own] = decide(probabilities[own], readable, cutoffs)
    return probabilities, settled


def curve_table(corpus: Corpus, *, annif: str | None) -> None:
    """Macro-F1 by number of labelled articles, judged on one held-out fifth."""
    truth = label_matrix(
        [labelled.themes for labelled in corpus.articles], [theme.slug for theme in corpus.themes]
    )
    articles = [labelled.article for labelled in corpus.articles]
    texts = [f"{article.title}\n{article.text}" for article in articles]
    folds = assign_folds(truth, duplicate_groups(articles), count=5, seed=3)
    held, pool = np.flatnonzero(folds == 0), np.flatnonzero(folds != 0)
    order = np.random.default_rng(3).permutation(pool)
    tokenizer = current_tokenizer()
    readings = [read_features(article, tokenizer) for article in articles]
    sizes = [size for size in (50, 100, 200, 400, 800) if size < len(pool)] + [len(pool)]
    peers = _peers(annif)
    print(f"\nmacro-F1 on {len(held)} held-out articles by number of labelled ones")
    print(f"{'':38}" + "".join(f"{size:>8}" for size in sizes))
    rows: dict[str, list[float]] = {"gaoqian": [], **{peer.name: [] for peer in peers}}
    for size in sizes:
        chosen = order[:size].tolist()
        fitted = build_pipeline(Recipe()).fit([readings[place] for place in chosen], truth[chosen])
        found = fitted.decision_function([readings[place] for place in held]) > 0
        rows["gaoqian"].append(macro_f1(truth[held], found))
        for peer in peers:
            peer.fit([texts[place] for place in chosen], truth[chosen])
            own = peer.scores([texts[place] for place in held]) > peer.threshold
            rows[peer.name].append(macro_f1(truth[held], own))
    for name, values in rows.items():
        print(f"{name:38}" + "".join(f"{value:8.3f}" for value in values))


def titles_table() -> None:
    """Ten-class accuracy on headlines: the class with the highest score."""
    if not TITLES.is_dir():
        print("\nTHUCNews titles: ../shared is not here")
        return
    train, dev = _read_titles("train.tsv"), _read_titles("dev.tsv")
    labels = np.array([[own == number for number in range(10)] for _, own in train])
    wanted = np.array([own for _, own in dev])
    print(f"\nTHUCNews titles, {len(train)} → {len(dev)}")
    start = time.perf_counter()
    tokenizer = current_tokenizer()
    # A headline alone is an article's text; nothing here repeats it as a title.
    readings = [read_features(Article(text), tokenizer) for text, _ in train]
    fitted = build_pipeline(replace(Recipe(), cost=1.0)).fit(readings, labels)
    seconds = time.perf_counter() - start
    scores = fitted.decision_function([read_features(Article(text), tokenizer) for text, _ in dev])
    print(
        f"{'gaoqian':38}{(scores.argmax(axis=1) == wanted).mean():.4f}   trained in {seconds:.1f} s"
    )
    texts = [unicodedata.normalize("NFKC", text) for text, _ in train]
    peers: list[Peer] = [
        Tutorial(jieba_cut, "jieba + TF-IDF + LinearSVC"),
        Tutorial(rjieba_cut, "rjieba + TF-IDF + LinearSVC"),
    ]
    try:
        import fasttext  # noqa: F401

        peers += [
            FastText(rjieba_cut, "fastText, words", characters=False, single=True),
            FastText(rjieba_cut, "fastText, words + characters", single=True),
            FastText(list, "fastText, characters", characters=False, single=True),
        ]
    except ImportError:
        print("fastText is not installed: pip install 'gaoqian[bench]'")
    for peer in peers:
        start = time.perf_counter()
        peer.fit(texts, labels)
        seconds = time.perf_counter() - start
        answers = peer.scores([text for text, _ in dev]).argmax(axis=1)
        print(f"{peer.name:38}{(answers == wanted).mean():.4f}   trained in {seconds:.1f} s")


def _read_titles(name: str) -> list[tuple[str, int]]:
    rows = (TITLES / name).read_text(encoding="utf-8").splitlines()
    return [(text, int(number)) for text, _, number in (row.rpartition("\t") for row in rows)]


if __name__ == "__main__":
    main()
