"""A submission, and what became of it, as the API tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.api import bodies
from service.api.asked import DecisionWord, StateWord
from service.api.bodies import Probability
from service.store import records
from service.store.records import Lock, Submission

LEAD = 120
"""Characters of the text that a list shows."""


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
        "lead": lead(submission),
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


def lead(submission: Submission) -> str:
    """The beginning of its text, on one line."""
    return " ".join(submission.text[: 2 * LEAD].split())[:LEAD]


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
        "action": str(review.action),
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
