"""What editors changed of what a model had said: all of it in two questions to the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from typing import Any

from sqlalchemy import Row, Select, select

from classifier.article import Article
from service.store.database import Database
from service.store.records import Action, Corrected, State
from service.store.reviews import standing
from service.store.tables import reviews, submissions, taggings

_CHUNK = 500


class Corrections:
    """Reviews at odds with the model."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, *, by: str | None = None) -> tuple[Corrected, ...]:
        """Every standing review that left other themes than the model had said, oldest first."""
        asked = (
            select(
                reviews, taggings.c.themes.label("said"), submissions.c.title, submissions.c.text
            )
            .join(taggings, taggings.c.id == reviews.c.tagging)
            .join(submissions, submissions.c.id == reviews.c.submission)
            .where(
                reviews.c.action.in_([str(Action.SET), str(Action.NONE)]),
                submissions.c.state.in_([str(State.SETTLED), str(State.UNSURE)]),
                standing(),
            )
            .order_by(reviews.c.id)
        )
        if by is not None:
            asked = asked.where(reviews.c.by == by)
        with self._database.reading() as connection:
            rows = [row for row in connection.execute(asked) if {*row.said} != {*row.to_themes}]
            later: defaultdict[str, list[Row[Any]]] = defaultdict(list)
            for start in range(0, len(rows), _CHUNK):
                ids = {row.submission for row in rows[start : start + _CHUNK]}
                for other in connection.execute(_settling(ids)):
                    later[other.submission].append(other)
        return tuple(_told(row, later[row.submission]) for row in rows)


def _settling(ids: Set[str]) -> Select[Any]:
    """The standing reviews that settled some submissions, oldest first."""
    return (
        select(reviews.c.submission, reviews.c.id, reviews.c.by, reviews.c.to_themes)
        .where(
            reviews.c.submission.in_(ids),
            reviews.c.to_state == str(State.SETTLED),
            standing(),
        )
        .order_by(reviews.c.id)
    )


def _told(row: Row[Any], settled: Sequence[Row[Any]]) -> Corrected:
    others = [
        other.by
        for other in settled
        if other.id > row.id and {*other.to_themes} != {*row.to_themes}
    ]
    return Corrected(
        review=row.id,
        article=Article(row.text, row.title, row.submission),
        by=row.by,
        at=row.at,
        themes=tuple(row.to_themes),
        before=tuple(row.said),
        overruled_by=others[-1] if others else "",
    )
