"""What folder and mail intake hand over, and what they are told in return.

Both know of the store only that it takes bytes under a name and a key, once for each key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from classifier.errors import EmptyArticle, NotFound
from service.receive import Piece, receive
from service.store.records import KeyUse, State, Submission

if TYPE_CHECKING:
    from classifier.model import Classifier
    from service.store import Store

_STANDS: dict[State, str] = {
    State.NEW: "还没有模型，待标引",
    State.AUTO: "自动定题",
    State.NONE: "不属任何主题",
    State.REVIEW: "待编辑核定",
    State.UNSURE: "待第二位编辑核定",
    State.SETTLED: "编辑已核定",
}


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one file or letter."""

    ids: tuple[str, ...]  # of its submissions
    lines: tuple[str, ...]  # one for each: id, headline, themes, decision, in Chinese
    again: bool = False  # the same had come in before; nothing was stored now


class Receive(Protocol):
    """The way into the store: what returns is stored, and a key is stored once.

    Raises InputRefused for what will never be taken; any other GaoqianError is worth a later try.
    """

    def __call__(self, content: bytes, *, name: str, key: str) -> Received: ...


def into_store(
    store: Store,
    model: Callable[[], Classifier | None],
    *,
    read: Callable[[bytes, str], Sequence[Piece]],
    source: str,
    scope: str,
) -> Receive:
    """The way into a real store, for one folder or mailbox.

    `model` gives the model to tag with, or None while there is none; `read(content, name)` the
    articles in a file. Submissions are shown as coming from `source`; keys hold within `scope`.
    """

    def take(content: bytes, *, name: str, key: str) -> Received:
        use = KeyUse(scope=scope, key=key, digest=key, keep=None)
        earlier = store.submissions.reply_to(use)
        serving = model()
        if earlier is None:
            pieces = [piece for piece in read(content, name) if _has_words(piece)]
            if not pieces:
                raise EmptyArticle("文件里没有稿件", where=name, fix="请补上正文后重投")
            added = receive(store, serving, pieces, source=source, key=use)
            earlier, again = added.reply, added.replayed
        else:
            again = True
        ids = tuple(json.loads(earlier.body)) if earlier is not None else ()
        names = {theme.slug: theme.name for theme in serving.manifest.themes} if serving else {}
        return Received(ids, tuple(_line(store, id, names) for id in ids), again)

    return take


def _has_words(piece: Piece) -> bool:
    return bool(piece.text.strip() or piece.title.strip())


def _line(store: Store, id: str, names: dict[str, str]) -> str:
    try:
        one = store.submissions.get(id)
    except NotFound:
        return f"{id}　已删除"
    themes = "、".join(names.get(theme, theme) for theme in one.themes)
    stands = _STANDS[one.state]
    return f"{id}　{_headline(one)}：{f'{themes}（{stands}）' if themes else stands}"


def _headline(one: Submission) -> str:
    return one.title or f"{one.text.strip()[:20]}…"
