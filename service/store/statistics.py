"""Counts of what came in and what was settled, for 发稿统计."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, func, literal_column, select

from service.store.database import Database
from service.store.records import State, Tally
from service.store.rows import first_id
from service.store.tables import facets, submissions

By = Literal["place", "city", "county", "town", "name", "unit", "theme", "source", "all"]

_DAY = 24 * 60 * 60 * 1_000_000  # in microseconds
_BEIJING = timedelta(hours=8)


class Statistics:
    """How many, of what, in which month; a text that came twice counts once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tallies(
        self,
        by: By,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        settled: bool = False,
        offset: timedelta = _BEIJING,
    ) -> tuple[Tally, ...]:
        """Submissions by value and month, received (or `settled`) within `since` ≤ … < `until`.

        "place" is the narrowest that the slip tells. A submission with two names or themes counts
        under each; one with none under None. Months begin and end at midnight at this `offset`
        from UTC. Sorted by value, then month; None comes last.
        """
        moment: ColumnElement[datetime] = (
            submissions.c.settled if settled else submissions.c.received
        )
        conditions = [submissions.c.urgency >= 0]
        if settled:
            conditions.append(submissions.c.state == str(State.SETTLED))
            if since is not None:
                conditions.append(submissions.c.settled >= since)
            if until is not None:
                conditions.append(submissions.c.settled < until)
        else:
            if since is not None:
                conditions.append(submissions.c.id >= first_id(since))
            if until is not None:
                conditions.append(submissions.c.id < first_id(until))
        shift = offset // timedelta(microseconds=1)
        day: ColumnElement[int] = literal_column(f"(submissions.{moment.name} + {shift}) / {_DAY}")
        value = self._value(by)
        measured = [day] if by == "all" else [value, day]
        asked = select(value, day, func.count()).where(*conditions).group_by(*measured)
        if by in ("name", "theme", "source"):
            link = (facets.c.submission == submissions.c.id) & (facets.c.kind == by)
            asked = asked.select_from(submissions).outerjoin(facets, link)
        with self._database.reading() as connection:
            rows = connection.execute(asked).all()
        counts: Counter[tuple[str | None, str]] = Counter()
        for found, days, count in rows:
            month = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(days))).strftime("%Y-%m")
            counts[found or None, month] += count
        tallies = (Tally(value, month, count) for (value, month), count in counts.items())
        return tuple(
            sorted(tallies, key=lambda one: (one.value is None, one.value or "", one.month))
        )

    @staticmethod
    def _value(by: By) -> ColumnElement[str | None]:
        match by:
            case "place" | "city" | "county" | "town" | "unit":
                return submissions.c[by]
            case "all":
                return literal_column("'all'")
            case _:
                return facets.c.value
