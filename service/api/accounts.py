"""Login, accounts, tokens and the record of who did what."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Literal

from flask import Response, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field

from classifier.errors import Conflict, Malformed, NotAllowed, NotFound
from service import access
from service.access import accounts, asker
from service.accounts import By, LoggedIn
from service.api import bodies
from service.api.predict import reply
from service.api.routes import SESSION_COOKIE, Route
from service.store.records import AuditEntry, Role, Token, User

AccountRole = Literal["reader", "editor", "administrator"]
_MOST_ID = 2**53 - 1


class LoginBody(bodies.Incoming):
    """账号和密码"""

    name: bodies.Text = Field(min_length=1, max_length=200)
    password: bodies.Text = Field(min_length=1, max_length=1000)


class PasswordBody(bodies.Incoming):
    """改自己的密码"""

    current: bodies.Text = Field(max_length=1000, description="现在的密码")
    password: bodies.Text = Field(max_length=1000, description="新密码")


class NewUserBody(bodies.Incoming):
    """新账号；不写密码则替它生成一个，只在答复里出现一次"""

    name: bodies.Text = Field(min_length=1, max_length=100, description="登录用的账号名")
    role: AccountRole
    shown: bodies.Text = Field("", max_length=40, description="稿签上显示的名字")
    password: bodies.Text | None = Field(None, max_length=1000)


class UserChangeBody(bodies.Incoming):
    """要改的几项，至少一项"""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    role: AccountRole | None = None
    shown: bodies.Text | None = Field(None, min_length=1, max_length=40)
    disabled: bool | None = Field(None, description="停用后登录和令牌立即失效")


class NewTokenBody(bodies.Incoming):
    """新接口令牌"""

    name: bodies.Text = Field(min_length=1, max_length=100, description="给谁用、做什么用")
    scope: AccountRole = Field(description="权限，不超过自己的")
    days: int = Field(365, ge=1, le=3650, description="几天后失效")


class MeReply(BaseModel):
    """正在使用的人"""

    name: str
    shown: str
    role: AccountRole
    by: Literal["session", "token", "local"] = Field(description="怎样认出来的")
    must_change: bool = Field(description="密码是别人给的，须先改掉")
    login: bool = Field(description="本服务是否要登录；本机单人使用时不要")


class UserReply(BaseModel):
    """一个账号"""

    name: str
    shown: str
    role: AccountRole
    created: datetime
    disabled: datetime | None
    must_change: bool
    program: bool = Field(description="没有密码，只凭令牌")


class UsersReply(BaseModel):
    """全部账号"""

    users: list[UserReply]


class NewUserReply(BaseModel):
    """新账号"""

    user: UserReply
    password: str = Field(description="替它生成的密码，只出现这一次；自己写了密码则为空")


class GivenPasswordReply(BaseModel):
    """新密码"""

    password: str = Field(description="只出现这一次")


class TokenReply(BaseModel):
    """一个接口令牌，不含令牌本身"""

    id: int
    user: str
    name: str
    hint: str = Field(description="开头几个字符，便于辨认")
    scope: AccountRole
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None = Field(description="最近一次使用")


class TokensReply(BaseModel):
    """接口令牌"""

    tokens: list[TokenReply]


class NewTokenReply(BaseModel):
    """新接口令牌"""

    token: TokenReply
    secret: str = Field(description="令牌本身，只出现这一次")


class AuditQuery(bodies.Query):
    """翻看记录"""

    limit: int = Field(100, ge=1, le=1000, description="最多几条")
    before: int | None = Field(None, ge=1, le=_MOST_ID, description="只要编号比它小的")
    by: bodies.Text | None = Field(None, max_length=200, description="谁做的")


class AuditReply(BaseModel):
    """一条记录"""

    id: int
    at: datetime
    by: str
    action: str
    subject: str
    detail: dict[str, Any]
    address: str


class AuditsReply(BaseModel):
    """谁在何时做了什么，新的在前"""

    entries: list[AuditReply]
    before: int | None = Field(description="下一页的 before；没有下一页为空")


def log_in() -> ResponseReturnValue:
    """Open a session under a new id."""
    sent = bodies.read_body(request, LoginBody)
    made = accounts().log_in(
        sent.name,
        sent.password,
        address=access.address(),
        agent=request.user_agent.string,
        instead_of=request.cookies.get(SESSION_COOKIE, ""),
    )
    return _with_session(made)


def log_out() -> ResponseReturnValue:
    """End the session of this browser, if it has one."""
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie:
        accounts().log_out(cookie, address=access.address())
    response = Response(status=204)
    response.delete_cookie(SESSION_COOKIE, secure=request.is_secure, httponly=True, samesite="Lax")
    return response


def me() -> ResponseReturnValue:
    """Who is asking."""
    found = asker()
    user = None if found.by == "local" else accounts().user(found.name)
    return _reply(_me(user, found.by))


def change_password() -> ResponseReturnValue:
    """Change one's own password; other browsers are logged out."""
    sent = bodies.read_body(request, PasswordBody)
    name = _own_account("密码")
    made = accounts().change_password(
        name,
        sent.current,
        sent.password,
        address=access.address(),
        agent=request.user_agent.string,
    )
    return _with_session(made)


def list_users() -> ResponseReturnValue:
    """All accounts."""
    return _reply(UsersReply(users=[_user(user) for user in accounts().users()]))


def add_user() -> ResponseReturnValue:
    """A new account, with a password chosen or made."""
    sent = bodies.read_body(request, NewUserBody)
    user, given = accounts().add_user(
        sent.name, role=Role(sent.role), shown=sent.shown, password=sent.password, by=_by()
    )
    return _reply(NewUserReply(user=_user(user), password=given), 201)


def change_user(name: str) -> ResponseReturnValue:
    """Change an account's role or shown name, disable or enable it."""
    sent = bodies.read_body(request, UserChangeBody)
    if not sent.model_fields_set:
        raise Malformed("没有写要改什么", fix="格式见 /docs")
    user = accounts().change_user(
        name,
        role=Role(sent.role) if sent.role else None,
        shown=sent.shown,
        disabled=sent.disabled,
        by=_by(),
    )
    return _reply(_user(user))


def reset_password(name: str) -> ResponseReturnValue:
    """Give an account a new password, shown once."""
    return _reply(GivenPasswordReply(password=accounts().reset_password(name, by=_by())))


def list_tokens() -> ResponseReturnValue:
    """One's own tokens; to an administrator, all."""
    owner = None if asker().may("administrator") else asker().name
    return _reply(TokensReply(tokens=[_token(token) for token in accounts().tokens(owner)]))


def add_token() -> ResponseReturnValue:
    """A new token of one's own, shown once."""
    sent = bodies.read_body(request, NewTokenBody)
    if asker().by == "token":
        raise NotAllowed("令牌不能再开令牌", fix="请登录后再开")
    token, secret = accounts().add_token(
        _own_account("令牌"),
        name=sent.name,
        scope=Role(sent.scope),
        lasts=timedelta(days=sent.days),
        by=_by(),
    )
    return _reply(NewTokenReply(token=_token(token), secret=secret), 201)


def revoke_token(number: int) -> ResponseReturnValue:
    """Make a token void at once."""
    if number > _MOST_ID:
        raise NotFound(f"没有编号为 {number} 的令牌")
    owner = None if asker().may("administrator") else asker().name
    return _reply(_token(accounts().revoke_token(number, owner=owner, by=_by())))


def audit() -> ResponseReturnValue:
    """Who did what, newest first."""
    sent = bodies.read_query(request, AuditQuery)
    found = accounts().audit(limit=sent.limit, before=sent.before, by=sent.by)
    more = found[-1].id if len(found) == sent.limit else None
    return _reply(AuditsReply(entries=[_entry(entry) for entry in found], before=more))


def _by() -> By:
    return By(asker().name, access.address())


def _own_account(what: str) -> str:
    if asker().by == "local":
        raise Conflict(
            f"本机单人使用时没有账号，也就没有{what}", fix="请先运行 gaoqian users add 再重启服务"
        )
    return asker().name


def _with_session(made: LoggedIn) -> Response:
    response = _reply(_me(made.user, "session"))
    response.set_cookie(
        SESSION_COOKIE,
        made.cookie,
        max_age=made.lasts,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _me(user: User | None, by: Literal["session", "token", "local", "nobody"]) -> MeReply:
    found = asker()
    return MeReply.model_validate(
        {
            "name": user.name if user else found.name,
            "shown": user.shown if user else found.name,
            "role": user.role if user else found.role,
            "by": by,
            "must_change": bool(user and user.must_change),
            "login": access.is_required(),
        }
    )


def _reply(record: BaseModel, status: int = 200) -> Response:
    return reply(record.model_dump(mode="json"), status)


def _user(user: User) -> UserReply:
    return UserReply.model_validate({**asdict(user), "program": not user.password_hash})


def _token(token: Token) -> TokenReply:
    return TokenReply.model_validate(asdict(token))


def _entry(entry: AuditEntry) -> AuditReply:
    return AuditReply.model_validate(asdict(entry))


_BODY = (400, 413, 415)
_RULED = (*_BODY, 422)

ROUTES = (
    Route(
        "POST",
        "/v1/login",
        log_in,
        "登录",
        reply=MeReply,
        bodies=(LoginBody,),
        refusals=(*_BODY, 401, 429, 503, 507),
        role="stranger",
    ),
    Route("POST", "/v1/logout", log_out, "退出登录", refusals=(503,), role="stranger", status=204),
    Route("GET", "/v1/me", me, "我是谁", reply=MeReply, role="reader"),
    Route(
        "POST",
        "/v1/me/password",
        change_password,
        "改自己的密码",
        reply=MeReply,
        bodies=(PasswordBody,),
        refusals=(*_RULED, 409, 429, 507),
        role="reader",
    ),
    Route("GET", "/v1/users", list_users, "全部账号", reply=UsersReply, role="administrator"),
    Route(
        "POST",
        "/v1/users",
        add_user,
        "新建账号",
        reply=NewUserReply,
        bodies=(NewUserBody,),
        refusals=(*_RULED, 409, 507),
        role="administrator",
        status=201,
    ),
    Route(
        "PATCH",
        "/v1/users/<name>",
        change_user,
        "改账号的角色、名字，停用或启用",
        reply=UserReply,
        bodies=(UserChangeBody,),
        refusals=(*_BODY, 404, 409, 507),
        role="administrator",
    ),
    Route(
        "POST",
        "/v1/users/<name>/password",
        reset_password,
        "给账号换一个生成的密码",
        reply=GivenPasswordReply,
        refusals=(404, 507),
        role="administrator",
    ),
    Route(
        "GET",
        "/v1/tokens",
        list_tokens,
        "自己的接口令牌；管理员看到全部",
        reply=TokensReply,
        role="reader",
    ),
    Route(
        "POST",
        "/v1/tokens",
        add_token,
        "新开接口令牌，须登录",
        reply=NewTokenReply,
        bodies=(NewTokenBody,),
        refusals=(*_RULED, 409, 507),
        role="reader",
        status=201,
    ),
    Route(
        "DELETE",
        "/v1/tokens/<int:number>",
        revoke_token,
        "作废接口令牌",
        reply=TokenReply,
        refusals=(404, 507),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/audit",
        audit,
        "谁在何时做了什么",
        reply=AuditsReply,
        query=AuditQuery,
        role="administrator",
    ),
)
