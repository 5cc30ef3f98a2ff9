"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.BigInteger  # microseconds since 1970, UTC


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "audit",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("by", _WORDS, nullable=False),
        sa.Column("action", _WORDS, nullable=False),
        sa.Column("subject", _WORDS, nullable=False),
        sa.Column("detail", _WORDS, nullable=False),
        sa.Column("address", _WORDS, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_by", "audit", ["by"])
    op.create_table(
        "deliveries",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("target", _WORDS, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("submission", _WORDS, nullable=False),
        sa.Column("payload", _WORDS, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("error", _WORDS, nullable=False),
        sa.UniqueConstraint("target", "seq"),
    )
    op.create_index("deliveries_due", "deliveries", ["target", "state", "next_at"])
    op.create_table(
        "events",
        sa.Column("seq", _NUMBER, primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("submission", _WORDS, nullable=False),
        sa.Column("payload", _WORDS, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_table(
        "hooks",
        sa.Column("target", _WORDS, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "login_failures",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("address", _WORDS, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("ix_login_failures_at", "login_failures", ["at"])
    op.create_index("login_failures_address", "login_failures", ["address", "at"])
    op.create_index("login_failures_name", "login_failures", ["name", "at"])
    op.create_table(
        "originals",
        sa.Column("digest", _WORDS, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "replies",
        sa.Column("key", _WORDS, primary_key=True),
        sa.Column("digest", _WORDS, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", _WORDS, nullable=False),
        sa.Column("expires", _MOMENT),
    )
    op.create_index("ix_replies_expires", "replies", ["expires"])
    op.create_table(
        "users",
        sa.Column("key", _WORDS, primary_key=True),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("shown", _WORDS, nullable=False),
        sa.Column("role", _WORDS, nullable=False),
        sa.Column("password_hash", _WORDS, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("disabled", _MOMENT),
        sa.Column("must_change", sa.Boolean, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", _WORDS, primary_key=True),
        sa.Column("user", _WORDS, sa.ForeignKey("users.key"), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("expires", _MOMENT, nullable=False),
        sa.Column("seen", _MOMENT, nullable=False),
        sa.Column("address", _WORDS, nullable=False),
        sa.Column("agent", _WORDS, nullable=False),
    )
    op.create_index("ix_sessions_expires", "sessions", ["expires"])
    op.create_index("ix_sessions_user", "sessions", ["user"])
    op.create_table(
        "submissions",
        sa.Column("id", _WORDS, primary_key=True),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("urgency", sa.Double, nullable=False),
        sa.Column("doubt", sa.Double, nullable=False),
        sa.Column("decision", _WORDS),
        sa.Column("themes", _WORDS, nullable=False),
        sa.Column("themes_by", _WORDS, nullable=False),
        sa.Column("received", _MOMENT, nullable=False),
        sa.Column("settled", _MOMENT),
        sa.Column("twin_of", _WORDS, sa.ForeignKey("submissions.id")),
        sa.Column("fingerprint", _WORDS, nullable=False),
        sa.Column("source", _WORDS, nullable=False),
        sa.Column("external_id", _WORDS, nullable=False),
        sa.Column("by", _WORDS, nullable=False),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("format", _WORDS, nullable=False),
        sa.Column("original", _WORDS, sa.ForeignKey("originals.digest")),
        sa.Column("place", _WORDS),
        sa.Column("city", _WORDS),
        sa.Column("county", _WORDS),
        sa.Column("town", _WORDS),
        sa.Column("byline", _WORDS),
        sa.Column("names", _WORDS, nullable=False),
        sa.Column("unit", _WORDS),
        sa.Column("section", _WORDS),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("page", _WORDS),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("warnings", _WORDS, nullable=False),
        sa.Column("title", _WORDS, nullable=False),
        sa.Column("text", _WORDS, nullable=False),
    )
    op.create_index("submissions_decision", "submissions", ["decision", "id"])
    op.create_index("submissions_decision_urgency", "submissions", ["decision", "urgency", "id"])
    op.create_index("submissions_external", "submissions", ["external_id", "source"])
    op.create_index(
        "submissions_first",
        "submissions",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("twin_of IS NULL"),
        postgresql_where=sa.text("twin_of IS NULL"),
    )
    op.create_index("submissions_page", "submissions", ["page", "id"])
    op.create_index("submissions_settled", "submissions", ["settled"])
    op.create_index("submissions_state", "submissions", ["state", "id"])
    op.create_index("submissions_state_urgency", "submissions", ["state", "urgency", "id"])
    op.create_index("submissions_twins", "submissions", ["twin_of", "id"])
    op.create_index("submissions_urgency", "submissions", ["urgency", "id"])
    op.create_table(
        "tokens",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("digest", _WORDS, nullable=False, unique=True),
        sa.Column("user", _WORDS, sa.ForeignKey("users.key"), nullable=False),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("hint", _WORDS, nullable=False),
        sa.Column("scope", _WORDS, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("expires", _MOMENT),
        sa.Column("revoked", _MOMENT),
        sa.Column("used", _MOMENT),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tokens_user", "tokens", ["user"])
    op.create_table(
        "facets",
        sa.Column("kind", _WORDS, primary_key=True),
        sa.Column("value", _WORDS, primary_key=True),
        sa.Column("submission", _WORDS, sa.ForeignKey("submissions.id"), primary_key=True),
        sa.Column("urgency", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("facets_submission", "facets", ["submission"])
    op.create_index("facets_urgency", "facets", ["kind", "value", "urgency", "submission"])
    op.create_table(
        "locks",
        sa.Column("submission", _WORDS, sa.ForeignKey("submissions.id"), primary_key=True),
        sa.Column("by", _WORDS, nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
    )
    op.create_table(
        "searched",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column(
            "submission", _WORDS, sa.ForeignKey("submissions.id"), nullable=False, unique=True
        ),
        sa.Column("folded", _WORDS, nullable=False),
    )
    op.create_table(
        "taggings",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("submission", _WORDS, sa.ForeignKey("submissions.id"), nullable=False),
        sa.Column("model", _WORDS, nullable=False),
        sa.Column("themes", _WORDS, nullable=False),
        sa.Column("decision", _WORDS, nullable=False),
        sa.Column("scores", _WORDS, nullable=False),
        sa.Column("coverage", sa.Double, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
    )
    op.create_index("taggings_submission", "taggings", ["submission", "id"])
    op.create_table(
        "reviews",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("submission", _WORDS, sa.ForeignKey("submissions.id"), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("by", _WORDS, nullable=False),
        sa.Column("action", _WORDS, nullable=False),
        sa.Column("from_state", _WORDS, nullable=False),
        sa.Column("to_state", _WORDS, nullable=False),
        sa.Column("from_themes", _WORDS, nullable=False),
        sa.Column("to_themes", _WORDS, nullable=False),
        sa.Column("from_by", _WORDS, nullable=False),
        sa.Column("tagging", sa.BigInteger, sa.ForeignKey("taggings.id")),
        sa.Column("batch", _WORDS),
        sa.Column("undoes", sa.BigInteger, sa.ForeignKey("reviews.id"), unique=True),
        sqlite_autoincrement=True,
    )
    op.create_index("reviews_batch", "reviews", ["batch"])
    op.create_index("reviews_by", "reviews", ["by", "id"])
    op.create_index("reviews_submission", "reviews", ["submission", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TABLE search_grams (number bigint PRIMARY KEY, grams integer[] NOT NULL)"
        )
        op.execute("CREATE INDEX search_grams_grams ON search_grams USING gin (grams)")
    else:
        op.execute(
            "CREATE VIRTUAL TABLE search_grams USING fts5"
            "(grams, content='', detail=none, columnsize=0, tokenize='ascii')"
        )
