"""A newspaper page's text, cut into its articles.

What tells one article from the next is, in order of trust: a dateline or byline under a headline;
a credit that closes the article before; the white space of the page; and only then how a short
line looks. Nothing of the page is lost: title, section and text of all pieces hold each of its
characters once (a section once for all the pieces under it). The page's own lines (folio, date,
paper) go to the section of the piece below them, editors' lines to the end of the piece above.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from classifier.credit import Mark
from classifier.dateline import closing_mark, read_dateline
from classifier.headline import (
    Form,
    Head,
    find_heads,
    is_column,
    leads_with_place,
    names_one_piece,
)
from classifier.layout import CREDITS, Columns, Kind, Line, joined, read_lines

MAX_CAPTION = 300  # characters, credit included
MAX_BRIEF = 600

_PICTURE = re.compile(
    r"(?:^|[。；;！!\s])[（(]?(?:图为|圖為|图[①-⑨一二三四\d]|[上下左右题]图|资料图)"
)
_FOREWORD = re.compile(r"[【\[]?(?:编者按|编者的话|开栏的话|開欄的話|編者按)")
_CAMERA = re.compile(r"[摄攝图圖影]")
_LATE_NEWS = re.compile(r"(?:\d{1,2}月)?\d{1,2}日|近日|日前|昨日|连日来|正值|眼下|时下|为")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class PageArticle:
    """One piece of a page, in reading order."""

    id: str  # "a01", "a02" … on its page
    title: str  # the lines of the headline with one space between them; "" where there is none
    text: str  # all else of the piece, dateline and credits included; paragraphs end in "\n"
    byline: str | None
    place: str | None
    section: str | None  # headline or column above it, or the page's own lines
    kind: Literal["article", "caption"]
    spans: tuple[tuple[int, int], ...] = ()  # half-open offsets in the page of title and text

    def as_json(self) -> dict[str, Any]:
        """The contract's form: one JSON object, fields in its order."""
        return {
            "id": self.id,
            "title": self.title,
            "text": self.text,
            "byline": self.byline,
            "place": self.place,
            "section": self.section,
            "kind": self.kind,
        }


def split_page(page: str) -> tuple[PageArticle, ...]:
    """Cut a page's text into its articles and captions; total on any string, linear in its length.

    >>> page = "镇里修路\\n\\n本报微山讯(通讯员 王明)路修好\\n了。\\n\\n村里清河\\n\\n本报讯 河清了。"
    >>> [(a.id, a.title, a.text, a.place) for a in split_page(page)]  # doctest: +NORMALIZE_WHITESPACE
    [('a01', '镇里修路', '本报微山讯(通讯员 王明)路修好了。', '微山'),
     ('a02', '村里清河', '本报讯 河清了。', None)]
    """
    lines = read_lines(page)
    columns = Columns(lines)
    heads, subheadings = find_heads(lines, columns)
    blocks = _blocks(lines, columns, heads, subheadings)
    pieces = _Desk(lines, blocks).pieces()
    _spread_sections(lines, pieces)
    return tuple(
        piece.finished(f"a{number:02d}", lines) for number, piece in enumerate(pieces, start=1)
    )


@dataclass(slots=True)
class _Block:
    """Lines that stay together: a head, a paragraph, or the page's own lines."""

    lines: list[int]
    head: Head | None = None
    own: bool = False  # folio, date, imprint


@dataclass(slots=True)
class _Piece:
    """An article while its paragraphs are gathered."""

    head: Head | None = None
    paragraphs: list[list[int]] = field(default_factory=list)
    above: list[int] = field(default_factory=list)  # lines of section or of the page's own
    below: list[int] = field(default_factory=list)  # the page's own lines that follow it
    caption: bool = False
    section: str | None = None

    def first(self) -> int:
        """Number of its first line."""
        return self.head.title.start if self.head and self.head.title else self.paragraphs[0][0]

    def title(self, lines: Sequence[Line]) -> str:
        """Its headline."""
        rows = self.head.title if self.head else range(0)
        return _SPACES.sub(" ", " ".join(lines[at].text for at in rows))

    def text(self, lines: Sequence[Line]) -> str:
        """Its paragraphs, broken sentences rejoined."""
        return "\n".join(joined(lines, paragraph) for paragraph in self.paragraphs)

    def finished(self, id: str, lines: Sequence[Line]) -> PageArticle:
        """The piece as others see it."""
        text = self.text(lines)
        origin = read_dateline(text)
        title_rows = self.head.title if self.head else range(0)
        rows = [*title_rows, *(row for rows in self.paragraphs for row in rows), *self.below]
        return PageArticle(
            id,
            self.title(lines),
            "\n".join([text, *(lines[row].text for row in self.below)]),
            origin.byline,
            origin.place,
            self.section,
            "caption" if self.caption else "article",
            _spans(lines, rows),
        )


def _spans(lines: Sequence[Line], rows: Sequence[int]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for at, row in enumerate(rows):
        if at and rows[at - 1] == row - 1:
            spans[-1] = (spans[-1][0], lines[row].end)
        else:
            spans.append((lines[row].start, lines[row].end))
    return tuple(spans)


def _blocks(
    lines: Sequence[Line], columns: Columns, heads: Sequence[Head], subheadings: set[int]
) -> list[_Block]:
    """Gather the lines of the page into heads, paragraphs and the page's own lines."""
    by_first = {head.first: head for head in heads}
    blocks: list[_Block] = []
    at = 0
    while at < len(lines):
        if head := by_first.get(at):
            blocks.append(_Block([*head.section, *head.title], head))
            if at < head.body:
                at = head.body
                continue
        last = blocks[-1] if blocks else None
        own = lines[at].kind in (Kind.FURNITURE, Kind.RULE)
        fresh = last is None or last.head is not None or last.own or own
        apart = at in subheadings or at - 1 in subheadings
        if fresh or apart or columns.starts_paragraph(at):
            blocks.append(_Block([at], own=own))
        else:
            blocks[-1].lines.append(at)
        at += 1
    return blocks


class _Desk:
    """Deals the blocks out to pieces."""

    def __init__(self, lines: Sequence[Line], blocks: Sequence[_Block]) -> None:
        self.lines, self.blocks = lines, blocks
        self.dealt: list[_Piece] = []
        self.open: _Piece | None = None  # the article whose text may go on
        self.latest: _Piece | None = None  # the piece that the line above belongs to
        self.waiting: list[int] = []  # the page's own lines, for the piece below them
        self.sections: set[str] = set()
        self.taken = -1  # a credit line that went with the caption above it
        gaps = sorted(
            lines[b.lines[0]].gap
            for a, b in pairwise(blocks)
            if a.lines and b.lines and not (a.head or b.head or a.own or b.own)
        )
        self.paragraph_gap = gaps[len(gaps) // 2] if gaps else 0
        self.next_text = [len(blocks)] * len(blocks)  # the next block that is not the page's own
        for at in range(len(blocks) - 2, -1, -1):
            self.next_text[at] = self.next_text[at + 1] if blocks[at + 1].own else at + 1

    def pieces(self) -> list[_Piece]:
        """All pieces, by their first line."""
        for at, block in enumerate(self.blocks):
            if at == self.taken:
                continue
            if block.head is not None:
                self._open(self._over_pictures(at, block.head))
            elif block.own:
                self._keep_own(at)
            elif self._is_caption(at):
                self._deal_caption(at)
            else:
                below = self.blocks[at + 1].head if at + 1 < len(self.blocks) else None
                self._deal(block.lines, above_head=below is not None)
        if self.waiting and self.latest is not None:
            self.latest.below += self.waiting
        elif self.waiting:
            self._start(_Piece(paragraphs=[[row] for row in self.waiting]))
        return sorted(self._settled(), key=_Piece.first)

    def _start(self, piece: _Piece) -> None:
        self.dealt.append(piece)
        self.latest = piece
        if not piece.caption:
            self.open = piece

    def _open(self, head: Head) -> None:
        if len(self.dealt) == 1 and self._is_covering_note(self.dealt[0], head):
            note = self.dealt.pop()
            rows = [row for paragraph in note.paragraphs for row in paragraph]
            self.waiting = [*note.above, *rows, *note.below, *self.waiting]
            self.open = self.latest = None
            self.sections.clear()
        if head.section and not self._is_new(head.section):
            # A label that stands above every second headline: to each its own.
            head = replace(head, section=head.section[:0], title=range(head.first, head.body))
        self._start(_Piece(head, above=self._above()))

    def _over_pictures(self, at: int, head: Head) -> Head:
        """The head at block `at`, its title as a section where it is 图片新闻 over captions."""
        if head.section or not head.title or not self._is_text(at + 1):
            return head
        name = "".join(self.lines[row].text for row in head.title)
        if not is_column(name) or not self._is_of_picture(at + 1):
            return head
        return replace(head, section=head.title, title=range(head.body, head.body))

    def _is_of_picture(self, at: int) -> bool:
        return self._shows_picture(at) or self._credit_at(at + 1)

    def _is_new(self, rows: Sequence[int]) -> bool:
        """Whether no piece so far has these lines for its section; they count once a page."""
        text = " ".join(self.lines[row].text for row in rows)
        known = text in self.sections
        self.sections.add(text)
        return not known

    def _above(self) -> list[int]:
        """The page's own lines, for the piece that now starts."""
        rows, self.waiting = self.waiting, []
        if rows and not self._is_new(rows) and self.latest is not None:
            self.latest.below += rows
            return []
        return rows

    def _is_covering_note(self, piece: _Piece, head: Head) -> bool:
        """Whether what stands above the first headline only greets the desk: 编辑老师：您好！…."""
        rows = [row for paragraph in piece.paragraphs for row in paragraph]
        greets = bool(rows) and self.lines[rows[0]].kind is Kind.SALUTATION
        short = sum(len(self.lines[row].text) for row in rows) <= 160
        titled = piece.head is not None and piece.head.title
        return greets and short and not titled and head.form is not Form.LETTER

    def _keep_own(self, at: int) -> None:
        """Hold the page's own lines for the piece below, unless the open article goes on there."""
        if self.lines[self.blocks[at].lines[0]].kind is Kind.RULE and self.latest is not None:
            self.latest.below += [*self.waiting, *self.blocks[at].lines]
            self.waiting = []
            return
        below = self.next_text[at]
        goes_on = (
            self.latest is not None
            and self.open is not None
            and not (self.waiting or self.latest.below)
            and below < len(self.blocks)
            and self.blocks[below].head is None
            and not self._is_caption(below)
        )
        if goes_on and self.latest is not None:
            self.latest.paragraphs.append(self.blocks[at].lines)
        else:
            self.waiting += self.blocks[at].lines

    def _deal(self, rows: list[int], *, above_head: bool) -> None:
        first = self.lines[rows[0]]
        editors_above = self.latest is None and first.kind is Kind.EDITORS
        foreword = above_head and _FOREWORD.match(first.text)
        if editors_above or foreword or (self.waiting and first.kind in CREDITS):
            self.waiting += rows
            return
        if first.kind in CREDITS and self.latest is not None:
            if self.latest.below:
                self.latest.below += rows
            else:
                self.latest.paragraphs.append(rows)
            return
        if self.open is None or self._is_over(self.open):
            self._start(_Piece(paragraphs=[rows], above=self._above()))
            return
        piece, interrupted = self.open, self.latest is not self.open
        self.latest = piece
        broken = piece.paragraphs and not self.lines[piece.paragraphs[-1][-1]].stops
        if interrupted and broken and first.kind in (Kind.BODY, Kind.SHORT):
            piece.paragraphs[-1] += rows
        else:
            piece.paragraphs.append(rows)

    def _is_over(self, piece: _Piece) -> bool:
        """Whether text that follows cannot be the open article's."""
        if piece.below or (self.latest is not None and self.latest.below):
            return True
        if self.latest is piece or not piece.paragraphs:
            return False
        mark = closing_mark(joined(self.lines, piece.paragraphs[-1][-4:]))
        return len(piece.paragraphs) > 1 and mark in (Mark.BYLINE, Mark.EDITORS, Mark.TURNS)

    def _deal_caption(self, at: int) -> None:
        piece = _Piece(caption=True, paragraphs=[self.blocks[at].lines], above=self._above())
        if self._credit_at(at + 1):
            piece.paragraphs.append(self.blocks[at + 1].lines)
            self.taken = at + 1
        self._start(piece)

    def _credit_at(self, at: int) -> bool:
        """Whether a block is a photographer's credit on a line of its own."""
        return self._is_text(at) and self.lines[self.blocks[at].lines[0]].kind is Kind.PHOTO

    def _is_text(self, at: int) -> bool:
        return at < len(self.blocks) and not (self.blocks[at].head or self.blocks[at].own)

    def _is_caption(self, at: int) -> bool:
        lines, rows = self.lines, self.blocks[at].lines
        if lines[rows[0]].kind not in (Kind.BODY, Kind.SHORT):
            return False
        shown = self._shows_picture(at)
        credit_below = self._credit_at(at + 1)
        article = self.open
        if article is not None and not article.paragraphs:
            # Under a headline of its own it is the picture's story, unless an article follows.
            after = at + 1 + credit_below
            story = not self._is_text(after) or self._is_of_picture(after)
            return (
                (shown or credit_below) and not story and bool(article.head and article.head.title)
            )
        text = joined(lines, rows[:MAX_CAPTION])
        if len(text) > MAX_CAPTION:
            return False
        if shown or credit_below:
            return not self._took_own_picture(text, at + 1 if credit_below else None)
        return self._stands_apart(at, text)

    def _shows_picture(self, at: int) -> bool:
        """Whether a short paragraph says 图为 or ends in a photographer's credit."""
        rows = self.blocks[at].lines
        if self.lines[rows[0]].kind not in (Kind.BODY, Kind.SHORT):
            return False
        text = joined(self.lines, rows[:MAX_CAPTION])
        if len(text) > MAX_CAPTION:
            return False
        if _PICTURE.search(text):
            return True
        return _CAMERA.search(text[-40:]) is not None and closing_mark(text) is Mark.PHOTO

    def _took_own_picture(self, text: str, credit: int | None) -> bool:
        """Whether the credit belongs to the open article: its author's, or a picture story's."""
        if _PICTURE.search(text) or text[0] in "▲△▼▽↑↓←→" or self.open is None:
            return False
        opening = self.open.paragraphs[:3]
        article = "\n".join(joined(self.lines, rows[:20]) for rows in opening)
        if credit is not None:
            text = joined(self.lines, self.blocks[credit].lines)
            head = self.open.head
            bare = head is not None and head.form is Form.BARE and bool(head.title)
            if bare and len(self.open.paragraphs) <= 3 and len(article) <= MAX_CAPTION:
                return True
        return bool(set(read_dateline(article).names) & set(read_dateline(text).names))

    def _stands_apart(self, at: int, text: str) -> bool:
        """Whether one short paragraph, news by its first words, has extra white space around it."""
        lines, rows = self.lines, self.blocks[at].lines
        below = at + 1 < len(self.blocks) and self._is_text(at + 1)
        gap_below = lines[self.blocks[at + 1].lines[0]].gap if below else self.paragraph_gap + 1
        return (
            self.open is not None
            and len(text) <= MAX_CAPTION * 2 // 3
            and lines[rows[0]].gap > self.paragraph_gap
            and gap_below > self.paragraph_gap
            and _LATE_NEWS.match(text) is not None
        )

    def _settled(self) -> list[_Piece]:
        """The pieces that have something to say, and which of them are captions after all."""
        kept: list[_Piece] = []
        for piece in self.dealt:
            above = kept[-1] if kept else None
            if piece.caption and above is not None and not above.paragraphs:
                above.paragraphs, above.below = piece.paragraphs, piece.below
                above.caption = True
                continue
            kept.append(piece)
        for piece in kept:
            if not piece.paragraphs and piece.head is not None:
                rows = range(piece.head.first, piece.head.body)
                piece.paragraphs, piece.head = [[row] for row in rows], None
            bare = piece.head is None or piece.head.form is Form.BARE
            text = piece.text(self.lines)
            if bare and len(text) <= MAX_CAPTION and closing_mark(text) is Mark.PHOTO:
                piece.caption = True
        return kept


def _spread_sections(lines: Sequence[Line], pieces: Sequence[_Piece]) -> None:
    """Give each piece its section: the line above it, and above its like that follow."""
    leader: _Piece | None = None
    captions: list[_Piece] = []
    for piece in pieces:
        head = piece.head
        rows = list(head.section) if head is not None else []
        if rows or piece.above:
            leader, captions = (piece if rows else None), []
            piece.section = " ".join(lines[row].text for row in [*piece.above, *rows])
        elif leader is not None and piece.caption and leader.caption:
            piece.section = leader.section
        elif leader is not None and piece.caption:
            captions.append(piece)
        elif leader is not None and _is_under(lines, leader, piece):
            for caption in captions:
                caption.section = leader.section
            piece.section, captions = leader.section, []
        else:
            leader = None


def _is_under(lines: Sequence[Line], leader: _Piece, piece: _Piece) -> bool:
    """Whether a section that began at `leader` still holds for `piece`."""
    section, first, head = leader.section or "", leader.head, piece.head
    if first is None or head is None or head.form is not first.form or names_one_piece(section):
        return False
    title, text = piece.title(lines), piece.text(lines)
    if leads_with_place(leader.title(lines)) and not leads_with_place(title):
        return False
    if is_column(section):
        return len(text) <= MAX_BRIEF or len(leader.text(lines)) > MAX_BRIEF
    words = {section[i : i + 3] for i in range(len(section) - 2)}
    named = [word for word in words if word in leader.title(lines) + leader.text(lines)]
    return not named or any(word in title + text for word in words)
