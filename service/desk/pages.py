"""The desk's pages: shells in two languages, without a word of anybody's copy.

What stands on them their scripts fetch from the API, which alone decides who may see it; so a
page is open to strangers, and sends them to the login.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from classifier.errors import ModelMissing, NotFound
from classifier.registry import Registry
from service.api.models import REPORT_PAGE
from service.api.routes import SUBMISSION, Role
from service.retrain import GATE_PAGE

LANGUAGES = ("zh", "en")
"""Chinese first; the order of the two words in each line of texts.json."""

LANGUAGE_COOKIE = "gaoqian_language"
_A_YEAR = 365 * 24 * 3600
_LARGEST_PAGE = 8 * 1024 * 1024
_NOTHING = "'none'"
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)

desk = Blueprint("desk", __name__)

PAGES: dict[str, Role] = {
    "desk.front": "stranger",
    "desk.login": "stranger",
    "desk.queue": "stranger",
    "desk.today": "stranger",
    "desk.corrections": "stranger",
    "desk.suspects": "stranger",
    "desk.slip": "stranger",
    "desk.submit": "stranger",
    "desk.statistics": "stranger",
    "desk.model": "stranger",
    "desk.report": "reader",
    "desk.verdict": "reader",
    "desk.themes": "stranger",
    "desk.users": "stranger",
    "desk.account": "stranger",
    "desk.try_it": "stranger",
}
"""The weakest role that may have each page."""


def open_desk(app: Flask) -> None:
    """Hang the pages into an application."""
    app.register_blueprint(desk)
    app.context_processor(_words)


@cache
def texts() -> Mapping[str, tuple[str, ...]]:
    """Every word on the pages, by key, in the order of LANGUAGES; the scripts read the same file.

    >>> texts()["queue"]
    ('收件', 'Inbox')
    """
    path = Path(__file__).with_name("static") / "texts.json"
    return {key: tuple(words) for key, words in json.loads(path.read_text("utf-8")).items()}


def language() -> str:
    """The language asked for with `?lang=`, else the one chosen before, else Chinese."""
    for wish in (request.args.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wish in LANGUAGES:
            return wish
    return LANGUAGES[0]


def _words() -> dict[str, Any]:
    chosen = LANGUAGES.index(language())
    return {
        "t": {key: words[chosen] for key, words in texts().items()},
        "language": LANGUAGES[chosen],
    }


@desk.after_request
def _remember(response: Response) -> Response:
    wish = request.args.get("lang")
    if wish in LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE,
            wish,
            max_age=_A_YEAR,
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers.setdefault("Vary", "Cookie")
    return response


@desk.get("/")
def front() -> ResponseReturnValue:
    """The queue; it leads to the login where one is needed."""
    return redirect("/queue")


@desk.get("/login")
def login() -> str:
    """Name and password."""
    return render_template("login.html")


@desk.get("/queue")
def queue() -> str:
    """What came in."""
    return render_template("queue.html")


@desk.get(f"/slips/<{SUBMISSION}:id>")
def slip(id: str) -> str:
    """One article and its slip; whether there is one, only the API says."""
    return render_template("slip.html", id=id)


@desk.get("/today")
def today() -> str:
    """今日待审."""
    return render_template("today.html")


@desk.get("/corrections")
def corrections() -> str:
    """What became of one's corrections."""
    return render_template("corrections.html")


@desk.get("/suspects")
def suspects() -> str:
    """Labels in doubt."""
    return render_template("suspects.html")


@desk.get("/submit")
def submit() -> str:
    """Articles, files and whole pages on their way in."""
    return render_template("submit.html")


@desk.get("/statistics")
def statistics() -> str:
    """发稿统计."""
    return render_template("statistics.html")


@desk.get("/model")
def model() -> str:
    """What is serving, and what it promises."""
    return render_template("model.html")


@desk.get("/models/<id>/report")
def report(id: str) -> ResponseReturnValue:
    """The report of a model, as its training wrote it."""
    return _caged(id, REPORT_PAGE)


@desk.get("/models/<id>/verdict")
def verdict(id: str) -> ResponseReturnValue:
    """What the gate said of a model, with the articles that it tags otherwise."""
    return _caged(id, GATE_PAGE)


def _caged(id: str, name: str) -> Response:
    """A page that lies beside a model, in a cage where it can only be read."""
    models = current_app.extensions["gaoqian.models"]
    assert isinstance(models, Registry)
    try:
        path = models.path(id) / name
        page = path.read_bytes() if path.stat().st_size <= _LARGEST_PAGE else None
    except (ModelMissing, OSError):
        page = None
    if page is None:
        raise NotFound(f"模型 {id} 没有这一页")
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = report_policy(page.decode("utf-8", "replace"))
    return response


def report_policy(page: str) -> str:
    """What a report may do: show itself in its own style sheet, named by its digest.

    >>> report_policy("<style>p{color:red}</style>").split("; ")[1]
    "style-src 'sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64='"
    """
    digests = [hashlib.sha256(style.encode()).digest() for style in _STYLE.findall(page)]
    sheets = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    return (
        f"default-src 'none'; style-src {' '.join(sheets or [_NOTHING])}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
    )


@desk.get("/themes")
def themes() -> str:
    """What the articles are tagged by."""
    return render_template("themes.html")


@desk.get("/users")
def users() -> str:
    """Accounts, and the record of who did what."""
    return render_template("users.html")


@desk.get("/account")
def account() -> str:
    """One's own password and tokens."""
    return render_template("account.html")


@desk.get("/try")
def try_it() -> str:
    """Tag one text without storing it."""
    return render_template("try.html")
