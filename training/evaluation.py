"""How good a model is, as figures that go into its report: all from articles it had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.errors import CorpusRefused
from classifier.model import Classifier
from training.cutoffs import ACCEPT, choose_cutoffs, decide
from training.fit import COVERAGE_PERCENTILE, OutOfFold, Trained
from training.labelled import Corpus, Labelled
from training.measure import calibration_error, macro_f1, macro_f1_interval, theme_figures
from training.pipeline import label_matrix

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

PROMISES = (0.90, 0.95, 0.97, 0.99)
MISTAKES = 20
CURVE_BINS = 10


def evaluate_training(trained: Trained) -> dict[str, Any]:
    """The report of a freshly trained model, from its out-of-fold predictions."""
    found = trained.out_of_fold
    slugs = [theme.slug for theme in trained.corpus.themes]
    report = figures(
        trained.truth,
        found.probabilities,
        found.probabilities >= ACCEPT,
        slugs,
        trained.corpus.articles,
        seed=found.scores.size,
    )
    report["decisions"] = [
        {"promise": promise, **_settled_at(trained.truth, found, promise)}
        for promise in sorted({*PROMISES, float(trained.manifest.training["recipe"]["promise"])})
    ]
    return report


def figures(
    truth: Labels,
    probabilities: Floats,
    found: Labels,
    slugs: Sequence[str],
    articles: Sequence[Labelled],
    *,
    seed: int,
) -> dict[str, Any]:
    """Figures of predictions against labels, (articles, themes) each."""
    none = ~truth.any(axis=1)
    hard = np.array([bool(labelled.about.get("hard")) for labelled in articles])
    low, high = macro_f1_interval(truth, found, seed=seed)
    return {
        "articles": len(truth),
        "macro_f1": round(macro_f1(truth, found), 4),
        "macro_f1_interval": [round(low, 4), round(high, 4)],
        "exact_sets": round(float((truth == found).all(axis=1).mean()), 4),
        "calibration_error": round(calibration_error(probabilities, truth), 4),
        "themes": {
            slug: theme_figures(truth[:, place], found[:, place]).as_json()
            for place, slug in enumerate(slugs)
        },
        "themeless": {
            "articles": int(none.sum()),
            "tagged": _share(found[none].any(axis=1)),
            "hard": int((none & hard).sum()),
            "hard_tagged": _share(found[none & hard].any(axis=1)),
        },
        "calibration": _calibration_curve(probabilities, truth),
        "confusions": _confusions(truth, found, slugs),
        "mistakes": _mistakes(truth, probabilities, slugs, articles),
    }


def _share(hits: Any) -> float | None:
    return round(float(np.mean(hits)), 4) if np.size(hits) else None


def _settled_at(truth: Labels, found: OutOfFold, promise: float) -> dict[str, Any]:
    """What would be settled at a promise: each fold judged by cut-offs chosen on the others."""
    settled = np.zeros(len(truth), dtype=bool)
    accepted = np.zeros(truth.shape, dtype=bool)
    for fold in np.unique(found.folds):
        own, others = found.folds == fold, found.folds != fold
        cutoffs = [
            choose_cutoffs(
                found.scores[others, theme],
                found.probabilities[others, theme],
                truth[others, theme],
                wanted=promise,
            )[0]
            for theme in range(truth.shape[1])
        ]
        readable = readable_articles(found, others)[own]
        settled[own], accepted[own] = decide(found.probabilities[own], readable, cutoffs)
    tagged = accepted & settled[:, None]
    auto = settled & accepted.any(axis=1)
    return {
        "settled": _share(settled),
        "auto": _share(auto),
        "precision": _share(truth[tagged]),
        "recall": _share(accepted[truth & settled[:, None]]),
        "exact_sets": _share((truth == accepted).all(axis=1)[settled]),
    }


def readable_articles(found: OutOfFold, judged_by: Labels) -> Labels:
    """Where coverage suffices, by the floor that the articles `judged_by` would set."""
    return found.coverage >= np.percentile(found.coverage[judged_by], COVERAGE_PERCENTILE)


def _calibration_curve(probabilities: Floats, truth: Labels) -> list[dict[str, float]]:
    flat, hits = probabilities.ravel(), truth.ravel()
    which = np.minimum((flat * CURVE_BINS).astype(int), CURVE_BINS - 1)
    return [
        {
            "said": round(float(flat[which == bin].mean()), 4),
            "came": round(float(hits[which == bin].mean()), 4),
            "count": int((which == bin).sum()),
        }
        for bin in range(CURVE_BINS)
        if (which == bin).any()
    ]


def _confusions(truth: Labels, found: Labels, slugs: Sequence[str]) -> list[dict[str, Any]]:
    """How often one theme was found in place of another."""
    confused = []
    for own, other in combinations(range(len(slugs)), 2):
        for missed, taken in ((own, other), (other, own)):
            places = truth[:, missed] & ~found[:, missed] & found[:, taken] & ~truth[:, taken]
            confused.append(
                {"missed": slugs[missed], "taken": slugs[taken], "count": int(places.sum())}
            )
    return sorted(confused, key=lambda one: -one["count"])


def _mistakes(
    truth: Labels, probabilities: Floats, slugs: Sequence[str], articles: Sequence[Labelled]
) -> list[dict[str, Any]]:
    """The articles where the model was surest and wrong."""
    error = np.abs(truth - probabilities)
    worst = error.max(axis=1)
    return [
        {
            "id": articles[place].article.id,
            "title": articles[place].article.title,
            "text": articles[place].article.text,
            "labelled": sorted(articles[place].themes),
            "theme": slugs[int(error[place].argmax())],
            "scores": dict(zip(slugs, probabilities[place].round(4).tolist(), strict=True)),
        }
        for place in np.argsort(-worst, kind="stable")[:MISTAKES].tolist()
        if worst[place] >= 0.5
    ]


def evaluate_model(model: Classifier, corpus: Corpus) -> dict[str, Any]:
    """Figures of a finished model on labelled articles, among its own themes."""
    slugs = model.manifest.slugs
    unknown = sorted({theme.slug for theme in corpus.themes} - set(slugs))
    if unknown:
        raise CorpusRefused(
            f"标注里的主题 {'、'.join(unknown)} 不在模型 {model.id} 里",
            fix=f"模型的主题是 {'、'.join(slugs)}；请改标注或换模型",
        )
    taggings = list(model.tag_many(labelled.article for labelled in corpus.articles))
    probabilities = np.array([[tagging.scores[slug] for slug in slugs] for tagging in taggings])
    found = label_matrix([tagging.themes for tagging in taggings], slugs)
    truth = label_matrix([labelled.themes for labelled in corpus.articles], slugs)
    return figures(truth, probabilities, found, slugs, corpus.articles, seed=0)
