"""What a slip says beyond themes: whence, by whom, how long, of which kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from classifier.credit import Mark
from classifier.dateline import Dateline, closing_mark, read_dateline
from classifier.page import MAX_CAPTION
from service.place import read_place

_NOT_COUNTED = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]+")
_AFTER_UNIT = re.compile(r"[\s;；,，]|(?:责任?)?编辑?[:：]|校对")


@dataclass(frozen=True, slots=True)
class Slip:
    """What an editor fills in by hand today; None or empty where the article does not say."""

    city: str | None
    county: str | None
    town: str | None  # town or street office
    correspondents: tuple[str, ...]
    unit: str | None  # the office that a byline names
    characters: int  # of the body, white space not counted
    kind: Literal["article", "caption"]

    @property
    def place(self) -> str | None:
        """The narrowest level told, which is what 发稿统计 counts."""
        return self.town or self.county or self.city


def slip_of(title: str, text: str, *, byline: str | None = None, place: str | None = None) -> Slip:
    """Read the slip of an article from its own words; linear in its length, total on any strings.

    `byline` and `place` are what the sender or the page says beside the text; they go before what
    the text says.

    >>> slip_of("微山县西平镇 村级督查提质", "本报微山讯(通讯员 葛一山)整改问题39个。")
    ... # doctest: +NORMALIZE_WHITESPACE
    Slip(city=None, county='微山县', town='西平镇', correspondents=('葛一山',), unit=None,
         characters=21, kind='article')
    """
    told = read_dateline(text)
    given = read_dateline(f"({byline})\n") if byline else Dateline()
    unit = _AFTER_UNIT.split(given.unit or told.unit or "", maxsplit=1)[0] or None
    where = read_place(title, text, dateline=place or told.place, unit=unit)
    characters = count_characters(text)
    captioned = not title.strip() and characters <= MAX_CAPTION
    return Slip(
        where.city,
        where.county,
        where.town,
        given.names or told.names,
        unit,
        characters,
        "caption" if captioned and closing_mark(text) is Mark.PHOTO else "article",
    )


def count_characters(text: str) -> int:
    """The length of a text as newsrooms count it: every character but white space.

    >>> count_characters("路 修好了。\\n　　5月3日")
    9
    """
    return len(_NOT_COUNTED.sub("", text))
