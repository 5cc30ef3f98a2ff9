"""Who wrote an article, from where, for which paper: what its dateline and credits say.

Everything is read from the first and the last few hundred characters, so that the cost does not
grow with the text, and on a folded copy of them (half width, simplified characters) whose offsets
are those of the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from classifier.credit import (
    BULLET,
    HAN,
    HAS_ROLE,
    MAX_CREDIT,
    OUTLET,
    ROLE,
    Credit,
    Mark,
    Span,
    bracketed_credit,
    fold,
    labelled_credit,
    read_credit,
    resumes,
    running_credit,
    skip_blank,
)

HEAD_CHARS = 240
TAIL_CHARS = 240

_NUMBER = r"(?:[\dXx]{1,2}|[一二三四五六七八九十]{1,3})"
_DATE = rf"(?:\d{{4}}年)?{_NUMBER}月{_NUMBER}日|\d{{1,2}}日"
# What follows tells 本报讯 from 本报通讯员, and …电 from 电力 and its kin.
_KIND = (
    r"(?:综合|专|特|快|短)?(?:消息|电讯|[讯电])"
    r"(?![员息号问道力网信子商脑器影视动池梯话线站源压费量厂])"
)
_OWN_DATELINE = re.compile(
    rf"[\[《<]?\s?(?:据|综合)?(?P<agency>本[报台网刊社])\s{{0,3}}"
    rf"(?P<place>[{HAN}]{{1,10}}?)??\s{{0,3}}(?P<date>{_DATE})?\s{{0,3}}{_KIND}\s{{0,3}}[\]》>]?"
)
_WIRE_DATELINE = re.compile(
    rf"[\[《<]?\s?(?:又?据|综合)?(?P<agency>[{HAN}A-Za-z0-9·“”]{{1,16}}?{OUTLET}{{1,3}})\s{{0,3}}"
    rf"(?P<place>[{HAN}]{{1,10}}?)??\s{{0,3}}(?P<date>{_DATE})?\s{{0,3}}{_KIND}\s{{0,3}}[\]》>]?"
)
_BARE_DATELINE = re.compile(
    rf"(?P<agency>)(?P<place>[{HAN}]{{1,8}}?)??(?P<date>{_DATE})?[讯电]\s{{0,3}}"
    r"(?=\([^()]{0,14}(?:记者|通讯员))"
)
_BOXED_DATELINE = re.compile(rf"\[(?P<agency>)(?P<place>[{HAN}]{{2,6}}?)(?P<date>{_DATE})?[讯电]\]")
# Most texts bear no credit at one end or the other, and reading closely costs more than tagging:
# without one of these signs an end is not read at all.
SIGN_CHARS = 90


def _signs(*signs: tuple[str, str]) -> re.Pattern[str]:
    """One of some characters and what must follow it.

    A pattern that begins with one set of characters is searched for six times as fast as one that
    begins with alternatives.
    """
    firsts = "".join(first for first, _ in signs)
    rest = "|".join(f"(?<=[{first}]){follows}" for first, follows in signs)
    return re.compile(f"[{firsts}](?:{rest})")


_HEAD_SIGN = _signs(
    ("讯訊息摄攝■□▲●◆◎【", ""),
    ("电電", r"[\s(（:：“\"]"),
    ("记記作", "者"),
    ("通", "[讯訊][员員]"),
    ("报報", "[道導]"),
    ("编編撰", "[辑輯者稿]"),
    ("供", "稿"),
    ("来來", "源"),
    ("图圖文", "[/／:：]"),
    ("上", "接"),
    ("下", "[转轉]"),
    ("审審責责校", "[稿编編核對对]"),
)
_TAIL_SIGN = _signs(
    ("摄攝■□▲●◆◎", ""),
    ("记記作", "者"),
    ("通", "[讯訊][员員]"),
    ("报報", "[道導]"),
    ("编編撰审審校", "[辑輯稿核对對排]"),
    ("责責", "[編编任]"),
    ("供", "[稿图圖]"),
    ("投组組", "稿"),
    ("来來", "源"),
    ("图圖文", "[/／:：]"),
    ("下", "[转轉]"),
    ("链鏈", "接"),
    ("转轉", "[载載]"),
    ("中", r"心\s"),
    ("部局道镇鎮", r"\s"),
)
_CLOSING = tuple("）)】]」")
_NOT_PLACE = re.compile(r"记者|通讯|评论|编辑|近日|获悉|[的了是从在和与将把被对这那其我他她你日]")
_ENDS_SENTENCE = "。!?…”"
_SPACE = re.compile(r"\s+")
_LINE_END = re.compile(r"\s*\n\s*")  # a bracket that a line end cut in two


@dataclass(frozen=True, slots=True)
class Dateline:
    """What an article's first and last lines say of its origin; None or empty where they do not.

    >>> text = "本报微山讯(通讯员 葛一山 高平)村里修好了路。"
    >>> line = read_dateline(text)
    >>> line.place, line.byline, line.names
    ('微山', '通讯员 葛一山 高平', ('葛一山', '高平'))
    >>> [text[start:end] for start, end in line.spans]
    ['本报微山讯(通讯员 葛一山 高平)']
    """

    place: str | None = None  # as printed: 本报微山讯 → 微山
    byline: str | None = None  # as printed, without brackets, marks and 摄
    names: tuple[str, ...] = ()  # the persons of the byline
    unit: str | None = None  # the office a byline names: 县委宣传部
    agency: str | None = None  # 本报, 新华社, 中新网 …
    spans: tuple[tuple[int, int], ...] = ()  # half-open offsets of datelines and credits


def read_dateline(text: str) -> Dateline:
    """Read byline, place and agency from the head and the tail of an article's text.

    Takes any string and looks at no more than HEAD_CHARS and TAIL_CHARS of it.
    """
    head, tail = _signed_ends(text)
    credits = head + tail
    # A head byline is the author's; the last line may be another's, or only the photographer's.
    signed = [c for c in credits if c.mark is Mark.BYLINE and c.byline]
    signed += [c for c in credits if c.mark is Mark.PHOTO and c.byline]
    together = [c for c in signed if c in head] or signed[:1]
    names = dict.fromkeys(_SPACE.sub("", text[slice(*n)]) for c in together for n in c.names)

    def printed(spans: Iterable[Span | None]) -> str | None:
        return next((_LINE_END.sub("", text[slice(*span)]) for span in spans if span), None)

    return Dateline(
        place=printed(c.place for c in credits),
        byline=" ".join(filter(None, (printed([c.byline]) for c in together))) or None,
        names=tuple(names),
        unit=printed(c.unit for c in together + credits),
        agency=printed(c.agency for c in credits),
        spans=_merged(text, credits),
    )


def credit_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Where the datelines and credits stand: `read_dateline(text).spans`, for less."""
    head, tail = _signed_ends(text)
    return _merged(text, head + tail) if head or tail else ()


def _signed_ends(text: str) -> tuple[list[Credit], list[Credit]]:
    """The credits above the body, and those below it."""
    name_above = "\n" in text[:30].lstrip()  # a name on a line of its own above the body
    head: list[Credit] = []
    if name_above or _HEAD_SIGN.search(text, 0, SIGN_CHARS) is not None:
        head = _head_credits(fold(text[:HEAD_CHARS]))
    end = text[-SIGN_CHARS:].rstrip()
    own_line = "\n" in end[-25:]  # a name, or an office and a name, below a letter
    if not (own_line or end.endswith(_CLOSING) or _TAIL_SIGN.search(end)):
        return head, []
    offset = max(0, len(text) - TAIL_CHARS)
    covered = head[-1].end if head else 0
    tail = _tail_credits(fold(text[offset:]), offset)
    return head, [credit for credit in tail if credit.start >= covered]


def mark_of(line: str) -> Mark | None:
    """What one line is as a whole, or opens with (DATELINE); None for anything else.

    >>> mark_of("新华社济南2月3日电 春耕开始了。"), mark_of("■通讯员 王明 摄"), mark_of("责编 李芳")
    (<Mark.DATELINE: 'dateline'>, <Mark.PHOTO: 'photo'>, <Mark.EDITORS: 'editors'>)
    """
    folded = fold(line[:HEAD_CHARS]).strip()
    if len(folded) < 2:
        return None
    if (dateline := _dateline_at(folded, 0)) is not None:
        return dateline.mark
    if resumes(folded, 0) is not None:
        return Mark.RESUMES
    whole = len(line) <= MAX_CREDIT and (
        labelled_credit(folded, 0) or read_credit(folded, 0, len(folded))
    )
    if whole:
        return whole.mark if whole.explicit else Mark.NAMES
    opening = _credit_at(folded, 0, after=False)
    if opening is None or not opening.explicit:
        return None
    return opening.mark if opening.end >= len(folded) else Mark.DATELINE


def closing_mark(text: str) -> Mark | None:
    """What a paragraph ends with: a byline, a photo credit, editors, or None.

    >>> closing_mark("河水清了。（王明 李芳）"), closing_mark("图为现场。 本报记者 王明 摄")
    (<Mark.BYLINE: 'byline'>, <Mark.PHOTO: 'photo'>)
    """
    tail = fold(text[-TAIL_CHARS:])
    last = _credit_before(tail, len(tail.rstrip()))
    return last.mark if last is not None else None


def _merged(text: str, credits: list[Credit]) -> tuple[tuple[int, int], ...]:
    """Spans in order, those with only spaces between them as one."""
    spans: list[tuple[int, int]] = []
    for credit in credits:
        if spans and not text[spans[-1][1] : credit.start].strip():
            spans[-1] = (spans[-1][0], credit.end)
        else:
            spans.append((credit.start, credit.end))
    return tuple(spans)


def _head_credits(text: str) -> list[Credit]:
    found: list[Credit] = []
    pos = skip_blank(text, 0)
    if (note := resumes(text, pos)) is not None:
        pos = skip_blank(text, note.end)
    for _ in range(3):  # a headline, and the line above or below it, may still stand in the text
        while len(found) < 6 and (credit := _credit_at(text, pos, after=bool(found))) is not None:
            found.append(credit)
            pos = skip_blank(text, credit.end)
        line_end = text.find("\n", pos)
        if found or not 0 <= line_end - pos <= 45 or text[pos:line_end].rstrip()[-1:] in "。;,":
            break
        pos = skip_blank(text, line_end)
    return found


def _credit_at(text: str, pos: int, *, after: bool) -> Credit | None:
    """The dateline, bracket, line or running words of credit that start at `pos`."""
    if pos >= len(text):
        return None
    if (dateline := _dateline_at(text, pos)) is not None:
        return dateline
    if text[pos] in "([" and (close := _closing(text, pos)):
        inner = bracketed_credit(text, pos, close + 1)
        return inner if inner is not None and (after or inner.explicit) else None
    newline = text.find("\n", pos)
    line_end = len(text) if newline < 0 else newline
    if line_end - pos <= MAX_CREDIT and newline >= 0:
        credit = labelled_credit(text, pos, line_end) or read_credit(text, pos, line_end)
        if credit is not None and (credit.explicit or not after):
            return credit
    return running_credit(text, pos)


def _dateline_at(text: str, pos: int) -> Credit | None:
    for pattern in (_OWN_DATELINE, _WIRE_DATELINE, _BARE_DATELINE, _BOXED_DATELINE):
        match = pattern.match(text, pos, pos + 60)
        if match is None:
            continue
        place = match["place"]
        rest = text[match.end() : match.end() + 1]
        bounded = not rest or rest in ' \n(:,[#“"' or match[0][-1] in "]》> "
        own = pattern is _OWN_DATELINE and (place is None or len(place) <= 4)
        if (place and _NOT_PLACE.search(place)) or not (bounded or match["date"] or own):
            continue
        end = match.start() + len(match[0].rstrip())
        if text[end : end + 1] == ":":
            end += 1
        agency = match.span("agency") if match["agency"] else None
        return Credit(
            Mark.DATELINE, pos, end, agency=agency, place=match.span("place") if place else None
        )
    return None


def _tail_credits(text: str, offset: int) -> list[Credit]:
    found: list[Credit] = []
    end = len(text)
    for _ in range(8):
        end = len(text[:end].rstrip())
        credit = _credit_before(text, end)
        if credit is None:
            break
        if credit.mark is not Mark.TURNS:
            found.append(
                credit.mapped(lambda span: (span[0] + offset, span[1] + offset))
                if offset
                else credit
            )
        end = credit.start
    return found[::-1]


def _credit_before(text: str, end: int) -> Credit | None:
    """The line, bracket or last words of credit that end at `end`."""
    line = text.rfind("\n", 0, end) + 1
    line = skip_blank(text, line, end)
    if end - line < 2:
        return None
    if text[end - 1] in ")]" and (opening := _opening(text, end - 1, line)) is not None:
        inner = bracketed_credit(text, opening, end)
        before = text[:opening].rstrip(" ")[-1:]
        if inner is not None and (inner.explicit or before in _ENDS_SENTENCE + "\n)"):
            return inner
    if end - line <= MAX_CREDIT:
        whole = labelled_credit(text, line, end) or read_credit(text, line, end)
        if whole is not None and (whole.explicit or line > 0):
            return whole
    last = max(text.rfind(mark, line, end - 1) for mark in _ENDS_SENTENCE + BULLET)
    starts = {last if text[last] == BULLET else last + 1} if last >= line else set()
    near = max(line, end - 60)
    if HAS_ROLE.search(text, near, end):
        roles = (role.start() for role in ROLE.finditer(text, near, end))
        starts |= {start for start in roles if text[start - 1] in " )。"}
    for start in sorted(starts):
        credit = read_credit(text, start, end) if end - start <= MAX_CREDIT else None
        if credit is not None and (credit.explicit or (credit.unit and credit.names)):
            return credit
    return None


def _closing(text: str, opening: int) -> int:
    """Offset of the bracket that closes the one at `opening`, one level of nesting; 0 if none."""
    depth = 0
    for pos in range(opening, min(len(text), opening + MAX_CREDIT)):
        depth += (text[pos] in "([") - (text[pos] in ")]")
        if depth == 0:
            return pos
    return 0


def _opening(text: str, closing: int, line: int) -> int | None:
    depth = 0
    for pos in range(closing, max(line, closing - MAX_CREDIT) - 1, -1):
        depth += (text[pos] in ")]") - (text[pos] in "([")
        if depth == 0:
            return pos
    return None
