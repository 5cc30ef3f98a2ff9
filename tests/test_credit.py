"""Claims about classifier.credit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.credit import Mark, fold, is_office, is_person, name_lengths, read_credit


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_folding_keeps_every_offset(text: str) -> None:
    """One character stays one character, and folding twice changes nothing more."""
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("word", ["王明", "李小芳", "欧阳明", "司马相如", "白建喜", "云小朵"])
def test_names_with_a_known_surname_are_persons(word: str) -> None:
    """One or two characters follow the surname, single or double."""
    assert is_person(word)


@pytest.mark.parametrize("word", ["王", "王家村", "高新区", "方法", "党建", "李明参加", "近日"])
def test_words_that_begin_like_a_name_are_no_persons(word: str) -> None:
    """Places, offices and common words are not taken for people."""
    assert not is_person(word)


@pytest.mark.parametrize("word", ["县委宣传部", "白沙镇", "融媒体中心", "第一小学", "城关村"])
def test_offices_end_like_offices(word: str) -> None:
    """A unit is known by its last characters."""
    assert is_office(word)


def test_names_set_without_a_space_are_told_apart() -> None:
    """Surnames say where one name ends; a run that is no names is left alone."""
    assert name_lengths("王明李小芳赵敏") == [2, 3, 2]
    assert name_lengths("常抓不懈") == []


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("通讯员 王明 李芳 摄", Mark.PHOTO),
        ("记者 王明 摄影报道", Mark.BYLINE),
        ("文/图 王明", Mark.BYLINE),
        ("县委宣传部供稿", Mark.BYLINE),
        ("本报评论员", Mark.BYLINE),
    ],
)
def test_a_credit_is_understood_whole(text: str, mark: Mark) -> None:
    """Role, names, office and verb leave nothing over."""
    credit = read_credit(text, 0, len(text))

    assert credit is not None
    assert credit.mark is mark


@pytest.mark.parametrize(
    "text", ["通讯员 王明 报名参加", "记者走基层", "村民齐点赞", "■短讯", "■高新区", "摄影大赛开幕"]
)
def test_one_foreign_word_makes_it_prose(text: str) -> None:
    """What is not understood to the last word is no credit."""
    assert read_credit(text, 0, len(text)) is None
