"""What the gate says of a candidate, as a value, as JSON and as a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import jinja2


class Outcome(StrEnum):
    """What the comparison says of one theme."""

    BETTER = "better"
    EQUAL = "equal"  # not shown to be better, shown not to be worse than the margin
    WORSE = "worse"  # may be worse than the margin
    UNCLEAR = "unclear"  # too few articles to tell, and no clear loss
    NEW = "new"  # the serving model does not have it
    LOST = "lost"  # the candidate does not have it


@dataclass(frozen=True, slots=True)
class Comparison:
    """One theme, or the mean of those both have, under both models."""

    slug: str  # "" for the mean
    name: str
    support: int  # judging articles that have it
    serving: float | None  # F1
    candidate: float | None  # F1
    difference: float | None
    low: float | None  # 95 % interval of the difference
    high: float | None
    outcome: Outcome
    sentence: str

    @property
    def passed(self) -> bool:
        """Whether nothing stands against the candidate here."""
        return self.outcome not in (Outcome.WORSE, Outcome.LOST)


@dataclass(frozen=True, slots=True)
class PromiseCheck:
    """A theme's promised precision, looked at on the judging articles."""

    slug: str
    name: str
    wanted: float
    settled: int  # judging articles that the candidate settles as having the theme
    right: int
    low: float  # 95 % interval of the precision
    high: float
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Flip:
    """A judging article that the two models tag differently."""

    id: str
    title: str
    text: str
    labelled: tuple[str, ...]
    serving: tuple[str, ...]
    candidate: tuple[str, ...]

    @property
    def better(self) -> bool | None:
        """Whether the candidate is nearer to the label; None where both miss it alike."""
        before, after = (
            len(set(self.labelled) ^ set(themes)) for themes in (self.serving, self.candidate)
        )
        return None if before == after else after < before


@dataclass(frozen=True, slots=True)
class PinnedOutcome:
    """What became of a pinned article."""

    id: str
    title: str
    wanted: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it came out right."""
        return set(self.wanted) == set(self.found)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and on what grounds."""

    candidate: str
    serving: str | None
    promoted: bool
    reasons: tuple[str, ...]  # of a refusal; empty otherwise
    sentence: str
    notes: tuple[str, ...]
    judged: int  # articles
    since: str  # date of the oldest that has one, "" where none has
    mean: Comparison | None
    themes: tuple[Comparison, ...]
    promises: tuple[PromiseCheck, ...]
    pinned: tuple[PinnedOutcome, ...]
    flips: tuple[Flip, ...]
    flipped: int  # in all, of which `flips` are kept

    def as_json(self) -> dict[str, Any]:
        """The form in `gate.json`, every number to six places."""
        record: dict[str, Any] = _rounded(asdict(self))
        for told, flip in zip(record["flips"], self.flips, strict=True):
            told["better"] = flip.better
        for told, one in zip(record["pinned"], self.pinned, strict=True):
            told["passed"] = one.passed
        return record


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value


def verdict_page(verdict: Verdict) -> str:
    """The verdict as a page in Chinese that needs nothing but a browser."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    names = {one.slug: one.name for one in verdict.promises}
    names |= {one.slug: one.name for one in verdict.themes}

    def listed(slugs: tuple[str, ...]) -> str:
        return "、".join(names.get(slug, slug) for slug in slugs) or "无主题"

    environment.filters["listed"] = listed
    template = environment.from_string(
        Path(__file__).with_name("verdict.html").read_text(encoding="utf-8")
    )
    return template.render(
        verdict=verdict,
        figure=lambda value: "—" if value is None else f"{value:.3f}",
        signed=lambda value: "—" if value is None else f"{value:+.3f}",
    )
