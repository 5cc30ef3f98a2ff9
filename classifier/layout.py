"""What each line of a newspaper page looks like, before anyone asks which article it belongs to.

The text layer of a page keeps no type sizes; what is left of its layout is where lines end, how
long they are, what stands between them, and how they begin and stop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from classifier.credit import Mark, fold, is_person
from classifier.dateline import closing_mark, mark_of

MAX_HEADLINE = 45  # characters in one line of a headline

_BREAKS = "\n\r\f\v\x1c\x1d\x1e\x85\u2028\u2029"
_LINE = re.compile(rf"[^{_BREAKS}]+|\r\n?|[{_BREAKS}]")
_HEADLINE_AND_DATELINE = re.compile(
    r"(.{4,45}?)\s+([【\[]?本[报報][^\s，。,]{0,8}[讯訊](?![员員]).*)", re.DOTALL
)
_RULE = re.compile(r"([-—–_=*＊~～◇◆●○■□☆★※·.…])\1{2,}|(?:[-—*＊◇◆●○■□☆★※]\s+){2,}\S")
_COMMA = re.compile(r"[,，、。；]")
_SET_WIDE = "“”‘’…—·"
_CLOSERS = "”’\"'』」）)】]》〉"
_STOPS = "。！？!?…；;｡"
_PAIRS = (("“", "”"), ("‘", "’"), ("《", "》"), ("「", "」"), ("(", ")"), ("[", "]"))
_HAN = re.compile(r"[\u3400-\u9fff]")
_BAD_START = re.compile(r"[,，、。；;:：！？!?）)”’》」』】\]…%％]")
_BULLETS = "■□●◆◇▲△○◎"
_BULLETED = re.compile(f"[{_BULLETS}]")
_LAST_WORD = frozenset(("摄", "攝", "影", "供图", "图", "文"))  # of a credit cut in two
_SPEECH = re.compile(r"(?:[说称]|(?<![街频渠])道)[:,]\s?“|^“[^”]*[!?。,…]”")
_ENCLOSED = re.compile(r"[（(].*[）)]$")  # a remark, and the end of what it remarks on
_BAD_END = re.compile(
    r"[,，、;；:：（(“‘《「『【\[<—\-~和与及在对把将为是或从向以被让使并而且就也都还又之其]$"
)
_DAY = (
    r"(?:\d{4}|[〇零一二三四五六七八九]{4})年"
    r"[\d一二三四五六七八九十]{1,3}月[\d一二三四五六七八九十]{1,3}日"
)
_DATE_ALONE = re.compile(_DAY)
_PAPER = r"《?[\u4e00-\u9fff]{2,8}(?:[日晚晨早时时商快周]报|都市报|周刊|[日晚晨早時商快週]報)》?"
_FOLIO = re.compile(
    rf"(?:第?\s?[A-Z]?\d{{1,3}}|第[一二三四五六七八九十]{{1,3}})\s?版|{_DAY}|{_PAPER}|"
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}"
)
_ISSUE = re.compile(
    r"(?:星期|周|礼拜)[一二三四五六日天]|农历\S{2,12}|今日\S{1,3}版|本期\d{1,2}版|"
    r"[甲乙丙丁戊己庚辛壬癸][子丑寅卯辰巳午未申酉戌亥]年\S{0,8}|(?:总|第)\s?第?\s?\d{1,6}\s?[期号]|"
    r"国内统一\S{0,8}(?:号|[:：])\S{0,14}|CN\s?\d\d\S{0,10}|邮发代号\S{0,10}|代号\S{0,10}"
)
_PAGE_NUMBER = re.compile(
    r"[-—·\s]{0,3}[A-Z]?\d{1,3}[-—·\s]{0,3}|(?:[A-Z]\d{1,2}|0\d)\s?[\u4e00-\u9fff·]{0,8}|"
    r"[\u4e00-\u9fff·]{2,6}\s?(?:[A-Z]\d{1,2}|0\d)"
)
_IMPRINT = re.compile(
    r"(?:社址|地址|邮编|邮政编码|电话|(?:新闻|广告|发行)?热线|广告部|发行|传真|网址|(?:电子|投稿)?邮箱|"
    r"E-?mail|主管|主办|出版|承印|印刷|定价|零售|每份|法律顾问|https?|广告(?:经营)?许可证|国内统一|"
    r"邮发代号|微信公众号|官方微博|数字报|发件人|收件人|抄送|主题|日期|附件|发送时间|From|To|Subject|"
    r"Date)\s?[:：]",
    re.IGNORECASE,
)
_POSTED = re.compile(
    r"(?:(?:发布|发表|更新)?(?:时间|日期)\s?[:：]\s?)?\d{4}[-./年]\d{1,2}[-./月]\d{1,2}日?"
    r"(?:\s*\d{1,2}:\d{2}(?::\d{2})?)?\s*(?:来源|作者|编辑|发布|浏览|点击|稿源|记者)|"
    r"(?:来源|稿源|作者|信息来源)\s?[:：]\s?\S{2,20}(?:\s|$)|"
    r"\d{4}[-./年]\d{1,2}[-./月]\d{1,2}日?\s+\d{1,2}:\d{2}|(?:发布|发表)(?:时间|日期)\s?[:：]"
)
_WEATHER = re.compile(
    r"(?:今日|今天|明天|市区)?(?:天气|气温|气象)\S{0,4}[:：\s]|[^。]{0,40}\d\s?(?:℃|°C)[^。]{0,8}$"
)
_GUIDES = frozenset(("导读", "今日导读", "要闻导读", "新闻导读", "今日看点", "本期导读", "導讀"))
_INDEX = re.compile(
    r"[^。]{2,40}(?:(?:▶+|►+|→|详见|见|>>|\s)\s?[A-Z]?\d{1,2}\s?版|"
    r"[（(]\s?(?:详?见)?\s?第?[A-Z]?\d{1,2}\s?版\s?[）)]|(?:▶+|►+)\s?[A-Z]?\d{1,2})"
)
_STEP = re.compile(
    r"[（(]?(?:[一二三四五六七八九十]{1,3}|\d{1,2})[)）、．.]\s?(?!\d)|[①-⑳❶-❿]|"
    r"第[一二三四五六七八九十\d]{1,3}[章节条步招](?:\s|$)|PART\s?\d|"
    r"(?:[问答問]|记者|記者|主持人|主持|嘉宾|[QA])\s?[：:]|"
    r"(?:时间|地点|电话|联系人|联系电话|联系方式|地址|[主承协]办单位|摘要|关键词|热线|附|注|备注)[：:]"
)
_SALUTATION = re.compile(
    r"(?:尊敬的|敬爱的|亲爱的)?(?:各位)?(?:编辑|編輯|总编|记者|主编|报社|贵报|晚报|日报|老师|领导)\S{0,6}?"
    r"(?:同志|老师|老師|先生|女士|部|们)?[:：,，]?(?:您好|你好)?[!！:：]?$|"
    r"(?:各|尊敬的|敬爱的|亲爱的|广大|全体|致|全[市县区镇乡村校厂])[^。，,：:]{1,20}[:：]$"
)
_READER = r"(?:读者|市民|居民|网友|村民|业主|家长|群众|教师|党员|老人)"
_YEAR = r"(?:\d{4}|[二一○〇零九八七六五四三]{4})年"
_MONTH_DAY = r"[\d一二三四五六七八九十]{1,2}月(?:[\d一二三四五六七八九十廿卅]{1,3}日\S?)?"
_SIGNED = re.compile(
    rf"\S{{0,10}}{_READER}[\s:：]+(?P<name>\S{{2,4}}?)(?:等\S{{1,5}})?|{_READER}|一[名位]\S{{0,6}}{_READER}|"
    r"\S{2,10}\s+\S{2,4}等[\d一二三四五六七八九十]{1,5}[人户名]|此致|敬礼[!！]?|"
    r"(?:\S{2,12}\s+)?[\u4e00-\u9fff]{1,2}(?:女士|先生|某某?|师傅|大爷|大妈|阿姨|同学)|"
    r"\S{0,6}(?:扫描?\S{0,4}二维码|长按|转载请|关注\S{0,8}公众号)\S{0,20}|"
    rf"\d{{1,2}}月\d{{1,2}}日|[^，。,]{{0,24}}{_YEAR}{_MONTH_DAY}"
)


class Kind(Enum):
    """What a line can be taken for from its own looks."""

    BODY = "body"
    SHORT = "short"  # the shape of a line of headline; may as well be a sub-heading
    STEP = "step"  # 一、…, （二）…, 问：…: inside an article, never a headline
    RULE = "rule"  # ———, ＊＊＊: drawn between two articles
    FURNITURE = "furniture"  # folio, date, imprint, weather: the page's own
    SALUTATION = "salutation"  # 编辑同志：
    SIGNED = "signed"  # 任城区 李女士: how a letter ends
    DATELINE = "dateline"
    RESUMES = "resumes"
    BYLINE = "byline"
    POSTED = "posted"  # 2023-02-24 10:21 来源：临河日报: what a website sets under a headline
    PHOTO = "photo"
    EDITORS = "editors"
    NAMES = "names"
    TURNS = "turns"


_MARKED = {mark: Kind[mark.name] for mark in Mark}
OPENINGS = frozenset({Kind.DATELINE, Kind.RESUMES, Kind.SALUTATION})
_TEXT = frozenset({Kind.BODY, Kind.STEP, Kind.SHORT, Kind.DATELINE})
CREDITS = frozenset({Kind.BYLINE, Kind.POSTED, Kind.PHOTO, Kind.EDITORS, Kind.TURNS, Kind.SIGNED})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the page that is not blank."""

    text: str  # without the spaces around it
    start: int  # offsets of that text in the page
    end: int
    gap: int  # blank lines above it
    indent: int  # spaces in front of it, a full-width one counting two
    width: float  # as set: a Chinese character is 1, a Latin letter half
    kind: Kind
    stops: bool  # a sentence, or the whole article, ends with it


def read_lines(page: str) -> list[Line]:
    """Cut a page into its lines, blank ones counted but not kept.

    >>> [(line.text, line.gap, line.kind.value) for line in read_lines("标题一行\\n\\n 路修好了。")]
    [('标题一行', 0, 'short'), ('路修好了。', 1, 'body')]
    """
    lines: list[Line] = []
    breaks = 0
    for match in _LINE.finditer(page):
        raw = match[0]
        text = raw.strip()
        if not text:
            # A line of spaces ends with a break of its own; only breaks are counted.
            breaks += raw[-1] in _BREAKS
            continue
        lead = raw[: len(raw) - len(raw.lstrip())]
        start = match.start() + len(lead)
        indent = len(lead) + lead.count("\u3000") + 3 * lead.count("\t")
        gap = max(0, breaks - 1) if lines else 0
        breaks = 0
        together = _HEADLINE_AND_DATELINE.match(text)
        if together is not None and headline_shaped(together[1]):
            lines.append(_line(together[1], start, gap, indent, lines))
            start, text, gap = start + together.start(2), together[2], 0
        lines.append(_line(text, start, gap, indent, lines))
    return lines


def _line(text: str, start: int, gap: int, indent: int, above: Sequence[Line]) -> Line:
    kind = _kind(text)
    if kind is Kind.NAMES and above and _runs_on(above[-1]):
        kind = Kind.BODY
    if kind is Kind.FURNITURE and _DATE_ALONE.fullmatch(text) and above:
        # Under a letter or a notice, a date is its last line, not the page's.
        kind = kind if above[-1].kind is Kind.FURNITURE else Kind.SIGNED
    stops = kind in CREDITS or kind in (Kind.NAMES, Kind.RULE) or ends_sentence(text)
    if not stops and above and text[-1] in "摄攝)）" and len(text) <= 30:
        stops = closing_mark(above[-1].text[-60:] + text) is not None  # a credit cut in two
    width = (len(text) + sum(char > "\u2e7f" or char in _SET_WIDE for char in text[:200])) / 2
    return Line(text, start, start + len(text), gap, indent, width, kind, stops)


def _runs_on(line: Line) -> bool:
    return not line.stops and line.kind in (Kind.BODY, Kind.DATELINE, Kind.STEP)


def ends_sentence(text: str) -> bool:
    """Whether a line can be the end of a paragraph: 。, ！”, an end byline; not ， or a word.

    >>> ends_sentence("路修好了。”"), ends_sentence("“双向"), ends_sentence("路通了。（王明）")
    (True, False, True)
    """
    core = text.rstrip(_CLOSERS + " \u3000")
    if not core or core[-1] in _STOPS or text[-1] in ":：":
        return True
    if core[-1] == "." and (not _HAN.search(text[-12:]) or _HAN.match(core[-2:-1])):
        return True
    if _ENCLOSED.match(text):
        return True
    if text[-1] in "）)】]摄攝图圖" or _BULLETED.search(text[-40:]):
        return closing_mark(text) is not None
    return False


def headline_shaped(text: str) -> bool:
    """Whether one line could be set as a headline: short, whole, and not a sentence's piece.

    >>> headline_shaped("张楼镇 让流动党员“有家可归”"), headline_shaped("县里聚焦重点工作和")
    (True, False)
    """
    if not 2 <= len(text) <= MAX_HEADLINE or len(_HAN.findall(text)) < 2:
        return False
    folded = fold(text)
    if "。" in text[:-1] or ";" in folded or folded.count(",") > 2 or _SPEECH.search(folded):
        return False
    if _BAD_START.match(text) or _BAD_END.search(text) or text[-1] in "。":
        return False
    return all(folded.count(left) == folded.count(right) for left, right in _PAIRS)


def asks_or_exclaims(text: str) -> bool:
    """Whether a line ends in ！ or ？, as a sentence does and a headline may."""
    return text.rstrip(_CLOSERS)[-1:] in tuple("！？!?…")


def joined(lines: Sequence[Line], rows: Sequence[int]) -> str:
    """The lines of one paragraph, a space only where a Latin word would otherwise run on."""
    parts: list[str] = []
    for row in rows:
        text = lines[row].text
        if parts:
            before, after = parts[-1][-1], text[0]
            latin = before < "\u2e80" and after < "\u2e80" and (before + after).isascii()
            if latin and (before.isalpha() or after.isalpha()):
                parts.append(" ")
        parts.append(text)
    return "".join(parts)


class Columns:
    """How a page sets its lines: where columns end, how far paragraphs stand apart or in."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        # Whether each line fills its column, so that its end means nothing. A column is a width
        # at which three or more lines of the page break off in mid-sentence, a quarter of them
        # with a comma, as headlines of one length have not; a line as wide must stand within two
        # lines, and the first line of a paragraph may be two characters shorter.
        broken = [
            round(line.width) if not line.stops and 8 <= line.width <= 60 else 0 for line in lines
        ]
        votes = Counter(broken)
        prose = Counter(
            width for width, line in zip(broken, lines, strict=True) if _COMMA.search(line.text)
        )
        widths = {
            w for w in votes if w and votes[w] >= max(3, votes[w + 2]) and prose[w] * 4 >= votes[w]
        }
        set_to = [round(line.width) for line in lines]
        self.full: list[bool] = []
        for at, line in enumerate(lines):
            near = set_to[max(0, at - 2) : at] + set_to[at + 1 : at + 3]
            self.full.append(any(w in widths and -2.6 <= line.width - w <= 1.6 for w in near))
        steps = list(zip(pairwise(lines), self.full, strict=False))
        self.line_gap = _commonest(b.gap for (a, b), full in steps if full and not a.stops)
        self.paragraph_gap = _commonest(b.gap for (a, b), _ in steps if a.stops)
        starts = [b.indent >= 2 for (a, b), _ in steps if a.stops and b.kind in _TEXT]
        self.indents = sum(starts) * 2 > len(starts)

    def starts_paragraph(self, at: int) -> bool:
        """Whether the line `at` begins a paragraph rather than goes on with the line above it."""
        line, above = self.lines[at], self.lines[at - 1]
        if line.text in _LAST_WORD or above.text[-1] in _BULLETS:
            return False
        if line.kind in CREDITS | OPENINGS | {Kind.STEP} or above.kind in CREDITS:
            return True
        indented = self.indents and line.indent >= 2 > above.indent
        apart = line.gap > self.line_gap
        if not above.stops:
            # A caption set into the middle of a column breaks a sentence that goes on below it.
            inset = apart and line.stops and closing_mark(line.text) is Mark.PHOTO
            return inset or (indented and not self.full[at - 1])
        if above.kind is not Kind.DATELINE and closing_mark(above.text) is not None:
            return True
        narrower = self.full[at] and 1.4 <= above.width - line.width <= 2.6
        return not self.full[at - 1] or apart or indented or narrower


def _commonest(gaps: Iterable[int]) -> int:
    counted = Counter(gaps).most_common(1)
    return counted[0][0] if counted else 0


def _kind(text: str) -> Kind:
    if len(text) < 2:
        return Kind.BODY
    if _RULE.fullmatch(text):
        return Kind.RULE
    if len(text) <= 90:
        if _POSTED.match(text):
            return Kind.POSTED
        if _STEP.match(text):
            return Kind.STEP
        if _is_furniture(text):
            return Kind.FURNITURE
    if (mark := mark_of(text)) is not None:
        return _MARKED[mark]
    if len(text) <= 24 and _SALUTATION.match(text) and text[-1] in ":：,，们!！":
        return Kind.SALUTATION
    signed = _SIGNED.fullmatch(text) if len(text) <= 40 else None
    if signed is not None and (signed["name"] is None or is_person(fold(signed["name"]))):
        return Kind.SIGNED
    return Kind.SHORT if headline_shaped(text) and not _ENCLOSED.match(text) else Kind.BODY


def _is_furniture(text: str) -> bool:
    """Folios, dates, imprints: lines of which nothing is left once their stock parts are gone."""
    if len(_IMPRINT.findall(text)) >= (1 if _IMPRINT.match(text) else 2):
        return True
    if (
        text in _GUIDES
        or " > " in text
        or _INDEX.fullmatch(text)
        or (len(text) <= 60 and _WEATHER.match(text) and text[-1] != "。")
    ):
        return True
    if _PAGE_NUMBER.fullmatch(text):
        return True
    if "。" in text or "，" in text:
        return False
    folios, issues = _FOLIO.findall(text), _ISSUE.findall(text)
    left = len(re.sub(r"[\W_]+", "", _ISSUE.sub("", _FOLIO.sub("", text))))
    # A column's name, an editor or two, the paper in pinyin may share the line with them.
    return left <= (40 if len(folios) + len(issues) > 1 else 6 if folios else 0)
