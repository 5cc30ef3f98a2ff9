"""How long the first page of a queue of 100,000 submissions takes, for every filter and order.

    python benchmarks/desk_queue.py FILE.db|postgresql://… [--count 100000] [--rounds 15]

Fills an empty store with submissions made of the bundled corpus's sentences, asks each question
and prints the median and the slowest answer in milliseconds.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from classifier.article import Decision, Tagging
from service.store import Store, open_store
from service.store.records import Action, NewSubmission, Order, Query, State
from training.labelled import read_corpus

START = datetime(2026, 1, 5, tzinfo=UTC)
THEMES = ("party_building", "environment", "investment_promotion", "elder_care", "rare_theme")
SHARES = (0.3, 0.2, 0.15, 0.05, 0.0005)
LIMIT = 50


def submissions(count: int, *, seed: int = 20261124) -> Iterator[NewSubmission]:
    """Made submissions of 300 to 1,500 characters; every twentieth is a twin."""
    chance = random.Random(seed)
    articles = read_corpus().articles
    sentences = [
        sentence
        for one in articles
        for sentence in re.findall(r"[^。]+。", one.article.text)
        if len(sentence) < 200
    ]
    titles = [one.article.title for one in articles if one.article.title]
    decisions = [*Decision]
    for number in range(count):
        text, length = [], chance.randrange(300, 1500)
        while sum(map(len, text)) < length:
            text.append(chance.choice(sentences))
        if number % 1000 == 7:
            text.append("罕见之词饕餮。")
        themes = [
            theme for theme, share in zip(THEMES, SHARES, strict=True) if chance.random() < share
        ]
        decision = chance.choices(decisions, weights=(5, 3, 2))[0]
        # Zipf-like: a few towns send much, many send little.
        town = f"{int(chance.paretovariate(0.7)) % 900}号镇"
        yield NewSubmission(
            title=chance.choice(titles),
            text="".join(text),
            source=chance.choice(("http", "desk", "watch:来稿", "mail:news@example.cn")),
            fingerprint=str(number if number % 20 else 20 * (number // 400)),
            place="金乡",
            town=town,
            names=(f"通讯员{int(chance.paretovariate(0.7)) % 2000}",),
            length=length,
            tagging=Tagging(
                "",
                "",
                tuple(themes),
                decision,
                {theme: chance.random() for theme in THEMES},
                chance.random(),
                "20261124-abcdef",
            ),
            doubt=chance.random(),
        )


def fill(store: Store, clock: list[datetime], count: int) -> None:
    """Put the submissions in, 500 at a time, over ten months; settle every eighth review."""
    began, batch = time.perf_counter(), []
    for number, one in enumerate(submissions(count), 1):
        batch.append(one)
        if len(batch) == 500 or number == count:
            clock[0] += timedelta(days=300) * len(batch) / count
            added = store.submissions.add(batch).submissions
            review = [one.id for one in added if one.state is State.REVIEW and not one.twin_of]
            store.reviews.review_many(dict.fromkeys(review[::8]), Action.CONFIRM, by="bench")
            batch = []
    print(f"filled with {count} in {time.perf_counter() - began:.0f} s")


QUERIES = {
    "no filter": Query(),
    "theme, a third of all": Query(theme="party_building"),
    "theme, 1 in 2,000": Query(theme="rare_theme"),
    "theme, none": Query(theme="nothing"),
    "state review": Query(state=State.REVIEW),
    "state settled": Query(state=State.SETTLED),
    "state unsure (none)": Query(state=State.UNSURE),
    "decision auto": Query(decision=Decision.AUTO),
    "place, many": Query(place="1号镇"),
    "place, few": Query(place="777号镇"),
    "name": Query(name="通讯员3"),
    "source kind": Query(source="mail"),
    "source": Query(source="watch:来稿"),
    "text, common": Query(text="工作"),
    "text, one character": Query(text="的"),
    "text, 1 in 1,000": Query(text="饕餮"),
    "text, none": Query(text="不会有的词儿"),
    "text, long": Query(text="农村人居环境整治提升"),
    "text, one rare character": Query(text="饕"),
    "dates, one day": Query(since=START + timedelta(days=90), until=START + timedelta(days=91)),
    "dates, a month": Query(since=START + timedelta(days=90), until=START + timedelta(days=120)),
    "dates, since": Query(since=START + timedelta(days=30)),
    "dates, until": Query(until=START + timedelta(days=3)),
    "free of others' locks": Query(free_for="li"),
    "with twins": Query(with_twins=True),
    "review and place": Query(state=State.REVIEW, place="3号镇"),
    "theme and text": Query(theme="environment", text="老人"),
    "review, theme, a month": Query(
        state=State.REVIEW,
        theme="elder_care",
        since=START + timedelta(days=90),
        until=START + timedelta(days=120),
    ),
}


def measure(question: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and longest time of a question, in milliseconds, the first asking left out."""
    question()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        question()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), max(times)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    clock = [START]
    store = open_store(given.url, clock=lambda: clock[0])
    if store.submissions.count(Query(with_twins=True)) == 0:
        fill(store, clock, given.count)
    slowest = 0.0
    print(f"{'first page':28} {'order':9} {'median':>8} {'longest':>8}  ms")
    for name, query in QUERIES.items():
        for order in Order:
            asked = Query(**{f: getattr(query, f) for f in Query.__slots__} | {"order": order})
            median, longest = measure(
                lambda asked=asked: store.submissions.page(asked, limit=LIMIT), given.rounds
            )
            slowest = max(slowest, longest)
            mark = "  over 100 ms" if median > 100 else ""
            print(f"{name:28} {order:9} {median:8.1f} {longest:8.1f}{mark}")
    others: dict[str, Callable[[], object]] = {
        "states": store.submissions.states,
        "facets place": lambda: store.submissions.facets("place"),
        "count all": lambda: store.submissions.count(Query()),
        "count theme": lambda: store.submissions.count(Query(theme="party_building")),
        "tallies place": lambda: store.statistics.tallies("place"),
        "tallies theme settled": lambda: store.statistics.tallies("theme", settled=True),
    }
    for name, question in others.items():
        median, longest = measure(question, given.rounds)
        print(f"{name:38} {median:8.1f} {longest:8.1f}")
    print(f"slowest first page: {slowest:.1f} ms")


if __name__ == "__main__":
    main()
