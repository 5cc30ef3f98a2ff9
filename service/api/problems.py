"""Refusals as RFC 9457 problem documents: the one place where errors become HTTP."""

from __future__ import annotations

import json
import secrets

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from classifier.errors import GaoqianError, TooMany

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = {429: 5, 503: 5, 507: 60}

_TITLES = {
    400: "请求格式有误",
    401: "请先登录",
    403: "没有权限",
    404: "没有这个地址",
    405: "这个地址不支持该方法",
    408: "请求超时",
    413: "请求太大",
    415: "不支持的内容类型",
    431: "请求头太大",
    500: "系统内部错误",
}


def problem(status: int, slug: str, title: str, detail: str) -> Response:
    """A problem document; never holds what the caller sent beyond names of fields."""
    g.problem = slug
    body = {
        "type": f"urn:gaoqian:problem:{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": request_id(),
    }
    response = Response(
        json.dumps(body, ensure_ascii=False) + "\n", status=status, mimetype=MEDIA_TYPE
    )
    if status in RETRY_SECONDS:
        response.headers["Retry-After"] = str(RETRY_SECONDS[status])
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="gaoqian"'
    return response


def request_id() -> str:
    """The id of the request in hand, the same in its reply and in the log."""
    own = g.get("request_id")
    if own is None:
        own = g.request_id = secrets.token_hex(8)
    return str(own)


def register(app: Flask) -> None:
    """Translate every refusal and every failure of an app."""

    @app.errorhandler(GaoqianError)
    def refuse(error: GaoqianError) -> Response:
        response = problem(error.status, error.slug, error.title, str(error))
        if isinstance(error, TooMany):
            response.headers["Retry-After"] = str(error.seconds)
        return response

    @app.errorhandler(HTTPException)
    def answer(error: HTTPException) -> Response:
        status = error.code or 500
        title = _TITLES.get(status, error.name)
        response = problem(status, error.name.lower().replace(" ", "-"), title, f"{title}。")
        for name, value in error.get_headers():
            if name.lower() in {"allow", "location", "retry-after", "www-authenticate"}:
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        app.logger.exception("request %s failed", request_id())
        return problem(500, "internal", _TITLES[500], f"请把编号 {request_id()} 告诉技术人员。")
