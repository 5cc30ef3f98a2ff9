"""What editors decide: a history that only grows, steps back through it, and soft locks."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, insert, select

from classifier.errors import Conflict, GaoqianError, NotFound, Outdated
from service.store.database import Database
from service.store.queue import select_ids
from service.store.records import (
    Action,
    Batch,
    Labelled,
    Lock,
    Query,
    Review,
    State,
    Submission,
)
from service.store.rows import Standing, announce, read_submissions, stand
from service.store.submissions import Clock
from service.store.tables import locks, reviews, submissions, taggings

_CHUNK = 200
_EDITOR = "editor@"


class Reviews:
    """What editors decided."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def review(
        self,
        id: str,
        action: Action,
        *,
        by: str,
        themes: Sequence[str] = (),
        version: int | None = None,
    ) -> Submission:
        """Settle a submission or pass it on; `themes` are read only with `Action.SET`.

        Raises NotFound; Outdated where it is no longer the `version` that the editor saw;
        Conflict for a twin (its first is reviewed, twins follow) and for confirming what no model
        has tagged. The editor's lock is released.
        """

        def store(connection: Connection) -> Submission:
            now = self._clock()
            row = _found(_locked(connection, [id]), id)
            step = _decide(row, action, by=by, themes=themes, version=version, now=now)
            changed = _take(connection, [step], now)
            stands = read_submissions(connection, changed)
            announce(self._database, connection, _event(action), stands, at=now)
            return stands[0]

        return self._database.write(store)

    def review_many(
        self,
        ids: Mapping[str, int | None],
        action: Action,
        *,
        by: str,
        themes: Sequence[str] = (),
    ) -> Batch:
        """Review many submissions alike, given as id → version seen (None: any).

        What cannot be reviewed, or is in another editor's hands, is left and named.
        """
        batch = secrets.token_hex(8)
        done: list[str] = []
        refused: dict[str, str] = {}
        ordered = sorted(ids)

        def store(connection: Connection, chunk: Sequence[str]) -> tuple[list[str], dict[str, str]]:
            now = self._clock()
            held, rows = _live(connection, chunk, now), _locked(connection, chunk)
            steps: list[_Step] = []
            left: dict[str, str] = {}
            for id in chunk:
                try:
                    if id in held and held[id].by != by:
                        raise Conflict(f"{held[id].by}正在看这一篇", fix="请稍后再审")
                    steps.append(
                        _decide(
                            _found(rows, id),
                            action,
                            by=by,
                            themes=themes,
                            version=ids[id],
                            now=now,
                            batch=batch,
                        )
                    )
                except GaoqianError as refusal:
                    left[id] = str(refusal)
            stands = read_submissions(connection, _take(connection, steps, now))
            announce(self._database, connection, _event(action), stands, at=now)
            return [step.row.id for step in steps], left

        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            some, left = self._database.write(partial(store, chunk=chunk))
            done += some
            refused |= left
        return Batch(batch, tuple(done), refused)

    def review_all(
        self, query: Query, action: Action, *, by: str, themes: Sequence[str] = ()
    ) -> Batch:
        """Review everything that a query finds now.

        Set `query.until` to the moment the editor was shown the list, so that nothing unseen is
        settled.
        """
        with self._database.reading() as connection:
            asked = select_ids(self._database, connection, query, now=self._clock())
            found = asked.order_by(None).subquery()
            versions = select(submissions.c.id, submissions.c.version).where(
                submissions.c.id.in_(select(found.c.id)), submissions.c.twin_of.is_(None)
            )
            seen = {row.id: row.version for row in connection.execute(versions)}
        return self.review_many(seen, action, by=by, themes=themes)

    def undo(self, id: str, *, by: str, version: int | None = None) -> Submission:
        """Take back an editor's latest standing review of a submission.

        Raises NotFound; Outdated; Conflict where there is none, or somebody else has reviewed
        it since.
        """

        def store(connection: Connection) -> Submission:
            now = self._clock()
            row = _found(_locked(connection, [id]), id)
            _check_version(row, version)
            last = connection.execute(_latest_standing([id])).one_or_none()
            if last is None:
                raise Conflict("这篇没有可撤销的审稿", where=id)
            if last.by != by:
                raise Conflict(f"最后审这篇的是 {last.by}", where=id, fix="只能撤销自己的审稿")
            step = _take_back(connection, row, last)
            stands = read_submissions(connection, _take(connection, [step], now))
            announce(self._database, connection, "undone", stands, at=now)
            return stands[0]

        return self._database.write(store)

    def undo_last(self, by: str) -> Batch:
        """Take back an editor's latest standing review, or all of the bulk review it belongs to.

        Called again it goes one step further back. What somebody else has reviewed since is
        left. Raises Conflict when nothing is left.
        """
        with self._database.reading() as connection:
            last = connection.execute(_stack(by).limit(1)).one_or_none()
            if last is None:
                raise Conflict("没有可撤销的审稿")
            steps = [last]
            if last.batch is not None:
                asked = _stack(by).where(reviews.c.batch == last.batch)
                steps = [*connection.execute(asked)]
        done: list[str] = []
        refused: dict[str, str] = {}
        wanted = {step.id for step in steps}
        ids = sorted(step.submission for step in steps)

        def store(connection: Connection, chunk: Sequence[str]) -> list[str]:
            now = self._clock()
            rows = _locked(connection, chunk)
            tops = connection.execute(_latest_standing(chunk))
            # What somebody has reviewed or taken back since the look above is left.
            mine = [top for top in tops if top.id in wanted]
            steps = [_take_back(connection, rows[top.submission], top) for top in mine]
            stands = read_submissions(connection, _take(connection, steps, now))
            announce(self._database, connection, "undone", stands, at=now)
            return [step.row.id for step in steps]

        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            some = self._database.write(partial(store, chunk=chunk))
            done += some
            refused |= dict.fromkeys(set(chunk) - set(some), "刚被别人改过。")
        return Batch(last.batch or "", tuple(done), refused)

    def history(self, id: str) -> tuple[Review, ...]:
        """All reviews of a submission, oldest first; of a twin, those of its first."""
        back = reviews.alias()
        undone = exists().where(back.c.undoes == reviews.c.id).label("undone")
        with self._database.reading() as connection:
            first = connection.scalar(select(submissions.c.twin_of).where(submissions.c.id == id))
            asked = select(reviews, undone).where(reviews.c.submission == (first or id))
            return tuple(
                _review_of(row) for row in connection.execute(asked.order_by(reviews.c.id))
            )

    def lock(self, id: str, *, by: str, seconds: int = 120) -> Lock:
        """Hold a submission for a while, or go on holding it.

        Raises NotFound; Conflict that names who holds it.
        """

        def store(connection: Connection) -> Lock:
            now = self._clock()
            found = connection.scalar(select(submissions.c.id).where(submissions.c.id == id))
            if found is None:
                raise NotFound("没有这篇来稿", where=id[:40])
            lock = Lock(id, by, now + timedelta(seconds=seconds))
            held = self._database.insert(locks).values(submission=id, by=by, until=lock.until)
            taken = held.on_conflict_do_update(
                index_elements=[locks.c.submission],
                set_={"by": by, "until": lock.until},
                where=(locks.c.by == by) | (locks.c.until <= now),
            )
            if connection.scalar(taken.returning(locks.c.submission)) is None:
                holder = connection.scalar(select(locks.c.by).where(locks.c.submission == id))
                raise Conflict(f"{holder or '别人'}正在看这一篇", where=id, fix="请先看下一篇")
            return lock

        return self._database.write(store)

    def unlock(self, id: str, *, by: str) -> None:
        """Let go of a submission; nothing happens where somebody else holds it."""
        with self._database.writing() as connection:
            connection.execute(delete(locks).where(locks.c.submission == id, locks.c.by == by))

    def locks(self, ids: Sequence[str]) -> dict[str, Lock]:
        """Who holds what, as far as the time has not run out."""
        with self._database.reading() as connection:
            return _live(connection, ids, self._clock())

    def labelled(self, *, since: datetime | None = None) -> Iterator[Labelled]:
        """Every text whose themes a person gave or confirmed, once; settled at or after `since`.

        Twins are left out, and so is all that only a model has said.
        """
        last = ""
        while True:
            asked = (
                select(submissions)
                .where(
                    submissions.c.state == str(State.SETTLED),
                    submissions.c.twin_of.is_(None),
                    submissions.c.id > last,
                )
                .order_by(submissions.c.id)
                .limit(_CHUNK)
            )
            if since is not None:
                asked = asked.where(submissions.c.settled >= since)
            with self._database.reading() as connection:
                rows = connection.execute(asked).all()
            for row in rows:
                yield Labelled(
                    id=row.id,
                    title=row.title,
                    text=row.text,
                    themes=tuple(row.themes),
                    received=row.received,
                    settled=row.settled,
                    by=row.themes_by.removeprefix(_EDITOR),
                )
            if len(rows) < _CHUNK:
                return
            last = rows[-1].id


@dataclass(frozen=True, slots=True)
class _Step:
    """One entry for the history, and the standing that it leads to."""

    row: Row[Any]  # as it stands
    action: Action
    by: str
    state: State
    themes: tuple[str, ...]
    themes_by: str
    settled: datetime | None
    batch: str | None
    undoes: int | None = None


def _locked(connection: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Rows that nobody else changes until the transaction ends, locked in one order."""
    asked = select(submissions).where(submissions.c.id.in_(ids)).order_by(submissions.c.id)
    return {row.id: row for row in connection.execute(asked.with_for_update())}


def _found(rows: Mapping[str, Row[Any]], id: str) -> Row[Any]:
    if id not in rows:
        raise NotFound("没有这篇来稿", where=id[:40])
    return rows[id]


def _check_version(row: Row[Any], version: int | None) -> None:
    if version is not None and version != row.version:
        raise Outdated(
            f"这篇已被改过（现在是第 {row.version} 版，您看到的是第 {version} 版）",
            where=row.id,
            fix="请重新打开再审",
        )


def _decide(
    row: Row[Any],
    action: Action,
    *,
    by: str,
    themes: Sequence[str],
    version: int | None,
    now: datetime,
    batch: str | None = None,
) -> _Step:
    """What an editor's action means for a submission."""
    if row.twin_of is not None:
        raise Conflict(f"这篇与 {row.twin_of} 相同", where=row.id, fix="请审那一篇，这篇随它")
    _check_version(row, version)
    if action is Action.CONFIRM and State(row.state) is State.NEW:
        raise Conflict("这篇还没有打过标签，没有可确认的", where=row.id, fix="请直接设定主题")
    if action is Action.UNDO:
        raise Conflict("撤销不是审稿", where=row.id, fix="请用撤销")
    if action is Action.UNSURE:
        return _Step(row, action, by, State.UNSURE, tuple(row.themes), row.themes_by, None, batch)
    chosen = tuple(row.themes) if action is Action.CONFIRM else ()
    if action is Action.SET:
        chosen = tuple(dict.fromkeys(themes))
        action = Action.SET if chosen else Action.NONE
    return _Step(row, action, by, State.SETTLED, chosen, _EDITOR + by, now, batch)


def _take_back(connection: Connection, row: Row[Any], last: Row[Any]) -> _Step:
    """What it means that the latest standing review of a submission is taken back."""
    state, settled = State(last.from_state), None
    if state is State.SETTLED:
        earlier = select(func.max(reviews.c.at)).where(
            reviews.c.submission == row.id,
            reviews.c.id < last.id,
            reviews.c.to_state == str(State.SETTLED),
            standing(),
        )
        settled = connection.scalar(earlier)
    themes = tuple(last.from_themes)
    return _Step(
        row, Action.UNDO, last.by, state, themes, last.from_by, settled, last.batch, last.id
    )


def _take(connection: Connection, steps: Sequence[_Step], now: datetime) -> list[str]:
    """Write steps into the history and take them; returns the ids that changed."""
    if not steps:
        return []
    ids = [step.row.id for step in steps]
    latest = (
        select(taggings.c.submission, func.max(taggings.c.id))
        .where(taggings.c.submission.in_(ids))
        .group_by(taggings.c.submission)
    )
    receipts: dict[str, int] = {row[0]: row[1] for row in connection.execute(latest)}
    connection.execute(
        insert(reviews),
        [
            {
                "submission": step.row.id,
                "at": now,
                "by": step.by,
                "action": str(step.action),
                "from_state": step.row.state,
                "to_state": str(step.state),
                "from_themes": step.row.themes,
                "to_themes": [*step.themes],
                "from_by": step.row.themes_by,
                "tagging": receipts.get(step.row.id),
                "batch": step.batch,
                "undoes": step.undoes,
            }
            for step in steps
        ],
    )
    connection.execute(delete(locks).where(locks.c.submission.in_(ids), locks.c.by == steps[0].by))
    return stand(
        connection,
        [
            Standing(
                step.row.id,
                step.state,
                step.themes,
                step.themes_by,
                step.settled,
                step.row.doubt,
            )
            for step in steps
        ],
    )


def _latest_standing(ids: Sequence[str]) -> Select[Any]:
    """The latest review of each submission that has not been taken back."""
    latest = (
        select(func.max(reviews.c.id))
        .where(reviews.c.submission.in_(ids), standing())
        .group_by(reviews.c.submission)
    )
    return select(reviews).where(reviews.c.id.in_(latest))


def standing(entry: Any = reviews) -> ColumnElement[bool]:
    """The condition that a review is one, and has not been taken back."""
    back = reviews.alias()
    taken_back = exists().where(back.c.undoes == entry.c.id)
    condition: ColumnElement[bool] = (entry.c.action != str(Action.UNDO)) & ~taken_back
    return condition


def _stack(by: str) -> Select[Any]:
    """An editor's reviews that can be taken back, the latest first."""
    later = reviews.alias()
    overruled = exists().where(
        later.c.submission == reviews.c.submission, later.c.id > reviews.c.id, standing(later)
    )
    return (
        select(reviews)
        .where(reviews.c.by == by, standing(), ~overruled)
        .order_by(reviews.c.id.desc())
    )


def _live(connection: Connection, ids: Sequence[str], now: datetime) -> dict[str, Lock]:
    asked = select(locks).where(locks.c.submission.in_(ids), locks.c.until > now)
    return {
        row.submission: Lock(row.submission, row.by, row.until) for row in connection.execute(asked)
    }


def _event(action: Action) -> str:
    return "unsure" if action is Action.UNSURE else "settled"


def _review_of(row: Row[Any]) -> Review:
    return Review(
        id=row.id,
        submission=row.submission,
        at=row.at,
        by=row.by,
        action=Action(row.action),
        from_state=State(row.from_state),
        to_state=State(row.to_state),
        from_themes=tuple(row.from_themes),
        to_themes=tuple(row.to_themes),
        from_by=row.from_by,
        tagging=row.tagging,
        batch=row.batch,
        undoes=row.undoes,
        undone=row.undone,
    )
