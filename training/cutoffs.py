"""From scores to decisions: calibration, cut-offs, and what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from classifier.model import Cutoffs, Verdicts
from training.measure import lower_bounds

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

# A calibrated probability from which an article has a theme. Above one half, since a paper prints
# more articles without a theme than the corpus holds; docs/design.md has the figures.
ACCEPT = 0.6
UNSURE = (0.1, 0.9)  # within which nothing is settled, however well the folds went


def fit_calibration(scores: Floats, truth: Labels) -> tuple[float, float]:
    """Slope and offset that turn raw scores into log-odds (Platt 1999), for one theme.

    A theme without articles, or with all of them, in what is seen keeps its raw scores.
    """
    if truth.all() or not truth.any():
        return 1.0, 0.0
    fitted = LogisticRegression(C=100.0).fit(scores[:, None], truth)
    return max(float(fitted.coef_[0, 0]), 1e-6), float(fitted.intercept_[0])


def choose_cutoffs(
    scores: Floats, probabilities: Floats, truth: Labels, *, wanted: float
) -> tuple[Cutoffs, dict[str, Any]]:
    """One theme's calibration and cut-offs, and in words what they promise.

    `sure_in` is the lowest probability above which precision is at least the promise, `sure_out`
    the highest below which at most `1 - promise` of the theme's articles fall; both with 95 %
    confidence (`lower_bound`), so that little data means more review.
    """
    order = np.argsort(-probabilities, kind="stable")
    accepted = int((probabilities >= ACCEPT).sum())
    hits = np.cumsum(truth[order], dtype=np.intp)[:accepted]
    proved = lower_bounds(hits, np.arange(1, accepted + 1))
    kept = np.flatnonzero(proved >= wanted)
    sure_in = max(float(probabilities[order[kept[-1]]]), UNSURE[1]) if len(kept) else None
    articles = int(truth.sum())
    found = np.arange(articles, 0, -1)  # if the 0, 1, 2 … lowest of the theme's are missed
    affordable = np.flatnonzero(lower_bounds(found, np.full(articles, articles)) >= wanted)
    own = np.sort(probabilities[truth])
    if len(affordable):
        sure_out = float(min(own[affordable[-1]], UNSURE[0]))
    else:
        # Too few to promise anything. An article is still out where it is far below every one
        # of the theme's: else one new theme would send the whole paper to review.
        sure_out = float(min(own[0] / 2, UNSURE[0])) if articles else UNSURE[0]
    slope, offset = fit_calibration(scores, truth)
    promise = {
        "wanted": wanted,
        "precision_kept": sure_in is not None,
        "precision_proved": round(float(proved[kept[-1]]), 4) if len(kept) else None,
        "recall_kept": bool(len(affordable)),
        "articles": articles,
        "sentence": _promise_sentence(sure_in, sure_out, bool(len(affordable)), articles, wanted),
    }
    return Cutoffs(slope, offset, ACCEPT, sure_in, sure_out), promise


def _promise_sentence(
    sure_in: float | None, sure_out: float, recall_kept: bool, articles: int, wanted: float
) -> str:
    if sure_in is None:
        return f"{articles} 篇还不足以承诺 {wanted:.0%} 的准确率，可能有此主题的一律送审"
    said = f"概率 {sure_in:.2f} 以上判有，准确率不低于 {wanted:.0%}；{sure_out:.3f} 以下判无"
    return f"{said}，查全率{'不低于' if recall_kept else '还不能承诺'} {wanted:.0%}"


def decide(
    probabilities: Floats, readable: Labels, cutoffs: list[Cutoffs]
) -> tuple[Labels, Labels]:
    """Which articles are settled, and which themes each has, as serving would decide.

    `probabilities` is (articles, themes), `readable` says where coverage and size suffice.
    """
    accepted, settled = Verdicts(cutoffs).on(probabilities)
    return settled & readable, accepted
