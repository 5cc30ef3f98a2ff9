"""Claims about classifier.features."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.article import Article
from classifier.features import (
    BLOCKS,
    Lexicon,
    displacements_of,
    grams_of,
    read_fields,
    read_sheet,
    words_of,
)
from classifier.tokens import current_tokenizer

ARTICLES = st.builds(
    Article,
    text=st.text(alphabet="党员干部老人河长招商引资社会主义核心价值观龘㐀，。 \nab1", max_size=60),
    title=st.text(alphabet="党建养老环境x，", max_size=12),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ARTICLES, min_size=1, max_size=5), st.integers(0, 3))
def test_serving_counts_what_training_lists(articles: list[Article], drop: int) -> None:
    """Counts by hashing equal counts of the strings that scikit-learn sees, known and unknown."""
    tokenizer = current_tokenizer()
    sheets = [read_sheet(article) for article in articles]
    listed = [(words_of(sheet, tokenizer), grams_of(sheet)) for sheet in sheets]
    words = sorted({word for own, _ in listed for word in own})[drop:]
    grams = sorted({gram for _, own in listed for gram in own})[drop:]
    counts = Lexicon(words, grams, displacements_of(words, grams)).count(
        read_fields(articles), tokenizer
    )

    names = [f"w {word}" for word in words] + [f"g {gram}" for gram in grams]
    for place, (own_words, own_grams) in enumerate(listed):
        everything = Counter([f"w {w}" for w in own_words] + [f"g {g}" for g in own_grams])
        known = {name: count for name, count in everything.items() if name in set(names)}
        own = slice(*counts.starts[[place * BLOCKS, place * BLOCKS + BLOCKS]])
        found = {
            names[row]: int(count)
            for row, count in zip(counts.rows[own], counts.counts[own], strict=True)
        }
        assert found == known
        assert counts.distinct[place] == len(known)
        assert np.isclose(
            counts.known[place], sum(known.values()) / max(sum(everything.values()), 1)
        )
