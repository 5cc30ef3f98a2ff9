"""`gaoqian tag` and `gaoqian split`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from classifier.article import Article, Decision, Evidence, Tagging
from classifier.errors import GaoqianError, UnreadableFile
from service.commands.options import model_option, open_model

if TYPE_CHECKING:
    from classifier.model import Classifier
    from service.intake import Document

CHUNK = 256
_DECISIONS = {Decision.AUTO: "自动", Decision.NONE: "无主题", Decision.REVIEW: "送审"}
_COLUMNS = (16, 36, 30)  # widths of name, title and themes on a terminal


@dataclass(frozen=True, slots=True)
class _Refused:
    """A file or line that could not be read, in its place among the articles."""

    error: GaoqianError


@click.command(short_help="给稿件打主题标签")
@click.argument("files", nargs=-1, metavar="[文件…|-]")
@click.option("--page", is_flag=True, help="输入是整版报纸，先拆成一篇篇稿件")
@click.option("--jsonl", is_flag=True, help='每行一篇 {"id","title","text"}，按原顺序输出')
@click.option("--explain", "explained", is_flag=True, help="标出文中说明主题的词句")
@click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON 对象")
@model_option
def tag(
    files: tuple[str, ...],
    page: bool,
    jsonl: bool,
    explained: bool,
    as_json: bool,
    chosen: str | None,
) -> None:
    """给稿件打主题标签。

    读 .txt（UTF-8、GB18030、Big5、UTF-16）、.docx、.pdf、.html、.eml、.jsonl 文件；不写文件名或写
    “-”则读标准输入。一篇读不出来不影响其余各篇，最后以退出码 1 说明。

    HTTP 接口中与此对应的是 POST /v1/predict。
    """
    if page and jsonl:
        raise click.UsageError("--page 和 --jsonl 不能同时用")
    model = open_model(chosen)
    incoming = _incoming(_sources(files), page=page, jsonl=jsonl)
    printer = _print_json if as_json or jsonl else _print_marked if explained else _print_row
    refused = 0
    while chunk := list(islice(incoming, CHUNK)):
        for article, outcome in _tagged(model, chunk, explained=explained):
            if isinstance(outcome, Tagging):
                printer(model, article, outcome)
            else:
                refused += 1
                click.echo(str(outcome.error), err=True)
    if refused:
        click.echo(f"{refused} 篇没有处理，原因见上。", err=True)
        raise click.exceptions.Exit(1)


@click.command(short_help="把整版报纸拆成一篇篇稿件")
@click.argument("page", metavar="版面文件|-")
def split(page: str) -> None:
    """把整版报纸的文字拆成一篇篇稿件，按阅读顺序每行一个 JSON 对象。"""
    from classifier.page import split_page

    for name, content in _sources((page,)):
        for document in _documents(name, content):
            for piece in split_page(document.text):
                click.echo(json.dumps(piece.as_json(), ensure_ascii=False))


def _sources(files: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if not files and sys.stdin.isatty():
        raise click.UsageError("请写文件名，或把文字送到标准输入")
    for name in files or ("-",):
        if name == "-":
            yield "", sys.stdin.buffer.read()
            continue
        path = Path(name)
        if path.is_dir():
            raise UnreadableFile("这是文件夹", where=name, fix="请写文件名，如 文件夹/*.txt")
        try:
            yield name, path.read_bytes()
        except FileNotFoundError:
            raise UnreadableFile("没有这个文件", where=name, fix="请检查文件名和路径") from None


def _documents(name: str, content: bytes) -> Sequence[Document]:
    from service.intake import read_in_sandbox

    documents = read_in_sandbox(content, name=Path(name).name)
    for document in documents:
        for warning in document.warnings:
            click.echo(f"{name or '标准输入'}：{warning}。", err=True)
    return documents


def _incoming(
    sources: Iterator[tuple[str, bytes]], *, page: bool, jsonl: bool
) -> Iterator[Article | _Refused]:
    for name, content in sources:
        if jsonl or name.lower().endswith(".jsonl"):
            yield from _lines(name or "标准输入", content)
            continue
        try:
            documents = _documents(name, content)
        except GaoqianError as error:
            yield _Refused(error)
            continue
        stem = Path(name).stem
        for number, document in enumerate(documents, 1):
            own = stem if len(documents) == 1 else f"{stem}-{number}"
            if page:
                yield from _pieces(document.text, own)
            else:
                yield _article_of(document, own)


def _article_of(document: Document, id: str) -> Article:
    """A file as one article; its first line is the headline where it reads as one."""
    from classifier.page import split_page

    if document.title:
        return Article(document.text, document.title, id)
    first, _, rest = document.text.strip().partition("\n")
    pieces = split_page(document.text) if rest else ()
    if len(pieces) == 1 and pieces[0].title == first.strip():
        return Article(rest, pieces[0].title, id)
    return Article(document.text, "", id)


def _pieces(text: str, stem: str) -> Iterator[Article]:
    from classifier.page import split_page

    prefix = f"{stem}-" if stem else ""
    for piece in split_page(text):
        yield Article(piece.text, piece.title, f"{prefix}{piece.id}")


def _lines(name: str, content: bytes) -> Iterator[Article | _Refused]:
    from classifier.article import article_from_json

    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield article_from_json(line, where=f"{name}:{number}")
        except GaoqianError as error:
            yield _Refused(error)


def _tagged(
    model: Classifier, chunk: Sequence[Article | _Refused], *, explained: bool
) -> Iterator[tuple[Article, Tagging | _Refused]]:
    """Outcomes in the order of the chunk; what can be tagged is tagged together."""
    from classifier.evidence import tag_with_evidence
    from classifier.model import check_article

    outcomes: list[_Refused | Article] = []
    for one in chunk:
        if isinstance(one, Article):
            try:
                check_article(one)
            except GaoqianError as error:
                one = _Refused(error)  # noqa: PLW2901
        outcomes.append(one)
    articles = [one for one in outcomes if isinstance(one, Article)]
    taggings = (
        (tag_with_evidence(model, article) for article in articles)
        if explained
        else model.tag_many(articles)
    )
    for one in outcomes:
        yield (one, next(taggings)) if isinstance(one, Article) else (Article(""), one)


def _print_json(_: Classifier, __: Article, tagging: Tagging) -> None:
    click.echo(json.dumps(tagging.as_json(), ensure_ascii=False))


def _print_row(model: Classifier, article: Article, tagging: Tagging) -> None:
    names = {theme.slug: theme.name for theme in model.manifest.themes}
    themes = "、".join(f"{names[slug]} {tagging.scores[slug]:.2f}" for slug in tagging.themes)
    title = tagging.title or article.text.strip().split("\n")[0]
    cells = zip((tagging.id or "-", title, themes or "—"), _COLUMNS, strict=True)
    click.echo("  ".join(_fitted(cell, width) for cell, width in cells), nl=False)
    click.echo("  " + _DECISIONS[tagging.decision])


def _print_marked(model: Classifier, article: Article, tagging: Tagging) -> None:
    """The slip, then the article with the phrases for its themes marked."""
    names = {theme.slug: theme.name for theme in model.manifest.themes}
    _print_row(model, article, tagging)
    reasons = tagging.evidence or ()
    for slug in sorted({reason.theme for reason in reasons}, key=lambda one: -tagging.scores[one]):
        own = [reason for reason in reasons if reason.theme == slug]
        told = "  ".join(f"{' '.join(one.text.split())} {one.weight:+.2f}" for one in own)
        click.echo(f"  {names[slug]} {tagging.scores[slug]:.2f}：{told}")
    shown = [one for one in reasons if one.theme in tagging.themes and one.weight > 0]
    for field, whole in (("title", article.title), ("text", article.text)):
        if whole:
            click.echo(_marked(whole, [one for one in shown if one.field == field]))
    click.echo()


def _marked(whole: str, reasons: Sequence[Evidence]) -> str:
    """Telling phrases in reverse video on a terminal, in brackets where the output is kept."""
    on_terminal = sys.stdout.isatty()
    parts, at = [], 0
    for reason in sorted(reasons, key=lambda one: one.start):
        if reason.start < at:
            continue
        phrase = whole[reason.start : reason.end]
        marked = click.style(phrase, reverse=True) if on_terminal else f"【{phrase}】"
        parts += [whole[at : reason.start], marked]
        at = reason.end
    return "".join(parts) + whole[at:]


def _fitted(text: str, width: int) -> str:
    """Cut or padded to a width in terminal columns, a Han character being two wide.

    >>> _fitted("党建ab", 8) + "|"
    '党建ab  |'
    """
    from unicodedata import east_asian_width

    kept, used = [], 0
    for character in " ".join(text.split()):
        wide = 2 if east_asian_width(character) in "WF" else 1
        if used + wide > width:
            break
        kept.append(character)
        used += wide
    return "".join(kept) + " " * (width - used)
