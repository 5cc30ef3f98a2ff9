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
from classifier.tokens import FIRST_HAN, WORD_KEY_LENGTH, Cutting, Tokenizer, key_pieces

GRAM_LENGTHS = (1, 2)
TITLE_COUNTS = 2
BLOCKS = 2  # words, n-grams

# What stands at a place, as one number: nothing, a feature that the model does not know, or one
# that it knows, `_KNOWN` more than its row.
_NOTHING, _UNKNOWN, _KNOWN = range(3)


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
        first_gram = _KNOWN + len(words)
        self._numbers = first_gram + len(grams)
        # Where among the numbers the unknown features begin, the words, the n-grams; and the end.
        self._edges = np.array((_UNKNOWN, _KNOWN, first_gram, self._numbers))
        keys, rows = _short_words(words)
        self._short = KeyTable(keys, rows + _KNOWN, displacements.words)
        others = np.setdiff1d(np.arange(len(words)), rows, assume_unique=True).tolist()
        self._number_of = {words[row]: row + _KNOWN for row in others}
        keys, rows = _pairs(grams)
        self._pairs = KeyTable(keys, rows + first_gram, displacements.pairs)
        self._single = np.full(0x10000, _UNKNOWN, dtype=np.int32)
        self._single[BREAK] = _NOTHING
        keyed = key_pieces(grams)
        rows = (keyed.lengths == 1).nonzero()[0]
        self._single[keyed.keys.take(rows).astype(np.intp)] = rows + first_gram

    def __len__(self) -> int:
        return len(self.words) + len(self.grams)

    def count(self, fields: Fields, tokenizer: Tokenizer) -> Counts:
        """Count every known feature of every article of a batch, as `read_fields` read it."""
        bounds = fields.bounds  # title and text of each article in turn
        articles = len(bounds) // 2
        standing = self._standing(fields.codes, tokenizer)
        # One number for each occurrence, telling article and feature: sorting these is the
        # cheapest way to count, and narrow numbers sort faster.
        if articles != 1:
            beyond: Rows = np.arange(articles) * self._numbers
            if articles * self._numbers < 2**31:
                beyond = beyond.astype(np.int32)
            standing = standing + np.repeat(beyond, bounds[2::2] - bounds[:-1:2])
        edges = bounds.tolist()
        occurrences = [standing.ravel()]
        for start, end in zip(edges[:-1:2], edges[1::2], strict=True):
            if end - start > 1:
                occurrences += [standing[:, start:end].ravel()] * (TITLE_COUNTS - 1)
        numbers = np.concatenate(occurrences)
        numbers.sort()
        is_first = np.empty(len(numbers) + 1, dtype=bool)
        is_first[0] = is_first[-1] = True
        np.not_equal(numbers[1:], numbers[:-1], out=is_first[1:-1])
        firsts = is_first.nonzero()[0]
        found = numbers.take(firsts[:-1])
        if articles != 1:
            return self._counts_apart(found, firsts, beyond)
        at = found.searchsorted(self._edges)
        begin, known, _, end = firsts.take(at).tolist()
        _, words, grams, size = at.tolist()
        return Counts(
            found[words:size] - _KNOWN,
            firsts[words + 1 : size + 1] - firsts[words:size],
            np.array((0, grams - words, size - words)),
            np.array(((end - known) / max(end - begin, 1),)),
            np.array((size - words,)),
        )

    def _counts_apart(self, found: Rows, firsts: NDArray[np.intp], beyond: Rows) -> Counts:
        """The counts of many articles, what is no known feature of any left out between them.

        `found` are distinct numbers, each `beyond` those of the articles before; `firsts` are
        their places among all occurrences, and the end.
        """
        # (articles, edges) where each begins: among what was found, and among the occurrences.
        at = found.searchsorted(self._edges + beyond[:, np.newaxis])
        places = firsts.take(at)
        distinct = at[:, 3] - at[:, 1]
        gone = at[:, 1] + distinct - distinct.cumsum()
        total = int(distinct.sum())
        own = np.arange(total) + np.repeat(gone, distinct)
        return Counts(
            found.take(own) - np.repeat(beyond + _KNOWN, distinct),
            (firsts[1:] - firsts[:-1]).take(own),
            np.append(at[:, 1:3] - gone[:, np.newaxis], total),
            (places[:, 3] - places[:, 1]) / np.maximum(places[:, 3] - places[:, 0], 1),
            distinct,
        )

    def _standing(self, codes: Codes, tokenizer: Tokenizer) -> Rows:
        """(3, codes): the numbers of the character, the pair and the word that begin at each code."""
        cutting = tokenizer.cut(codes)
        numbers = np.zeros((3, len(codes)), dtype=np.int32)
        single = self._single.take(codes, out=numbers[0], mode="clip")
        are_pairs = np.logical_and(single[:-1], single[1:])
        numbers[1, :-1] = self._pairs.find(_pairs_of(codes), otherwise=are_pairs)
        # A Latin word stands where a gap does, and comes after it, so that it is what stays.
        numbers[2, cutting.places] = self._word_numbers(cutting)
        return numbers

    def occurrences(self, cleaned: Cleaned, tokenizer: Tokenizer) -> list[Occurrence]:
        """Every known feature of one field with its place, for evidence."""
        cutting = tokenizer.cut(cleaned.codes)
        whole = range(len(cleaned.codes))
        words = [len(piece) for piece in cutting.pieces + cutting.latin]
        pairs = self._pairs.find(_pairs_of(cleaned.codes), otherwise=_UNKNOWN)
        found = []
        for numbers, places, lengths in (
            (self._word_numbers(cutting), cutting.places.tolist(), words),
            (self._single.take(cleaned.codes), whole, [1] * len(whole)),
            (pairs, whole[:-1], [2] * len(whole)),
        ):
            found += [
                Occurrence(number - _KNOWN, place, place + length)
                for number, place, length in zip(numbers.tolist(), places, lengths, strict=False)
                if number >= _KNOWN
            ]
        return found

    def _word_numbers(self, cutting: Cutting) -> Keys:
        """(pieces + latin,): the number of each word, `_NOTHING` for what is none."""
        numbers = self._short.find(cutting.keys, otherwise=cutting.are_words())
        find = self._number_of.get
        for place in (cutting.lengths > WORD_KEY_LENGTH).nonzero()[0].tolist():
            numbers[place] = find(cutting.pieces[place], _UNKNOWN)
        latin = [find(word, _UNKNOWN) for word in cutting.latin]
        return np.append(numbers, np.array(latin, dtype=numbers.dtype)) if latin else numbers


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
    is_han = keyed.keys & 0xFFFF >= FIRST_HAN
    rows = ((keyed.lengths <= WORD_KEY_LENGTH) & is_han).nonzero()[0]
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
