"""News for programs that listen: server-sent events, and what became of the webhook's letters.

A stream holds one of the process's threads, and the desk's pages hold one each. So a stream ends
after a while by itself (the browser comes back and says where it was), and when half of the
threads are taken, the next one gets what there is and ends at once: it becomes polling, and
nobody who wants to work waits.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Literal

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from classifier.errors import Busy
from service.api import bodies, slips
from service.api.predict import reply, settings
from service.api.routes import Route
from service.api.submissions import store
from service.store import Store
from service.store.records import Event
from service.webhook import told

EVENT_STREAM = "text/event-stream"
LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 10.0
RETRY_SECONDS = 3
_TOGETHER = 500
_MOST = 2**53 - 1


class EventsQuery(bodies.Query):
    """从哪里听起，听多久"""

    after: int | None = Field(
        None, ge=0, le=_MOST, description="只要编号比它大的；不写则从现在起。Last-Event-ID 优先"
    )
    seconds: int | None = Field(
        None, ge=0, le=300, description="最长几秒后断开；0 为只取已有的；不超过设置 event_seconds"
    )


class LastEventHeader(BaseModel):
    """断线重连时浏览器自动带上"""

    last_event_id: str | None = Field(
        None, alias="Last-Event-ID", pattern="^[0-9]{0,15}$", description="最后收到的编号"
    )


class EventReply(BaseModel):
    """一件事；重连时带上最后的 id，不漏"""

    id: str
    event: Literal["received", "tagged", "settled", "unsure", "undone"]
    data: str = Field(
        description="JSON：seq、type、timestamp、data（id、version、state、themes、title 等）"
    )


class DeliveryReply(BaseModel):
    """一次通知"""

    id: int
    seq: int = Field(description="事件编号")
    kind: str
    submission: str
    at: datetime
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_at: datetime
    error: str


class WebhookReply(BaseModel):
    """webhook 的最近情况"""

    url: str = Field(description="设置 webhook_url；空为没有设")
    deliveries: list[DeliveryReply] = Field(description="新的在前")


class Seats:
    """How many streams a process may hold at once."""

    def __init__(self, number: int) -> None:
        self._free = threading.BoundedSemaphore(number)

    def take(self) -> bool:
        """Whether there was one left."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """One is free again."""
        self._free.release()


def events() -> ResponseReturnValue:
    """New and settled submissions as they happen, or those since a number."""
    sent = bodies.read_query(request, EventsQuery)
    header = bodies.checked(
        LastEventHeader, {"Last-Event-ID": request.headers.get("Last-Event-ID")}
    ).last_event_id
    last = store().events.last()
    after = int(header) if header else sent.after
    # A number above the last comes from a database that has been put back since.
    start = last if after is None or after > last else after
    longest = int(settings()["event_seconds"])
    seconds = longest if sent.seconds is None else min(sent.seconds, longest)
    stopping = current_app.extensions.get("gaoqian.stopping", lambda: False)
    seats = current_app.extensions["gaoqian.seats"]
    stream = _stream(store(), start, seconds=seconds, seats=seats, stopping=stopping)
    response = Response(stream, content_type=f"{EVENT_STREAM}; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx hands each event on at once
    return response


def _stream(
    store: Store, at: int, *, seconds: float, seats: Seats, stopping: Callable[[], bool]
) -> Iterator[bytes]:
    seated = seconds > 0 and seats.take()
    spoke = time.monotonic()
    ends = spoke + (seconds if seated else 0.0)
    try:
        # The id alone is no event, but the browser keeps it for when it comes back.
        yield f"retry: {RETRY_SECONDS * 1000}\nid: {at}\n\n".encode()
        while True:
            for event in store.events.after(at, limit=_TOGETHER):
                at = event.seq
                yield _written(event)
                spoke = time.monotonic()
            now = time.monotonic()
            if now >= ends or stopping():
                return
            if now - spoke >= HEARTBEAT_SECONDS:
                yield b": \n\n"
                spoke = now
            time.sleep(min(LOOK_SECONDS, ends - now))
    except Busy:
        return  # the browser comes back by itself
    finally:
        if seated:
            seats.give_back()


def _written(event: Event) -> bytes:
    data = json.dumps(told(event), ensure_ascii=False)
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n".encode()


def webhook() -> ResponseReturnValue:
    """Whom the webhook tells, and what became of the latest hundred letters."""
    url = str(settings()["webhook_url"])
    found = store().events.deliveries(url) if url else ()
    return reply(
        {
            "url": url,
            "deliveries": [
                {
                    "id": one.id,
                    "seq": one.event.seq,
                    "kind": one.event.kind,
                    "submission": one.event.submission,
                    "at": slips.stamp(one.event.at),
                    "state": one.state,
                    "attempts": one.attempts,
                    "next_at": slips.stamp(one.next_at),
                    "error": one.error,
                }
                for one in found
            ],
        }
    )


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        events,
        "来稿与审稿的即时通知（server-sent events）",
        reply=EventReply,
        media=EVENT_STREAM,
        query=EventsQuery,
        headers=LastEventHeader,
        role="reader",
    ),
    Route(
        "GET",
        "/v1/webhook",
        webhook,
        "webhook 发给谁，最近发得怎样",
        reply=WebhookReply,
        role="administrator",
    ),
)
