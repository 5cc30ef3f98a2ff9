"""Which articles judge two models: the newest ones, whole clusters of near-duplicates, fixed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.labelled import Labelled

_NO_THEME = ""


def held_out(
    articles: Sequence[Labelled], groups: NDArray[np.intp], *, share: float
) -> NDArray[np.bool_]:
    """Which articles judge and are not learned from, (articles,).

    Newest first where there are dates, by a digest of the text where there are none; a cluster
    (`duplicate_groups`) is taken whole or not at all. No theme gives more than `share` of its
    articles, so that a theme that came last week is learned as well as judged. The same articles
    give the same answer, in whatever order they come.
    """
    clusters: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups.tolist()):
        clusters[group].append(place)
    chosen = np.zeros(len(articles), dtype=bool)
    dated = {
        group: max(articles[place].date for place in places) for group, places in clusters.items()
    }
    for has_date in (True, False):
        own = [group for group in clusters if bool(dated[group]) is has_date]
        counts = Counter(
            theme
            for group in own
            for place in clusters[group]
            for theme in _themes(articles[place])
        )
        quota = {theme: int(share * count) for theme, count in counts.items()}
        taken: Counter[str] = Counter()
        marks = {group: _mark([articles[place] for place in clusters[group]]) for group in own}
        for group in sorted(own, key=lambda one: (dated[one], marks[one]), reverse=True):
            wanted = Counter(
                theme for place in clusters[group] for theme in _themes(articles[place])
            )
            if all(taken[theme] + count <= quota[theme] for theme, count in wanted.items()):
                taken += wanted
                chosen[clusters[group]] = True
    return chosen


def _themes(labelled: Labelled) -> frozenset[str] | tuple[str]:
    return labelled.themes or (_NO_THEME,)


def _mark(cluster: Sequence[Labelled]) -> str:
    """A digest that orders clusters by nothing but their texts."""
    texts = (f"{one.article.title}\n{one.article.text}" for one in cluster)
    return min(hashlib.sha256(text.encode()).hexdigest() for text in texts)
