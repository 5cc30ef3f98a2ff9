"""Themes as data: what a newsroom tags by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SLUG = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme's definition; only the slug is needed to learn it."""

    slug: str
    name: str
    definition: str = ""
    examples: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The form in manifests, corpora and `GET /v1/themes`."""
        return {
            "slug": self.slug,
            "name": self.name,
            "definition": self.definition,
            "examples": [*self.examples],
        }


def theme_from_json(record: dict[str, Any]) -> Theme:
    """A theme from its JSON form.

    >>> theme_from_json({"slug": "elder_care", "name": "养老"}).name
    '养老'
    """
    return Theme(
        slug=str(record["slug"]),
        name=str(record.get("name") or record["slug"]),
        definition=str(record.get("definition") or ""),
        examples=tuple(str(word) for word in record.get("examples") or ()),
    )
