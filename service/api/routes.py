"""Every route of the API, once: the app, its access, the OpenAPI document and tests read this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal

from flask.typing import ResponseReturnValue
from pydantic import BaseModel

Role = Literal["stranger", "reader", "editor", "administrator"]
"""Who may, the weakest first: each may also do whatever those before it may."""

ROLES: tuple[Role, ...] = ("stranger", "reader", "editor", "administrator")

SESSION_COOKIE = "gaoqian_session"

SUBMISSION, SUBMISSION_ID = "submission", "[0-9a-z]{7,40}"
"""The kind of a path's part that is a submission's id, and how one looks; `review` is none."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str  # as Flask writes it
    answer: Callable[..., ResponseReturnValue]
    summary: str  # in Chinese, a few words
    reply: type[BaseModel] | None = None  # of `status`
    bodies: tuple[type[BaseModel], ...] = ()  # what may be sent, any one of them
    refusals: tuple[int, ...] = ()  # beside 401, 403 and 503, which follow from the role
    _: KW_ONLY
    role: Role  # the weakest that may; no default, so that no route is open by oversight
    query: type[BaseModel] | None = None  # what may stand behind the question mark
    status: int = 200  # of an answer that is no refusal
    media: str = "application/json"  # of that answer
    form: type[BaseModel] | None = None  # what may be sent as multipart/form-data instead
    headers: type[BaseModel] | None = None  # of a request, that mean something here

    @property
    def asks_who(self) -> bool:
        """Whether a stranger is turned away."""
        return self.role != "stranger"
