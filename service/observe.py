"""Watching the application: every request is counted and logged, and /metrics tells the counts."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Sequence

from flask import Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST

from classifier.article import Article
from classifier.errors import NotAllowed
from service.access import address, is_forwarded, is_loopback
from service.api.problems import request_id
from service.metrics import Metrics, Slip

log = logging.getLogger(__name__)

QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/static/<path:filename>"})
"""Routes that machines ask all day; logged only where they refuse."""


def observe(app: Flask, metrics: Metrics, *, token: str, with_articles: bool) -> None:
    """Count and log what an application answers; call it before anything may refuse a request.

    /metrics answers this machine, or with a token whoever shows it.
    """
    app.extensions["gaoqian.metrics"] = metrics

    @app.before_request
    def begin() -> None:
        g.began = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        rule, method, status = request.url_rule, request.method, response.status_code
        route = rule.rule if rule else "unmatched"
        seconds = time.monotonic() - g.began
        problem = g.get("problem", "")
        metrics.answered(
            method=method, route=route, status=status, seconds=seconds, problem=problem
        )
        response.headers["X-Request-Id"] = id = request_id()
        if route not in QUIET or status >= 400:
            told = {
                "request_id": id,
                "method": method,
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
            }
            if problem:
                told["problem"] = problem
            if with_articles and "articles" in g:
                told["articles"] = g.articles
            log.info("request", extra=told)
        return response

    @app.get("/metrics", endpoint="metrics")
    def tell() -> Response:
        _check_asker(token)
        content = metrics.exposition(
            app.extensions["gaoqian.served"].status(),
            app.extensions["gaoqian.store"],
            app.extensions["gaoqian.models"],
        )
        return Response(content, content_type=CONTENT_TYPE_LATEST)


def tagged(articles: Sequence[Article], slips: Sequence[Slip | None]) -> None:
    """Note what the request in hand has tagged; None stands for an article without a slip yet."""
    metrics = current_app.extensions["gaoqian.metrics"]
    assert isinstance(metrics, Metrics)
    metrics.tagged(slip for slip in slips if slip is not None)
    g.articles = [{"title": article.title, "text": article.text} for article in articles]


def _check_asker(token: str) -> None:
    if token:
        sent = request.authorization
        shown = (sent.token or "") if sent is not None and sent.type == "bearer" else ""
        if not hmac.compare_digest(shown.encode(), token.encode()):
            raise NotAllowed(
                "没有带上看指标的令牌", fix="请用设置 metrics_token 的值作 Bearer 令牌"
            )
    elif not is_loopback(address()) or is_forwarded(request):
        raise NotAllowed("指标只给本机看", fix="要从别处看，请设 metrics_token")
