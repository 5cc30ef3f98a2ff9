"""Where an article comes from: city, county and town, as far as its own words tell.

City and county are known by name (`service.gazetteer`); towns, of which there are forty thousand
and new ones every year, by their shape and by what stands in front of them. Villages are not
looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from classifier.cleaning import BREAK, Cleaned, clean
from classifier.credit import HAN
from service.gazetteer import COMMON, gazetteer, stem_of

TITLE_CHARS = 200
BODY_CHARS = 1_000
LEAD_CHARS = 240  # of the body: what is named only later is more often an example
NAME_CHARS = 40  # of a dateline's place or a unit


@dataclass(frozen=True, slots=True)
class Place:
    """A place in levels, each by its full name; None where nothing tells.

    >>> Place(county="微山县", town="西平镇").narrowest
    '西平镇'
    """

    city: str | None = None  # 济宁市, 延边朝鲜族自治州
    county: str | None = None  # 微山县, 任城区, 邹城市, 济宁高新区
    town: str | None = None  # 西平镇, 中都街道, 锡尼河西苏木

    @property
    def narrowest(self) -> str | None:
        """The name of the narrowest level told."""
        return self.town or self.county or self.city


def read_place(
    title: str, text: str, *, dateline: str | None = None, unit: str | None = None
) -> Place:
    """Read a place from headline, dateline, lead and the correspondent's unit, in that order.

    `dateline` is the place as a dateline prints it (本报微山讯 → 微山). Takes any strings and looks
    at no more than TITLE_CHARS and BODY_CHARS of them. What contradicts an earlier source is left
    out, and so are places that people of the article only come from or go to.

    >>> read_place("微山县西平镇 村级督查提质", "该镇整改问题39个。", dateline="微山")
    Place(city=None, county='微山县', town='西平镇')
    >>> read_place("泗水：新厕所启用", "在泗水县泗张镇李家村，全镇都说好。小镇、城镇都不是地名。")
    Place(city=None, county='泗水县', town='泗张镇')
    """
    traditional = _is_traditional(text[:BODY_CHARS])
    title, body, printed, office = (
        _plain(part, traditional=traditional)
        for part in (
            title[:TITLE_CHARS],
            text[:BODY_CHARS],
            (dateline or "")[:NAME_CHARS],
            (unit or "")[:NAME_CHARS],
        )
    )
    told = _mentions(body)
    written = {name for mention in told for name in (mention.place.city, mention.place.county)}
    believed = frozenset(stem_of(name) for name in (*written, printed.strip()) if name)
    place = Place()
    for source in (
        *(mention.place for mention in _mentions(title, believed=believed)),
        _headline_word(title.strip(), body),
        _cut_short(printed.strip(), body),
        *(mention.place for mention in told if mention.start <= LEAD_CHARS),
    ):
        place = _joined(place, source)
    if place.town is None and not any(mention.several for mention in told):
        towns = {mention.place for mention in told if mention.place.town}
        only = towns.pop() if len(towns) == 1 else Place()
        if only.county or body.count(only.town or body) > 1:
            place = _joined(place, only)
    for mention in _mentions(office):
        place = _joined(place, mention.place)
    return place


def _joined(place: Place, other: Place) -> Place:
    """What both tell; `place` alone where the other contradicts it."""
    city, county, town = place.city, place.county, place.town
    if county and other.county and (county.endswith(other.county) or other.county.endswith(county)):
        county = max(county, other.county, key=len)  # 青岛西海岸新区 and 西海岸新区
    elif county and other.county:
        return place
    if (city and other.city not in (None, city)) or (town and other.town not in (None, town)):
        return place
    city, county, town = city or other.city, county or other.county, town or other.town
    owners = gazetteer().parents.get(county or "")
    if city is not None and owners is not None and city not in owners:
        return place
    return Place(city, county, town)


def _plain(text: str, *, traditional: bool) -> str:
    """A text with half-width marks and whole lines, datelines and credits blank."""
    cleaned = clean(text)
    if traditional:
        return str(cleaned)
    # In a simplified text 乾县 and 於潜镇 are no traditional spellings.
    codes = np.where(_changed(text, cleaned), _points(text)[cleaned.offsets], cleaned.codes)
    return str(Cleaned(codes.astype(np.uint16), cleaned.offsets))


def _is_traditional(text: str) -> bool:
    return bool(_changed(text, clean(text)).sum() * 20 > len(text))


def _changed(text: str, cleaned: Cleaned) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    points = _points(text)[cleaned.offsets]
    han = (points >= 0x3400) & (points <= 0x9FFF)
    return np.asarray(han & (cleaned.codes != points) & (cleaned.codes != BREAK))


def _points(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


# Places in running text


def _words(listing: str) -> tuple[str, ...]:
    return tuple(listing.split())


# What may stand right before a place's name without being a part of it.
_BEFORE = _words(
    "在 到 由 从 日 至 自 是 为 于 对 了 的 省 州 近日 日前 以来 年来 今天 昨天 昨日 今日 今年 去年 "
    "我市 我县 我区 我省 该市 该县 该区 本市 本县 本区 全市 全县 全区 县城 走进 来到 位于 走访 落户 记者 "
    "获悉 图为"
)
_GOES_THERE = _words(
    "来自 赴 前往 老家 原籍 祖籍 奔赴 飞往 开往 发往 运往 销往 驶往 考察 嫁到 搬到 支援 援助 出生于 "
    "远在"
)
_FROM_THERE = ("籍", "客商", "商会", "商人", "企业家", "的客商", "援疆", "援藏", "对口", "方言")
_SOMEBODY_FROM = ("一家", "的一家", "某")  # without a town: 上海市一家企业
_IS_HAN = re.compile(f"[{HAN}]")
_LEAVES = re.compile("[来嫁搬迁调]")
_LISTED = re.compile(r"(?:\([^()]{0,12}\))?[、和与及]")
_ZONE = re.compile(
    r"(?:国家级?)?(?:高新区|高新技术产业(?:开发)?区|经开区|经济(?:技术)?开发区|经济区|开发区|"
    rf"[{HAN}]{{1,4}}?(?:新区|度假区|保税区|示范区|投资区|管理区|试验区))"
)
_UNKNOWN_COUNTY = re.compile(
    rf"(?P<name>[{HAN}]{{1,4}}?(?:新区|高新区|经开区|开发区|度假区|管理区)|[{HAN}]{{1,3}}?(?:[县旗市]|"
    rf"(?<![社园小辖城景地山库灾矿片街校厂新业发闽牧林农郊主])区))(?=[{HAN}]{{2,5}}?(?:街道|[镇乡]))"
)


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    place: Place
    several: bool = False  # one of a list: 龙集镇、半城镇


def _mentions(text: str, *, believed: frozenset[str] = frozenset()) -> list[_Mention]:
    """The places that a plain text names, in order.

    `believed` are names that may stand before a street office without their 县 or 市.
    """
    names = gazetteer()
    found: list[_Mention] = []
    pos, kind = 0, -1  # where a town's kind stands next
    while pos < len(text):
        if text[pos : pos + 2] not in names.begins:
            if kind < pos:
                following = _KIND.search(text, pos)
                kind = following.start() if following is not None else len(text) + _LONGEST_NAME
            # A name that is in no table is known by the kind of town that it ends with.
            if kind - pos > _LONGEST_NAME or not _opens(text, pos):
                pos += 1
                continue
        mention = _mention_at(text, pos, believed)
        if mention is None:
            # Past whole words, not into them: there is no 东城区 in 山东城区.
            words = (names.at(text, pos, among) for among in (names.stems, names.provinces))
            pos += max(1, *map(len, words))
            continue
        pos = mention.end
        if not _only_passes(text, mention):
            found.append(mention)
    return [_without_list(text, mention) for mention in found]


def _mention_at(text: str, start: int, believed: frozenset[str]) -> _Mention | None:
    """The place whose name starts at `start`, with all of it that follows: 济宁市微山县西平镇."""
    names = gazetteer()
    opens, pos = _opens(text, start), start
    province = names.at(text, pos, names.provinces)
    if province and names.whole(text, pos)[1] <= pos + len(province):
        pos += len(province)
    place, pos = _city_and_county(text, pos, opens=opens or pos > start, believed=believed)
    if place == Place():
        if not opens:
            return None
        place, pos = _unknown_county(text, max(start, pos))
    town = _town(text, pos, alone=place == Place())
    if town is not None:
        place, pos = replace(place, town=town[0]), town[1]
    return _Mention(start, pos, place) if place != Place() else None


def _city_and_county(
    text: str, pos: int, *, opens: bool, believed: frozenset[str]
) -> tuple[Place, int]:
    """City, county or both, as they are written at `pos`, and where they end."""
    names = gazetteer()
    name, end = names.whole(text, pos)
    if not name:
        return _after_stem(text, pos, opens=opens, believed=believed)
    if not names.is_city(name):
        doubtful = name in COMMON or (len(name) == 2 and not opens)
        return (Place(), pos) if doubtful else (Place(county=name), end)
    below, below_end = names.whole(text, end)
    if below and not names.is_city(below) and name in names.parents.get(below, (name,)):
        return Place(name, below), below_end
    if (zone := _ZONE.match(text, end)) is not None:
        return _zone((name,), stem_of(name), zone)
    return Place(city=name), end


def _after_stem(text: str, pos: int, *, opens: bool, believed: frozenset[str]) -> tuple[Place, int]:
    """City or county cut short, where what follows shows that it is one: 衡阳常宁市, 安溪尚卿乡."""
    names = gazetteer()
    stem = names.at(text, pos, names.stems)
    if not stem:
        return Place(), pos
    after, owners = pos + len(stem), names.stems[stem]
    below, below_end = names.whole(text, after)
    if (city := names.city_of(below, owners)) is not None:
        return Place(city, below), below_end
    if not opens:
        return Place(), pos
    inner = names.at(text, after, names.stems)
    inner_end = after + len(inner)
    zone = _ZONE.match(text, after)
    for county in names.stems.get(inner, ()):  # 江门鹤山共和镇, 重庆潼南高新区
        city = names.city_of(county, owners)
        if city is not None and _town(text, inner_end, alone=False):
            return Place(city, county), inner_end
        if city is not None and zone is not None:
            return Place(city, county), zone.end()
    if zone is not None:
        return _zone(owners, stem, zone)
    town = _town(text, after, alone=False)
    # 中山南路街道 is no street office of 中山, but 安溪尚卿乡 is a township of 安溪.
    clear = town and len(town[0]) > 2 and town[0][-1] != "道" and not _is_prose(town[0][:-1])
    if town and (stem in believed or clear):
        place = _cut_short(stem, text)
        return place, after if place != Place() else pos
    return Place(), pos


def _zone(owners: tuple[str, ...], stem: str, zone: re.Match[str]) -> tuple[Place, int]:
    """济宁高新区 stands beside the counties of 济宁市; 微山经济开发区 lies in 微山县."""
    city = next((owner for owner in owners if gazetteer().is_city(owner)), None)
    if zone[0].startswith("湾"):  # 杭州湾新区 does not belong to 杭州
        return Place(county=stem + zone[0]), zone.end()
    if city is not None:
        return Place(city, stem + zone[0]), zone.end()
    return Place(county=owners[0]), zone.end()


def _unknown_county(text: str, pos: int) -> tuple[Place, int]:
    """A county that is not in the table, believed where a town stands behind it."""
    match = _UNKNOWN_COUNTY.match(text, pos)
    if match is None or _is_prose(match["name"]) or _NO_TOWN_START.match(match["name"]):
        return Place(), pos
    if _town(text, match.end(), alone=False) is None:
        return Place(), pos
    return Place(county=match["name"]), match.end()


def _opens(text: str, pos: int) -> bool:
    """Whether a name may start at `pos`: nothing of the same word stands before it."""
    before = text[max(0, pos - 2) : pos]
    return not before or not _IS_HAN.match(before[-1]) or before.endswith(_BEFORE)


def _only_passes(text: str, mention: _Mention) -> bool:
    """Whether people of the article only come from the place, or go there."""
    before = text[max(0, mention.start - 4) : mention.start]
    if before.endswith("从") and _LEAVES.match(text, mention.end):
        return True
    if mention.place.town is None and text.startswith(_SOMEBODY_FROM, mention.end):
        return True
    return before.endswith(_GOES_THERE) or text.startswith(_FROM_THERE, mention.end)


def _without_list(text: str, mention: _Mention) -> _Mention:
    """A mention without its narrowest level where that is one of several."""
    place, listed = mention.place, _LISTED.match(text, mention.end)
    before = text[max(0, mention.start - 3) : mention.start]
    if place.town is not None:
        follows = listed is not None and _town(text, listed.end(), alone=False) is not None
        if follows or before.endswith(("镇、", "乡、", "道、")):
            return replace(mention, place=replace(place, town=None), several=True)
    elif place.county is not None:
        next_name = gazetteer().whole(text, listed.end())[0] if listed is not None else ""
        follows = bool(next_name) and not gazetteer().is_city(next_name)
        if follows or before.endswith(("县、", "市、", "区、")):
            return replace(mention, place=replace(place, county=None), several=True)
    return mention


# Towns

_KIND = re.compile("街道|苏木|[镇乡]")
_LONGEST_NAME = 16  # characters before the kind of a town: a county's name and the town's own
_TOWN = re.compile(rf"(?P<stem>[{HAN}·]{{1,9}}?)(?P<kind>街道|苏木|[镇乡])")
_TOWN_OF_TOWN = re.compile(
    rf"(?P<stem>[{HAN}]{{1,3}}[镇街])(?P<kind>街道|镇)"
)  # 许镇镇, 石湾镇街道
_NUMBER = re.compile(r"[一二三四五六七八九十百两几多数半]+个?")
_NO_TOWN_START = re.compile(
    r"岛|浩特|镇镇|街道|致全|[各该每某其此这我你他她它们的了被把让使没几个等及与或并又也就还很最更既按据因但]|"
    r"(?:全|本|小|城|乡|家|故|老|下|返|回|农|水|集|古|重|名|强|侨|村|苏木|建制|周边|邻近|附近|"
    r"主要|主)$"
)
_NO_TOWN_WORD = re.compile(
    r"[的了着被等各该与个在我你您这请]|推进|推动|加强|开展|组织|召开|建设|打造|实施|提升|农村|乡村|部分|"
    r"重点|所有|全面|积极|深入|辖区|沿街|主要|城乡|主城|老旧|背街|示范|特色|美丽|文明|有关|相关|周边|附近|"
    r"偏远|边远|贫困|试点|下属|所辖|所属|干部|党员|居民|群众|以及|新型|小城|建制|其他|其它|部门|机关|单位|"
    r"学校|企业|项目|工作|同志|书记|服务|联合|深化|落实|依托|围绕|聚焦|带领|派驻|下派|走遍|覆盖|包括|涉及|"
    r"进入|回到|离开|沿着|穿过|打扫|清扫|商业|步行|文化|历史|工业|产业|生态|旅游|今年|去年|近年|近日|日前|"
    r"目前|连续|一条|他们|自己|湖畔|河畔|医院|法院|公司|政府"
)
_NO_TOWN_END = re.compile(
    r"(?:[小名强重家故老下返回侨城千百古]|海拔|大镇|中心|全国|全省|全市|全县|..[和与])$"
)
_TOWN_ALL_THE_SAME = re.compile(rf"[{HAN}]{{1,3}}[城老下家]")  # behind a county: 都城镇, 石家镇
_NO_HOME = re.compile(r"[异他之梦同故]$")  # 异乡, 锻造之乡
_GOES_ON = {  # what makes the beginning of another word of the suffix
    "镇": re.compile(r"[江静压定痛]|街道"),
    "乡": re.compile(r"[镇亲愁贤土音情里下间邻友民]|村(?![民委两支级党干书会里口头])|村振|村建"),
    "街道": re.compile(
        r"[上两旁边口宽整]|干净|商店|沿线|环境|绿化|路面|改造|卫生(?!服务|院|室|监督)|清|和小"
    ),
    "苏木": re.compile(r"镇"),
}
# Before a town that no county stands in front of: 物业和(街道), 听说您是(镇上), 在郯城(县).
_PROSE = re.compile(
    r"^(?:[一第有可已先当起听交拉驻原往经户法县市区省州旗从对于自由]|来自)|"
    r"[在到把给让是我你您这那请说将或并就]|.[至自打有前后时天地位之两大日期给本]$|..[和与]$"
)


def _town(text: str, pos: int, *, alone: bool) -> tuple[str, int] | None:
    """The town or street office at `pos` and where its name ends.

    `alone` says that no county stands in front, so that less is believed.
    """
    for match in _town_shapes(text, pos):
        if _names_town(text, match, alone=alone):
            return match[0], match.end()
    return None


def _town_shapes(text: str, pos: int) -> Iterator[re.Match[str]]:
    for shape in (_TOWN_OF_TOWN, _TOWN):
        match = shape.match(text, pos)
        if match is not None:
            yield match


def _names_town(text: str, match: re.Match[str], *, alone: bool) -> bool:
    stem, kind = match["stem"], match["kind"]
    if len(stem) > (8 if stem.endswith("族") else 4 if alone else 7):
        return False
    if _NO_TOWN_START.match(stem) or _NO_TOWN_WORD.search(stem) or _NUMBER.fullmatch(stem):
        return False
    if _NO_TOWN_END.search(stem) and (alone or not _TOWN_ALL_THE_SAME.fullmatch(stem)):
        return False
    if _GOES_ON[kind].match(text, match.end()) or (kind == "乡" and _NO_HOME.search(stem)):
        return False
    return not alone or _stands_alone(text, match)


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    stem, names = match["stem"], gazetteer()
    if len(stem) < 2 or _is_prose(stem) or (match["kind"] == "乡" and stem[-1] in "水花"):
        return False
    return len(names.at(text, match.start(), names.stems)) < len(match[0])  # 景德镇


def _is_prose(word: str) -> bool:
    """Whether a word in front of 镇 or 县 is more than a name: 物业和, 听说您是, 在郯城县."""
    names = gazetteer()
    inside = any(names.whole(word, at)[0] for at in range(1, len(word)))
    suburb = len(word) == 3 and word[:2] in names.stems and word[2] in "西东南北"
    return inside or suburb or bool(_PROSE.search(word) or _NO_TOWN_WORD.search(word))


# Names cut short


def _headline_word(title: str, body: str) -> Place:
    """The city or county that a headline opens with: 邱县：…, 张掖 …, 凤台马拉松…."""
    match = re.match(rf"([{HAN}]{{2,5}})[:\s|]", title)
    if match is not None:
        return _cut_short(match[1], body)
    names = gazetteer()
    stem = names.at(title, 0, names.stems)
    written = [name for name in names.stems.get(stem, ()) if name in body]
    return _cut_short(stem, body) if len(written) == 1 else Place()


def _cut_short(word: str, body: str) -> Place:
    """The place that a dateline means: 微山 is 微山县, 济宁 is 济宁市, 济宁微山 is both.

    Where several are called so, the one that `body` writes out, else the city.
    """
    names = gazetteer()
    whole, end = names.whole(word, 0)
    if not whole and word in names.stems:
        meant = names.stems[word]
        written = [name for name in meant if name in body]
        cities = [name for name in meant if names.is_city(name)]
        if not (written or cities or len(meant) == 1):
            return Place()
        whole, end = (written or cities or meant)[0], len(word)
    if whole and end == len(word):
        return Place(city=whole) if names.is_city(whole) else Place(county=whole)
    stem = names.at(word, 0, names.stems)
    for county in names.stems.get(word[len(stem) :], ()):
        if (city := names.city_of(county, names.stems.get(stem, ()))) is not None:
            return Place(city, county)
    place, end = _city_and_county(word, 0, opens=True, believed=frozenset())
    if place != Place() and end == len(word):
        return place
    if re.fullmatch(rf"[{HAN}]{{2,4}}", word) and f"{word}县" in body:
        return Place(county=f"{word}县")
    return Place()
