"""Reviews are a history that only grows; steps back, races and locks lose nobody's work."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from conftest import NOW, Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_submissions import THEMES, new, tagging

from classifier.errors import Conflict, Outdated
from service.store import Store, open_store
from service.store.records import Action, Query, State, Submission

_numbers = itertools.count()


def fresh(store: Store, count: int = 1) -> list[Submission]:
    """Submissions of texts that were not there before."""
    made = [new(f"第{next(_numbers)}篇", doubt=0.5) for _ in range(count)]
    return list(store.submissions.add(made).submissions)


def standing(one: Submission) -> tuple[State, tuple[str, ...], str]:
    return one.state, one.themes, one.themes_by


def test_confirm_set_none_and_unsure(store: Store, clock: Clock) -> None:
    """Each action leads where it says, moves the version on, and is written down."""
    wanted = {
        Action.CONFIRM: (State.SETTLED, ("environment",), "editor@li"),
        Action.SET: (State.SETTLED, ("elder_care", "party_building"), "editor@li"),
        Action.NONE: (State.SETTLED, (), "editor@li"),
        Action.UNSURE: (State.UNSURE, ("environment",), "model@m1"),
    }
    for (action, after), one in zip(wanted.items(), fresh(store, 4), strict=True):
        clock.now += timedelta(minutes=1)
        themes = ["elder_care", "party_building", "elder_care"] if action is Action.SET else []
        reviewed = store.reviews.review(one.id, action, by="li", themes=themes, version=one.version)
        assert standing(reviewed) == after
        assert reviewed.version == 2
        assert reviewed.settled == (None if action is Action.UNSURE else clock.now)
        (entry,) = store.reviews.history(one.id)
        assert (entry.by, entry.at, entry.action) == ("li", clock.now, action)
        assert (entry.from_state, entry.from_themes, entry.from_by) == standing(one)
        assert (entry.to_state, entry.to_themes) == after[:2]
        assert one.tagging
        assert entry.tagging == one.tagging.id
    assert store.submissions.states()[State.SETTLED] == 3


def test_setting_no_theme_is_none(store: Store) -> None:
    """To set no themes is written down as what it is."""
    (one,) = fresh(store)
    store.reviews.review(one.id, Action.SET, by="li", themes=[])
    assert store.reviews.history(one.id)[0].action is Action.NONE


def test_an_untagged_submission_cannot_be_confirmed(store: Store) -> None:
    """Where no model has spoken there is nothing to confirm, but themes can be set."""
    (one,) = store.submissions.add([new("未打标签", tagging=None)]).submissions
    with pytest.raises(Conflict):
        store.reviews.review(one.id, Action.CONFIRM, by="li")
    store.reviews.review(one.id, Action.SET, by="li", themes=["elder_care"])
    assert standing(store.reviews.undo(one.id, by="li")) == (State.NEW, (), "")


def test_a_twin_is_reviewed_through_its_first(store: Store) -> None:
    """A review of a twin is refused and names the first."""
    first, twin = store.submissions.add([new("同一篇"), new("同一篇")]).submissions
    with pytest.raises(Conflict, match=first.id):
        store.reviews.review(twin.id, Action.NONE, by="li")
    store.reviews.review(first.id, Action.NONE, by="li")
    assert store.reviews.history(twin.id) == store.reviews.history(first.id) != ()


@dataclass
class Told:
    """The history as a plain list: what a submission's reviews and undos must come to."""

    now: tuple[State, tuple[str, ...], str]
    entries: list[tuple[int, str, object, tuple[State, tuple[str, ...], str]]] = field(
        default_factory=list
    )  # when, who, batch, standing before; those not taken back


editors = st.sampled_from(("li", "zhao"))
places = st.integers(0, 2)
steps = st.one_of(
    st.tuples(
        st.just("review"),
        editors,
        st.sets(places, min_size=1, max_size=1),
        st.sampled_from([Action.CONFIRM, Action.SET, Action.NONE, Action.UNSURE]),
        st.sampled_from(THEMES),
    ),
    st.tuples(
        st.just("batch"),
        editors,
        st.sets(places, min_size=1),
        st.sampled_from([Action.CONFIRM, Action.SET, Action.NONE, Action.UNSURE]),
        st.sampled_from(THEMES),
    ),
    st.tuples(st.just("undo"), editors, st.sets(places, min_size=1, max_size=1)),
    st.tuples(st.just("undo_last"), editors, st.just(set())),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(script=st.lists(steps, max_size=14))
def test_any_steps_forth_and_back_end_where_they_should(
    store: Store, script: list[tuple[object, ...]]
) -> None:
    """However reviews, bulk reviews and undos of two editors follow each other, each submission
    stands as a plain list of them says, and the history holds every step in order."""
    ids = [one.id for one in fresh(store, 3)]
    start = (State.REVIEW, ("environment",), "model@m1")
    told = {id: Told(start) for id in ids}
    written = dict.fromkeys(ids, 0)
    run = next(_numbers)

    for when, (kind, who, where, *rest) in enumerate(script):
        by = f"{who}{run}"
        chosen = sorted(ids[place] for place in where)  # type: ignore[attr-defined]
        if kind in ("review", "batch"):
            action, theme = rest
            assert isinstance(action, Action)
            if kind == "review":
                store.reviews.review(chosen[0], action, by=by, themes=[str(theme)])
            else:
                done = store.reviews.review_many(
                    dict.fromkeys(chosen), action, by=by, themes=[str(theme)]
                )
                assert (done.done, done.refused) == (tuple(chosen), {})
            for id in chosen:
                before = told[id].now
                told[id].entries.append((when, by, when if kind == "batch" else None, before))
                told[id].now = {
                    Action.CONFIRM: (State.SETTLED, before[1], f"editor@{by}"),
                    Action.SET: (State.SETTLED, (str(theme),), f"editor@{by}"),
                    Action.NONE: (State.SETTLED, (), f"editor@{by}"),
                    Action.UNSURE: (State.UNSURE, before[1], before[2]),
                }[action]
                written[id] += 1
            continue
        if kind == "undo":
            last = told[chosen[0]].entries[-1:]
            back = chosen if last and last[0][1] == by else []
            undo: Callable[[], object] = lambda id=chosen[0], by=by: store.reviews.undo(id, by=by)  # noqa: E731
        else:
            mine = [t.entries[-1] for t in told.values() if t.entries and t.entries[-1][1] == by]
            latest = max((entry[0] for entry in mine), default=None)
            back = [id for id in ids if told[id].entries and told[id].entries[-1][0] == latest]
            undo = lambda by=by: store.reviews.undo_last(by)  # noqa: E731
        if not back:
            with pytest.raises(Conflict):
                undo()
            continue
        undo()
        for id in back:
            told[id].now = told[id].entries.pop()[3]
            written[id] += 1

    for id in ids:
        one = store.submissions.get(id)
        assert standing(one) == told[id].now
        assert one.version == 1 + written[id]
        assert (one.settled is not None) == (one.state is State.SETTLED)
        history = store.reviews.history(id)
        assert len(history) == written[id]
        for earlier, later in itertools.pairwise(history):
            assert later.from_state is earlier.to_state
            assert later.from_themes == earlier.to_themes
        assert sum(not e.undone and e.action is not Action.UNDO for e in history) == len(
            told[id].entries
        )


def test_undo_gives_back_the_time_of_the_earlier_review(store: Store, clock: Clock) -> None:
    """Taking back the second of two settlements restores the moment of the first."""
    (one,) = fresh(store)
    store.reviews.review(one.id, Action.CONFIRM, by="li")
    clock.now += timedelta(days=1)
    store.reviews.review(one.id, Action.NONE, by="li")
    assert store.reviews.undo(one.id, by="li").settled == NOW
    assert store.reviews.undo(one.id, by="li").settled is None


def test_nobody_takes_back_another_editors_review(store: Store) -> None:
    """Undo names who reviewed last instead; `undo_last` passes over what was overruled."""
    one, other = fresh(store, 2)
    store.reviews.review(other.id, Action.NONE, by="li")
    store.reviews.review(one.id, Action.NONE, by="li")
    store.reviews.review(one.id, Action.CONFIRM, by="zhao")
    with pytest.raises(Conflict, match="zhao"):
        store.reviews.undo(one.id, by="li")
    assert store.reviews.undo_last("li").done == (other.id,)
    with pytest.raises(Conflict):
        store.reviews.undo_last("li")
    assert store.submissions.get(one.id).themes_by == "editor@zhao"


def test_a_review_of_an_older_version_is_refused(store: Store) -> None:
    """Who saw an older version changes nothing, by review, bulk review or undo."""
    (one,) = fresh(store)
    now = store.reviews.review(one.id, Action.UNSURE, by="li", version=1)
    with pytest.raises(Outdated):
        store.reviews.review(one.id, Action.NONE, by="zhao", version=1)
    with pytest.raises(Outdated):
        store.reviews.undo(one.id, by="li", version=1)
    batch = store.reviews.review_many({one.id: 1}, Action.NONE, by="zhao")
    assert batch.done == ()
    assert "第 2 版" in batch.refused[one.id]
    assert store.submissions.get(one.id) == now


def test_of_parallel_reviews_of_one_version_one_wins(store: Store, store_url: str) -> None:
    """16 editors settle the same version at once: one is written, 15 are told."""
    (one,) = fresh(store)
    other = open_store(store_url, clock=store.clock)
    started, won, lost = threading.Barrier(16), [], []

    def settle(number: int) -> None:
        started.wait()
        try:
            where = (store, other)[number % 2]
            where.reviews.review(
                one.id, Action.SET, by=f"e{number}", themes=["elder_care"], version=1
            )
            won.append(number)
        except Outdated:
            lost.append(number)

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert (len(won), len(lost)) == (1, 15)
    assert [entry.by for entry in store.reviews.history(one.id)] == [f"e{won[0]}"]
    assert store.submissions.get(one.id).version == 2


def test_one_review_is_taken_back_once(store: Store) -> None:
    """8 undos of one review at once: one step back, 7 refusals."""
    (one,) = fresh(store)
    store.reviews.review(one.id, Action.NONE, by="li")
    started, outcomes = threading.Barrier(8), []

    def undo() -> None:
        started.wait()
        try:
            store.reviews.undo_last("li")
            outcomes.append("done")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=undo) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    actions = [entry.action for entry in store.reviews.history(one.id)]
    assert actions == [Action.NONE, Action.UNDO]
    assert outcomes.count("done") >= 1


def test_all_of_a_query_is_reviewed_but_nothing_unseen(store: Store, clock: Clock) -> None:
    """A bulk review takes what the query finds up to the moment of the list, locked ones and
    twins aside, and one undo takes all of it back."""
    seen = fresh(store, 230)
    store.submissions.add([new(seen[0].text)])
    store.reviews.lock(seen[5].id, by="zhao")
    clock.now += timedelta(seconds=1)
    shown = clock.now
    (late,) = fresh(store)
    query = Query(theme="environment", state=State.REVIEW, until=shown)
    batch = store.reviews.review_all(query, Action.SET, by="li", themes=["elder_care"])
    assert set(batch.done) == {one.id for one in seen} - {seen[5].id}
    assert "zhao" in batch.refused[seen[5].id]
    assert store.submissions.get(late.id).state is State.REVIEW
    assert store.submissions.count(Query(theme="elder_care", state=State.SETTLED)) == 229

    undone = store.reviews.undo_last("li")
    assert (set(undone.done), undone.refused) == (set(batch.done), {})
    assert store.submissions.count(Query(state=State.REVIEW)) == 231


def test_a_lock_is_one_editors_until_its_time_is_over(store: Store, clock: Clock) -> None:
    """Others are told who holds it; the holder renews; time or a review ends it."""
    (one,) = fresh(store)
    lock = store.reviews.lock(one.id, by="li")
    assert lock.until - clock.now == timedelta(seconds=120)
    with pytest.raises(Conflict, match="li"):
        store.reviews.lock(one.id, by="zhao")
    clock.now += timedelta(seconds=119)
    assert store.reviews.locks([one.id]) == {one.id: lock}
    renewed = store.reviews.lock(one.id, by="li", seconds=10)
    clock.now = renewed.until
    assert store.reviews.locks([one.id]) == {}
    assert store.reviews.lock(one.id, by="zhao").by == "zhao"
    store.reviews.unlock(one.id, by="li")
    assert store.reviews.locks([one.id])[one.id].by == "zhao"
    store.reviews.review(one.id, Action.NONE, by="zhao")
    assert store.reviews.locks([one.id]) == {}


def test_of_parallel_locks_one_holds(store: Store) -> None:
    """Of 12 editors who open one article at once one gets it."""
    (one,) = fresh(store)
    started, holders = threading.Barrier(12), []

    def lock(number: int) -> None:
        started.wait()
        try:
            holders.append(store.reviews.lock(one.id, by=f"e{number}").by)
        except Conflict as refusal:
            assert "正在看" in refusal.what

    threads = [threading.Thread(target=lock, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.reviews.locks([one.id])[one.id].by] == holders


def test_only_what_a_person_said_is_learned_from(store: Store, clock: Clock) -> None:
    """Labelled articles are the settled ones, each text once, with the editor's themes."""
    auto, settled, unsure, undone, none = fresh(store, 5)
    store.submissions.add([new(settled.text)])
    store.reviews.review(settled.id, Action.SET, by="li", themes=["elder_care"])
    store.reviews.review(unsure.id, Action.UNSURE, by="li")
    store.reviews.review(undone.id, Action.CONFIRM, by="li")
    store.reviews.undo(undone.id, by="li")
    store.submissions.add_tagging(auto.id, tagging("environment"), doubt=0)
    clock.now += timedelta(days=1)
    store.reviews.review(none.id, Action.NONE, by="zhao")

    labelled = [(one.id, one.themes, one.by) for one in store.reviews.labelled()]
    assert labelled == [(settled.id, ("elder_care",), "li"), (none.id, (), "zhao")]
    (late,) = store.reviews.labelled(since=clock.now)
    assert (late.id, late.text, late.received, late.settled) == (
        none.id, none.text, NOW, clock.now,
    )  # fmt: skip


def test_every_labelled_article_comes_once_however_many(store: Store) -> None:
    """More than one reading's worth of settled articles all come, in order, once."""
    ids = [one.id for one in fresh(store, 450)]
    store.reviews.review_many(dict.fromkeys(ids), Action.CONFIRM, by="li")
    assert [one.id for one in store.reviews.labelled()] == ids
