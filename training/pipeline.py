"""The model as scikit-learn sees it: TF-IDF of words and n-grams, one linear model per theme."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.svm import LinearSVC

from classifier.article import Article
from classifier.features import grams_of, read_sheet, words_of
from classifier.tokens import Tokenizer

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]  # (articles, themes)

# liblinear draws from one generator per process: on a cluster whose workers have threads, two
# machines learning at once would draw each other's numbers.
_one_machine = threading.Lock()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about a model that is chosen rather than learned; docs/design.md says how."""

    cost: float = 3.0  # C of the support vector machines
    smoothing: float = 0.03  # added to each feature's sum before the log-ratio
    min_articles: int = 2  # a feature in fewer articles is not learned
    word_weight: float = 0.5  # of the word block, the n-gram block weighing 1
    folds: int = 5
    seed: int = 20260901
    promise: float = 0.97  # precision, and share of themes not missed, among settled articles

    def as_json(self) -> dict[str, float | int]:
        """The form in manifests and reports."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The recipe of a manifest; what an older program did not write is as it is by default.

        >>> Recipe.from_json({"cost": 1.5, "colour": "red"})
        Recipe(cost=1.5, smoothing=0.03, min_articles=2, word_weight=0.5, folds=5, seed=20260901, promise=0.97)
        """
        return cls(**{name: value for name, value in record.items() if name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Reading:
    """An article's features as strings, cut once and used in every fold."""

    words: list[str]
    grams: list[str]


def read_features(article: Article, tokenizer: Tokenizer) -> Reading:
    """The features that training sees, the same that serving counts."""
    sheet = read_sheet(article)
    return Reading(words_of(sheet, tokenizer), grams_of(sheet))


def _words(reading: Reading) -> list[str]:
    return reading.words


def _grams(reading: Reading) -> list[str]:
    return reading.grams


class ThemeMachines(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One linear model per theme: the mean of two support vector machines.

    One machine sees the TF-IDF values, the other sees them scaled by the theme's naive-Bayes
    log-count ratio (Wang and Manning 2012). The ratio lifts words that mark a theme though they
    are rare, the plain machine keeps words that only matter together; the mean of the two is
    still linear in the features, so serving and evidence cost nothing more.
    """

    def __init__(self, *, cost: float = 1.0, smoothing: float = 0.1, seed: int = 0) -> None:
        self.cost = cost
        self.smoothing = smoothing
        self.seed = seed

    def fit(self, features: sparse.csr_matrix, labels: Labels) -> Self:
        """Learn from (articles, features) and (articles, themes).

        A theme that all or none of the articles have gets no weights and a bias of its side.
        """
        themes = labels.shape[1]
        self.coef_ = np.zeros((themes, features.shape[1]))
        self.intercept_ = np.where(labels.all(axis=0), 1.0, -1.0)
        for theme in range(themes):
            wanted = labels[:, theme]
            if wanted.all() or not wanted.any():
                continue
            ratio = self._log_ratio(features, wanted)
            plain = self._machine(features, wanted)
            scaled = self._machine(features @ sparse.diags(ratio), wanted)
            self.coef_[theme] = (plain.coef_[0] + scaled.coef_[0] * ratio) / 2
            self.intercept_[theme] = (plain.intercept_[0] + scaled.intercept_[0]) / 2
        return self

    def decision_function(self, features: sparse.csr_matrix) -> Floats:
        """Raw scores, (articles, themes)."""
        return np.asarray(features @ self.coef_.T + self.intercept_)

    def predict(self, features: sparse.csr_matrix) -> Labels:
        """Themes whose raw score is positive."""
        return self.decision_function(features) > 0

    def _machine(self, features: sparse.csr_matrix, wanted: NDArray[np.bool_]) -> LinearSVC:
        with _one_machine:
            return LinearSVC(C=self.cost, random_state=self.seed).fit(features, wanted)

    def _log_ratio(self, features: sparse.csr_matrix, wanted: NDArray[np.bool_]) -> Floats:
        inside = np.asarray(features[wanted].sum(axis=0)).ravel() + self.smoothing
        outside = np.asarray(features[~wanted].sum(axis=0)).ravel() + self.smoothing
        return np.asarray(np.log(inside / inside.sum()) - np.log(outside / outside.sum()))


def build_pipeline(recipe: Recipe) -> Pipeline:
    """An unfitted pipeline from readings to one raw score per theme."""
    shared: dict[str, Any] = {"sublinear_tf": True, "min_df": recipe.min_articles}
    blocks = FeatureUnion(
        [
            ("words", TfidfVectorizer(analyzer=_words, **shared)),
            ("grams", TfidfVectorizer(analyzer=_grams, **shared)),
        ],
        transformer_weights={"words": recipe.word_weight, "grams": 1.0},
    )
    return Pipeline([("features", blocks), ("themes", _machines(recipe))])


def _machines(recipe: Recipe) -> ThemeMachines:
    return ThemeMachines(cost=recipe.cost, smoothing=recipe.smoothing, seed=recipe.seed)


def count_features(readings: Sequence[Reading]) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """How often each article has each word and each n-gram, (articles, features) both."""
    words, grams = (
        CountVectorizer(analyzer=analyzer).fit_transform(readings) for analyzer in (_words, _grams)
    )
    return words, grams


def score_counted(
    words: sparse.csr_matrix,
    grams: sparse.csr_matrix,
    labels: Labels,
    *,
    learned: NDArray[np.intp],
    judged: NDArray[np.intp],
    recipe: Recipe,
) -> Floats:
    """What `build_pipeline`, fitted on the articles `learned`, answers for `judged`.

    From counts of all articles, so that a hundred recipes need no hundredth counting. Where a
    block has no feature in enough articles the recipe learns nothing: every score is -1.
    """
    seen, asked = [], []
    for counts, weight in ((words, recipe.word_weight), (grams, 1.0)):
        own = counts[learned]
        known = np.bincount(own.indices, minlength=own.shape[1]) >= recipe.min_articles
        if not known.any():
            return np.full((len(judged), labels.shape[1]), -1.0)
        weighing = TfidfTransformer(sublinear_tf=True).fit(own[:, known])
        seen.append(weighing.transform(own[:, known]) * weight)
        asked.append(weighing.transform(counts[judged][:, known]) * weight)
    fitted = _machines(recipe).fit(sparse.hstack(seen, format="csr"), labels[learned])
    return fitted.decision_function(sparse.hstack(asked, format="csr"))


def label_matrix(themes: Sequence[Collection[str]], slugs: Sequence[str]) -> Labels:
    """Who has what: (articles, themes)."""
    return np.array([[slug in own for slug in slugs] for own in themes], dtype=bool).reshape(
        len(themes), len(slugs)
    )
