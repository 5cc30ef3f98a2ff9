"""The stateless part of the API: predictions, themes, the model, health."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue

from classifier.article import Article
from classifier.errors import Busy, GaoqianError, TooLarge
from classifier.evidence import tag_with_evidence
from classifier.model import Classifier, check_article
from service.api import bodies
from service.api.routes import Route
from service.observe import tagged
from service.serving import ServedModel
from service.settings import Settings

NOT_LEARNED: Mapping[str, Any] = {
    "articles": 0,
    "precision_kept": False,
    "sentence": "模型还没有学过；标好三十篇左右再重训",
}
"""The promise of a theme that was added since the training."""

_json = json.JSONEncoder(ensure_ascii=False).encode

MAX_LAG = 10.0
"""Seconds a process may serve an older model than the promoted one and still call itself ready."""


def served() -> ServedModel:
    """The model of this process."""
    model = current_app.extensions["gaoqian.served"]
    assert isinstance(model, ServedModel)
    return model


def settings() -> Settings:
    """The settings of this process."""
    value = current_app.extensions["gaoqian.settings"]
    assert isinstance(value, Settings)
    return value


def reply(record: Any, status: int = 200) -> Response:
    """A JSON reply with Chinese as it is."""
    return Response(_json(record) + "\n", status=status, mimetype="application/json")


def predict() -> ResponseReturnValue:
    """Tag one article or many; nothing is stored."""
    model = served().model()
    sent = bodies.read_body(request, bodies.PredictOne, bodies.PredictBatch)
    assert isinstance(sent, bodies.PredictOne | bodies.PredictBatch)
    articles = _articles(sent)
    if sent.explain:
        taggings = [tag_with_evidence(model, article) for article in articles]
    else:
        taggings = list(model.tag_many(articles))
    tagged(articles, taggings)
    return reply({"model": model.id, "results": [tagging.as_json() for tagging in taggings]})


def _articles(sent: bodies.PredictBatch | bodies.PredictOne) -> list[Article]:
    if isinstance(sent, bodies.PredictOne):
        article = sent.article()
        check_article(article)
        return [article]
    most = int(settings()["max_batch"])
    if len(sent.articles) > most:
        raise TooLarge(f"一次 {len(sent.articles)} 篇，最多 {most} 篇", fix="请分几次发送")
    articles = [one.article() for one in sent.articles]
    for place, article in enumerate(articles):
        try:
            check_article(article)
        except GaoqianError as error:
            raise type(error)(error.what, where=f"articles.{place}", fix=error.fix) from None
    return articles


def themes() -> ResponseReturnValue:
    """What the model tags by, and what it has yet to learn."""
    model = served().model()
    learned = _themes(model)
    known = {theme["slug"] for theme in learned}
    added = [
        {**theme.as_json(), "promise": NOT_LEARNED}
        for theme in served().taxonomy.themes(model.manifest.themes)
        if theme.slug not in known
    ]
    return reply({"model": model.id, "themes": [*learned, *added]})


def describe_model() -> ResponseReturnValue:
    """Which model this process answers with, where it comes from and what it promises."""
    model = served().model()
    manifest = model.manifest
    return reply(
        {
            "model": manifest.id,
            "created": manifest.created,
            "themes": _themes(model),
            "training": manifest.training,
            "tokenizer": {**manifest.tokenizer.as_json(), "engine": model.tokenizer.engine},
        }
    )


def _themes(model: Classifier) -> list[dict[str, Any]]:
    """Each theme once; of those merged since the training the weaker promise is all that is kept."""
    manifest = model.manifest
    told: dict[str, dict[str, Any]] = {}
    for theme, promise in zip(manifest.themes, manifest.promises, strict=True):
        before = told.get(theme.slug)
        if before is None or _strength(promise) < _strength(before["promise"]):
            told[theme.slug] = {**theme.as_json(), "promise": promise}
    return [*told.values()]


def _strength(promise: Mapping[str, Any]) -> tuple[bool, float]:
    return bool(promise.get("precision_kept")), float(promise.get("precision_proved") or 0.0)


def known_slugs() -> tuple[str, ...]:
    """The themes that an article can be given today; raises ModelMissing where nobody can say."""
    own = served().model().manifest.themes
    today = (*own, *served().taxonomy.themes(own))
    return tuple(dict.fromkeys(theme.slug for theme in today))


def health() -> ResponseReturnValue:
    """The process is alive; what it serves beside what it should."""
    return reply(_health("ok"))


def ready() -> ResponseReturnValue:
    """The process has a model and a database, and does not lag behind the promoted model."""
    served().model()
    current_app.extensions["gaoqian.store"].ping()
    status = served().status()
    if status.lag > MAX_LAG:
        raise Busy(
            f"本进程仍在用 {status.serving}，应换成 {status.promoted}：{status.problem}",
            fix="请查看服务日志，或用 gaoqian models rollback",
        )
    return reply(_health("ready"))


def _health(word: str) -> dict[str, Any]:
    status = served().status()
    return {
        "status": word,
        "serving": status.serving,
        "promoted": status.promoted,
        "problem": status.problem,
    }


ROUTES = (
    Route(
        "POST",
        "/v1/predict",
        predict,
        "给稿件打主题标签，不保存",
        reply=bodies.PredictReply,
        bodies=(bodies.PredictOne, bodies.PredictBatch),
        refusals=(400, 413, 415, 422, 503),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/themes",
        themes,
        "全部主题",
        reply=bodies.ThemesReply,
        refusals=(503,),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/model",
        describe_model,
        "正在使用的模型",
        reply=bodies.ModelReply,
        refusals=(503,),
        role="reader",
    ),
    Route("GET", "/healthz", health, "进程是否活着", reply=bodies.HealthReply, role="stranger"),
    Route(
        "GET",
        "/readyz",
        ready,
        "进程能否接活",
        reply=bodies.HealthReply,
        refusals=(503,),
        role="stranger",
    ),
)
