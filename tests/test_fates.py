"""Claims about training.fates: every correction has one fate, and it is the right one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from lessons import learned, shortened

from classifier.article import Article
from tests.conftest import NOW
from training.fates import Correction, Fate, tell_fates
from training.fit import Trained
from training.labelled import Corpus, Labelled

ODD = "odd"


@pytest.fixture(scope="module")
def school(corpus: Corpus) -> Trained:
    """A model of some articles, one of them labelled against all that is like it."""
    lesson = shortened(corpus, every=3)
    clear = next(one for one in lesson.articles if one.themes == {"elder_care"})
    odd = Labelled(
        Article(
            "老人们在社区助餐点吃午饭，志愿者上门照料高龄老人，日间照料中心添了新床。", "", ODD
        ),
        frozenset({"investment_promotion"}),
        "",
    )
    assert clear
    return learned(Corpus((*lesson.articles, odd), lesson.themes))


def _correction(labelled: Labelled, review: int, before: frozenset[str]) -> Correction:
    return Correction(
        review,
        labelled.article.id,
        labelled.article,
        "林编辑",
        NOW,
        labelled.themes,
        before,
    )


def test_fates_sum_to_all_corrections_and_most_are_learned(school: Trained) -> None:
    """Corrections back to labels that many articles share are learned; none is left out."""
    labelled = [one for one in school.corpus.articles if one.themes][:60]
    corrections = [_correction(one, number, frozenset()) for number, one in enumerate(labelled)]
    told = tell_fates(corrections, school)

    fates = Counter(one.fate for one in told)
    assert fates.total() == len(corrections)
    assert fates[Fate.LEARNED] > 0.7 * len(corrections)
    assert [one.correction.review for one in told] == [one.review for one in corrections]


def test_what_is_not_learned_links_to_the_articles_that_say_the_opposite(school: Trained) -> None:
    """One label against all like it: not yet, and the nearest articles that contradict it."""
    odd = school.corpus.articles[-1]
    (told,) = tell_fates([_correction(odd, 1, frozenset({"elder_care"}))], school)

    assert told.fate is Fate.NOT_YET
    assert len(told.opposites) >= 1
    themes = {one.article.id: one.themes for one in school.corpus.articles}
    for other in told.opposites:
        assert other.id != ODD
        assert other.labelled == (other.theme in themes[other.id])
        assert other.labelled != (other.theme in odd.themes)
    against = [other for other in told.opposites if other.theme == "elder_care"]
    assert against, "the nearest articles about care for the old say so"
    assert all("老" in _text(school, other.id) for other in against)


def _text(school: Trained, id: str) -> str:
    article = next(one.article for one in school.corpus.articles if one.article.id == id)
    return article.title + article.text


def test_a_later_review_overrules(school: Trained) -> None:
    """Who reviewed it later is named, whatever the model thinks."""
    one = _correction(school.corpus.articles[0], 7, frozenset())
    (told,) = tell_fates([replace(one, overruled_by="王主任")], school)

    assert told.fate is Fate.OVERRULED
    assert "王主任" in told.sentence


def test_a_retired_theme_ends_its_corrections(school: Trained) -> None:
    """A correction about nothing but a theme out of use is told as such."""
    one = replace(
        _correction(school.corpus.articles[0], 7, frozenset()), themes=frozenset({"greening"})
    )
    (told,) = tell_fates([one], school, today={"greening": None})

    assert told.fate is Fate.RETIRED


def test_a_merged_theme_is_judged_by_what_replaced_it(school: Trained) -> None:
    """The old id in a correction means the new one."""
    labelled = next(one for one in school.corpus.articles if one.themes == {"environment"})
    one = _correction(labelled, 7, frozenset())
    old = replace(one, themes=frozenset({"greening"}))
    today = {"greening": "environment"}

    assert [told.fate for told in tell_fates([old], school, today=today)] == [
        told.fate for told in tell_fates([one], school)
    ]
