"""Finding a few characters anywhere in any submission, without reading all of them.

Each text is kept a second time, folded: no white space, one width, one script, lower case. Beside
it an index knows which single characters and pairs of neighbours occur in it. Words would not do:
what an editor looks for is often half of one. Few texts have all the pairs looked for, and those
are read; where many have them, the queue itself is read in its order, since a page is soon full.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, FunctionElement, exists, func, select, text
from sqlalchemy.sql.elements import KeyedColumnElement

from service.store.database import Database
from service.store.records import storable
from service.store.tables import searched

FEW = 1000
"""Up to so many texts with all the pairs are read to see which have them in a row."""

LONGEST = 200
"""Characters looked for; more are not looked at."""

Grams = NDArray[np.uint32]

_TITLE_ENDS = "\n"

_INSERT = {
    False: "INSERT INTO search_grams (rowid, grams) VALUES (:number, :grams)",
    True: "INSERT INTO search_grams (number, grams) VALUES (:number, CAST(:grams AS integer[]))",
}
_MATCH = {
    False: "SELECT rowid FROM search_grams WHERE search_grams MATCH :grams LIMIT :most",
    True: ("SELECT number FROM search_grams WHERE grams @> CAST(:grams AS integer[]) LIMIT :most"),
}


def fold(words: str) -> str:
    """Words as they are looked for.

    >>> fold("ＧＤＰ 增長")
    'gdp增长'
    """
    alike = unicodedata.normalize("NFKC", storable(words)).casefold().translate(_simplified())
    return "".join(alike.split())


@cache
def _simplified() -> dict[int, str]:
    pairs = (files("classifier") / "simplified.txt").read_text(encoding="utf-8").split()
    return {ord(pair[0]): pair[1] for pair in pairs}


def remember(
    database: Database, connection: Connection, texts: Sequence[tuple[str, str, str]]
) -> None:
    """Make submissions findable: their ids, titles and texts."""
    folded = [fold(title) + _TITLE_ENDS + fold(body) for _, title, body in texts]
    numbers = connection.scalars(
        database.insert(searched).returning(searched.c.number, sort_by_parameter_order=True),
        [
            {"submission": id, "folded": words}
            for (id, _, _), words in zip(texts, folded, strict=True)
        ],
    )
    connection.execute(
        text(_INSERT[database.on_postgresql]),
        [
            {
                "number": number,
                "grams": _listed(
                    database, np.concatenate([_characters(words), _pairs(words)]), " "
                ),
            }
            for number, words in zip(numbers, folded, strict=True)
        ],
    )


def having(
    database: Database,
    connection: Connection,
    words: str,
    submission: KeyedColumnElement[str] | ColumnElement[str],
) -> ColumnElement[bool] | None:
    """The condition that the text of `submission` has these words; None where any text has."""
    needle = fold(words)[:LONGEST]
    if not needle:
        return None
    sought = _pairs(needle) if len(needle) > 1 else _characters(needle)
    candidates = connection.scalars(
        text(_MATCH[database.on_postgresql]),
        {"grams": _listed(database, sought, " AND "), "most": FEW + 1},
    ).all()
    place: FunctionElement[int] = (func.strpos if database.on_postgresql else func.instr)(
        searched.c.folded, needle
    )
    if len(candidates) > FEW:
        return exists().where(searched.c.submission == submission, place > 0)
    found = connection.scalars(
        select(searched.c.submission).where(searched.c.number.in_(candidates), place > 0)
    ).all()
    return submission.in_(found)


def _characters(folded: str) -> Grams:
    """A number of 32 bits for each character.

    Here and below different ones may share a number; in the end the text itself is looked at.
    """
    points = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return points * np.uint32(65537)


def _pairs(folded: str) -> Grams:
    """A number of 32 bits for each character with the next."""
    characters = _characters(folded)
    return characters[:-1] + (characters[1:] >> np.uint32(3)) * np.uint32(40503)


def _listed(database: Database, grams: Grams, join: str) -> list[int] | str:
    """Numbers as each database takes them: with a sign, or as words of letters and digits."""
    different = np.unique(grams)
    if database.on_postgresql:
        signed: list[int] = different.view(np.int32).tolist()
        return signed
    return join.join([f"g{gram:x}" for gram in different.tolist()])
