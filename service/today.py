"""今日待审: where an editor's minutes pay most, and whether the promises hold.

A budget in minutes is filled with what the model is unsure of, twins that were tagged two ways,
texts it hardly knows, and always with a random audit of what it settled by itself, shown without
its suggestion. From the audit alone comes the live precision: whatever an editor looks at because
the model doubted it says nothing about the rest.
"""

from __future__ import annotations

import json
import math
import os
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from typing import Any

from classifier.errors import ModelRefused, NotFound
from classifier.model import read_manifest
from classifier.registry import Registry
from service.lessons import SUSPECTS, beside_serving
from service.store import Store
from service.store.records import Order, Query, State, Submission
from service.taxonomy import known_themes, read_taxonomy

AUDITS = "audits.jsonl"
SECONDS_EACH = 40  # that an editor needs for an article
AUDIT_SHARE, OTHER_SHARE = 0.2, 0.2  # of the budget; OTHER: each of contradictory and unfamiliar
AUDITED_SINCE = timedelta(days=30)  # how old a settled article may be to be drawn
COUNTED_SINCE = timedelta(days=90)  # how old an audit may be to count
RECENT, BEFORE = timedelta(days=14), timedelta(days=98)
_LOOKED_AT = 2000
_BINS = 10
_CHI_SQUARE = 27.88  # 99.9 % point at nine degrees of freedom


class Why(StrEnum):
    """Why an editor should look at an article today."""

    UNSURE = "unsure"
    CONTRADICTORY = "contradictory"
    UNFAMILIAR = "unfamiliar"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Item:
    """One article of today's list; of a blind one the desk shows no suggestion."""

    submission: Submission
    why: Why
    sentence: str

    @property
    def blind(self) -> bool:
        """Whether the model's opinion is hidden."""
        return self.why is Why.AUDIT


@dataclass(frozen=True, slots=True)
class Draw:
    """An article drawn for the audit, and what the model had said of it."""

    submission: str
    at: datetime
    model: str
    themes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The form in `audits.jsonl`."""
        return {
            "submission": self.submission,
            "at": self.at.isoformat(),
            "model": self.model,
            "themes": [*self.themes],
        }


@dataclass(frozen=True, slots=True)
class Live:
    """How often a theme that was settled without an editor is right, from the audit."""

    theme: str
    name: str
    audited: int
    right: int
    low: float  # 95 % interval of the precision
    high: float
    wanted: float
    missed: int  # audited articles that have it, and the model settled as not having it

    @property
    def broken(self) -> bool:
        """Whether the promise is broken beyond doubt."""
        return self.audited > 0 and self.high < self.wanted

    @property
    def kept(self) -> bool:
        """Whether the promise is kept beyond doubt."""
        return self.audited > 0 and self.low >= self.wanted

    @property
    def sentence(self) -> str:
        """What the desk says of it."""
        if not self.audited:
            return f"{self.name}：还没有抽查"
        said = "没有守住" if self.broken else "守住" if self.kept else "还说不准"
        return (
            f"{self.name}：抽查 {self.audited} 篇，对 {self.right} 篇（95% 区间 {self.low:.1%} 至 "
            f"{self.high:.1%}），承诺 {self.wanted:.0%}，{said}；漏 {self.missed} 篇"
        )


def plan_today(
    store: Store, registry: Registry, *, minutes: float, now: datetime, by: str = ""
) -> tuple[Item, ...]:
    """Today's list within a budget, at least one article.

    Left out is what others hold, and what `by` has passed on to a second editor. The audit is drawn
    once and stays until it is answered.
    """
    count = max(1, int(minutes * 60 / SECONDS_EACH))
    audits = max(1, round(count * AUDIT_SHARE))
    each = round(count * OTHER_SHARE)
    audit = _audit(store, registry, audits, now=now, by=by)
    chosen: dict[str, Item] = {item.submission.id: item for item in audit}

    def take(items: Iterable[Item], most: int) -> None:
        room = min(most, count - len(chosen))
        fresh = (item for item in items if item.submission.id not in chosen)
        chosen.update({item.submission.id: item for item in islice(fresh, max(room, 0))})

    take(_contradictory(store, registry), each)
    waiting = _page(store, Query(state=State.REVIEW, free_for=by or None))
    take(_unfamiliar(waiting, registry), each)
    second = _page(store, Query(state=State.UNSURE, free_for=by or None))
    asked = (one for one in second if not by or _passed_on_by(store, one) != by)
    take((Item(one, Why.UNSURE, "同事请您也看一看") for one in asked), count)
    names = _names(registry)
    take((Item(one, Why.UNSURE, _doubted(one, names)) for one in waiting), count)
    drawn = {draw.submission: draw for draw in read_draws(registry)}
    for id, item in chosen.items():
        # However it came to be on the list: whoever answers a draw must not have been told.
        if id in drawn and _answer(store, drawn[id]) is None:
            chosen[id] = Item(item.submission, Why.AUDIT, "抽查")
    rank = [Why.CONTRADICTORY, Why.UNSURE, Why.UNFAMILIAR, Why.AUDIT]
    return tuple(sorted(chosen.values(), key=lambda item: rank.index(item.why)))


def _doubted(one: Submission, names: Mapping[str, str]) -> str:
    """Which theme the model is least sure of."""
    scores = one.tagging.scores if one.tagging else {}
    if not scores:
        return "模型拿不准"
    theme = min(scores, key=lambda slug: abs(scores[slug] - 0.5))
    return f"说不准有没有{names.get(theme, theme)}，可能性 {scores[theme]:.0%}"


def is_blind(store: Store, registry: Registry, id: str) -> bool:
    """Whether a submission was drawn for the audit and no editor has answered yet."""
    return any(
        draw.submission == id and _answer(store, draw) is None for draw in read_draws(registry)
    )


def _passed_on_by(store: Store, one: Submission) -> str:
    passed = [
        review.by
        for review in store.reviews.history(one.id)
        if review.to_state is State.UNSURE and not review.undone
    ]
    return passed[-1] if passed else ""


def _page(store: Store, query: Query) -> tuple[Submission, ...]:
    return store.submissions.page(query, limit=500).items


def _contradictory(store: Store, registry: Registry) -> Iterable[Item]:
    for pair in beside_serving(registry, SUSPECTS, {}).get("contradictions", ()):
        for own, other in ((pair["one"], pair["other"]), (pair["other"], pair["one"])):
            try:
                found = store.submissions.get(own)
            except NotFound:
                continue  # of a corpus file
            themes = "、".join(pair["themes"])
            yield Item(found, Why.CONTRADICTORY, f"与 {other} 几乎相同，却标得不同（{themes}）")
            break


def _unfamiliar(waiting: Sequence[Submission], registry: Registry) -> Iterable[Item]:
    try:
        floor = read_manifest(registry.path(registry.current_id()))["coverage_floor"]
    except ModelRefused:
        return
    strange = [one for one in waiting if one.tagging and one.tagging.coverage < floor]
    for one in sorted(strange, key=lambda one: one.tagging.coverage if one.tagging else 0.0):
        known = one.tagging.coverage if one.tagging else 0.0
        yield Item(one, Why.UNFAMILIAR, f"模型只认得 {known:.0%} 的内容")


# The audit


def _audit(store: Store, registry: Registry, count: int, *, now: datetime, by: str) -> list[Item]:
    """Settled articles nobody has looked at: those drawn and still open, then new ones by chance."""
    query = Query(since=now - AUDITED_SINCE, order=Order.NEWEST)
    settled = [
        one
        for state in (State.AUTO, State.NONE)
        for one in islice(store.submissions.each(replace(query, state=state)), _LOOKED_AT)
    ]
    with registry.locked():
        drawn = read_draws(registry)
        opened = [draw.submission for draw in drawn if now - draw.at <= AUDITED_SINCE]
        held = {id for id, lock in store.reviews.locks(opened).items() if lock.by != by}
        items = [_get_settled(store, id) for id in opened if id not in held]
        chosen = [one for one in items if one is not None][:count]
        before = {draw.submission for draw in drawn}
        fresh = [one for one in settled if one.id not in before and one.tagging is not None]
        new = random.SystemRandom().sample(fresh, min(count - len(chosen), len(fresh)))
        _record(
            registry,
            [
                Draw(one.id, now, one.tagging.model, one.tagging.themes)
                for one in new
                if one.tagging is not None
            ],
        )
    return [Item(one, Why.AUDIT, "抽查") for one in (*chosen, *new)]


def _get_settled(store: Store, id: str) -> Submission | None:
    try:
        found = store.submissions.get(id)
    except NotFound:
        return None
    return found if found.state in (State.AUTO, State.NONE) else None


def read_draws(registry: Registry) -> tuple[Draw, ...]:
    """Everything drawn for the audit, oldest first."""
    try:
        lines = (registry.folder / AUDITS).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return ()
    draws = []
    for line in lines:
        try:
            record = json.loads(line)
            at = datetime.fromisoformat(record["at"])
            draws.append(Draw(record["submission"], at, record["model"], tuple(record["themes"])))
        except (ValueError, KeyError, TypeError):
            continue  # a line cut short by a power cut
    return tuple(draws)


def _record(registry: Registry, draws: Sequence[Draw]) -> None:
    with (registry.folder / AUDITS).open("a", encoding="utf-8") as stream:
        for draw in draws:
            stream.write(json.dumps(draw.as_json(), ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def live_precision(store: Store, registry: Registry, *, now: datetime) -> tuple[Live, ...]:
    """Each theme of the serving model against its promise, from the audits that were answered."""
    taxonomy = read_taxonomy(registry.folder)
    audited: Counter[str] = Counter()
    right: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for draw in read_draws(registry):
        if now - draw.at > COUNTED_SINCE:
            continue
        truth = _answer(store, draw)
        if truth is None:
            continue
        said, has = set(taxonomy.labels(draw.themes)), set(taxonomy.labels(truth))
        audited.update(said)
        right.update(said & has)
        missed.update(has - said)
    try:
        themes = read_manifest(registry.path(registry.current_id()))["themes"]
    except ModelRefused:
        themes = []
    promises = {
        slug: float(theme["promise"]["wanted"])
        for theme in themes
        if (slug := taxonomy.now(theme["slug"])) is not None
    }
    names = _names(registry)
    return tuple(
        Live(
            slug,
            names.get(slug, slug),
            audited[slug],
            right[slug],
            *share_interval(right[slug], audited[slug]),
            wanted,
            missed[slug],
        )
        for slug, wanted in promises.items()
    )


def _names(registry: Registry) -> dict[str, str]:
    """What the themes are called today."""
    known = known_themes(registry)
    return {theme.slug: theme.name for theme in read_taxonomy(registry.folder).themes(known)}


def _answer(store: Store, draw: Draw) -> tuple[str, ...] | None:
    """What the first editor said of a drawn article."""
    for review in store.reviews.history(draw.submission):
        if review.at >= draw.at and not review.undone and review.to_state is State.SETTLED:
            return review.to_themes
    return None


def share_interval(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson 1934); everything where nothing was counted.

    >>> [round(edge, 3) for edge in share_interval(38, 40)]
    [0.831, 0.994]
    """

    def chance_of_more(share: float, least: int) -> float:
        return math.fsum(
            math.exp(
                math.lgamma(count + 1)
                - math.lgamma(hits + 1)
                - math.lgamma(count - hits + 1)
                + hits * math.log(share)
                + (count - hits) * math.log1p(-share)
            )
            for hits in range(least, count + 1)
        )

    low = 0.0 if right == 0 else _solve(lambda share: chance_of_more(share, right), 0.025)
    high = 1.0 if right == count else _solve(lambda share: chance_of_more(share, right + 1), 0.975)
    return low, high


def _solve(rising: Callable[[float], float], value: float) -> float:
    low, high = 1e-12, 1 - 1e-12
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2


# Drift


@dataclass(frozen=True, slots=True)
class Drift:
    """Something about what comes in that is no longer as it was."""

    what: str
    index: float  # population stability index
    limit: float
    sentence: str


def find_drift(
    store: Store, *, now: datetime, names: Mapping[str, str] = MappingProxyType({})
) -> tuple[Drift, ...]:
    """What has changed in the last two weeks against the twelve before, the strongest first.

    `names` are what the sentences call the themes.

    The population stability index over ten bins (Siddiqi, Credit Risk Scorecards, 2006), where an
    alarm wants both the customary 0.1 and more than chance gives (99.9 %, Yurdakul 2018).
    Probabilities and coverage are compared only within one model.
    """
    recent = _looked(store, now - RECENT, None)
    before = _looked(store, now - BEFORE, now - RECENT)
    found = _mix_drift(recent, before, names)
    model = Counter(one.tagging.model for one in recent if one.tagging).most_common(1)
    if model:
        own, others = (
            [one.tagging for one in side if one.tagging and one.tagging.model == model[0][0]]
            for side in (recent, before)
        )
        values: Mapping[str, tuple[list[float], list[float]]] = {
            "模型认得的内容": ([one.coverage for one in own], [one.coverage for one in others]),
            **{
                f"{names.get(theme, theme)}的概率": (
                    [one.scores[theme] for one in own if theme in one.scores],
                    [one.scores[theme] for one in others if theme in one.scores],
                )
                for theme in (own[0].scores if own else ())
            },
        }
        found += [
            drift
            for what, (now_values, then) in values.items()
            if (drift := _value_drift(what, now_values, then)) is not None
        ]
    return tuple(sorted(found, key=lambda drift: -drift.index))


def _looked(store: Store, since: datetime, until: datetime | None) -> list[Submission]:
    query = Query(since=since, until=until, order=Order.NEWEST)
    return [*islice(store.submissions.each(query), _LOOKED_AT)]


def _mix_drift(
    recent: Sequence[Submission], before: Sequence[Submission], names: Mapping[str, str]
) -> list[Drift]:
    found = []
    for theme in sorted({theme for one in (*recent, *before) for theme in one.themes}):
        shares = [
            [float(theme in one.themes) for one in side if one.state is not State.NEW]
            for side in (recent, before)
        ]
        if not all(shares):
            continue
        now_share, then = (sum(side) / len(side) for side in shares)
        index = _index([1 - now_share, now_share], [1 - then, then], *map(len, shares))
        limit = _limit(*map(len, shares), chi_square=10.83)  # 99.9 % at one degree of freedom
        if index > limit:
            name = names.get(theme, theme)
            sentence = f"{name}的来稿占比由 {then:.0%} 变为 {now_share:.0%}"
            found.append(Drift(theme, index, limit, sentence))
    return found


def _value_drift(what: str, recent: Sequence[float], before: Sequence[float]) -> Drift | None:
    if min(len(recent), len(before)) < _BINS:
        return None
    ordered = sorted(before)
    edges = [ordered[len(ordered) * place // _BINS] for place in range(1, _BINS)]
    shares = []
    for side in (recent, before):
        bins = Counter(bisect_right(edges, value) for value in side)
        shares.append([bins[place] / len(side) for place in range(_BINS)])
    index = _index(shares[0], shares[1], len(recent), len(before))
    limit = _limit(len(recent), len(before), chi_square=_CHI_SQUARE)
    if index <= limit:
        return None
    middle, then = sorted(recent)[len(recent) // 2], ordered[len(ordered) // 2]
    return Drift(what, index, limit, f"{what}变了：中位数由 {then:.2f} 到 {middle:.2f}")


def _index(recent: Sequence[float], before: Sequence[float], *sizes: int) -> float:
    least = 0.5 / max(sizes)  # an empty bin must not give an endless index
    pairs = [
        (max(one, least), max(other, least)) for one, other in zip(recent, before, strict=True)
    ]
    return math.fsum((one - other) * math.log(one / other) for one, other in pairs)


def _limit(recent: int, before: int, *, chi_square: float) -> float:
    return max(0.1, chi_square * (1 / recent + 1 / before))


def alarms(store: Store, registry: Registry, *, now: datetime) -> tuple[str, ...]:
    """Sentences about promises broken and drift; empty where all is well."""
    broken = [live.sentence for live in live_precision(store, registry, now=now) if live.broken]
    drifts = find_drift(store, now=now, names=_names(registry))
    return (*broken, *(drift.sentence for drift in drifts))
