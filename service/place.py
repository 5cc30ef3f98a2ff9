"""Where an article comes from: city, county and town, as far as its own words tell.

City and county are known by name (`places.txt`); towns, of which there are forty thousand and new
ones every year, by their shape and by what stands in front of them. Villages are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from classifier.cleaning import Cleaned, clean
from classifier.credit import HAN

TITLE_CHARS = 200
BODY_CHARS = 1_000
LEAD_CHARS = 240  # of the body: what is named only later is more often an example

_PEOPLES = (
    "回族|蒙古族?|藏族|维吾尔|苗族|彝族|壮族|布依族|朝鲜族|满族|侗族|瑶族|白族|土家族|哈尼族|哈萨克族?|傣族|黎族|"
    "傈僳族|佤族|畲族|拉祜族|水族|东乡族|纳西族|景颇族|柯尔克孜|土族|达斡尔族?|仫佬族|羌族|布朗族|撒拉族|毛南族|仡佬族|"
    "锡伯|阿昌族|普米族|塔吉克|怒族|鄂温克族|保安族|裕固族|独龙族|各族"
)
_SUFFIX = "自治[州县旗]|地区|林区|特区|新区|矿区|[市县区旗盟州]"
_SUFFIXED = re.compile(rf"(?P<stem>.{{2,}}?)(?:{_PEOPLES})*(?P<suffix>{_SUFFIX})")
_ANY_SUFFIX = re.compile(_SUFFIX)
_ZONE = re.compile(
    rf"(?:国家级?)?(?:高新区|高新技术产业(?:开发)?区|经开区|经济(?:技术)?开发区|经济区|开发区|"
    rf"(?:[{HAN}]{{1,4}}?)(?:新区|度假区|保税区|示范区|投资区|管理区|试验区))"
)
# Counties whose names are also common words; believed only behind their city.
_COMMON = frozenset("城区 郊区 矿区 新城区 城中区 城东区 城西区 城北区 西区 新市区 市中区".split())

# Stems that with another suffix are a common word: 合作区, 东方区.
_NO_STEM = frozenset("合作 东方 和平 城中 市中".split())

_BEFORE_PLACE = (
    "在 到 由 从 日 至 近日 日前 以来 年来 我市 我县 我区 我省 该市 该县 该区 本市 本县 本区 全市 全县 "
    "走进 来到 位于 走访 自 记者 获悉 今天 昨天 昨日 今日 今年 去年 图为 县城 落户 是 为 于 对 了 的 省 州"
)
_STARTS_AFTER = tuple(_BEFORE_PLACE.split())
_GOES_THERE = tuple(
    "来自 赴 前往 老家 原籍 祖籍 奔赴 飞往 开往 发往 运往 销往 驶往 考察 嫁到 搬到 支援 援助 出生于 远在".split()
)
_FROM_THERE = tuple("籍 客商 商会 商人 企业家 的客商 援疆 援藏 对口 方言".split())

_TOWN = re.compile(rf"(?P<stem>[{HAN}·]{{1,9}}?)(?P<kind>街道|苏木|[镇乡])")
_ONLY_NUMBER = re.compile(r"[一二三四五六七八九十百两几多数半]+个?")
# What no town's name begins with, contains or ends in.
_NO_TOWN_START = re.compile(
    r"岛|浩特|[各该每某其此这我你他她它们的了被把让使没几个等及与或并又也都就还很最更既按据因但]|"
    r"(?:全|本|小|城|乡|家|故|老|下|返|回|农|水|集|古|重|名|强|侨|村|苏木|建制|周边|邻近|附近|主要|主)$"
)
_NO_TOWN_WORD = re.compile(
    r"推进|推动|加强|开展|组织|召开|建设|打造|实施|提升|农村|乡村|各地|部分|重点|所有|全面|积极|深入|辖区|沿街|主要|城乡|"
    r"主城|老旧|背街|示范|特色|美丽|文明|多个|有关|相关|周边|附近|偏远|边远|贫困|试点|下属|所辖|所属|等地|干部|党员|居民|"
    r"群众|以及|新型|小城|建制|其他|其它|部门|机关|单位|学校|企业|项目|工作|同志|书记|服务|联合|深化|落实|依托|围绕|聚焦|"
    r"带领|派驻|下派|走遍|覆盖|包括|涉及|进入|回到|离开|沿着|穿过|打扫|清扫|商业|步行|文化|历史|工业|产业|生态|旅游|"
    r"今年|去年|近年|近日|日前|目前|连续|一条|一个|这个|那个|我们|他们|自己|的|了|着|被|等|各|该|与|个|在|湖畔|河畔|[我你您这请]"
)
_PROSE = re.compile(
    r"^(?:[一第有可已先当起听交拉驻原往经户法县市区省州旗从对于自由]|来自)|[在到把给让是我你您这那请说将或并就]|.[至自打有前后时天地位之两大日期给本]$|..[和与]$"
)
_NO_TOWN_END = re.compile(r"(?:[小名强重家故老下返回侨城千百古]|海拔|大镇|中心|全国|全省|全市|全县|示范|特色|文明)$")
_TOWN_ALL_THE_SAME = re.compile(rf"[{HAN}]{{1,3}}[城老下家]")  # 都城镇, 半城镇, 石家镇
_GOES_ON = {  # what turns the suffix into the beginning of another word
    "镇": re.compile(r"[江静压定痛]|街道"),
    "乡": re.compile(r"[镇亲愁贤土音情里下间邻友民]|村(?![民委两支级党干书会里口头])|村振|村建"),
    "街道": re.compile(r"[上两旁边口宽整]|沿线|卫生(?!服务|院|室|监督)|清|和小"),
    "苏木": re.compile(r"(?!)"),
}
_NO_HOME = re.compile(r"[异他之梦同故]$")
_TWIN_SUFFIX = re.compile(r"镇镇|街街道|道街道")


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
    title, body = _plain(title[:TITLE_CHARS]), _plain(text[:BODY_CHARS])
    told = _mentions(body)
    written = (level for mention in told for level in (mention.place.city, mention.place.county))
    believed = frozenset(name[:2] for name in (*written, dateline) if name)
    lead = [mention for mention in told if mention.start <= LEAD_CHARS]
    sources = [
        *(mention.place for mention in _mentions(title, believed=believed)),
        _headline_word(title, body),
        _of_dateline(_plain(dateline or "").strip(), body),
        *(mention.place for mention in lead),
    ]
    place = Place()
    for source in sources:
        place = _joined(place, source)
    if place.town is None and not any(mention.several for mention in told):
        towns = {mention.place for mention in told if mention.place.town}
        if len(towns) == 1 and (only := towns.pop()) and (only.county or body.count(only.town or "") > 1):
            place = _joined(place, only)
    for mention in _mentions(_plain(unit or "")):
        place = _joined(place, mention.place)
    return place


def _plain(text: str) -> str:
    """A text with half-width marks, whole lines and simplified characters, credits left blank."""
    cleaned = clean(text)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    points = points[cleaned.offsets]
    codes = cleaned.codes.copy()
    changed = (points >= 0x3400) & (points <= 0x9FFF) & (codes != points) & (codes != 0)
    # In a simplified text 乾县 and 於潜镇 are no traditional spellings.
    if changed.sum() * 10 < len(points):
        codes[changed] = points[changed]
    return str(Cleaned(codes, cleaned.offsets))


def _joined(place: Place, other: Place) -> Place:
    """What both tell; `place` alone where the other contradicts it."""
    names = _names()
    city = place.city or other.city
    county = place.county or other.county
    town = place.town or other.town
    if county and other.county and (county.endswith(other.county) or other.county.endswith(county)):
        county = max(county, other.county, key=len)  # 青岛西海岸新区 and 西海岸新区
    elif other.county not in (None, county):
        return place
    if other.city not in (None, city):
        return place
    if other.town not in (None, town):
        return place
    parents = names.parents.get(county or "")
    if city is not None and parents is not None and city not in parents:
        return place
    return Place(city, county, town)


# Names of cities and counties


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of places.txt and how they are cut short."""

    cities: frozenset[str]
    parents: dict[str, frozenset[str]]  # of each county, the cities that have one of this name
    stems: dict[str, tuple[str, ...]]  # 微山 → 微山县
    provinces: frozenset[str]
    begins: frozenset[str]  # the first two characters of all of them
    longest: int


@cache
def _names() -> _Names:
    cities: set[str] = set()
    parents: dict[str, set[str]] = {}
    provinces: set[str] = set()
    table = Path(__file__).with_name("places.txt").read_text(encoding="utf-8")
    for line in table.splitlines():
        first, *counties = line.split()
        if first == "#":
            continue
        if not counties and not first.endswith("市"):
            short = re.sub(r"(?:壮族|回族|维吾尔)?自治区$|省$|特别行政区$", "", first)
            provinces |= {first, short}
            continue
        if first != "-":
            cities.add(first)
        for county in counties:
            parents.setdefault(county, set()).update({first} - {"-"})
    stems: dict[str, list[str]] = {}
    for name in (*sorted(cities), *sorted(parents)):
        cut = _SUFFIXED.fullmatch(name)
        if cut is not None and name not in _COMMON:
            stems.setdefault(cut["stem"], []).append(name)
    known = {*cities, *parents, *provinces, *stems}
    return _Names(
        frozenset(cities),
        {county: frozenset(owners) for county, owners in parents.items()},
        {stem: tuple(full) for stem, full in stems.items()},
        frozenset(provinces),
        frozenset(name[:2] for name in known),
        max(map(len, known)),
    )


def _longest(text: str, pos: int, among: object) -> str:
    """The longest name of `among`, a set or dict, that stands at `pos`; "" if none."""
    for length in range(min(_names().longest, len(text) - pos), 1, -1):
        if (word := text[pos : pos + length]) in among:  # type: ignore[operator]
            return word
    return ""


def _full_name(text: str, pos: int) -> tuple[str, int]:
    """The city or county written out at `pos`, by its name of today, and where it ends."""
    names = _names()
    city, county = _longest(text, pos, names.cities), _longest(text, pos, names.parents)
    word = max(city, county, key=len)
    if not word:
        stem = _longest(text, pos, names.stems)
        suffix = _ANY_SUFFIX.match(text, pos + len(stem)) if stem else None
        if suffix is None or stem in _NO_STEM:
            return "", pos
        # 威宁县 is 威宁彝族回族苗族自治县; 密云县, now 密云区, stays as it was called.
        word = stem + suffix[0]
        same = [name for name in names.stems[stem] if name[-1] == word[-1]]
        word, end = (same[0] if len(same) == 1 else word), suffix.end()
    else:
        end = pos + len(word)
    if text[end - 1] == "市" and text[end : end + 1] == "场":
        return "", pos
    return word, end


def _is_city(name: str) -> bool:
    known = name in _names().parents
    return name in _names().cities or (not known and name.endswith(("州", "盟", "地区")))


# Places in running text


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    place: Place
    several: bool = False  # one of a list: 龙集镇、半城镇


def _mentions(text: str, *, believed: frozenset[str] = frozenset()) -> list[_Mention]:
    """The places that a folded text names, in order.

    `believed` are the first two characters of names that may stand without 县 or 市 before a town.
    """
    found: list[_Mention] = []
    pos = 0
    while pos < len(text):
        mention = _mention_at(text, pos, believed)
        if mention is None:
            bare = _longest(text, pos, _names().stems) if text[pos : pos + 2] in _names().begins else ""
            province = _longest(text, pos, _names().provinces) if text[pos : pos + 2] in _names().begins else ""
            pos += max(1, len(bare), len(province))  # not into a name: no 东城区 in 山东城区
            continue
        pos = mention.end
        if not _only_passes(text, mention):
            found.append(mention)
    return [_without_list(text, mention) for mention in found]


def _mention_at(text: str, start: int, believed: frozenset[str]) -> _Mention | None:
    """The place whose name starts at `start`, with all that follows of it: 济宁市微山县西平镇."""
    names = _names()
    place, pos = Place(), start
    opens = _opens(text, start)
    if text[pos : pos + 2] in names.begins:
        province = _longest(text, pos, names.provinces)
        after = pos + len(province)
        if province and _full_name(text, pos)[1] <= after:
            pos = after + (text[after : after + 1] == "省")
        place, pos = _city_and_county(text, pos, opens=opens or bool(province), believed=believed)
    if place == Place():
        pos = start
        if not opens:
            return None
        place, pos = _unknown_county(text, start)
    town = _town(text, pos, alone=place == Place())
    if town is not None:
        place, pos = replace(place, town=town[0]), town[1]
    return _Mention(start, pos, place) if place != Place() else None


def _city_and_county(
    text: str, pos: int, *, opens: bool, believed: frozenset[str]
) -> tuple[Place, int]:
    names = _names()
    name, end = _full_name(text, pos)
    if not name:
        stem = _longest(text, pos, names.stems)
        after = pos + len(stem)
        if not stem:
            return Place(), pos
        below, below_end = _full_name(text, after)
        if not below and opens:  # 江门鹤山共和镇
            shorter = _longest(text, after, names.stems)
            below_end = after + len(shorter)
            town = _town(text, below_end, alone=False) if shorter else None
            belows = names.stems[shorter] if town else ()
        else:  # 衡阳常宁市
            belows = (below,) if below else ()
        for below in belows:
            for whole in names.stems[stem]:
                if whole in names.parents.get(below, ()):
                    return Place(city=whole, county=below), below_end
        if (zone := _ZONE.match(text, after)) is not None and opens:
            within = _longest(text, after, names.stems)
            county = next((c for c in names.stems.get(within, ()) if c in names.parents), None)
            if county is not None:  # 重庆潼南高新区
                return Place(county=county), zone.end()
            return _zone(names.stems[stem], stem, zone)
        town = _town(text, after, alone=False) if opens else None
        # 中山南路街道 is not a street office of 中山, but 安溪尚卿乡 is a township of 安溪.
        if town and (stem[:2] in believed or (len(town[0]) >= 3 and not town[0].endswith("道"))):
            return _of_dateline(stem, text), after
        return Place(), pos
    if not _is_city(name):
        bare = name in _COMMON or (len(name) == 2 and not opens)
        return (Place(), pos) if bare else (Place(county=name), end)
    below, below_end = _full_name(text, end)
    if below and not _is_city(below) and name in names.parents.get(below, (name,)):
        return Place(name, below), below_end
    if (zone := _ZONE.match(text, end)) is not None:
        cut = _SUFFIXED.fullmatch(name)
        return _zone((name,), cut["stem"] if cut else name, zone)
    return Place(city=name), end


def _zone(owners: tuple[str, ...], stem: str, zone: re.Match[str]) -> tuple[Place, int]:
    """济宁高新区 stands beside the counties of 济宁市; 微山经济开发区 lies in 微山县."""
    cities = [owner for owner in owners if _is_city(owner)]
    if cities:
        return Place(city=cities[0], county=stem + zone[0]), zone.end()
    return Place(county=owners[0]), zone.end()


_UNKNOWN_COUNTY = re.compile(
    rf"(?P<name>[{HAN}]{{1,3}}?(?:[县旗市]|(?<![社园小辖城景地山库灾矿片街校厂新业发闽牧林农郊主])区)|[{HAN}]{{1,4}}?(?:新区|高新区|经开区|开发区|度假区|管理区))"
    rf"(?=[{HAN}]{{2,5}}?(?:街道|[镇乡]))"
)


def _unknown_county(text: str, pos: int) -> tuple[Place, int]:
    """A county that is not in the table, believed where a town stands behind it."""
    match = _UNKNOWN_COUNTY.match(text, pos)
    if match is None or _is_prose(match["name"]) or _NO_TOWN_START.match(match["name"]):
        return Place(), pos
    if _town(text, match.end(), alone=False) is None:
        return Place(), pos
    return Place(county=match["name"]), match.end()


def _town(text: str, pos: int, *, alone: bool) -> tuple[str, int] | None:
    """The town or street office at `pos` and where its name ends.

    `alone` says that no county stands in front, so that less is believed.
    """
    for match in _town_shapes(text, pos):
        stem, kind, end = match["stem"], match["kind"], match.end()
        longest = 8 if stem.endswith("族") else 4 if alone else 7
        if len(stem) > longest or _NO_TOWN_START.match(stem) or _NO_TOWN_WORD.search(stem):
            return None
        if _ONLY_NUMBER.fullmatch(stem) or (alone and (len(stem) < 2 or _is_prose(stem))):
            return None
        if _NO_TOWN_END.search(stem) and (alone or not _TOWN_ALL_THE_SAME.fullmatch(stem)):
            return None
        if _GOES_ON[kind].match(text, end) or (kind == "乡" and _NO_HOME.search(stem)):
            return None
        if alone and kind == "乡" and stem.endswith("水"):
            return None
        return stem + kind, end
    return None


def _is_prose(word: str) -> bool:
    """Whether a word in front of 镇 or 县 is more than a name: 物业和, 听说您是, 在郯城县."""
    names = _names()
    inside = (word[at : at + 2] in names.begins and _full_name(word, at)[0] for at in range(1, len(word)))
    bare_and_one = len(word) == 3 and word[:2] in names.stems and word[2] in "西东南北"
    return bool(_PROSE.search(word) or _NO_TOWN_WORD.search(word)) or any(inside) or bare_and_one


def _town_shapes(text: str, pos: int) -> Iterator[re.Match[str]]:
    match = _TOWN.match(text, pos)
    if match is None:
        return
    if _TWIN_SUFFIX.match(text, match.end() - 1):
        longer = re.compile(rf"(?P<stem>{re.escape(match[0])})(?P<kind>街道|镇)").match(text, pos)
        if longer is not None:
            yield longer
    yield match


def _opens(text: str, pos: int) -> bool:
    """Whether a name may start at `pos`: nothing of the same word stands before it."""
    before = text[max(0, pos - 2) : pos]
    return not before or not re.match(f"[{HAN}]", before[-1]) or before.endswith(_STARTS_AFTER)


def _only_passes(text: str, mention: _Mention) -> bool:
    before = text[max(0, mention.start - 4) : mention.start]
    if before.endswith("从") and re.compile("[来嫁搬迁调]").match(text, mention.end):
        return True
    if mention.place.town is None and text.startswith(("一家", "的一家", "某"), mention.end):
        return True
    return before.endswith(_GOES_THERE) or text.startswith(_FROM_THERE, mention.end)


_LISTED = re.compile(r"(?:\([^()]{0,12}\))?[、和与及]")


def _without_list(text: str, mention: _Mention) -> _Mention:
    """A mention without its narrowest level where that is one of several."""
    place, listed = mention.place, _LISTED.match(text, mention.end)
    before = text[max(0, mention.start - 3) : mention.start]
    if place.town is not None:
        follows = listed is not None and _town(text, listed.end(), alone=False) is not None
        if follows or before.endswith(("镇、", "乡、", "道、")):
            return replace(mention, place=replace(place, town=None), several=True)
    elif place.county is not None:
        follows = listed is not None and not _is_city(_full_name(text, listed.end())[0] or "州")
        if follows or before.endswith(("县、", "市、", "区、")):
            return replace(mention, place=replace(place, county=None), several=True)
    return mention


# Names cut short


def _headline_word(title: str, body: str) -> Place:
    """The county that a headline opens with, cut short: 邱县：…, 张掖 …, 常宁：…."""
    match = re.match(rf"\s*([{HAN}]{{2,5}})[::\s|]", title)
    return _of_dateline(match[1], body) if match is not None else Place()


def _of_dateline(word: str, body: str) -> Place:
    """The place that a dateline means: 微山 is 微山县, 济宁 is 济宁市, 济宁微山 is both."""
    names = _names()
    if not word:
        return Place()
    whole, end = _full_name(word, 0)
    if not whole and word in names.stems:
        meant = names.stems[word]
        written = [name for name in meant if name in body]
        cities = [name for name in meant if _is_city(name)]
        if not (written or cities or len(meant) == 1):
            return Place()
        whole, end = (written or cities or list(meant))[0], len(word)
    if whole and end == len(word):
        return Place(city=whole) if _is_city(whole) else Place(county=whole)
    for stem in (word[:cut] for cut in range(2, len(word) - 1)):
        rest = _of_dateline(word[len(stem) :], body) if stem in names.stems else Place()
        cities = [name for name in names.stems.get(stem, ()) if name in names.parents.get(rest.county or "", ())]
        if cities:
            return replace(rest, city=cities[0])
    place, end = _city_and_county(word, 0, opens=True, believed=frozenset())
    if place != Place() and end == len(word):
        return place
    # A county that is not in the table, but written out in the text.
    if len(word) <= 4 and re.fullmatch(f"[{HAN}]+", word) and word + "县" in body:
        return Place(county=word + "县")
    return Place()
