"""What requests about submissions hold, and a submission as the API tells of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from classifier.article import MAX_CHARS, Decision
from service.api import bodies
from service.api.bodies import Probability, Text
from service.receive import Piece
from service.store import records
from service.store.records import Action, Lock, Order, Query, State, Submission

BEIJING = timezone(timedelta(hours=8))
"""Where a day without a time zone begins."""

LEAD = 120
"""Characters of the text that a list shows."""

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
Id = Annotated[str, Field(pattern="^[0-9a-z]{1,40}$")]
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
    ids: dict[Id, Version | None] = Field(
        min_length=1, description="编号 → 看到的是第几版（null 为不论）"
    )


class BulkQuery(bodies.Incoming):
    """审按条件找出的全部"""

    action: ActionWord
    themes: list[Slug] | None = Field(None, max_length=50, description="仅用于 set")
    query: BulkFilters


# What is answered


class LockReply(BaseModel):
    """谁正在看，到什么时候"""

    by: str
    until: datetime


class SubmissionReply(BaseModel):
    """一篇来稿的稿签"""

    id: str
    version: int = Field(description="每改一次加一")
    state: StateWord
    decision: DecisionWord | None = Field(description="最近一次的判定；还没打标签则为空")
    themes: list[str]
    themes_by: str = Field(description="model@编号 或 editor@名字")
    scores: dict[str, Probability] | None
    coverage: Probability | None
    model: str | None
    doubt: Probability = Field(description="多需要编辑看一眼")
    title: str
    lead: str = Field(description="正文开头")
    external_id: str = Field(description="投稿方的编号")
    source: str
    by: str = Field(description="投稿的账号")
    name: str = Field(description="文件名")
    format: str
    has_original: bool
    received: datetime
    settled: datetime | None
    place: str | None
    city: str | None
    county: str | None
    town: str | None
    byline: str | None
    names: list[str] = Field(description="通讯员")
    unit: str | None
    section: str | None
    kind: str
    length: int = Field(description="字数")
    page: str | None = Field(description="同一版面的稿件相同")
    position: int
    warnings: list[str]
    twin_of: str | None = Field(description="与哪篇先到的相同")
    twins: int = Field(description="后来又到了几篇相同的")
    lock: LockReply | None


class SubmissionsReply(BaseModel):
    """一页来稿"""

    submissions: list[SubmissionReply]
    cursor: str | None = Field(description="下一页；没有则为空")
    at: datetime = Field(description="列出的时刻；批量审稿时用作 to")
    count: int | None = Field(description="共几篇，最多数到 10000；没有要求数则为空")


class AcceptedReply(BaseModel):
    """已存下的来稿"""

    submissions: list[SubmissionReply]


class ReceiptReply(BaseModel):
    """一次打标签的收据"""

    model: str
    themes: list[str]
    decision: DecisionWord
    scores: dict[str, Probability]
    coverage: Probability
    at: datetime


class HistoryReply(BaseModel):
    """一次审稿"""

    id: int
    at: datetime
    by: str
    action: Literal["confirm", "set", "none", "unsure", "undo"]
    from_state: StateWord
    to_state: StateWord
    from_themes: list[str]
    to_themes: list[str]
    from_by: str
    batch: str | None
    undoes: int | None
    undone: bool


class TwinReply(BaseModel):
    """一篇相同的来稿"""

    id: str
    title: str
    source: str
    by: str
    received: datetime


class DetailReply(SubmissionReply):
    """一篇来稿的全部"""

    text: str
    evidence: list[bodies.EvidenceReply] | None = Field(description="用当时的模型重算的理由")
    evidence_missing: str = Field(description="没有理由的原因")
    taggings: list[ReceiptReply]
    history: list[HistoryReply]
    same: list[TwinReply] = Field(description="相同的来稿，先到的在前")


class FacetReply(BaseModel):
    """一个可筛选的值"""

    value: str
    count: int


class FacetsReply(BaseModel):
    """可筛选的值和各有几篇，重复来稿不计"""

    states: dict[str, int]
    themes: list[FacetReply]
    places: list[FacetReply]
    names: list[FacetReply]
    sources: list[FacetReply]


class TableReply(BaseModel):
    """一张统计表；最后一行是合计"""

    by: Literal["town", "name", "theme", "month"]
    title: str
    head: list[str]
    rows: list[list[str | int]]


class StatisticsReply(BaseModel):
    """发稿统计，重复来稿不计"""

    tables: list[TableReply]


class SplitArticle(BaseModel):
    """拆出的一篇"""

    id: str
    title: str
    text: str
    byline: str | None
    place: str | None
    section: str | None
    kind: Literal["article", "caption"]
    spans: list[tuple[int, int]] = Field(description="标题和正文在整版文字中的位置，按字符计")


class SplitReply(BaseModel):
    """拆开的版面"""

    text: str = Field(description="整版文字")
    warnings: list[str]
    articles: list[SplitArticle]


class RefusedReply(BaseModel):
    """没有审成的一篇"""

    id: str
    reason: str


class BatchReply(BaseModel):
    """批量审稿或撤销的结果"""

    batch: str = Field(description="同一批的编号；单篇为空")
    done: list[str]
    refused: list[RefusedReply]


def told(submission: Submission, lock: Lock | None = None) -> dict[str, Any]:
    """A submission as JSON, without its text."""
    tagging = submission.tagging
    return {
        "id": submission.id,
        "version": submission.version,
        "state": str(submission.state),
        "decision": str(tagging.decision) if tagging else None,
        "themes": [*submission.themes],
        "themes_by": submission.themes_by,
        "scores": rounded(tagging.scores) if tagging else None,
        "coverage": round(tagging.coverage, 4) if tagging else None,
        "model": tagging.model if tagging else None,
        "doubt": round(submission.doubt, 4),
        "title": submission.title,
        "lead": " ".join(submission.text[: 2 * LEAD].split())[:LEAD],
        "external_id": submission.external_id,
        "source": submission.source,
        "by": submission.by,
        "name": submission.name,
        "format": submission.format,
        "has_original": submission.has_original,
        "received": stamp(submission.received),
        "settled": stamp(submission.settled) if submission.settled else None,
        "place": submission.place,
        "city": submission.city,
        "county": submission.county,
        "town": submission.town,
        "byline": submission.byline,
        "names": [*submission.names],
        "unit": submission.unit,
        "section": submission.section,
        "kind": submission.kind,
        "length": submission.length,
        "page": submission.page,
        "position": submission.position,
        "warnings": [*submission.warnings],
        "twin_of": submission.twin_of,
        "twins": submission.twins,
        "lock": {"by": lock.by, "until": stamp(lock.until)} if lock else None,
    }


def told_tagging(tagging: records.StoredTagging) -> dict[str, Any]:
    """A receipt as JSON."""
    return {
        "model": tagging.model,
        "themes": [*tagging.themes],
        "decision": str(tagging.decision),
        "scores": rounded(tagging.scores),
        "coverage": round(tagging.coverage, 4),
        "at": stamp(tagging.at),
    }


def told_review(review: records.Review) -> dict[str, Any]:
    """An entry of the history as JSON."""
    return {
        "id": review.id,
        "at": stamp(review.at),
        "by": review.by,
        "action": str(Action(review.action)),
        "from_state": str(review.from_state),
        "to_state": str(review.to_state),
        "from_themes": [*review.from_themes],
        "to_themes": [*review.to_themes],
        "from_by": review.from_by,
        "batch": review.batch,
        "undoes": review.undoes,
        "undone": review.undone,
    }


def rounded(scores: Mapping[str, float]) -> dict[str, float]:
    """Probabilities as in every other reply, to six places."""
    return {theme: round(probability, 6) for theme, probability in scores.items()}


def stamp(moment: datetime) -> str:
    """A moment as it is written in JSON.

    >>> stamp(datetime(2026, 11, 24, 8, 30, tzinfo=UTC))
    '2026-11-24T08:30:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
