"""Encodings: every reading that works is weighed, none is forced."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from pathlib import Path

import jieba
import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import SENTENCES

from classifier.errors import UnknownEncoding
from service.intake.encoding import decode, looks_garbled, read_name
from service.intake.han import COMMON

SIMPLIFIED = "".join(SENTENCES)
SCRIPTS = {
    "simplified": SIMPLIFIED,
    **{name: opencc.OpenCC(name).convert(SIMPLIFIED) for name in ("s2t", "s2tw", "s2hk")},
}
ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "big5hkscs", "utf-16", "utf-16-le", "utf-16-be")
UNMARKED = ("utf-8", "gb18030", "cp950", "big5hkscs", "utf-16-le", "utf-16-be")


def text_for(encoding: str) -> str:
    """Text that somebody who uses this encoding would write."""
    return SCRIPTS["s2tw"] if encoding in ("cp950", "big5hkscs") else SIMPLIFIED


def pieces(text: str, length: int, count: int) -> list[str]:
    """Random pieces of a text that are mostly Chinese, repeated where the text is too short."""
    choose = random.Random(length)
    text = text * (length // len(text) + 2)
    found: list[str] = []
    while len(found) < count:
        start = choose.randrange(len(text) - length)
        piece = text[start : start + length]
        if sum("\u4e00" <= c <= "\u9fff" for c in piece) >= 0.6 * length:
            found.append(piece)
    return found


def outcomes(encoding: str, length: int, count: int) -> Counter[str]:
    """How often pieces of every script come back right, wrong or refused."""
    counts: Counter[str] = Counter()
    for text in SCRIPTS.values():
        for piece in pieces(text, length, count):
            try:
                content = piece.encode(encoding)
            except UnicodeEncodeError:
                continue
            try:
                counts["right" if decode(content).text == piece else "wrong"] += 1
            except UnknownEncoding:
                counts["refused"] += 1
    return counts


@pytest.mark.parametrize(
    ("encoding", "length"), list(itertools.product((*ENCODINGS, "cp950"), (10, 40, 800)))
)
def test_ten_characters_are_always_enough(encoding: str, length: int) -> None:
    """No piece of 10 characters or more, in any encoding, is misread or refused."""
    counts = outcomes(encoding, length, 20 if length == 800 else 100)
    assert counts["right"] > 0
    assert counts["wrong"] == counts["refused"] == 0


@pytest.mark.parametrize("encoding", ["gb18030", "cp950", "big5hkscs"])
@pytest.mark.parametrize("length", [1, 4])
def test_shorter_text_is_refused_rather_than_misread(encoding: str, length: int) -> None:
    """Of 4 characters without a declared charset none is misread, of 1 at most one in fifty."""
    counts = outcomes(encoding, length, 200)
    assert counts["wrong"] <= (0 if length == 4 else 0.02) * counts.total()
    assert counts["right"] >= (0.97 if length == 4 else 0.4) * counts.total()


@pytest.mark.parametrize("encoding", UNMARKED)
def test_a_declared_charset_settles_a_short_text(encoding: str) -> None:
    """With the right charset declared even single characters come back."""
    text = text_for(encoding)
    for character in {c for c in text if "\u4e00" <= c <= "\u9fff"}:
        try:
            content = character.encode(encoding)
        except UnicodeEncodeError:
            continue
        assert decode(content, declared=encoding).text == character


@pytest.mark.parametrize(("declared", "actual"), list(itertools.permutations(UNMARKED, 2)))
def test_a_wrong_charset_is_not_believed(declared: str, actual: str) -> None:
    """Forty characters are read in the encoding they are in, whatever is declared."""
    text = text_for(actual)
    for piece in pieces(text, 40, 10):
        try:
            content = piece.encode(actual)
        except UnicodeEncodeError:
            continue
        decoded = decode(content, declared=declared)
        assert decoded.text == piece
        if {declared, actual} != {"cp950", "big5hkscs"}:
            assert "声明的编码" in decoded.warnings[0]


def test_big5_is_never_read_as_gb18030() -> None:
    """The trap: these bytes decode as GB18030 without an error, and into nonsense."""
    content = SCRIPTS["s2tw"][:37].encode("big5")
    assert content.decode("gb18030") != SCRIPTS["s2tw"][:37]
    decoded = decode(content)
    assert decoded.text == SCRIPTS["s2tw"][:37]
    assert decoded.warnings == ("没有注明文字编码，按 Big5 读取，请核对",)


def test_gbk_that_is_also_valid_utf8_is_read_as_gbk() -> None:
    """Some Chinese in GBK happens to be UTF-8 of rare letters; the common characters win."""
    text = "通讯员学习知识"
    assert text.encode("gbk").decode("utf-8") != text
    assert decode(text.encode("gbk")).text == text


def test_traditional_characters_in_gbk_are_read() -> None:
    """GBK holds Traditional characters too."""
    text = SCRIPTS["s2t"]
    assert decode(text.encode("gbk")).text == text


@pytest.mark.parametrize("encoding", UNMARKED)
def test_a_broken_byte_is_named_by_its_place(encoding: str) -> None:
    """0xFF is in none of the 8-bit encodings; the refusal counts to it from 1."""
    text = text_for(encoding)
    before, after = text[:60].encode(encoding), text[60:90].encode(encoding)
    hole = b"\x00\xd8" if encoding == "utf-16-le" else b"\xd8\x00"
    hole = hole if encoding.startswith("utf-16") else b"\xff"
    with pytest.raises(UnknownEncoding, match=f"第 {len(before) + 1} 个字节"):
        decode(before + hole + after)


@pytest.mark.parametrize("encoding", UNMARKED)
def test_a_file_cut_in_the_middle_of_a_character_is_refused_as_such(encoding: str) -> None:
    """Half a character at the end means that the rest of the file is missing too."""
    text = text_for(encoding)
    assert text[31] > "\x7f"
    with pytest.raises(UnknownEncoding, match="没有传完整"):
        decode(text[:32].encode(encoding)[:-1])


def test_a_broken_byte_far_behind_the_sample_is_found() -> None:
    """The guess is made on a sample, the reading on every byte."""
    content = SIMPLIFIED.encode("gb18030") * 2000
    assert len(content) > 1 << 18
    with pytest.raises(UnknownEncoding, match=f"第 {len(content) + 1} 个字节"):
        decode(content + b"\xff" + content)


def test_a_long_head_of_markup_does_not_hide_the_text() -> None:
    """The sample starts where ASCII ends."""
    text = "<style>" + "p{margin:0}" * 50_000 + "</style>" + SCRIPTS["s2t"]
    assert decode(text.encode("big5hkscs")).text == text


@pytest.mark.parametrize("label", ["zlib", "rot13", "idna", "unicode_escape", "klingon", "\x00"])
def test_a_name_that_is_no_charset_reaches_no_codec(label: str) -> None:
    """Python knows codecs that unpack or transform; headers must not choose them."""
    decoded = decode(SIMPLIFIED.encode(), declared=label)
    assert decoded.text == SIMPLIFIED
    assert "不认识声明的编码" in decoded.warnings[0]


def test_windows_quotes_are_read_when_declared() -> None:
    """English mail declared as Latin-1 is really Windows-1252."""
    text = "It’s the county’s “green” park."
    assert decode(text.encode("cp1252"), declared="iso-8859-1").text == text


def test_chinese_declared_as_latin1_is_still_chinese() -> None:
    """Every byte string is valid Latin-1, so that declaration proves nothing."""
    assert decode(SIMPLIFIED.encode("gbk"), declared="iso-8859-1").text == SIMPLIFIED


def test_hz_mail_is_read() -> None:
    """HZ is seven-bit and only a header tells it from ASCII."""
    assert decode(SIMPLIFIED.encode("hz"), declared="HZ-GB-2312").text == SIMPLIFIED


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([None, "utf-8", "gbk", "big5", "utf-16", "hz"]))
def test_any_bytes_are_text_or_refused(content: bytes, declared: str | None) -> None:
    """Whatever the bytes, there is text without lone surrogates or UnknownEncoding."""
    try:
        text = decode(content, declared=declared).text
    except UnknownEncoding as refusal:
        assert refusal.fix
    else:
        text.encode("utf-8")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_utf8_text_with_a_mark_comes_back(text: str) -> None:
    """A byte order mark leaves nothing to guess."""
    assert decode(b"\xef\xbb\xbf" + text.encode()).text == text
    assert decode(b"\xff\xfe" + text.encode("utf-16-le")).text == text


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_a_shown_name_can_be_stored(name: str) -> None:
    """Names with lone surrogates or control characters lose those and nothing else."""
    shown = read_name(name)
    shown.encode("utf-8")
    assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in shown)
    if name.isprintable():
        assert shown == name


def test_a_name_in_gbk_bytes_is_read() -> None:
    """A folder unpacked from a Windows zip has such names on Linux."""
    name = "招商引资项目集中签约.txt".encode("gbk").decode("utf-8", "surrogateescape")
    assert read_name(name) == "招商引资项目集中签约.txt"


def test_text_converted_wrongly_elsewhere_is_noticed() -> None:
    """UTF-8 read as GBK and saved again is valid UTF-8 and still nonsense."""
    assert looks_garbled(SIMPLIFIED.encode().decode("gb18030", "ignore"))
    assert not any(looks_garbled(text) for text in SCRIPTS.values())


@pytest.mark.no_cover
def test_the_table_is_what_jieba_and_opencc_count() -> None:
    """Counting again from the installed dictionaries gives the committed table."""
    dictionary = Path(jieba.__file__).with_name("dict.txt").read_text(encoding="utf-8")
    words = [line.split(" ")[0] for line in dictionary.splitlines()]
    counts = [int(line.split(" ")[1]) for line in dictionary.splitlines()]
    simplified: Counter[str] = Counter()
    traditional: Counter[str] = Counter()
    for word, count in zip(words, counts, strict=True):
        for character in word:
            simplified[character] += count
    for name in ("s2t", "s2tw", "s2hk"):
        converted = opencc.OpenCC(name).convert("\n".join(words)).split("\n")
        for word, count in zip(converted, counts, strict=True):
            for character in word:
                traditional[character] += count
    shares: Counter[str] = Counter()
    for counter in (simplified, traditional):
        han = {c: n for c, n in counter.items() if "\u4e00" <= c <= "\u9fff"}
        for character, count in han.items():
            shares[character] += count / sum(han.values()) / 2  # type: ignore[assignment]
    rare = {c: int(-math.log2(share)) for c, share in shares.items()}
    assert {c: b for b, row in COMMON.items() for c in row} == {
        c: b for c, b in rare.items() if b <= 16
    }
