"""Claims about what editors changed of what a model had said, on both databases."""

from __future__ import annotations

from made_submissions import new, tagging

from service.store import Store
from service.store.records import Action, Submission


def _submit(store: Store, text: str, *themes: str) -> Submission:
    (one,) = store.submissions.add([new(text, tagging=tagging(*themes))]).submissions
    return one


def test_only_standing_reviews_at_odds_with_the_model_count(store: Store) -> None:
    """Confirmed, set alike, unsure and taken back are none; set otherwise and cleared are."""
    texts = ("确认", "照旧", "存疑", "撤销", "改了", "清空", "没打标签")
    ids = {text: _submit(store, text, "environment").id for text in texts[:-1]}
    ids["没打标签"] = store.submissions.add([new("没打标签", tagging=None)]).submissions[0].id
    store.reviews.review(ids["确认"], Action.CONFIRM, by="林编辑")
    store.reviews.review(ids["照旧"], Action.SET, by="林编辑", themes=("environment",))
    store.reviews.review(ids["存疑"], Action.UNSURE, by="林编辑")
    store.reviews.review(ids["撤销"], Action.NONE, by="林编辑")
    store.reviews.undo(ids["撤销"], by="林编辑")
    store.reviews.review(ids["改了"], Action.SET, by="林编辑", themes=("elder_care",))
    store.reviews.review(ids["清空"], Action.NONE, by="王主任")
    store.reviews.review(ids["没打标签"], Action.NONE, by="林编辑")

    told = store.corrections.told()

    assert [one.article.text for one in told] == ["改了", "清空"]
    assert [(one.themes, one.before) for one in told] == [
        (("elder_care",), ("environment",)),
        ((), ("environment",)),
    ]
    assert [one.article.text for one in store.corrections.told(by="林编辑")] == ["改了"]


def test_a_later_word_overrules_unless_it_says_the_same_or_was_taken_back(store: Store) -> None:
    """Who settled it otherwise last is named; agreeing and undone reviews overrule nobody."""
    agreed, overruled, undone = (_submit(store, text, "environment") for text in "一二三")
    for one in (agreed, overruled, undone):
        store.reviews.review(one.id, Action.SET, by="林编辑", themes=("elder_care",))
    store.reviews.review(agreed.id, Action.CONFIRM, by="王主任")
    store.reviews.review(overruled.id, Action.NONE, by="王主任")
    store.reviews.review(undone.id, Action.NONE, by="王主任")
    store.reviews.undo(undone.id, by="王主任")

    by_text = {one.article.text: one for one in store.corrections.told(by="林编辑")}

    assert {text: one.overruled_by for text, one in by_text.items()} == {
        "一": "", "二": "王主任", "三": "",
    }  # fmt: skip
