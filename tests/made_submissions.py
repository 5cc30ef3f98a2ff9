"""Submissions for the tests of the store, made without a model."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

from classifier.article import Decision, Tagging
from service.store.records import NewSubmission

THEMES = ("investment_promotion", "party_building", "environment", "elder_care")


def tagging(
    *themes: str, decision: Decision = Decision.REVIEW, model: str = "m1", **scores: float
) -> Tagging:
    """A tagging with these themes."""
    given = {theme: 0.9 if theme in themes else 0.1 for theme in THEMES} | scores
    return Tagging("", "", themes, decision, given, 0.75, model)


def new(text: str, **fields: Any) -> NewSubmission:
    """A submission with this text; the same text is a twin."""
    given: dict[str, Any] = {
        "title": "",
        "source": "http",
        "tagging": tagging("environment"),
        "fingerprint": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
    }
    return NewSubmission(text=text, **(given | fields))


def many(count: int, *, seed: int = 7) -> list[NewSubmission]:
    """Different submissions of all sorts, with a few twins among them."""
    chance = random.Random(seed)
    words = ("河长巡河", "养老院", "党员大会", "项目签约", "GDP增长5%", "a_b%c", "Ｗifi", "清　淤")
    made = []
    for number in range(count):
        text = "".join(chance.choices(words, k=chance.randrange(1, 5))) + str(number % 37)
        themes = chance.sample(THEMES, chance.randrange(3))
        made.append(
            new(
                text,
                title=chance.choice(("", "镇里修路", "Village NEWS")),
                source=chance.choice(("http", "mail:a@b.cn", "mail:c@d.cn", "watch:来稿")),
                place=(place := chance.choice((None, "羊山镇", "金乡县"))),
                town=place if place == "羊山镇" else None,
                county="金乡县" if place else None,
                names=tuple(chance.sample(("王明", "李芳", "陈德福"), chance.randrange(3))),
                page=chance.choice((None, "p1")),
                doubt=chance.random(),
                tagging=chance.choice(
                    (None, *(tagging(*themes, decision=decision) for decision in Decision))
                ),
            )
        )
    return made


def as_text(value: object) -> str:
    """A reply's body."""
    return json.dumps(value, ensure_ascii=False)
