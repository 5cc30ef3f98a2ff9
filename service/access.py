"""The one place that decides who may: before every request, from the table of routes.

An endpoint whose role is stated nowhere is refused. Cookies and loopback are rights that a
browser uses for whatever page asks it to, so what changes something must come from our own pages
(Sec-Fetch-Site, or Origin in older browsers and without TLS); a bearer token is no such right.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from flask import Flask, Request, Response, current_app, g, request

from classifier.errors import LoginNeeded, Malformed, NotAllowed, SettingRefused
from service.accounts import Accounts
from service.api.routes import ROLES, SESSION_COOKIE, Role
from service.settings import Settings

LOCAL_NAME = "本机"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_FORWARDED = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_REAL_IP",
)  # as WSGI names them: asked for every request, and absent from most
_WITH_A_GIVEN_PASSWORD = frozenset({"me", "change_password", "log_out"})


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is asking."""

    name: str  # of the account, "" for a stranger
    role: Role
    by: Literal["session", "token", "local", "nobody"]
    must_change: bool = False  # the password was given, not chosen

    def may(self, role: Role) -> bool:
        """Whether whoever has `role` could do no more."""
        return ROLES.index(self.role) >= ROLES.index(role)


NOBODY = Asker("", "stranger", "nobody")


def asker() -> Asker:
    """Who is asking in the request in hand."""
    found = g.get("asker", NOBODY)
    assert isinstance(found, Asker)
    return found


def accounts() -> Accounts:
    """The accounts of this application."""
    found = current_app.extensions["gaoqian.accounts"]
    assert isinstance(found, Accounts)
    return found


def address() -> str:
    """Where the request in hand comes from."""
    return request.remote_addr or ""


def is_required() -> bool:
    """Whether this application asks everybody to log in."""
    return bool(current_app.extensions["gaoqian.login"])


def is_login_needed(settings: Settings, accounts: Accounts) -> bool:
    """Whether everybody has to log in; raises SettingRefused where `off` would open the desk."""
    alone = is_loopback(settings["host"]) and not settings["behind_proxy"]
    if settings["login"] == "off" and not alone:
        raise SettingRefused(
            "免登录只能用于 127.0.0.1，且前面没有代理",
            where="login",
            fix='请改 login = "required"，或改 host 和 behind_proxy',
        )
    if settings["login"] == "auto" and alone:
        # Whoever made accounts means to tell people apart, and may have put a proxy before us.
        return accounts.has_passwords()
    return bool(settings["login"] != "off")


def guard(app: Flask, *, accounts: Accounts, settings: Settings, roles: Mapping[str, Role]) -> None:
    """Let nobody through who may not; `roles` states the weakest role for every endpoint."""
    keeper = _Keeper(accounts, settings, dict(roles))
    app.extensions["gaoqian.accounts"] = accounts
    app.extensions["gaoqian.login"] = keeper.login
    app.extensions["gaoqian.roles"] = dict(roles)
    app.before_request(keeper.check)
    app.after_request(_keep_private)


class _Keeper:
    def __init__(self, accounts: Accounts, settings: Settings, roles: Mapping[str, Role]) -> None:
        self._accounts = accounts
        self._roles = roles
        self.login = is_login_needed(settings, accounts)
        self._hosts = tuple(
            host.strip().lower() for host in settings["trusted_hosts"].split(",") if host.strip()
        )
        if not self.login:
            # Else a page elsewhere could point its own name at 127.0.0.1 and read everything.
            self._hosts = (*_LOCAL_HOSTS, *self._hosts)

    def check(self) -> None:
        g.asker = NOBODY
        asked = request._get_current_object()  # type: ignore[attr-defined]
        self._check(asked)

    def _check(self, request: Request) -> None:
        if self._hosts and not _is_trusted(request.host, self._hosts):
            raise Malformed(
                "这个主机名不可用", where="Host", fix="技术人员可以把它加进设置 trusted_hosts"
            )
        if request.url_rule is None:
            return  # there is nothing here, or not by this method; Flask says which
        role = self._roles.get(request.endpoint or "")
        if role is None:
            raise NotAllowed("没有写明谁可以用这个地址")
        token = _bearer(request)
        if token is None and request.method not in _SAFE and _is_foreign(request):
            raise NotAllowed("请求来自别的网站", where="Origin", fix="请在稿签自己的页面上操作")
        if role == "stranger":
            return
        g.asker = asker = self._who(request, token)
        if not asker.may("reader"):
            raise LoginNeeded("没有登录，或登录已失效", fix="请登录，或带上有效的接口令牌")
        if asker.must_change and request.endpoint not in _WITH_A_GIVEN_PASSWORD:
            raise NotAllowed("还在用别人给的密码", fix="请先改成自己的密码")
        if not asker.may(role):
            raise NotAllowed(f"{_NAMES[role]}才能这样做", fix="请找管理员")

    def _who(self, request: Request, token: str | None) -> Asker:
        if token is not None:
            holder = self._accounts.by_token(token)
            return Asker(holder.name, _role(holder.role), "token") if holder else NOBODY
        if not self.login:
            if not is_loopback(request.remote_addr or "") or is_forwarded(request):
                raise NotAllowed(
                    "免登录只限本机直接访问", fix="前面有代理时请设 behind_proxy = true"
                )
            return Asker(LOCAL_NAME, "administrator", "local")
        cookie = request.cookies.get(SESSION_COOKIE)
        user = self._accounts.by_cookie(cookie) if cookie else None
        if user is None:
            return NOBODY
        return Asker(user.name, _role(user.role), "session", user.must_change)


_NAMES = {"stranger": "谁都", "reader": "读者", "editor": "编辑", "administrator": "管理员"}


def _role(word: str) -> Role:
    return ROLES[ROLES.index(word)]


def _bearer(request: Request) -> str | None:
    # Any other scheme (a proxy's own Basic) is no answer to our question, nor is it refused.
    if "HTTP_AUTHORIZATION" not in request.environ:
        return None
    sent = request.authorization
    return sent.token or "" if sent is not None and sent.type == "bearer" else None


def _is_foreign(request: Request) -> bool:
    site = request.environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.environ.get("HTTP_ORIGIN")
    if origin is None:
        return False  # every browser sends one of the two; a program need not
    try:
        return urlsplit(origin).netloc.lower() != request.host.lower()
    except ValueError:
        return True


@lru_cache(maxsize=1024)  # asked for every request, and of few hosts and addresses
def _is_trusted(host: str, trusted: tuple[str, ...]) -> bool:
    name = host.lower()
    if not name.endswith("]"):
        name = name.rpartition(":")[0] or name
    return any(
        name == one or (one.startswith(".") and (name.endswith(one) or name == one[1:]))
        for one in trusted
    )


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address can be reached from its own machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_forwarded(request: Request) -> bool:
    """Whether a proxy says that a request comes from elsewhere."""
    return any(name in request.environ for name in _FORWARDED)


def _keep_private(response: Response) -> Response:
    if asker().by != "nobody" and "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
