"""What the model learned from people: corrections and their fate, doubted labels, pinned articles."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from flask import Response, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from classifier.article import Article
from classifier.errors import Conflict, ThemesRefused
from service import access
from service.access import asker
from service.accounts import By
from service.answers import Answer, mark_of, pin, read_pinned, unpin
from service.api import asked, bodies
from service.api.models import models
from service.api.predict import reply
from service.api.reviews import chosen_themes
from service.api.routes import Route
from service.api.submissions import store
from service.lessons import answer_suspect, corrections_told, open_suspects, take_back_answer
from service.store.records import State

FateWord = Literal["learned", "not_yet", "overruled", "retired", "waiting"]
_FATES: tuple[FateWord, ...] = ("learned", "not_yet", "overruled", "retired", "waiting")


class CorrectionsQuery(bodies.Query):
    """哪些更正"""

    fate: FateWord | None = Field(None, description="只要这种下落的")
    by: bodies.Text | None = Field(None, max_length=200, description="谁改的；编辑只看得到自己的")
    limit: int = Field(100, ge=1, le=1000, description="最多几条")


class OppositeReply(BaseModel):
    """标得相反的一篇"""

    id: str
    title: str
    theme: str
    labelled: bool = Field(description="它有没有这个主题")
    likeness: float


class CorrectionReply(BaseModel):
    """一条更正和它的下落"""

    review: int
    submission: str
    title: str
    by: str
    at: str
    themes: list[str] = Field(description="编辑定的")
    before: list[str] = Field(description="模型原来标的")
    fate: FateWord = Field(
        description="learned 学会了，not_yet 还没学会，overruled 后来另有审定，"
        "retired 主题已停用，waiting 等下次重训"
    )
    by_heart: bool = Field(description="这一篇标对了，相似的还不行")
    overruled_by: str
    opposites: list[OppositeReply] = Field(description="标得相反的相似稿件")
    sentence: str


class CorrectionsReply(BaseModel):
    """更正，新的在前"""

    corrections: list[CorrectionReply]
    counts: dict[str, int] = Field(description="每种下落一共几条")


class SuspectReply(BaseModel):
    """一篇可疑的标注"""

    id: str
    title: str
    text: str
    themes: list[str] = Field(description="现在的标注")
    theme: str = Field(description="可疑的是这个主题")
    labelled: bool = Field(description="现在标了没有")
    probability: float = Field(description="没见过这篇的模型说有此主题的概率")
    quality: float = Field(description="越低越可疑")


class SuspectsReply(BaseModel):
    """可疑的标注，最可疑的在前"""

    suspects: list[SuspectReply]


class SuspectBody(bodies.Incoming):
    """可疑的标注对不对"""

    id: bodies.Text = Field(min_length=1, max_length=500)
    action: Literal["keep", "change", "undo"] = Field(
        description="keep 没有错，change 改成 themes，undo 撤销自己的答复"
    )
    themes: list[asked.Slug] | None = Field(None, max_length=50, description="仅用于 change")


class PinBody(bodies.Incoming):
    """钉住哪一篇"""

    submission: bodies.Text = Field(
        pattern=r"^[0-9a-z]{7,40}$", description="已定稿的来稿；以定稿的主题为准"
    )


class PinnedReply(BaseModel):
    """一篇必须标对的稿件"""

    id: str
    title: str
    lead: str
    themes: list[str]
    by: str
    at: str


class PinnedListReply(BaseModel):
    """必须标对的稿件：标错一篇，新模型就不换上岗"""

    pinned: list[PinnedReply]


def corrections() -> ResponseReturnValue:
    """What became of one's own corrections; to an administrator, of everybody's."""
    sent = bodies.read_query(request, CorrectionsQuery)
    by = sent.by if asker().may("administrator") else asker().name
    told = corrections_told(models(), store(), by=by)
    counts = Counter(one["fate"] for one in told)
    shown = [one for one in reversed(told) if sent.fate in (None, one["fate"])]
    return reply(
        {
            "corrections": shown[: sent.limit],
            "counts": {fate: counts[fate] for fate in _FATES},
        }
    )


def suspects() -> ResponseReturnValue:
    """Labels that are probably wrong, the most doubted first."""
    kept = SuspectReply.model_fields
    found = open_suspects(models(), store())
    return reply({"suspects": [{name: one[name] for name in kept} for one in found]})


def judge_suspect() -> ResponseReturnValue:
    """Keep a doubted label, say what is right, or take that back."""
    sent = bodies.read_body(request, SuspectBody)
    if sent.action != "change" and sent.themes is not None:
        raise ThemesRefused("只有 change 才写 themes", where="themes", fix="格式见 /docs")
    where = (models(), store(), sent.id)
    by, moment = asker().name, store().clock()
    if sent.action == "undo":
        take_back_answer(*where, now=moment, by=by)
    else:
        themes = chosen_themes("set", sent.themes) if sent.action == "change" else None
        answer_suspect(*where, themes, now=moment, by=by)
    _record(f"suspect.{sent.action}", sent.id)
    return Response(status=204)


def list_pinned() -> ResponseReturnValue:
    """Articles that every new model must tag right."""
    return reply({"pinned": [_told_pinned(one) for one in read_pinned(models().folder)]})


def pin_submission() -> ResponseReturnValue:
    """Pin a settled submission with the themes that a person gave it."""
    sent = bodies.read_body(request, PinBody)
    one = store().submissions.get(sent.submission)
    if one.state is not State.SETTLED:
        raise Conflict("这篇还没有定稿", where=one.id, fix="请先定稿，再钉住")
    answer = Answer(Article(one.text, one.title, one.id), one.themes)
    pin(models(), answer, now=store().clock(), by=asker().name)
    _record("pin", one.id)
    made = next(two for two in read_pinned(models().folder) if two.mark == mark_of(one.article))
    return reply(_told_pinned(made), 201)


def unpin_article(id: str) -> ResponseReturnValue:
    """Let a pinned article go."""
    unpin(models(), id)
    _record("unpin", id)
    return Response(status=204)


def _record(action: str, subject: str) -> None:
    access.accounts().record(action, By(asker().name, access.address()), subject[:200])


def _told_pinned(one: Answer) -> dict[str, Any]:
    article = one.article
    return {
        "id": article.id,
        "title": article.title,
        "lead": " ".join(article.text[:120].split()),
        "themes": [*one.themes],
        "by": one.by,
        "at": one.at,
    }


_BODY = (400, 413, 415)

ROUTES = (
    Route(
        "GET",
        "/v1/corrections",
        corrections,
        "我的更正学会了没有；管理员看得到全部",
        reply=CorrectionsReply,
        query=CorrectionsQuery,
        role="editor",
    ),
    Route(
        "GET",
        "/v1/suspects",
        suspects,
        "可疑的标注，最可疑的在前",
        reply=SuspectsReply,
        role="editor",
    ),
    Route(
        "POST",
        "/v1/suspects",
        judge_suspect,
        "可疑的标注：保留、改正，或撤销答复；下次重训时生效",
        bodies=(SuspectBody,),
        refusals=(*_BODY, 404, 409, 422, 507),
        role="editor",
        status=204,
    ),
    Route(
        "GET",
        "/v1/pinned",
        list_pinned,
        "必须标对的稿件",
        reply=PinnedListReply,
        role="editor",
    ),
    Route(
        "POST",
        "/v1/pinned",
        pin_submission,
        "钉住一篇已定稿的来稿：新模型标错它就不换上岗",
        reply=PinnedReply,
        bodies=(PinBody,),
        refusals=(*_BODY, 404, 409, 507),
        role="editor",
        status=201,
    ),
    Route(
        "DELETE",
        "/v1/pinned/<path:id>",
        unpin_article,
        "不再钉住这一篇",
        refusals=(404, 507),
        role="editor",
        status=204,
    ),
)
