"""The tables as they stand after the last migration; the only place that names columns.

Text is compared byte by byte on both databases: on PostgreSQL every text column has the collation
"C", so that an upgrade of the system's locales can spoil no index and no order.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from service.store.records import storable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """A moment as it is stored: microseconds since 1970, UTC.

    >>> microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - _EPOCH) // _MICROSECOND


class Moment(TypeDecorator[datetime]):
    """A point in time; a whole number, because SQLite has no other exact one."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Words(TypeDecorator[str]):
    """Text that both databases keep alike."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        return Text(collation="C") if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Json(TypeDecorator[Any]):
    """A JSON value, kept as text so that a float comes back to the last bit."""

    impl = Words
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


# SQLite numbers rows by itself only where the key is an INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

originals = Table(
    "originals",
    metadata,
    Column("digest", Words, primary_key=True),  # sha256: the same file is kept once
    Column("content", LargeBinary, nullable=False),
)

submissions = Table(
    "submissions",
    metadata,
    Column("id", Words, primary_key=True),
    Column("state", Words, nullable=False),
    Column("version", Integer, nullable=False),
    Column("urgency", Double, nullable=False),  # the queue's sort key, below 0 for twins
    Column("doubt", Double, nullable=False),
    Column("decision", Words),
    Column("themes", Json, nullable=False),
    Column("themes_by", Words, nullable=False),
    Column("received", Moment, nullable=False),
    Column("settled", Moment),
    Column("twin_of", Words, ForeignKey("submissions.id")),
    Column("fingerprint", Words, nullable=False),
    Column("source", Words, nullable=False),
    Column("external_id", Words, nullable=False),
    Column("by", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("format", Words, nullable=False),
    Column("original", Words, ForeignKey("originals.digest")),
    Column("place", Words),
    Column("city", Words),
    Column("county", Words),
    Column("town", Words),
    Column("byline", Words),
    Column("names", Json, nullable=False),
    Column("unit", Words),
    Column("section", Words),
    Column("kind", Words, nullable=False),
    Column("length", Integer, nullable=False),
    Column("page", Words),
    Column("position", Integer, nullable=False),
    Column("warnings", Json, nullable=False),
    Column("title", Words, nullable=False),
    # Last: SQLite reads a row from its start and leaves what it does not need on the disk.
    Column("text", Words, nullable=False),
    # One first submission for each text, whoever is quicker; the others are its twins.
    Index(
        "submissions_first",
        "fingerprint",
        unique=True,
        sqlite_where=text("twin_of IS NULL"),
        postgresql_where=text("twin_of IS NULL"),
    ),
    Index("submissions_urgency", "urgency", "id"),
    Index("submissions_state_urgency", "state", "urgency", "id"),
    Index("submissions_state", "state", "id"),
    Index("submissions_decision_urgency", "decision", "urgency", "id"),
    Index("submissions_decision", "decision", "id"),
    Index("submissions_twins", "twin_of", "id"),
    Index("submissions_page", "page", "id"),
    Index("submissions_external", "external_id", "source"),
    Index("submissions_settled", "settled"),
)

facets = Table(
    "facets",
    metadata,
    Column("kind", Words, primary_key=True),  # "theme", "place", "name" or "source"
    Column("value", Words, primary_key=True),
    Column("submission", Words, ForeignKey("submissions.id"), primary_key=True),
    Column("urgency", Double, nullable=False),  # the submission's, so that one index sorts
    Index("facets_urgency", "kind", "value", "urgency", "submission"),
    Index("facets_submission", "submission"),
    sqlite_with_rowid=False,
)

# Beside it, made by the migration and known to `search` alone: `search_grams` with the same
# numbers, a full-text table on SQLite, an inverted index on PostgreSQL.
searched = Table(
    "searched",
    metadata,
    Column("number", _Number, primary_key=True),
    Column("submission", Words, ForeignKey("submissions.id"), nullable=False, unique=True),
    Column("folded", Words, nullable=False),
)

taggings = Table(
    "taggings",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("submission", Words, ForeignKey("submissions.id"), nullable=False),
    Column("model", Words, nullable=False),
    Column("themes", Json, nullable=False),
    Column("decision", Words, nullable=False),
    Column("scores", Json, nullable=False),
    Column("coverage", Double, nullable=False),
    Column("at", Moment, nullable=False),
    Index("taggings_submission", "submission", "id"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("submission", Words, ForeignKey("submissions.id"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("by", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("from_state", Words, nullable=False),
    Column("to_state", Words, nullable=False),
    Column("from_themes", Json, nullable=False),
    Column("to_themes", Json, nullable=False),
    Column("from_by", Words, nullable=False),
    Column("tagging", BigInteger, ForeignKey("taggings.id")),
    Column("batch", Words),
    # Unique: of two that take the same review back, one fails.
    Column("undoes", BigInteger, ForeignKey("reviews.id"), unique=True),
    Index("reviews_submission", "submission", "id"),
    Index("reviews_by", "by", "id"),
    Index("reviews_batch", "batch"),
    sqlite_autoincrement=True,
)

locks = Table(
    "locks",
    metadata,
    Column("submission", Words, ForeignKey("submissions.id"), primary_key=True),
    Column("by", Words, nullable=False),
    Column("until", Moment, nullable=False),
)

replies = Table(
    "replies",
    metadata,
    Column("key", Words, primary_key=True),  # sha256 of scope and key
    Column("digest", Words, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Words, nullable=False),
    Column("expires", Moment, index=True),
)

events = Table(
    "events",
    metadata,
    Column("seq", _Number, primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("kind", Words, nullable=False),
    Column("submission", Words, nullable=False),
    Column("payload", Json, nullable=False),
    sqlite_autoincrement=True,
)

hooks = Table(
    "hooks",
    metadata,
    Column("target", Words, primary_key=True),
    Column("seq", BigInteger, nullable=False),  # of the last event put on its way
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("target", Words, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", Words, nullable=False),
    Column("submission", Words, nullable=False),
    Column("payload", Json, nullable=False),
    Column("state", Words, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("error", Words, nullable=False),
    UniqueConstraint("target", "seq"),
    Index("deliveries_due", "target", "state", "next_at"),
)

users = Table(
    "users",
    metadata,
    Column("key", Words, primary_key=True),  # the name without regard to case
    Column("name", Words, nullable=False),
    Column("shown", Words, nullable=False),
    Column("role", Words, nullable=False),
    Column("password_hash", Words, nullable=False),
    Column("created", Moment, nullable=False),
    Column("disabled", Moment),
    Column("must_change", Boolean, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", Words, primary_key=True),
    Column("user", Words, ForeignKey("users.key"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
    Column("seen", Moment, nullable=False),
    Column("address", Words, nullable=False),
    Column("agent", Words, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("digest", Words, nullable=False, unique=True),
    Column("user", Words, ForeignKey("users.key"), nullable=False, index=True),
    Column("name", Words, nullable=False),
    Column("hint", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("revoked", Moment),
    Column("used", Moment),
    sqlite_autoincrement=True,
)

login_failures = Table(
    "login_failures",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", Words, nullable=False),
    Column("address", Words, nullable=False),
    Column("at", Moment, nullable=False, index=True),
    Index("login_failures_name", "name", "at"),
    Index("login_failures_address", "address", "at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("by", Words, nullable=False, index=True),
    Column("action", Words, nullable=False),
    Column("subject", Words, nullable=False),
    Column("detail", Json, nullable=False),
    Column("address", Words, nullable=False),
    sqlite_autoincrement=True,
)
