"""From articles to counted features: the words of jieba and the character n-grams of the text.

Two blocks of features, each scaled to length one by itself, so that neither drowns the other:
words, and runs of one or two characters that do not cross a break. What stands in the headline
counts `TITLE_COUNTS` times. Training lists the features as strings and leaves counting to
scikit-learn (`words_of`, `grams_of`); serving looks them up as numbers, all articles of a batch at
once (`Lexicon.count`). tests/test_features.py holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.article import Article
from classifier.cleaning import BREAK, Cleaned, Codes, clean
from classifier.tokens import GAP, Tokenizer

GRAM_LENGTHS = (1, 2)
TITLE_COUNTS = 2
BLOCKS = 2  # words, n-grams

Keys = NDArray[np.uint64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Sheet:
    """An article after cleaning."""

    title: Cleaned
    text: Cleaned


def read_sheet(article: Article) -> Sheet:
    """Clean both fields of an article."""
    return Sheet(clean(article.title), clean(article.text))


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


def gram_key(gram: str) -> int:
    """The number an n-gram is looked up by: its code units, lowest first.

    >>> hex(gram_key("党建"))
    '0x5efa515a'
    """
    return int.from_bytes(gram.encode("utf-16-le", "surrogatepass"), "little")


@dataclass(frozen=True, slots=True)
class Counts:
    """Known features of a batch, sorted by article and row; the first three of one length."""

    articles: Rows  # which article of the batch
    rows: Rows  # which row of the model's weights
    counts: NDArray[np.int64]
    known: NDArray[np.float64]  # per article: share of its occurrences that the model knows
    size: NDArray[np.int64]  # per article: occurrences in all


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One known feature where it stands in a cleaned field."""

    row: int
    start: int
    end: int


Displacements = NDArray[np.uint32]

_BUCKET_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, high bits well mixed: Fibonacci hashing
_SLOT_FACTOR = np.uint64(0xC2B2AE3D27D4EB4F)
_SALT_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_ONE_BREAK = np.zeros(1, dtype=np.uint16)
_NO_KEY = np.uint64(2**64 - 1)  # no n-gram has it: its upper half is always 0 in a key


class Lexicon:
    """Finds the rows of words and n-grams, for all articles of a batch in a few array operations.

    Words come first in the rows, n-grams after. N-grams are found by perfect hashing: each key
    falls into a bucket, the bucket's displacement sends it to a slot of its own, and one
    comparison tells whether it is the key that lives there.
    """

    def __init__(self, words: Sequence[str], grams: Keys, displacements: Displacements) -> None:
        self.words = words
        self.grams = grams
        self._row_of = {word: row for row, word in enumerate(words)}
        self._salts = _salts(displacements)
        self._bucket_shift, self._slot_shift = _shifts(len(grams), len(displacements))
        self._keys = np.full(2 ** (64 - int(self._slot_shift)), _NO_KEY, dtype=np.uint64)
        self._rows = np.full(len(self._keys), -1, dtype=np.intp)
        slots = self._slots_of(grams)
        self._keys[slots] = grams
        self._rows[slots] = np.arange(len(grams)) + len(words)

    def __len__(self) -> int:
        return len(self.words) + len(self.grams)

    def count(self, sheets: Sequence[Sheet], tokenizer: Tokenizer) -> Counts:
        """Count every known feature of every article of a batch."""
        codes, lengths = _join(sheets)
        fields = np.arange(len(lengths))  # title and text of each article in turn
        find = self._row_of.get
        pieces = tokenizer.cut(codes, [0, *np.cumsum(lengths).tolist()])
        words = np.array([find(word, -1) for field in pieces for word in field], dtype=np.intp)
        keys, starts, _ = _keys_of(codes)
        rows = np.concatenate((words, self._rows_of(keys)))
        where = np.concatenate(
            (
                np.repeat(fields, [len(field) for field in pieces]),
                np.repeat(fields, lengths)[starts],
            )
        )
        size = np.bincount(where, minlength=len(fields))
        size -= np.array([field.count(GAP) for field in pieces], dtype=np.intp)
        is_known = rows >= 0
        where = where[is_known]
        # One number for each occurrence, telling article and row: sorting these is the cheapest
        # way to count, and narrow numbers sort faster.
        pairs = ((where >> 1) * len(self) + rows[is_known]).astype(
            np.int32 if len(sheets) * len(self) < 2**31 else np.int64
        )
        if size[::2].any():
            pairs = np.repeat(pairs, np.where(where & 1, 1, TITLE_COUNTS))
        pairs.sort()
        is_first = np.ones(len(pairs) + 1, dtype=bool)
        np.not_equal(pairs[1:], pairs[:-1], out=is_first[1:-1])
        firsts = np.flatnonzero(is_first)
        counts = firsts[1:] - firsts[:-1]
        articles, row = np.divmod(pairs[firsts[:-1]].astype(np.intp), max(len(self), 1))
        known = np.bincount(articles, weights=counts, minlength=len(sheets))
        sizes = size[::2] * TITLE_COUNTS + size[1::2]
        return Counts(articles, row, counts, known / np.maximum(sizes, 1), sizes)

    def occurrences(self, cleaned: Cleaned, tokenizer: Tokenizer) -> list[Occurrence]:
        """Every known feature of one field with its place, for evidence."""
        found = [
            Occurrence(row, start, start + len(word))
            for word, start in tokenizer.located(cleaned)
            if (row := self._row_of.get(word)) is not None
        ]
        keys, starts, lengths = _keys_of(cleaned.codes)
        rows = self._rows_of(keys)
        found += [
            Occurrence(row, start, start + length)
            for row, start, length in zip(
                rows.tolist(), starts.tolist(), lengths.tolist(), strict=True
            )
            if row >= 0
        ]
        return found

    def _rows_of(self, keys: Keys) -> Rows:
        slots = self._slots_of(keys)
        return np.where(self._keys[slots] == keys, self._rows[slots], -1)

    def _slots_of(self, keys: Keys) -> Keys:
        salts = self._salts[(keys * _BUCKET_FACTOR) >> self._bucket_shift]
        return _slots(keys, salts, self._slot_shift)


def displace(grams: Keys) -> Displacements:
    """Displacements that send every key to a slot of its own; for `Lexicon`, made in training.

    The method is Belazzougui, Botelho and Dietzfelbinger's "hash, displace, and compress" (2009)
    without the compression: full buckets are placed first, each tries 0, 1, 2 … until all its keys
    fall on free slots.
    """
    bucket_count = 1 << max(1, (len(grams) // 3).bit_length())
    bucket_shift, slot_shift = _shifts(len(grams), bucket_count)
    displacements = np.zeros(bucket_count, dtype=np.uint32)
    taken = np.zeros(2 ** (64 - int(slot_shift)), dtype=bool)
    buckets = (grams * _BUCKET_FACTOR) >> bucket_shift
    order = np.argsort(buckets, kind="stable")
    numbers, firsts = np.unique(buckets[order], return_index=True)
    members = np.split(grams[order], firsts[1:])
    for place in np.argsort([-len(keys) for keys in members], kind="stable") if len(grams) else ():
        keys = members[place]
        for displacement in range(2**32):
            slots = _slots(keys, _salts(np.uint32(displacement)), slot_shift)
            if not taken[slots].any() and len(np.unique(slots)) == len(slots):
                break
        taken[slots] = True
        displacements[numbers[place]] = displacement
    return displacements


def _slots(keys: Keys, salts: Keys | np.uint64, slot_shift: np.uint64) -> Keys:
    return ((keys ^ salts) * _SLOT_FACTOR) >> slot_shift


def _salts(displacements: Displacements | np.uint32) -> Keys:
    # Spread over all 64 bits: two keys of one bucket must not keep their distance.
    return np.asarray(displacements, dtype=np.uint64) * _SALT_FACTOR


def _shifts(gram_count: int, bucket_count: int) -> tuple[np.uint64, np.uint64]:
    slot_bits = max(2, (2 * gram_count).bit_length())
    return np.uint64(64 - (bucket_count.bit_length() - 1)), np.uint64(64 - slot_bits)


def _join(sheets: Sequence[Sheet]) -> tuple[Codes, list[int]]:
    """All titles and texts end to end with a break behind each, and how long each then is."""
    parts: list[Codes] = []
    lengths: list[int] = []
    for sheet in sheets:
        for cleaned in (sheet.title, sheet.text):
            if len(cleaned.codes):
                parts += (cleaned.codes, _ONE_BREAK)
                lengths.append(len(cleaned.codes) + 1)
            else:
                lengths.append(0)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16), lengths


def _keys_of(codes: Codes) -> tuple[Keys, Rows, Rows]:
    """Keys, starts and lengths of all n-grams that do not cross a break."""
    letters = codes.astype(np.uint64)
    readable = codes != BREAK
    keys, is_read = letters, readable
    found, starts = [], []
    for length in GRAM_LENGTHS:
        if length > 1:
            keys = keys[:-1] | (letters[length - 1 :] << np.uint64(16 * (length - 1)))
            is_read = is_read[:-1] & readable[length - 1 :]
        start = is_read.nonzero()[0]
        found.append(keys[start])
        starts.append(start)
    lengths = np.repeat(GRAM_LENGTHS, [len(start) for start in starts])
    return np.concatenate(found), np.concatenate(starts), lengths
