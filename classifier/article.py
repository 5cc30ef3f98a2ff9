"""What goes in and what comes out: an article, and its slip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from classifier.errors import InputRefused

MAX_CHARS = 200_000
"""The longest article that is tagged, title and text together."""


class Decision(StrEnum):
    """What the desk should do with a tagging."""

    AUTO = "auto"  # every theme is settled and at least one is in
    NONE = "none"  # every theme is confidently out
    REVIEW = "review"  # an editor should look


@dataclass(frozen=True, slots=True)
class Article:
    """A manuscript as it came in, untouched.

    >>> Article("六月二十日，河长在岸边清点垃圾。", title="河长巡河").title
    '河长巡河'
    """

    text: str
    title: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stretch of the original article that speaks for (or, below zero, against) a theme."""

    theme: str
    text: str
    field: str  # "title" or "text"
    start: int  # offset in that field, in characters
    end: int
    weight: float  # share of the theme's score, in logits

    def as_json(self) -> dict[str, Any]:
        """The contract's form of one reason, weight to six places."""
        return {
            "theme": self.theme,
            "text": self.text,
            "field": self.field,
            "start": self.start,
            "end": self.end,
            "weight": round(self.weight, 6),
        }


@dataclass(frozen=True, slots=True)
class Tagging:
    """The slip of one article under one model."""

    id: str
    title: str
    themes: tuple[str, ...]  # accepted, strongest first
    decision: Decision
    scores: dict[str, float]  # theme → probability, each calibrated alone; need not sum to 1
    coverage: float  # share of the article's features that the model knows, 0 to 1
    model: str
    evidence: tuple[Evidence, ...] | None = field(default=None)

    def as_json(self) -> dict[str, Any]:
        """The contract's form: one JSON object, `evidence` only where it was asked for."""
        out: dict[str, Any] = {
            "id": self.id,
            "title": self.title,
            "themes": list(self.themes),
            "decision": str(self.decision),
            "scores": {theme: round(p, 6) for theme, p in self.scores.items()},
            "coverage": round(self.coverage, 4),
            "model": self.model,
        }
        if self.evidence is not None:
            out["evidence"] = [reason.as_json() for reason in self.evidence]
        return out


def article_from_json(line: bytes | str, *, where: str = "") -> Article:
    """An article from one line of JSON, `{"id","title","text"}`; only `text` must be there.

    Raises InputRefused that says which field is wrong, and where.

    >>> article_from_json('{"id": "a1", "text": "清河行动开始。"}').id
    'a1'
    """
    try:
        record = json.loads(line)
    except UnicodeDecodeError:
        raise InputRefused("不是 UTF-8 文字", where=where, fix="请转成 UTF-8 再试") from None
    except (ValueError, RecursionError):
        raise InputRefused(
            "不是一行 JSON", where=where, fix='每行应为 {"id": …, "title": …, "text": …}'
        ) from None
    if not isinstance(record, dict):
        raise InputRefused("应是一个 JSON 对象", where=where, fix='如 {"id": "1", "text": "…"}')
    return article_from_record(record, where=where)


def article_from_record(record: Mapping[str, Any], *, where: str = "") -> Article:
    """An article from the fields of a record; raises as `article_from_json` does."""
    fields = {}
    for name in ("id", "title", "text"):
        value = record.get(name)
        if name == "id" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None and name != "text":
            value = ""
        if not isinstance(value, str):
            raise InputRefused(f"字段 {name} 应是文字", where=where, fix="请补上或改正这个字段")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputRefused(
                f"字段 {name} 含有不成对的代理字符", where=where, fix="请检查转码"
            ) from None
        fields[name] = value
    return Article(**fields)
