"""`python -m benchmarks.year [PLOT.svg]`: a year of corrections and retrainings, simulated.

The bundled corpus in the order of its dates: the oldest third is what the desk starts with, the
newest quarter is set aside and never learned from, and what lies between comes in bit by bit, in
six weeks and then six months. Simulated editors look at what the serving model does not settle and
at every tenth of the rest, chosen by chance; they slip on 3 % of what they look at. After each
week or month the model is retrained on what they said and goes through the gate.

Printed, and drawn where a file is named: macro-F1 on the set-aside articles and keystrokes per 100
articles over time, beside those of the first model left as it was and of a desk without a gate.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from classifier.article import Decision
from classifier.model import Classifier
from classifier.tokens import open_tokenizer
from training.fit import Trained, train
from training.gate import Incumbent, Rules, judge
from training.labelled import Corpus, Labelled, read_corpus
from training.measure import macro_f1
from training.pipeline import Recipe, label_matrix

FIRST, LATER = 0.35, 0.25  # shares of the corpus
WEEKS, MONTHS = 6, 6
SLIPS, AUDITED = 0.03, 0.1
START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Step:
    """What is seen after one retraining."""

    when: str
    arrived: int
    keystrokes: float  # per 100 articles that arrived
    settled: float  # share that no editor had to look at
    promoted: bool
    serving: float  # macro-F1 on the set-aside articles
    ungated: float  # of the desk that promotes everything
    first: float  # of the first model
    gain: float | None  # the gate's mean difference
    sentence: str


def main() -> None:
    """Run the year and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plot", nargs="?", type=Path)
    parser.add_argument("--seed", type=int, default=20260105)
    asked = parser.parse_args()
    steps = simulate(read_corpus(), seed=asked.seed)
    print("时间   来稿  键/百篇  免审   上岗  宏F1   无闸   不重训  闸门所见")
    for step in steps:
        gain = "—" if step.gain is None else f"{step.gain:+.3f}"
        print(
            f"{step.when}  {step.arrived:4d}  {step.keystrokes:6.1f}  {step.settled:5.1%}  "
            f"{'是' if step.promoted else '否'}  {step.serving:.4f} {step.ungated:.4f} "
            f"{step.first:.4f}  {gain}  {'' if step.promoted else step.sentence}",
            flush=True,
        )
    serving = [step.serving for step in steps]
    falls = [one - other for one, other in pairwise(serving)]
    print(f"一次最多下降 {max(0.0, *falls):.4f}，容许 {Rules().margin}")
    if asked.plot:
        asked.plot.write_text(plot(steps), encoding="utf-8")


def simulate(corpus: Corpus, *, seed: int) -> list[Step]:
    """A year's steps; the first is the start."""
    chance = random.Random(seed)
    ordered = sorted(corpus.articles, key=lambda one: (one.date, one.article.id))
    first, last = int(FIRST * len(ordered)), int((1 - LATER) * len(ordered))
    known, coming, later = ordered[:first], ordered[first:last], ordered[last:]
    slugs = [theme.slug for theme in corpus.themes]
    serving = _trained(known, corpus, START)
    incumbent = Incumbent(_model(serving), serving.corpus)
    original, ungated = incumbent.model, incumbent.model
    at_first = _score(original, later, slugs)
    steps = [Step("开始", 0, 0.0, 0.0, True, at_first, at_first, at_first, None, "")]
    parts = [1] * WEEKS + [4] * MONTHS
    said: list[Labelled] = []
    taken = 0
    for number in range(len(parts)):
        until = int(len(coming) * sum(parts[: number + 1]) / sum(parts))
        arrived, taken = coming[taken:until], until
        keys, settled = 0, 0
        for one, tagging in zip(
            arrived, incumbent.model.tag_many(one.article for one in arrived), strict=True
        ):
            is_settled = tagging.decision is not Decision.REVIEW
            settled += is_settled
            if is_settled and chance.random() >= AUDITED:
                continue
            answer = _slipped(one, slugs, chance)
            # One key to confirm, or one for each theme put right and one to move on.
            keys += 1 + len(set(tagging.themes) ^ answer.themes)
            said.append(answer)
        week = number + 1 if number < WEEKS else 4 * (number - WEEKS + 1) + WEEKS
        candidate = _trained([*known, *said], corpus, START + timedelta(weeks=week))
        verdict = judge(candidate, incumbent)
        ungated = _model(candidate)
        if verdict.promoted:
            incumbent = Incumbent(ungated, candidate.corpus)
        steps.append(
            Step(
                f"{week:2d} 周",
                len(arrived),
                100 * keys / max(len(arrived), 1),
                settled / max(len(arrived), 1),
                verdict.promoted,
                _score(incumbent.model, later, slugs),
                _score(ungated, later, slugs),
                at_first,
                verdict.mean.difference if verdict.mean else None,
                verdict.sentence,
            )
        )
    return steps


def _trained(articles: Sequence[Labelled], corpus: Corpus, now: datetime) -> Trained:
    return train(Corpus(tuple(articles), corpus.themes), recipe=Recipe(promise=0.95), now=now)


def _model(trained: Trained) -> Classifier:
    return Classifier(trained.manifest, trained.arrays, open_tokenizer(trained.manifest.tokenizer))


def _slipped(one: Labelled, slugs: Sequence[str], chance: random.Random) -> Labelled:
    """An editor's answer: right, but for a theme too many or too few in 3 % of cases."""
    if chance.random() >= SLIPS:
        return one
    return replace(one, themes=one.themes ^ {chance.choice(slugs)})


def _score(model: Classifier, articles: Sequence[Labelled], slugs: Sequence[str]) -> float:
    found = [frozenset(one.themes) for one in model.tag_many(one.article for one in articles)]
    return macro_f1(
        label_matrix([one.themes for one in articles], slugs), label_matrix(found, slugs)
    )


# The plot: two panels above each other

WIDTH, HEIGHT, LEFT, TOP, GAP = 760, 200, 70, 40, 60
COLOURS = {"serving": "#1d6b3a", "ungated": "#c9822b", "first": "#888", "keystrokes": "#36648b"}
NAMES = {"serving": "在岗模型（有闸门）", "ungated": "来一个换一个", "first": "不重训"}


def plot(steps: Sequence[Step]) -> str:
    """Macro-F1 above, keystrokes below, as SVG."""
    count = len(steps)
    across = [LEFT + place * (WIDTH - LEFT - 20) / (count - 1) for place in range(count)]
    scores = {name: [getattr(step, name) for step in steps] for name in NAMES}
    low = min(min(values) for values in scores.values()) - 0.005
    high = max(max(values) for values in scores.values()) + 0.005
    parts = [_panel(TOP, f"{low:.3f}", f"{high:.3f}", "宏 F1（后来的稿件）")]
    for place, (name, values) in enumerate(scores.items()):
        heights = [TOP + HEIGHT * (high - value) / (high - low) for value in values]
        parts.append(_line(across, heights, COLOURS[name]))
        parts.append(
            f'<text x="{LEFT + 190 * place}" y="20" fill="{COLOURS[name]}">{NAMES[name]}</text>'
        )
    for x, step, value in zip(across, steps, scores["serving"], strict=True):
        y = TOP + HEIGHT * (high - value) / (high - low)
        fill = COLOURS["serving"] if step.promoted else "#fff"
        said = "换上岗" if step.promoted else "未通过"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="#a8321a" '
            f'stroke-width="{0 if step.promoted else 2}"><title>{step.when} {said} {value:.4f}</title></circle>'
        )
    top = TOP + HEIGHT + GAP
    keys = [step.keystrokes for step in steps[1:]]
    most = max(keys) * 1.1
    parts.append(_panel(top, "0", f"{most:.0f}", "每百篇来稿的按键"))
    parts.append(
        _line(across[1:], [top + HEIGHT * (1 - key / most) for key in keys], COLOURS["keystrokes"])
    )
    for x, step in zip(across, steps, strict=True):
        parts.append(
            f'<text x="{x:.1f}" y="{top + HEIGHT + 20}" text-anchor="middle">{step.when.strip()}</text>'
        )
    height = top + HEIGHT + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui,Noto Sans CJK SC,Microsoft YaHei,sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(top: float, low: str, high: str, name: str) -> str:
    return (
        f'<path d="M{LEFT} {top} V{top + HEIGHT} H{WIDTH - 20}" stroke="#333" fill="none"/>'
        f'<text x="{LEFT - 6}" y="{top + 8}" text-anchor="end">{high}</text>'
        f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">{low}</text>'
        f'<text transform="translate(16 {top + HEIGHT / 2}) rotate(-90)" text-anchor="middle">{name}</text>'
    )


def _line(across: Sequence[float], heights: Sequence[float], colour: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, heights, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'


if __name__ == "__main__":
    main()
