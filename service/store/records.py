"""What the store takes and gives: frozen values, without a database behind them.

Moments are aware datetimes in UTC. Who did something is written `editor@name` or `model@id`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from classifier.article import Article, Decision, Tagging

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> str:
    """A text without what no database keeps: NUL and lone surrogates.

    >>> storable("河长\\0巡河")
    '河长巡河'
    """
    return _UNSTORABLE.sub("", text)


class State(StrEnum):
    """Where a submission stands."""

    NEW = "new"  # stored, not tagged yet: there was no model
    AUTO = "auto"  # tagged; every theme is settled and at least one is in
    NONE = "none"  # tagged; every theme is confidently out
    REVIEW = "review"  # tagged; an editor should look
    UNSURE = "unsure"  # an editor looked and asks a second one
    SETTLED = "settled"  # an editor confirmed, set or cleared the themes


class Action(StrEnum):
    """What an editor does to a submission."""

    CONFIRM = "confirm"  # the themes are right as they stand
    SET = "set"  # the themes are these
    NONE = "none"  # it has no theme
    UNSURE = "unsure"  # a second editor should look
    UNDO = "undo"  # only in the history: an earlier review taken back


class Order(StrEnum):
    """How a queue is sorted."""

    DOUBTFUL = (
        "doubtful"  # review first, then unsure, new, auto, none, settled; most doubtful first
    )
    NEWEST = "newest"
    OLDEST = "oldest"


class Role(StrEnum):
    """What an account may do; each may do what those before it may."""

    READER = "reader"
    EDITOR = "editor"
    ADMINISTRATOR = "administrator"


# Submissions


@dataclass(frozen=True, slots=True)
class NewSubmission:
    """A submission on its way into the store; `service.receive` makes them."""

    title: str
    text: str
    source: str  # "http", "desk", "watch:folder", "mail:address"
    fingerprint: str  # equal for texts that are twins
    external_id: str = ""  # the sender's own id
    name: str = ""  # of the file, as sent; never a path
    format: str = "json"  # "json", "txt", "docx", "pdf", "html", "eml"
    original: bytes | None = None  # the file as it came
    place: str | None = (
        None  # the narrowest that is told: town, else county, else city, or as printed
    )
    city: str | None = None
    county: str | None = None
    town: str | None = None
    byline: str | None = None
    names: tuple[str, ...] = ()
    unit: str | None = None
    section: str | None = None
    kind: str = "article"
    length: int = 0  # in characters, as an editor counts
    page: str | None = None  # the same for all articles of one page
    position: int = 0  # on its page, or among the documents of its file
    warnings: tuple[str, ...] = ()
    tagging: Tagging | None = None  # None: there was no model; the state will be `new`
    doubt: float = 0.0  # 0 to 1, how much an editor should look
    by: str = ""  # the account that sent it


@dataclass(frozen=True, slots=True)
class StoredTagging:
    """A receipt: what a model said of a submission, with the numbers in full."""

    id: int
    submission: str
    model: str
    themes: tuple[str, ...]
    decision: Decision
    scores: Mapping[str, float]
    coverage: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission as it stands."""

    id: str  # short; sorts by time of arrival
    title: str
    text: str
    source: str
    external_id: str
    name: str
    format: str
    has_original: bool
    place: str | None
    city: str | None
    county: str | None
    town: str | None
    byline: str | None
    names: tuple[str, ...]
    unit: str | None
    section: str | None
    kind: str
    length: int
    page: str | None
    position: int
    warnings: tuple[str, ...]
    by: str
    received: datetime
    fingerprint: str
    twin_of: str | None  # the first submission of the same text; a twin always stands as it does
    twins: int  # how many later submissions are twins of this one
    state: State
    version: int  # grows by one with every change
    themes: tuple[str, ...]  # strongest first, or in the editor's order
    themes_by: str  # "model@id", "editor@name", or "" while new
    doubt: float
    settled: datetime | None
    tagging: StoredTagging | None  # the latest

    @property
    def article(self) -> Article:
        """What the classifier reads."""
        return Article(self.text, self.title, self.id)


@dataclass(frozen=True, slots=True)
class Original:
    """The file a submission came in."""

    name: str
    format: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """Which submissions; every filter given must hold."""

    theme: str | None = None
    state: State | None = None
    decision: Decision | None = None  # of the latest tagging
    place: str | None = None  # equals place, city, county or town
    name: str | None = None  # a correspondent
    source: str | None = None  # whole ("mail:a@b") or the kind before the colon ("mail")
    text: str | None = None  # anywhere in title, text, byline; case, width, script, space ignored
    page: str | None = None
    since: datetime | None = None  # received at or after
    until: datetime | None = None  # received before
    free_for: str | None = None  # leave out what another editor holds a live lock on
    with_twins: bool = False  # list twins beside their first instead of folding them
    order: Order = Order.DOUBTFUL


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a queue."""

    items: tuple[Submission, ...]
    cursor: str | None  # of the next page; None on the last


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that can be filtered by, and how many submissions have it (twins not counted)."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many submissions of one month have a value (twins not counted)."""

    value: str | None  # None: the slip does not say
    month: str  # "2026-11"
    count: int


# A request sent again


@dataclass(frozen=True, slots=True)
class KeyUse:
    """An Idempotency-Key with the request it was used for."""

    scope: str  # the user's name, or the watching command
    key: str
    digest: str  # sha256 of method, path and body
    keep: timedelta | None = timedelta(hours=24)  # None: for ever


@dataclass(frozen=True, slots=True)
class StoredReply:
    """The answer given to a request, to be given again."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Added:
    """What came of a request to store."""

    submissions: tuple[Submission, ...]  # () where the request was only sent again
    reply: StoredReply | None  # None where there was no key
    replayed: bool  # the key was used before: nothing was stored, `reply` is the first answer


# Reviews


@dataclass(frozen=True, slots=True)
class Review:
    """One entry of the history; entries are added and never changed."""

    id: int
    submission: str
    at: datetime
    by: str  # the editor's name
    action: Action
    from_state: State
    to_state: State
    from_themes: tuple[str, ...]
    to_themes: tuple[str, ...]
    from_by: str  # who had set the themes before
    tagging: int | None  # the receipt the editor saw
    batch: str | None  # the same for all of one bulk review
    undoes: int | None  # the id of the review taken back
    undone: bool  # whether a later entry takes this one back


@dataclass(frozen=True, slots=True)
class Corrected:
    """A review that left other themes than the model had said."""

    review: int  # its id
    article: Article
    by: str
    at: datetime
    themes: tuple[str, ...]  # as the editor left them
    before: tuple[str, ...]  # as the model had them
    overruled_by: str  # who settled it otherwise since, "" for nobody


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of a bulk review or its undoing."""

    id: str
    done: tuple[str, ...]  # ids of submissions
    refused: Mapping[str, str] = field(default_factory=dict)  # id → sentence


@dataclass(frozen=True, slots=True)
class Lock:
    """An editor's hold on a submission; soft: it warns others and keeps nobody out."""

    submission: str
    by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Labelled:
    """An article with themes that a person gave or confirmed, for training."""

    id: str
    title: str
    text: str
    themes: tuple[str, ...]
    received: datetime
    settled: datetime
    by: str


# Events


@dataclass(frozen=True, slots=True)
class Event:
    """Something that other programs may want to hear of; `seq` rises in the order of commit."""

    seq: int
    at: datetime
    kind: str  # "received", "tagged", "settled", "unsure", "undone"
    submission: str
    payload: Mapping[str, Any]  # id, state, themes, version, title, source, external_id, twin_of


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to a webhook."""

    id: int
    target: str
    event: Event
    attempts: int  # made so far
    next_at: datetime
    error: str  # of the last attempt
    state: str  # "pending", "delivered" or "failed"


# Accounts


@dataclass(frozen=True, slots=True)
class User:
    """An account."""

    name: str  # what one logs in with; unique without regard to case
    shown: str  # the name on the slip
    role: Role
    password_hash: str  # argon2; "" for an account without password
    created: datetime
    disabled: datetime | None
    must_change: bool  # the password was given, not chosen


@dataclass(frozen=True, slots=True)
class Session:
    """A login; the store knows only the sha256 of what the cookie holds."""

    digest: str
    user: str
    created: datetime
    expires: datetime
    seen: datetime
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Token:
    """An API token; the store knows only its sha256."""

    id: int
    user: str
    name: str  # what it is for
    hint: str  # its first characters, to tell one from another
    scope: Role  # at most the user's own role
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None  # last


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, from where."""

    id: int
    at: datetime
    by: str
    action: str  # "login", "user.add", "token.revoke" …
    subject: str
    detail: Mapping[str, Any]
    address: str
