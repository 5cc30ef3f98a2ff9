"""Whatever comes in is stored, tagged, recognised and announced, by one way for all entrances."""

from __future__ import annotations

import re

import pytest
from conftest import Clock
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import document_xml, docx, paragraph

from classifier.errors import EmptyArticle, InputRefused, TooLarge, UnknownEncoding
from classifier.model import Classifier
from classifier.registry import Registry
from service.receive import (
    Piece,
    doubt,
    fingerprint,
    page_pieces,
    read_pieces,
    receive,
    tag_waiting,
)
from service.slip import slip_of
from service.store import Store
from service.store.records import KeyUse, Order, Query, State
from training.labelled import Corpus

EVERYTHING = Query(with_twins=True, order=Order.OLDEST)
TITLE = "羊山镇：村级督查“督”出实效"
BODY = (
    "6月23日，羊山镇前店子村党支部书记把新补的3份机动地合同摆在桌上，请督查组逐页核对。"
    "该镇已督查村庄23个，发现问题112条，立行立改68条。"
)


def test_an_article_is_stored_with_its_slip_and_its_tags(
    store: Store, registry: Registry, clock: Clock
) -> None:
    """What the dateline says stands on the slip; the receipt replays to the same numbers with the
    model of its id, loaded anew."""
    model = registry.load()
    text = f"本报金乡讯（通讯员 孟凡启 周倩）{BODY}"
    (stored,) = receive(
        store, model, [Piece(text, TITLE, external_id="x1")], source="http", by="cms"
    ).submissions
    assert (stored.text, stored.title, stored.external_id) == (text, TITLE, "x1")
    assert (stored.source, stored.by, stored.received) == ("http", "cms", clock.now)
    slip = slip_of(TITLE, text)
    assert stored.names == slip.correspondents == ("孟凡启", "周倩")
    assert (stored.place, stored.town) == (slip.place, "羊山镇")
    assert (stored.length, stored.kind) == (slip.characters, "article")
    assert stored.byline == "通讯员 孟凡启 周倩"

    receipt = store.submissions.get(stored.id).tagging
    assert receipt is not None
    again = registry.load(receipt.model).tag(stored.article)
    assert (receipt.scores, receipt.coverage) == (again.scores, again.coverage)
    assert (receipt.themes, receipt.decision) == (again.themes, again.decision)
    assert (stored.themes, stored.state) == (again.themes, State(again.decision))
    assert [event.kind for event in store.events.after(0)] == ["received"]


@pytest.mark.parametrize(
    "again",
    [
        Piece(BODY, TITLE),
        Piece(f"本报金乡讯（通讯员 孟凡启 周倩）{BODY}", TITLE),
        Piece(f"　　本报讯　(记者　王明)　{BODY}", TITLE),
        Piece(f"{BODY}（孟凡启 周倩）", TITLE),
        Piece(BODY.replace("，", "，\n").replace("。", "。\n\n　　"), TITLE),
        Piece(f"{TITLE}\n\n{BODY}"),
        Piece(BODY.translate(str.maketrans("0123456789", "０１２３４５６７８９")), TITLE),
    ],
)
def test_the_same_text_is_known_in_another_dress(
    store: Store, model: Classifier, again: Piece
) -> None:
    """White space, width, dateline, byline and a headline in the text do not make it another."""
    first = receive(store, model, [Piece(BODY, TITLE)], source="http").submissions[0]
    second = receive(store, model, [again], source="mail:a@b.cn").submissions[0]
    assert second.twin_of == first.id
    assert second.text == again.text


@pytest.mark.parametrize(
    "other",
    [
        BODY.replace("23个", "24个"),
        BODY.replace("羊山镇", "鸡黍镇"),
        BODY + "本月还将再查一遍。",
        BODY[:-1],
    ],
)
def test_another_text_is_another(other: str) -> None:
    """A number, a name, a sentence more: the text is no twin."""
    assert fingerprint(TITLE, other) != fingerprint(TITLE, BODY)


@settings(deadline=None)
@given(
    spaces=st.dictionaries(
        st.integers(0, len(BODY)), st.sampled_from([" ", "　", "\t"]), max_size=30
    ),
    width=st.integers(12, 90),
    line_end=st.sampled_from(["\n", "\r\n", "\n　　", "\n\n"]),
)
def test_space_in_an_article_never_makes_a_new_text(
    spaces: dict[int, str], width: int, line_end: str
) -> None:
    """Wherever spaces fall, and however wide a mail program makes its lines, the text is the same.

    (Lines of two or three characters are another matter: they read as names, which are hidden.)
    """
    spaced = "".join(
        (line_end if at and at % width == 0 else "") + spaces.get(at, "") + character
        for at, character in enumerate(BODY)
    )
    assert fingerprint(TITLE, spaced) == fingerprint(TITLE, BODY)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_strings_have_a_fingerprint(title: str, text: str) -> None:
    """Nothing, emoji and lone surrogates included, is too strange to be recognised again."""
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(title, text))
    assert fingerprint(title, text) == fingerprint(title, text)


def test_a_page_becomes_its_articles(store: Store, model: Classifier, seed_page: str) -> None:
    """The twelve articles of the seed page are stored in order, together, with nothing lost."""
    pieces = page_pieces(seed_page)
    stored = receive(store, model, pieces, source="desk").submissions
    assert len(stored) == 12
    assert len({one.page for one in stored}) == 1
    assert [one.position for one in stored] == list(range(12))
    kept = "".join(one.title + one.text for one in stored)
    sections = {one.section or "" for one in stored}
    letters = re.sub(r"\s", "", kept + "".join(sections))
    assert sorted(letters) == sorted(re.sub(r"\s", "", seed_page))
    found = store.submissions.page(Query(page=stored[0].page, order=Order.OLDEST), limit=50)
    assert [one.id for one in found.items] == [one.id for one in stored if not one.twin_of]


def test_files_come_in_with_their_bytes(store: Store, model: Classifier) -> None:
    """A .docx and a GB18030 text become submissions; the bytes sent are given back as sent."""
    word = docx(document_xml(paragraph(TITLE) + paragraph(BODY)))
    plain = BODY.encode("gb18030")
    pieces = (
        *read_pieces(word, name="督查.docx", external_id="m1"),
        *read_pieces(plain, name="督查.txt"),
    )
    one, two = receive(store, model, pieces, source="watch:来稿").submissions
    assert (one.name, one.format, one.external_id) == ("督查.docx", "docx", "m1")
    assert (two.name, two.format, two.text) == ("督查.txt", "txt", BODY)
    assert BODY in one.text
    assert store.submissions.original(one.id).content == word
    assert store.submissions.original(two.id).content == plain


def test_a_page_file_is_cut(store: Store, model: Classifier) -> None:
    """With `page`, one file gives several submissions that share it."""
    page = f"镇里修路\n\n本报微山讯（通讯员 王明）{BODY}\n\n村里清河\n\n本报讯 河清了，鱼回来了。\n"
    pieces = read_pieces(page.encode(), name="01版.txt", page=True)
    stored = receive(store, model, pieces, source="http").submissions
    assert [one.title for one in stored] == ["镇里修路", "村里清河"]
    assert stored[0].place is not None
    assert {store.submissions.original(one.id).content for one in stored} == {page.encode()}


def test_what_a_sender_says_goes_before_what_the_text_says(store: Store, model: Classifier) -> None:
    """Byline and section given beside the text stand on the slip."""
    piece = Piece(BODY, TITLE, byline="记者 李芳", section="综合新闻", kind="caption")
    (stored,) = receive(store, model, [piece], source="http").submissions
    assert (stored.names, stored.section, stored.kind) == (("李芳",), "综合新闻", "caption")


def test_without_a_model_nothing_is_lost(store: Store, model: Classifier) -> None:
    """Submissions that come before there is a model wait as `new`, and are tagged when it is."""
    pieces = [Piece(f"第{number}次清淤，河里没有垃圾了。") for number in range(5)]
    stored = receive(store, None, pieces, source="http").submissions
    assert {one.state for one in stored} == {State.NEW}
    assert tag_waiting(store, model) == 5
    for one in store.submissions.each(EVERYTHING):
        assert one.tagging is not None
        assert one.tagging.scores == model.tag(one.article).scores
        assert one.state == State(one.tagging.decision)
    assert tag_waiting(store, model) == 0


@pytest.mark.parametrize(
    ("piece", "error"),
    [
        (Piece(" \n　", " "), EmptyArticle),
        (Piece("长" * 200_001), TooLarge),
        (Piece("\0\ud800"), EmptyArticle),
    ],
)
def test_all_or_none(
    store: Store, model: Classifier, piece: Piece, error: type[InputRefused]
) -> None:
    """One piece that cannot be tagged refuses the request, is named, and leaves nothing."""
    with pytest.raises(error) as caught:
        receive(store, model, [Piece(BODY), piece], source="http", key=KeyUse("u", "k", "d"))
    assert caught.value.where == "articles.1"
    assert store.submissions.count(EVERYTHING) == 0
    assert store.submissions.reply_to(KeyUse("u", "k", "d")) is None


def test_a_file_that_cannot_be_read_is_named() -> None:
    """Bytes in no encoding are refused with the name of their file."""
    with pytest.raises(UnknownEncoding) as caught:
        read_pieces(bytes(range(128, 256)) * 9, name="乱码.txt")
    assert caught.value.where == "乱码.txt"


def test_a_request_sent_again_is_not_even_tagged(store: Store, model: Classifier) -> None:
    """The second time the key is found before any work; without a model there is a reply too."""
    key = KeyUse("cms", "k", "d")
    first = receive(store, model, [Piece(BODY)], source="http", key=key)
    again = receive(store, None, [Piece(BODY)], source="http", key=key)
    assert again.replayed
    assert again.reply == first.reply
    assert store.submissions.count(EVERYTHING) == 1


def test_doubt_is_a_share_and_highest_where_the_model_wavers(
    model: Classifier, corpus: Corpus
) -> None:
    """Over many articles doubt lies between 0 and 1; what goes to review is, on the whole, more
    doubtful than what does not."""
    articles = [one.article for one in corpus.articles[:120]]
    doubts: dict[bool, list[float]] = {True: [], False: []}
    for tagging in model.tag_many(articles):
        value = doubt(model, tagging)
        assert 0 <= value <= 1
        doubts[tagging.decision == "review"].append(value)
    mean = {review: sum(some) / max(1, len(some)) for review, some in doubts.items()}
    if doubts[True] and doubts[False]:
        assert mean[True] > mean[False]
