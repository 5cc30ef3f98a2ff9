"""Web pages: the text a reader sees, one line a block; nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from classifier.errors import EmptyArticle, TooLarge, UnreadableFile
from service.intake.document import Allowance, Document, compose
from service.intake.encoding import Decoded

_UNSEEN_TAGS = (
    "script style noscript template nav svg math iframe object embed applet select option button "
    "textarea datalist audio video canvas map dialog frameset"
)
_BLOCK_TAGS = (
    "address article aside blockquote body br caption center dd details div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu ol "
    "p pre section summary table tbody tfoot thead title tr ul"
)
_UNSEEN = frozenset(_UNSEEN_TAGS.split())
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)

# A line break in the source between two Chinese characters is no space to a Chinese reader.
_WIDE = "\u2e80-\u303f\u3100-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff“”‘’—…·"
_BREAK_IN_CHINESE = re.compile(f"(?<=[{_WIDE}])[ \t\f]*[\r\n][ \t\r\n\f]*(?=[{_WIDE}])")
_SPACES = re.compile("[ \t\r\n\f]+")


@dataclass(frozen=True, slots=True)
class Page:
    """A page's lines, its <title>, and which of the lines stand in its first <h1>."""

    lines: tuple[str, ...]
    title: str = ""
    heading: range = range(0)


def read(decoded: Decoded, *, name: str, allowance: Allowance) -> Document:
    """Read a web page; its headline becomes the title and leaves the text.

    Raises TooLarge, EmptyArticle, UnreadableFile.
    """
    page = lay_out(decoded.text, allowance=allowance)
    title, lines = _headline(page)
    if not title and not lines:
        raise EmptyArticle("网页里没有文字", fix="请补上正文后重投")
    return compose(
        "\n".join(lines), title=title, name=name, format="html", warnings=decoded.warnings
    )


def lay_out(markup: str, *, allowance: Allowance) -> Page:
    """The lines a reader sees of a page's markup.

    >>> from service.intake.document import Limits
    >>> markup = "<h1>河长巡河</h1><p>六月二十日，\\n河长…<br>（记者）"
    >>> lay_out(markup, allowance=Allowance(Limits())).lines
    ('河长巡河', '六月二十日，河长…', '（记者）')
    """
    reader = _Reader(allowance)
    parser = etree.HTMLParser(
        target=reader, encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    source = markup.encode("utf-8")
    try:
        for start in range(0, len(source), 1 << 16):
            parser.feed(source[start : start + (1 << 16)])
        if source:
            parser.close()
    except etree.XMLSyntaxError as error:
        raise UnreadableFile("网页已损坏", fix="请把正文粘贴过来") from error
    return Page(tuple(reader.lines), reader.title, reader.heading)


def _headline(page: Page) -> tuple[str, list[str]]:
    """The title of a page, and its lines without it.

    A <title> usually carries the site's name behind the headline, and the first <h1> may be the
    site's; the headline is what both, or the <title> and a line of the page, agree on.
    """
    lines = list(page.lines)
    heading = "".join(lines[number] for number in page.heading)
    if heading and (not page.title or heading in page.title):
        del lines[page.heading.start : page.heading.stop]
        return heading, lines
    for number, line in enumerate(lines[:100]):
        if len(line) >= 4 and page.title.startswith(line):
            del lines[number]
            return line, lines
    return page.title, lines


class _Reader:
    """A parser target that lays text out in lines."""

    def __init__(self, allowance: Allowance) -> None:
        self.lines: list[str] = []
        self.title = ""
        self.heading = range(0)
        self._allowance = allowance
        self._cells: list[list[str]] = [[]]
        self._unseen = 0
        self._preformatted = 0
        self._heading_from: int | None = None
        self._page_title: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._unseen or tag in _UNSEEN or _is_hidden(attributes):
            self._unseen += 1
            return
        if tag in _BLOCKS:
            self._break()
        elif tag in ("td", "th") and any(self._cells[-1]):
            self._cells.append([])
        if tag == "pre":
            self._preformatted += 1
        elif tag == "title":
            self._page_title = []
        elif tag == "h1" and self._heading_from is None:
            self._heading_from = len(self.lines)

    def end(self, tag: str) -> None:
        if self._unseen:
            self._unseen -= 1
            return
        if tag in _BLOCKS:
            self._break()
        if tag == "pre":
            self._preformatted -= 1
        elif tag == "title" and self._page_title is not None:
            self.title = self.title or _collapse("".join(self._page_title))
            self._page_title = None
        elif tag == "h1" and self._heading_from is not None and not self.heading:
            self.heading = range(self._heading_from, len(self.lines))

    def data(self, text: str) -> None:
        if self._unseen:
            return
        self._allowance.write(len(text))
        if self._page_title is not None:
            self._page_title.append(text)
        elif self._preformatted:
            first, *rest = text.split("\n")
            self._cells[-1].append(first)
            for line in rest:
                self._break()
                self._cells[-1].append(line)
        else:
            self._cells[-1].append(text)

    def close(self) -> None:
        self._break()

    def _break(self) -> None:
        cells = [_collapse("".join(cell)) for cell in self._cells]
        line = "\t".join(cell for cell in cells if cell)
        if line:
            self.lines.append(line)
            if len(self.lines) > self._allowance.limits.lines:
                raise TooLarge(f"网页超过 {self._allowance.limits.lines} 行", fix="请只投正文部分")
        self._cells = [[]]


def _is_hidden(attributes: dict[str, str]) -> bool:
    return "hidden" in attributes or bool(_HIDING_STYLE.search(attributes.get("style", "")[:2000]))


def _collapse(text: str) -> str:
    return _SPACES.sub(" ", _BREAK_IN_CHINESE.sub("", text)).strip(" \xa0")
