"""Claims about classifier.page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from growth import is_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.page import PageArticle, split_page

PAGES = Path(__file__).parent / "pages"
SEED = Path(__file__).parents[2] / "shared" / "seed"
DEMO = Path(__file__).parents[1] / "service" / "demo-page.txt"
NAMES = sorted(path.stem for path in PAGES.glob("*.txt"))
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)

LINES = st.sampled_from(
    (
        "", "", "本报微山讯（通讯员 王明）村里修路了。", "本报讯（记者 李芳）近日，", "标题一行",
        "整治村居环境 共建美好家园", "石岭县白沙镇 十七条沟渠有了“管家”", "■程致远", "王明",
        "图为现场。 ■通讯员 王程 摄", "通讯员 王程 摄", "第3版 要闻 2023年2月24日", "03",
        "责编 李芳 校对 王明", "一、总体要求", "问：怎么办？", "答：好办。", "编辑同志：", "·",
        "任城区 李女士", "正文一句没有句号", "近日，县里开会，讨论了很多事情，大家都说好。",
        "（上接第一版）到田里去。", "（下转第三版）", "简讯", "【基层动态】", "———", "\ud800",
        "为切实改善环境,连日来,组织人员清理,依托企", "\x00", "ABC def", "2023年2月20日",
        "新华社济南2月3日电 春耕。", "——记某某", "谁来养老？", "　　缩进的一段话，写得很长。",
        "此致", "敬礼！", "编者按：今起开栏。", "…", "）", "”", "2023-02-24 09:12  来源：日报",
    )
)  # fmt: skip
FRAGMENTS = st.builds(
    lambda gap, lines: gap.join(lines),
    st.sampled_from(("\n", "\n\n", "\r\n", "\n \n")),
    st.lists(LINES, max_size=14),
)


def letters(text: str) -> str:
    """The text without its white space."""
    return "".join(text.split())


def put_together(pieces: Iterable[PageArticle]) -> str:
    """Section, title and text of all pieces, a section once for all the pieces under it."""
    parts: list[str] = []
    section = None
    for piece in pieces:
        if piece.section is not None and piece.section != section:
            parts.append(piece.section)
        section = piece.section
        parts += [piece.title, piece.text]
    return letters("".join(parts))


def expected(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((PAGES / f"{name}.json").read_text("utf-8"))
    return rows


def page(name: str) -> str:
    return (PAGES / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_each_layout_gives_its_pieces(name: str) -> None:
    """Headlines, sections, kinds, first and last words are those a reader sees on the page."""
    pieces = split_page(page(name))

    assert [(p.title, p.kind, p.section) for p in pieces] == [
        (row["title"], row["kind"], row["section"]) for row in expected(name)
    ]
    for piece, row in zip(pieces, expected(name), strict=True):
        assert piece.text.startswith(row["opens"])
        assert piece.text.endswith(row["closes"])
        for told in ("byline", "place"):
            assert getattr(piece, told) == row.get(told, getattr(piece, told))
        if "paragraphs" in row:
            assert piece.text.count("\n") + 1 == row["paragraphs"]


@pytest.mark.parametrize("name", NAMES)
def test_a_titled_article_cut_out_of_its_page_splits_into_itself(name: str) -> None:
    """Headline and text alone give back one piece with the same headline and the same words."""
    for piece in split_page(page(name)):
        if not piece.title or piece.kind == "caption":
            continue
        again = split_page(f"{piece.title}\n\n{piece.text}")

        assert [(p.title, letters(p.text)) for p in again] == [(piece.title, letters(piece.text))]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "inset"])
def test_pieces_follow_each_other_as_on_the_page(name: str) -> None:
    """Put together again they are the page, letter by letter."""
    assert put_together(split_page(page(name))) == letters(page(name))


def test_a_caption_inside_an_article_does_not_cut_it_in_two() -> None:
    """The sentence that a caption interrupts is whole again, and the caption stands after it."""
    article, caption, _ = split_page(page("inset"))

    assert "租金六百元，村集体一年多收七万元" in article.text
    assert caption.text == "周末，城里来的家庭在菜园里浇水。 本报记者 谷雨 摄"
    assert caption.spans[0][0] < article.spans[-1][0]


def test_the_bundled_page_has_seven_pieces_of_every_kind() -> None:
    """The page that ships with the program shows a column, a caption and a section of two."""
    pieces = split_page(DEMO.read_text("utf-8"))

    assert [(p.kind, p.section) for p in pieces] == [
        ("article", "干在当下 赢在全年·县区书记谈"),
        *[("article", None)] * 2,
        ("caption", None),
        ("article", None),
        *[("article", "照料在身边 夕阳更舒心")] * 2,
    ]
    assert all(p.title or p.kind == "caption" for p in pieces)


@pytest.mark.skipif(not SEED.exists(), reason="the shared page is not here")
def test_the_real_page_gives_its_twelve_pieces() -> None:
    """Headlines as its readme lists them, two captions, the section on the last two alone."""
    rows = [line.split("|") for line in (SEED / "README.md").read_text("utf-8").splitlines()]
    told = [row[2].strip() for row in rows if len(row) > 3 and row[1].strip().isdigit()]
    titles = ["" if cell.startswith("(photo") else cell.split(" (")[0] for cell in told]
    pieces = split_page((SEED / "page.txt").read_text("utf-8"))

    assert [p.title for p in pieces] == titles
    assert [p.id for p in pieces] == [f"a{n:02d}" for n in range(1, 13)]
    assert [p.kind for p in pieces].count("caption") == 2
    section = told[10].split("headline ")[1].rstrip(")")
    assert [n for n, p in enumerate(pieces, 1) if p.section == section] == [11, 12]
    assert [n for n, p in enumerate(pieces, 1) if p.section is not None] == [1, 11, 12]


@pytest.mark.skipif(not SEED.exists(), reason="the shared page is not here")
def test_no_paragraph_of_the_real_page_ends_in_mid_sentence() -> None:
    """Every sentence that a column or page end broke is whole again."""
    for piece in split_page((SEED / "page.txt").read_text("utf-8")):
        body = [p for p in piece.text.split("\n") if not p.startswith("■")]

        assert [p for p in body if p[-1] not in "。”)摄"] == []


@given(ANY_TEXT)
def test_any_text_gives_an_answer_and_loses_nothing(text: str) -> None:
    """Whatever comes in, no letter of it is lost or doubled, and nothing is raised."""
    assert Counter(put_together(split_page(text))) == Counter(letters(text))


@settings(max_examples=400, deadline=None)
@given(FRAGMENTS)
def test_whatever_the_order_of_its_lines_a_page_keeps_every_letter_and_its_order(text: str) -> None:
    """Of any page only a caption may change places with the article around it."""
    pieces = split_page(text)
    captions = [p for p in pieces if p.kind == "caption"]
    others = [p for p in pieces if p.kind != "caption"]

    assert Counter(put_together(pieces)) == Counter(letters(text))
    assert [p.id for p in pieces] == [f"a{n:02d}" for n in range(1, len(pieces) + 1)]
    rest = text
    for start, end in sorted((span for p in captions for span in p.spans), reverse=True):
        rest = rest[:start] + rest[end:]
    if not {p.section for p in captions} - {p.section for p in others} - {None}:
        assert put_together(others) == letters(rest)


@given(FRAGMENTS)
def test_spans_say_where_on_the_page_a_piece_stands(text: str) -> None:
    """They rise, never overlap another piece's, and slice back to title and text."""
    seen: set[int] = set()
    for piece in split_page(text):
        covered = [at for span in piece.spans for at in range(*span)]

        assert covered == sorted(set(covered))
        assert seen.isdisjoint(covered)
        assert letters("".join(text[at] for at in covered)) == letters(piece.title + piece.text)
        seen.update(covered)


@pytest.mark.parametrize("text", ["", " \n\u3000\n", "\n\n\r\n"])
def test_a_blank_page_has_no_pieces(text: str) -> None:
    """White space alone is no article."""
    assert split_page(text) == ()


@pytest.mark.parametrize(
    "text",
    ["今天天气不错", "No Chinese here.\n\nOnly two paragraphs.", "\ud800", "\x00", "路修好了。"],
)
def test_a_page_without_a_headline_is_one_untitled_article(text: str) -> None:
    """What cannot be a headline over something is text."""
    (piece,) = split_page(text)

    assert (piece.title, piece.kind) == ("", "article")
    assert letters(piece.text) == letters(text)


def test_a_latin_word_does_not_run_into_the_next_line() -> None:
    """Chinese lines join without a space, Latin ones with one."""
    (piece,) = split_page("近日，市里建起 smart\ncity 平台，老人一键下\n单。")

    assert piece.text == "近日，市里建起 smart city 平台，老人一键下单。"


def test_the_contract_names_the_fields_in_order() -> None:
    """Other programs read exactly these."""
    (piece,) = split_page("镇里修路\n本报微山讯（通讯员 王明）路修好了。")

    assert piece.as_json() == {
        "id": "a01",
        "title": "镇里修路",
        "text": "本报微山讯（通讯员 王明）路修好了。",
        "byline": "通讯员 王明",
        "place": "微山",
        "section": None,
        "kind": "article",
    }
    assert list(piece.as_json())[:3] == ["id", "title", "text"]


@pytest.mark.parametrize(
    "line",
    [
        "的", "标题一行\n", "标题一行\n近日，县里开会，讨论了很多事情。\n", "图为现场。 王明 摄\n",
        "第3版 要闻\n", "■王明\n", "本报讯（记者 王明）\n", "标题一行\n图为现场\n", "（", "·\n",
        "近日微山县张楼镇组织全体党员干部走进敬老院开\n", "问：好？\n答：好。\n", "2023年2月24日\n",
    ],
)  # fmt: skip
def test_no_page_is_expensive(line: str) -> None:
    """Eight times the page takes about eight times as long, never sixty-four times."""
    assert is_linear(lambda length: split_page(line * (length // len(line))), 10_000)
