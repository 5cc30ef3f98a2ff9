"""`gaoqian serve` and `gaoqian config`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.settings import SETTINGS, read_settings

if TYPE_CHECKING:
    from flask import Flask

    from service.settings import Settings


@click.command(short_help="启动网页与接口服务")
@click.option("--host", help="监听的地址")
@click.option("--port", type=click.IntRange(0, 65535), help="监听的端口")
@click.option("--workers", type=click.IntRange(1, 64), help="进程数")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """启动网页与接口服务；Ctrl-C 或 SIGTERM 停止，手头的请求先做完。"""
    given = {"host": host, "port": port, "workers": workers}
    settings = read_settings().replaced(
        {name: value for name, value in given.items() if value is not None}
    )
    counts = Path(tempfile.mkdtemp(prefix="gaoqian-metrics-"))
    started_by = os.getpid()
    try:
        _serve(settings, counts)
    finally:
        if os.getpid() == started_by:  # a worker that ends comes by here as well
            shutil.rmtree(counts, ignore_errors=True)


def _serve(settings: Settings, counts: Path) -> None:
    # The processes add up their counts in a folder that prometheus_client asks for as it is
    # imported; a new one for each start, for counts of an earlier start are nobody's.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counts)
    from service.app import create_app
    from service.logs import start_log

    app = create_app(settings)
    _tell_who_may(app, settings)
    served = app.extensions["gaoqian.served"]
    served.refresh()  # before the processes fork: they share the dictionary and the model
    if not served.status().serving:
        click.echo(f"注意：{served.status().problem}", err=True)
    start_log(with_articles=settings["log_articles"])
    click.echo(f"稿签在 http://{settings['host']}:{settings['port']}/ ，Ctrl-C 停止。", err=True)
    _run(app, settings)


def _tell_who_may(app: Flask, settings: Settings) -> None:
    from service.access import is_loopback

    if not app.extensions["gaoqian.login"]:
        click.echo("本机单人使用，不要登录：能用这台电脑的人都能用稿签。", err=True)
        return
    accounts = app.extensions["gaoqian.accounts"]
    password = accounts.first_administrator()
    if password:
        click.echo(f"已建立管理员 admin，密码（只显示这一次，首次登录须改）：{password}", err=True)
    elif not accounts.has_passwords():
        click.echo("注意：还没有人能登录，请 gaoqian users add 账号 --role administrator", err=True)
    if not (settings["behind_proxy"] or is_loopback(settings["host"])):
        click.echo(
            "注意：没有经 TLS，登录内容在网络上是明文；请放在 nginx 后面，见 behind_proxy。",
            err=True,
        )


def _run(app: Flask, settings: Settings) -> None:
    from gunicorn.app.base import BaseApplication
    from gunicorn.glogging import Logger
    from prometheus_client.multiprocess import mark_process_dead

    from service.caretaker import Caretaker
    from service.patience import CONNECTIONS, PatientWorker, allow_open_files
    from service.webhook import Courier

    allow_open_files()

    def begin(worker: Any) -> None:
        store, served = app.extensions["gaoqian.store"], app.extensions["gaoqian.served"]
        served.watch()
        Caretaker(store, app.extensions["gaoqian.models"], served).start()
        app.extensions["gaoqian.stopping"] = lambda: not worker.alive
        target = app.extensions["gaoqian.webhook"]
        if target is not None:
            Courier(store, target).start()

    def end(_: Any, worker: Any) -> None:
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
        worker.leave_place()

    class Log(Logger):  # type: ignore[misc]
        """What gunicorn says, said with everything else."""

        def setup(self, cfg: Any) -> None:
            super().setup(cfg)
            self.error_log.handlers.clear()
            self.error_log.propagate = True

    options = {
        "bind": f"{settings['host']}:{settings['port']}",
        "workers": settings["workers"],
        "threads": settings["threads"],
        "worker_class": PatientWorker,
        "worker_connections": CONNECTIONS,
        "timeout": settings["timeout"],
        "graceful_timeout": settings["timeout"],
        "keepalive": 15,
        "preload_app": True,
        "loglevel": "warning",
        "proc_name": "gaoqian",
        "pre_fork": lambda arbiter, worker: worker.take_place(arbiter.WORKERS.values()),
        "post_worker_init": begin,
        "child_exit": end,
        "logger_class": Log,
        "control_socket_disable": True,
        # What a proxy says counts only with behind_proxy, and then in the app.
        "forwarded_allow_ips": "",
    }

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in options.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> Flask:
            return app

    Server().run()


@click.command(short_help="列出全部设置")
def config() -> None:
    """列出全部设置、现在的值和它从哪里来。"""
    settings = read_settings()
    for setting in SETTINGS:
        value, source = settings[setting.name], settings.sources[setting.name]
        if setting.name == "database":
            value = re.sub(r"(://[^:/@]*:)[^@]*@", r"\1***@", value)
        if setting.name in ("webhook_secret", "metrics_token") and value:
            value = "***"
        click.echo(f"{setting.name} = {value}    # {setting.help}（{source}；{setting.variable}）")
