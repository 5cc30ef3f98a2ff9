"""Model versions and retraining: what there is, which one serves, and the ways to change that."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from flask import current_app, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from classifier.errors import Conflict, ModelMissing, ModelRefused, NotFound
from classifier.model import read_manifest
from classifier.registry import Registry, Version
from service import access
from service.accounts import By
from service.api import bodies
from service.api.predict import reply, served, settings
from service.api.routes import Route
from service.retrain import GATE_PAGE, Status, read_status, read_verdict, start_retraining
from service.store.store import now

StageWord = Literal[
    "running", "promoted", "refused", "unchanged", "failed", "broken", "never"
]  # as in service.retrain.Stage
OutcomeWord = Literal["better", "equal", "worse", "unclear", "new", "lost"]

REPORT_PAGE = "report.html"


class RetrainingReply(BaseModel):
    """一次重训：正在进行的，或最近的一次"""

    stage: StageWord = Field(
        description="running 在进行，promoted 换上岗，refused 未通过，unchanged 标注没有变化，"
        "failed 出错，broken 被打断，never 没有过"
    )
    sentence: str
    done: float = Field(ge=0, le=1, description="做了多少")
    by: str = Field(description="谁开始的")
    since: str = Field(description="开始的时刻；没有过为空")
    at: str = Field(description="说这句话的时刻；没有过为空")
    version: str = Field(description="新模型的编号；还没有则为空")


class VersionReply(BaseModel):
    """一个模型版本"""

    id: str
    current: bool = Field(description="在岗")
    created: str = Field(description="训练的时刻；读不出来为空")
    articles: int = Field(description="标注稿篇数")
    themes: list[str]
    problem: str = Field(description="不能用的原因；能用为空")
    macro_f1: float | None = Field(description="折外宏 F1")
    promoted: bool | None = Field(description="重训时是否通过；没有比过为空")
    sentence: str = Field(description="重训时的结论；没有比过为空")
    has_report: bool
    has_verdict: bool


class VersionsReply(BaseModel):
    """全部版本，新的在前"""

    current: str | None = Field(description="在岗的版本；换版本时用作 expected")
    versions: list[VersionReply]


class ComparisonReply(BaseModel):
    """新旧两个模型在一个主题上"""

    slug: str = Field(description="各主题平均为空")
    name: str
    support: int = Field(description="可比的稿件中有此主题的")
    serving: float | None
    candidate: float | None
    difference: float | None
    low: float | None = Field(description="相差的 95% 区间")
    high: float | None
    outcome: OutcomeWord
    sentence: str


class PromiseReply(BaseModel):
    """一个主题的承诺在验证稿上守住没有"""

    slug: str
    name: str
    wanted: float
    settled: int
    right: int
    low: float
    high: float
    passed: bool
    sentence: str


class PinnedOutcomeReply(BaseModel):
    """一篇必须标对的稿件标成了什么"""

    id: str
    title: str
    wanted: list[str]
    found: list[str]
    passed: bool


class VerdictReply(BaseModel):
    """重训时新模型能不能换上岗；改了标法的稿件连同原文在 /models/{id}/verdict"""

    candidate: str
    serving: str | None
    promoted: bool
    sentence: str
    reasons: list[str]
    notes: list[str]
    judged: int = Field(description="用来比较的稿件")
    since: str
    mean: ComparisonReply | None
    themes: list[ComparisonReply]
    promises: list[PromiseReply]
    pinned: list[PinnedOutcomeReply]
    flipped: int = Field(description="两个模型标法不同的稿件")


class VersionDetailReply(VersionReply):
    """一个版本和它的结论"""

    verdict: VerdictReply | None


class PromoteBody(bodies.Incoming):
    """换哪个版本上岗"""

    version: bodies.Text = Field(min_length=1, max_length=64)
    expected: bodies.Text | None = Field(
        max_length=64, description="看到的在岗版本，没有为 null；已被别人换过则 409"
    )


class RollbackBody(bodies.Incoming):
    """换回上一个版本"""

    expected: bodies.Text = Field(max_length=64, description="看到的在岗版本；已被别人换过则 409")


def models() -> Registry:
    """The models folder of this application."""
    found = current_app.extensions["gaoqian.models"]
    assert isinstance(found, Registry)
    return found


def retraining() -> ResponseReturnValue:
    """The retraining under way, or the last one."""
    return reply(_told_status(read_status(models())))


def start_retrain() -> ResponseReturnValue:
    """Begin a retraining in a process of its own."""
    by = access.asker().name
    status = start_retraining(models(), database=str(settings()["database"]), by=by)
    _record("retrain.start", "")
    return reply(_told_status(status), 202)


def list_versions() -> ResponseReturnValue:
    """All versions, newest first."""
    found = models().versions()
    current = next((one.id for one in found if one.current), None)
    return reply({"current": current, "versions": [_told_version(one) for one in found]})


def show_version(id: str) -> ResponseReturnValue:
    """One version, with the verdict of the retraining that made it."""
    found = next((one for one in models().versions() if one.id == id), None)
    if found is None:
        raise _unknown(id)
    verdict = read_verdict(models(), id)
    told = None
    if verdict is not None:
        told = VerdictReply.model_validate(verdict).model_dump(mode="json")
    return reply({**_told_version(found), "verdict": told})


def promote() -> ResponseReturnValue:
    """Put a version into service, where the one in service is still the one that was seen."""
    sent = bodies.read_body(request, PromoteBody)
    try:
        models().path(sent.version)
    except ModelMissing:
        raise _unknown(sent.version) from None
    try:
        models().promote(
            sent.version, now=now(), by=access.asker().name, expected=sent.expected or ""
        )
    except ModelRefused as refusal:
        raise Conflict(refusal.what, where=sent.version, fix="请换一个版本") from None
    _record("model.promote", sent.version, before=sent.expected or "")
    return _switched()


def roll_back() -> ResponseReturnValue:
    """Put the version before the one in service back, where that is still the one that was seen."""
    sent = bodies.read_body(request, RollbackBody)
    try:
        version = models().rollback(now=now(), by=access.asker().name, expected=sent.expected)
    except ModelRefused as refusal:
        raise Conflict(refusal.what, fix="请在版本列表里另选一个") from None
    _record("model.rollback", version, before=sent.expected)
    return _switched()


def _switched() -> ResponseReturnValue:
    served().refresh()  # this process at once, the others within a second
    return list_versions()


def _unknown(version: str) -> NotFound:
    return NotFound("没有这个版本的模型", where=version[:64], fix="请看版本列表")


def _record(action: str, subject: str, **detail: object) -> None:
    by = By(access.asker().name, access.address())
    access.accounts().record(action, by, subject, **detail)


def _told_status(status: Status) -> dict[str, Any]:
    return {
        "stage": str(status.stage),
        "sentence": status.sentence,
        "done": status.done,
        "by": status.by,
        "since": status.since,
        "at": status.at,
        "version": status.version,
    }


def _told_version(version: Version) -> dict[str, Any]:
    folder: Path = models().folder / version.id
    training: dict[str, Any] = {}
    if not version.problem:
        training = read_manifest(folder)["training"]
    verdict = read_verdict(models(), version.id)
    return {
        "id": version.id,
        "current": version.current,
        "created": version.created,
        "articles": version.articles,
        "themes": [*version.themes],
        "problem": version.problem,
        "macro_f1": training.get("macro_f1"),
        "promoted": verdict["promoted"] if verdict else None,
        "sentence": verdict["sentence"] if verdict else "",
        "has_report": (folder / REPORT_PAGE).is_file(),
        "has_verdict": (folder / GATE_PAGE).is_file(),
    }


_BODY = (400, 413, 415)

ROUTES = (
    Route(
        "GET",
        "/v1/retraining",
        retraining,
        "重训进行到哪里，或最近一次的结果",
        reply=RetrainingReply,
        role="administrator",
    ),
    Route(
        "POST",
        "/v1/retraining",
        start_retrain,
        "开始重训；已有一次在进行则 409",
        reply=RetrainingReply,
        refusals=(409, 507),
        role="administrator",
        status=202,
    ),
    Route(
        "GET",
        "/v1/models",
        list_versions,
        "全部模型版本，新的在前",
        reply=VersionsReply,
        role="reader",
    ),
    Route(
        "GET",
        "/v1/models/<id>",
        show_version,
        "一个模型版本，连同重训时的结论",
        reply=VersionDetailReply,
        refusals=(404,),
        role="reader",
    ),
    Route(
        "POST",
        "/v1/promote",
        promote,
        "把一个版本换上岗；在岗的已被别人换过则 409",
        reply=VersionsReply,
        bodies=(PromoteBody,),
        refusals=(*_BODY, 404, 409, 507),
        role="administrator",
    ),
    Route(
        "POST",
        "/v1/rollback",
        roll_back,
        "换回上一个版本；在岗的已被别人换过则 409",
        reply=VersionsReply,
        bodies=(RollbackBody,),
        refusals=(*_BODY, 409, 507),
        role="administrator",
    ),
)
