"""What people say about single articles, beside the store: pinned ones, and doubted labels.

Two files of JSON lines in the models folder. `pinned.jsonl`: articles that every new model must
tag right. `answers.jsonl`: what an editor said of a doubted label, for articles of a corpus as for
reviewed submissions; the last line about a text counts, or none where that takes it back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from classifier.article import Article
from classifier.errors import GaoqianError, NotFound
from classifier.registry import Registry, replace_file

PINNED, ANSWERS = "pinned.jsonl", "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Answer:
    """An article with the themes that a person says it has."""

    article: Article
    themes: tuple[str, ...]
    by: str = ""
    at: str = ""  # ISO 8601
    taken_back: bool = False  # the label is in doubt again

    @property
    def mark(self) -> str:
        """What tells this text from others."""
        return mark_of(self.article)

    def as_json(self) -> dict[str, Any]:
        """The form in the files."""
        return {
            "id": self.article.id,
            "title": self.article.title,
            "text": self.article.text,
            "themes": [*self.themes],
            "by": self.by,
            "at": self.at,
            **({"taken_back": True} if self.taken_back else {}),
        }


def mark_of(article: Article) -> str:
    """A digest of what an article says, its id left out."""
    return hashlib.sha256(f"{article.title}\n{article.text}".encode()).hexdigest()


def read_pinned(folder: Path) -> tuple[Answer, ...]:
    """The articles that must come out right; raises GaoqianError that names a bad line."""
    return _read(folder / PINNED)


def read_answers(folder: Path) -> dict[str, Answer]:
    """The last answer about each text, by its mark; raises GaoqianError that names a bad line."""
    last = {answer.mark: answer for answer in _read(folder / ANSWERS)}
    return {mark: answer for mark, answer in last.items() if not answer.taken_back}


def pin(registry: Registry, answer: Answer, *, now: datetime, by: str) -> None:
    """Pin an article with its right themes; one pinned before gets the new ones."""
    dated = _dated(answer, now, by)
    with registry.locked():
        kept = [one for one in read_pinned(registry.folder) if one.mark != dated.mark]
        _write(registry.folder / PINNED, [*kept, dated])


def unpin(registry: Registry, id: str) -> None:
    """Let a pinned article go; raises NotFound."""
    with registry.locked():
        before = read_pinned(registry.folder)
        kept = [one for one in before if one.article.id != id]
        if len(kept) == len(before):
            raise NotFound("没有钉住这一篇", where=id[:40])
        _write(registry.folder / PINNED, kept)


def record_answer(registry: Registry, answer: Answer, *, now: datetime, by: str) -> None:
    """Keep what a person said of a doubted label."""
    dated = _dated(answer, now, by)
    line = json.dumps(dated.as_json(), ensure_ascii=False) + "\n"
    with registry.locked(), (registry.folder / ANSWERS).open("a", encoding="utf-8") as stream:
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())


def _dated(answer: Answer, now: datetime, by: str) -> Answer:
    # In UTC: moments are compared as they are written.
    return replace(answer, by=by, at=now.astimezone(UTC).isoformat(timespec="seconds"))


def _read(path: Path) -> tuple[Answer, ...]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except UnicodeDecodeError:
        raise GaoqianError("不是 UTF-8 文字", where=str(path)) from None
    answers = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            article = Article(str(record["text"]), str(record.get("title", "")), str(record["id"]))
            themes = tuple(map(str, record["themes"]))
            by, at = record.get("by", ""), record.get("at", "")
            answers.append(Answer(article, themes, by, at, bool(record.get("taken_back"))))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise GaoqianError(
                "不是一篇带主题的稿件",
                where=f"{path}:{number}",
                fix='每行应为 {"id", "title", "text", "themes"}',
            ) from None
    return tuple(answers)


def _write(path: Path, answers: Iterable[Answer]) -> None:
    lines = [json.dumps(answer.as_json(), ensure_ascii=False) + "\n" for answer in answers]
    replace_file(path, "".join(lines).encode())
