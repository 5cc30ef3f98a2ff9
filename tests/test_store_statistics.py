"""发稿统计 counts what a person with the list in hand would count."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Clock
from made_submissions import many, new

from service.store import Store
from service.store.records import Action, Query, Submission
from service.store.statistics import By

BEIJING = timedelta(hours=8)


def values(one: Submission, by: str) -> list[str | None]:
    """Under what a submission is counted."""
    match by:
        case "name":
            return [*one.names] or [None]
        case "theme":
            return [*one.themes] or [None]
        case "source":
            return [one.source, *{one.source.split(":")[0]} - {one.source}]
        case "all":
            return ["all"]
        case _:
            return [getattr(one, by)]


@pytest.mark.parametrize("settled", [False, True])
def test_tallies_are_those_of_a_plain_count(store: Store, clock: Clock, settled: bool) -> None:
    """By every measure, for all time and for a part of it, counted one by one in Beijing time."""
    for one in many(120, seed=11):
        clock.now += timedelta(hours=17, minutes=13)
        added = store.submissions.add([one]).submissions[0]
        if added.twin_of is None and added.tagging is not None and added.doubt < 0.6:
            clock.now += timedelta(hours=5)
            store.reviews.review(added.id, Action.CONFIRM, by="li")
    since, until = datetime(2026, 12, 9, tzinfo=UTC), datetime(2027, 1, 20, 3, tzinfo=UTC)
    stored = list(store.submissions.each(Query()))
    for first, last in ((None, None), (since, until), (since, None)):
        for by in ("place", "city", "county", "town", "name", "unit", "theme", "source", "all"):
            wanted: Counter[tuple[str | None, str]] = Counter()
            for one in stored:
                moment = one.settled if settled else one.received
                if moment is None or (first and moment < first) or (last and moment >= last):
                    continue
                month = (moment + BEIJING).strftime("%Y-%m")
                wanted.update((value, month) for value in values(one, by))
            measure: By = by  # type: ignore[assignment]
            tallies = store.statistics.tallies(measure, since=first, until=last, settled=settled)
            assert {(one.value, one.month): one.count for one in tallies} == wanted
            assert len(tallies) == len(wanted)


def test_a_month_ends_at_midnight_in_beijing(store: Store, clock: Clock) -> None:
    """A minute before and at midnight of the first fall into different months there."""
    clock.now = datetime(2026, 11, 30, 15, 59, tzinfo=UTC)
    store.submissions.add([new("甲")])
    clock.now += timedelta(minutes=1)
    store.submissions.add([new("乙")])
    assert [one.month for one in store.statistics.tallies("all")] == ["2026-11", "2026-12"]
    in_london = store.statistics.tallies("all", offset=timedelta(0))
    assert [(one.month, one.count) for one in in_london] == [("2026-11", 2)]
