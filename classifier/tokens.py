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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path

import numpy as np

from classifier.cleaning import Cleaned, Codes, Offsets
from classifier.errors import ModelForeign

Cut = Callable[[str], list[str]]

RUN = 200
"""Longest run of Han characters cut in one piece: jieba's search over unknown words is quadratic."""

PROVEN_RJIEBA = frozenset({"0.2.2"})
"""Versions of rjieba for which the equality with jieba has been tested; others are not used."""

_LATIN = re.compile(r"[a-z][a-z0-9]+")
FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FD5  # jieba's own idea of Han; beyond it the two differ
_FIRST_LATIN, _LAST_LATIN = ord("a"), ord("z")
GAP = "\n"
_GAP = ord(GAP)


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
    """Cleaned codes cut into pieces, field by field: Han words and gaps, then Latin words."""

    codes: Codes  # the Han of all fields with a gap between stretches; what was cut
    index: Offsets  # where each of `codes` stands in the codes that came in
    pieces: list[str]  # of all fields, one field after another; a gap is "\n"
    lengths: Offsets  # of each piece in `codes`
    shares: list[int]  # how many pieces each field has
    latin: list[tuple[int, re.Match[str]]]  # field and word


class Tokenizer:
    """Cuts cleaned text into words; safe to share between threads."""

    def __init__(self, spec: TokenizerSpec, engine: str, cut: Cut) -> None:
        self.spec = spec
        self.engine = engine
        self._cut = cut

    def cut(self, codes: Codes, bounds: Sequence[int]) -> Cutting:
        """The pieces between each two neighbouring bounds of cleaned codes."""
        spread, index = _spread_runs(codes)
        whole = spread.tobytes().decode("utf-16-le")
        pieces: list[str] = []
        shares = []
        for start, end in pairwise(np.searchsorted(index, bounds).tolist()):
            own = self._cut(whole[start:end])
            pieces += own
            shares.append(len(own))
        latin = []
        if ((codes >= _FIRST_LATIN) & (codes <= _LAST_LATIN)).any():
            for field, (start, end) in enumerate(pairwise(bounds)):
                latin += [(field, match) for match in _latin(codes[start:end])]
        lengths = np.fromiter(map(len, pieces), np.intp, len(pieces))
        return Cutting(spread, index, pieces, lengths, shares, latin)

    def words(self, cleaned: Cleaned) -> list[str]:
        """The words of one field.

        >>> from classifier.cleaning import clean
        >>> current_tokenizer().words(clean("支部用手机APP点餐"))
        ['支部', '用', '手机', '点餐', 'app']
        """
        return [word for word, _ in self.located(cleaned)]

    def located(self, cleaned: Cleaned) -> list[tuple[str, int]]:
        """The same words with the place in the codes where each starts, for evidence."""
        cutting = self.cut(cleaned.codes, (0, len(cleaned.codes)))
        starts = np.cumsum(cutting.lengths) - cutting.lengths
        places = cutting.index[starts].tolist() if cutting.pieces else []
        found = [
            (word, place)
            for word, place in zip(cutting.pieces, places, strict=True)
            if word != GAP
        ]
        return found + [(match.group(), match.start()) for _, match in cutting.latin]


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


def _spread_runs(codes: Codes) -> tuple[Codes, Offsets]:
    """The Han of `codes` with one gap after each stretch and after every `RUN`; and their places."""
    han = (codes >= FIRST_HAN) & (codes <= _LAST_HAN)
    kept = han.copy()
    kept[1:] |= han[:-1]  # the first of the signs behind a stretch stays, as its gap
    index = kept.nonzero()[0]
    spread = np.where(han, codes, _GAP)[index].astype(np.uint16)
    if len(codes) <= RUN:
        return spread, index
    edges = np.concatenate(([-1], (spread == _GAP).nonzero()[0], [len(spread)]))
    if (edges[1:] - edges[:-1]).max() <= RUN + 1:
        return spread, index
    cuts = [at for start, end in pairwise(edges.tolist()) for at in range(start + 1 + RUN, end, RUN)]
    return np.insert(spread, cuts, _GAP), np.insert(index, cuts, index[cuts])


def _latin(codes: Codes) -> Iterator[re.Match[str]]:
    readable = np.where(codes < 0x80, codes, _GAP).astype(np.uint8).tobytes().decode("ascii")
    return _LATIN.finditer(readable)
