"""Claims about training.gate and training.holdout: who is let in, who is not, and on what grounds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from lessons import learned, served, shortened, shuffled, without

from classifier.article import Article
from training.duplicates import duplicate_groups
from training.fit import Trained
from training.gate import Incumbent, Outcome, Pinned, Rules, judge, precision_interval
from training.holdout import held_out
from training.labelled import Corpus, Labelled
from training.verdict import verdict_page

SHARE, LENGTH = 0.3, 100


@pytest.fixture(scope="module")
def lesson(corpus: Corpus) -> Corpus:
    """First sentences of half the articles."""
    return shortened(corpus, every=2, length=LENGTH)


@pytest.fixture(scope="module")
def serving(lesson: Corpus) -> Trained:
    """A model of it."""
    return learned(lesson)


@pytest.fixture(scope="module")
def incumbent(serving: Trained) -> Incumbent:
    """The same, in service."""
    return Incumbent(served(serving), serving.corpus)


def test_a_model_is_not_worse_than_itself(serving: Trained, incumbent: Incumbent) -> None:
    """Nothing flips, every difference is nought, and the verdict is in words and as a page."""
    verdict = judge(serving, incumbent)

    assert verdict.promoted
    assert verdict.flipped == 0
    assert {one.difference for one in verdict.themes} == {0.0}
    page = verdict_page(verdict)
    assert all(one.name in page for one in verdict.themes)
    assert json.loads(json.dumps(verdict.as_json()))["promoted"] is True


def test_shuffled_labels_are_refused_by_the_name_of_their_theme(corpus: Corpus) -> None:
    """A fifth of one theme's labels dealt out anew: refused, this theme named and no other."""
    lesson = shortened(corpus, every=1, length=LENGTH)  # half would not tell it from chance
    sound = learned(lesson)
    spoilt = learned(shuffled(lesson, "environment", share=0.2))
    verdict = judge(spoilt, Incumbent(served(sound), lesson))

    assert not verdict.promoted
    assert [one.slug for one in verdict.themes if not one.passed] == ["environment"]
    assert "环境" in verdict.sentence
    worse = next(one for one in verdict.themes if one.slug == "environment")
    assert worse.low is not None
    assert worse.low < -Rules().margin
    assert verdict.flips
    assert all(flip.text for flip in verdict.flips)


def test_a_corpus_that_lost_a_theme_is_refused(lesson: Corpus, incumbent: Incumbent) -> None:
    """The sentence names the theme and the command for retiring it on purpose."""
    verdict = judge(learned(without(lesson, "elder_care")), incumbent)

    assert not verdict.promoted
    lost = [one for one in verdict.themes if one.outcome is Outcome.LOST]
    assert [one.slug for one in lost] == ["elder_care"]
    assert "gaoqian themes retire elder_care" in verdict.reasons[0]


def test_a_better_model_is_promoted_with_an_interval(serving: Trained, corpus: Corpus) -> None:
    """Against a model of an eighth of its articles: the mean F1 rises, its interval above nought."""
    eighth = learned(shortened(corpus, every=16, length=LENGTH))
    verdict = judge(serving, Incumbent(served(eighth), eighth.corpus))

    assert verdict.promoted
    assert verdict.mean is not None
    assert verdict.mean.outcome is Outcome.BETTER
    assert verdict.mean.low is not None
    assert verdict.mean.low > 0
    assert "95% 区间" in verdict.sentence


def test_a_pinned_article_that_comes_out_wrong_stops_everything(
    serving: Trained, incumbent: Incumbent
) -> None:
    """Right ones pass; a wrong one is named by its headline."""
    model = served(serving)
    article = serving.corpus.articles[0].article
    right = frozenset(model.tag(article).themes)
    wrong = Pinned(Article(article.text, "必须标对的一篇", "p"), right ^ {"environment"})

    assert judge(serving, incumbent, pinned=[Pinned(article, right)]).promoted
    refused = judge(serving, incumbent, pinned=[Pinned(article, right), wrong])
    assert not refused.promoted
    assert "必须标对的一篇" in refused.sentence


def test_without_a_serving_model_there_is_nothing_to_lose(serving: Trained) -> None:
    """The first model passes on its promises alone."""
    verdict = judge(serving, None)

    assert verdict.promoted
    assert verdict.serving is None
    assert verdict.themes == ()


def test_a_lost_promise_is_refused_by_name(serving: Trained, incumbent: Incumbent) -> None:
    """A theme that was settled by itself and would all go to review is a loss."""
    kept = replace(
        incumbent.model.manifest,
        promises=tuple(
            {**promise, "precision_kept": True} for promise in incumbent.model.manifest.promises
        ),
    )
    keeper = served(serving)
    keeper.manifest = kept

    verdict = judge(serving, Incumbent(keeper, serving.corpus))

    assert not verdict.promoted
    assert "承诺不起" in verdict.sentence


def test_the_hold_out_is_the_newest_and_the_same_in_any_order(corpus: Corpus) -> None:
    """Undated ones aside, no judging article of a theme is older than all that are learned from."""
    articles = list(corpus.articles)
    groups = duplicate_groups([one.article for one in articles])
    judging = held_out(articles, groups, share=SHARE)
    judges = {one.article.id for one, own in zip(articles, judging, strict=True) if own}

    turned = held_out(articles[::-1], groups[::-1], share=SHARE)
    assert judges == {
        one.article.id for one, own in zip(articles[::-1], turned, strict=True) if own
    }
    dates = np.array([one.date for one in articles])
    assert np.median([int(date[:4]) for date in dates[judging]]) > np.median(
        [int(date[:4]) for date in dates[~judging]]
    )
    for theme in corpus.themes:
        has = np.array([theme.slug in one.themes for one in articles])
        assert 0.8 * SHARE * has.sum() <= (judging & has).sum() <= SHARE * has.sum()


def test_no_cluster_is_on_both_sides(corpus: Corpus) -> None:
    """Wire copy is judged whole or learned from whole."""
    originals = corpus.articles[:80]
    copies = [
        Labelled(
            Article("本报讯 " + one.article.text, one.article.title, f"copy-{one.article.id}"),
            one.themes,
            "",
            date="2026-10",
        )
        for one in originals
    ]
    articles = [*originals, *copies]
    groups = duplicate_groups([one.article for one in articles])
    judging = held_out(articles, groups, share=SHARE)

    for group in np.unique(groups):
        assert len(set(judging[groups == group].tolist())) == 1
    assert judging.any()


def test_a_theme_that_came_last_week_is_learned_as_well_as_judged(corpus: Corpus) -> None:
    """However new all of its articles are, most are left to learn from."""
    new = [
        replace(one, themes=frozenset({"new_theme"}), date="2026-11")
        for one in corpus.articles[:30]
    ]
    articles = [*corpus.articles[30:200], *new]
    judging = held_out(articles, np.arange(len(articles)), share=SHARE)

    assert judging[-30:].sum() == 9


def test_the_interval_of_a_share_says_nothing_where_nothing_was_counted() -> None:
    """And holds the share itself everywhere else."""
    assert precision_interval(0, 0) == (0.0, 1.0)
    for count in (1, 7, 40):
        for right in range(count + 1):
            low, high = precision_interval(right, count)
            assert low <= right / count <= high
