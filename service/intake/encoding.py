"""Which encoding some bytes are in: the one whose reading looks most like Chinese.

Almost any Big5 file decodes as GB18030, and many a GB18030 file as Big5, without an error and
into nonsense. So every encoding that can read the bytes does, and the readings are compared as
wholes: each character costs as many bits as it is rare, and the cheapest reading wins. A charset
that the file, the mail or the sender declares is worth twenty bits, a million to one: it settles
a short text and cannot force a long one into nonsense.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from classifier.errors import UnknownEncoding
from service.intake.han import COMMON

_RARE_HAN = 19.0
_GARBLED = 15.0  # mean bits; real text stays under 12 from 40 characters on, nonsense over 15
_DECLARED = 20.0
_ODDS = 8.0  # a guess must be 250 times likelier than the next
_SAMPLE = 1 << 18
_CUT_SHORT = ("unexpected end of data", "incomplete multibyte sequence", "truncated data")
_SAVE_AS = "请在记事本或 WPS 里另存为 UTF-8 再投，或者注明原来的编码"

_NOT_PLAIN = re.compile(rb"[^\t\n\v\f\r\x20-\x7e]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
# Bits of the characters that are not in the table of Han characters.
_MARK_BITS = dict.fromkeys("，。、；：？！“”‘’（）《》〈〉【】「」『』—…·\u3000", 7.0)
_RANGE_BITS = (
    ("\uff01", "\uff5e", 11.0),  # full-width letters and digits
    ("\u4e00", "\u9fff", _RARE_HAN),
    ("\u3400", "\u4dbf", 22.0),
    ("\uf900", "\ufaff", 22.0),
    ("\U00020000", "\U0003ffff", 22.0),
)
_CATEGORY_BITS = {"C": 25.0, "Cf": 17.0, "P": 13.0, "S": 13.0, "Z": 13.0, "N": 13.0}
_OTHER_BITS = 17.0


@dataclass(frozen=True, slots=True)
class _Encoding:
    name: str  # as shown to people
    codecs: tuple[str, ...]  # tried in this order
    surprise: float = 0.0  # bits: how unlikely a newsroom's file is to be in it
    ascii_bytes: bool = False  # a 7-bit encoding, recognised only when declared


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the encoding it was read in, and what the reader should know about that."""

    text: str
    encoding: str
    warnings: tuple[str, ...] = ()


_UTF8 = _Encoding("UTF-8", ("utf-8",))
_GB18030 = _Encoding("GB18030", ("gb18030",), 2.0)
# Windows' Big5 first: HKSCS reads all of it too, but some punctuation as look-alikes.
_BIG5 = _Encoding("Big5", ("cp950", "big5hkscs"), 3.0)
_UTF16LE = _Encoding("UTF-16LE", ("utf-16-le",), 8.0)
_UTF16BE = _Encoding("UTF-16BE", ("utf-16-be",), 10.0)
_CANDIDATES = (_UTF8, _GB18030, _BIG5, _UTF16LE, _UTF16BE)

_MARKS = (
    (codecs.BOM_UTF8, _UTF8),
    (codecs.BOM_UTF16_LE, _UTF16LE),
    (codecs.BOM_UTF16_BE, _UTF16BE),
    (b"\x84\x31\x95\x33", _GB18030),
)

# What headers call them. Not codecs.lookup: a name from a mail must not reach zlib or rot13.
_LABELS: tuple[tuple[_Encoding, str], ...] = (
    (_UTF8, "utf-8 utf8 unicode-1-1-utf-8"),
    (
        _GB18030,
        "gb18030 gb18030-2000 gb18030-2005 gb18030-2022 gbk x-gbk gb2312 gb-2312 gb-2312-80 "
        "gb2312-80 csgb2312 cp936 ms936 windows-936 936 euc-cn chinese iso-ir-58",
    ),
    (_BIG5, "big5 big-5 big5-hkscs big5hkscs cn-big5 csbig5 x-x-big5 cp950 ms950 windows-950"),
    (_UTF16LE, "utf-16le utf-16-le utf-16 utf16 unicode ucs-2 iso-10646-ucs-2"),
    (_UTF16BE, "utf-16be utf-16-be unicodefffe"),
    (_Encoding("HZ", ("hz",), ascii_bytes=True), "hz hz-gb-2312"),
    (_Encoding("ISO-2022-JP", ("iso2022_jp",), ascii_bytes=True), "iso-2022-jp"),
    (_Encoding("Shift_JIS", ("cp932",)), "shift-jis sjis cp932 windows-31j"),
    (_Encoding("EUC-JP", ("euc_jp",)), "euc-jp"),
    (_Encoding("EUC-KR", ("cp949",)), "euc-kr ks-c-5601-1987 cp949"),
    (_Encoding("Windows-1252", ("cp1252",)), "iso-8859-1 latin1 latin-1 windows-1252 cp1252"),
    (_Encoding("KOI8-R", ("koi8_r",)), "koi8-r"),
    (_Encoding("Windows-1251", ("cp1251",)), "windows-1251"),
)
_BY_LABEL = {label: encoding for encoding, labels in _LABELS for label in labels.split()}


def decode(content: bytes, *, declared: str | None = None) -> Decoded:
    """Read bytes of unknown encoding as text, or refuse; nothing is replaced or left out.

    `declared` is the charset that a header, a meta tag or the sender names; it is believed
    unless another reading is far likelier. Raises UnknownEncoding, with the place of the first
    byte that cannot be read, for bytes that are no text, and for undeclared text too short to
    tell. Measured on headlines and a newspaper page, without a charset: all of 100,000 pieces of
    10 characters and more come out right; of 4 characters, UTF-16 apart, 99 in 100 do and the
    others are refused.

    >>> decode("各镇街要把垃圾分类落到实处".encode("gbk")).text
    '各镇街要把垃圾分类落到实处'
    >>> decode("長者飯堂今日啟用，街坊紛紛叫好".encode("big5")).encoding
    'Big5'
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            text = _read_all(content[len(mark) :], encoding, start=len(mark))
            return Decoded(text, encoding.name)

    named = _BY_LABEL.get(_label(declared)) if declared else None
    first = _first_not_plain(content)
    if first is None and named not in (_UTF16LE, _UTF16BE):
        return _read_ascii(content, named)

    candidates = list(_CANDIDATES)
    if named is not None and named not in candidates and not named.ascii_bytes:
        candidates.append(named)
    readings = _read_sample(content, first or 0, candidates, named)
    if not readings:
        raise _unreadable(content, candidates, named)
    best = readings[0]
    if named is not best.encoding and best.garbled:
        raise _unreadable(content, candidates, named)
    rivals = readings[1:] if named is None else []
    for other in rivals:
        if other.text != best.text and other.cost - best.cost < _ODDS:
            raise UnknownEncoding(
                f"从第 {(first or 0) + 1} 个字节起，按 {best.encoding.name} 和 "
                f"{other.encoding.name} 都读得通，字太少，分不出是哪一种",
                fix=_SAVE_AS,
            )
    text = _read_all(content, best.encoding, start=0)
    return Decoded(text, best.encoding.name, _remarks(best.encoding, named, declared))


def looks_garbled(text: str) -> bool:
    """Whether the Han characters of a text are too rare to have been written by a person.

    Short of twenty Han characters nothing is said.

    >>> looks_garbled("浜哄嫟鏄ユ潵鏃╋紝濂嬭繘姝ｅ綋鏃躲€傛眮涓婂幙瀵呭闀囧皢")
    True
    """
    han = _HAN.findall(text[:_SAMPLE])
    return len(han) >= 20 and _mean_bits(han) > _GARBLED


def read_name(name: str) -> str:
    """A file name as it can be shown and stored: no control characters, no lone surrogates.

    Names from a command line or a mail may hold bytes of another encoding as surrogates; they
    are decoded where possible and spelled out where not.
    """
    if any("\ud800" <= c <= "\udfff" for c in name):
        try:
            name = decode(name.encode("utf-8", "surrogateescape")).text
        except (UnknownEncoding, UnicodeEncodeError):
            name = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cs"))


@dataclass(frozen=True, slots=True)
class _Reading:
    encoding: _Encoding
    text: str
    cost: float
    garbled: bool


def _first_not_plain(content: bytes) -> int | None:
    found = _NOT_PLAIN.search(content)
    return found.start() if found else None


def _read_ascii(content: bytes, named: _Encoding | None) -> Decoded:
    if named is not None and named.ascii_bytes:
        try:
            return Decoded(content.decode(named.codecs[0]), named.name)
        except UnicodeDecodeError:
            return Decoded(
                content.decode("ascii"),
                "ASCII",
                (f"声明的编码是 {named.name}，但读不通，按 ASCII 读取",),
            )
    return Decoded(content.decode("ascii"), "ASCII")


def _read_sample(
    content: bytes, first: int, candidates: Sequence[_Encoding], named: _Encoding | None
) -> list[_Reading]:
    """Every reading that works, likeliest first.

    Reads from the first byte that is not plain ASCII, so that a long head of markup does not
    fill the sample; every encoding here has a character starting there.
    """
    start = first & ~1  # UTF-16 counts in pairs
    sample = content[start : start + _SAMPLE]
    ends = start + _SAMPLE >= len(content)
    readings = []
    for encoding in candidates:
        for fallback, codec in enumerate(encoding.codecs):
            try:
                text = codecs.getincrementaldecoder(codec)().decode(sample, ends)
            except UnicodeDecodeError:
                continue
            surprise = -_DECLARED if encoding is named else encoding.surprise
            cost = _bits(text, encoding) + surprise + 4.0 * fallback
            marked = [c for c in text if c > "\x7f"] or ["\x00"]
            # Noise is rarely valid UTF-8; a few bytes of it are often valid UTF-16.
            mean = _mean_bits(marked) + encoding.surprise / len(marked)
            garbled = encoding is not _UTF8 and mean > _GARBLED
            readings.append(_Reading(encoding, text, cost, garbled))
            break
    return sorted(readings, key=lambda reading: reading.cost)


def _read_all(content: bytes, encoding: _Encoding, *, start: int) -> str:
    failures = []
    for codec in encoding.codecs:
        try:
            return content.decode(codec)
        except UnicodeDecodeError as error:
            failures.append(error)
    furthest = max(failures, key=lambda failure: failure.start)
    raise _broken(encoding, furthest, start=start)


def _broken(encoding: _Encoding, error: UnicodeDecodeError, *, start: int) -> UnknownEncoding:
    at = start + error.start
    if error.end >= len(error.object) and error.reason in _CUT_SHORT:
        return UnknownEncoding(
            f"文字按 {encoding.name} 读，最后一个字只有半个（第 {at + 1} 个字节），文件没有传完整",
            fix="请重新发送原文件",
        )
    return UnknownEncoding(
        f"文字按 {encoding.name} 读，到第 {at + 1} 个字节"
        f"（0x{error.object[error.start]:02x}）读不通",
        fix=_SAVE_AS,
    )


def _unreadable(
    content: bytes, candidates: Sequence[_Encoding], named: _Encoding | None
) -> UnknownEncoding:
    """The refusal for bytes that nothing reads: names the encoding that got furthest."""
    failures = []
    for encoding in candidates:
        for codec in encoding.codecs:
            try:
                content.decode(codec)
            except UnicodeDecodeError as error:
                # From the end, so that a long head of markup does not stand for the text.
                read = content[: error.start].decode(codec)[-_SAMPLE:]
                marked = [c for c in read if c > "\x7f"]
                # Two or three characters may come out of any noise.
                enough = len(marked) >= 4 or (marked and error.end == len(content))
                if enough and _mean_bits(marked) <= _GARBLED:
                    failures.append((error.start, encoding is named, encoding, error))
    if failures:
        _, _, best, failure = max(failures, key=lambda found: found[:2])
        return _broken(best, failure, start=0)
    return UnknownEncoding(
        f"从第 {(_first_not_plain(content) or 0) + 1} 个字节起不是文字，"
        "按 UTF-8、GB18030、Big5、UTF-16 都读不通",
        fix=_SAVE_AS,
    )


def _remarks(encoding: _Encoding, named: _Encoding | None, declared: str | None) -> tuple[str, ...]:
    if encoding is named:
        return ()
    if named is not None:
        return (f"声明的编码是 {named.name}，实际按 {encoding.name} 读取，请核对",)
    if declared and _label(declared) not in ("us-ascii", "ascii"):
        return (f"不认识声明的编码“{read_name(declared[:40])}”，按 {encoding.name} 读取，请核对",)
    if encoding is _UTF8:
        return ()
    return (f"没有注明文字编码，按 {encoding.name} 读取，请核对",)


def _label(declared: str) -> str:
    return declared.strip(" \t\"'").lower().replace("_", "-")


def _bits(text: str, encoding: _Encoding) -> float:
    """How unlikely a text is, in bits, in the likelier script of those the encoding is used for."""
    simplified, traditional = _tables()
    shared = in_simplified = in_traditional = 0.0
    for character, count in Counter(text).items():
        if character in simplified:
            in_simplified += count * simplified[character]
            in_traditional += count * traditional[character]
        else:
            shared += count * _character_bits(character)
    if encoding is _BIG5:
        return shared + in_traditional
    # GBK holds Traditional characters too, but few who write them use it.
    rarely = 4.0 if encoding is _GB18030 else 0.0
    return shared + min(in_simplified, in_traditional + rarely)


def _mean_bits(characters: Sequence[str]) -> float:
    simplified, traditional = _tables()
    cost = {
        c: min(simplified[c], traditional[c]) if c in simplified else _character_bits(c)
        for c in set(characters)
    }
    return sum(cost[c] for c in characters) / len(characters)


@cache
def _tables() -> tuple[dict[str, float], dict[str, float]]:
    """Bits of the common characters in Simplified and in Traditional text.

    The table counts both scripts in equal parts, so a character is a bit likelier in its own.
    """
    simplified, traditional = {}, {}
    for bits, characters in COMMON.items():
        for character in characters:
            own = float(bits - 1)
            simplified[character] = own if _encodable(character, "gb2312") else _RARE_HAN
            traditional[character] = own if _encodable(character, "cp950") else _RARE_HAN
    return simplified, traditional


def _encodable(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _character_bits(character: str) -> float:
    """Bits of a character outside the table, by what kind it is."""
    if character < "\x80":
        return _ascii_bits(character)
    if character in _MARK_BITS:
        return _MARK_BITS[character]
    for first, last, bits in _RANGE_BITS:
        if first <= character <= last:
            return bits
    category = unicodedata.category(character)
    return _CATEGORY_BITS.get(category) or _CATEGORY_BITS.get(category[0], _OTHER_BITS)


def _ascii_bits(character: str) -> float:
    if character.islower() or character.isdigit() or character in " \r\n\t,.":
        return 6.5
    if character.isupper():
        return 8.0
    return 10.0 if character.isprintable() else 25.0
