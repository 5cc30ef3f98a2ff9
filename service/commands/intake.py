"""`gaoqian watch` and `gaoqian mail`: manuscripts that arrive otherwise than by HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.settings import MAIL_PASSWORD_VARIABLE, Settings, read_settings

if TYPE_CHECKING:
    from classifier.model import Classifier
    from service.mail import Account
    from service.stopping import Stop
    from service.store import Store
    from service.watch import WatchedFolder

_MIB = 1024 * 1024
_LOOK_SECONDS = 1.0
_ONCE_SECONDS = 60.0  # that `watch --once` waits for files that are still being written


@click.command(short_help="看一个文件夹，放进来的稿件自动收下")
@click.argument("folder", metavar="文件夹", type=click.Path(path_type=Path))
@click.option("--page", is_flag=True, help="每个文件是一整版报纸，先拆成各篇")
@click.option("--once", is_flag=True, help="收完现有的文件就退出")
def watch(folder: Path, page: bool, once: bool) -> None:
    """看一个文件夹：稿件收下后移到其中的 done/，收不了的移到 failed/，旁边各放一张说明。

    正在复制的文件等它不再变化才收；重启、断电都不丢不重。同样内容的文件只收一次。
    """
    from service.arrival import into_store
    from service.intake import Limits
    from service.receive import read_pieces
    from service.stopping import stopped_by_signals
    from service.watch import WatchedFolder

    settings = read_settings()
    most_bytes = settings["max_body_mb"] * _MIB
    limits = Limits(file_bytes=most_bytes)
    place = folder.resolve()
    with _store(settings) as (store, model), stopped_by_signals() as stop:
        receive = into_store(
            store,
            model,
            read=lambda content, name: read_pieces(content, name=name, page=page, limits=limits),
            source=f"watch:{place.name}",
            scope=f"watch{':page' if page else ''}:{place}",
        )
        watched = WatchedFolder(
            folder,
            receive,
            settle=settings["settle_seconds"],
            most_bytes=most_bytes,
            clock=time.monotonic,
            now=lambda: datetime.now().astimezone(),
            tell=_tell,
        )
        try:
            if once:
                _look_once(watched, stop)
            else:
                _tell(f"在看 {folder}，Ctrl-C 停止。")
                while not stop.is_set():
                    watched.look()
                    stop.wait(_LOOK_SECONDS)
        finally:
            watched.close()


def _look_once(watched: WatchedFolder, stop: Stop) -> None:
    """Look until nothing waits; exit code 1 where something failed or would not settle."""
    done = failed = 0
    given_up = time.monotonic() + _ONCE_SECONDS
    while True:
        look = watched.look()
        done, failed = done + look.done, failed + look.failed
        if look.done or look.failed:
            given_up = time.monotonic() + _ONCE_SECONDS
        if not look.waiting or stop.is_set() or time.monotonic() > given_up:
            break
        stop.wait(0.1)
    _tell(f"收下 {done} 个文件，没有收下 {failed} 个，还在等 {look.waiting} 个。")
    if failed or look.waiting:
        raise click.exceptions.Exit(1)


@click.command(short_help="收邮箱里的来稿")
@click.option("--once", is_flag=True, help="收完现有的信就退出")
def mail(once: bool) -> None:
    """收邮箱里的来稿：未读的信，正文和附件各成一稿，收下后标为已读；读不了的加星标。

    邮箱在设置里写明（mail_host、mail_user 等，见 gaoqian config）。断线会自己重连。
    """
    from service.arrival import into_store
    from service.intake import Limits
    from service.mail import MailIntake, manuscripts
    from service.stopping import stopped_by_signals

    settings = read_settings()
    account = _account(settings)
    if account.security == "none":
        _tell("注意：mail_security = none，密码和来稿在网络上是明文。")
    most_bytes = settings["max_body_mb"] * _MIB
    limits = Limits(file_bytes=most_bytes)
    with _store(settings) as (store, model), stopped_by_signals() as stop:
        mailbox = f"mail:{account.user}@{account.host}"
        receive = into_store(
            store,
            model,
            read=lambda content, name: manuscripts(content, name, limits=limits),
            source=mailbox,
            scope=mailbox,
        )
        intake = MailIntake(account, receive, most_bytes=most_bytes, tell=_tell)
        # The first look says at once what is wrong with the settings.
        first = intake.look()
        if once:
            _tell(f"收下 {first.taken} 封信，没有收下 {first.refused} 封。")
            if first.refused:
                raise click.exceptions.Exit(1)
            return
        _tell(f"在收 {account.user}@{account.host} 的来稿，Ctrl-C 停止。")
        stop.wait(settings["mail_seconds"])
        intake.keep_looking(stop, interval=settings["mail_seconds"])


def _account(settings: Settings) -> Account:
    from classifier.errors import SettingRefused
    from service.mail import Account

    for name in ("mail_host", "mail_user"):
        if not settings[name]:
            raise SettingRefused(f"还没有设 {name}", fix="请写进设置文件，见 gaoqian config")
    return Account(
        settings["mail_host"],
        settings["mail_port"],
        settings["mail_user"],
        _password(settings["mail_password_file"]),
        security=settings["mail_security"],
        folder=settings["mail_folder"],
        ca=settings["mail_ca"],
    )


def _password(file: str) -> str:
    """From the file or the environment; never from the settings, which are shown."""
    from classifier.errors import SettingRefused

    if not file:
        if password := os.environ.get(MAIL_PASSWORD_VARIABLE, ""):
            return password
        raise SettingRefused(
            "没有邮箱密码", fix=f"请设 mail_password_file，或环境变量 {MAIL_PASSWORD_VARIABLE}"
        )
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingRefused(
            "读不出邮箱密码", where=f"mail_password_file = {file}", fix="文件应只有一行密码"
        ) from error
    if not lines or not lines[0]:
        raise SettingRefused("密码文件是空的", where=f"mail_password_file = {file}")
    return lines[0]


@contextmanager
def _store(settings: Settings) -> Iterator[tuple[Store, Callable[[], Classifier | None]]]:
    """The store, and the way to the model that serves at any moment."""
    from classifier.errors import ModelMissing
    from classifier.registry import Registry
    from service.serving import ServedModel
    from service.store import open_store

    served = ServedModel(Registry(settings.models), interval=settings["reload_seconds"])

    def model() -> Classifier | None:
        served.refresh()
        try:
            return served.model()
        except ModelMissing:
            return None

    store = open_store(settings["database"], clock=lambda: datetime.now(UTC))
    try:
        if model() is None:
            _tell("注意：还没有可用的模型；来稿照收，有了模型再标引。")
        yield store, model
    finally:
        store.close()


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)
