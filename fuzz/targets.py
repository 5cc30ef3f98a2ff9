"""What is fuzzed: each target takes any bytes and lets nothing through but refusals.

A target raises when a claim of the product fails; what a fuzzer found once is kept in
`fuzz/found/TARGET/` and tried again by the tests.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from classifier.cleaning import clean
from classifier.errors import GaoqianError
from classifier.model import ARRAYS, MANIFEST, digest, load
from classifier.page import split_page
from service.intake import Limits, read_document
from service.intake.encoding import decode

Target = Callable[[bytes], None]

SMALL = Limits(pages=20, lines=2_000, characters=100_000, unpacked_bytes=4 * 1024 * 1024)
_ENCODINGS = ("utf-8", "gb18030", "utf-16-le")


def _text(data: bytes) -> str:
    """Any text; the first byte chooses how the others are read."""
    encoding = _ENCODINGS[data[0] % len(_ENCODINGS)] if data else "utf-8"
    return data[1:].decode(encoding, "replace")


def splitting(data: bytes) -> None:
    """No letter of a page is lost or doubled."""
    text = _text(data)
    told: list[str] = []
    section = None
    for piece in split_page(text):
        if piece.section != section:  # told once for all the pieces under it
            told.append(piece.section or "")
        section = piece.section
        told += [piece.title, piece.text]
    if sorted(_letters("".join(told))) != sorted(_letters(text)):
        raise AssertionError("a letter was lost or doubled")


def _letters(text: str) -> Iterator[str]:
    return (character for character in text if character.isalnum())


def cleaning(data: bytes) -> None:
    """Codes have rising places in the text."""
    text = _text(data)
    offsets = clean(text).offsets.tolist()
    if offsets != sorted(offsets) or (offsets and not 0 <= offsets[-1] < len(text)):
        raise AssertionError("a code has no place in the text")


def charset(data: bytes) -> None:
    """Bytes are text that can be stored, or refused."""
    try:
        decode(data, declared=None).text.encode("utf-8")
    except GaoqianError:
        return


def intake(data: bytes) -> None:
    """A file of any format is documents that can be stored, or refused."""
    try:
        documents = read_document(data, limits=SMALL)
    except GaoqianError:
        return
    for document in documents:
        document.text.encode("utf-8")


def arrays(data: bytes) -> None:
    """Arrays that a manifest vouches for are a model or refused."""
    _load(_base(), data)


def manifest(data: bytes) -> None:
    """A manifest that is whole by its own digest is a model's or refused."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(told, dict):
        _load({**_base(), **told}, _packed())


def _base() -> dict[str, object]:
    from classifier import cleaning as rules
    from classifier.model import FEATURES, FORMAT
    from classifier.tokens import dictionary_digest

    cutoffs = {"slope": 1.0, "offset": 0.0, "accept": 0.5, "sure_in": None, "sure_out": None}
    theme = {"slug": "environment", "name": "环境", "definition": "", "examples": []}
    return {
        "format": FORMAT,
        "id": "20261124-aaaaaa",
        "created": "2026-11-24T08:30:00+00:00",
        "themes": [{**theme, "cutoffs": cutoffs, "promise": {}}],
        "features": FEATURES,
        "tokenizer": {"name": "jieba", "dictionary": dictionary_digest(), "user_words": []},
        "cleaning": rules.VERSION,
        "coverage_floor": 0.5,
        "size_floor": 10,
        "training": {},
        "probes": [],
    }


def _load(record: dict[str, object], packed: bytes) -> None:
    """Load a model whose digests all fit."""
    record = {"arrays": {"sha256": digest(packed), "bytes": len(packed)}, **record}
    record.pop("digest", None)
    try:
        whole = json.dumps(record, ensure_ascii=False, sort_keys=True).encode()
    except UnicodeEncodeError:
        return  # lone surrogates: no digest could be written for them
    record["digest"] = digest(whole)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / MANIFEST).write_text(json.dumps(record, ensure_ascii=False), "utf-8")
        (folder / ARRAYS).write_bytes(packed)
        try:
            load(folder)
        except GaoqianError:
            return


TARGETS: dict[str, Target] = {
    "splitting": splitting,
    "cleaning": cleaning,
    "charset": charset,
    "docx": intake,
    "pdf": intake,
    "mail": intake,
    "webpage": intake,
    "arrays": arrays,
    "manifest": manifest,
}


def seeds(name: str) -> list[bytes]:
    """Whole inputs to start from, most of them by the tests' own makers."""
    from made_files import SENTENCES, document_xml, docx, mail, paragraph, pdf_of_pages

    text = "\n".join(SENTENCES)
    found: dict[str, list[bytes]] = {
        "splitting": [b"\0" + text.encode(), b"\1" + text.encode("gb18030")],
        "cleaning": [b"\0" + text.encode(), b"\2" + text.encode("utf-16-le")],
        "charset": [text.encode(one) for one in ("utf-8", "gb18030", "utf-16")],
        "docx": [docx(document_xml("".join(map(paragraph, SENTENCES))), stored=True)],
        "pdf": [pdf_of_pages([SENTENCES[:3]])],
        "mail": [mail(text.encode(), "Subject: =?utf-8?b?5rKz6ZW/?=", "Content-Type: text/plain")],
        "webpage": [f"<html><title>河长</title><p>{'<p>'.join(SENTENCES)}</html>".encode()],
        "arrays": [_packed()],
        "manifest": [b"{}", b'{"themes": [{}], "probes": [1], "size_floor": "x"}'],
    }
    return found[name]


@cache
def _packed() -> bytes:
    import numpy as np

    from classifier.features import displacements_of
    from classifier.model import Arrays, pack

    words, grams = ("河长", "垃圾"), ("河长", "清理")
    return pack(
        Arrays(
            words=words,
            grams=grams,
            displacements=displacements_of(words, grams),
            idf=np.ones(4),
            weights=np.zeros((4, 1)),
            bias=np.zeros(1),
        )
    )
