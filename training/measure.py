"""Figures about a model, each with the doubt that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ThemeFigures:
    """How well one theme is found."""

    precision: float
    recall: float
    f1: float
    support: int  # articles that have the theme

    def as_json(self) -> dict[str, float | int]:
        """The form in reports."""
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "f1": round(self.f1, 4),
            "support": self.support,
        }


def theme_figures(truth: Labels, found: Labels) -> ThemeFigures:
    """Precision, recall and F1 of one theme, (articles,) each; 0 where nothing can be said."""
    right = int((truth & found).sum())
    precision = right / max(int(found.sum()), 1)
    recall = right / max(int(truth.sum()), 1)
    f1 = 2 * right / max(int(found.sum()) + int(truth.sum()), 1)
    return ThemeFigures(precision, recall, f1, int(truth.sum()))


def macro_f1(truth: Labels, found: Labels) -> float:
    """Mean F1 over themes, (articles, themes) each."""
    right = (truth & found).sum(axis=0)
    total = truth.sum(axis=0) + found.sum(axis=0)
    return float(np.mean(2 * right / np.maximum(total, 1)))


def macro_f1_interval(
    truth: Labels, found: Labels, *, seed: int, rounds: int = 1000
) -> tuple[float, float]:
    """95 % interval of macro-F1 by resampling articles (percentile bootstrap)."""
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, len(truth), (rounds, len(truth)))
    values = [macro_f1(truth[pick], found[pick]) for pick in picks]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def calibration_error(probabilities: Floats, truth: Labels, *, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins, any shape (Naeini et al. 2015)."""
    flat, hits = probabilities.ravel(), truth.ravel()
    which = np.minimum((flat * bins).astype(int), bins - 1)
    sizes = np.bincount(which, minlength=bins)
    said = np.bincount(which, weights=flat, minlength=bins)
    came = np.bincount(which, weights=hits.astype(float), minlength=bins)
    return float(np.abs(said - came).sum() / max(sizes.sum(), 1))


def lower_bounds(
    hits: NDArray[np.intp], trials: NDArray[np.intp], *, confidence: float = 0.95
) -> Floats:
    """The share that each `hits` of `trials` proves, one-sided (Clopper and Pearson 1934).

    >>> lower_bounds(np.array([100, 97]), np.array([100, 100])).round(3).tolist()
    [0.97, 0.924]
    """
    return np.asarray(np.nan_to_num(stats.beta.ppf(1 - confidence, hits, trials - hits + 1)))
