"""Claims about service.taxonomy: old ids mean what replaced them, and every step can be undone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.article import Article
from classifier.errors import Conflict, GaoqianError, NotFound
from classifier.evidence import tag_with_evidence
from classifier.model import Classifier
from classifier.registry import Registry
from classifier.themes import Theme
from service.taxonomy import (
    THEMES,
    Change,
    Kind,
    Taxonomy,
    answering,
    read_taxonomy,
    undo_step,
    write_step,
)
from tests.conftest import NOW
from training.labelled import Corpus

KNOWN = tuple(Theme(slug, slug.upper()) for slug in "abcd")


@st.composite
def _steps(draw: st.DrawFn) -> Taxonomy:
    """Any history that the checks let through."""
    taxonomy = Taxonomy()
    for number in range(draw(st.integers(0, 6))):
        today = [theme.slug for theme in taxonomy.themes(KNOWN)]
        kind = draw(st.sampled_from([*Kind]))
        slug = draw(st.sampled_from(today)) if today and kind is not Kind.ADD else f"new{number}"
        into = ""
        if kind is Kind.MERGE:
            into = draw(st.sampled_from(today)) if today else "none"
        elif kind is Kind.RENAME:
            into = f"to{number}"
        try:
            taxonomy = taxonomy.with_step(Change(kind, slug, into, name=slug), KNOWN)
        except GaoqianError:
            continue
    return taxonomy


@settings(max_examples=150, deadline=None)
@given(_steps())
def test_an_id_is_called_what_is_in_use_today_or_nothing(taxonomy: Taxonomy) -> None:
    """No label ever becomes an id that is not a theme today; today's ids stand for themselves."""
    today = {theme.slug for theme in taxonomy.themes(KNOWN)}

    for theme in KNOWN:
        assert taxonomy.now(theme.slug) in {*today, None}
    assert all(taxonomy.now(slug) == slug for slug in today)
    assert set(taxonomy.replaced().values()) <= {*today, None}
    assert not set(taxonomy.replaced()) & today


@settings(max_examples=50, deadline=None)
@given(_steps())
def test_labels_are_renamed_once_and_for_all(taxonomy: Taxonomy) -> None:
    """Reading labels of today again changes nothing."""
    labels = taxonomy.labels(theme.slug for theme in KNOWN)
    assert taxonomy.labels(labels) == labels
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (Change(Kind.ADD, "a", name="A"), Conflict),
        (Change(Kind.ADD, "大写", name="A"), GaoqianError),
        (Change(Kind.MERGE, "a", into="a"), NotFound),
        (Change(Kind.MERGE, "a", into="zz"), NotFound),
        (Change(Kind.RETIRE, "zz"), NotFound),
        (Change(Kind.RENAME, "a", into="b"), Conflict),
        (Change(Kind.RENAME, "a"), GaoqianError),
        (Change(Kind.ADD, "../x", name="A"), GaoqianError),
    ],
)
def test_steps_that_make_no_sense_are_refused(change: Change, error: type[Exception]) -> None:
    """In a sentence, and nothing is changed."""
    with pytest.raises(error):
        Taxonomy().with_step(change, KNOWN)


def test_a_retired_id_is_never_given_to_another_theme() -> None:
    """Labels of old must not come to mean something new."""
    gone = Taxonomy().with_step(Change(Kind.RETIRE, "a"), KNOWN)

    with pytest.raises(Conflict, match="undo"):
        gone.with_step(Change(Kind.ADD, "a", name="新"), KNOWN)


def _texts(corpus: Corpus) -> Sequence[Article]:
    return [one.article for one in corpus.articles[:60]]


def test_a_retired_theme_is_never_predicted_again(model: Classifier, corpus: Corpus) -> None:
    """Neither in themes nor scores nor evidence; the numbers of the others do not move by a bit."""
    retired = answering(model, Taxonomy((Change(Kind.RETIRE, "environment"),)))

    for article in _texts(corpus):
        before, after = model.tag(article), tag_with_evidence(retired, article)
        assert "environment" not in {*after.themes, *after.scores}
        assert all(reason.theme != "environment" for reason in after.evidence or ())
        assert after.scores == {
            slug: value for slug, value in before.scores.items() if slug != "environment"
        }
        assert after.themes == tuple(slug for slug in before.themes if slug != "environment")


def test_a_renamed_theme_answers_by_its_new_id(model: Classifier, corpus: Corpus) -> None:
    """With the same number, decision and evidence."""
    step = Change(Kind.RENAME, "environment", into="ecology", name="生态环境")
    renamed = answering(model, Taxonomy((step,)))

    assert "生态环境" in [theme.name for theme in renamed.manifest.themes]
    for article in _texts(corpus)[:20]:
        before, after = tag_with_evidence(model, article), tag_with_evidence(renamed, article)
        assert after.scores["ecology"] == before.scores["environment"]
        assert after.decision == before.decision
        assert len(after.evidence or ()) == len(before.evidence or ())


def test_merged_themes_answer_as_one(model: Classifier, corpus: Corpus) -> None:
    """An article has the theme when it had either, with the higher probability."""
    step = Change(Kind.MERGE, "elder_care", into="party_building")
    merged = answering(model, Taxonomy((step,)))

    for article in _texts(corpus):
        before, after = model.tag(article), merged.tag(article)
        assert ("party_building" in after.themes) == bool(
            {"elder_care", "party_building"} & set(before.themes)
        )
        assert after.scores["party_building"] == max(
            before.scores["elder_care"], before.scores["party_building"]
        )
        assert len(set(after.themes)) == len(after.themes)
        assert "elder_care" not in after.scores


def test_a_step_and_its_undoing_leave_everything_as_it_was(
    registry: Registry, model: Classifier, corpus: Corpus
) -> None:
    """Predictions and ids after undo are those from before, and both steps name who took them."""
    known = model.manifest.themes
    taxonomy = write_step(registry, Change(Kind.RETIRE, "environment"), known, now=NOW, by="王主任")

    assert read_taxonomy(registry.folder) == taxonomy
    assert taxonomy.changes[0].by == "王主任"
    undone = undo_step(registry)
    assert undone.slug == "environment"
    assert answering(model, read_taxonomy(registry.folder)) is model
    with pytest.raises(Conflict):
        undo_step(registry)


@pytest.mark.parametrize("content", ["{}", "[1]", '[{"kind": "x"}]', "[" * 5000, "\x00"])
def test_a_file_that_is_none_of_ours_is_refused_in_a_sentence(
    registry: Registry, content: str
) -> None:
    """Never a traceback, and never half of it applied."""
    (registry.folder / THEMES).write_text(content, encoding="utf-8")

    with pytest.raises(GaoqianError, match=r"themes\.json"):
        read_taxonomy(registry.folder)
