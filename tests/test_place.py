"""Place names read from headline, dateline and lead."""

from __future__ import annotations

from collections import Counter

import pytest

from classifier.dateline import read_dateline
from service.place import Place, read_place
from training.labelled import read_corpus


def place_of(title: str, text: str = "") -> tuple[str | None, str | None, str | None]:
    """City, county and town that an article tells."""
    told = read_place(title, text, dateline=read_dateline(text).place)
    return told.city, told.county, told.town


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("微山县西平镇 村级督查提质增效", "", (None, "微山县", "西平镇")),
        ("", "在衡阳常宁市西岭镇，茶油贵了。", ("衡阳市", "常宁市", "西岭镇")),
        ("房山周口店镇生态修复", "在北京市房山区周口店镇，", ("北京市", "房山区", "周口店镇")),
        ("", "在海口市演丰镇东寨港，管护员剪网。", ("海口市", None, "演丰镇")),
        ("", "昨日，江门鹤山共和镇举行签约。", ("江门市", "鹤山市", "共和镇")),
        ("", "侨亲日前回到安溪尚卿乡。", (None, "安溪县", "尚卿乡")),
        ("", "德阳旌阳区八角井街道新桥社区。", ("德阳市", "旌阳区", "八角井街道")),
        ("", "锡林郭勒盟苏尼特左旗达来苏木有个嘎查", ("锡林郭勒盟", "苏尼特左旗", "达来苏木")),
        ("", "天没亮，芜湖市许镇镇的桂花田里，", ("芜湖市", None, "许镇镇")),
        ("", "我是宿松县孚玉镇一名教师", (None, "宿松县", "孚玉镇")),
        ("康驿镇：清单亮出来", "本报汶上讯 近日，", (None, "汶上县", "康驿镇")),
        ("", "每周五，和静县巴润哈尔莫敦\n镇的老人", (None, "和静县", "巴润哈尔莫敦镇")),
    ],
)
def test_a_full_name_is_read_level_by_level(
    title: str, text: str, expected: tuple[str | None, str | None, str | None]
) -> None:
    """Each level by its own name, whatever level is left out."""
    assert place_of(title, text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "全镇上下动了起来。该镇、我镇、各镇、小镇、古镇、城镇、乡镇、集镇、重镇都不是名字。",
        "该街道组织打扫街道两旁，各街道、全街道、老街道办事处都来了。",
        "回到家乡，老乡们返乡创业，城乡一体，他乡变故乡，锻造之乡，十里水乡，鱼米之乡。",
        "建设美丽乡村，推进新型城镇化，发展特色小镇，美丽宜居乡镇。",
        "物业和街道先调解，听说您是镇上的，有位镇级河长，户口在镇上，三年前镇党委来人。",
        "农村、社区、小区、景区、园区、灾区、山区、市区、辖区、校区。",
        "江苏镇江、浙江景德镇附近；冰镇酸梅汤；进行镇压；请镇静。",
        "东方市场、和平区域合作区里的市场。",
    ],
)
def test_common_words_are_no_places(text: str) -> None:
    """全镇, 小镇, 街道两旁 and their like name nothing."""
    told = read_place("", text)
    assert (told.county, told.town) == (None, None)


@pytest.mark.parametrize(
    ("text", "town"),
    [
        ("微山县各乡镇召开会议", None),
        ("微山县农村乡镇", None),
        ("微山县美丽乡村建设", None),
        ("微山县组织各镇、街道", None),
        ("微山县城镇居民收入", None),
        ("微山县主要街道两侧", None),
        ("郁南县都城镇产业集聚地", "都城镇"),
        ("阜南县鹿城镇城东社区", "鹿城镇"),
        ("怀宁县小市镇当了九年", "小市镇"),
        ("上犹县梅水乡园村", "梅水乡"),
        ("湖口县流芳乡村民", "流芳乡"),
    ],
)
def test_behind_a_county_only_a_name_is_a_town(text: str, town: str | None) -> None:
    """The county stays; what follows is believed when it can be a name."""
    told = read_place("", text)
    assert told.county is not None
    assert told.town == town


def test_of_several_towns_none_is_the_article_s() -> None:
    """A list of towns leaves the county."""
    told = read_place("泗洪县通报", "泗洪县龙集镇、半城镇有三家虚开发票，龙集镇、半城镇都查了。")
    assert told == Place(county="泗洪县")


@pytest.mark.parametrize(
    "text",
    ["来自汶上县义桥镇的客人", "他老家汶上县义桥镇", "队员赴汶上县义桥镇学习", "汶上县客商来了"],
)
def test_where_people_come_from_or_go_to_is_not_the_place(text: str) -> None:
    """The dateline's place stays alone."""
    assert read_place("", text, dateline="微山") == Place(county="微山县")


def test_a_contradiction_leaves_the_earlier_source() -> None:
    """A county of another city than the dateline's is not added."""
    assert read_place("", "会上，桃源县介绍经验。", dateline="济宁") == Place(city="济宁市")


@pytest.mark.parametrize(
    ("dateline", "body", "expected"),
    [
        ("济宁", "", Place(city="济宁市")),
        ("微山", "", Place(county="微山县")),
        ("滨海新区", "", Place(county="滨海新区")),
        ("济宁微山", "", Place(city="济宁市", county="微山县")),
        ("海南州", "", Place(city="海南藏族自治州")),
        ("朝阳", "朝阳县开会。", Place(county="朝阳县")),
        ("朝阳", "", Place(city="朝阳市")),
        ("云岭", "云岭县开会。", Place(county="云岭县")),
        ("火星", "开会了。", Place()),
    ],
)
def test_a_dateline_s_short_name_is_made_whole(dateline: str, body: str, expected: Place) -> None:
    """The text decides between namesakes, else the city; an unknown county needs its 县."""
    assert read_place("", body, dateline=dateline) == expected


def test_a_county_called_anew_keeps_the_name_of_the_text() -> None:
    """密云县 is 密云区 today; an article of then says 密云县. A county of tomorrow needs a town."""
    assert read_place("", "在密云县开会").county == "密云县"
    assert read_place("", "威宁县开会").county == "威宁彝族回族苗族自治县"
    assert read_place("", "近日，云岭县石桥镇开会。") == Place(county="云岭县", town="石桥镇")


def test_traditional_text_gives_the_simplified_name() -> None:
    """So that one town is one line of 发稿统计; 乾县 in simplified text stays 乾县."""
    traditional = "走進河北武安市伯延鎮，看一口用蘆根與田螺治理過的村塘。過去以磚瓦為業，窰火熄了。"
    assert read_place("", traditional).town == "伯延镇"
    assert read_place("乾县梁村镇：支部把饭端到炕头", "老人吃上了热饭。").county == "乾县"


@pytest.mark.no_cover
def test_the_bundled_articles_name_no_town_that_is_none() -> None:
    """Of all articles four in ten tell a town, and no town is a phrase or a common word."""
    articles = [one.article for one in read_corpus().articles]
    towns = Counter(
        read_place(one.title, one.text, dateline=read_dateline(one.text).place).town
        for one in articles
    )
    told = [town for town in towns if town]
    phrases = ("在", "全镇", "该", "我镇", "本镇", "小镇", "乡镇", "各", "听说", "有位")

    assert sum(towns[town] for town in told) > 0.35 * sum(towns.values())
    assert [town for town in told if any(phrase in town for phrase in phrases)] == []
    assert max(map(len, told)) <= 9
