"""The web application, put together from the table of routes and the desk's pages."""

from __future__ import annotations

import json
from datetime import timedelta

from flask import Flask, Response, render_template
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from classifier.registry import Registry
from service import access
from service.accounts import Accounts, Lifetimes
from service.api import (
    accounts,
    events,
    exports,
    learning,
    models,
    openapi,
    predict,
    problems,
    reviews,
    submissions,
    taxonomy,
    today,
)
from service.api.routes import SUBMISSION, SUBMISSION_ID, Role
from service.desk import pages
from service.metrics import Metrics
from service.observe import observe
from service.passwords import Passwords
from service.serving import ServedModel
from service.settings import Settings
from service.store import Store, open_store
from service.store.store import now
from service.webhook import read_target

ROUTES = (
    *predict.ROUTES,
    *submissions.ROUTES,
    *reviews.ROUTES,
    *exports.ROUTES,
    *events.ROUTES,
    *today.ROUTES,
    *learning.ROUTES,
    *models.ROUTES,
    *taxonomy.ROUTES,
    *accounts.ROUTES,
)
"""All routes of the API."""

PAGES: dict[str, Role] = {
    "static": "stranger",
    "openapi_document": "stranger",
    "docs": "stranger",
    "metrics": "stranger",
    **pages.PAGES,
}
"""Whatever else is served, and the weakest role that may have it."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _SubmissionId(BaseConverter):
    regex = SUBMISSION_ID


def create_app(
    settings: Settings, *, store: Store | None = None, passwords: Passwords | None = None
) -> Flask:
    """The application of one process; a model is loaded with the first look at the pointer.

    The store is that of the settings unless one is given. Raises SettingRefused where the settings
    contradict each other, Busy where the database does not answer.
    """
    app = Flask(__name__, template_folder="desk/templates", static_folder="desk/static")
    app.config["MAX_CONTENT_LENGTH"] = settings["max_body_mb"] * 1024 * 1024
    app.extensions["gaoqian.settings"] = settings
    metrics = Metrics(now=now)
    app.extensions["gaoqian.models"] = registry = Registry(settings.models)
    app.extensions["gaoqian.served"] = ServedModel(
        registry, interval=settings["reload_seconds"], tell=metrics.model_answers
    )
    app.extensions["gaoqian.webhook"] = read_target(settings)
    app.extensions["gaoqian.seats"] = events.Seats(max(1, settings["threads"] // 2))
    if settings["behind_proxy"]:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    store = store or open_store(settings["database"])
    app.extensions["gaoqian.store"] = store
    problems.register(app)
    observe(
        app,
        metrics,
        token=settings["metrics_token"],
        with_articles=settings["log_articles"],
    )
    access.guard(
        app,
        accounts=Accounts(
            store.accounts,
            clock=store.clock,
            passwords=passwords,
            lifetimes=Lifetimes(
                timedelta(hours=settings["session_hours"]), timedelta(hours=settings["idle_hours"])
            ),
        ),
        settings=settings,
        roles={**PAGES, **{route.answer.__name__: route.role for route in ROUTES}},
    )
    app.url_map.converters[SUBMISSION] = _SubmissionId
    for route in ROUTES:
        app.add_url_rule(
            route.path,
            endpoint=route.answer.__name__,
            view_func=route.answer,
            methods=[route.method],
            provide_automatic_options=False,
        )
    document = openapi.document(ROUTES)
    published = json.dumps(document, ensure_ascii=False, indent=1)

    @app.get("/openapi.json")
    def openapi_document() -> Response:
        return Response(published, mimetype="application/json")

    @app.get("/docs")
    def docs() -> str:
        return render_template("docs.html", document=document)

    pages.open_desk(app)

    @app.after_request
    def secure(response: Response) -> Response:
        headers = response.headers
        own = {name.lower() for name, _ in headers}
        headers.extend([one for one in SECURITY_HEADERS.items() if one[0].lower() not in own])
        return response

    return app
