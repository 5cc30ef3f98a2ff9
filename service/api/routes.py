"""Every route of the API, once: the app, the OpenAPI document, the docs page and tests read this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask.typing import ResponseReturnValue
from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str  # as Flask writes it
    answer: Callable[..., ResponseReturnValue]
    summary: str  # in Chinese, a few words
    reply: type[BaseModel] | None = None  # of status 200
    bodies: tuple[type[BaseModel], ...] = ()  # what may be sent, any one of them
    refusals: tuple[int, ...] = ()
