"""Submissions: stored whole before they are answered, found again, and read in their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select

from classifier.article import Tagging
from classifier.errors import KeyReused, NotFound
from service.store.database import Database
from service.store.queue import Place, read_cursor, select_ids, write_cursor
from service.store.records import (
    Added,
    Facet,
    KeyUse,
    NewSubmission,
    Original,
    Page,
    Query,
    State,
    StoredReply,
    StoredTagging,
    Submission,
    storable,
)
from service.store.rows import (
    Ids,
    Standing,
    announce,
    facet_rows,
    read_submissions,
    stand,
    tagging_of,
    tagging_row,
    urgency,
    whole_millisecond,
)
from service.store.search import remember
from service.store.tables import facets, originals, replies, submissions, taggings

Clock = Callable[[], datetime]
Reply = Callable[[tuple[Submission, ...]], StoredReply]

LONGEST_EXTERNAL_ID = 500
_CHUNK = 500


class Submissions:
    """What came in."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ids = Ids()

    def add(
        self,
        new: Sequence[NewSubmission],
        *,
        key: KeyUse | None = None,
        reply: Reply | None = None,
    ) -> Added:
        """Store submissions, their receipts and events, and the reply under its key: all or none.

        A key already used for the same request stores nothing and gives the first reply again;
        used for another it raises KeyReused. Two that come with the same key at once wait for
        each other. Without `reply`, what is kept is the list of ids.
        """

        def store(connection: Connection) -> Added:
            now = whole_millisecond(self._clock())
            if key is not None:
                before = _reply_to(connection, key, now)
                if before is not None:
                    return Added((), before, replayed=True)
            ids = self._ids.take(len(new), now)
            _insert(self._database, connection, new, ids, now)
            stored = tuple(read_submissions(connection, ids))
            answer = None
            if key is not None:
                answer = reply(stored) if reply else StoredReply(201, json.dumps(ids))
                _keep_reply(connection, key, answer, now)
            announce(self._database, connection, "received", stored, at=now)
            return Added(stored, answer, replayed=False)

        return self._database.write(store)

    def reply_to(self, key: KeyUse) -> StoredReply | None:
        """The reply already given under a key: a look before the work; raises KeyReused."""
        with self._database.reading() as connection:
            return _reply_to(connection, key, self._clock())

    def get(self, id: str) -> Submission:
        """One submission; raises NotFound."""
        with self._database.reading() as connection:
            found = read_submissions(connection, [storable(id)])
        if not found:
            raise NotFound("没有这篇来稿", where=id[:40])
        return found[0]

    def page(self, query: Query, *, limit: int = 50, cursor: str | None = None) -> Page:
        """The next `limit` submissions of a query; raises Malformed for a foreign cursor."""
        after = read_cursor(query.order, cursor) if cursor else None
        with self._database.reading() as connection:
            asked = select_ids(self._database, connection, query, now=self._clock(), after=after)
            rows = connection.execute(asked.limit(limit + 1)).all()
            items = tuple(read_submissions(connection, [row.id for row in rows[:limit]]))
        if len(rows) <= limit:
            return Page(items, None)
        last = rows[limit - 1]
        return Page(items, write_cursor(query.order, Place(last.urgency, last.id)))

    def each(self, query: Query, *, chunk: int = _CHUNK) -> Iterator[Submission]:
        """All submissions of a query in its order; no transaction stays open between chunks."""
        cursor: str | None = None
        while True:
            page = self.page(query, limit=chunk, cursor=cursor)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def count(self, query: Query, *, most: int = 10_000) -> int:
        """How many a query finds; counting stops at `most`."""
        with self._database.reading() as connection:
            asked = select_ids(self._database, connection, query, now=self._clock())
            some = asked.order_by(None).limit(most).subquery()
            return connection.scalar(select(func.count()).select_from(some)) or 0

    def states(self) -> dict[State, int]:
        """How many submissions stand in each state, twins not counted."""
        asked = (
            select(submissions.c.state, func.count())
            .where(submissions.c.urgency >= 0)
            .group_by(submissions.c.state)
        )
        with self._database.reading() as connection:
            counts: dict[str, int] = {row[0]: row[1] for row in connection.execute(asked)}
        return {state: counts.get(str(state), 0) for state in State}

    def facets(
        self, kind: Literal["theme", "place", "name", "source"], *, limit: int = 200
    ) -> tuple[Facet, ...]:
        """The values of a kind that can be filtered by, the most frequent first."""
        count = func.count()
        asked = (
            select(facets.c.value, count)
            .where(facets.c.kind == kind, facets.c.urgency >= 0)
            .group_by(facets.c.value)
            .order_by(count.desc(), facets.c.value)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple(Facet(*row) for row in connection.execute(asked))

    def original(self, id: str) -> Original:
        """The file a submission came in; raises NotFound, also where it came as bare text."""
        asked = (
            select(submissions.c.name, submissions.c.format, originals.c.content)
            .join(originals, originals.c.digest == submissions.c.original)
            .where(submissions.c.id == id)
        )
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        if row is None:
            raise NotFound("没有这篇来稿的原文件", where=id[:40])
        return Original(row.name, row.format, bytes(row.content))

    def taggings(self, id: str) -> tuple[StoredTagging, ...]:
        """All receipts of a submission, oldest first."""
        asked = select(taggings).where(taggings.c.submission == id).order_by(taggings.c.id)
        with self._database.reading() as connection:
            return tuple(tagging_of(row) for row in connection.execute(asked))

    def twins(self, id: str) -> tuple[Submission, ...]:
        """The later submissions of the same text, oldest first."""
        return self._read(submissions.c.twin_of == id)

    def with_external_id(self, source: str, external_id: str) -> tuple[Submission, ...]:
        """What a sender has sent under an id of its own, oldest first."""
        return self._read(
            submissions.c.external_id == external_id[:LONGEST_EXTERNAL_ID],
            submissions.c.source == source,
        )

    def untagged(self, *, limit: int = 256) -> tuple[Submission, ...]:
        """Submissions that wait for a model, oldest first."""
        return self._read(
            submissions.c.state == str(State.NEW), submissions.c.urgency >= 0, limit=limit
        )

    def add_tagging(self, id: str, tagging: Tagging, *, doubt: float) -> Submission:
        """Store another receipt; what no editor has looked at yet stands as it says.

        Raises NotFound.
        """

        def store(connection: Connection) -> Submission:
            now = whole_millisecond(self._clock())
            asked = select(submissions).where(submissions.c.id == id).with_for_update()
            row = connection.execute(asked).one_or_none()
            if row is None:
                raise NotFound("没有这篇来稿", where=id[:40])
            connection.execute(insert(taggings), [tagging_row(id, tagging, now)])
            changed = [id]
            if row.twin_of is None and State(row.state) in _UNSEEN:
                standing = Standing(
                    id,
                    State(tagging.decision),
                    tagging.themes,
                    f"model@{tagging.model}",
                    settled=None,
                    doubt=doubt,
                )
                changed = stand(connection, [standing])
            connection.execute(
                submissions.update()
                .where(submissions.c.id == id)
                .values(decision=str(tagging.decision))
            )
            stands = read_submissions(connection, changed)
            announce(self._database, connection, "tagged", stands, at=now)
            return stands[0]

        return self._database.write(store)

    def _read(self, *conditions: Any, limit: int | None = None) -> tuple[Submission, ...]:
        asked = select(submissions.c.id).where(*conditions).order_by(submissions.c.id)
        with self._database.reading() as connection:
            ids = connection.scalars(asked.limit(limit)).all()
            return tuple(read_submissions(connection, ids))


_UNSEEN = (State.NEW, State.AUTO, State.NONE, State.REVIEW)


def _insert(
    database: Database,
    connection: Connection,
    new: Sequence[NewSubmission],
    ids: Sequence[str],
    now: datetime,
) -> None:
    fingerprints = [one.fingerprint for one in new]
    database.in_turn(connection, fingerprints)
    first = _firsts(connection, fingerprints)
    rows, found_by, kept = [], [], {}
    for id, one in zip(ids, new, strict=True):
        row = _row(id, one, now)
        before = first.setdefault(one.fingerprint, row)
        if before is not row:
            copied = ("state", "themes", "themes_by", "settled", "doubt")
            row |= {"twin_of": before["id"]} | {name: before[name] for name in copied}
        key = urgency(State(row["state"]), row["doubt"], twin=before is not row)
        rows.append(row | {"urgency": key})
        found_by += facet_rows(
            id,
            key,
            themes=row["themes"],
            places=(one.place, one.city, one.county, one.town),
            names=one.names,
            source=one.source,
        )
        if one.original is not None:
            kept[row["original"]] = one.original
    if kept:
        connection.execute(
            database.insert(originals).on_conflict_do_nothing(),
            [{"digest": digest, "content": kept[digest]} for digest in sorted(kept)],
        )
    if not rows:
        return
    connection.execute(insert(submissions), rows)
    if found_by:
        connection.execute(insert(facets), found_by)
    remember(
        database,
        connection,
        [(id, one.title, one.text) for id, one in zip(ids, new, strict=True)],
    )
    receipts = [
        tagging_row(id, one.tagging, now)
        for id, one in zip(ids, new, strict=True)
        if one.tagging is not None
    ]
    if receipts:
        connection.execute(insert(taggings), receipts)


def _firsts(connection: Connection, fingerprints: Sequence[str]) -> dict[str, Any]:
    """The first submission of each text that was here before, locked against change."""
    asked = (
        select(submissions)
        .where(submissions.c.fingerprint.in_(set(fingerprints)), submissions.c.twin_of.is_(None))
        .order_by(submissions.c.id)
        .with_for_update()
    )
    rows: Sequence[Row[Any]] = connection.execute(asked).all()
    return {row.fingerprint: row._asdict() for row in rows}


def _row(id: str, one: NewSubmission, now: datetime) -> dict[str, Any]:
    tagging = one.tagging
    digest = None if one.original is None else hashlib.sha256(one.original).hexdigest()
    return {
        "id": id,
        "state": str(State(tagging.decision) if tagging else State.NEW),
        "version": 1,
        "doubt": one.doubt,
        "decision": str(tagging.decision) if tagging else None,
        "themes": [*tagging.themes] if tagging else [],
        "themes_by": f"model@{tagging.model}" if tagging else "",
        "received": now,
        "settled": None,
        "twin_of": None,
        "fingerprint": one.fingerprint,
        "source": one.source,
        "external_id": one.external_id[:LONGEST_EXTERNAL_ID],
        "by": one.by,
        "name": one.name,
        "format": one.format,
        "original": digest,
        "place": one.place,
        "city": one.city,
        "county": one.county,
        "town": one.town,
        "byline": one.byline,
        "names": [*one.names],
        "unit": one.unit,
        "section": one.section,
        "kind": one.kind,
        "length": one.length,
        "page": one.page,
        "position": one.position,
        "warnings": [*one.warnings],
        "title": one.title,
        "text": one.text,
    }


def _reply_key(key: KeyUse) -> str:
    return hashlib.sha256(json.dumps([key.scope, key.key]).encode()).hexdigest()


def _reply_to(connection: Connection, key: KeyUse, now: datetime) -> StoredReply | None:
    asked = select(replies).where(replies.c.key == _reply_key(key))
    row = connection.execute(asked).one_or_none()
    if row is None or (row.expires is not None and row.expires <= now):
        return None
    if row.digest != key.digest:
        raise KeyReused("这个 Idempotency-Key 已用于另一个请求", fix="请为每个新请求换一个键")
    return StoredReply(row.status, row.body)


def _keep_reply(connection: Connection, key: KeyUse, reply: StoredReply, now: datetime) -> None:
    stored = _reply_key(key)
    connection.execute(delete(replies).where(replies.c.key == stored, replies.c.expires <= now))
    connection.execute(
        insert(replies),
        [
            {
                "key": stored,
                "digest": key.digest,
                "status": reply.status,
                "body": reply.body,
                "expires": None if key.keep is None else now + key.keep,
            }
        ],
    )
