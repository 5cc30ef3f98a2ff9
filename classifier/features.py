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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.article import Article
from classifier.cleaning import BREAK, Cleaned, Codes, clean
from classifier.tokens import FIRST_HAN, Cutting, Tokenizer

GRAM_LENGTHS = (1, 2)
TITLE_COUNTS = 2
BLOCKS = 2  # words, n-grams

Keys = NDArray[np.uint64]
Rows = NDArray[np.signedinteger[Any]]


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
_WORD_KEY_LENGTH = 4  # of the longest Han word that fits into a key
_WORD_MARK = np.uint64(1 << 63)
_WORD_MASKS = np.array([(1 << 15 * n) - 1 for n in range(_WORD_KEY_LENGTH + 1)], dtype=np.uint64)
_SALT_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_ONE_BREAK = np.zeros(1, dtype=np.uint16)
_NO_KEY = np.uint64(2**64 - 1)  # of no n-gram and no word: four letters never fill a key


class Lexicon:
    """Finds the rows of words and n-grams, for all articles of a batch in a few array operations.

    Words come first in the rows, n-grams after. Single characters have a table of their own. All
    else that fits into a number is found by perfect hashing: each key falls into a bucket, the
    bucket's displacement sends it to a slot of its own, and one comparison tells whether it is the
    key that lives there. The few words that do not fit are found by their strings.
    """

    def __init__(
        self, words: Sequence[str], grams: Sequence[str], displacements: Displacements
    ) -> None:
        self.words = words
        self.grams = grams
        self._row_of = {word: row for row, word in enumerate(words)}
        self._single = np.full(0x10000, -1, dtype=np.int32)
        keys, rows = hashed_keys(words, grams)
        for row, gram in enumerate(grams, len(words)):
            if len(gram) == 1:
                self._single[ord(gram)] = row
        self._salts = _salts(displacements)
        self._bucket_shift, self._slot_shift = _shifts(len(keys), len(displacements))
        self._keys = np.full(2 ** (64 - int(self._slot_shift)), _NO_KEY, dtype=np.uint64)
        self._rows = np.full(len(self._keys), -1, dtype=np.int32)
        slots = self._slots_of(keys)
        self._keys[slots] = keys
        self._rows[slots] = rows

    def __len__(self) -> int:
        return len(self.words) + len(self.grams)

    def count(self, sheets: Sequence[Sheet], tokenizer: Tokenizer) -> Counts:
        """Count every known feature of every article of a batch."""
        codes, lengths = _join(sheets)
        fields = np.arange(len(lengths))  # title and text of each article in turn
        cutting = tokenizer.cut(codes, [0, *np.cumsum(lengths).tolist()])
        words, is_word = self._word_rows(cutting)
        pair_keys, starts = _pairs_of(codes)
        readable = codes.nonzero()[0]
        rows: Rows = np.concatenate((words, self._single.take(codes.take(readable)), self._rows_of(pair_keys)))
        field_of = np.repeat(fields, lengths)
        where = np.concatenate(
            (
                np.repeat(fields, cutting.shares)[is_word],
                np.array([field for field, _ in cutting.latin], dtype=np.intp),
                field_of.take(readable),
                field_of.take(starts),
            )
        )
        size = np.bincount(where, minlength=len(fields))
        known_places = (rows >= 0).nonzero()[0]
        where = where.take(known_places)
        # One number for each occurrence, telling article and row: sorting these is the cheapest
        # way to count, and narrow numbers sort faster.
        narrow = np.dtype(np.int32 if len(sheets) * len(self) < 2**31 else np.int64)
        pairs: Rows = (where >> 1).astype(narrow) * len(self) + rows.take(known_places)
        if size[::2].any():
            pairs = np.repeat(pairs, np.where(where & 1, 1, TITLE_COUNTS))
        pairs.sort()
        is_first = np.ones(len(pairs) + 1, dtype=bool)
        np.not_equal(pairs[1:], pairs[:-1], out=is_first[1:-1])
        firsts = is_first.nonzero()[0]
        counts = firsts[1:] - firsts[:-1]
        articles, row = np.divmod(pairs.take(firsts[:-1]).astype(np.intp), max(len(self), 1))
        known = np.bincount(articles, weights=counts, minlength=len(sheets))
        sizes = size[::2] * TITLE_COUNTS + size[1::2]
        return Counts(articles, row, counts, known / np.maximum(sizes, 1), sizes)

    def _word_rows(self, cutting: Cutting) -> tuple[Rows, NDArray[np.bool_]]:
        """Rows of the Han words and then of the Latin ones; and which pieces are words, not gaps."""
        keys, is_word = _word_keys(cutting)
        rows = self._rows_of(keys)
        find = self._row_of.get
        for place in (cutting.lengths > _WORD_KEY_LENGTH).nonzero()[0].tolist():
            rows[place] = find(cutting.pieces[place], -1)
        rows = rows[is_word]
        if cutting.latin:
            latin = [find(match.group(), -1) for _, match in cutting.latin]
            rows = np.concatenate((rows, np.array(latin, dtype=np.intp)))
        return rows, is_word

    def occurrences(self, cleaned: Cleaned, tokenizer: Tokenizer) -> list[Occurrence]:
        """Every known feature of one field with its place, for evidence."""
        found = [
            Occurrence(row, start, start + len(word))
            for word, start in tokenizer.located(cleaned)
            if (row := self._row_of.get(word)) is not None
        ]
        readable = cleaned.codes.nonzero()[0]
        keys, starts = _pairs_of(cleaned.codes)
        for length, rows, places in (
            (1, self._single[cleaned.codes[readable]], readable),
            (2, self._rows_of(keys), starts),
        ):
            found += [
                Occurrence(row, place, place + length)
                for row, place in zip(rows.tolist(), places.tolist(), strict=True)
                if row >= 0
            ]
        return found

    def _rows_of(self, keys: Keys) -> Rows:
        slots = self._slots_of(keys).view(np.int64)
        rows: Rows = self._rows.take(slots)
        rows[self._keys.take(slots) != keys] = -1
        return rows

    def _slots_of(self, keys: Keys) -> Keys:
        buckets = (keys * _BUCKET_FACTOR) >> self._bucket_shift
        salts = self._salts.take(buckets.view(np.int64))
        return _slots(keys, salts, self._slot_shift)


def hashed_keys(words: Sequence[str], grams: Sequence[str]) -> tuple[Keys, Rows]:
    """The features that are found by hashing: their keys, and their rows."""
    keyed = [(_word_key(word), row) for row, word in enumerate(words) if _is_short_han(word)]
    keyed += [
        (ord(gram[0]) | ord(gram[1]) << 16, row)
        for row, gram in enumerate(grams, len(words))
        if len(gram) == 2
    ]
    keys = np.array([key for key, _ in keyed], dtype=np.uint64)
    return keys, np.array([row for _, row in keyed], dtype=np.intp)


def displace(keys: Keys) -> Displacements:
    """Displacements that send every key to a slot of its own; for `Lexicon`, made in training.

    The method is Belazzougui, Botelho and Dietzfelbinger's "hash, displace, and compress" (2009)
    without the compression: full buckets are placed first, each tries 0, 1, 2 … until all its keys
    fall on free slots.
    """
    bucket_count = 1 << max(1, (len(keys) // 3).bit_length())
    bucket_shift, slot_shift = _shifts(len(keys), bucket_count)
    displacements = np.zeros(bucket_count, dtype=np.uint32)
    taken = np.zeros(2 ** (64 - int(slot_shift)), dtype=bool)
    buckets = (keys * _BUCKET_FACTOR) >> bucket_shift
    order = np.argsort(buckets, kind="stable")
    numbers, firsts = np.unique(buckets[order], return_index=True)
    members = np.split(keys[order], firsts[1:]) if len(keys) else []
    for place in sorted(range(len(members)), key=lambda place: -len(members[place])):
        for displacement in range(2**32):
            slots = _slots(members[place], _salts(np.uint32(displacement)), slot_shift)
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


def _shifts(key_count: int, bucket_count: int) -> tuple[np.uint64, np.uint64]:
    slot_bits = max(2, (2 * key_count).bit_length())
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


def _pairs_of(codes: Codes) -> tuple[Keys, Rows]:
    """The keys of all two-character runs that do not cross a break, and their starts."""
    letters = codes.astype(np.uint64)
    is_read = codes != BREAK
    starts = (is_read[:-1] & is_read[1:]).nonzero()[0]
    return (letters[:-1] | (letters[1:] << np.uint64(16))).take(starts), starts


def _is_short_han(word: str) -> bool:
    return len(word) <= _WORD_KEY_LENGTH and ord(word[0]) >= FIRST_HAN


def _word_key(word: str) -> int:
    """The number a Han word is looked up by: fifteen bits a character, lowest first, and a mark."""
    shifted = (ord(letter) - FIRST_HAN + 1 << 15 * place for place, letter in enumerate(word))
    return int(_WORD_MARK) | sum(shifted)


def _word_keys(cutting: Cutting) -> tuple[Keys, NDArray[np.bool_]]:
    """The keys of all pieces at once, right where `is_word` and the piece is short enough."""
    starts = np.cumsum(cutting.lengths) - cutting.lengths
    letters = np.zeros(len(cutting.codes) + _WORD_KEY_LENGTH, dtype=np.uint64)
    # A gap lies below the first Han and wraps; its key means nothing and is not asked for.
    letters[: len(cutting.codes)] = cutting.codes.astype(np.uint64) - np.uint64(FIRST_HAN - 1)
    windows = letters.take(starts)
    for place in range(1, _WORD_KEY_LENGTH):
        windows |= letters.take(starts + place) << np.uint64(15 * place)
    keys = (windows & _WORD_MASKS.take(np.minimum(cutting.lengths, _WORD_KEY_LENGTH))) | _WORD_MARK
    return keys, cutting.codes.take(starts) >= FIRST_HAN
