"""What other programs hear of: events in the order of commit, and their way to webhooks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, literal, select, update

from service.store.database import Database
from service.store.records import Delivery, Event
from service.store.rows import event_of
from service.store.submissions import Clock
from service.store.tables import deliveries, events, hooks

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"


class Events:
    """What happened, for programs that ask and programs that are told."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def after(self, seq: int, *, limit: int = 100) -> tuple[Event, ...]:
        """Events with a number above `seq`, in order; none is ever added below one shown."""
        asked = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
        with self._database.reading() as connection:
            return tuple(event_of(row) for row in connection.execute(asked))

    def last(self) -> int:
        """The number of the latest event, 0 before the first."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.max(events.c.seq))) or 0

    def prune(self, before: datetime) -> int:
        """Forget events and finished deliveries of before a moment; returns how many events."""
        with self._database.writing() as connection:
            connection.execute(
                delete(deliveries).where(deliveries.c.at < before, deliveries.c.state != PENDING)
            )
            # The latest stays: its number is what `last` goes on from.
            latest = select(func.max(events.c.seq)).scalar_subquery()
            gone = delete(events).where(events.c.at < before, events.c.seq < latest)
            return connection.execute(gone).rowcount

    def enqueue(self, target: str) -> int:
        """Put on their way to a webhook all events since the last call; returns how many.

        With the first call for a target its deliveries begin: nothing that was before is sent.
        """

        def store(connection: Connection) -> int:
            latest = connection.scalar(select(func.max(events.c.seq))) or 0
            asked = select(hooks.c.seq).where(hooks.c.target == target).with_for_update()
            reached = connection.scalar(asked)
            if reached is None:
                connection.execute(insert(hooks), [{"target": target, "seq": latest}])
                return 0
            copied = select(
                literal(target),
                events.c.seq,
                events.c.at,
                events.c.kind,
                events.c.submission,
                events.c.payload,
                literal(PENDING),
                literal(0),
                literal(self._clock(), deliveries.c.next_at.type),
                literal(""),
            ).where(events.c.seq > reached, events.c.seq <= latest)
            columns = [
                "target", "seq", "at", "kind", "submission", "payload", "state", "attempts",
                "next_at", "error",
            ]  # fmt: skip
            copy = insert(deliveries).from_select(columns, copied).returning(deliveries.c.id)
            count = len(connection.scalars(copy).all())
            connection.execute(update(hooks).where(hooks.c.target == target).values(seq=latest))
            return count

        return self._database.write(store)

    def due(
        self, target: str, *, limit: int = 20, lease: timedelta = timedelta(seconds=60)
    ) -> tuple[Delivery, ...]:
        """Deliveries to try now, oldest first; for `lease` no other process gets them too."""

        def store(connection: Connection) -> tuple[Delivery, ...]:
            now = self._clock()
            asked = (
                select(deliveries)
                .where(
                    deliveries.c.target == target,
                    deliveries.c.state == PENDING,
                    deliveries.c.next_at <= now,
                )
                .order_by(deliveries.c.seq)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(asked).all()
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id.in_([row.id for row in rows]))
                .values(next_at=now + lease, attempts=deliveries.c.attempts + 1)
            )
            return tuple(_delivery_of(row) for row in rows)

        return self._database.write(store)

    def delivered(self, id: int) -> None:
        """A delivery reached its webhook."""
        self._finish(id, state=DELIVERED, error="")

    def failed(self, id: int, error: str, *, retry_at: datetime | None) -> None:
        """A delivery did not reach its webhook; without `retry_at` it is given up."""
        if retry_at is None:
            self._finish(id, state=FAILED, error=error)
        else:
            self._finish(id, state=PENDING, error=error, next_at=retry_at)

    def deliveries(self, target: str, *, limit: int = 100) -> tuple[Delivery, ...]:
        """What was sent or is to be sent to a webhook, newest first."""
        asked = select(deliveries).where(deliveries.c.target == target)
        with self._database.reading() as connection:
            rows = connection.execute(asked.order_by(deliveries.c.seq.desc()).limit(limit))
            return tuple(_delivery_of(row) for row in rows)

    def _finish(self, id: int, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(update(deliveries).where(deliveries.c.id == id).values(**values))


def _delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        target=row.target,
        event=event_of(row),
        attempts=row.attempts,
        next_at=row.next_at,
        error=row.error,
        state=row.state,
    )
