"""The server's log: one JSON object a line on stderr, with no word of an article unless asked.

An exception is told by its kind and its places in the code. Its message may quote what was sent
(a database driver's quotes every parameter), so it is left out as well.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import traceback
from typing import Any

import structlog
from structlog.typing import EventDict

REQUEST_FIELDS = ("request_id", "method", "route", "status", "seconds", "problem", "articles")
"""What the line of a request says; `articles` only with the setting log_articles."""


_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


def start_log(*, with_articles: bool) -> None:
    """Send the log of this process, and of those forked from it, to stderr from now on."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": formatter, "with_articles": with_articles}},
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stderr",
                    "formatter": "json",
                }
            },
            "root": {"handlers": ["stderr"], "level": "WARNING"},
            "loggers": {"service": {"level": "INFO"}},
        }
    )


def formatter(*, with_articles: bool) -> logging.Formatter:
    """What turns a record of the standard library into a line of JSON."""

    def tell_exception(_: Any, __: str, event: EventDict) -> EventDict:
        info = event.pop("exc_info", None)
        error = sys.exc_info()[1] if info is True else info[1] if info else None
        if error is not None:
            event["exception"] = _told(error, with_articles=with_articles)
        return event

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=REQUEST_FIELDS),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            tell_exception,
            lambda _, __, event: _json(event),
        ],
    )


def _told(error: BaseException, *, with_articles: bool) -> list[dict[str, Any]]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return [
        {
            "kind": f"{type(one).__module__}.{type(one).__qualname__}",
            **({"message": str(one)} if with_articles else {}),
            "places": [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(one.__traceback__)
            ],
        }
        for one in chain
    ]
