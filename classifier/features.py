"""From articles to counted features: the words of jieba and the character n-grams of the text.

Two blocks of features, each scaled to length one by itself, so that neither drowns the other:
words, and runs of one or two characters that do not cross a break. What stands in the headline
counts `TITLE_COUNTS` times. Training lists the features as strings and leaves counting to
scikit-learn (`words_of`, `grams_of`); serving looks them up as numbers, all articles of a batch at
once (`Lexicon.count`). tests/test_features.py holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.article import Article
from classifier.cleaning import BREAK, Cleaned, Codes, Fields, clean, clean_fields
from classifier.keytable import Keys, KeyTable, Rows, displace
from classifier.tokens import WORD_KEY_LENGTH, Cutting, Tokenizer, key_pieces

GRAM_LENGTHS = (1, 2)
TITLE_COUNTS = 2
BLOCKS = 2  # words, n-grams


@dataclass(frozen=True, slots=True)
class Sheet:
    """An article after cleaning."""

    title: Cleaned
    text: Cleaned


def read_sheet(article: Article) -> Sheet:
    """Clean both fields of an article."""
    return Sheet(clean(article.title), clean(article.text))


def read_fields(articles: Iterable[Article]) -> Fields:
    """Clean both fields of many articles, for `Lexicon.count`."""
    return clean_fields([field for one in articles for field in (one.title, one.text)])


def words_of(sheet: Sheet, tokenizer: Tokenizer) -> list[str]:
    """Every word the model sees, the headline's `TITLE_COUNTS` times."""
    return tokenizer.words(sheet.title) * TITLE_COUNTS + tokenizer.words(sheet.text)


def grams_of(sheet: Sheet) -> list[str]:
    """Every character n-gram the model sees, the headline's `TITLE_COUNTS` times."""
    return _grams(sheet.title) * TITLE_COUNTS + _grams(sheet.text)


def _grams(cleaned: Cleaned) -> list[str]:
    stretches = cleaned.codes.tobytes().decode("utf-16-le", "surrogatepass").split("\0")
    return [
        stretch[at : at + length]
        for stretch in stretches
        for length in GRAM_LENGTHS
        for at in range(len(stretch) - length + 1)
    ]


@dataclass(frozen=True, slots=True)
class Counts:
    """Known features of a batch of A articles: the words of the first, its n-grams, and so on."""

    rows: Rows  # (N,) rows of the model's weights, rising within each block of each article
    counts: NDArray[np.intp]  # (N,) how often, the headline's occurrences `TITLE_COUNTS` times
    starts: NDArray[np.intp]  # (A * BLOCKS + 1,) where each block begins in `rows`; last, N
    known: NDArray[np.float64]  # (A,) share of an article's occurrences that the model knows
    distinct: NDArray[np.intp]  # (A,) known features, each counted once


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One known feature where it stands in a cleaned field."""

    row: int
    start: int
    end: int


class Lexicon:
    """Finds the rows of words and n-grams, for all articles of a batch in a few array operations.

    Words come first in the rows, n-grams after. Single characters have a table of their own, pairs
    and the words of up to four Han are found by their bits (`KeyTable`), and the few longer or
    Latin words by their strings.
    """

    def __init__(
        self, words: Sequence[str], grams: Sequence[str], displacements: Displacements
    ) -> None:
        self.words = words
        self.grams = grams
        keys, rows = _short_words(words)
        self._short = KeyTable(keys, rows, displacements.words)
        others = np.setdiff1d(np.arange(len(words)), rows, assume_unique=True).tolist()
        self._row_of = {words[row]: row for row in others}
        keys, rows = _pairs(grams)
        self._pairs = KeyTable(keys, rows + len(words), displacements.pairs)
        self._single = np.full(0x10000, -1, dtype=np.int32)
        keyed = key_pieces(grams)
        rows = (keyed.lengths == 1).nonzero()[0]
        self._single[keyed.keys.take(rows).astype(np.intp)] = rows + len(words)

    def __len__(self) -> int:
        return len(self.words) + len(self.grams)

    def count(self, fields: Fields, tokenizer: Tokenizer) -> Counts:
        """Count every known feature of every article of a batch, as `read_fields` read it."""
        codes, bounds = fields.codes, fields.bounds  # title and text of each article in turn
        articles = len(bounds) // 2
        rows, standing = self._features_at(codes, tokenizer)
        known = rows >= 0
        # One number for each occurrence, telling article and row: sorting these is the cheapest
        # way to count, and narrow numbers sort faster.
        offsets = np.arange(articles + 1) * len(self)
        if articles > 1:
            narrow = np.int32 if offsets[-1] < 2**31 else np.int64
            ends = bounds[2::2]
            rows = rows + np.repeat(offsets[:-1].astype(narrow), ends - bounds[:-1:2])
        occurrences = [rows[known]]
        edges = bounds.tolist()
        for start, end in zip(edges[:-1:2], edges[1::2], strict=True):
            if end - start > 1:
                title = rows[:, start:end][known[:, start:end]]
                occurrences += [title] * (TITLE_COUNTS - 1)
        numbers = np.concatenate(occurrences)
        numbers.sort()
        is_first = np.ones(len(numbers) + 1, dtype=bool)
        np.not_equal(numbers[1:], numbers[:-1], out=is_first[1:-1])
        firsts = is_first.nonzero()[0]
        found = numbers.take(firsts[:-1])
        blocks = np.add.outer(offsets, (0, len(self.words))).ravel()[:-1]
        starts = found.searchsorted(blocks)
        own = starts[::BLOCKS]
        distinct = own[1:] - own[:-1]
        if articles > 1:
            found -= np.repeat(offsets[:-1].astype(narrow), distinct)
        places = firsts.take(own)
        sizes = np.add.reduceat(standing, bounds[:-1])  # no field is without its break
        sizes = sizes[::2] * TITLE_COUNTS + sizes[1::2]
        return Counts(
            found,
            firsts[1:] - firsts[:-1],
            starts,
            (places[1:] - places[:-1]) / np.maximum(sizes, 1),
            distinct,
        )

    def _features_at(self, codes: Codes, tokenizer: Tokenizer) -> tuple[Rows, NDArray[np.intp]]:
        """(3, codes): the rows of the character, the pair and the word that begin at each code,
        -1 for one that is unknown or not there; and how many begin there, known or not.
        """
        cutting = tokenizer.cut(codes)
        readable = codes != BREAK
        standing = readable.astype(np.intp)
        standing[:-1] += readable[:-1] & readable[1:]
        standing[cutting.places] += 1
        rows = np.full((3, len(codes)), -1, dtype=np.int32)
        self._single.take(codes, out=rows[0], mode="clip")
        rows[1, :-1] = self._pairs.find(_pairs_of(codes))
        rows[2, cutting.places] = self._word_rows(cutting)
        return rows, standing

    def occurrences(self, cleaned: Cleaned, tokenizer: Tokenizer) -> list[Occurrence]:
        """Every known feature of one field with its place, for evidence."""
        cutting = tokenizer.cut(cleaned.codes)
        whole = range(len(cleaned.codes))
        found = []
        for rows, places, lengths in (
            (self._word_rows(cutting), cutting.places.tolist(), cutting.lengths.tolist()),
            (self._single.take(cleaned.codes), whole, [1] * len(whole)),
            (self._pairs.find(_pairs_of(cleaned.codes)), whole[:-1], [2] * len(whole)),
        ):
            found += [
                Occurrence(row, place, place + length)
                for row, place, length in zip(rows.tolist(), places, lengths, strict=False)
                if row >= 0
            ]
        return found

    def _word_rows(self, cutting: Cutting) -> Rows:
        rows = self._short.find(cutting.keys)
        find = self._row_of.get
        is_long = cutting.lengths[: len(rows)] > WORD_KEY_LENGTH
        for place in is_long.nonzero()[0].tolist():
            rows[place] = find(cutting.pieces[cutting.numbers[place]], -1)
        latin = [find(word, -1) for word in cutting.latin]
        return np.concatenate((rows, np.array(latin, dtype=rows.dtype))) if latin else rows


class Displacements(NamedTuple):
    """What a model carries for its two tables of keys."""

    words: NDArray[np.uint32]
    pairs: NDArray[np.uint32]


def displacements_of(words: Sequence[str], grams: Sequence[str]) -> Displacements:
    """The displacements of a new model's features; made in training."""
    return Displacements(displace(_short_words(words)[0]), displace(_pairs(grams)[0]))


def _short_words(words: Sequence[str]) -> tuple[Keys, Rows]:
    """The words that are found by their bits: keys, and places among the words."""
    keyed = key_pieces(words)
    rows = ((keyed.lengths <= WORD_KEY_LENGTH) & keyed.is_han).nonzero()[0]
    return keyed.keys.take(rows), rows


def _pairs(grams: Sequence[str]) -> tuple[Keys, Rows]:
    """The n-grams of two characters: keys, and places among the n-grams."""
    keyed = key_pieces(grams)
    rows = (keyed.lengths == 2).nonzero()[0]
    return keyed.keys.take(rows).astype(np.uint32), rows


def _pairs_of(codes: Codes) -> NDArray[np.uint32]:
    """Every two neighbouring codes as one number; one that holds a break is no n-gram's."""
    count = max(len(codes) - 1, 0)
    windows = np.ndarray((count,), dtype=np.uint32, buffer=codes, strides=(codes.itemsize,))
    return windows.copy()  # what follows is twice as fast on aligned numbers
