"""Which lines of a page are headlines, and which are only the sub-headings of an article.

A short line over a dateline or byline is a headline. A short line over plain text may be either;
then the credit that closed the text above it, the page's white space and the wording decide.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from classifier.credit import Mark
from classifier.dateline import closing_mark
from classifier.layout import (
    CREDITS,
    OPENINGS,
    Columns,
    Kind,
    Line,
    asks_or_exclaims,
)

UNDER_HEADLINES = frozenset({Kind.BYLINE, Kind.NAMES, Kind.POSTED})
MAX_BARE = 30  # characters in a line of headline over plain text
MAX_STACK = 6  # lines of one headline with all that stands above and below it

_H = r"[\u3400-\u9fff]"
_ORGAN = (
    r"(?:[省市县区旗镇乡村局委办院]|街道|办事处|社区|公司|集团|学校|[小中大]学|园区|开发区|支行|中心|供电所|"
    r"[縣區鎮鄉]|公所)"
)
_PLACE_ONLY = re.compile(rf"{_H}{{2,12}}{_ORGAN}$")
_OFFICE_ONLY = re.compile(
    rf"{_H}{{2,26}}(?:[局委办院校部会]|政府|公司|中心|集团|[支大总]队|指挥部|小组|工会|办公室)$"
)
_PLACE_LED = re.compile(rf"{_H}{{2,14}}?{_ORGAN}(?=[\s:：])")
_COUNTY = r"(?:[省市县旗镇乡縣鎮鄉](?![村民场域容])|街道)"  # 微山县, but not 乡村, 市场
_PLACE_FIRST = re.compile(rf"{_H}{{2,8}}?(?:{_COUNTY}|[区區]|社区)|[我全][省市县区镇乡村]")
_HAS_PLACE = re.compile(rf"{_H}{_ORGAN}|[我全][省市县区镇乡村]")
_TWO_PARTS = re.compile(rf"{_H}[”》）]?\s+[“《（]?{_H}")
_LEAD = re.compile(
    r"“?(?:近日|日前|昨[日天]|今[日天]|连日来|[今去]年以?来?|近年来|近期|最近|眼下|时下|当前|截至|记者|为[了进切深全推有持做贯提加]|"
    rf"\d{{1,2}}日|(?:\d{{4}}年)?\d{{1,2}}月|{_H}{{2,12}}?{_COUNTY})"
)
_NEWS_FIRST = re.compile(
    r"“?(?:近日|日前|昨[日天]|今[日天]|连日来|[今去]年以?来?|近年来|近期|最近|\d{1,2}日|(?:\d{4}年)?\d{1,2}月)"
)
_COLON = re.compile(rf"{_H}[”》]?(?:[:：]|——)[“《]?{_H}")
_OWN_VOICE = re.compile(r"[我俺]")
_ASKED = re.compile(r"(?:[问答問]|记者|記者|主持人|Q|A)\s?[:：]")
_REFERS_BACK = re.compile(r"该|同时|此外|与此同时|另外|其中|对此|随后|不仅|除此|在此")
_NOTICE = re.compile(
    r"(?:公告|公示|通告|声明|启事|讣告|致歉|更正|天气预报|今日天气|通知|通报|告知书|招标|拍卖|倡议书)"
    r"(?:[（(].*[）)])?$|问答|答问|答疑|访谈|对话|实录|信箱|来信|来论|[封的]信|读者问"
)
_DECORATION = " \u3000【】[]《》■●◆▶►▍▎|丨◎★☆▲◇○□—-·▼▽◀◄〖〗"
_COLUMN = re.compile(
    r"(?:简讯|简报|短讯|快讯|要闻|短波|速递|速览|集锦|荟萃|一句话新闻|图片新闻|来信|来函|专栏|专题|专版|"
    r"特刊|时评|论坛|访谈|大家谈|[书局镇县]\S谈|杂谈|札记|随笔|手记|扫描|播报|导读|之窗|视窗|看台|园地|广角|纵横|"
    r"直通车|进行时|在行动|撷英|之声|心声|信箱|走基层|簡訊|要聞|短訊|來信)$"
)
# Words that also end headlines: only short, and without a verb's particle before them.
_COLUMN_WORD = re.compile(
    r"[^到在为把进上向赴让给成是有听看聚]{0,4}(?:声音|言论|观点|[锐快短微]评|聚焦|动态|风采|巡礼|观察|窗口|天地|"
    r"在线|一线|视点|焦点|热点|见闻|传真|热线|讲堂|谈|讀者)$"
)
_COLUMN_NOUN = re.compile(
    r"(?:综合|社会|民生|经济|文化|教育|国内|国际|体育|副刊|评论|理论|时政|县域|区县|基层|新闻|公告|"
    r"广告|健康|生活|綜合|社會)+$"
)
_DOTTED_COLUMN = re.compile(rf"[^,，。]{{2,24}}[·•・]{_H}{{2,8}}$")


class Form(Enum):
    """How an article opens under its headline."""

    DATED = "dated"  # 本报微山讯 …
    SIGNED = "signed"  # ■白建喜
    LETTER = "letter"  # 编辑同志：
    BARE = "bare"  # with its first sentence


@dataclass(frozen=True, slots=True)
class Head:
    """The lines that open an article, as half-open ranges of line numbers."""

    section: range
    title: range
    form: Form

    @property
    def first(self) -> int:
        """Number of its first line."""
        return self.section.start

    @property
    def body(self) -> int:
        """Number of the first line under it."""
        return self.title.stop


def find_heads(lines: Sequence[Line], columns: Columns) -> tuple[list[Head], set[int]]:
    """The heads of a page in reading order, and the lines that are sub-headings.

    `columns` are those of the same `lines`.
    """
    anchored = _anchored(lines, columns)
    runs = _short_runs(lines, columns, anchored)
    heads, subheadings = _Judge(lines, columns, anchored, runs).verdict()
    return [_divided(lines, heads, at) for at in range(len(heads))], subheadings


def is_column(text: str) -> bool:
    """Whether a line names a column of the paper rather than an article.

    >>> [is_column(text) for text in ("【基层动态】", "读者来信", "解放思想·书记谈", "村村通了路")]
    [True, True, True, False]
    """
    core = text.strip(_DECORATION)
    if not 2 <= len(core) <= 32:
        return False
    if text[0] in "【[〖" and text[-1] in "】]〗" and len(core) <= 16:
        return True
    if _DOTTED_COLUMN.match(core):
        return True
    if len(core) > 10:
        return False
    if _COLUMN.search(core) or _COLUMN_WORD.match(core):
        return True
    return len(core) <= 6 and _COLUMN_NOUN.match(core) is not None


def leads_with_place(title: str) -> bool:
    """Whether a headline is of the kind 微山县张楼镇 让流动党员“有家可归”."""
    return _PLACE_LED.match(title) is not None


def names_one_piece(text: str) -> bool:
    """Whether a column is of the kind that stands above a single article: …·书记谈, 时评."""
    core = text.strip(_DECORATION)
    return "·" in core or core.endswith(("谈", "时评", "手记", "札记", "随笔", "访谈", "论坛"))


def _anchored(lines: Sequence[Line], columns: Columns) -> list[Head]:
    heads: list[Head] = []
    below = 0  # the first line that no head has taken
    for at, line in enumerate(lines):
        if at < below or line.kind not in OPENINGS | UNDER_HEADLINES:
            continue
        top = _top(lines, columns, at, below)
        if at - top > 1 and heads and _signs_notice(lines, heads[-1], top):
            top += 1
        form = _form(line.kind)
        titled = top < at
        if form is Form.SIGNED and not (titled and _opens_body(lines, at)):
            continue
        if form is Form.SIGNED and line.text[0] in "（(" and lines[at - 1].stops:
            continue  # a last sentence with ！, and who wrote it all
        above = lines[top - 1] if top else None
        if line.kind is Kind.NAMES and above is not None and not above.stops:
            continue
        if not titled and above is not None:
            if heads and heads[-1].body >= at - 2 and above.kind in UNDER_HEADLINES:
                continue  # title, byline, dateline
            if not above.stops and above.kind is not Kind.FURNITURE and not line.gap:
                continue
        heads.append(Head(range(top, top), range(top, at), form))
        below = at + 1
    return heads


def _signs_notice(lines: Sequence[Line], notice: Head, at: int) -> bool:
    """Whether an office's name at `at` signs the notice above rather than opens a headline."""
    title = "".join(lines[row].text for row in notice.title)
    return _NOTICE.search(title) is not None and _OFFICE_ONLY.match(lines[at].text) is not None


def _form(kind: Kind) -> Form:
    if kind is Kind.SALUTATION:
        return Form.LETTER
    return Form.DATED if kind in OPENINGS else Form.SIGNED


def _opens_body(lines: Sequence[Line], at: int) -> bool:
    """Whether a byline at `at` has an article below it, not the next headline."""
    while at < len(lines) and lines[at].kind in UNDER_HEADLINES:
        at += 1
    return any(
        lines[below].kind in (Kind.BODY, Kind.STEP, Kind.DATELINE)
        for below in range(at, min(at + 2, len(lines)))
    )


def _top(lines: Sequence[Line], columns: Columns, anchor: int, below: int) -> int:
    """The first of the headline lines that stand directly above `anchor`."""
    top = anchor
    while top > below and anchor - top < MAX_STACK:
        line, above = lines[top - 1], lines[top - 2] if top >= 2 else None
        if line.kind is not Kind.SHORT or (line.stops and not asks_or_exclaims(line.text)):
            break
        runs_on = above is not None and not above.stops and above.kind in (Kind.BODY, Kind.SHORT)
        if runs_on and above is not None:
            same_column = columns.full[top - 1] and columns.full[top - 2]
            if same_column or (above.kind is Kind.BODY and top < anchor):
                break
        if line.stops and top < anchor and above is not None and not (above.stops or line.gap):
            break
        if above is not None and above.stops and top < anchor and line.gap < lines[top].gap:
            break  # the last line of the article above, set off from the headline
        top -= 1
    return top


def _short_runs(lines: Sequence[Line], columns: Columns, anchored: Sequence[Head]) -> list[range]:
    """Runs of short lines at the start of a paragraph with text below them, outside `anchored`."""
    taken = {at for head in anchored for at in head.title}
    runs: list[range] = []
    at = 0
    while at < len(lines):
        if at in taken or not _may_open(lines, columns, at):
            at += 1
            continue
        stop = at + 1
        while stop < len(lines) and stop not in taken and _goes_on(lines, columns, stop):
            stop += 1
        first = at
        while first + 1 < stop and lines[first].gap < lines[first + 1].gap and at:
            first += 1  # the last line of the article above, set off from the headline
        runs.append(range(first, stop))
        at = stop
    return runs


def _asked_twice(lines: Sequence[Line], at: int) -> bool:
    """Whether 问：… at `at` is the headline over the reader's letter that begins 问：…."""
    below = lines[at + 1].text if at + 1 < len(lines) else ""
    return lines[at].text[0] in "问問" and below[:1] in tuple("问問") and lines[at].width <= 30


def _may_open(lines: Sequence[Line], columns: Columns, at: int) -> bool:
    """Whether a paragraph begins at `at` that could be a headline."""
    line, full = lines[at], columns.full
    if line.kind is Kind.STEP and _asked_twice(lines, at):
        return True
    if line.kind is not Kind.SHORT or line.width > MAX_BARE:
        return False
    if re.search("[,，]", line.text) and (full[at] or _NEWS_FIRST.match(line.text)):
        return False
    above = lines[at - 1] if at else None
    below = lines[at + 1] if at + 1 < len(lines) else None
    if columns.indents and line.indent >= 2 and below and below.indent < 2 and not line.stops:
        return False  # the first line of a paragraph
    if above is None:
        return True
    if not (above.stops or above.kind is Kind.FURNITURE):
        return False
    if not full[at] or line.gap > columns.paragraph_gap:
        return True
    if line.gap > columns.line_gap and below is not None and below.gap > columns.line_gap:
        return True
    return columns.indents and line.indent < 2 and not full[at - 1]


def _goes_on(lines: Sequence[Line], columns: Columns, at: int) -> bool:
    line = lines[at]
    if line.kind is not Kind.SHORT or line.stops or columns.full[at] or line.width > MAX_BARE:
        return False
    starts_text = columns.indents and line.indent >= 2 > lines[at - 1].indent
    return not (starts_text or _NEWS_FIRST.match(line.text))


class _Judge:
    """Decides which runs of short lines open an article."""

    def __init__(
        self,
        lines: Sequence[Line],
        columns: Columns,
        anchored: Sequence[Head],
        runs: Sequence[range],
    ) -> None:
        self.lines, self.columns, self.runs = lines, columns, runs
        self.anchored = anchored
        apart = {at for run in runs for at in run} | {at for h in anchored for at in h.title}
        inner = [
            at
            for at in range(1, len(lines))
            if lines[at - 1].stops
            and lines[at - 1].kind is not Kind.FURNITURE
            and not {at, at - 1} & apart
            and (lines[at].kind in (Kind.BODY, Kind.STEP) or columns.full[at])
        ]
        gaps = Counter(lines[at].gap for at in inner)
        self.paragraph_gap = gaps.most_common(1)[0][0] if gaps else None
        tops = [lines[h.first].gap for h in anchored if h.first]
        tops += [lines[run.start].gap for run in runs if run.start]
        usual = self.paragraph_gap or 0
        self.spaced = sum(gap > usual for gap in tops) * 4 >= max(1, len(tops))
        self.undated = not any(h.form is Form.DATED for h in anchored)
        self.anchors = [h.first for h in anchored]
        starts = sorted(self.anchors + [run.start for run in runs])
        self.next_start = dict(pairwise([*starts, len(lines)]))
        # Runs between the same two anchored heads: the sub-headings of one article look alike.
        self.stretches: dict[int, list[range]] = {}
        for run in runs:
            self.stretches.setdefault(bisect_left(self.anchors, run.start), []).append(run)
        shapes = Counter(self._spacing(h.title) for h in anchored if h.first and h.title)
        self.usual_spacing = shapes.most_common(1)[0][0] if shapes else None
        self.first_text = next((at for at in range(len(lines)) if at not in apart
                                and lines[at].kind is Kind.BODY), len(lines))  # fmt: skip

    def _spacing(self, title: range) -> tuple[int, int]:
        below = self.lines[title.stop].gap if title.stop < len(self.lines) else 0
        return self.lines[title.start].gap, below

    def verdict(self) -> tuple[list[Head], set[int]]:
        """All heads in reading order, and the numbers of the lines left as sub-headings."""
        heads: list[Head] = []
        subheadings: set[int] = set()
        in_briefs = False  # under a column of short reports, each with its own headline
        waiting = deque(self.anchored)
        for run in self.runs:
            while waiting and waiting[0].first < run.start:
                heads.append(waiting.popleft())
            if heads and heads[-1].form is not Form.BARE:
                in_briefs = False
            last = heads[-1] if heads else None
            if self._opens_article(run, last, in_briefs=in_briefs):
                heads.append(Head(range(run.start, run.start), run, Form.BARE))
                in_briefs = in_briefs or is_column(self.lines[run.start].text)
            else:
                subheadings.update(run)
        return [*heads, *waiting], subheadings

    def _opens_article(self, run: range, last: Head | None, *, in_briefs: bool) -> bool:
        lines = self.lines
        if run.stop >= len(lines) or len(run) > 4 or not self._text_below(run.stop):
            return False
        if last is None and self.first_text > run.start:
            return True
        return self._weight(run, last) + 3 * in_briefs >= 2

    def _text_below(self, at: int) -> bool:
        line, text = self.lines[at], (Kind.BODY, Kind.STEP)
        if line.kind is not Kind.SHORT:
            return line.kind in text
        asks = line.stops and at + 1 < len(self.lines) and self.lines[at + 1].kind in text
        return asks or self.columns.full[at]

    def _weight(self, run: range, last: Head | None) -> int:
        """Evidence that a run opens an article, above 0, or is a sub-heading, below."""
        title = " ".join(self.lines[at].text for at in run)
        return (
            self._weight_of_ending(run, last)
            + self._weight_of_space(run)
            + self._weight_of_words(run, title)
            + self._weight_of_company(run, last)
        )

    def _weight_of_ending(self, run: range, last: Head | None) -> int:
        """Whether the text above has ended, and ends below as an article does."""
        above = self.lines[run.start - 1]
        start = last.body if last is not None else 0
        read = any(
            self.lines[at].kind is Kind.BODY for at in range(start, min(run.start, start + 12))
        )
        if above.kind in (Kind.FURNITURE, Kind.RULE) or (read and self._closes(run.start - 1)):
            return 5
        if closing_mark(above.text) is Mark.PHOTO:
            return 2
        signed = last is not None and last.form is not Form.BARE
        return 2 if signed and self._closes(self.next_start[run.start] - 1) else 0

    def _weight_of_space(self, run: range) -> int:
        """Whether more white space stands above than between the paragraphs of an article."""
        line, (above, below) = self.lines[run.start], self._spacing(run)
        weight = 0
        if above > (self.paragraph_gap or 0) and (self.paragraph_gap is not None or above > below):
            weight = 5 if above > below or (above, below) == self.usual_spacing else 3
        elif self.spaced:
            weight = -4
        if self.columns.indents:
            weight += 1 if line.indent < 2 else -1
        return weight

    def _weight_of_words(self, run: range, title: str) -> int:
        """Whether the wording is a headline's, and the first words below are news."""
        width, below = self.lines[run.start].width, self.lines[run.stop].text
        if _NOTICE.search(title) or is_column(self.lines[run.start].text):
            return 5
        weight = bool(_TWO_PARTS.search(title)) + 2 * bool(_COLON.search(title))
        weight += bool(_HAS_PLACE.search(title)) + bool(_LEAD.match(below))
        weight -= bool(_REFERS_BACK.match(below))
        asked_above = _ASKED.match(self.lines[run.start - 1].text) is not None
        weight += 3 * (asked_above != (_ASKED.match(below) is not None))
        weight += 1 if 10 <= width <= 26 else -1 if width <= 7 else 0
        weight -= 3 * bool(_LEAD.match(title) and width > 20)
        weight -= 3 * asks_or_exclaims(title)
        weight -= 2 * title.endswith("的")
        return weight + bool(_OWN_VOICE.match(below)) - 3 * (width > 20 and "，" in title)

    def _weight_of_company(self, run: range, last: Head | None) -> int:
        """Whether the runs around it look like it, as the sub-headings of one article do."""
        stretch = self.stretches[bisect_left(self.anchors, run.start)]
        at = bisect_left(stretch, run.start, key=lambda other: other.start)
        near = [*stretch[max(0, at - 3) : at], *stretch[at + 1 : at + 4]]
        widths = [self.lines[other.start].width for other in near]
        width = self.lines[run.start].width
        alike = any(_same_length(width, other) for other in widths)
        if last is None or last.form is Form.BARE:
            return -1 if alike else 1 + self.undated
        if alike:
            return -3
        twins = any(_same_length(a, b) for a, b in pairwise(widths))
        return 1 if twins else 0 if near else 2

    def _closes(self, at: int) -> bool:
        line = self.lines[at]
        if line.kind in CREDITS | {Kind.NAMES} and line.kind is not Kind.PHOTO:
            return True
        return line.stops and closing_mark(line.text) in (Mark.BYLINE, Mark.EDITORS, Mark.TURNS)


def _same_length(a: float, b: float) -> bool:
    """Whether two lines could be sub-headings made to match."""
    return abs(a - b) <= (1.5 if max(a, b) <= 10 else 0.5 if max(a, b) <= 16 else -1)


def _divided(lines: Sequence[Line], heads: Sequence[Head], at: int) -> Head:
    """Tell the section lines of a head from its title."""
    head = heads[at]
    stack = head.title
    count = _section_lines(lines, head, heads[at + 1 : at + 3])
    return replace(
        head,
        section=range(stack.start, stack.start + count),
        title=range(stack.start + count, stack.stop),
    )


def _section_lines(lines: Sequence[Line], head: Head, later: Sequence[Head]) -> int:
    """How many lines at the top of a stack name a section or column."""
    stack = head.title
    if not stack:
        return 0
    first = lines[stack.start]
    if len(stack) == 1:
        # A column's name over reports that have no headline of their own.
        untitled = bool(later) and not later[0].title and later[0].form is head.form
        return int(is_column(first.text) and head.form is Form.DATED and untitled)
    second = lines[stack.start + 1]
    if second.text.startswith(("—", "－", "--")):
        return 0
    if is_column(first.text):
        return 2 if len(stack) > 2 and is_column(second.text) else 1
    if _PLACE_ONLY.match(first.text):
        return 0
    rest = [lines[at].gap for at in range(stack.start + 2, stack.stop + 1) if at < len(lines)]
    if second.gap != max(rest, default=second.gap):
        return int(second.gap > max(rest, default=second.gap))
    follows = later[0] if later else None
    if follows is None or _PLACE_FIRST.match(first.text):
        return 0
    pattern, size = (_PLACE_LED, 1) if len(stack) == 2 else (_PLACE_ONLY, 2)
    alike = (
        len(stack) == size + 1
        and len(follows.title) == size
        and pattern.match(second.text) is not None
        and pattern.match(lines[follows.title.start].text) is not None
    )
    return int(alike)
