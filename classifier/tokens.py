"""Cutting text into words, the same words whichever tokenizer does the work.

jieba is the reference. rjieba holds the same dictionary and algorithm in Rust and is about ten
times as fast, but the two part ways on Latin letters, digits and signs. So neither is ever shown
one: they get runs of Han characters only, at most `RUN` long, and on those they agree (proved on a
million characters in tests/test_tokens.py). Latin words are cut here, by one rule for both.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.cleaning import Cleaned, Codes, Offsets
from classifier.errors import ModelForeign

Cut = Callable[[str], list[str]]

RUN = 200
"""Longest run of Han characters cut in one piece: jieba's search over unknown words is quadratic."""

PROVEN_RJIEBA = frozenset({"0.2.2"})
"""Versions of rjieba for which the equality with jieba has been tested; others are not used."""

FIRST_HAN, LAST_HAN = 0x4E00, 0x9FD5  # jieba's own idea of Han; beyond it the two differ
GAP = "\n"  # stands for whatever the tokenizer is not shown; each is a piece of its own

WORD_KEY_LENGTH = 4
"""Characters of the longest Han word that its key tells from all others."""

_FIRST_HAN, _HAN_RANGE = np.uint16(FIRST_HAN), np.uint16(LAST_HAN - FIRST_HAN)
_GAP, _GAP_KEY = np.uint16(ord(GAP)), np.uint64(ord(GAP))
_WORD_MASKS = np.array([(1 << 16 * n) - 1 for n in range(WORD_KEY_LENGTH + 1)], dtype=np.uint64)
_LATIN = re.compile(r"[a-z][a-z0-9]+")
_FIRST_LATIN, _LATIN_LETTERS = np.uint16(ord("a")), np.uint16(26)


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """Which words a model was trained on; part of its manifest."""

    name: str  # always "jieba": the reference, whoever does the work
    dictionary: str  # sha256 of jieba's dictionary
    user_words: tuple[str, ...] = ()  # a newsroom's own words, in the order they were added

    def as_json(self) -> dict[str, object]:
        """The manifest's form."""
        return {"name": self.name, "dictionary": self.dictionary, "user_words": [*self.user_words]}


@dataclass(frozen=True, slots=True)
class Cutting:
    """Cleaned codes in pieces, each a word of Han or a `GAP`; and the Latin words in the gaps."""

    pieces: list[str]
    lengths: Offsets  # (pieces,) in characters
    keys: NDArray[np.uint64]  # (pieces,) the bits of the first `WORD_KEY_LENGTH` characters
    latin: list[str]
    places: Offsets  # (pieces + latin,) where each starts in the codes

    def are_words(self) -> NDArray[np.bool_]:
        """(pieces,) which of them are words."""
        are_words: NDArray[np.bool_] = self.keys != _GAP_KEY
        return are_words

    def words(self) -> list[str]:
        """The words of Han in the order of the text, then the Latin ones."""
        return [piece for piece in self.pieces if piece != GAP] + self.latin


class Tokenizer:
    """Cuts cleaned text into words; safe to share between threads."""

    def __init__(self, spec: TokenizerSpec, engine: str, cut: Cut) -> None:
        self.spec = spec
        self.engine = engine
        self._cut = cut

    def cut(self, codes: Codes) -> Cutting:
        """The words of cleaned codes; none crosses a break."""
        # Every code that is not Han is a piece of its own, so the pieces are as long as the codes.
        is_han = codes - _FIRST_HAN <= _HAN_RANGE
        readable = np.empty(len(codes) + WORD_KEY_LENGTH, dtype=codes.dtype)
        readable.fill(_GAP)
        np.copyto(readable[:-WORD_KEY_LENGTH], codes, where=is_han)
        whole = readable[:-WORD_KEY_LENGTH].tobytes().decode("utf-16-le")
        pieces: list[str] = []
        for start, end in pairwise((0, *_cuts(is_han), len(whole))):
            pieces += self._cut(whole[start:end])
        lengths = np.fromiter(map(len, pieces), np.intp, len(pieces))
        places = lengths.cumsum() - lengths
        keys = _keys(readable, places, lengths)
        latin = _latin(codes)
        if latin:
            places = np.concatenate((places, [match.start() for match in latin]))
        return Cutting(pieces, lengths, keys, [match.group() for match in latin], places)

    def words(self, cleaned: Cleaned) -> list[str]:
        """The words of one field.

        >>> from classifier.cleaning import clean
        >>> current_tokenizer().words(clean("支部用手机APP点餐"))
        ['支部', '用', '手机', '点餐', 'app']
        """
        return self.cut(cleaned.codes).words()

    def located(self, cleaned: Cleaned) -> list[tuple[str, int]]:
        """The same words with the place in the codes where each starts, for evidence."""
        cutting = self.cut(cleaned.codes)
        everything = zip(cutting.pieces + cutting.latin, cutting.places.tolist(), strict=True)
        return [(word, place) for word, place in everything if word != GAP]


class Keyed(NamedTuple):
    """Words or n-grams as numbers, both arrays of their count."""

    lengths: Offsets  # in characters
    keys: NDArray[np.uint64]  # the bits of the first `WORD_KEY_LENGTH` characters


def key_pieces(pieces: Sequence[str]) -> Keyed:
    """The numbers that words and n-grams are looked up by.

    >>> hex(key_pieces(["老人"]).keys[0])
    '0x4eba8001'
    """
    text = "".join(pieces) + GAP * WORD_KEY_LENGTH
    lengths = np.fromiter(map(len, pieces), np.intp, len(pieces))
    letters = np.frombuffer(text.encode("utf-16-le"), dtype=np.uint16)
    return Keyed(lengths, _keys(letters, lengths.cumsum() - lengths, lengths))


def current_tokenizer(*, user_words: Iterable[str] = ()) -> Tokenizer:
    """The tokenizer a new model is trained with on this machine."""
    spec = TokenizerSpec("jieba", dictionary_digest(), tuple(dict.fromkeys(user_words)))
    return open_tokenizer(spec)


@cache
def open_tokenizer(spec: TokenizerSpec) -> Tokenizer:
    """The tokenizer that a model asks for, the fast engine where it is proven.

    Raises ModelForeign where this machine would cut other words than the model knows.
    """
    if spec.name != "jieba" or spec.dictionary != dictionary_digest():
        raise ModelForeign(
            "模型训练时用的分词词典与本机 jieba 的词典不同",
            where=f"{spec.name} {spec.dictionary[:12]}",
            fix="请安装训练时的 jieba 版本，或在本机用 gaoqian train 重新训练",
        )
    try:
        proven = version("rjieba") in PROVEN_RJIEBA
    except PackageNotFoundError:
        proven = False
    return Tokenizer(spec, *(_rjieba(spec) if proven else _jieba(spec)))


@cache
def dictionary_digest() -> str:
    """sha256 of the dictionary that jieba brings, read without importing jieba."""
    package = importlib.util.find_spec("jieba")
    assert package is not None and package.submodule_search_locations
    dictionary = Path(package.submodule_search_locations[0], "dict.txt")
    return hashlib.sha256(dictionary.read_bytes()).hexdigest()


def _rjieba(spec: TokenizerSpec) -> tuple[str, Cut]:
    import rjieba

    if not spec.user_words:
        return "rjieba", rjieba.cut
    own = rjieba.Jieba()
    for word in spec.user_words:
        own.add_word(word, None, None)
    return "rjieba", own.cut


def _jieba(spec: TokenizerSpec) -> tuple[str, Cut]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba 0.42 imports pkg_resources
        import jieba

    jieba.setLogLevel("ERROR")
    own = jieba.Tokenizer()
    # jieba trusts any cache it finds in the shared temporary folder; an empty one of our own
    # makes it read its dictionary instead.
    with tempfile.TemporaryDirectory() as empty:
        own.tmp_dir = empty
        own.initialize()
    for word in spec.user_words:
        own.add_word(word)
    return "jieba", own.lcut


def _cuts(is_han: NDArray[np.bool_]) -> list[int]:
    """Where runs of Han are cut because they are longer than `RUN`."""
    if len(is_han) <= RUN:
        return []
    half = RUN // 2
    halves = is_han[: len(is_han) // half * half].reshape(-1, half)
    if not halves.all(axis=1).any():  # as in all prose; a longer run would fill one of them
        return []
    edges = np.concatenate(([-1], np.logical_not(is_han).nonzero()[0], [len(is_han)]))
    return [
        at for start, end in pairwise(edges.tolist()) for at in range(start + 1 + RUN, end, RUN)
    ]


def _keys(letters: Codes, places: Offsets, lengths: Offsets) -> NDArray[np.uint64]:
    """The bits of the first `WORD_KEY_LENGTH` characters of the words at these places."""
    count = len(letters) - WORD_KEY_LENGTH + 1
    # Every four neighbouring codes as one number, without copying any.
    windows = np.ndarray((count,), dtype=np.uint64, buffer=letters, strides=(letters.itemsize,))
    keys = windows.take(places)
    keys &= _WORD_MASKS.take(lengths, mode="clip")
    return keys


def _latin(codes: Codes) -> list[re.Match[str]]:
    if not np.count_nonzero(codes - _FIRST_LATIN < _LATIN_LETTERS):
        return []
    readable = np.where(codes < 0x80, codes, _GAP).astype(np.uint8).tobytes().decode("ascii")
    return [*_LATIN.finditer(readable)]
