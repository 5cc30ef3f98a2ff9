"""Claims about classifier.cleaning."""

from __future__ import annotations

import numpy as np
import opencc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.cleaning import BREAK, clean

NEWS = st.text(
    alphabet=st.sampled_from(
        '党员干部養老環境整治，,。.：:（）()“”"　 \n\tＡＢab１２12３3㎡①…—-·讯报记者'
    ),
    max_size=80,
)


@given(st.text(max_size=200))
def test_any_text_is_cleaned_with_rising_offsets_into_it(text: str) -> None:
    """Whatever comes in, every code has a place in the original and places only rise."""
    cleaned = clean(text)

    assert len(cleaned.codes) == len(cleaned.offsets) <= len(text)
    assert (np.diff(cleaned.offsets) > 0).all()
    assert not len(cleaned.offsets) or 0 <= cleaned.offsets[0] <= cleaned.offsets[-1] < len(text)


@given(NEWS)
def test_codes_stand_for_the_character_they_point_at(text: str) -> None:
    """A character that is read is the fold of the one at its offset, never of a neighbour."""
    cleaned = clean(text)

    for code, offset in zip(cleaned.codes.tolist(), cleaned.offsets.tolist(), strict=True):
        alone = clean(text[offset]).codes.tolist()
        assert code == BREAK or alone == [code]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＧＤＰ增长５.２％", "gdp增长5.2%"),
        ("為老服務溫暖人心", "为老服务温暖人心"),
        ("奋进正当时,2023年(上半年)", "奋进正当时，2023年（上半年）"),
        ("“五为”志愿服务", '"五为"志愿服务'),
        ("共清理杂草\n三十余处", "共清理杂草三十余处"),
        ("共清理杂草\n\n三十余处", "共清理杂草三十余处"),
        ("全年招商引资，\n完成七成", "全年招商引资，完成七成"),
    ],
)
def test_writing_the_same_words_another_way_gives_the_same_codes(one: str, other: str) -> None:
    """Width, script, marks and broken lines make no difference to what the model reads."""
    assert clean(one).codes.tolist() == clean(other).codes.tolist()


@pytest.mark.parametrize(
    "hidden",
    ["0537-2345678", "13800138000", "400-810-1234", "https://example.cn/a?b=1", "a.b@example.cn"],
)
def test_numbers_to_ring_and_links_are_not_read(hidden: str) -> None:
    """Of a telephone number, link or address nothing reaches the features."""
    assert str(clean(f"详情{hidden}。")).split() == ["详情", "。"]


def test_a_paragraph_end_stays_a_break() -> None:
    """A line that ends a sentence is not joined to the next."""
    assert str(clean("完成整治。\n下一步")) == "完成整治。 下一步"


def test_the_table_of_simplified_characters_is_that_of_opencc() -> None:
    """Every single character converts as OpenCC's t2s does; nothing more, nothing less."""
    convert = opencc.OpenCC("t2s").convert
    for start, end in ((0x3400, 0x4DC0), (0x4E00, 0xA000)):
        for character in map(chr, range(start, end)):
            expected = convert(character)
            if len(expected) == 1 and expected <= "\uffff":
                assert str(clean(character)) == expected
