"""A trained model: read, checked, and only then built; then asked for slips.

A model is a folder with two files. `manifest.json` says what the model is and what the arrays must
be; `arrays.npz` holds numbers and nothing else. Loading runs no code from either: the manifest is
read with a size limit, its own digest and the arrays' are compared, every shape is checked against
the manifest, and the first object of the model is made after that.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import cleaning
from classifier.article import MAX_CHARS, Article, Decision, Tagging
from classifier.errors import EmptyArticle, ModelDamaged, ModelForeign, ModelMissing, TooLarge
from classifier.features import (
    BLOCKS,
    GRAM_LENGTHS,
    TITLE_COUNTS,
    Counts,
    Displacements,
    Lexicon,
    read_fields,
)
from classifier.memory import gather_in_huge_pages
from classifier.themes import Theme, theme_from_json
from classifier.tokens import Tokenizer, TokenizerSpec, open_tokenizer

# Format 1: one table of keys. 2: words and pairs apart, the commonest features first.
FORMAT = 2
MANIFEST, ARRAYS = "manifest.json", "arrays.npz"
MAX_MANIFEST_BYTES = 4_000_000
MAX_ARRAY_BYTES = 1_000_000_000

CHUNK_CHARS = 8_000

# Sublinear tf of every count there can be: looking up is four times as fast as a logarithm.
_FREQUENCIES = 1.0 + np.log(np.maximum(np.arange(TITLE_COUNTS * MAX_CHARS + 1), 1))

FEATURES = {"gram_lengths": [*GRAM_LENGTHS], "title_counts": TITLE_COUNTS}

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What turns one theme's score into a probability and a verdict."""

    slope: float  # logit = slope * score + offset (Platt 1999), fitted out of fold
    offset: float
    accept: float  # probability from which the theme is among an article's themes
    sure_in: float | None  # probability from which it is settled as in; None: never
    sure_out: float | None  # probability below which it is settled as out; None: never

    def as_json(self) -> dict[str, float | None]:
        """The manifest's form."""
        return {name: getattr(self, name) for name in self.__slots__}


class Verdicts:
    """The cut-offs of all themes side by side."""

    def __init__(self, cutoffs: Sequence[Cutoffs]) -> None:
        self._accept = np.array([own.accept for own in cutoffs])
        # In or out of an article's themes beyond doubt; what is never settled is out of reach.
        self._sure_in = np.array(
            [np.inf if own.sure_in is None else max(own.sure_in, own.accept) for own in cutoffs]
        )
        self._sure_out = np.array(
            [-np.inf if own.sure_out is None else min(own.sure_out, own.accept) for own in cutoffs]
        )

    def on(self, probabilities: Floats) -> tuple[Labels, Labels]:
        """(articles, themes) which themes each has, and (articles,) whether all are beyond doubt."""
        sure = probabilities >= self._sure_in
        sure |= probabilities < self._sure_out
        settled: Labels = np.logical_and.reduce(sure, axis=1)
        return probabilities >= self._accept, settled


@dataclass(frozen=True, slots=True)
class Arrays:
    """The numbers of a model; V features, T themes."""

    words: tuple[str, ...]
    grams: tuple[str, ...]
    displacements: Displacements
    idf: Floats  # (V,)
    weights: Floats  # (V, T), scaled per block
    bias: Floats  # (T,)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model is; everything but the numbers."""

    id: str
    created: str  # ISO 8601
    themes: tuple[Theme, ...]
    cutoffs: tuple[Cutoffs, ...]  # one per theme
    promises: tuple[dict[str, Any], ...]  # one per theme, as the report words them
    tokenizer: TokenizerSpec
    coverage_floor: float  # an article that the model knows less of is never settled
    size_floor: int  # nor one with fewer known features, each counted once
    training: dict[str, Any]  # counts, digests, versions, scores
    probes: tuple[dict[str, Any], ...] = ()  # texts and their scores, to try before serving

    @property
    def slugs(self) -> tuple[str, ...]:
        """The themes' slugs, in the order of the arrays."""
        return tuple(theme.slug for theme in self.themes)

    def as_json(self) -> dict[str, Any]:
        """The form in `manifest.json`, without the digests."""
        return {
            "format": FORMAT,
            "id": self.id,
            "created": self.created,
            "themes": [
                {**theme.as_json(), "cutoffs": cutoffs.as_json(), "promise": promise}
                for theme, cutoffs, promise in zip(
                    self.themes, self.cutoffs, self.promises, strict=True
                )
            ],
            "features": FEATURES,
            "tokenizer": self.tokenizer.as_json(),
            "cleaning": cleaning.VERSION,
            "coverage_floor": self.coverage_floor,
            "size_floor": self.size_floor,
            "training": self.training,
            "probes": [*self.probes],
        }


class Classifier:
    """A model in memory; only reads, so any number of threads may ask it at once."""

    def __init__(self, manifest: Manifest, arrays: Arrays, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.lexicon = Lexicon(arrays.words, arrays.grams, arrays.displacements)
        self.idf = arrays.idf
        self.weights = arrays.weights
        self.bias = arrays.bias
        self._table = _table(arrays.idf, arrays.weights)
        self._decide_by(manifest)

    def _decide_by(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._slugs = manifest.slugs
        self._slopes = np.array([own.slope for own in manifest.cutoffs])
        self._offsets = np.array([own.offset for own in manifest.cutoffs])
        self._verdicts = Verdicts(manifest.cutoffs)

    @property
    def id(self) -> str:
        """The model's version id, as in every receipt."""
        return self.manifest.id

    def tag(self, article: Article) -> Tagging:
        """One article's slip.

        Raises EmptyArticle where there is nothing to read, TooLarge beyond `MAX_CHARS`.
        """
        return self._tag_chunk([article])[0]

    def tag_many(
        self, articles: Iterable[Article], *, chunk: int = CHUNK_CHARS
    ) -> Iterator[Tagging]:
        """The slips of many articles, in order; the same numbers as one at a time.

        They are scored together by `chunk` characters: as many as the processor's cache holds.
        """
        batch: list[Article] = []
        length = 0
        for article in articles:
            batch.append(article)
            length += len(article.title) + len(article.text)
            if length >= chunk:
                yield from self._tag_chunk(batch)
                batch, length = [], 0
        if batch:
            yield from self._tag_chunk(batch)

    def scores(self, articles: Sequence[Article]) -> Floats:
        """The linear model's raw scores, (articles, themes); what scikit-learn would say."""
        return self._score(articles)[0]

    def values(self, counts: Counts) -> Floats:
        """Sublinear tf times idf, each block of each article scaled to length one."""
        values = _FREQUENCIES.take(counts.counts) * self.idf.take(counts.rows)
        lengths = np.sqrt(_sums(values[:, np.newaxis] ** 2, counts.starts))
        values /= np.repeat(lengths[:, 0], np.diff(counts.starts))
        return values

    def logits(self, scores: Floats) -> Floats:
        """Calibrated log-odds of raw scores, theme by theme."""
        return np.asarray(scores * self._slopes + self._offsets)

    def _score(self, articles: Sequence[Article]) -> tuple[Floats, Counts]:
        counts = self.lexicon.count(read_fields(articles), self.tokenizer)
        frequencies = _FREQUENCIES.take(counts.counts)
        weighed = self._table.take(counts.rows, axis=0)  # five times as fast as an index
        weighed *= frequencies[:, np.newaxis]
        weighed[:, -1] *= frequencies
        blocks = _sums(weighed, counts.starts)
        lengths = np.sqrt(blocks[:, -1:])
        lengths += lengths == 0
        scaled = blocks[:, :-1] / lengths
        words, grams = scaled[::BLOCKS], scaled[1::BLOCKS]
        scores = words + grams
        scores += self.bias
        return scores, counts

    def _tag_chunk(self, articles: Sequence[Article]) -> list[Tagging]:
        for article in articles:
            check_article(article)
        scores, counts = self._score(articles)
        probabilities = sigmoid(self.logits(scores))
        accepted, settled = self._verdicts.on(probabilities)
        slips = zip(
            articles,
            probabilities.tolist(),
            accepted.tolist(),
            settled.tolist(),
            counts.known.tolist(),
            counts.distinct.tolist(),
            strict=True,
        )
        return [self._slip(*slip) for slip in slips]

    def _slip(
        self,
        article: Article,
        row: list[float],
        accepted: list[bool],
        settled: bool,
        known: float,
        distinct: int,
    ) -> Tagging:
        own = zip(row, self._slugs, accepted, strict=True)
        themes = sorted([(-probability, slug) for probability, slug, has in own if has])
        decision = Decision.REVIEW
        manifest = self.manifest
        if settled and known >= manifest.coverage_floor and distinct >= manifest.size_floor:
            decision = Decision.AUTO if themes else Decision.NONE
        return Tagging(
            id=article.id,
            title=article.title,
            themes=tuple([slug for _, slug in themes]),
            decision=decision,
            scores=dict(zip(self._slugs, row, strict=True)),
            coverage=known,
            model=manifest.id,
        )


def _table(idf: Floats, weights: Floats) -> Floats:
    """(V, T + 1): what a feature adds to each theme before scaling, and to the squared length."""
    return np.ascontiguousarray(np.column_stack((weights * idf[:, np.newaxis], idf * idf)))


def _sums(rows: Floats, starts: NDArray[np.intp]) -> Floats:
    """The sum of the rows of each block, each by itself: a batch gives the very bits of one."""
    has_any = starts[1:] > starts[:-1]
    filled = np.count_nonzero(has_any)
    if filled == len(has_any):
        return np.add.reduceat(rows, starts[:-1], axis=0)
    sums = np.zeros((len(has_any), rows.shape[1]))
    if filled:
        sums[has_any] = np.add.reduceat(rows, starts[:-1][has_any], axis=0)
    return sums


def check_article(article: Article) -> None:
    """Refuse what cannot be tagged: nothing at all, or more than `MAX_CHARS`."""
    length = len(article.title) + len(article.text)
    if length > MAX_CHARS:
        raise TooLarge(
            f"全文 {length} 字，超过上限 {MAX_CHARS} 字",
            where=article.id or article.title[:20],
            fix="请分篇后再投",
        )
    if not (article.text.strip() or article.title.strip()):
        raise EmptyArticle("标题和正文都是空的", where=article.id, fix="请补上正文")


def sigmoid(logits: Floats) -> Floats:
    """Probability from log-odds; no overflow at either end."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def digest(content: bytes) -> str:
    """The sha256 that manifests and receipts name files by."""
    return hashlib.sha256(content).hexdigest()


def pack(arrays: Arrays) -> bytes:
    """The bytes of `arrays.npz`; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        words=np.frombuffer("\n".join(arrays.words).encode("utf-8"), dtype=np.uint8),
        grams=np.frombuffer("\n".join(arrays.grams).encode("utf-8"), dtype=np.uint8),
        word_displacements=arrays.displacements.words,
        pair_displacements=arrays.displacements.pairs,
        idf=arrays.idf,
        weights=arrays.weights,
        bias=arrays.bias,
    )
    return buffer.getvalue()


def write_manifest(manifest: Manifest, packed: bytes) -> bytes:
    """The bytes of `manifest.json`, with the digests of the arrays and of itself."""
    record = manifest.as_json()
    record["arrays"] = {"sha256": digest(packed), "bytes": len(packed)}
    record["digest"] = _self_digest(record)
    return (json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _self_digest(record: dict[str, Any]) -> str:
    bare = {name: value for name, value in record.items() if name != "digest"}
    return digest(json.dumps(bare, ensure_ascii=False, sort_keys=True).encode())


def load(folder: Path) -> Classifier:
    """A model from its folder.

    Raises ModelMissing, ModelDamaged (files are not what the manifest says) or ModelForeign
    (another format, tokenizer, dictionary or cleaning); each says what to do.
    """
    record = read_manifest(folder)
    manifest = _manifest_from(record, folder)
    packed = _read_file(folder, ARRAYS, MAX_ARRAY_BYTES)
    if len(packed) != record["arrays"]["bytes"] or digest(packed) != record["arrays"]["sha256"]:
        raise _damaged(folder, f"{ARRAYS} 与清单中的摘要不符")
    tokenizer = open_tokenizer(manifest.tokenizer)
    model = Classifier(manifest, _unpack(packed, len(manifest.themes), folder), tokenizer)
    gather_in_huge_pages()
    return model


def read_manifest(folder: Path) -> dict[str, Any]:
    """A model's manifest as JSON, its digest checked; raises as `load` does."""
    content = _read_file(folder, MANIFEST, MAX_MANIFEST_BYTES)
    try:
        record: dict[str, Any] = json.loads(content)
        whole = isinstance(record, dict) and record.get("digest") == _self_digest(record)
    except (ValueError, RecursionError):
        whole, record = False, {}
    if not whole:
        raise _damaged(folder, f"{MANIFEST} 内容不完整或被改动过")
    if record.get("format") != FORMAT:
        raise _foreign(folder, f"模型格式是 {record.get('format')}，本程序只读格式 {FORMAT}")
    if record.get("cleaning") != cleaning.VERSION:
        raise _foreign(
            folder, f"模型按清洗规则 {record.get('cleaning')} 训练，本程序是 {cleaning.VERSION}"
        )
    if record.get("features") != FEATURES:
        raise _foreign(folder, "模型的特征设置与本程序不同")
    return record


def _read_file(folder: Path, name: str, limit: int) -> bytes:
    path = folder / name
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except FileNotFoundError:
        raise ModelMissing(
            f"没有文件 {name}", where=str(folder), fix="请用 gaoqian models list 查看现有模型"
        ) from None
    except OSError as error:
        raise ModelDamaged(f"{name} 读不出来（{error.strerror}）", where=str(folder)) from None
    if len(content) > limit:
        raise _damaged(folder, f"{name} 超过 {limit} 字节")
    return content


def _manifest_from(record: dict[str, Any], folder: Path) -> Manifest:
    try:
        themes = record["themes"]
        spec = record["tokenizer"]
        return Manifest(
            id=str(record["id"]),
            created=str(record["created"]),
            themes=tuple(theme_from_json(theme) for theme in themes),
            cutoffs=tuple(Cutoffs(**theme["cutoffs"]) for theme in themes),
            promises=tuple(theme["promise"] for theme in themes),
            tokenizer=TokenizerSpec(spec["name"], spec["dictionary"], tuple(spec["user_words"])),
            coverage_floor=float(record["coverage_floor"]),
            size_floor=int(record["size_floor"]),
            training=dict(record["training"]),
            probes=tuple(record["probes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, f"{MANIFEST} 缺少或写错了 {error}") from None


def _unpack(packed: bytes, themes: int, folder: Path) -> Arrays:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            # Archive and arrays may claim any size; what they may is bounded by what was read.
            members = archive.infolist()
            if sum(member.file_size for member in members) > len(packed) or not all(
                _is_as_long_as_it_claims(archive, member) for member in members
            ):
                raise _damaged(folder, f"{ARRAYS} 自称的大小与实际不符")
        with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        words = tuple(arrays["words"].tobytes().decode("utf-8").split("\n"))
        grams = tuple(arrays["grams"].tobytes().decode("utf-8").split("\n"))
        features = len(words) + len(grams)
        expected = {
            "words": (np.uint8, arrays["words"].shape),
            "grams": (np.uint8, arrays["grams"].shape),
            **{
                name: (np.uint32, (len(arrays[name]),))
                for name in ("word_displacements", "pair_displacements")
            },
            "idf": (np.float64, (features,)),
            "weights": (np.float64, (features, themes)),
            "bias": (np.float64, (themes,)),
        }
    except (
        KeyError,
        TypeError,
        ValueError,
        OSError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
    ) as error:
        raise _damaged(folder, f"{ARRAYS} 读不成数组（{error}）") from None
    found = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    if found != {name: (np.dtype(kind), shape) for name, (kind, shape) in expected.items()}:
        raise _damaged(folder, f"{ARRAYS} 的数组大小互相矛盾")
    displacements = Displacements(arrays["word_displacements"], arrays["pair_displacements"])
    numbers = {name: arrays[name] for name in ("idf", "weights", "bias")}
    return Arrays(words=words, grams=grams, displacements=displacements, **numbers)


def _is_as_long_as_it_claims(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as stream:
        np.lib.format.read_magic(stream)
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        return stream.tell() + math.prod(shape) * kind.itemsize == member.file_size


def _damaged(folder: Path, what: str) -> ModelDamaged:
    return ModelDamaged(what, where=str(folder), fix="请用 gaoqian models rollback 换回上一版")


def _foreign(folder: Path, what: str) -> ModelForeign:
    return ModelForeign(what, where=str(folder), fix="请用 gaoqian train 重新训练")
