"""Accounts as rows: users, logins, API tokens, failed logins, and the audit of who did what.

Secrets never come here: passwords arrive as argon2 hashes, cookies and tokens as sha256.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Update, delete, func, insert, select, update

from classifier.errors import Busy, Conflict, NotFound, StorageFull
from service.store.database import Database
from service.store.records import AuditEntry, Role, Session, Token, User, storable
from service.store.submissions import Clock
from service.store.tables import audit, login_failures, replies, sessions, tokens, users

_SEEN_EVERY = timedelta(minutes=1)
_FAILURES_KEPT = timedelta(days=1)


class Accounts:
    """Who may do what."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # Users

    def add_user(
        self,
        name: str,
        *,
        role: Role,
        password_hash: str,
        shown: str = "",
        must_change: bool = False,
    ) -> User:
        """A new account; raises Conflict where the name is taken, in whatever case."""

        def store(connection: Connection) -> User:
            user = self._new(name, role, password_hash, shown, must_change)
            added = self._database.insert(users).values(**_user_row(user))
            free = added.on_conflict_do_nothing().returning(users.c.key)
            if connection.scalar(free) is None:
                raise Conflict("这个用户名已有人用", where=name, fix="请换一个")
            return user

        return self._database.write(store)

    def add_first(
        self, name: str, *, password_hash: str, shown: str = "", must_change: bool = True
    ) -> User | None:
        """The first administrator; None where there is any account already."""

        def store(connection: Connection) -> User | None:
            self._database.alone(connection)
            if connection.scalar(select(func.count()).select_from(users)):
                return None
            user = self._new(name, Role.ADMINISTRATOR, password_hash, shown, must_change)
            connection.execute(insert(users), [_user_row(user)])
            return user

        return self._database.write(store)

    def user(self, name: str) -> User:
        """An account by its name in any case; raises NotFound."""
        with self._database.reading() as connection:
            return _user_of(_user(connection, name))

    def users(self) -> tuple[User, ...]:
        """All accounts by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(users).order_by(users.c.key))
            return tuple(_user_of(row) for row in rows)

    def change_user(
        self,
        name: str,
        *,
        shown: str | None = None,
        role: Role | None = None,
        password_hash: str | None = None,
        must_change: bool | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change what is given of an account.

        A new password or role and being disabled end the account's logins; being disabled revokes
        its tokens. Raises NotFound; Conflict where no administrator would be left.
        """

        def store(connection: Connection) -> User:
            now = self._clock()
            # All administrators are locked, lest two of them disable each other.
            chiefs = connection.execute(
                select(users)
                .where(users.c.role == str(Role.ADMINISTRATOR), users.c.disabled.is_(None))
                .order_by(users.c.key)
                .with_for_update()
            ).all()
            row = _user(connection, name)
            changed: dict[str, Any] = {
                column: value
                for column, value in (
                    ("shown", shown),
                    ("role", None if role is None else str(role)),
                    ("password_hash", password_hash),
                    ("must_change", must_change),
                )
                if value is not None
            }
            if disabled is not None and disabled != (row.disabled is not None):
                changed["disabled"] = now if disabled else None
            falls = disabled or (role is not None and role is not Role.ADMINISTRATOR)
            if falls and [chief.key for chief in chiefs] == [row.key]:
                raise Conflict("这是最后一个管理员", where=name, fix="请先任命另一个管理员")
            if changed:
                connection.execute(update(users).where(users.c.key == row.key).values(**changed))
            if disabled or password_hash is not None or changed.get("role", row.role) != row.role:
                connection.execute(delete(sessions).where(sessions.c.user == row.key))
            if disabled:
                own = (tokens.c.user == row.key) & tokens.c.revoked.is_(None)
                connection.execute(update(tokens).where(own).values(revoked=now))
            return _user_of(_user(connection, name))

        return self._database.write(store)

    # Logins

    def open_session(
        self, digest: str, user: str, *, lasts: timedelta, address: str = "", agent: str = ""
    ) -> Session:
        """A login; raises NotFound where there is no such account."""

        def store(connection: Connection) -> Session:
            now = self._clock()
            row = _user(connection, user)
            opened = Session(digest, row.name, now, now + lasts, now, address, agent[:500])
            connection.execute(
                insert(sessions),
                [
                    {
                        "digest": digest,
                        "user": row.key,
                        "created": now,
                        "expires": opened.expires,
                        "seen": now,
                        "address": address,
                        "agent": opened.agent,
                    }
                ],
            )
            return opened

        return self._database.write(store)

    def session(self, digest: str, *, idle: timedelta | None = None) -> Session | None:
        """The login behind a cookie.

        None where it has ended, its account is disabled, or nobody used it for longer than `idle`.
        """
        now = self._clock()
        asked = (
            select(sessions, users.c.name)
            .join(users, users.c.key == sessions.c.user)
            .where(
                sessions.c.digest == digest, sessions.c.expires > now, users.c.disabled.is_(None)
            )
        )
        if idle is not None:
            asked = asked.where(sessions.c.seen >= now - idle)
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        if row is None:
            return None
        if now - row.seen > _SEEN_EVERY:
            self._note(update(sessions).where(sessions.c.digest == digest).values(seen=now))
        return _session_of(row)

    def sessions(self, user: str) -> tuple[Session, ...]:
        """The live logins of an account, the latest first."""
        asked = (
            select(sessions, users.c.name)
            .join(users, users.c.key == sessions.c.user)
            .where(users.c.key == _key(user), sessions.c.expires > self._clock())
            .order_by(sessions.c.created.desc(), sessions.c.digest)
        )
        with self._database.reading() as connection:
            return tuple(_session_of(row) for row in connection.execute(asked))

    def close_session(self, digest: str) -> None:
        """End one login."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == digest))

    def close_sessions(self, user: str) -> None:
        """End all logins of an account."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.user == _key(user)))

    # Tokens

    def add_token(
        self,
        digest: str,
        user: str,
        *,
        name: str,
        hint: str,
        scope: Role,
        expires: datetime | None = None,
    ) -> Token:
        """A new API token; raises NotFound where there is no such account."""

        def store(connection: Connection) -> Token:
            values = {
                "digest": digest,
                "user": _user(connection, user).key,
                "name": name,
                "hint": hint,
                "scope": str(scope),
                "created": self._clock(),
                "expires": expires,
            }
            made = insert(tokens).values(**values).returning(tokens.c.id)
            id = connection.scalar(made)
            return _token_of(connection.execute(_tokens().where(tokens.c.id == id)).one())

        return self._database.write(store)

    def token(self, digest: str) -> Token | None:
        """The token behind a secret; None where it is revoked, expired, or its account disabled."""
        now = self._clock()
        asked = _tokens().where(
            tokens.c.digest == digest,
            tokens.c.revoked.is_(None),
            (tokens.c.expires.is_(None)) | (tokens.c.expires > now),
            users.c.disabled.is_(None),
        )
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        if row is None:
            return None
        if row.used is None or now - row.used > _SEEN_EVERY:
            self._note(update(tokens).where(tokens.c.id == row.id).values(used=now))
        return _token_of(row)

    def tokens(self, user: str | None = None) -> tuple[Token, ...]:
        """All tokens, or those of one account, the latest first."""
        asked = _tokens().order_by(tokens.c.id.desc())
        if user is not None:
            asked = asked.where(tokens.c.user == _key(user))
        with self._database.reading() as connection:
            return tuple(_token_of(row) for row in connection.execute(asked))

    def revoke_token(self, id: int, *, user: str | None = None) -> Token:
        """End a token, of this account where one is given; raises NotFound."""

        def store(connection: Connection) -> Token:
            own = tokens.c.id == id
            if user is not None:
                own &= tokens.c.user == _key(user)
            ended = update(tokens).where(own, tokens.c.revoked.is_(None))
            connection.execute(ended.values(revoked=self._clock()))
            row = connection.execute(_tokens().where(own)).one_or_none()
            if row is None:
                raise NotFound("没有这个令牌", where=str(id))
            return _token_of(row)

        return self._database.write(store)

    # Failed logins

    def record_failure(self, name: str, address: str) -> None:
        """Somebody gave a wrong password."""
        failure = {"name": _key(name)[:200], "address": address, "at": self._clock()}
        with self._database.writing() as connection:
            connection.execute(insert(login_failures), [failure])

    def failures(
        self, *, name: str | None = None, address: str | None = None, within: timedelta
    ) -> int:
        """How many wrong passwords came lately, for a name, from an address, or both."""
        asked = select(func.count()).where(login_failures.c.at > self._clock() - within)
        if name is not None:
            asked = asked.where(login_failures.c.name == _key(name)[:200])
        if address is not None:
            asked = asked.where(login_failures.c.address == address)
        with self._database.reading() as connection:
            return connection.scalar(asked) or 0

    def forget_failures(self, name: str) -> None:
        """The right password came after all."""
        with self._database.writing() as connection:
            connection.execute(
                delete(login_failures).where(login_failures.c.name == _key(name)[:200])
            )

    # Audit

    def record(
        self,
        action: str,
        *,
        by: str,
        subject: str = "",
        detail: Mapping[str, Any] | None = None,
        address: str = "",
    ) -> None:
        """Note that somebody did something."""
        entry = {
            "at": self._clock(),
            "by": by,
            "action": action,
            "subject": subject,
            "detail": dict(detail or {}),
            "address": address,
        }
        with self._database.writing() as connection:
            connection.execute(insert(audit), [entry])

    def audit(
        self, *, limit: int = 100, before: int | None = None, by: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """Who did what, newest first; from below the entry `before`, by one account."""
        asked = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            asked = asked.where(audit.c.id < before)
        if by is not None:
            asked = asked.where(audit.c.by == by)
        with self._database.reading() as connection:
            return tuple(
                AuditEntry(row.id, row.at, row.by, row.action, row.subject, row.detail, row.address)
                for row in connection.execute(asked)
            )

    def sweep(self) -> int:
        """Throw out logins, failures and kept replies whose time is over; returns how many."""
        now = self._clock()
        with self._database.writing() as connection:
            return sum(
                connection.execute(old).rowcount
                for old in (
                    delete(sessions).where(sessions.c.expires <= now),
                    delete(login_failures).where(login_failures.c.at <= now - _FAILURES_KEPT),
                    delete(replies).where(replies.c.expires <= now),
                )
            )

    def _note(self, change: Update) -> None:
        # That nothing can be written just now keeps nobody from reading.
        with suppress(Busy, StorageFull), self._database.writing() as connection:
            connection.execute(change)

    def _new(
        self, name: str, role: Role, password_hash: str, shown: str, must_change: bool
    ) -> User:
        now = self._clock()
        return User(name, shown or name, role, password_hash, now, None, must_change)


def _key(name: str) -> str:
    return storable(name).casefold()


def _user(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(users).where(users.c.key == _key(name))).one_or_none()
    if row is None:
        raise NotFound("没有这个用户", where=name[:40])
    return row


def _user_row(user: User) -> dict[str, Any]:
    return {
        "key": _key(user.name),
        "name": user.name,
        "shown": user.shown,
        "role": str(user.role),
        "password_hash": user.password_hash,
        "created": user.created,
        "must_change": user.must_change,
    }


def _user_of(row: Row[Any]) -> User:
    return User(
        name=row.name,
        shown=row.shown,
        role=Role(row.role),
        password_hash=row.password_hash,
        created=row.created,
        disabled=row.disabled,
        must_change=row.must_change,
    )


def _session_of(row: Row[Any]) -> Session:
    return Session(
        digest=row.digest,
        user=row.name,
        created=row.created,
        expires=row.expires,
        seen=row.seen,
        address=row.address,
        agent=row.agent,
    )


def _tokens() -> Any:
    return select(tokens, users.c.name.label("owner")).join(users, users.c.key == tokens.c.user)


def _token_of(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        user=row.owner,
        name=row.name,
        hint=row.hint,
        scope=Role(row.scope),
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        used=row.used,
    )
