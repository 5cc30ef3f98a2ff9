"""The way from a file's bytes into the store, as folder and mailbox use it."""

from __future__ import annotations

import pytest

from classifier.errors import EmptyArticle, UnreadableFile
from classifier.model import Classifier
from service.arrival import into_store
from service.receive import Piece, read_pieces
from service.store import Store
from service.store.records import Action, Query

TEXT = "镇里修路\n\n本报微山讯(通讯员 王明)路修好了。\n\n村里清河\n\n本报讯 河长在岸边清河。"


def read_page(content: bytes, name: str) -> tuple[Piece, ...]:
    """A page's articles."""
    return read_pieces(content, name=name, page=True)


def test_a_key_is_stored_once_and_answered_with_how_things_stand(
    store: Store, model: Classifier
) -> None:
    """The second time the same ids come back, with the themes that an editor gave meanwhile."""
    receive = into_store(store, lambda: model, read=read_page, source="watch:in", scope="watch:/in")

    first = receive(TEXT.encode(), name="版面.txt", key="k1")
    store.reviews.review(first.ids[0], Action.SET, by="li", themes=("environment",))
    second = receive(TEXT.encode(), name="版面.txt", key="k1")

    assert first.ids == second.ids
    assert (first.again, second.again) == (False, True)
    assert len(first.ids) == store.submissions.count(Query(with_twins=True)) == 2
    assert first.lines[0].startswith(f"{first.ids[0]}　镇里修路：")
    assert second.lines[0] == f"{first.ids[0]}　镇里修路：环境（编辑已核定）"


def test_keys_of_one_folder_do_not_hold_in_another(store: Store) -> None:
    """Scopes are apart; the same text is then linked as a twin."""
    for scope in ("watch:/a", "watch:/b"):
        receive = into_store(store, lambda: None, read=read_page, source="watch:in", scope=scope)
        assert not receive(TEXT.encode(), name="版面.txt", key="k1").again

    assert store.submissions.count(Query()) == 2
    assert store.submissions.count(Query(with_twins=True)) == 4


def test_a_refused_file_leaves_nothing_and_its_key_free(store: Store) -> None:
    """What cannot be read, or has no article in it, may be sent again under its key."""

    def unreadable(content: bytes, name: str) -> tuple[Piece, ...]:
        raise UnreadableFile("文件有密码", where=name)

    def nothing(content: bytes, name: str) -> tuple[Piece, ...]:
        return (Piece(" \n"),)

    for read, refusal in ((unreadable, UnreadableFile), (nothing, EmptyArticle)):
        receive = into_store(store, lambda: None, read=read, source="mail:a", scope="mail:a")
        with pytest.raises(refusal, match=r"稿\.txt"):
            receive(b"x", name="稿.txt", key="k1")
    assert store.submissions.count(Query()) == 0

    receive = into_store(store, lambda: None, read=read_page, source="mail:a", scope="mail:a")
    assert len(receive(TEXT.encode(), name="稿.txt", key="k1").ids) == 2
