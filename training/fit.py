"""From labelled articles to a model: scores out of fold, calibration, cut-offs, arrays."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from classifier import cleaning
from classifier.article import Article
from classifier.errors import CorpusRefused
from classifier.features import displacements_of
from classifier.model import Arrays, Classifier, Manifest, digest, sigmoid
from classifier.tokens import current_tokenizer, dictionary_digest, open_tokenizer
from training.cutoffs import choose_cutoffs, fit_calibration
from training.duplicates import duplicate_groups
from training.labelled import Corpus
from training.pipeline import Reading, Recipe, build_pipeline, label_matrix, read_features

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
Tell = Callable[[str], None]

MIN_ARTICLES = 10
MIN_PER_THEME = 5
SIZE_FLOOR = 80  # feature occurrences; about 25 characters of text
COVERAGE_PERCENTILE = 2.0


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What each article got from a model that had not seen it, nor its near-duplicates."""

    scores: Floats  # (articles, themes), raw
    probabilities: Floats  # (articles, themes), calibrated on the other folds
    coverage: Floats  # (articles,)
    folds: NDArray[np.intp]  # (articles,)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is not written yet, and what it is judged by."""

    manifest: Manifest
    arrays: Arrays
    pipeline: Pipeline
    truth: Labels
    out_of_fold: OutOfFold
    corpus: Corpus


def train(
    corpus: Corpus,
    *,
    recipe: Recipe,
    now: datetime,
    tell: Tell = lambda _: None,
    user_words: Sequence[str] = (),
    jobs: int = 2,
) -> Trained:
    """Learn a model; the same corpus and recipe give the same arrays.

    Raises CorpusRefused where there is too little to learn from.
    """
    _check(corpus)
    tokenizer = current_tokenizer(user_words=user_words)
    slugs = [theme.slug for theme in corpus.themes]
    tell(f"读入 {len(corpus.articles)} 篇，{len(slugs)} 个主题；切分词语")
    readings = [read_features(labelled.article, tokenizer) for labelled in corpus.articles]
    truth = label_matrix([labelled.themes for labelled in corpus.articles], slugs)
    groups = duplicate_groups([labelled.article for labelled in corpus.articles])
    tell(f"分 {recipe.folds} 折，各留一折检验")
    found = score_out_of_fold(readings, truth, groups, recipe=recipe, jobs=jobs)
    tell("用全部稿件训练")
    pipeline = build_pipeline(recipe).fit(readings, truth)
    arrays = export(pipeline)
    cutoffs, promises = [], []
    for theme in range(len(slugs)):
        theme_cutoffs, promise = choose_cutoffs(
            found.scores[:, theme],
            found.probabilities[:, theme],
            truth[:, theme],
            wanted=recipe.promise,
        )
        cutoffs.append(theme_cutoffs)
        promises.append(promise)
    training = provenance(corpus, recipe, user_words)
    manifest = Manifest(
        id=f"{now:%Y%m%d}-{training['digest'][:6]}",
        created=now.isoformat(timespec="seconds"),
        themes=corpus.themes,
        cutoffs=tuple(cutoffs),
        promises=tuple(promises),
        tokenizer=tokenizer.spec,
        coverage_floor=float(np.percentile(found.coverage, COVERAGE_PERCENTILE)),
        size_floor=SIZE_FLOOR,
        training=training,
    )
    manifest = _with_probes(manifest, arrays, corpus)
    return Trained(manifest, arrays, pipeline, truth, found, corpus)


def _check(corpus: Corpus) -> None:
    if not corpus.themes:
        raise CorpusRefused("没有一篇标了主题", fix="请至少为两个主题各标几篇，再训练")
    if len(corpus.articles) < MIN_ARTICLES:
        raise CorpusRefused(
            f"只有 {len(corpus.articles)} 篇标注稿，至少要 {MIN_ARTICLES} 篇", fix="请补充标注"
        )
    for theme in corpus.themes:
        count = sum(theme.slug in labelled.themes for labelled in corpus.articles)
        if count < MIN_PER_THEME:
            raise CorpusRefused(
                f"主题 {theme.name} 只有 {count} 篇，至少要 {MIN_PER_THEME} 篇",
                fix="请补充这一主题的标注，或从标注中去掉它",
            )


def score_out_of_fold(
    readings: Sequence[Reading],
    truth: Labels,
    groups: NDArray[np.intp],
    *,
    recipe: Recipe,
    jobs: int,
) -> OutOfFold:
    """Score every article by a model of the other folds; near-duplicates stay in one fold."""
    folds = assign_folds(truth, groups, count=recipe.folds, seed=recipe.seed)
    return score_by_folds(readings, truth, folds, recipe=recipe, jobs=jobs)


def score_by_folds(
    readings: Sequence[Reading],
    truth: Labels,
    folds: NDArray[np.intp],
    *,
    recipe: Recipe,
    jobs: int,
) -> OutOfFold:
    """Score every article by a model of the folds that it is not in."""
    held_out = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
    parts = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(_score_fold)(
            [reading for reading, fold in zip(readings, folds, strict=True) if fold != own],
            truth[folds != own],
            [readings[place] for place in places.tolist()],
            recipe,
        )
        for own, places in zip(np.unique(folds), held_out, strict=True)
    )
    scores, coverage = np.zeros(truth.shape), np.zeros(len(truth))
    for places, (part_scores, part_coverage) in zip(held_out, parts, strict=True):
        scores[places], coverage[places] = part_scores, part_coverage
    probabilities = np.zeros(truth.shape)
    for places in held_out:
        others = np.setdiff1d(np.arange(len(truth)), places)
        for theme in range(truth.shape[1]):
            slope, offset = fit_calibration(scores[others, theme], truth[others, theme])
            probabilities[places, theme] = sigmoid(scores[places, theme] * slope + offset)
    return OutOfFold(scores, probabilities, coverage, folds)


def assign_folds(
    truth: Labels, groups: NDArray[np.intp], *, count: int, seed: int
) -> NDArray[np.intp]:
    """A fold for every article: groups whole, combinations of themes spread evenly."""
    _, combinations = np.unique(truth, axis=0, return_inverse=True)
    splitter = StratifiedGroupKFold(
        n_splits=min(count, len(np.unique(groups))), shuffle=True, random_state=seed
    )
    folds = np.zeros(len(truth), dtype=np.intp)
    with warnings.catch_warnings():
        # A rare combination cannot be in every fold; spreading it as far as it goes is right.
        warnings.filterwarnings("ignore", message="The least populated class")
        for fold, (_, held) in enumerate(splitter.split(truth, combinations.ravel(), groups)):
            folds[held] = fold
    return folds


def _score_fold(
    readings: Sequence[Reading], truth: Labels, held: Sequence[Reading], recipe: Recipe
) -> tuple[Floats, Floats]:
    pipeline = build_pipeline(recipe).fit(readings, truth)
    vocabularies = [
        vectorizer.vocabulary_
        for _, vectorizer in pipeline.named_steps["features"].transformer_list
    ]
    coverage = [
        sum(
            feature in vocabulary
            for vocabulary, features in zip(
                vocabularies, (reading.words, reading.grams), strict=True
            )
            for feature in features
        )
        / max(len(reading.words) + len(reading.grams), 1)
        for reading in held
    ]
    return pipeline.decision_function(held), np.array(coverage)


def export(pipeline: Pipeline) -> Arrays:
    """A fitted pipeline as the arrays that are served."""
    union = pipeline.named_steps["features"]
    words, grams = (vectorizer for _, vectorizer in union.transformer_list)
    machines = pipeline.named_steps["themes"]
    names, runs = _commonest_first(words), _commonest_first(grams)
    columns = np.array(
        [words.vocabulary_[name] for name in names]
        + [len(names) + grams.vocabulary_[run] for run in runs]
    )
    block = np.repeat(
        [union.transformer_weights["words"], union.transformer_weights["grams"]],
        [len(names), len(runs)],
    )
    return Arrays(
        words=tuple(names),
        grams=tuple(runs),
        displacements=displacements_of(names, runs),
        idf=np.concatenate((words.idf_, grams.idf_))[columns],
        weights=np.ascontiguousarray((machines.coef_[:, columns] * block).T),
        bias=machines.intercept_.copy(),
    )


def _commonest_first(vectorizer: TfidfVectorizer) -> list[str]:
    """The features of a block; what most articles are made of lies close together in memory."""
    names = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    return [names[place] for place in np.argsort(vectorizer.idf_, kind="stable").tolist()]


def provenance(corpus: Corpus, recipe: Recipe, user_words: Sequence[str]) -> dict[str, Any]:
    """What a model of these would be made from; its digest is in the version id."""
    made_from = {
        "corpus": corpus_digest(corpus),
        "recipe": recipe.as_json(),
        "user_words": [*user_words],
        "dictionary": dictionary_digest(),
        "code": code_digest(),
        "cleaning": cleaning.VERSION,
        "scikit_learn": version("scikit-learn"),
        "gaoqian": version("gaoqian"),
    }
    counts = {
        theme.slug: sum(theme.slug in labelled.themes for labelled in corpus.articles)
        for theme in corpus.themes
    }
    return {
        **made_from,
        "digest": digest(json.dumps(made_from, sort_keys=True).encode()),
        "articles": len(corpus.articles),
        "per_theme": counts,
    }


@cache
def code_digest() -> str:
    """A digest of the code that reads, learns and decides: another rule is another version."""
    packages = (Path(__file__).parent, Path(cleaning.__file__).parent)
    sources = sorted(path for package in packages for path in package.glob("*.py"))
    return digest(b"".join(path.read_bytes() for path in sources))


def corpus_digest(corpus: Corpus) -> str:
    """One number for all articles and their labels, in their order."""
    articles = [
        [one.article.id, one.article.title, one.article.text, *sorted(one.themes)]
        for one in corpus.articles
    ]
    return digest(json.dumps(articles, ensure_ascii=False).encode())


def _with_probes(manifest: Manifest, arrays: Arrays, corpus: Corpus, count: int = 8) -> Manifest:
    """A few articles and their scores, for every server to try before it serves the model."""
    classifier = Classifier(manifest, arrays, open_tokenizer(manifest.tokenizer))
    step = max(len(corpus.articles) // count, 1)
    chosen = [labelled.article for labelled in corpus.articles[::step][:count]]
    short = [Article(article.text[:300], article.title, article.id) for article in chosen]
    probes = tuple(
        {"title": article.title, "text": article.text, "scores": scores}
        for article, scores in zip(short, classifier.scores(short).tolist(), strict=True)
    )
    return replace(manifest, probes=probes)
