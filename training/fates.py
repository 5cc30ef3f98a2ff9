"""What became of each correction: whether the model has learned what an editor told it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.preprocessing import normalize

from classifier.article import Article
from classifier.tokens import open_tokenizer
from training.fit import Trained
from training.pipeline import read_features

NEAREST = 3
LIKE = 0.05  # cosine; below it two articles have nothing to say about each other


class Fate(StrEnum):
    """What became of a correction."""

    LEARNED = "learned"  # a model that has not seen the article now tags it so
    NOT_YET = "not_yet"
    OVERRULED = "overruled"  # a later review says otherwise
    RETIRED = "retired"  # it is about themes that are no longer in use


@dataclass(frozen=True, slots=True)
class Correction:
    """A review that changed what the model had said."""

    review: int  # id of the review
    submission: str
    article: Article
    by: str
    at: datetime
    themes: frozenset[str]  # as the editor left them
    before: frozenset[str]  # as the model had them
    overruled_by: str = ""  # who reviewed it later and left it otherwise


@dataclass(frozen=True, slots=True)
class Opposite:
    """An article that says the opposite of a correction."""

    id: str
    title: str
    theme: str
    labelled: bool  # whether it has the theme
    likeness: float  # cosine of the two articles' features, 0 to 1


@dataclass(frozen=True, slots=True)
class Told:
    """A correction with its fate."""

    correction: Correction
    fate: Fate
    by_heart: bool  # the model tags this very article right, but not yet one like it
    opposites: tuple[Opposite, ...]
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """The form in a model's folder and in the API."""
        one = self.correction
        return {
            "review": one.review,
            "submission": one.submission,
            "title": one.article.title,
            "by": one.by,
            "at": one.at.isoformat(timespec="seconds"),
            "themes": sorted(one.themes),
            "before": sorted(one.before),
            "fate": str(self.fate),
            "by_heart": self.by_heart,
            "overruled_by": one.overruled_by,
            "opposites": [
                {
                    "id": other.id,
                    "title": other.title,
                    "theme": other.theme,
                    "labelled": other.labelled,
                    "likeness": round(other.likeness, 3),
                }
                for other in self.opposites
            ],
            "sentence": self.sentence,
        }


def tell_fates(
    corrections: Sequence[Correction],
    trained: Trained,
    *,
    today: Mapping[str, str | None] | None = None,
) -> tuple[Told, ...]:
    """The fate of every correction under a freshly trained model, in the order given.

    Learned means more than remembered: a model that has seen neither the article nor its near-
    duplicates gets it right. `today` says what older theme ids are called now, None for retired.
    """
    school = _School(trained)
    return tuple(_tell(one, school, today or {}) for one in corrections)


class _School:
    """A trained model with what is asked of it for every correction, worked out once."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self.places = {one.article.id: place for place, one in enumerate(trained.corpus.articles)}

    @cached_property
    def features(self) -> Any:
        """The corpus's features, each article's scaled to length one."""
        return self.features_of([one.article for one in self.trained.corpus.articles])

    def features_of(self, articles: Sequence[Article]) -> Any:
        """The features of any articles, scaled so that a product of two is their cosine."""
        tokenizer = open_tokenizer(self.trained.manifest.tokenizer)
        union = self.trained.pipeline.named_steps["features"]
        return normalize(union.transform([read_features(one, tokenizer) for one in articles]))


def _tell(one: Correction, school: _School, replaced: Mapping[str, str | None]) -> Told:
    trained = school.trained
    slugs = trained.manifest.slugs
    wanted, before = (_renamed(themes, replaced) for themes in (one.themes, one.before))
    disputed = [slug for slug in slugs if (slug in wanted) != (slug in before)]
    if one.overruled_by:
        return Told(one, Fate.OVERRULED, False, (), f"后来 {one.overruled_by} 另有审定")
    if not disputed:
        return Told(one, Fate.RETIRED, False, (), "所涉主题已停用或合并")
    columns = [slugs.index(slug) for slug in disputed]
    target = np.array([slug in wanted for slug in disputed])
    accepts = np.array([trained.manifest.cutoffs[column].accept for column in columns])
    place = school.places.get(one.article.id)
    if place is not None:
        probabilities = trained.out_of_fold.probabilities[place, columns]
        wrong = [
            slug
            for slug, right in zip(
                disputed, ((probabilities >= accepts) == target).tolist(), strict=True
            )
            if not right
        ]
    else:
        wrong = disputed
    if not wrong:
        return Told(one, Fate.LEARNED, True, (), "没看过这一篇，也会这样标")
    by_heart = _remembers(one, trained, wrong, wanted)
    opposites = tuple(
        other for slug in wrong for other in _opposites(one, school, slug, slug in wanted)
    )
    said = "这一篇记住了，换一篇相似的还会标错" if by_heart else "连这一篇也还标错"
    why = f"有 {len(opposites)} 篇相似的稿件标得相反" if opposites else "相似的稿件还太少"
    return Told(one, Fate.NOT_YET, by_heart, opposites, f"{said}，{why}")


def _renamed(themes: frozenset[str], replaced: Mapping[str, str | None]) -> frozenset[str]:
    now = (replaced.get(slug, slug) for slug in themes)
    return frozenset(slug for slug in now if slug is not None)


def _remembers(
    one: Correction, trained: Trained, disputed: Sequence[str], wanted: frozenset[str]
) -> bool:
    manifest = trained.manifest
    reading = read_features(one.article, open_tokenizer(manifest.tokenizer))
    scores = trained.pipeline.decision_function([reading])[0]
    for slug in disputed:
        column = manifest.slugs.index(slug)
        own = manifest.cutoffs[column]
        logit = scores[column] * own.slope + own.offset
        if (logit >= np.log(own.accept / (1 - own.accept))) != (slug in wanted):
            return False
    return True


def _opposites(one: Correction, school: _School, slug: str, has_it: bool) -> list[Opposite]:
    """The articles most like it that are labelled the other way."""
    trained = school.trained
    likeness = (school.features @ school.features_of([one.article]).T).toarray().ravel()
    has = trained.truth[:, trained.manifest.slugs.index(slug)]
    found: list[Opposite] = []
    for place in np.argsort(-likeness, kind="stable").tolist():
        other = trained.corpus.articles[place].article
        if len(found) == NEAREST or likeness[place] < LIKE:
            break
        if has[place] != has_it and other.id != one.article.id:
            said = Opposite(other.id, other.title, slug, not has_it, float(likeness[place]))
            found.append(said)
    return found
