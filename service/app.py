"""The web application, put together from the table of routes and the desk's pages."""

from __future__ import annotations

import json

from flask import Flask, Response, render_template

from classifier.registry import Registry
from service.api import openapi, predict, problems
from service.serving import ServedModel
from service.settings import Settings

ROUTES = (*predict.ROUTES,)
"""All routes of the API."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def create_app(settings: Settings) -> Flask:
    """The application of one process; a model is loaded with the first look at the pointer."""
    app = Flask(__name__, template_folder="desk/templates", static_folder="desk/static")
    app.config["MAX_CONTENT_LENGTH"] = settings["max_body_mb"] * 1024 * 1024
    app.config["TRUSTED_HOSTS"] = None
    app.extensions["gaoqian.settings"] = settings
    app.extensions["gaoqian.served"] = ServedModel(
        Registry(settings.models), interval=settings["reload_seconds"]
    )
    problems.register(app)
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

    @app.get("/")
    def try_it() -> str:
        return render_template("try.html")

    @app.after_request
    def secure(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
