"""Why a theme: the exact share of every character in a theme's score.

The model is linear, so a theme's log-odds are the sum of its features' contributions plus a bias.
Each contribution is laid evenly on the characters of the places where the feature stands; adding
up characters gives back the log-odds, and adjoining words that speak the same way make a phrase.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from classifier.article import Article, Evidence, Tagging
from classifier.cleaning import BREAK, Cleaned
from classifier.features import TITLE_COUNTS, read_fields, read_sheet
from classifier.model import Classifier

TELLING = 0.15  # a word with less than this share of the strongest word's weight is not shown
MAX_FOR, MAX_AGAINST = 8, 4  # phrases shown for and against each theme
MAX_PHRASE = 16  # characters

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One theme's log-odds taken apart: `bias` and the weights of `spans` add up to `logit`."""

    theme: str
    logit: float
    bias: float
    spans: tuple[Evidence, ...]  # the whole article, in reading order, titles first


def explain(model: Classifier, article: Article) -> tuple[Explanation, ...]:
    """Every theme of a model explained for one article; raises as `Classifier.tag` does."""
    return _explain(model, article, model.manifest.slugs)


def _explain(
    model: Classifier, article: Article, themes: Collection[str]
) -> tuple[Explanation, ...]:
    """These themes explained, in the model's order."""
    sheet = read_sheet(article)
    scores = model.scores([article])
    logits = model.logits(scores)[0]
    counts = model.lexicon.count(read_fields([article]), model.tokenizer)
    values = model.values(counts) / counts.counts
    shares = dict(zip(counts.rows.tolist(), values.tolist(), strict=True))
    fields = (
        ("title", article.title, sheet.title, TITLE_COUNTS),
        ("text", article.text, sheet.text, 1),
    )
    # Offsets are made anew each time they are asked for; asked word by word they cost the square.
    weighed = [
        (
            name,
            original,
            cleaned.offsets.tolist(),
            _units(model, cleaned),
            _character_weights(model, cleaned, shares, repeat),
        )
        for name, original, cleaned, repeat in fields
    ]
    explanations = []
    for theme, (slug, cutoffs) in enumerate(
        zip(model.manifest.slugs, model.manifest.cutoffs, strict=True)
    ):
        if slug not in themes:
            continue
        bias = float(model.bias[theme]) * cutoffs.slope + cutoffs.offset
        spans: list[Evidence] = []
        for name, original, offsets, units, weights in weighed:
            own = weights[:, theme] * cutoffs.slope
            for start, end in _phrases(own, *units):
                first, last = offsets[start], offsets[end - 1] + 1
                weight = float(own[start:end].sum())
                spans.append(Evidence(slug, original[first:last], name, first, last, weight))
        explanations.append(Explanation(slug, float(logits[theme]), bias, tuple(spans)))
    return tuple(explanations)


def tag_with_evidence(model: Classifier, article: Article) -> Tagging:
    """An article's slip with its telling phrases: for accepted and doubtful themes, strongest first."""
    tagging = model.tag(article)
    themes = {*tagging.themes, *unsettled_themes(model, tagging)}
    shown = [
        reason
        for explanation in _explain(model, article, themes)
        for reason in telling(explanation)
    ]
    return replace(tagging, evidence=tuple(shown))


def unsettled_themes(model: Classifier, tagging: Tagging) -> Iterator[str]:
    """Themes whose probability lies between the model's cut-offs for this slip."""
    for slug, cutoffs in zip(model.manifest.slugs, model.manifest.cutoffs, strict=True):
        probability = tagging.scores[slug]
        sure_in = cutoffs.sure_in is not None and probability >= cutoffs.sure_in
        sure_out = cutoffs.sure_out is not None and probability < cutoffs.sure_out
        # A theme without promises is in doubt only where it might be there at all.
        if not sure_in and not sure_out and probability >= cutoffs.accept / 5:
            yield slug


def telling(explanation: Explanation) -> list[Evidence]:
    """The few phrases that a reader should see: strongest for, then strongest against."""
    strongest = max((abs(span.weight) for span in explanation.spans), default=0.0)
    loud = (span for span in explanation.spans if abs(span.weight) >= TELLING * strongest)
    # A sign beside a word, as in 党建+, may weigh much and still tells a reader nothing.
    ranked = sorted(
        (span for span in loud if any(map(str.isalnum, span.text))),
        key=lambda span: -abs(span.weight),
    )
    spoken_for = [span for span in ranked if span.weight > 0][:MAX_FOR]
    against = [span for span in ranked if span.weight < 0][:MAX_AGAINST]
    return spoken_for + against


def _character_weights(
    model: Classifier, cleaned: Cleaned, shares: dict[int, float], repeat: int
) -> Floats:
    """(characters, themes): what each character of a field adds to each raw score."""
    found = model.lexicon.occurrences(cleaned, model.tokenizer)
    steps = np.zeros((len(cleaned.codes) + 1, len(model.bias)))
    if found:
        rows = np.array([one.row for one in found])
        starts = np.array([one.start for one in found])
        ends = np.array([one.end for one in found])
        each = np.array([shares[one.row] for one in found]) * repeat / (ends - starts)
        weights = each[:, None] * model.weights[rows]
        np.add.at(steps, starts, weights)
        np.subtract.at(steps, ends, weights)
    return np.cumsum(steps, axis=0)[:-1]


def _units(model: Classifier, cleaned: Cleaned) -> tuple[list[tuple[int, int]], list[bool]]:
    """Words, and the single characters between them, covering a field in order; which can speak."""
    words = {start: start + len(word) for word, start in model.tokenizer.located(cleaned)}
    units, at = [], 0
    while at < len(cleaned.codes):
        end = words.get(at, at + 1)
        units.append((at, end))
        at = end
    codes = cleaned.codes.tolist()
    return units, [codes[at] != BREAK and chr(codes[at]).isalnum() for at, _ in units]


def _phrases(
    weights: Floats, units: list[tuple[int, int]], can_speak: list[bool]
) -> Iterator[tuple[int, int]]:
    """Join adjoining words that speak the same way; whatever says little stands between them."""
    if not units:
        return
    said = np.add.reduceat(weights, [start for start, _ in units]).tolist()
    strongest = max(map(abs, said))

    def side(place: int) -> int:
        if not can_speak[place] or abs(said[place]) < TELLING * strongest:
            return 0
        return 1 if said[place] > 0 else -1

    for speaks, run in groupby(range(len(units)), key=side):
        first = None
        for place in run:
            start, end = units[place]
            if first is not None and (not speaks or end - first > MAX_PHRASE):
                yield first, start
                first = start
            first = start if first is None else first
        if first is not None:
            yield first, end
