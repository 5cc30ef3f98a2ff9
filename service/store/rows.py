"""Between rows and records, and the one way a submission's standing is changed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from classifier.article import Decision, Tagging
from service.store.database import Database
from service.store.records import Event, State, StoredTagging, Submission, storable
from service.store.tables import Words, events, facets, microseconds, submissions, taggings

LONGEST_VALUE = 200
"""Characters of a value that can be filtered by."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS, _RANDOM_DIGITS = 9, 7
_LAST_START = 2 ** (5 * _RANDOM_DIGITS - 1)  # what is above is room to count up
_STEP_BITS = 16


_RANKS = {
    State.REVIEW: 5,
    State.UNSURE: 4,
    State.NEW: 3,
    State.AUTO: 2,
    State.NONE: 1,
    State.SETTLED: 0,
}
_BELOW_ALL = -10.0
_READ_TOGETHER = 500


def urgency(state: State, doubt: float, *, twin: bool) -> float:
    """The queue's sort key: what an editor should see first is highest; a twin is below zero.

    >>> urgency(State.REVIEW, 0.9, twin=False) > urgency(State.AUTO, 0.9, twin=False) >= 0
    True
    """
    key = _RANKS[state] + min(max(doubt, 0.0), 0.999)
    return key + _BELOW_ALL if twin else key


class Ids:
    """Fresh ids in rising order: the millisecond of arrival, then chance."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._head, self._tail = "", 0

    def take(self, count: int, now: datetime) -> list[str]:
        """So many ids, each above all that this process has given in the same millisecond."""
        head = first_id(now)
        with self._lock:
            if head != self._head or self._tail >= _LAST_START:
                self._head, self._tail = head, secrets.randbelow(_LAST_START)
            tails = []
            for _ in range(count):
                self._tail += 1 + secrets.randbits(_STEP_BITS)
                tails.append(self._tail)
        return [head + _digits(tail, _RANDOM_DIGITS) for tail in tails]


def first_id(moment: datetime) -> str:
    """What ids given at or after a moment (rounded up to the millisecond) do not sort before.

    >>> from datetime import UTC
    >>> first_id(datetime(2026, 11, 24, tzinfo=UTC))
    '1m85dmb00'
    """
    return _digits(max(0, -(-microseconds(moment) // 1000)), _TIME_DIGITS)


def whole_millisecond(moment: datetime) -> datetime:
    """A moment as exact as an id tells it."""
    return moment - timedelta(microseconds=moment.microsecond % 1000)


def _digits(number: int, count: int) -> str:
    return "".join(_ALPHABET[(number >> 5 * place) & 31] for place in reversed(range(count)))


def facet_rows(
    id: str,
    key: float,
    *,
    themes: Iterable[str] = (),
    places: Iterable[str | None] = (),
    names: Iterable[str] = (),
    source: str = "",
) -> list[dict[str, Any]]:
    """Rows of what one submission can be found by."""
    sources = (source, source.partition(":")[0]) if source else ()
    values = [
        *(("theme", theme) for theme in themes),
        *(("place", place) for place in places if place),
        *(("name", name) for name in names if name),
        *(("source", one) for one in sources),
    ]
    # In one order everywhere, so that two writers cannot wait for each other.
    different = sorted({(kind, storable(value)[:LONGEST_VALUE]) for kind, value in values})
    return [
        {"kind": kind, "value": value, "submission": id, "urgency": key}
        for kind, value in different
    ]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a first submission is to stand, and its twins with it."""

    id: str
    state: State
    themes: tuple[str, ...]
    themes_by: str
    settled: datetime | None
    doubt: float


def stand(connection: Connection, changes: Sequence[Standing]) -> list[str]:
    """Change how submissions stand; returns the ids of all that changed, twins included."""
    if not changes:
        return []
    one, family = (
        submissions.c.id == bindparam("first"),
        submissions.c.twin_of == bindparam("first"),
    )
    for members, twin in ((one, False), (family, True)):
        keys = [urgency(change.state, change.doubt, twin=twin) for change in changes]
        ids = select(submissions.c.id).where(members)
        connection.execute(
            update(submissions).where(members).values(version=submissions.c.version + 1),
            [
                {
                    "first": change.id,
                    "state": str(change.state),
                    "urgency": key,
                    "doubt": change.doubt,
                    "themes": [*change.themes],
                    "themes_by": change.themes_by,
                    "settled": change.settled,
                }
                for change, key in zip(changes, keys, strict=True)
            ],
        )
        connection.execute(
            delete(facets).where(facets.c.submission.in_(ids), facets.c.kind == "theme"),
            [{"first": change.id} for change in changes],
        )
        connection.execute(
            update(facets).where(facets.c.submission.in_(ids)),
            [
                {"first": change.id, "urgency": key}
                for change, key in zip(changes, keys, strict=True)
            ],
        )
        found_by = select(
            literal("theme"),
            bindparam("theme", type_=Words),
            submissions.c.id,
            submissions.c.urgency,
        ).where(members)
        themes = [
            {"first": change.id, "theme": theme}
            for change in changes
            for theme in sorted({storable(theme)[:LONGEST_VALUE] for theme in change.themes})
        ]
        if themes:
            connection.execute(
                insert(facets).from_select(["kind", "value", "submission", "urgency"], found_by),
                themes,
            )
    firsts = [change.id for change in changes]
    twins = select(submissions.c.id).where(submissions.c.twin_of.in_(firsts))
    return [*firsts, *connection.scalars(twins.order_by(submissions.c.id))]


def announce(
    database: Database,
    connection: Connection,
    kind: str,
    changed: Iterable[Submission],
    *,
    at: datetime,
) -> None:
    """Tell other programs; the last thing a transaction does."""
    rows = [
        {
            "at": at,
            "kind": kind,
            "submission": one.id,
            "payload": {
                "id": one.id,
                "external_id": one.external_id,
                "source": one.source,
                "title": one.title[:LONGEST_VALUE],
                "state": str(one.state),
                "decision": str(one.tagging.decision) if one.tagging else None,
                "themes": [*one.themes],
                "themes_by": one.themes_by,
                "twin_of": one.twin_of,
                "version": one.version,
            },
        }
        for one in changed
    ]
    if rows:
        # PostgreSQL numbers rows before they are committed: without this a reader could see
        # number 7, and then never look for number 6.
        database.alone(connection)
        connection.execute(insert(events), rows)


def read_submissions(connection: Connection, ids: Sequence[str]) -> list[Submission]:
    """Submissions by id, in the order asked for; those that are not there are left out."""
    found: dict[str, Submission] = {}
    for start in range(0, len(ids), _READ_TOGETHER):
        some = ids[start : start + _READ_TOGETHER]
        latest: dict[str, StoredTagging] = {}
        receipts = select(taggings).where(taggings.c.submission.in_(some))
        for row in connection.execute(receipts.order_by(taggings.c.id)):
            latest[row.submission] = tagging_of(row)
        counted = (
            select(submissions.c.twin_of, func.count())
            .where(submissions.c.twin_of.in_(some))
            .group_by(submissions.c.twin_of)
        )
        twins: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
        for row in connection.execute(select(submissions).where(submissions.c.id.in_(some))):
            found[row.id] = _submission_of(row, latest.get(row.id), twins.get(row.id, 0))
    return [found[id] for id in ids if id in found]


def _submission_of(row: Row[Any], tagging: StoredTagging | None, twins: int) -> Submission:
    return Submission(
        id=row.id,
        title=row.title,
        text=row.text,
        source=row.source,
        external_id=row.external_id,
        name=row.name,
        format=row.format,
        has_original=row.original is not None,
        place=row.place,
        city=row.city,
        county=row.county,
        town=row.town,
        byline=row.byline,
        names=tuple(row.names),
        unit=row.unit,
        section=row.section,
        kind=row.kind,
        length=row.length,
        page=row.page,
        position=row.position,
        warnings=tuple(row.warnings),
        by=row.by,
        received=row.received,
        fingerprint=row.fingerprint,
        twin_of=row.twin_of,
        twins=twins,
        state=State(row.state),
        version=row.version,
        themes=tuple(row.themes),
        themes_by=row.themes_by,
        doubt=row.doubt,
        settled=row.settled,
        tagging=tagging,
    )


def tagging_row(submission: str, tagging: Tagging, at: datetime) -> dict[str, Any]:
    """A receipt as it is stored."""
    return {
        "submission": submission,
        "model": tagging.model,
        "themes": [*tagging.themes],
        "decision": str(tagging.decision),
        "scores": {theme: float(score) for theme, score in tagging.scores.items()},
        "coverage": float(tagging.coverage),
        "at": at,
    }


def tagging_of(row: Row[Any]) -> StoredTagging:
    """A receipt as it was stored."""
    return StoredTagging(
        id=row.id,
        submission=row.submission,
        model=row.model,
        themes=tuple(row.themes),
        decision=Decision(row.decision),
        scores=dict(row.scores),
        coverage=row.coverage,
        at=row.at,
    )


def event_of(row: Row[Any]) -> Event:
    """An event as it was announced."""
    return Event(row.seq, row.at, row.kind, row.submission, dict(row.payload))
