"""A query as the database is asked it: filters, order, and where the next page starts.

Each filter alone, with each order, is answered from one index that already has that order, so that
a page costs the same on a hundred and on a hundred thousand submissions.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select, tuple_

from classifier.errors import Malformed
from service.store.database import Database
from service.store.records import Order, Query, storable
from service.store.rows import LONGEST_VALUE, first_id
from service.store.search import having
from service.store.tables import facets, locks, submissions

_ORDERS = {order: order.value[0] for order in Order}


@dataclass(frozen=True, slots=True)
class Place:
    """The last submission of a page."""

    urgency: float
    id: str


def select_ids(
    database: Database,
    connection: Connection,
    query: Query,
    *,
    now: datetime,
    after: Place | None = None,
) -> Select[str, float]:
    """The SELECT of ids and sort keys that a query means, in its order."""
    filters = [
        (kind, storable(value)[:LONGEST_VALUE])
        for kind, value in (
            ("theme", query.theme),
            ("place", query.place),
            ("name", query.name),
            ("source", query.source),
        )
        if value is not None
    ]
    id: ColumnElement[str] = submissions.c.id
    key: ColumnElement[float] = submissions.c.urgency
    if filters:
        id, key = facets.c.submission, facets.c.urgency
    asked = select(id.label("id"), key.label("urgency"))
    if filters:
        kind, value = filters[0]
        asked = asked.where(facets.c.kind == kind, facets.c.value == value)
    for kind, value in filters[1:]:
        other = facets.alias()
        asked = asked.where(
            exists().where(other.c.kind == kind, other.c.value == value, other.c.submission == id)
        )
    own = [
        submissions.c[name] == str(value)
        for name, value in (
            ("state", query.state),
            ("decision", query.decision),
            ("page", query.page),
        )
        if value is not None
    ]
    if filters and own:
        own.append(submissions.c.id == id)
        asked = asked.where(exists().where(*own))
    elif own:
        asked = asked.where(*own)
    if query.since is not None:
        asked = asked.where(id >= first_id(query.since))
    if query.until is not None:
        asked = asked.where(id < first_id(query.until))
    if not query.with_twins:
        asked = asked.where(key >= 0)
    if query.free_for is not None:
        taken = exists().where(
            locks.c.submission == id, locks.c.by != query.free_for, locks.c.until > now
        )
        asked = asked.where(~taken)
    if query.text is not None:
        found = having(database, connection, query.text, id)
        if found is not None:
            asked = asked.where(found)
    return _ordered(asked, query.order, id, key, after)


def _ordered(
    asked: Select[str, float],
    order: Order,
    id: ColumnElement[str],
    key: ColumnElement[float],
    after: Place | None,
) -> Select[str, float]:
    match order:
        case Order.DOUBTFUL:
            if after is not None:
                asked = asked.where(tuple_(key, id) < tuple_(after.urgency, after.id))
            return asked.order_by(key.desc(), id.desc())
        case Order.NEWEST:
            return (asked.where(id < after.id) if after else asked).order_by(id.desc())
        case Order.OLDEST:
            return (asked.where(id > after.id) if after else asked).order_by(id)


def write_cursor(order: Order, place: Place) -> str:
    """Where the next page starts, as callers keep it.

    >>> read_cursor(Order.NEWEST, write_cursor(Order.NEWEST, Place(5.25, "1g64wxr00abcdefg")))
    Place(urgency=5.25, id='1g64wxr00abcdefg')
    """
    written = json.dumps([_ORDERS[order], place.urgency, place.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")


def read_cursor(order: Order, cursor: str) -> Place:
    """The place a cursor stands for; raises Malformed for one that we did not write."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        fields: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        written_for, key, id = fields
        place = Place(float(key), storable(id))
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        raise _not_ours() from None
    if written_for != _ORDERS[order] or not math.isfinite(place.urgency):
        raise _not_ours()
    return place


def _not_ours() -> Malformed:
    return Malformed("翻页标记 cursor 有误", fix="请原样使用上一页返回的 cursor，并保持排序不变")
