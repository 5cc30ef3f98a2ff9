"""Word documents: the paragraphs, tables and text boxes of the body, in reading order.

Left out, because they are not the manuscript: headers and footers, comments, footnotes, deleted
and hidden text, field codes, automatic numbering.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from lxml import etree

from classifier.errors import EmptyArticle, InputRefused, TooLarge, UnreadableFile
from service.intake.document import Allowance, Document, compose

_CHUNK = 1 << 16
_FREE_RATIO = 1 << 20  # a small part may be as repetitive as it likes
_SAVE_AGAIN = "请用 Word 或 WPS 打开，另存为 .docx 再投"
_DAMAGE = (
    etree.XMLSyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    # What zipfile raises beside its own error on malformed directories.
    struct.error,
    ValueError,
    RuntimeError,
    LookupError,
    OverflowError,
    EOFError,
    OSError,
)
_TITLE_STYLES = frozenset(("title", "heading 1", "标题", "标题 1", "文章标题"))
_WORD = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",
    "{http://schemas.openxmlformats.org/officeDocument/2006/math}",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}",
)
_OTHER_PACKAGES = (
    ("xl/", "这是电子表格", "请把文字复制到 .docx 再投"),
    ("ppt/", "这是演示文稿", "请把文字复制到 .docx 再投"),
    ("OFD.xml", "这是 OFD 版式文件", "请用阅读器另存为 .docx 或有文字的 PDF 再投"),
    ("META-INF/container.xml", "这是 EPUB 电子书", "请另存为 .docx 再投"),
    ("content.xml", "这是 OpenDocument 文件", "请另存为 .docx 再投"),
)


def read(content: bytes, *, name: str, allowance: Allowance) -> Document:
    """Read a .docx, or a .wps saved as one.

    Raises UnreadableFile for other, encrypted and damaged packages, TooLarge for what unpacks
    beyond the allowance, EmptyArticle for a document without text.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as package:
            return _read_package(package, name, allowance)
    except InputRefused:
        raise
    except _DAMAGE as error:
        raise UnreadableFile("这份 .docx 已损坏", fix=_SAVE_AGAIN) from error


def _read_package(package: zipfile.ZipFile, name: str, allowance: Allowance) -> Document:
    entries = package.infolist()
    if len(entries) > allowance.limits.zip_entries:
        raise TooLarge(
            f"这份 .docx 里有 {len(entries)} 个部件，上限是 {allowance.limits.zip_entries}",
            fix=_SAVE_AGAIN,
        )
    _refuse_overlaps(entries)
    names = {entry.filename for entry in entries}
    main = _main_part(package, names, allowance)
    if main is None:
        for start, what, fix in _OTHER_PACKAGES:
            if any(entry.startswith(start) for entry in names):
                raise UnreadableFile(what, fix=fix)
        raise UnreadableFile("这是压缩包", fix="请解压后把里面的稿件投来")

    folder = main.rpartition("/")[0]
    styles = _Styles()
    if f"{folder}/styles.xml" in names:
        _parse(package, f"{folder}/styles.xml", styles, allowance)
    body = _Body(styles.titles, allowance)
    _parse(package, main, body, allowance)

    warnings = ("文档里嵌入了另一份文件，没有读",) if body.embeds else ()
    document = compose(
        "\n".join(body.lines), title=body.title, name=name, format="docx", warnings=warnings
    )
    if not document.text.strip() and not document.title:
        if any(f"{folder}/media/" in entry for entry in names):
            raise UnreadableFile("文档里只有图片，没有文字", fix="请投文字稿")
        raise EmptyArticle("文档里没有文字", fix="请补上正文后重投")
    return document


def _refuse_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    """Entries that share bytes are how a small archive unpacks without end."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise UnreadableFile("这份 .docx 的部件互相重叠，不是正常文档", fix=_SAVE_AGAIN)
        end = entry.header_offset + entry.compress_size


def _main_part(package: zipfile.ZipFile, names: set[str], allowance: Allowance) -> str | None:
    """The part that holds the body; where it lies is the producer's choice."""
    if "_rels/.rels" in names:
        relations = _Relations()
        _parse(package, "_rels/.rels", relations, allowance)
        main = relations.main.lstrip("/")
        if main in names and not main.startswith(("xl/", "ppt/")):
            return main
    return "word/document.xml" if "word/document.xml" in names else None


def _parse(package: zipfile.ZipFile, part: str, target: _Part, allowance: Allowance) -> None:
    """Feed a part to a target, chunk by chunk; no tree, no entities, no DTD, nothing fetched."""
    parser = etree.XMLParser(
        target=target,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    for chunk in _chunks(package, part, allowance):
        parser.feed(chunk)
    parser.close()


def _chunks(package: zipfile.ZipFile, part: str, allowance: Allowance) -> Iterator[bytes]:
    entry = package.getinfo(part)
    if entry.flag_bits & 0x1:
        raise UnreadableFile("这份文件设了打开密码", fix="请取消密码，另存为 .docx 再投")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableFile("这份 .docx 的压缩方式不是 Word 用的", fix=_SAVE_AGAIN)
    read = 0
    with package.open(entry) as stream:
        # Counted as read: what the directory says of sizes is the sender's word.
        while chunk := stream.read(_CHUNK):
            read += len(chunk)
            allowance.unpack(len(chunk))
            ceiling = _FREE_RATIO + entry.compress_size * allowance.limits.unpacked_ratio
            if read > ceiling:
                raise TooLarge(
                    f"{part} 解开后是压缩时的 {allowance.limits.unpacked_ratio} 倍以上，"
                    "不是正常文档",
                    fix=_SAVE_AGAIN,
                )
            yield chunk


def _local(tag: str) -> str:
    """The name without its namespace; strict and transitional files differ only in that."""
    return tag.rpartition("}")[2]


def _word(tag: str) -> str:
    """The name of an element that says what the text is, "" of a drawing's or a chart's."""
    return _local(tag) if tag.startswith(_WORD) else ""


def _attribute(attributes: dict[str, str], name: str) -> str:
    for key, value in attributes.items():
        if _local(key) == name:
            return value
    return ""


class _Part:
    """A parser target that reads nothing yet; a document type is refused everywhere."""

    def start(self, tag: str, attributes: dict[str, str]) -> None: ...

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...

    def doctype(self, *declaration: str | None) -> None:
        raise UnreadableFile("这份 .docx 里声明了 XML 实体，不是正常文档", fix=_SAVE_AGAIN)

    def close(self) -> None: ...


class _Relations(_Part):
    """Which part is the main document."""

    def __init__(self) -> None:
        self.main = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if _attribute(attributes, "Type").endswith("/officeDocument"):
            self.main = _attribute(attributes, "Target")


class _Styles(_Part):
    """Which paragraph styles are titles; ids are free, names are not."""

    def __init__(self) -> None:
        self.titles: set[str] = set()
        self._style = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        match _local(tag):
            case "style":
                self._style = _attribute(attributes, "styleId")
            case "name":
                if _attribute(attributes, "val").lower() in _TITLE_STYLES:
                    self.titles.add(self._style)


@dataclass(slots=True)
class _Paragraph:
    pieces: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)  # lines of the text boxes anchored in it
    style: str = ""


@dataclass(slots=True)
class _Row:
    cells: list[list[str]] = field(default_factory=list)


class _Body(_Part):
    """The text of the body, a line a paragraph; a row of short cells is a line with tabs."""

    # A moved paragraph is also where it was moved to; a fallback repeats the choice before it;
    # ruby text is the pinyin over a word.
    _SKIPPED = frozenset(("del", "moveFrom", "Fallback", "rt", "instrText", "delText"))

    def __init__(self, title_styles: set[str], allowance: Allowance) -> None:
        self.lines: list[str] = []
        self.title = ""
        self.embeds = False
        self._title_styles = title_styles
        self._allowance = allowance
        self._lines_left = allowance.limits.lines
        self._open: list[_Paragraph | _Row] = []
        self._begun = False  # a paragraph with text in it has been read
        self._skip = 0
        self._in_text = False
        self._in_run_properties = False
        self._hidden = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _word(tag)
        if self._skip or name in self._SKIPPED:
            self._skip += 1
        elif name in ("p", "tr", "tc", "pStyle", "altChunk"):
            self._start_block(name, attributes)
        else:
            self._start_run(name, attributes)

    def _start_block(self, name: str, attributes: dict[str, str]) -> None:
        top = self._top
        match name:
            case "p":
                self._open.append(_Paragraph())
            case "tr":
                self._open.append(_Row())
            case "tc" if isinstance(top, _Row):
                top.cells.append([])
            case "pStyle" if isinstance(top, _Paragraph):
                top.style = _attribute(attributes, "val")
            case "altChunk":
                self.embeds = True

    def _start_run(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "r":
                self._hidden = False
            case "rPr":
                self._in_run_properties = True
            case "vanish":
                off = _attribute(attributes, "val") in ("0", "false", "off")
                self._hidden = self._in_run_properties and not off
            case "t":
                self._in_text = True
            case "tab" if not attributes:  # with attributes it is a tab stop, not a tab
                self._put("\t")
            case "br" | "cr":
                self._put("\n")
            case "noBreakHyphen":
                self._put("-")

    def end(self, tag: str) -> None:
        if self._skip:
            self._skip -= 1
            return
        match _word(tag):
            case "p":
                self._close_paragraph()
            case "tr":
                self._close_row()
            case "rPr":
                self._in_run_properties = False
            case "r":
                self._hidden = False
            case "t":
                self._in_text = False

    def data(self, text: str) -> None:
        if self._in_text and not self._skip:
            self._put(text)

    @property
    def _top(self) -> _Paragraph | _Row | None:
        return self._open[-1] if self._open else None

    def _put(self, text: str) -> None:
        top = self._top
        if isinstance(top, _Paragraph) and not self._hidden:
            self._allowance.write(len(text))
            top.pieces.append(text)

    def _close_paragraph(self) -> None:
        paragraph = self._top
        if not isinstance(paragraph, _Paragraph):
            return
        self._open.pop()
        line = "".join(paragraph.pieces)
        is_first = not self._open and not self._begun and bool(line.strip())
        self._begun = self._begun or is_first
        if is_first and paragraph.style in self._title_styles:
            self.title = line
            self._emit(paragraph.nested)
        else:
            self._emit([line, *paragraph.nested])

    def _close_row(self) -> None:
        row = self._top
        if not isinstance(row, _Row):
            return
        self._open.pop()
        cells = [[line for line in cell if line.strip()] for cell in row.cells]
        if all(len(cell) <= 1 for cell in cells):
            line = "\t".join(cell[0] if cell else "" for cell in cells)
            self._emit([line] if line.strip() else [])
        else:
            # A table used for layout: its cells are columns of text.
            self._emit([line for cell in cells for line in cell])

    def _emit(self, lines: list[str]) -> None:
        self._lines_left -= len(lines)
        if self._lines_left < 0:
            raise TooLarge(
                f"这份 .docx 超过 {self._allowance.limits.lines} 段", fix="请拆成几个文件再投"
            )
        top = self._top
        if top is None:
            self.lines.extend(lines)
        elif isinstance(top, _Paragraph):
            top.nested.extend(lines)
        elif top.cells:
            top.cells[-1].extend(lines)
