"""The slip beyond themes: place, correspondents, unit, length and kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from growth import is_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.page import split_page
from service.slip import count_characters, slip_of

SEED = Path(__file__).parents[2] / "shared" / "seed" / "page.txt"

# As a reader of the page counts them.
SEED_SLIPS = (
    ("汶上县", "寅寺镇", "白建喜"),
    ("微山县", "西平镇", "葛居涛"),
    ("微山县", "张楼镇", "丁萌"),
    ("汶上县", "中都街道", "张静茹"),
    ("梁山县", "水泊街道", "崔芳芳 张芊"),
    ("微山县", "赵庙镇", "刘志尚 王程"),
    ("汶上县", "南站街道", "郭玉淼"),
    ("济宁高新区", "接庄街道", "李敏 夏晋"),
    ("汶上县", "康驿镇", "张霄燕 李秀明"),
    ("汶上县", "义桥镇", "宋同 付玉珑"),
    ("微山县", "傅村街道", "王兴武 赵卿"),
    ("泗水县", "泗张镇", "乔元龙 王朋"),
)
PROSE = st.text(
    st.sampled_from(
        "本报微山讯通员记者王明县镇乡街道市区济宁在来自和、。：（）( ■\n\u3000x0\ud800摄图为"
    )
    | st.characters(),
    max_size=300,
)


@pytest.mark.skipif(not SEED.is_file(), reason="../shared/seed/page.txt is not here")
def test_a_page_s_twelve_pieces_get_the_slips_a_reader_would_write() -> None:
    """Counties, towns and correspondents of the seed page, piece by piece."""
    slips = [
        slip_of(piece.title, piece.text, byline=piece.byline, place=piece.place)
        for piece in split_page(SEED.read_text(encoding="utf-8"))
    ]

    told = tuple((slip.county, slip.town, " ".join(slip.correspondents)) for slip in slips)
    assert told == SEED_SLIPS
    assert [slip.kind for slip in slips].count("caption") == 2
    assert slips[0].unit == "汶上县寅寺镇党委"
    assert slips[7].city == "济宁市"


def test_what_the_sender_says_goes_before_what_the_text_says() -> None:
    """Byline and place given beside the text win over those read from it."""
    text = "本报微山讯（通讯员 王明）近日，康驿镇开会。"

    slip = slip_of("", text, byline="县委宣传部 李芳", place="汶上")

    assert slip.correspondents == ("李芳",)
    assert slip.unit == "县委宣传部"
    assert (slip.county, slip.town) == ("汶上县", "康驿镇")


def test_a_unit_ends_where_the_editors_begin() -> None:
    """Editors named in the source line are no part of the unit."""
    slip = slip_of("招商", "路修好了。\n来源：照旺庄镇人民政府 编辑：姚星 电话：0535")

    assert slip.unit == "照旺庄镇人民政府"


@pytest.mark.parametrize(
    ("title", "text", "kind"),
    [
        ("", "3月6日，党员在河边捡拾垃圾。 ■通讯员 王明 摄", "caption"),
        ("党员清河", "3月6日，党员在河边捡拾垃圾。 ■通讯员 王明 摄", "article"),
        ("", "3月6日，党员在河边捡拾垃圾。", "article"),
        ("", "河水清了。" * 100 + "■通讯员 王明 摄", "article"),
    ],
)
def test_a_caption_is_short_untitled_and_credits_its_picture(
    title: str, text: str, kind: str
) -> None:
    """Without any one of the three it is an article."""
    assert slip_of(title, text).kind == kind


@given(PROSE)
def test_no_white_space_counts_and_everything_visible_does(text: str) -> None:
    """Spreading a text over lines and indents leaves its length as it was."""
    spread = "\u3000\u3000" + " \n\t".join(text)

    assert count_characters(spread) == count_characters(text) <= len(text)


@settings(max_examples=150)
@given(PROSE, PROSE, st.none() | PROSE, st.none() | PROSE)
def test_any_text_has_a_slip(title: str, text: str, byline: str | None, place: str | None) -> None:
    """No string raises, and each level told has the shape of one."""
    slip = slip_of(title, text, byline=byline, place=place)

    assert slip.town is None or slip.town.endswith(("镇", "乡", "街道", "苏木"))
    assert slip.city is None or slip.city.endswith(("市", "州", "盟", "地区"))
    assert slip.place in (slip.town, slip.county, slip.city)


@pytest.mark.parametrize(
    "unit", ["镇", "微山县", "济宁", "东方", "的", "通讯员 王明 ", "(", "街道"]
)
def test_a_long_text_costs_no_more_than_its_length(unit: str) -> None:
    """Half a million characters of what might mislead a reader cost eight times an eighth of them."""

    def slip(length: int) -> None:
        text = unit * (length // len(unit))
        slip_of(text, text, byline=text, place=text)

    assert is_linear(slip, 500_000)
