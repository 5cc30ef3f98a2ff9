"""The OpenAPI 3.1 document and the readable docs, both made from the table of routes."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.bodies import ProblemReply
from service.api.problems import MEDIA_TYPE
from service.api.routes import SESSION_COOKIE, SUBMISSION, SUBMISSION_ID, Route

_SCHEMAS = "#/components/schemas/"
_KINDS = {
    "int": {"type": "integer"},
    SUBMISSION: {"type": "string", "pattern": f"^{SUBMISSION_ID}$"},
}  # of the converters in paths
_MEANINGS = {
    400: "请求格式有误",
    401: "需要登录",
    403: "没有权限",
    404: "没有找到",
    405: "不支持的方法",
    409: "与现状冲突",
    412: "已被别人改过",
    413: "超过大小上限",
    415: "不支持的内容类型",
    422: "稿件无法处理",
    429: "请求过于频繁",
    503: "暂时不能服务",
    507: "磁盘已满",
}


@cache
def document(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The OpenAPI document of a table of routes, made once; to be read and not written to."""
    kinds: set[type[BaseModel]] = {ProblemReply}
    for route in routes:
        kinds |= {kind for kind in (route.reply, route.form, *route.bodies) if kind is not None}
    # In one fixed order: the same table gives the same document.
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = models_json_schema(
        [(kind, "validation") for kind in ordered], ref_template=_SCHEMAS + "{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "稿签",
            "version": version("gaoqian"),
            "description": "给来稿写稿签：主题、理由、判定。所有非 2xx 答复都是 RFC 9457 问题说明。",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "接口令牌 gq_…"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION_COOKIE,
                    "description": "登录后的会话；改动类请求须来自本站页面",
                },
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    replies: dict[str, Any] = {
        str(status): {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": _reference(ProblemReply)}},
        }
        for status in {*route.refusals, *_refusals_of_access(route)}
    }
    done = str(route.status)
    replies[done] = {"description": "成功"}
    if route.reply is not None:
        replies[done]["content"] = {route.media: {"schema": _reference(route.reply)}}
    elif route.media != "application/json":
        replies[done]["content"] = {route.media: {"schema": {"type": "string"}}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.answer.__name__,
        "responses": dict(sorted(replies.items())),
    }
    parameters = [
        *_path_parameters(route.path),
        *_parameters(route.query, "query"),
        *_parameters(route.headers, "header"),
    ]
    if parameters:
        operation["parameters"] = parameters
    operation["security"] = [{"token": []}, {"session": []}] if route.asks_who else []
    operation["x-role"] = route.role
    content: dict[str, Any] = {}
    if route.bodies:
        schemas = [_reference(body) for body in route.bodies]
        content["application/json"] = {
            "schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        }
    if route.form is not None:
        content["multipart/form-data"] = {"schema": _reference(route.form)}
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _refusals_of_access(route: Route) -> set[int]:
    """What service/access.py may answer before the route is asked at all."""
    refusals = {401, 503} if route.asks_who else set()
    if route.method != "GET" or route.role not in {"stranger", "reader"}:
        refusals.add(403)
    if route.query is not None or route.headers is not None:
        refusals.add(400)
    return refusals


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _KINDS.get(kind, {"type": "string"}),
        }
        for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", path)
    ]


def _parameters(kind: type[BaseModel] | None, place: str) -> list[dict[str, Any]]:
    if kind is None:
        return []
    schema = kind.model_json_schema()
    return [
        {
            "name": name,
            "in": place,
            "required": name in schema.get("required", ()),
            "description": own.pop("description", ""),
            "schema": _sent(own),
        }
        for name, own in schema["properties"].items()
    ]


def _sent(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is there: no text means null."""
    if schema.get("default", ...) is None:
        del schema["default"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]
    return schema


def _reference(kind: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS + kind.__name__}
