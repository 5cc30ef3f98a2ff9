"""Text as the model reads it, with a way back to every character as it arrived.

The model should not see the difference between `ＧＤＰ，` and `gdp,`, between 養老 and 养老, between
a sentence and the same sentence broken over two lines; and it should not see who sent the copy,
whom to ring up, or who checked the page. All but one of these changes replace a character by
another in its place, so the way back is short; only line breaks inside a sentence disappear.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.dateline import credit_spans

VERSION = "1"
"""Raised whenever the same text would come out differently; a model belongs to one version."""

BREAK = 0
"""The code for whatever the model does not read: space, line end, a hidden or unknown character."""

Codes = NDArray[np.uint16]
Offsets = NDArray[np.intp]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_BROKEN_LINE = re.compile(rf"(?<=[{_HAN}，、,])[ \t\r]*\n(?:[ \t\r]*\n)?(?=[{_HAN}])")
_LINK = re.compile(r"(?:https?://|www\.)[\x21-\x7e]+|[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_PHONE = re.compile(r"(?<!\d)(?:\(?0\d{2,3}[)-]?\s?)?\d{7,12}(?!\d)|[48]00-\d{3,4}-?\d{3,4}")
_SEVEN_DIGITS = np.full(7, ord("0"), dtype=np.uint16).tobytes()

_PUNCTUATION = {
    "“”„‟«»「」『』": '"',
    "‘’‚‛": "'",
    "—–―─‐‑": "-",
    "·•・‧": "·",
    "｡": "。",
    "〔【〖﹝": "(",
    "〕】〗﹞": ")",
}
_ONE_MARK = str.maketrans({mark: same for marks, same in _PUNCTUATION.items() for mark in marks})


@dataclass(frozen=True, slots=True)
class Cleaned:
    """One field of an article as the model reads it.

    `codes[i]` is the character (UTF-16 code unit, `BREAK` where there is none) that came from
    `original[offsets[i]]`; offsets rise strictly. Both have the same length.
    """

    codes: Codes
    kept: Offsets | None = None  # the places that were kept, None for all

    @property
    def offsets(self) -> Offsets:
        """Where each code stands in the original."""
        return np.arange(len(self.codes)) if self.kept is None else self.kept

    def __str__(self) -> str:
        """What the model reads, breaks as spaces."""
        return self.codes.tobytes().decode("utf-16-le", "surrogatepass").replace("\0", " ")


@dataclass(frozen=True, slots=True)
class Fields:
    """Many texts cleaned at once: end to end, with a break behind each."""

    codes: Codes
    bounds: Offsets  # (texts + 1,) where each begins; last, the number of codes
    kept: Offsets | None = None  # as in `Cleaned`, in the texts end to end


def clean(text: str) -> Cleaned:
    """Fold a text to what the model reads; linear in its length, total on any string.

    >>> str(clean("（記者　王明）ＧＤＰ增長５．２％，創新\\n高"))
    '       gdp增长0.0%,创新高'
    """
    fields = clean_fields((text,))
    return Cleaned(fields.codes[:-1], None if fields.kept is None else fields.kept[:-1])


def clean_fields(texts: Sequence[str]) -> Fields:
    """Fold many texts as `clean` folds each; what is done to all at once costs little for each."""
    whole = "\0".join((*texts, ""))  # a break, and nothing that is looked for goes across it
    points = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = _fold().take(points, mode="clip")  # beyond the basic plane: the last, a break
    bounds = [0]
    for text in texts:
        begin = bounds[-1]
        for start, end in credit_spans(text):
            codes[begin + start : begin + end] = BREAK
        bounds.append(begin + len(text) + 1)
    for start, end in _contact_spans(whole, codes):
        codes[start:end] = BREAK
    joins = [match.span() for match in _BROKEN_LINE.finditer(whole)] if "\n" in whole else ()
    if not joins:
        return Fields(codes, np.array(bounds))
    keep = np.ones(len(codes), dtype=bool)
    for start, end in joins:
        keep[start:end] = False
    kept = keep.nonzero()[0]
    return Fields(codes.take(kept), kept.searchsorted(bounds), kept)


def _contact_spans(whole: str, codes: Codes) -> list[tuple[int, int]]:
    """Links and telephone numbers: they say nothing of the theme."""
    spans = []
    # The searches are dear beside the rest, so each waits for a sign that it may find something.
    if "://" in whole or "www." in whole or "@" in whole:
        spans += [match.span() for match in _LINK.finditer(whole)]
    if _SEVEN_DIGITS in codes.tobytes() or "00-" in whole:
        spans += [match.span() for match in _PHONE.finditer(whole)]
    return spans


@cache
def _fold() -> Codes:
    """The table from a character of the basic plane to the one that stands for it."""
    table = np.zeros(0x10000, dtype=np.uint16)
    for start, end in ((0x3041, 0x3100), (0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4)):
        table[start:end] = np.arange(start, end)
    for start, end in (
        (0x21, 0x3041),
        (0x30FB, 0x30FC),
        (0xF900, 0xFB00),
        (0xFE10, 0xFE70),
        (0xFF01, 0xFFE7),
    ):
        for point in range(start, end):
            table[point] = _folded(chr(point))
    pairs = Path(__file__).with_name("simplified.txt").read_text(encoding="utf-8").split()
    for pair in pairs:
        table[ord(pair[0])] = ord(pair[1])
    return table


def _folded(character: str) -> int:
    folded = unicodedata.normalize("NFKC", character.translate(_ONE_MARK)).lower()
    if len(folded) != 1 or folded > "\uffff" or folded.isspace() or not folded.isprintable():
        return BREAK
    return ord("0") if folded.isdecimal() else ord(folded)
