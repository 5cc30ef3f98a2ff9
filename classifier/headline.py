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

from classifier.credit import Mark
from classifier.dateline import closing_mark
from classifier.layout import CREDITS, OPENINGS, Kind, Line, asks_or_exclaims

MAX_STACK = 6  # lines of one headline with all that stands above and below it

_H = r"[\u3400-\u9fff]"
_ORGAN = (
    r"(?:[省市县区旗镇乡村局委办院]|街道|办事处|社区|公司|集团|学校|[小中大]学|园区|开发区|支行|中心|供电所|"
    r"[縣區鎮鄉]|公所)"
)
_PLACE_ONLY = re.compile(rf"{_H}{{2,12}}{_ORGAN}$")
_PLACE_LED = re.compile(rf"{_H}{{2,14}}?{_ORGAN}(?=[\s:：])")
_PLACE_FIRST = re.compile(rf"{_H}{{2,10}}?{_ORGAN}|[我全][省市县区镇乡村]")
_HAS_PLACE = re.compile(rf"{_H}{_ORGAN}|[我全][省市县区镇乡村]")
_TWO_PARTS = re.compile(rf"{_H}[”》）]?\s+[“《（]?{_H}")
_LEAD = re.compile(
    r"“?(?:近日|日前|昨[日天]|今[日天]|连日来|[今去]年以?来?|近年来|近期|最近|眼下|时下|当前|截至|记者|为[了进切深全推有持做贯提加]|"
    rf"\d{{1,2}}日|(?:\d{{4}}年)?\d{{1,2}}月|{_H}{{2,12}}?{_ORGAN})"
)
_REFERS_BACK = re.compile(r"该|同时|此外|与此同时|另外|其中|对此|随后|不仅|除此|在此")
_NOTICE = re.compile(r"(?:公告|公示|通告|声明|启事|讣告|致歉|更正|天气预报|今日天气|通知|告知书|招标|拍卖)$")
_DECORATION = " \u3000【】[]《》■●◆▶►▍▎|丨◎★☆▲◇○□—-·▼▽◀◄〖〗"
_COLUMN = re.compile(
    r"(?:简讯|简报|短讯|快讯|要闻|短波|速递|速览|集锦|荟萃|一句话新闻|图片新闻|来信|来函|专栏|专题|专版|特刊|时评|论坛|"
    r"谈|访谈|札记|随笔|手记|聚焦|动态|风采|巡礼|观察|扫描|播报|导读|之窗|视窗|窗口|看台|天地|园地|广角|纵横|直通车|进行时|"
    r"在行动|在线|一线|视点|焦点|热点|见闻|撷英|传真|之声|心声|信箱|热线|讲堂|簡訊|要聞|短訊|來信|讀者)$"
)
_COLUMN_NOUN = re.compile(
    r"(?:综合|社会|民生|经济|文化|教育|国内|国际|体育|副刊|评论|理论|时政|县域|区县|基层|新闻|公告|广告|健康|生活|綜合|社會)+$"
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


def find_heads(lines: Sequence[Line], full: Sequence[bool]) -> tuple[list[Head], set[int]]:
    """The heads of a page in reading order, and the lines that are sub-headings.

    `full` says of each line whether it fills its column (`layout.full_lines`).
    """
    anchored = _anchored(lines, full)
    runs = _short_runs(lines, full, anchored)
    heads, subheadings = _Judge(lines, full, anchored, runs).verdict()
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
    return (len(core) <= 10 and _COLUMN.search(core) is not None) or (
        len(core) <= 6 and _COLUMN_NOUN.match(core) is not None
    )


def leads_with_place(title: str) -> bool:
    """Whether a headline is of the kind 微山县张楼镇 让流动党员“有家可归”."""
    return _PLACE_LED.match(title) is not None


def names_one_piece(text: str) -> bool:
    """Whether a column is of the kind that stands above a single article: …·书记谈, 时评."""
    core = text.strip(_DECORATION)
    return "·" in core or core.endswith(("谈", "时评", "手记", "札记", "随笔", "访谈", "论坛"))


def _anchored(lines: Sequence[Line], full: Sequence[bool]) -> list[Head]:
    heads: list[Head] = []
    below = 0  # the first line that no head has taken
    for at, line in enumerate(lines):
        if at < below or line.kind not in OPENINGS | {Kind.BYLINE, Kind.NAMES}:
            continue
        top = _top(lines, full, at, below)
        form = _form(line.kind)
        titled = top < at
        if form is Form.SIGNED and not (titled and _opens_body(lines, at)):
            continue
        above = lines[top - 1] if top else None
        if line.kind is Kind.NAMES and above is not None and not above.stops:
            continue
        if not titled and above is not None:
            if heads and heads[-1].body == at - 1 and above.kind in CREDITS | {Kind.NAMES}:
                continue  # title, byline, dateline
            if not above.stops and above.kind is not Kind.FURNITURE and not line.gap:
                continue
        heads.append(Head(range(top, top), range(top, at), form))
        below = at + 1
    return heads


def _form(kind: Kind) -> Form:
    if kind is Kind.SALUTATION:
        return Form.LETTER
    return Form.DATED if kind in OPENINGS else Form.SIGNED


def _opens_body(lines: Sequence[Line], at: int) -> bool:
    """Whether a byline at `at` has an article below it, not the next headline."""
    while at < len(lines) and lines[at].kind in (Kind.BYLINE, Kind.NAMES):
        at += 1
    return at < len(lines) and lines[at].kind in (Kind.BODY, Kind.STEP, Kind.DATELINE)


def _top(lines: Sequence[Line], full: Sequence[bool], anchor: int, below: int) -> int:
    """The first of the headline lines that stand directly above `anchor`."""
    top = anchor
    while top > below and anchor - top < MAX_STACK:
        line, above = lines[top - 1], lines[top - 2] if top >= 2 else None
        if line.kind is not Kind.SHORT or (line.stops and not asks_or_exclaims(line.text)):
            break
        runs_on = above is not None and not above.stops and above.kind in (Kind.BODY, Kind.SHORT)
        if runs_on and above is not None:
            same_column = full[top - 1] and full[top - 2]
            if same_column or (above.kind is Kind.BODY and top < anchor):
                break
        if line.stops and top < anchor and above is not None and not (above.stops or line.gap):
            break
        top -= 1
    return top


def _short_runs(
    lines: Sequence[Line], full: Sequence[bool], anchored: Sequence[Head]
) -> list[range]:
    """Runs of short lines at the start of a paragraph with text below them, outside `anchored`."""
    taken = {at for head in anchored for at in head.title}
    runs: list[range] = []
    at = 0
    while at < len(lines):
        if at in taken or not _may_open(lines, full, at):
            at += 1
            continue
        stop = at + 1
        while stop < len(lines) and stop not in taken and _goes_on(lines, full, stop):
            stop += 1
        runs.append(range(at, stop))
        at = stop
    return runs


def _may_open(lines: Sequence[Line], full: Sequence[bool], at: int) -> bool:
    line = lines[at]
    if line.kind is not Kind.SHORT or line.width > 30:
        return False
    if at == 0:
        return True
    above = lines[at - 1]
    if not (above.stops or above.kind in CREDITS | {Kind.FURNITURE, Kind.NAMES}):
        return False
    alone = line.gap > 0 and at + 1 < len(lines) and lines[at + 1].gap > 0
    return not full[at] or alone


def _goes_on(lines: Sequence[Line], full: Sequence[bool], at: int) -> bool:
    line = lines[at]
    return line.kind is Kind.SHORT and not line.stops and not full[at] and line.width <= 30


class _Judge:
    """Decides which runs of short lines open an article."""

    def __init__(
        self,
        lines: Sequence[Line],
        full: Sequence[bool],
        anchored: Sequence[Head],
        runs: Sequence[range],
    ) -> None:
        self.lines, self.full, self.anchored, self.runs = lines, full, anchored, runs
        apart = {at for run in runs for at in run} | {at for h in anchored for at in h.title}
        inner = [
            at
            for at in range(1, len(lines))
            if lines[at - 1].stops and at not in apart and at - 1 not in apart
            and lines[at].kind in (Kind.BODY, Kind.STEP) and lines[at - 1].kind is not Kind.FURNITURE
        ]  # fmt: skip
        gaps = Counter(lines[at].gap for at in inner)
        self.paragraph_gap = gaps.most_common(1)[0][0] if gaps else None
        above_heads = [lines[h.first].gap for h in anchored if h.first]
        tops = above_heads or [lines[run.start].gap for run in runs if run.start]
        self.spaced = (
            self.paragraph_gap is not None
            and bool(tops)
            and sum(gap > self.paragraph_gap for gap in tops) * 2 > len(tops)
        )
        indented = sum(lines[at].indent >= 2 for at in inner)
        self.indents = bool(inner) and indented * 5 >= len(inner) * 3
        self.anchors = [h.first for h in anchored]
        starts = sorted([h.first for h in anchored] + [run.start for run in runs])
        self.first_text = next((at for at in range(len(lines)) if at not in apart
                                and lines[at].kind is Kind.BODY), len(lines))  # fmt: skip
        self.order = {run.start: at for at, run in enumerate(runs)}
        self.next_start = dict(zip(starts, [*starts[1:], len(lines)], strict=True))

    def verdict(self) -> tuple[list[Head], set[int]]:
        """All heads in reading order, and the numbers of the lines left as sub-headings."""
        heads: list[Head] = []
        subheadings: set[int] = set()
        waiting = deque(self.anchored)
        for run in self.runs:
            while waiting and waiting[0].first < run.start:
                heads.append(waiting.popleft())
            if self._opens_article(run, heads[-1] if heads else None):
                heads.append(Head(range(run.start, run.start), run, Form.BARE))
            else:
                subheadings.update(run)
        return [*heads, *waiting], subheadings

    def _opens_article(self, run: range, last: Head | None) -> bool:
        lines = self.lines
        if run.stop >= len(lines) or len(run) > 4 or not self._text_below(run.stop):
            return False
        if lines[run.stop - 1].stops and last is not None:
            return False  # a question or an exclamation inside an article
        if last is None and self.first_text > run.start:
            return True
        return self._weight(run, last) >= 2

    def _text_below(self, at: int) -> bool:
        line = self.lines[at]
        return line.kind in (Kind.BODY, Kind.STEP) or (line.kind is Kind.SHORT and self.full[at])

    def _weight(self, run: range, last: Head | None) -> int:
        """Evidence that a run opens an article, above 0, or is a sub-heading, below."""
        lines = self.lines
        line, above, below = lines[run.start], lines[run.start - 1], lines[run.stop]
        title = " ".join(lines[at].text for at in run)
        body_start = last.body if last is not None else 0
        read = [
            at
            for at in range(body_start, min(run.start, body_start + 12))
            if lines[at].kind is Kind.BODY
        ]
        weight = 0
        if above.kind is Kind.FURNITURE:
            weight += 4
        if self._closes(run.start - 1) and read:
            weight += 4
        elif closing_mark(above.text) is Mark.PHOTO:
            weight += 2
        if self.paragraph_gap is not None:
            weight += 3 if line.gap > self.paragraph_gap else -3 if self.spaced else 0
        if self.indents:
            weight += 1 if line.indent < 2 else -1
        if _NOTICE.search(title) or is_column(lines[run.start].text):
            weight += 4
        weight += 2 * bool(_TWO_PARTS.search(title))
        weight += bool(_HAS_PLACE.search(title)) + bool(_LEAD.match(below.text))
        weight -= bool(_REFERS_BACK.match(below.text))
        weight += 1 if 10 <= line.width <= 26 else -1 if line.width <= 7 else 0
        weight -= 3 * bool(_LEAD.match(title) and line.width > 20) + 2 * ("，" in title or "," in title)
        if last is not None and last.form is not Form.BARE:
            weight -= 2
            if last.form is Form.SIGNED and self._closes(self.next_start[run.start] - 1):
                weight += 3
        elif len(read) <= 1:
            weight += 1
        weight -= 2 * self._has_twin(run, last)
        return weight

    def _closes(self, at: int) -> bool:
        line = self.lines[at]
        if line.kind in (Kind.BYLINE, Kind.EDITORS, Kind.TURNS, Kind.NAMES, Kind.SIGNED):
            return True
        return line.stops and closing_mark(line.text) in (Mark.BYLINE, Mark.EDITORS, Mark.TURNS)

    def _has_twin(self, run: range, last: Head | None) -> bool:
        """Whether another short run of the same length stands in the same article."""
        width = self.lines[run.start].width
        if width > 14 or len(run) > 1 or last is None or last.form is Form.BARE:
            return False
        at = self.order[run.start]
        return any(
            abs(self.lines[other.start].width - width) <= 1
            and not self._anchor_between(*sorted((run.start, other.start)))
            for other in (*self.runs[max(0, at - 1) : at], *self.runs[at + 1 : at + 2])
        )

    def _anchor_between(self, start: int, stop: int) -> bool:
        return bisect_left(self.anchors, start) != bisect_left(self.anchors, stop)


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
