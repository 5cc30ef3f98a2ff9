"""Other programs hear of everything once and in order, and webhooks lose nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from conftest import Clock
from made_submissions import new

from classifier.errors import Busy
from service.store import Store, open_store
from service.store.records import Action

Written = TypeVar("Written")


def test_what_happens_is_announced_in_order(store: Store) -> None:
    """Arrival, review and undo each become one event with what a CMS needs to know."""
    one, twin = store.submissions.add(
        [new("甲", title="河长巡河", external_id="x7"), new("甲")]
    ).submissions
    store.reviews.review(one.id, Action.SET, by="li", themes=["elder_care"])
    store.reviews.undo(one.id, by="li")
    store.reviews.review(one.id, Action.UNSURE, by="li")
    told = [(event.kind, event.submission) for event in store.events.after(0)]
    both = (one.id, twin.id)
    assert told == [
        (kind, id) for kind in ("received", "settled", "undone", "unsure") for id in both
    ]
    settled = store.events.after(0)[2].payload
    assert (settled["state"], settled["themes"]) == ("settled", ["elder_care"])
    assert (settled["external_id"], settled["title"]) == ("x7", "河长巡河")
    assert (settled["themes_by"], settled["version"]) == ("editor@li", 2)


def test_reading_on_from_a_number_misses_and_repeats_nothing(store: Store) -> None:
    """Read in small steps, every event comes once, in rising order."""
    for number in range(9):
        store.submissions.add([new(str(number)), new(f"{number}b")])
    seen: list[int] = []
    while events := store.events.after(seen[-1] if seen else 0, limit=4):
        seen += [event.seq for event in events]
    assert len(seen) == 18
    assert seen == sorted(set(seen))
    assert seen[-1] == store.events.last()


def test_no_event_appears_below_one_already_read(store: Store, store_url: str) -> None:
    """While six writers store and one reader reads on, the reader gets every event."""
    others = [open_store(store_url, clock=store.clock) for _ in range(3)]
    done, seen, failures = threading.Event(), [], []

    def patiently(work: Callable[..., Written], *given: Any, **named: Any) -> Written:
        while True:  # a slow disk and six writers may be more than five seconds allow
            with suppress(Busy):
                return work(*given, **named)

    def write(number: int) -> None:
        own = others[number % 3]
        try:
            for step in range(12):
                one = patiently(own.submissions.add, [new(f"{number} {step}")]).submissions[0]
                if step % 3 == 0:
                    patiently(own.reviews.review, one.id, Action.NONE, by="li")
        except Exception as error:
            failures.append(error)

    def read() -> None:
        while True:
            finished = done.is_set()
            events = store.events.after(seen[-1].seq if seen else 0)
            seen.extend(events)
            if finished and not events:
                return
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    for other in others:
        other.close()
    assert not failures
    assert len(seen) == 6 * (12 + 4)
    by_kind = [event.kind for event in seen]
    assert (by_kind.count("received"), by_kind.count("settled")) == (72, 24)


def test_old_events_are_forgotten_but_never_their_numbers(store: Store, clock: Clock) -> None:
    """After pruning, new events still get higher numbers than all that went."""
    store.submissions.add([new("甲"), new("乙")])
    last = store.events.last()
    clock.now += timedelta(days=30)
    assert store.events.prune(clock.now) == 1
    assert store.events.last() == last
    store.submissions.add([new("丙")])
    assert [event.seq for event in store.events.after(last)] == [last + 1]


def test_a_webhook_gets_what_happens_after_its_first_call(store: Store, clock: Clock) -> None:
    """Nothing old is sent; each event is on its way once per target, however often one asks."""
    store.submissions.add([new("甲")])
    assert store.events.enqueue("https://cms.cn/hook") == 0
    store.submissions.add([new("乙"), new("丙")])
    assert store.events.enqueue("https://cms.cn/hook") == 2
    assert store.events.enqueue("https://cms.cn/hook") == 0
    assert store.events.enqueue("https://other.cn/") == 0
    first, second = store.events.due("https://cms.cn/hook")
    assert first.event.seq < second.event.seq == store.events.last()
    assert first.event == store.events.after(0)[1]
    assert store.events.due("https://other.cn/") == ()


def test_a_failed_delivery_is_tried_again_until_given_up(store: Store, clock: Clock) -> None:
    """A delivery comes back when its retry is due, counts its attempts, and ends once."""
    store.events.enqueue("t")
    store.submissions.add([new("甲"), new("乙")])
    store.events.enqueue("t")
    lost, sent = store.events.due("t")
    store.events.delivered(sent.id)
    store.events.failed(lost.id, "HTTP 500", retry_at=clock.now + timedelta(seconds=30))
    assert store.events.due("t") == ()
    clock.now += timedelta(seconds=30)
    (again,) = store.events.due("t")
    assert (again.id, again.attempts, again.error) == (lost.id, 1, "HTTP 500")
    store.events.failed(again.id, "HTTP 410", retry_at=None)
    clock.now += timedelta(days=1)
    assert store.events.due("t") == ()
    states = {one.id: (one.state, one.attempts) for one in store.events.deliveries("t")}
    assert states == {lost.id: ("failed", 2), sent.id: ("delivered", 1)}


def test_two_senders_share_the_work(store: Store, store_url: str, clock: Clock) -> None:
    """What one process has taken another does not get, until its lease is over."""
    other = open_store(store_url, clock=clock)
    store.events.enqueue("t")
    store.submissions.add([new(str(number)) for number in range(40)])
    store.events.enqueue("t")
    taken: list[int] = []

    def take(where: Store) -> None:
        while some := where.events.due("t", limit=5):
            taken.extend(one.id for one in some)

    threads = [threading.Thread(target=take, args=((store, other)[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(taken) == len(set(taken)) == 40
    clock.now += timedelta(seconds=61)
    assert len(store.events.due("t", limit=100)) == 40
