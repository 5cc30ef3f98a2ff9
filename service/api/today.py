"""今日待审, and whether the promises hold: where an editor's minutes go, and what they have shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask import request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from service.access import asker
from service.api import bodies, slips
from service.api.models import models
from service.api.predict import reply
from service.api.routes import Route
from service.api.submissions import store, told_whole
from service.store.records import State, Submission
from service.today import SECONDS_EACH, Item, Live, alarms, is_blind, live_precision, plan_today

WhyWord = Literal["unsure", "contradictory", "unfamiliar", "audit"]


class TodayQuery(bodies.Query):
    """有多少时间"""

    minutes: float = Field(20, ge=0.5, le=600, description="几分钟")


class ItemReply(BaseModel):
    """今天该审的一篇；不含模型的意见，看稿请用 /v1/today/{id}"""

    id: str
    title: str
    lead: str = Field(description="正文开头")
    received: datetime
    length: int = Field(description="字数")
    why: WhyWord = Field(
        description="unsure 拿不准，contradictory 两样标法，unfamiliar 没见过，audit 抽查"
    )
    sentence: str = Field(description="为什么请您看")
    blind: bool = Field(description="抽查的稿件，答复之前不给看模型的意见")


class TodayReply(BaseModel):
    """今日待审"""

    items: list[ItemReply] = Field(description="按该审的次序")
    seconds_each: int = Field(description="按每篇多少秒估算")
    waiting: int = Field(description="送审和存疑的一共几篇")


class ArticleReply(BaseModel):
    """一篇来稿本身，没有谁的意见"""

    id: str
    version: int = Field(description="审稿时写上")
    title: str
    text: str
    section: str | None
    byline: str | None
    place: str | None
    city: str | None
    county: str | None
    town: str | None
    names: list[str]
    unit: str | None
    kind: str
    length: int
    source: str
    by: str
    name: str
    format: str
    has_original: bool
    external_id: str
    page: str | None
    received: datetime
    warnings: list[str]


class TodayItemReply(BaseModel):
    """一篇待审稿：抽查的在答复之前只有稿件，别的还有稿签"""

    blind: bool
    article: ArticleReply
    slip: slips.DetailReply | None = Field(description="抽查的稿件，在编辑答复之前为空")


class LiveReply(BaseModel):
    """一个主题现在的准确率，由抽查得出"""

    theme: str
    name: str
    audited: int = Field(description="抽查过的、模型自行判有的")
    right: int
    low: float = Field(description="准确率的 95% 区间")
    high: float
    wanted: float = Field(description="承诺的准确率")
    missed: int = Field(description="模型判无而编辑判有的")
    broken: bool = Field(description="没有守住，不是偶然")
    kept: bool = Field(description="守住了，不是偶然")
    sentence: str


class PrecisionReply(BaseModel):
    """各主题现在的准确率"""

    themes: list[LiveReply]


class AlarmsReply(BaseModel):
    """该当心的；没有则为空"""

    alarms: list[str]


def today() -> ResponseReturnValue:
    """Today's list within a budget of minutes."""
    sent = bodies.read_query(request, TodayQuery)
    items = plan_today(
        store(), models(), minutes=sent.minutes, now=store().clock(), by=asker().name
    )
    states = store().submissions.states()
    return reply(
        {
            "items": [_told_item(item) for item in items],
            "seconds_each": SECONDS_EACH,
            "waiting": states[State.REVIEW] + states[State.UNSURE],
        }
    )


def show_today(id: str) -> ResponseReturnValue:
    """One article of the list; of an audited one nothing that the model said until it is answered."""
    one = store().submissions.get(id)
    blind = is_blind(store(), models(), one.id)
    return reply(
        {
            "blind": blind,
            "article": _told_article(one),
            "slip": None if blind else told_whole(one),
        }
    )


def precision() -> ResponseReturnValue:
    """Each theme against its promise, as the audits show."""
    found = live_precision(store(), models(), now=store().clock())
    return reply({"themes": [_told_live(one) for one in found]})


def show_alarms() -> ResponseReturnValue:
    """Promises broken, and what comes in that is no longer as it was."""
    return reply({"alarms": [*alarms(store(), models(), now=store().clock())]})


def _told_item(item: Item) -> dict[str, Any]:
    one = item.submission
    return {
        "id": one.id,
        "title": one.title,
        "lead": slips.lead(one),
        "received": slips.stamp(one.received),
        "length": one.length,
        "why": str(item.why),
        "sentence": item.sentence,
        "blind": item.blind,
    }


def _told_article(one: Submission) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ArticleReply.model_fields}
    return {
        **told,
        "names": [*one.names],
        "warnings": [*one.warnings],
        "received": slips.stamp(one.received),
    }


def _told_live(one: Live) -> dict[str, Any]:
    return {
        "theme": one.theme,
        "name": one.name,
        "audited": one.audited,
        "right": one.right,
        "low": round(one.low, 4),
        "high": round(one.high, 4),
        "wanted": one.wanted,
        "missed": one.missed,
        "broken": one.broken,
        "kept": one.kept,
        "sentence": one.sentence,
    }


ROUTES = (
    Route(
        "GET",
        "/v1/today",
        today,
        "今日待审：在给定的分钟里最该看的稿件，连同随机抽查",
        reply=TodayReply,
        query=TodayQuery,
        refusals=(507,),
        role="editor",
    ),
    Route(
        "GET",
        "/v1/today/<submission:id>",
        show_today,
        "一篇待审稿；抽查的在答复之前不给模型的意见",
        reply=TodayItemReply,
        refusals=(404,),
        role="editor",
    ),
    Route(
        "GET",
        "/v1/precision",
        precision,
        "各主题现在的准确率与承诺，由抽查得出",
        reply=PrecisionReply,
        role="reader",
    ),
    Route(
        "GET",
        "/v1/alarms",
        show_alarms,
        "承诺没有守住、来稿变了样，都在这里说",
        reply=AlarmsReply,
        role="reader",
    ),
)
