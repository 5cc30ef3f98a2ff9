"""`gaoqian users` and `gaoqian tokens`: accounts from the machine the service runs on."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from service.settings import read_settings

if TYPE_CHECKING:
    from service.accounts import Accounts, By

_ROLES = click.Choice(["reader", "editor", "administrator"])
_ask = click.option("--ask", is_flag=True, help="自己输入密码，而不是生成一个")
_json = click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON 对象")


@contextmanager
def _accounts() -> Iterator[Accounts]:
    from service.accounts import Accounts
    from service.store import open_store

    def now() -> datetime:
        return datetime.now(UTC)

    store = open_store(read_settings()["database"], clock=now)
    try:
        yield Accounts(store.accounts, clock=now)
    finally:
        store.close()


def _by() -> By:
    from service.accounts import By

    return By(f"{getpass.getuser()}（命令行）")


def _asked() -> str:
    return str(click.prompt("密码", hide_input=True, confirmation_prompt="再输入一次"))


def _tell(name: str, given: str) -> None:
    if given:
        click.echo(f"密码（只显示这一次，首次登录须改）：{given}")
    click.echo(f"{name} 可以登录了。")


@click.group(short_help="管理账号")
def users() -> None:
    """管理账号。有了能登录的账号，重启服务后本机也要登录，除非设 login = "off"。"""


@users.command("list", short_help="列出账号")
@_json
def list_users(as_json: bool) -> None:
    """列出账号、角色和状态。"""
    with _accounts() as accounts:
        for user in accounts.users():
            if as_json:
                record = {
                    "name": user.name,
                    "shown": user.shown,
                    "role": user.role.value,
                    "created": user.created.isoformat(),
                    "disabled": user.disabled and user.disabled.isoformat(),
                    "program": not user.password_hash,
                }
                click.echo(json.dumps(record, ensure_ascii=False))
                continue
            marks = ["已停用"] if user.disabled else []
            marks += [] if user.password_hash else ["只凭令牌"]
            click.echo("  ".join([user.name, user.role.value, user.shown, *marks]).rstrip())


@users.command("add", short_help="新建账号")
@click.argument("name", metavar="账号")
@click.option("--role", type=_ROLES, default="editor", show_default=True, help="角色")
@click.option("--shown", default="", help="稿签上显示的名字")
@click.option("--program", is_flag=True, help="给程序用：没有密码，只凭令牌")
@_ask
def add_user(name: str, role: str, shown: str, program: bool, ask: bool) -> None:
    """新建账号；密码由程序生成，只显示一次，除非用 --ask 自己输入。"""
    from service.store.records import Role

    if program and ask:
        raise click.UsageError("--program 的账号没有密码，不能同时用 --ask")
    with _accounts() as accounts:
        if program:
            user = accounts.add_program(name, role=Role(role), shown=shown, by=_by())
            click.echo(f"已建立 {user.name}。请用 gaoqian tokens add {user.name} 开令牌。")
            return
        chosen = _asked() if ask else None
        user, given = accounts.add_user(
            name, role=Role(role), shown=shown, password=chosen, by=_by()
        )
    _tell(user.name, given)


@users.command("password", short_help="重设密码")
@click.argument("name", metavar="账号")
@_ask
def reset_password(name: str, ask: bool) -> None:
    """重设密码；这个账号在各处的登录都失效。"""
    with _accounts() as accounts:
        given = accounts.reset_password(name, password=_asked() if ask else None, by=_by())
    _tell(name, given)


@users.command("role", short_help="改角色")
@click.argument("name", metavar="账号")
@click.argument("role", type=_ROLES, metavar="reader|editor|administrator")
def change_role(name: str, role: str) -> None:
    """改角色。"""
    from service.store.records import Role

    with _accounts() as accounts:
        user = accounts.change_user(name, role=Role(role), by=_by())
    click.echo(f"{user.name} 现在是 {user.role.value}。")


@users.command("disable", short_help="停用账号")
@click.argument("name", metavar="账号")
def disable_user(name: str) -> None:
    """停用账号；它的登录和令牌立即失效，做过的事仍留着名字。"""
    with _accounts() as accounts:
        user = accounts.change_user(name, disabled=True, by=_by())
    click.echo(f"{user.name} 已停用。")


@users.command("enable", short_help="重新启用账号")
@click.argument("name", metavar="账号")
def enable_user(name: str) -> None:
    """重新启用账号；令牌要重开。"""
    with _accounts() as accounts:
        user = accounts.change_user(name, disabled=False, by=_by())
    click.echo(f"{user.name} 已启用。")


@click.group(short_help="管理接口令牌")
def tokens() -> None:
    """管理接口令牌。"""


@tokens.command("list", short_help="列出令牌")
@click.option("--user", metavar="账号", help="只列这个账号的")
@_json
def list_tokens(user: str | None, as_json: bool) -> None:
    """列出令牌：编号、账号、开头、权限、期限、最近使用。"""
    with _accounts() as accounts:
        for token in accounts.tokens(user):
            if as_json:
                record = {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for name in token.__slots__
                    for value in (getattr(token, name),)
                }
                click.echo(json.dumps(record, ensure_ascii=False))
                continue
            state = "已作废" if token.revoked else f"到 {token.expires:%Y-%m-%d}"
            used = f"{token.used:%Y-%m-%d %H:%M} 用过" if token.used else "没用过"
            click.echo(
                f"{token.id}  {token.user}  {token.hint}…  {token.scope.value}  {state}  {used}"
                f"  {token.name}"
            )


@tokens.command("add", short_help="新开令牌")
@click.argument("user", metavar="账号")
@click.option("--name", default="", help="给谁用、做什么用")
@click.option("--scope", type=_ROLES, default="editor", show_default=True, help="权限")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="期限")
def add_token(user: str, name: str, scope: str, days: int) -> None:
    """新开令牌，单独一行写到标准输出，只显示这一次。"""
    from service.store.records import Role

    with _accounts() as accounts:
        token, secret = accounts.add_token(
            user, name=name, scope=Role(scope), lasts=timedelta(days=days), by=_by()
        )
    click.echo(f"令牌 {token.id}，{days} 天后失效，只显示这一次：", err=True)
    click.echo(secret)


@tokens.command("revoke", short_help="作废令牌")
@click.argument("number", type=click.IntRange(1, 2**53 - 1), metavar="编号")
def revoke_token(number: int) -> None:
    """作废令牌，立即生效。"""
    with _accounts() as accounts:
        token = accounts.revoke_token(number, by=_by())
    click.echo(f"令牌 {token.id}（{token.user}）已作废。")
