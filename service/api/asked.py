"""What requests about submissions ask and send."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from classifier.article import MAX_CHARS, Decision
from service.api import bodies
from service.api.bodies import Text
from service.receive import Piece
from service.store.records import Order, Query, State

BEIJING = timezone(timedelta(hours=8))
"""Where a day without a time zone begins."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_FIRST = datetime(1970, 1, 2, tzinfo=BEIJING)
_LAST = datetime(2999, 12, 31, tzinfo=BEIJING)

DecisionWord = Literal["auto", "none", "review"]
StateWord = Literal["new", "auto", "none", "review", "unsure", "settled"]
ActionWord = Literal["confirm", "set", "none", "unsure"]


def read_moment(words: str, *, ends: bool = False) -> datetime:
    """A day or a moment as people and programs write it; a day's end is the start of the next.

    Raises ValueError.

    >>> read_moment("2026-11-24").isoformat(), read_moment("2026-11-24", ends=True).isoformat()
    ('2026-11-23T16:00:00+00:00', '2026-11-24T16:00:00+00:00')
    >>> read_moment("2026-11-24T08:30:00Z").isoformat()
    '2026-11-24T08:30:00+00:00'
    """
    if _DAY.fullmatch(words):
        moment = datetime.combine(date.fromisoformat(words), time(), BEIJING)
    elif _MOMENT.fullmatch(words):
        moment = datetime.fromisoformat(words.upper())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=BEIJING)
        ends = False
    else:
        raise ValueError(words)
    # Nothing came in before computers had clocks; and sums at the edges of time overflow.
    moment = min(max(moment, _FIRST), _LAST)
    return (moment + timedelta(days=ends)).astimezone(UTC)


def _is_moment(words: str) -> str:
    try:
        read_moment(words)
    except ValueError:
        raise PydanticCustomError(
            "moment", "应是日期（如 2026-11-24）或时刻（如 2026-11-24T08:30:00Z）"
        ) from None
    return words


def _flag(words: object) -> object:
    if words not in ("true", "false", True, False):
        raise PydanticCustomError("flag", "应是 true 或 false")
    return words


Moment = Annotated[
    str,
    AfterValidator(_is_moment),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"format": "date"}, {"format": "date-time"}],
            "examples": ["2026-11-24", "2026-11-24T08:30:00Z"],
        }
    ),
]
Flag = Annotated[bool, BeforeValidator(_flag)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


# What is asked


class Filters(bodies.Query):
    """找哪些来稿"""

    theme: Text | None = Field(None, max_length=48, description="有这个主题")
    decision: DecisionWord | None = Field(None, description="最近一次的判定")
    state: StateWord | None = Field(
        None,
        description="new 未打标签，auto 自动放行，none 无主题，review 送审，unsure 存疑，settled 已定",
    )
    place: Text | None = Field(None, max_length=200, description="市、县或镇街")
    name: Text | None = Field(None, max_length=200, description="通讯员")
    source: Text | None = Field(
        None, max_length=200, description="来源，如 http、desk、watch、mail，或 mail:地址"
    )
    text: Text | None = Field(None, max_length=200, description="标题、正文或署名里的字")
    page: Text | None = Field(None, max_length=40, description="同一版面")
    from_: Moment | None = Field(None, alias="from", description="此日或此刻起收到；北京时间")
    to: Moment | None = Field(None, description="到此日（含）或此刻（不含）收到；北京时间")
    twins: Flag = Field(False, description="连同重复来稿，不折叠")

    def query(self, *, order: Order = Order.DOUBTFUL, free_for: str | None = None) -> Query:
        """The same as the store understands it."""
        return Query(
            theme=self.theme,
            state=State(self.state) if self.state else None,
            decision=Decision(self.decision) if self.decision else None,
            place=self.place,
            name=self.name,
            source=self.source,
            text=self.text,
            page=self.page,
            since=read_moment(self.from_) if self.from_ else None,
            until=read_moment(self.to, ends=True) if self.to else None,
            free_for=free_for,
            with_twins=self.twins,
            order=order,
        )


class ListQuery(Filters):
    """找哪些来稿，怎样排，从哪里起"""

    free: Flag = Field(False, description="不要别人正在看的")
    order: Literal["doubtful", "newest", "oldest"] = Field(
        "doubtful", description="doubtful 先看拿不准的"
    )
    limit: int = Field(50, ge=1, le=200, description="最多几篇")
    cursor: Text | None = Field(None, max_length=500, description="上一页答复里的 cursor")
    count: Flag = Field(False, description="同时数一共几篇，数到 10000 为止")


class ExportQuery(Filters):
    """导出哪些来稿，怎样排"""

    order: Literal["doubtful", "newest", "oldest"] = Field("oldest", description="排序")


class StatisticsQuery(bodies.Query):
    """哪段时间"""

    from_: Moment | None = Field(None, alias="from", description="此日或此刻起；北京时间")
    to: Moment | None = Field(None, description="到此日（含）或此刻（不含）；北京时间")


class FacetsQuery(bodies.Query):
    """要几个"""

    limit: int = Field(100, ge=1, le=1000, description="每类最多几个")


class KeyHeader(BaseModel):
    """重发同一请求时凭它认出"""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="同一个键、同一内容重发，得到同一答复，不会存两份；24 小时内有效",
    )


# What is sent


class SentArticle(bodies.Incoming):
    """一篇稿件；/v1/pages/split 拆出的可原样寄来"""

    id: Text = Field("", max_length=500, description="调用方自己的编号")
    title: Text = Field("", max_length=MAX_CHARS, description="标题")
    text: Text = Field(max_length=MAX_CHARS, description="正文")
    byline: Text | None = Field(None, max_length=500, description="署名，不写则从正文里找")
    place: Text | None = Field(None, max_length=200, description="电头里的地名，不写则从正文里找")
    section: Text | None = Field(None, max_length=1000, description="栏目或通栏标题")
    kind: Literal["article", "caption"] | None = Field(None, description="稿件或图片说明")

    def piece(self) -> Piece:
        """The article on its way in."""
        return Piece(
            text=self.text,
            title=self.title,
            external_id=self.id,
            byline=self.byline,
            place=self.place,
            section=self.section,
            kind=self.kind,
        )


class SentArticles(bodies.Incoming):
    """多篇稿件"""

    articles: list[SentArticle] = Field(min_length=1, description="按顺序；要么全存，要么全不存")
    together: bool = Field(False, description="出自同一版面")

    def pieces(self) -> tuple[Piece, ...]:
        """The articles on their way in."""
        pieces = tuple(one.piece() for one in self.articles)
        if not self.together:
            return pieces
        page = secrets.token_hex(8)
        return tuple(
            replace(piece, page=page, position=position) for position, piece in enumerate(pieces)
        )


class SentPage(bodies.Incoming):
    """一个版面的文字，由系统拆成稿件"""

    page: Text = Field(min_length=1, max_length=2_000_000, description="整版文字")


class SplitFields(bodies.Query):
    """怎样读一个文件"""

    charset: Text = Field("", max_length=40, description="文字编码，不写则自动识别")


class FormFields(SplitFields):
    """怎样读几个文件"""

    page: Literal["true", "false"] = Field("false", description="文件是整版，拆成几篇")
    articles: Text = Field(
        "", description="只寄一个文件时：改好的稿件列表（JSON），文件作为它们的原件存下"
    )


_File = Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})]


class SplitFile(SplitFields):
    """一个文件，当作整版来读"""

    file: _File


class SentFiles(FormFields):
    """文件：docx、pdf（有文字层）、txt、html、eml"""

    files: list[_File] = Field(min_length=1, description="一个或几个文件；要么全存，要么全不存")


class ReviewBody(bodies.Incoming):
    """审一篇"""

    action: ActionWord = Field(
        description="confirm 照此定稿，set 改成 themes，none 无主题，unsure 请另一人看"
    )
    themes: list[Slug] | None = Field(None, max_length=50, description="仅用于 set")
    version: Version | None = Field(None, description="看到的是第几版；已被改过则 412")


class BulkFilters(Filters):
    """按条件找出的全部来稿"""

    model_config = bodies.Incoming.model_config

    to: Moment = Field(description="列表答复里的 at：之后才到的、没看见的不动")


class BulkIds(bodies.Incoming):
    """审选中的几篇"""

    action: ActionWord
    themes: list[Slug] | None = Field(None, max_length=50, description="仅用于 set")
    ids: dict[Text, Version | None] = Field(
        min_length=1, description="编号 → 看到的是第几版（null 为不论）"
    )


class BulkQuery(bodies.Incoming):
    """审按条件找出的全部"""

    action: ActionWord
    themes: list[Slug] | None = Field(None, max_length=50, description="仅用于 set")
    query: BulkFilters
