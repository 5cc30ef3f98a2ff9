"""Server-sent events: in order, none lost between two connections, and no thread held for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import Desk, staffed_desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_submissions import new

from service.api.events import Seats
from service.store import Store
from service.store.records import Action


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose streams last a second; two at once."""
    with staffed_desk(tmp_path, event_seconds=1, threads=4) as made:
        yield made


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[Desk]:
    """One whose streams last a minute."""
    with staffed_desk(tmp_path, event_seconds=60, threads=4) as made:
        yield made


def store_of(desk: Desk) -> Store:
    found = desk.app.extensions["gaoqian.store"]
    assert isinstance(found, Store)
    return found


def listen(desk: Desk, query: str = "", *, last: int | None = None) -> list[dict[str, str]]:
    """What a browser would make of one connection: fields of every block, comments left out."""
    _, token = desk.token("reader")
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    answer = desk.ask("GET", f"/v1/events{query}", token=token, headers=headers, buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream"), answer.text
    return blocks_of(answer.text)


def blocks_of(text: str) -> list[dict[str, str]]:
    """The fields of every block of a stream."""
    blocks = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        if any(name for name, _, _ in lines):
            blocks.append({name: value for name, _, value in lines if name})
    return blocks


def told(blocks: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The events among the blocks."""
    return [json.loads(block["data"]) for block in blocks if "data" in block]


def test_events_tell_what_happened_in_order(desk: Desk) -> None:
    """Received, settled, undone: with the state as it was then, and numbers that rise."""
    store = store_of(desk)
    one = store.submissions.add([new("河长巡河", title="河长")]).submissions[0]
    store.reviews.review(one.id, Action.SET, by="editor", themes=["elder_care"])
    store.reviews.undo(one.id, by="editor")
    blocks = listen(desk, "?after=0&seconds=0")

    assert blocks[0] == {"retry": "3000", "id": "0"}
    assert [block["event"] for block in blocks[1:]] == ["received", "settled", "undone"]
    assert [event["data"]["themes"] for event in told(blocks)] == [
        ["environment"], ["elder_care"], ["environment"],
    ]  # fmt: skip
    assert [event["data"]["version"] for event in told(blocks)] == [1, 2, 3]
    assert [block["id"] for block in blocks[1:]] == [str(e["seq"]) for e in told(blocks)]
    assert {event["data"]["id"] for event in told(blocks)} == {one.id}


def test_without_a_number_one_hears_from_now_on(desk: Desk) -> None:
    """And the stream says where now is, for when the listener comes back."""
    store_of(desk).submissions.add([new("甲"), new("乙")])
    blocks = listen(desk, "?seconds=0")

    assert blocks == [{"retry": "3000", "id": "2"}]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 10), unknown=st.integers(11, 99))
def test_whoever_comes_back_misses_nothing(desk: Desk, cut: int, unknown: int) -> None:
    """From any number on, exactly what is above it; from one that never was, what is new."""
    if store_of(desk).events.last() == 0:
        store_of(desk).submissions.add([new(f"稿{number}") for number in range(10)])

    seqs = [event["seq"] for event in told(listen(desk, "?seconds=0&after=5", last=cut))]
    assert seqs == [*range(cut + 1, 11)]
    assert told(listen(desk, "?seconds=0", last=unknown)) == []


def test_news_arrive_while_one_listens_and_the_stream_ends_by_itself(desk: Desk) -> None:
    """After the time set, though more was asked for."""
    _, token = desk.token("reader")
    started = time.monotonic()
    answer = desk.app.test_client().open(
        "/v1/events?seconds=300", headers={"Authorization": f"Bearer {token}"}
    )
    stream = iter(answer.response)
    begun = next(stream)
    store_of(desk).submissions.add([new("后到")])
    rest = b"".join(stream)
    lasted = time.monotonic() - started
    answer.close()

    assert told(blocks_of(begun.decode())) == []
    assert [event["type"] for event in told(blocks_of(rest.decode()))] == ["received"]
    assert 0.9 < lasted < 150


def test_streams_never_take_more_than_half_of_the_threads(lasting: Desk) -> None:
    """The third of two gets what there is at once, and a seat is free again after its stream."""
    store_of(lasting).submissions.add([new("甲")])
    seats = lasting.app.extensions["gaoqian.seats"]
    assert isinstance(seats, Seats)
    assert seats.take() and seats.take() and not seats.take()
    started = time.monotonic()

    assert len(told(listen(lasting, "?after=0"))) == 1
    assert time.monotonic() - started < 59
    seats.give_back()
    for _ in range(3):
        listen(lasting, "?seconds=1")
    assert seats.take() and not seats.take()


def test_a_listener_who_has_gone_frees_his_seat(desk: Desk) -> None:
    """Closing the connection is enough; HEAD takes none."""
    _, token = desk.token("reader")
    seats = desk.app.extensions["gaoqian.seats"]
    for method in ("GET", "HEAD", "GET"):
        client = desk.app.test_client()
        answer = client.open(
            "/v1/events", method=method, headers={"Authorization": f"Bearer {token}"}
        )
        next(iter(answer.response), None)
        answer.close()

    assert seats.take() and seats.take() and not seats.take()


def test_a_process_that_stops_ends_its_streams(lasting: Desk) -> None:
    """So that a restart need not wait for them."""
    lasting.app.extensions["gaoqian.stopping"] = lambda: True
    started = time.monotonic()
    listen(lasting)

    assert time.monotonic() - started < 59


def test_a_text_cannot_forge_an_event(desk: Desk) -> None:
    """Line ends in a title stay inside the data."""
    store_of(desk).submissions.add([new("甲", title="x\n\nevent: settled\ndata: {}\n\nid: 99")])
    blocks = listen(desk, "?after=0&seconds=0")

    assert [block["event"] for block in blocks[1:]] == ["received"]
    assert told(blocks)[0]["data"]["title"].startswith("x\n\nevent")
