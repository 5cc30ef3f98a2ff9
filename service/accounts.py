"""Who may enter: login, sessions, API tokens, roles, and the record of who did what.

The database and the clock come in; nothing here knows of HTTP. Secrets are random, handed out
once, and kept only as their sha256, by which they are looked up: to guess one from the time a
look takes, one would have to choose its sha256.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from classifier.errors import Busy, Conflict, LoginNeeded, NotAllowed, NotFound, TooMany, Unfit
from service.passwords import Passwords, check_password, make_password, plain
from service.store.records import AuditEntry, Role, Token, User

if TYPE_CHECKING:
    from service.store.accounts import Accounts as Book

Clock = Callable[[], datetime]

TOKEN_PREFIX = "gq_"  # noqa: S105 (not a secret: what secrets start with, so that scanners see them)
FIRST_NAME = "admin"
LONGEST_TOKEN = timedelta(days=3650)
_NAME = re.compile(r"[\w][\w.@-]{0,39}")
_RANK = {role: rank for rank, role in enumerate(Role)}
_REMEMBERED = timedelta(minutes=5)
_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many wrong passwords are let through within `window`."""

    window: timedelta = timedelta(minutes=15)
    per_name_and_address: int = 5
    per_name: int = 50  # from anywhere; more, lest a stranger shut out an editor
    per_address: int = 30  # of anybody; a newsroom may share one address


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a login lasts."""

    absolute: timedelta = timedelta(hours=168)
    idle: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A login just made."""

    user: User
    cookie: str  # given out here and nowhere else
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a token speaks for, and with what right."""

    name: str
    role: Role  # the weaker of the token's scope and its owner's role
    token: int


@dataclass(frozen=True, slots=True)
class By:
    """Who does something to accounts, for the record."""

    name: str
    address: str = ""


def read_name(name: str) -> str:
    """A login name as it is kept; raises Unfit.

    >>> read_name(" 王编辑０１ ")
    '王编辑01'
    """
    kept = unicodedata.normalize("NFKC", name).strip()
    if not _NAME.fullmatch(kept):
        raise Unfit("账号名只能用汉字、字母、数字和 . _ - @，最多 40 个字", where="name")
    return kept


def digest(secret: str) -> str:
    """What the store knows of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _throttled(name: str) -> str:
    # The name may be a password typed into the wrong field: only its sha256 is kept.
    return digest(unicodedata.normalize("NFKC", name).strip().casefold())


def neighbourhood(address: str) -> str:
    """An address as the throttle counts it: of IPv6 the /64 that one subscriber commands.

    >>> neighbourhood("2001:db8:1:2:3:4:5:6"), neighbourhood("::ffff:10.0.0.7")
    ('2001:db8:1:2::', '10.0.0.7')
    """
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(read, ipaddress.IPv6Address):
        if read.ipv4_mapped is not None:
            return str(read.ipv4_mapped)
        return str(ipaddress.ip_network((read, 64), strict=False).network_address)
    return str(read)


class Accounts:
    """The accounts of one database, for one process among several."""

    def __init__(
        self,
        book: Book,
        *,
        clock: Clock,
        passwords: Passwords | None = None,
        lifetimes: Lifetimes | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        self._book = book
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._lifetimes = lifetimes or Lifetimes()
        self._throttle = throttle or Throttle()
        self._remembered: dict[str, tuple[Holder, datetime]] = {}

    # Login and sessions

    def log_in(
        self, name: str, password: str, *, address: str, agent: str = "", instead_of: str = ""
    ) -> LoggedIn:
        """Open a session; `instead_of`, the cookie that came with the request, is void from now on.

        Raises LoginNeeded, the same for an unknown name, a wrong password and a disabled account,
        after the same work; TooMany once too many were wrong.
        """
        attempt = self._attempt(name, address)
        user = self._find(name)
        right = self._passwords.match(user.password_hash if user else "", password)
        if user is None or not right or user.disabled is not None:
            # What is no account's name may be a password typed into the wrong field.
            self.record("login.failed", By("", address), user.name if user else "")
            raise LoginNeeded("账号或密码不对", fix="请重新输入；忘了密码请找管理员")
        self._book.forget_failures(attempt)
        self._book.sweep()
        if self._passwords.is_dated(user.password_hash):
            self._book.change_user(user.name, password_hash=self._passwords.hashed(password))
        if instead_of:
            self._book.close_session(digest(instead_of))
        self.record("login", By(user.name, address), user.name)
        return self._open(user, address=address, agent=agent)

    def _open(self, user: User, *, address: str, agent: str) -> LoggedIn:
        cookie = secrets.token_urlsafe(32)
        lasts = self._lifetimes.absolute
        self._book.open_session(
            digest(cookie), user.name, lasts=lasts, address=address, agent=agent[:200]
        )
        return LoggedIn(user, cookie, lasts)

    def _attempt(self, name: str, address: str) -> str:
        """Count an attempt as a failure before it is one, so that many at once do not slip by."""
        key, place = _throttled(name), neighbourhood(address)
        self._refuse_beyond(key, place, allowance=-1)
        self._book.record_failure(key, place)
        self._refuse_beyond(key, place, allowance=0)
        return key

    def _refuse_beyond(self, key: str, place: str, *, allowance: int) -> None:
        throttle = self._throttle
        within = throttle.window
        if (
            self._book.failures(name=key, address=place, within=within)
            > throttle.per_name_and_address + allowance
            or self._book.failures(name=key, within=within) > throttle.per_name + allowance
            or self._book.failures(address=place, within=within) > throttle.per_address + allowance
        ):
            minutes = int(within.total_seconds()) // 60
            raise TooMany(
                "密码错得太多",
                fix=f"请过 {minutes} 分钟再试，或请管理员重设密码",
                seconds=int(within.total_seconds()),
            )

    def log_out(self, cookie: str, *, address: str = "") -> None:
        """End a session; of one that is none, nothing."""
        user = self.by_cookie(cookie)
        self._book.close_session(digest(cookie))
        if user is not None:
            self.record("logout", By(user.name, address), user.name)

    def by_cookie(self, cookie: str) -> User | None:
        """Whose live session this is."""
        session = self._book.session(digest(cookie), idle=self._lifetimes.idle)
        return self._find(session.user) if session else None

    # Users

    def has_passwords(self) -> bool:
        """Whether anybody could log in."""
        return any(user.password_hash and user.disabled is None for user in self._book.users())

    def first_administrator(self) -> str | None:
        """Make the first administrator; its password, given once; None where there are accounts."""
        password = make_password()
        made = self._book.add_first(
            FIRST_NAME, password_hash=self._passwords.hashed(password), must_change=True
        )
        if made is None:
            return None
        self.record("user.add", By(""), made.name, role=made.role.value, first=True)
        return password

    def users(self) -> tuple[User, ...]:
        """All accounts."""
        return self._book.users()

    def user(self, name: str) -> User:
        """An account; raises NotFound."""
        return self._book.user(name)

    def add_user(
        self, name: str, *, role: Role, by: By, shown: str = "", password: str | None = None
    ) -> tuple[User, str]:
        """A new account and the password made for it, "" where one was chosen.

        Raises Unfit for a name or password that will not do, Conflict for a name in use.
        """
        kept = read_name(name)
        given = make_password() if password is None else ""
        user = self._book.add_user(
            kept,
            role=role,
            shown=shown.strip(),
            password_hash=self._stored(password or given, name=kept),
            must_change=bool(given),
        )
        self.record("user.add", by, user.name, role=role.value)
        return user, given

    def add_program(self, name: str, *, role: Role, by: By, shown: str = "") -> User:
        """An account that has no password: only tokens speak for it."""
        user = self._book.add_user(
            read_name(name), role=role, shown=shown.strip(), password_hash=""
        )
        self.record("user.add", by, user.name, role=role.value, program=True)
        return user

    def change_user(
        self,
        name: str,
        *,
        by: By,
        role: Role | None = None,
        shown: str | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change an account; raises NotFound, or Conflict where no administrator would be left."""
        user = self._book.change_user(name, role=role, shown=shown, disabled=disabled)
        given = {"role": role and role.value, "shown": shown, "disabled": disabled}
        done = {what: value for what, value in given.items() if value is not None}
        if done:
            self.record("user.change", by, user.name, **done)
        return user

    def reset_password(self, name: str, *, by: By, password: str | None = None) -> str:
        """Give an account another password and end its sessions; the one made, "" where chosen."""
        user = self._book.user(name)
        given = make_password() if password is None else ""
        self._book.change_user(
            user.name,
            password_hash=self._stored(password or given, name=user.name),
            must_change=bool(given),
        )
        self._book.forget_failures(_throttled(user.name))
        self.record("password.reset", by, user.name)
        return given

    def change_password(
        self, name: str, current: str, password: str, *, address: str, agent: str = ""
    ) -> LoggedIn:
        """Change one's own password; all sessions end and a new one is opened.

        Raises NotAllowed for a wrong current password, TooMany once too many were wrong, Unfit
        for a new one that will not do.
        """
        user = self._book.user(name)
        attempt = self._attempt(name, address)
        if not self._passwords.match(user.password_hash, current):
            self.record("password.failed", By(user.name, address), user.name)
            raise NotAllowed("现在的密码不对", where="current", fix="请重新输入")
        self._book.forget_failures(attempt)
        if plain(password) == plain(current):
            raise Unfit("新密码和现在的一样", where="password", fix="请换一个")
        changed = self._book.change_user(
            user.name, password_hash=self._stored(password, name=user.name), must_change=False
        )
        self.record("password.change", By(user.name, address), user.name)
        return self._open(changed, address=address, agent=agent)

    def _stored(self, password: str, *, name: str) -> str:
        check_password(password, name=name)
        return self._passwords.hashed(password)

    def _find(self, name: str) -> User | None:
        try:
            return self._book.user(unicodedata.normalize("NFKC", name).strip())
        except NotFound:
            return None

    # Tokens

    def add_token(
        self, owner: str, *, name: str, scope: Role, lasts: timedelta, by: By
    ) -> tuple[Token, str]:
        """A token and its secret, which nobody can see again.

        Raises NotAllowed for a scope beyond the owner's role, Unfit for one that never ends.
        """
        user = self._book.user(owner)
        if _RANK[scope] > _RANK[user.role]:
            raise NotAllowed("令牌的权限不能超过账号自己的", where="scope")
        if user.disabled is not None:
            raise Conflict(f"账号 {user.name} 已停用", fix="请先启用")
        if not timedelta(0) < lasts <= LONGEST_TOKEN:
            raise Unfit("令牌的期限要在 1 到 3650 天之间", where="days")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = self._book.add_token(
            digest(secret),
            user.name,
            name=name.strip(),
            hint=secret[: len(TOKEN_PREFIX) + 4],
            scope=scope,
            expires=self._clock() + lasts,
        )
        self.record("token.add", by, str(token.id), owner=user.name, scope=scope.value)
        return token, secret

    def tokens(self, owner: str | None = None) -> tuple[Token, ...]:
        """The tokens of one account, or of all."""
        return self._book.tokens(owner)

    def revoke_token(self, number: int, *, by: By, owner: str | None = None) -> Token:
        """Make a token void; raises NotFound, also for one that is not `owner`'s."""
        token = self._book.revoke_token(number, user=owner)
        self._remembered.clear()
        self.record("token.revoke", by, str(number), owner=token.user)
        return token

    def by_token(self, secret: str) -> Holder | None:
        """Whom a live token speaks for.

        While the database does not answer, whom it spoke for some minutes ago: what needs no
        database, such as predictions, goes on.
        """
        if not secret.startswith(TOKEN_PREFIX):
            return None
        key, now = digest(secret), self._clock()
        try:
            token = self._book.token(key)
            user = self._book.user(token.user) if token else None
        except Busy:
            holder, since = self._remembered.get(key, (None, now))
            if holder is None or now - since > _REMEMBERED:
                raise
            return holder
        if token is None or user is None:
            self._remembered.pop(key, None)
            return None
        holder = Holder(user.name, min(token.scope, user.role, key=_RANK.__getitem__), token.id)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (holder, now)
        return holder

    # The record

    def record(self, action: str, by: By, subject: str = "", **detail: object) -> None:
        """Write down who did what to what."""
        self._book.record(action, by=by.name, subject=subject, detail=detail, address=by.address)

    def audit(
        self, *, limit: int, before: int | None = None, by: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """What was written down, newest first, before the entry of that number."""
        return self._book.audit(limit=limit, before=before, by=by)
