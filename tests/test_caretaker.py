"""Claims about service.caretaker: what waited is tagged, what is old goes, one does it at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import NOW, Clock
from made_submissions import new
from running import running, wait_until

from classifier.registry import Registry
from service.caretaker import EVENTS_KEPT, Caretaker
from service.serving import ServedModel
from service.store import Store, open_store
from service.store.records import KeyUse, State
from training.fit import Trained

TEXT = "六月二十日，河长在岸边清点垃圾，清理河道三公里，两岸添了新绿。"


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty store; the databases are compared elsewhere."""
    opened = open_store(str(tmp_path / "care.db"), clock=clock)
    yield opened
    opened.close()


def _states(store: Store) -> dict[State, int]:
    return {state: count for state, count in store.submissions.states().items() if count}


def test_what_waited_is_tagged_as_soon_as_there_is_a_model(
    store: Store, tmp_path: Path, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """Without a model nothing is touched; with the first one all that waited is tagged, once."""
    registry = Registry(tmp_path / "models")
    served = ServedModel(registry)
    caretaker = Caretaker(store, registry, served)
    store.submissions.add([new(f"{TEXT}{number}", tagging=None) for number in range(3)])
    served.refresh()
    assert caretaker.look()
    assert _states(store) == {State.NEW: 3}

    registry.add(trained.manifest.id, packed_model)
    registry.promote(trained.manifest.id, now=NOW, by="test")
    served.refresh()
    caretaker.look()
    caretaker.look()

    assert State.NEW not in _states(store)
    assert store.events.last() == 6, "received and tagged, each once"
    caretaker.stop()


def test_what_comes_in_untagged_later_waits_a_minute_at_most(
    store: Store, registry: Registry, clock: Clock
) -> None:
    """Not every look asks the database; after a minute one does."""
    served = ServedModel(registry)
    served.refresh()
    caretaker = Caretaker(store, registry, served)
    caretaker.look()
    store.submissions.add([new(TEXT, tagging=None)])
    caretaker.look()
    assert _states(store) == {State.NEW: 1}
    clock.now += timedelta(minutes=1)
    caretaker.look()
    assert State.NEW not in _states(store)
    caretaker.stop()


def test_old_events_replies_and_logins_go(store: Store, registry: Registry, clock: Clock) -> None:
    """What is within its time stays; the latest event stays for its number."""
    key = KeyUse("采编系统", "k", "d")
    store.submissions.add([new("第一篇"), new("第二篇")], key=key)
    store.accounts.record_failure("名", "10.0.0.1")
    caretaker = Caretaker(store, registry, ServedModel(registry))
    caretaker.look()
    assert len(store.events.after(0)) == 2
    assert store.submissions.reply_to(key) is not None

    clock.now += EVENTS_KEPT + timedelta(hours=1)
    caretaker.look()

    assert [event.seq for event in store.events.after(0)] == [store.events.last()]
    assert store.submissions.reply_to(key) is None
    assert store.accounts.sweep() == 0, "nothing is left to throw out"
    caretaker.stop()


def test_one_at_a_time_and_the_next_takes_over(store: Store, registry: Registry) -> None:
    """While one holds the lock the other leaves everything alone."""
    served = ServedModel(registry)
    first, second = (Caretaker(store, registry, served) for _ in range(2))
    assert first.look()
    assert not second.look()
    first.stop()
    assert second.look()
    second.stop()


def test_a_server_tags_what_came_in_before_its_first_model(
    tmp_path: Path, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """A real server without a model keeps what comes in, and tags it once a model is promoted."""
    with running(tmp_path, workers=2, reload_seconds=0.2) as server:
        body = {"articles": [{"text": f"{TEXT}第{number}次。"} for number in range(5)]}
        assert server.ask("POST", "/v1/submissions", json_body=body).status == 201
        registry = Registry(tmp_path / "models")
        registry.add(trained.manifest.id, packed_model)
        registry.promote(trained.manifest.id, now=NOW, by="test")

        def is_tagged() -> bool:
            found = server.ask("GET", "/v1/submissions").json()["submissions"]
            return len(found) == 5 and all(one["state"] != "new" for one in found)

        wait_until(is_tagged, while_alive=server)
