"""Wire copy sent by many: articles that are nearly the same, by MinHash over shingles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from classifier.article import Article
from classifier.cleaning import BREAK, clean

SHINGLE = 6  # characters
BANDS, ROWS = 16, 4  # at a similarity of 0.5 two articles share a band with 64 %, at 0.7 with 99 %
SIMILAR = 0.5  # share of shingles in common from which two articles are one

_PRIME = np.uint64((1 << 31) - 1)


def duplicate_groups(articles: Sequence[Article]) -> NDArray[np.intp]:
    """A group number for every article; near-duplicates share one."""
    groups = np.arange(len(articles), dtype=np.intp)
    for one, other, _ in similar_pairs(articles):
        groups[_root(groups, other)] = _root(groups, one)
    return np.array([_root(groups, place) for place in range(len(articles))], dtype=np.intp)


def similar_pairs(articles: Sequence[Article]) -> list[tuple[int, int, float]]:
    """Pairs of near-duplicates with their similarity, by MinHash and banding (Broder 1997).

    Each article is compared with the first of every bucket it falls into, so a cluster of n gives
    about n pairs and not n².
    """
    shingles = [_shingles(article) for article in articles]
    buckets: dict[tuple[int, bytes], int] = {}
    found: dict[tuple[int, int], float] = {}
    for place, signature in enumerate(_signatures(shingles)):
        for band in range(BANDS):
            key = (band, signature[band * ROWS : (band + 1) * ROWS].tobytes())
            other = buckets.setdefault(key, place)
            if other != place and (other, place) not in found:
                found[other, place] = similarity(shingles[other], shingles[place])
    return [(one, other, share) for (one, other), share in found.items() if share >= SIMILAR]


def similarity(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> float:
    """Jaccard similarity of two sorted sets of shingles."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / max(len(one) + len(other) - common, 1)


def _root(groups: NDArray[np.intp], place: int) -> int:
    while groups[place] != place:
        groups[place] = groups[groups[place]]
        place = int(groups[place])
    return place


def _shingles(article: Article) -> NDArray[np.uint64]:
    """Hashes of all runs of `SHINGLE` read characters, sorted, each once."""
    codes = clean(article.text).codes
    letters = codes[codes != BREAK].astype(np.uint64)
    if len(letters) < SHINGLE:
        letters = np.pad(letters, (0, SHINGLE - len(letters)))
    hashed = np.zeros(len(letters) - SHINGLE + 1, dtype=np.uint64)
    for at in range(SHINGLE):
        hashed = hashed * np.uint64(1_000_003) + letters[at : at + len(hashed)]
    return np.unique(hashed)


def _signatures(shingles: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    generator = np.random.default_rng(0)
    factors = generator.integers(1, int(_PRIME), BANDS * ROWS, dtype=np.uint64)
    shifts = generator.integers(0, int(_PRIME), BANDS * ROWS, dtype=np.uint64)
    return np.array(
        [((own[:, None] % _PRIME * factors + shifts) % _PRIME).min(axis=0) for own in shingles],
        dtype=np.uint64,
    ).reshape(len(shingles), BANDS * ROWS)
