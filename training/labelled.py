"""Labelled articles, read from files and checked whole before anything is learned from them."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classifier.article import MAX_CHARS, Article
from classifier.errors import CorpusRefused
from classifier.themes import Theme, theme_from_json

BUNDLED = Path(__file__).with_name("corpus")
"""The corpus that comes with the project."""

MAX_SHOWN = 20
NO_THEME = frozenset({"none", "无", "无主题"})
"""Folder names and cells that mean: labelled, and about none of the themes."""

_SEPARATOR = re.compile(r"[;；,，|、\s]+")
_LABEL = re.compile(r"[^\s;；,，|、\x00-\x1f]{1,60}")
_TEXT_FILES = (".txt", ".text", ".md")


@dataclass(frozen=True, slots=True)
class Labelled:
    """An article with the themes a person gave it."""

    article: Article
    themes: frozenset[str]
    where: str  # file and line, for messages
    date: str = ""  # YYYY-MM or longer, "" where unknown
    about: dict[str, Any] = field(default_factory=dict)  # form, topic, hard …: never learned from


@dataclass(frozen=True, slots=True)
class Corpus:
    """Labelled articles and the themes they are labelled with."""

    articles: tuple[Labelled, ...]
    themes: tuple[Theme, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    where: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Problem:
    where: str
    field: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.where}：{self.field}：{self.what}"
            if self.field
            else f"{self.where}：{self.what}"
        )


def read_corpus(paths: Sequence[Path] = (BUNDLED,)) -> Corpus:
    """Read JSONL, CSV and XLSX files, folders of these, or folders of texts named after themes.

    Raises CorpusRefused that lists every problem with file, line and field, up to `MAX_SHOWN`,
    and then how many more there are.
    """
    problems: list[_Problem] = []
    articles: list[Labelled] = []
    seen: dict[str, str] = {}
    for row in _rows(paths, problems):
        labelled = _labelled(row, problems)
        if labelled is None:
            continue
        first = seen.setdefault(labelled.article.id, row.where)
        if first != row.where:
            problems.append(
                _Problem(row.where, "id", f"与 {first} 的编号 {labelled.article.id} 重复")
            )
        articles.append(labelled)
    if not articles and not problems:
        problems.append(_Problem("、".join(map(str, paths)), "", "没有找到任何标注稿"))
    if problems:
        raise _refusal(problems)
    return Corpus(tuple(articles), _themes(articles, paths))


def _refusal(problems: Sequence[_Problem]) -> CorpusRefused:
    shown = "\n".join(f"  {problem}" for problem in problems[:MAX_SHOWN])
    more = len(problems) - MAX_SHOWN
    tail = f"\n  另有 {more} 处问题未列出" if more > 0 else ""
    return CorpusRefused(
        f"标注稿有 {len(problems)} 处问题：\n{shown}{tail}\n",
        fix="请改正后重新运行，什么都没有写入",
    )


def _themes(articles: Iterable[Labelled], paths: Sequence[Path]) -> tuple[Theme, ...]:
    """The labels in use, with definitions from `themes.json` beside the corpus or the bundled one."""
    defined: dict[str, Theme] = {}
    for folder in (BUNDLED, *(path if path.is_dir() else path.parent for path in paths)):
        definitions = folder / "themes.json"
        if definitions.is_file():
            try:
                records = json.loads(definitions.read_text(encoding="utf-8"))
                defined |= {theme.slug: theme for theme in map(theme_from_json, records)}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise CorpusRefused(
                    "不是主题定义的列表",
                    where=str(definitions),
                    fix='每项应为 {"slug": "…", "name": "…", "definition": "…"}',
                ) from None
    used = {slug for labelled in articles for slug in labelled.themes}
    order = [slug for slug in defined if slug in used] + sorted(used - set(defined))
    return tuple(defined.get(slug, Theme(slug, slug)) for slug in order)


def _rows(paths: Sequence[Path], problems: list[_Problem]) -> Iterator[_Row]:
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix.lower() in _READERS)
            if files:
                yield from _rows(files, problems)
            else:
                yield from _rows_of_folder(path, problems)
        elif not path.is_file():
            problems.append(_Problem(str(path), "", "没有这个文件或文件夹"))
        elif (reader := _READERS.get(path.suffix.lower())) is not None:
            yield from reader(path, problems)
        else:
            problems.append(_Problem(str(path), "", "只认 .jsonl、.csv、.xlsx 和按主题分的文件夹"))


def _read_text(path: Path, problems: list[_Problem]) -> str | None:
    content = path.read_bytes()
    codecs = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for codec in codecs:
        try:
            return content.decode(codec)
        except UnicodeDecodeError:
            continue
    problems.append(_Problem(str(path), "", "不是 UTF-8、GB18030 或带标记的 UTF-16 文字"))
    return None


def _rows_of_jsonl(path: Path, problems: list[_Problem]) -> Iterator[_Row]:
    # Not splitlines(): it would also cut at the line separators that a text may hold.
    for number, line in enumerate((_read_text(path, problems) or "").split("\n"), 1):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(_Problem(where, "", f"不是一行 JSON（{error}）"))
            continue
        if isinstance(record, dict):
            yield _Row(where, record)
        else:
            problems.append(_Problem(where, "", "应是一个 JSON 对象"))


def _rows_of_csv(path: Path, problems: list[_Problem]) -> Iterator[_Row]:
    text = _read_text(path, problems)
    if text is None:
        return
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for record in reader:
            yield _Row(f"{path}:{reader.line_num}", {k: v for k, v in record.items() if k})
    except csv.Error as error:
        problems.append(_Problem(f"{path}:{reader.line_num}", "", f"表格格式有误（{error}）"))


def _rows_of_xlsx(path: Path, problems: list[_Problem]) -> Iterator[_Row]:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        problems.append(_Problem(str(path), "", f"不是能读的 XLSX（{error}）"))
        return
    rows = book.worksheets[0].iter_rows(values_only=True)
    header = [str(cell or "").strip() for cell in next(rows, ())]
    for number, cells in enumerate(rows, 2):
        if any(cell is not None for cell in cells):
            texts = ("" if cell is None else str(cell) for cell in cells)
            yield _Row(f"{path}:{number}", dict(zip(header, texts, strict=False)))
    book.close()


def _rows_of_folder(folder: Path, problems: list[_Problem]) -> Iterator[_Row]:
    """Texts in folders named after themes; one text in several folders has several themes."""
    gathered: dict[str, dict[str, Any]] = {}
    for theme in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(p for p in theme.rglob("*") if p.suffix.lower() in _TEXT_FILES):
            text = _read_text(path, problems)
            if text is None:
                continue
            name = str(path.relative_to(theme).with_suffix(""))
            record = gathered.setdefault(
                f"{name}\0{text}", {"id": f"{theme.name}/{name}", "text": text, "themes": []}
            )
            if theme.name not in NO_THEME:
                record["themes"].append(theme.name)
    for record in gathered.values():
        yield _Row(f"{folder}/{record['id']}", record)


_READERS: dict[str, Callable[[Path, list[_Problem]], Iterator[_Row]]] = {
    ".jsonl": _rows_of_jsonl,
    ".csv": _rows_of_csv,
    ".xlsx": _rows_of_xlsx,
}


def _labelled(row: _Row, problems: list[_Problem]) -> Labelled | None:
    found = len(problems)
    title = row.record.get("title") or ""
    text = row.record.get("text") or ""
    for name, value in (("title", title), ("text", text)):
        if not isinstance(value, str):
            problems.append(_Problem(row.where, name, "应是文字"))
            return None
        if any("\ud800" <= character <= "\udfff" for character in value):
            problems.append(_Problem(row.where, name, "含有不成对的代理字符"))
    if not title.strip() and not text.strip():
        problems.append(_Problem(row.where, "text", "标题和正文都是空的"))
    if len(title) + len(text) > MAX_CHARS:
        problems.append(_Problem(row.where, "text", f"超过 {MAX_CHARS} 字"))
    themes = _labels(row, problems)
    if len(problems) > found:
        return None
    reserved = {"id", "title", "text", "themes", "date"}
    return Labelled(
        article=Article(text=text, title=title, id=str(row.record.get("id") or row.where)),
        themes=themes,
        where=row.where,
        date=str(row.record.get("date") or ""),
        about={name: value for name, value in row.record.items() if name not in reserved},
    )


def _labels(row: _Row, problems: list[_Problem]) -> frozenset[str]:
    if "themes" not in row.record or row.record["themes"] is None:
        problems.append(_Problem(row.where, "themes", "没有这一项；没有主题请写 []"))
        return frozenset()
    labels = row.record["themes"]
    if isinstance(labels, str):
        try:
            labels = json.loads(labels)
        except ValueError:
            labels = [label for label in _SEPARATOR.split(labels) if label]
    if not isinstance(labels, list):
        problems.append(_Problem(row.where, "themes", "应是主题的列表"))
        return frozenset()
    for label in labels:
        if not isinstance(label, str) or not _LABEL.fullmatch(label):
            problems.append(_Problem(row.where, "themes", f"不能作主题名：{label!r}"))
            return frozenset()
    return frozenset(labels) - NO_THEME
