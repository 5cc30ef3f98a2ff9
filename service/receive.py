"""The one way in for every submission, whether by HTTP, desk, folder or mail.

Bytes become documents, documents become pieces (a page several), pieces get their slip and their
tags, and all of them are stored in one transaction before anybody is answered.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classifier.article import Article, Decision, Tagging
from classifier.cleaning import clean
from classifier.dateline import read_dateline
from classifier.errors import InputRefused
from classifier.evidence import unsettled_themes
from classifier.model import check_article
from classifier.page import split_page
from service.intake import Document, Limits, read_in_sandbox
from service.slip import slip_of
from service.store.records import Added, KeyUse, NewSubmission, StoredReply, Submission, storable

if TYPE_CHECKING:
    from classifier.model import Classifier
    from service.store import Store

_TAGGED_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Piece:
    """One article on its way in; what is None the article itself is asked."""

    text: str
    title: str = ""
    external_id: str = ""
    byline: str | None = None
    place: str | None = None
    section: str | None = None
    kind: str | None = None
    page: str | None = None  # the same for all pieces of one page
    position: int = 0
    name: str = ""
    format: str = "json"
    original: bytes | None = None
    warnings: tuple[str, ...] = ()


def read_pieces(
    content: bytes,
    *,
    name: str = "",
    page: bool = False,
    charset: str | None = None,
    external_id: str = "",
    limits: Limits | None = None,
) -> tuple[Piece, ...]:
    """The articles in a file: one for each document, or with `page` all that stand on its page.

    The file is read in a process of its own. Raises InputRefused that names the file, and Busy.
    """
    documents = read_in_sandbox(content, name=name, charset=charset, limits=limits)
    pieces: list[Piece] = []
    for document in documents:
        read = page_pieces(document.text) if page else (_headed(document),)
        pieces += [
            Piece(
                text=piece.text,
                title=piece.title,
                external_id=external_id,
                byline=piece.byline,
                place=piece.place,
                section=piece.section,
                kind=piece.kind,
                page=piece.page,
                position=len(pieces) + place,
                name=document.name or name,
                format=document.format,
                original=content,
                warnings=document.warnings,
            )
            for place, piece in enumerate(read)
        ]
    return tuple(pieces)


def page_pieces(text: str) -> tuple[Piece, ...]:
    """The articles of a newspaper page's text, in reading order.

    >>> page = "镇里修路\\n\\n本报微山讯(通讯员 王明)路修好了。\\n\\n村里清河\\n\\n本报讯 河清了。"
    >>> [(piece.title, piece.place) for piece in page_pieces(page)]
    [('镇里修路', '微山'), ('村里清河', None)]
    """
    page = secrets.token_hex(8)
    return tuple(
        Piece(
            text=one.text,
            title=one.title,
            byline=one.byline,
            place=one.place,
            section=one.section,
            kind=one.kind,
            page=page,
            position=position,
        )
        for position, one in enumerate(split_page(text))
    )


def receive(
    store: Store,
    model: Classifier | None,
    pieces: Sequence[Piece],
    *,
    source: str,
    by: str = "",
    key: KeyUse | None = None,
    reply: Callable[[tuple[Submission, ...]], StoredReply] | None = None,
) -> Added:
    """Store, tag and announce pieces; all or none, and only once for the same key.

    Without a model they are stored untagged (`tag_waiting` follows up): what came in is kept
    whatever happens. Raises InputRefused that names the piece, KeyReused, StorageFull, Busy.
    """
    articles = [Article(storable(piece.text), storable(piece.title)) for piece in pieces]
    for number, (piece, article) in enumerate(zip(pieces, articles, strict=True)):
        try:
            check_article(article)
        except InputRefused as refusal:
            refusal.where = piece.external_id or piece.name or f"articles.{number}"
            raise
    taggings: Sequence[Tagging | None] = (
        [None] * len(articles) if model is None else [*model.tag_many(articles)]
    )
    new = [
        _submission(
            piece,
            article,
            source=source,
            by=by,
            tagging=tagging,
            doubt=0.0 if model is None or tagging is None else doubt(model, tagging),
        )
        for piece, article, tagging in zip(pieces, articles, taggings, strict=True)
    ]
    return store.submissions.add(new, key=key, reply=reply)


def tag_waiting(store: Store, model: Classifier) -> int:
    """Tag what came in while there was no model; returns how many."""
    tagged = 0
    while waiting := store.submissions.untagged(limit=_TAGGED_TOGETHER):
        taggings = model.tag_many([one.article for one in waiting])
        for one, tagging in zip(waiting, taggings, strict=True):
            store.submissions.add_tagging(one.id, tagging, doubt=doubt(model, tagging))
        tagged += len(waiting)
    return tagged


def doubt(model: Classifier, tagging: Tagging) -> float:
    """How much an editor should look at a tagging, 0 to 1: its least settled theme decides.

    One that is in doubt only because the model knows too few of its words is the more doubtful the
    fewer it knows.
    """
    unsettled = [tagging.scores[theme] for theme in unsettled_themes(model, tagging)]
    if tagging.decision is Decision.REVIEW and not unsettled:
        return 1.0 - tagging.coverage
    asked = unsettled or tagging.scores.values()
    return max((1.0 - abs(2.0 * probability - 1.0) for probability in asked), default=0.0)


def fingerprint(title: str, text: str) -> str:
    """The same for two texts that differ only in white space, width, dateline or byline.

    >>> one = fingerprint("河长巡河", "本报微山讯（通讯员　王明）捞起垃圾30斤。")
    >>> one == fingerprint("", "河长巡河\\n捞起 垃圾３０斤。"), one == fingerprint("河长巡河", "捞起垃圾31斤。")
    (True, False)
    """
    kept = _letters(title) + _letters(text)
    if not kept:
        kept = "".join((title + text).split())
    return hashlib.sha256(kept.encode("utf-8", "surrogatepass")).hexdigest()


def _letters(words: str) -> str:
    cleaned = clean(words)
    characters = cleaned.codes.tobytes().decode("utf-16-le", "surrogatepass")
    # The model reads all digits as 0; but 30 pounds are another text than 31.
    return "".join(
        unicodedata.normalize("NFKC", words[at]) if character == "0" else character
        for character, at in zip(characters, cleaned.offsets, strict=True)
        if character != "\0"
    )


def _headed(document: Document) -> Piece:
    """A document as one article; its first line is the headline where it reads as one."""
    if document.title:
        return Piece(document.text, document.title)
    first, _, rest = document.text.strip().partition("\n")
    split = split_page(document.text) if rest.strip() else ()
    if len(split) == 1 and split[0].title == first.strip():
        return Piece(rest, split[0].title)
    return Piece(document.text)


def _submission(
    piece: Piece,
    article: Article,
    *,
    source: str,
    by: str,
    tagging: Tagging | None,
    doubt: float,
) -> NewSubmission:
    slip = slip_of(article.title, article.text, byline=piece.byline, place=piece.place)
    origin = read_dateline(article.text)
    return NewSubmission(
        title=article.title,
        text=article.text,
        source=source,
        fingerprint=fingerprint(article.title, article.text),
        external_id=piece.external_id,
        name=piece.name,
        format=piece.format,
        original=piece.original,
        place=slip.place or piece.place or origin.place,
        city=slip.city,
        county=slip.county,
        town=slip.town,
        byline=piece.byline or origin.byline,
        names=slip.correspondents,
        unit=slip.unit,
        section=piece.section,
        kind=piece.kind or slip.kind,
        length=slip.characters,
        page=piece.page,
        position=piece.position,
        warnings=piece.warnings,
        tagging=tagging,
        doubt=doubt,
        by=by,
    )
