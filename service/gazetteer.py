"""The cities and counties of China by name, and how the names are cut short in running text.

`places.txt` holds the names of today; a county that became a district (密云县, now 密云区) is still
known by its stem, and keeps the name that the text gives it.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PEOPLES = (
    "回族|蒙古族?|藏族|维吾尔|苗族|彝族|壮族|布依族|朝鲜族|满族|侗族|瑶族|白族|土家族|哈尼族|"
    "哈萨克族?|傣族|黎族|傈僳族|佤族|畲族|拉祜族|水族|东乡族|纳西族|景颇族|柯尔克孜|土族|"
    "达斡尔族?|仫佬族|羌族|布朗族|撒拉族|毛南族|仡佬族|锡伯|阿昌族|普米族|塔吉克|怒族|鄂温克族|"
    "保安族|裕固族|独龙族|各族"
)
_SUFFIX = "自治[州县旗]|地区|林区|特区|新区|矿区|[市县区旗盟州]"
_ANY_SUFFIX = re.compile(_SUFFIX)
_WHOLE = re.compile(rf"(?P<stem>.{{2,}}?)(?:{_PEOPLES})*(?:{_SUFFIX})")
_PROVINCE_END = re.compile(r"(?:壮族|回族|维吾尔)?自治区$|省$|特别行政区$")
# With another suffix these stems make a common word: 合作区, 东方区.
_NO_STEM = frozenset(("合作", "东方", "和平", "城中", "市中"))
# Names that are common words too, and mean a place only behind their city.
COMMON = frozenset(
    "城区 郊区 矿区 西区 市中区 新市区 新城区 城中区 城东区 城西区 城北区".split(" ")  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """The table, by the questions that are asked of it."""

    cities: frozenset[str]
    parents: dict[str, frozenset[str]]  # of each county, the cities that have one of this name
    stems: dict[str, tuple[str, ...]]  # 微山 → 微山县; 朝阳 → 朝阳市, 朝阳区, 朝阳县
    provinces: frozenset[str]  # 山东省 and 山东
    begins: frozenset[str]  # the first two characters of every name and stem
    longest: int

    def at(self, text: str, pos: int, among: Container[str]) -> str:
        """The longest name of `among` that stands in `text` at `pos`; "" if there is none."""
        if text[pos : pos + 2] not in self.begins:
            return ""
        for length in range(min(self.longest, len(text) - pos), 1, -1):
            if (word := text[pos : pos + length]) in among:
                return word
        return ""

    def whole(self, text: str, pos: int) -> tuple[str, int]:
        """The city or county that stands with its suffix at `pos`, and where it ends; "" if none.

        >>> gazetteer().whole("威宁县招商", 0), gazetteer().whole("东方市场", 0)
        (('威宁彝族回族苗族自治县', 3), ('', 0))
        """
        word = max(self.at(text, pos, self.cities), self.at(text, pos, self.parents), key=len)
        end = pos + len(word)
        if not word:
            stem = self.at(text, pos, self.stems)
            suffix = _ANY_SUFFIX.match(text, pos + len(stem)) if stem else None
            if suffix is None or stem in _NO_STEM:
                return "", pos
            word, end = stem + suffix[0], suffix.end()
            named_alike = [name for name in self.stems[stem] if name[-1] == word[-1]]
            if len(named_alike) == 1:
                word = named_alike[0]
        if text[end - 1 : end + 1] in ("市场", "区域"):
            return "", pos
        return word, end

    def is_city(self, name: str) -> bool:
        """Whether a name is that of a prefecture, and not of a county, as 县级市 are."""
        unknown = name not in self.parents
        return name in self.cities or (unknown and name.endswith(("州", "盟", "地区")))

    def city_of(self, county: str, cities: tuple[str, ...]) -> str | None:
        """The one of `cities` that has a county of this name."""
        owners = self.parents.get(county, frozenset())
        return next((city for city in cities if city in owners), None)


def stem_of(name: str) -> str:
    """A name as it is cut short: 济宁市 is 济宁, 威宁彝族回族苗族自治县 is 威宁, 赵县 stays.

    >>> [stem_of(name) for name in ("济宁市", "威宁彝族回族苗族自治县", "赵县")]
    ['济宁', '威宁', '赵县']
    """
    whole = _WHOLE.fullmatch(name)
    return whole["stem"] if whole is not None else name


@cache
def gazetteer() -> Gazetteer:
    """The table of `places.txt`."""
    cities: set[str] = set()
    provinces: set[str] = set()
    parents: dict[str, set[str]] = {}
    table = Path(__file__).with_name("places.txt").read_text(encoding="utf-8")
    for line in table.splitlines():
        first, *counties = line.split()
        if first == "#":
            continue
        if not counties and not first.endswith("市"):
            provinces |= {first, _PROVINCE_END.sub("", first)}
            continue
        if first != "-":
            cities.add(first)
        for county in counties:
            parents.setdefault(county, set()).update({first} - {"-"})
    stems: dict[str, list[str]] = {}
    for name in (*sorted(cities), *sorted(parents)):
        if (stem := stem_of(name)) != name and name not in COMMON:
            stems.setdefault(stem, []).append(name)
    known = {*cities, *parents, *provinces, *stems}
    return Gazetteer(
        frozenset(cities),
        {county: frozenset(owners) for county, owners in parents.items()},
        {stem: tuple(names) for stem, names in stems.items()},
        frozenset(provinces),
        frozenset(name[:2] for name in known),
        max(map(len, known)),
    )
