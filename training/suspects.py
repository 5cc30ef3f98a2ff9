"""Labels that are probably wrong: suspected by confident learning, or at odds with a twin's.

The method of Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels" (JAIR 70, 2021), as the package cleanlab does it, for several yes-or-no labels an article:
from probabilities out of fold, a label is suspected where the model is at least as sure of the
opposite as it is, on average, of articles that are labelled with the opposite. They are ranked by
self-confidence, the probability of the label as it stands, less that average: a theme that the
model is generally unsure of does not fill the top of the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.duplicates import similar_pairs
from training.labelled import Labelled

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Suspect:
    """An article whose label for one theme is doubted."""

    place: int  # in the corpus
    id: str
    theme: str
    labelled: bool  # whether the label says that it has the theme
    probability: float  # that it has, by a model that has not seen it
    quality: float  # 0 to 1; the lower, the more the label is doubted
    confident: bool  # whether the model is as sure of the opposite as it usually is when right

    def as_json(self) -> dict[str, Any]:
        """The form in a model's folder."""
        return {
            "id": self.id,
            "theme": self.theme,
            "labelled": self.labelled,
            "probability": round(self.probability, 4),
            "quality": round(self.quality, 4),
            "confident": self.confident,
        }


def rank_suspects(
    truth: Labels, probabilities: Floats, slugs: Sequence[str], articles: Sequence[Labelled]
) -> tuple[Suspect, ...]:
    """Every article once, by its worst label, the most doubted first.

    `truth` and `probabilities` are (articles, themes), the latter out of fold and calibrated.
    """
    own = np.where(truth, probabilities, 1 - probabilities)
    quality, confident = np.empty_like(own), np.zeros_like(truth)
    for theme in range(truth.shape[1]):
        for side in (False, True):
            here, there = truth[:, theme] == side, truth[:, theme] != side
            usual = own[here, theme].mean() if here.any() else 1.0
            usual_there = own[there, theme].mean() if there.any() else np.inf
            confident[here, theme] = 1 - own[here, theme] >= usual_there
            # From cleanlab: adjusted self-confidence, moved up so that none is below zero.
            quality[here, theme] = (own[here, theme] - usual + 1) / 2
    # A confident one before one that is not, whatever their qualities.
    order_of = quality - confident
    worst = order_of.argmin(axis=1)
    rows = np.arange(len(truth))
    return tuple(
        Suspect(
            place,
            articles[place].article.id,
            slugs[worst[place]],
            bool(truth[place, worst[place]]),
            float(probabilities[place, worst[place]]),
            float(quality[place, worst[place]]),
            bool(confident[place, worst[place]]),
        )
        for place in np.argsort(order_of[rows, worst], kind="stable").tolist()
    )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two near-duplicates that are labelled differently."""

    one: str  # id
    other: str
    likeness: float  # share of shingles in common
    themes: tuple[str, ...]  # that only one of them has

    def as_json(self) -> dict[str, Any]:
        """The form in a model's folder."""
        return {
            "one": self.one,
            "other": self.other,
            "likeness": round(self.likeness, 3),
            "themes": [*self.themes],
        }


def contradictions(articles: Sequence[Labelled]) -> tuple[Contradiction, ...]:
    """Near-duplicates labelled differently, the most alike first."""
    pairs = [
        Contradiction(
            articles[one].article.id,
            articles[other].article.id,
            likeness,
            tuple(sorted(articles[one].themes ^ articles[other].themes)),
        )
        for one, other, likeness in similar_pairs([labelled.article for labelled in articles])
        if articles[one].themes != articles[other].themes
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.likeness))
