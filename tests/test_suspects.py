"""Claims about training.suspects: wrong labels are found, and rightly ranked."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lessons import QUICK, shortened

from classifier.article import Article
from classifier.tokens import current_tokenizer
from training.duplicates import duplicate_groups
from training.fit import score_out_of_fold
from training.labelled import Corpus, Labelled
from training.pipeline import label_matrix, read_features
from training.suspects import contradictions, rank_suspects

SLUGS = ("a", "b")


def _articles(count: int) -> list[Labelled]:
    return [Labelled(Article("", "", str(place)), frozenset(), "") for place in range(count)]


def test_planted_noise_is_found_in_the_first_tenth(corpus: Corpus) -> None:
    """Of 5 % wrong labels planted at least 60 % are in the first 10 % of the ranking."""
    lesson = shortened(corpus, every=2, length=150)
    slugs = [theme.slug for theme in lesson.themes]
    chance = random.Random(5)
    articles = list(lesson.articles)
    planted = set(chance.sample(range(len(articles)), len(articles) // 20))
    for place in planted:
        flipped = articles[place].themes ^ {chance.choice(slugs)}
        articles[place] = replace(articles[place], themes=flipped)
    truth = label_matrix([one.themes for one in articles], slugs)
    tokenizer = current_tokenizer()
    found = score_out_of_fold(
        [read_features(one.article, tokenizer) for one in articles],
        truth,
        duplicate_groups([one.article for one in articles]),
        recipe=replace(QUICK, folds=3),
        jobs=1,
    )

    first = rank_suspects(truth, found.probabilities, slugs, articles)[: len(articles) // 10]

    assert sum(one.place in planted for one in first) >= 0.6 * len(planted)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_article_is_ranked_once_with_its_own_label(seed: int) -> None:
    """Whatever the probabilities: no article twice, labels as they stand, quality in 0 to 1."""
    chance = np.random.default_rng(seed)
    truth = chance.random((30, 2)) < 0.4
    ranked = rank_suspects(truth, chance.random((30, 2)), SLUGS, _articles(30))

    assert sorted(one.place for one in ranked) == [*range(30)]
    assert all(one.labelled == truth[one.place, SLUGS.index(one.theme)] for one in ranked)
    assert all(0 <= one.quality <= 1 for one in ranked)
    confident = [one.confident for one in ranked]
    assert confident == sorted(confident, reverse=True)


def test_thresholds_are_those_of_confident_learning() -> None:
    """Computed by hand: suspected is who is as far over as the other side's mean."""
    truth = np.array([[True], [True], [True], [False], [False], [False]])
    probabilities = np.array([[0.9], [0.8], [0.1], [0.2], [0.1], [0.75]])
    # Mean self-confidence: 0.6 of those that have it, 1 - 0.35 = 0.65 of those that have not.
    ranked = rank_suspects(truth, probabilities, ("a",), _articles(6))

    assert [one.place for one in ranked if one.confident] == [2, 5]
    assert ranked[0].quality == pytest.approx((0.1 - 0.6 + 1) / 2)


def test_twins_tagged_two_ways_are_named(corpus: Corpus) -> None:
    """A copy with another label is a contradiction, a copy with the same label is none."""
    long = [one for one in corpus.articles if len(one.article.text) > 200][:20]
    copies = [
        replace(one, article=Article("本报讯 " + one.article.text, "", f"copy-{one.article.id}"))
        for one in long
    ]
    copies[3] = replace(copies[3], themes=copies[3].themes ^ {"environment"})

    found = contradictions([*long, *copies])

    assert [(pair.one, pair.other, pair.themes) for pair in found] == [
        (long[3].article.id, copies[3].article.id, ("environment",))
    ]
