"""Every filter and order finds what a plain reading of all submissions finds."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import timedelta

import pytest
from conftest import NOW, Clock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_submissions import THEMES, many, new

from classifier.article import Decision
from classifier.errors import Malformed
from service.store import Store, open_store
from service.store.queue import read_cursor
from service.store.records import Action, Order, Query, State, Submission

RANKS = [State.REVIEW, State.UNSURE, State.NEW, State.AUTO, State.NONE, State.SETTLED]
EDITORS = ("li", "zhao")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """A store with 160 submissions over four days, some of them reviewed, some locked."""
    clock = Clock()
    if request.param == "postgresql":
        database = request.getfixturevalue("postgresql_server").database()
        url = database.__enter__()
        request.addfinalizer(lambda: database.__exit__(None, None, None))
    else:
        url = str(tmp_path_factory.mktemp("store") / "store.db")
    store = open_store(url, clock=clock)
    for number, one in enumerate(many(160)):
        clock.now += timedelta(minutes=37, microseconds=number * 7)
        store.submissions.add([one])
    for number, one in enumerate(all_of(store)):
        if one.twin_of is None and one.state is not State.NEW and number % 3 == 0:
            action = (Action.UNSURE, Action.CONFIRM, Action.SET)[number % 9 // 3]
            store.reviews.review(one.id, action, by="li", themes=["elder_care"])
        if number % 11 == 0:
            store.reviews.lock(one.id, by=EDITORS[number % 2])
    yield store
    store.close()


class Stored(list[Submission]):
    """Submissions, shown by their number."""

    def __repr__(self) -> str:
        return f"{len(self)} submissions"


@pytest.fixture(scope="module")
def stored(filled: Store) -> Stored:
    """All that is in it."""
    return Stored(all_of(filled))


def all_of(store: Store) -> list[Submission]:
    """All submissions, by arrival, asked for one by one."""
    ids: list[str] = []
    with store._database.reading() as connection:
        ids += connection.exec_driver_sql("SELECT id FROM submissions ORDER BY id").scalars()
    return [store.submissions.get(id) for id in ids]


def folded(text: str) -> str:
    simplified = str.maketrans("長養黨員會項約鎮裡", "长养党员会项约镇里")
    alike = unicodedata.normalize("NFKC", text.replace("\0", "")).casefold()
    return "".join(alike.translate(simplified).split())


def expected(query: Query, stored: list[Submission], taken: dict[str, str]) -> list[str]:
    """What a query means, said once more without a database."""

    def fits(one: Submission) -> bool:
        decision = one.tagging.decision if one.tagging else None
        return all(
            (
                query.with_twins or one.twin_of is None,
                query.theme in (None, *one.themes),
                query.state in (None, one.state),
                query.decision in (None, decision),
                query.place in (None, one.place, one.city, one.county, one.town),
                query.name in (None, *one.names),
                query.source in (None, one.source, one.source.split(":")[0]),
                query.page in (None, one.page),
                query.since is None or one.received >= query.since,
                query.until is None or one.received < query.until,
                query.free_for in (None, taken.get(one.id, query.free_for)),
                query.text is None
                or folded(query.text) in folded(one.title)
                or folded(query.text) in folded(one.text),
            )
        )

    def key(one: Submission) -> tuple[object, ...]:
        if query.order is not Order.DOUBTFUL:
            return (one.id,)
        doubt = min(one.doubt, 0.999)
        return (one.twin_of is None, -RANKS.index(one.state), doubt, one.id)

    found = sorted(filter(fits, stored), key=key, reverse=query.order is not Order.OLDEST)
    return [one.id for one in found]


moments = st.integers(0, 6000).map(lambda minutes: NOW + timedelta(minutes=minutes))
queries = st.builds(
    Query,
    theme=st.none() | st.sampled_from((*THEMES, "none")),
    state=st.none() | st.sampled_from([*State]),
    decision=st.none() | st.sampled_from([*Decision]),
    place=st.none() | st.sampled_from(("羊山镇", "金乡县", "无此地")),
    name=st.none() | st.sampled_from(("王明", "李芳", "无此人")),
    source=st.none() | st.sampled_from(("http", "mail", "mail:a@b.cn", "watch:来稿", "mai")),
    text=st.none()
    | st.sampled_from(
        (
            "河长",
            "長巡",
            "gdp",
            "5％",
            "%",
            "_",
            "a_b",
            "a%b",
            "wifi",
            "清淤",
            "news河",
            "'",
            '"',
            " ",
        )
    )
    | st.text(max_size=3),
    page=st.none() | st.just("p1"),
    since=st.none() | moments,
    until=st.none() | moments,
    free_for=st.none() | st.sampled_from((*EDITORS, "sun")),
    with_twins=st.booleans(),
    order=st.sampled_from([*Order]),
)
few_filters = st.tuples(queries, st.sets(st.sampled_from(Query.__slots__), max_size=2)).map(
    lambda pair: Query(
        order=pair[0].order,
        with_twins=pair[0].with_twins,
        **{name: getattr(pair[0], name) for name in pair[1] if name not in ("order", "with_twins")},
    )
)
quietly = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@settings(quietly, max_examples=60)
@given(query=few_filters | queries, limit=st.integers(10, 90))
def test_pages_hold_what_was_asked_for_once_and_in_order(
    filled: Store, stored: Stored, query: Query, limit: int
) -> None:
    """Page after page gives exactly the expected ids; the count agrees."""
    taken = {id: lock.by for id, lock in filled.reviews.locks([one.id for one in stored]).items()}
    wanted = expected(query, stored, taken)
    got: list[str] = []
    cursor = None
    while True:
        page = filled.submissions.page(query, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        got += [one.id for one in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert got == wanted
    assert filled.submissions.count(query) == len(wanted)
    assert filled.submissions.count(query, most=3) == min(3, len(wanted))


def test_the_doubtful_come_first(filled: Store) -> None:
    """What an editor should see is at the top, what is settled at the bottom."""
    states = [one.state for one in filled.submissions.each(Query(), chunk=7)]
    assert states == sorted(states, key=RANKS.index)
    assert set(states) == set(State)


def test_counts_beside_the_queue_agree_with_it(filled: Store) -> None:
    """States and facets count what their filters find, twins not counted."""
    for state, count in filled.submissions.states().items():
        assert count == filled.submissions.count(Query(state=state))
    asked = {
        "theme": lambda value: Query(theme=value),
        "place": lambda value: Query(place=value),
        "name": lambda value: Query(name=value),
        "source": lambda value: Query(source=value),
    }
    for kind, query in asked.items():
        facets = filled.submissions.facets(kind)  # type: ignore[arg-type]
        assert facets
        assert [one.count for one in facets] == sorted((f.count for f in facets), reverse=True)
        for facet in facets:
            assert facet.count == filled.submissions.count(query(facet.value))


@quietly
@given(cursor=st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.hex()))
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    """Whatever is sent as a cursor is read as ours or refused as malformed."""
    try:
        read_cursor(Order.DOUBTFUL, cursor)
    except Malformed as refusal:
        assert "cursor" in refusal.what


def test_a_cursor_belongs_to_its_order(filled: Store) -> None:
    """The cursor of one order is refused by another."""
    cursor = filled.submissions.page(Query(order=Order.NEWEST), limit=5).cursor
    with pytest.raises(Malformed):
        filled.submissions.page(Query(order=Order.OLDEST), limit=5, cursor=cursor)


def test_a_page_does_not_repeat_what_arrives_meanwhile(store: Store, clock: Clock) -> None:
    """Submissions that arrive between two pages neither shift nor repeat the later page."""
    old = [store.submissions.add([new(str(n), doubt=n / 100)]).submissions[0].id for n in range(9)]
    first = store.submissions.page(Query(), limit=5)
    clock.now += timedelta(seconds=1)
    store.submissions.add([new(f"late {n}", doubt=0.99) for n in range(5)])
    second = store.submissions.page(Query(), limit=5, cursor=first.cursor)
    assert [one.id for one in (*first.items, *second.items)] == old[::-1]


@settings(quietly, max_examples=60)
@given(
    text=st.text(min_size=1, max_size=30),
    cut=st.tuples(st.integers(0, 29), st.integers(1, 30)),
)
def test_any_part_of_any_text_finds_it(store: Store, text: str, cut: tuple[int, int]) -> None:
    """Whatever characters are cut out of a text, looking for them finds it."""
    from service.store.search import fold

    (stored,) = store.submissions.add([new(text)]).submissions
    needle = text[cut[0] : cut[0] + cut[1]]
    # Folding may join what a cut parts: only parts that are parts after it, too, are asked for.
    if fold(needle) in fold(text):
        found = store.submissions.page(Query(text=needle, with_twins=True), limit=1000).items
        assert stored.id in {one.id for one in found}


def test_many_finds_are_as_right_as_few(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the queue in its order, as for frequent words, finds the same."""
    from service.store import search

    store.submissions.add(many(80, seed=3))
    for words in ("河长", "gdp", "老", "news"):
        few = [one.id for one in store.submissions.each(Query(text=words))]
        monkeypatch.setattr(search, "FEW", 2)
        assert [one.id for one in store.submissions.each(Query(text=words))] == few
        assert len(few) > 3
        monkeypatch.undo()
