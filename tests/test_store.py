"""Submissions are stored whole, once, and come back as they were: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from conftest import Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_submissions import as_text, new, tagging

from classifier.article import Decision
from classifier.errors import KeyReused, NotFound
from service.store import Store, open_store
from service.store.records import (
    Action,
    KeyUse,
    Order,
    Query,
    State,
    StoredReply,
    Submission,
)

EVERYTHING = Query(with_twins=True, order=Order.OLDEST)
on_one_store = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def reply(stored: tuple[Submission, ...]) -> StoredReply:
    return StoredReply(201, as_text([one.id for one in stored]))


def test_a_submission_comes_back_as_it_was(store: Store, clock: Clock) -> None:
    """Every field given is read back, from a second connection to the same database too."""
    sent = new(
        "河长在岸边清点垃圾。\n　　第二段\t😀",
        title="河长巡河",
        source="mail:a@b.cn",
        external_id="<1@b.cn>",
        name="稿件.docx",
        format="docx",
        original=b"PK\x03\x04\x00\xff",
        place="羊山镇",
        city="济宁市",
        county="金乡县",
        town="羊山镇",
        byline="通讯员 王明",
        names=("王明", "李芳"),
        unit="县委宣传部",
        section="综合新闻",
        kind="caption",
        length=13,
        page="p1",
        position=3,
        warnings=("去掉了 1 个控制字符",),
        doubt=0.25,
        by="cms",
    )
    (stored,) = store.submissions.add([sent]).submissions

    for field in set(sent.__slots__) - {"original", "tagging"}:
        assert getattr(stored, field) == getattr(sent, field), field
    assert (stored.received, stored.version, stored.state) == (clock.now, 1, State.REVIEW)
    assert (stored.themes, stored.themes_by) == (("environment",), "model@m1")
    assert store.submissions.get(stored.id) == stored
    original = store.submissions.original(stored.id)
    assert (original.name, original.format, original.content) == (
        "稿件.docx", "docx", b"PK\x03\x04\x00\xff",
    )  # fmt: skip


@on_one_store
@given(
    scores=st.dictionaries(
        st.sampled_from(("environment", "party_building")),
        st.floats(0, 1, allow_subnormal=True),
        min_size=1,
    ),
    coverage=st.floats(0, 1),
)
def test_receipts_keep_every_bit(store: Store, scores: dict[str, float], coverage: float) -> None:
    """The scores and coverage of a stored tagging equal those given, not only nearly."""
    given_ = tagging("environment")
    sent = type(given_)("", "", (), Decision.AUTO, scores, coverage, "m2")
    (stored,) = store.submissions.add([new(repr((scores, coverage)), tagging=sent)]).submissions
    (receipt,) = store.submissions.taggings(stored.id)
    assert receipt == stored.tagging
    assert (receipt.scores, receipt.coverage, receipt.model) == (scores, coverage, "m2")


@on_one_store
@given(text=st.text(max_size=50), title=st.text(max_size=20))
def test_any_text_is_kept_but_what_no_database_keeps(store: Store, text: str, title: str) -> None:
    """Both databases give back the same text: as sent, without NUL and lone surrogates."""
    (stored,) = store.submissions.add([new(text, title=title)]).submissions
    unstorable = {"\0"} | {chr(point) for point in range(0xD800, 0xE000)}
    assert stored.text == "".join(c for c in text if c not in unstorable)
    assert stored.title == "".join(c for c in title if c not in unstorable)


def test_ids_are_short_and_sort_by_arrival(store: Store, clock: Clock) -> None:
    """Ids have 16 characters and rise with the time and, in one request, with the place."""
    ids = []
    for _ in range(5):
        added = store.submissions.add([new(f"{clock.now} {n}", position=n) for n in range(20)])
        assert [one.position for one in added.submissions] == list(range(20))
        ids += [one.id for one in added.submissions]
        clock.now += timedelta(milliseconds=1)
    assert ids == sorted(set(ids))
    assert {len(id) for id in ids} == {16}


def test_the_same_text_again_is_a_twin(store: Store) -> None:
    """Later submissions of a text name the first, within a request too, and are folded."""
    first, second = store.submissions.add([new("甲"), new("甲", source="desk")]).submissions
    (third,) = store.submissions.add([new("甲", source="watch:x")]).submissions
    assert (first.twin_of, second.twin_of, third.twin_of) == (None, first.id, first.id)
    (shown,) = store.submissions.page(Query()).items
    assert (shown.id, shown.twins) == (first.id, 2)
    assert [one.id for one in store.submissions.twins(first.id)] == [second.id, third.id]
    assert store.submissions.count(EVERYTHING) == 3


def test_a_twin_stands_as_its_first(store: Store) -> None:
    """Reviews of the first and their undoing reach its twins, and a later twin at once."""
    first, second = store.submissions.add([new("甲"), new("甲")]).submissions
    store.reviews.review(first.id, Action.SET, by="li", themes=["elder_care"])
    (third,) = store.submissions.add([new("甲")]).submissions
    for id in (second.id, third.id):
        twin = store.submissions.get(id)
        assert (twin.state, twin.themes, twin.themes_by) == (
            State.SETTLED, ("elder_care",), "editor@li",
        )  # fmt: skip
        assert twin.settled is not None
    store.reviews.undo(first.id, by="li")
    assert {store.submissions.get(id).state for id in (first.id, second.id, third.id)} == {
        State.REVIEW
    }
    assert store.submissions.count(Query(theme="elder_care", with_twins=True)) == 0


def test_a_request_sent_again_stores_nothing(store: Store, clock: Clock) -> None:
    """The same key and digest give the first reply for 24 hours; afterwards the key is new."""
    key = KeyUse("cms", "k1", "d1")
    first = store.submissions.add([new("甲"), new("乙")], key=key, reply=reply)
    again = store.submissions.add([new("甲"), new("乙")], key=key, reply=reply)
    assert (first.replayed, again.replayed, again.submissions) == (False, True, ())
    assert again.reply == first.reply == store.submissions.reply_to(key)
    assert store.submissions.count(EVERYTHING) == 2

    clock.now += timedelta(hours=24)
    assert store.submissions.reply_to(key) is None
    assert not store.submissions.add([new("丙")], key=key, reply=reply).replayed
    assert store.submissions.count(EVERYTHING) == 3


def test_a_key_means_one_request_of_one_user(store: Store) -> None:
    """Another body under the same key is refused and stored nowhere; another user's key is free."""
    store.submissions.add([new("甲")], key=KeyUse("cms", "k1", "d1"))
    with pytest.raises(KeyReused):
        store.submissions.add([new("乙")], key=KeyUse("cms", "k1", "d2"))
    with pytest.raises(KeyReused):
        store.submissions.reply_to(KeyUse("cms", "k1", "d2"))
    assert store.submissions.count(EVERYTHING) == 1
    assert not store.submissions.add([new("乙")], key=KeyUse("desk", "k1", "d2")).replayed


def test_a_key_may_be_kept_for_ever(store: Store, clock: Clock) -> None:
    """A key without an end survives the sweep that throws out the others."""
    kept, other = KeyUse("watch", "a", "d", keep=None), KeyUse("watch", "b", "d")
    for key in (kept, other):
        store.submissions.add([new(key.key)], key=key)
    clock.now += timedelta(days=400)
    assert store.accounts.sweep() == 1
    assert store.submissions.reply_to(kept) is not None
    assert store.submissions.reply_to(other) is None


def test_parallel_requests_with_one_key_store_one(store: Store, store_url: str) -> None:
    """Of 24 requests at once with one key exactly one stores; all get the same reply."""
    others = [open_store(store_url, clock=store.clock) for _ in range(3)]
    started, answers = threading.Barrier(24), []

    def send(where: Store) -> None:
        started.wait()
        added = where.submissions.add([new("甲")], key=KeyUse("cms", "k", "d"), reply=reply)
        answers.append((added.replayed, added.reply))

    threads = [threading.Thread(target=send, args=([store, *others][n % 4],)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert sorted(replayed for replayed, _ in answers) == [False] + [True] * 23
    assert len({answer for _, answer in answers}) == 1
    assert store.submissions.count(EVERYTHING) == 1


def test_parallel_submissions_of_one_text_have_one_first(store: Store) -> None:
    """However the same texts race, in whatever order in a request, each has one first."""
    started, failures = threading.Barrier(12), []

    def send(number: int) -> None:
        texts = ["甲", "乙", "丙"][:: 1 if number % 2 else -1]
        started.wait()
        try:
            for _ in range(3):
                store.submissions.add([new(text) for text in texts])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    firsts = store.submissions.page(Query()).items
    assert sorted(one.text for one in firsts) == ["丙", "乙", "甲"]
    assert [one.twins for one in firsts] == [35, 35, 35]


def test_what_waits_for_a_model_is_tagged_later(store: Store) -> None:
    """Without a tagging a submission is `new`; the first receipt decides how it stands."""
    waiting, twin = store.submissions.add(
        [new("甲", tagging=None), new("甲", tagging=None)]
    ).submissions
    assert (waiting.state, waiting.tagging, waiting.themes_by) == (State.NEW, None, "")
    assert [one.id for one in store.submissions.untagged()] == [waiting.id]
    tagged = store.submissions.add_tagging(
        waiting.id, tagging("party_building", decision=Decision.AUTO), doubt=0.3
    )
    assert (tagged.state, tagged.themes, tagged.doubt) == (State.AUTO, ("party_building",), 0.3)
    assert store.submissions.untagged() == ()
    assert store.submissions.get(twin.id).state is State.AUTO
    assert [one.id for one in store.submissions.page(Query(theme="party_building")).items] == [
        waiting.id
    ]


def test_a_new_model_does_not_overrule_an_editor(store: Store) -> None:
    """A later tagging is kept as a receipt, but what an editor settled or doubts stays."""
    settled, unsure = store.submissions.add([new("甲"), new("乙")]).submissions
    store.reviews.review(settled.id, Action.NONE, by="li")
    store.reviews.review(unsure.id, Action.UNSURE, by="li")
    for one, state in ((settled, State.SETTLED), (unsure, State.UNSURE)):
        later = store.submissions.add_tagging(
            one.id, tagging("elder_care", decision=Decision.AUTO, model="m2"), doubt=0
        )
        assert later.state is state
        assert "elder_care" not in later.themes
        assert [receipt.model for receipt in store.submissions.taggings(one.id)] == ["m1", "m2"]


def test_what_is_not_there_is_said(store: Store) -> None:
    """Unknown ids, and the file of a submission without one, raise NotFound."""
    (bare,) = store.submissions.add([new("甲")]).submissions
    assert not bare.has_original
    for ask in (
        lambda: store.submissions.get("x\0" * 9),
        lambda: store.submissions.original(bare.id),
        lambda: store.submissions.add_tagging("none", tagging(), doubt=0),
        lambda: store.reviews.review("none", Action.NONE, by="li"),
        lambda: store.reviews.lock("none", by="li"),
    ):
        with pytest.raises(NotFound):
            ask()


def test_one_file_is_kept_once(store: Store, store_url: str) -> None:
    """The same bytes in many submissions take their room once; each still gives them back."""
    content = bytes(range(256)) * 4000
    added = [
        *store.submissions.add(
            [new(str(n), original=content, name=f"{n}.pdf") for n in range(9)]
        ).submissions,
        *store.submissions.add([new("九", original=content)]).submissions,
    ]
    assert {store.submissions.original(one.id).content for one in added} == {content}
    with store._database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM originals").scalar() == 1


def test_external_ids_are_found(store: Store) -> None:
    """A sender finds what it sent by its own id, and not what others sent under the same."""
    long = "号" * 900
    ids = [
        store.submissions.add([new(text, source=source, external_id=long)]).submissions[0].id
        for text, source in (("甲", "http"), ("乙", "http"), ("丙", "desk"))
    ]
    assert [one.id for one in store.submissions.with_external_id("http", long)] == ids[:2]
