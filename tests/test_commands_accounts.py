"""The first start of a real server, and accounts from the command line."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from desks import GOOD

from classifier.errors import Conflict, NotFound, Unfit
from service.accounts import Accounts
from service.cli import gaoqian
from service.store import open_store
from service.store.records import Role


def started(environment: dict[str, str]) -> tuple[subprocess.Popen[str], str, str]:
    """A server of our own, what it said, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--workers", "2"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        line = server.stderr.readline()
        assert line, said
        said += line
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/healthz"):
                return server, said, url
        except OSError:
            time.sleep(0.1)
    raise AssertionError(said)


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)


def test_a_real_server_makes_its_administrator_once(tmp_path: Path) -> None:
    """The first start prints a password that works; the second prints none; restarts keep logins."""
    environment = {
        **os.environ,
        "GAOQIAN_DATABASE": str(tmp_path / "desk.db"),
        "GAOQIAN_LOGIN": "required",
    }

    server, said, url = started(environment)
    try:
        (password,) = re.findall(r"\b[a-z2-9]{4}(?:-[a-z2-9]{4}){3}\b", said)
        request = urllib.request.Request(
            f"{url}/v1/login",
            json.dumps({"name": "admin", "password": password}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            cookie = response.headers["Set-Cookie"].split(";")[0]
            assert json.load(response)["must_change"] is True
    finally:
        stop(server)
    server, said, url = started(environment)
    try:
        assert password not in said and "密码" not in said
        request = urllib.request.Request(f"{url}/v1/me", headers={"Cookie": cookie})
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["name"] == "admin"
    finally:
        stop(server)


def test_serve_refuses_to_stand_open(tmp_path: Path) -> None:
    """login = off on an outside address: exit 1 with a sentence, and nothing listens."""
    environment = {
        **os.environ,
        "GAOQIAN_DATABASE": str(tmp_path / "desk.db"),
        "GAOQIAN_LOGIN": "off",
        "GAOQIAN_HOST": "0.0.0.0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1 and "免登录只能用于" in done.stderr
    assert "Traceback" not in done.stderr


def test_accounts_from_the_command_line(tmp_path: Path) -> None:
    """What the technician makes there works here; refusals are our own errors, not tracebacks."""
    path = str(tmp_path / "gaoqian.db")

    def say(*words: str) -> str:
        told = CliRunner().invoke(gaoqian, words, standalone_mode=False)
        if told.exception is not None:
            raise told.exception
        return told.stdout

    password = say("users", "add", "王编辑", "--role", "administrator").split("：")[1].split()[0]
    say("users", "add", "采编系统", "--program")
    secret = say("tokens", "add", "采编系统", "--name", "CMS", "--days", "30").strip()
    with pytest.raises(Conflict):
        say("users", "add", "王编辑")
    with pytest.raises(Conflict, match="管理员"):
        say("users", "disable", "王编辑")
    with pytest.raises(NotFound):
        say("users", "password", "没有这人")
    with pytest.raises(click.UsageError):
        say("users", "add", "x", "--program", "--ask")
    assert json.loads(say("tokens", "list", "--json"))["hint"] == secret[:7]
    listed = [json.loads(line) for line in say("users", "list", "--json").splitlines()]
    assert {one["name"]: one["program"] for one in listed} == {"王编辑": False, "采编系统": True}

    store = open_store(path)
    accounts = Accounts(store.accounts, clock=store.clock)
    assert accounts.log_in("王编辑", password, address="").user.must_change
    given = say("users", "password", "王编辑").split("：")[1].split()[0]
    assert accounts.log_in("王编辑", given, address="").user.role is Role.ADMINISTRATOR
    holder = accounts.by_token(secret)
    assert holder is not None and holder.name == "采编系统"
    assert say("users", "role", "采编系统", "reader") == "采编系统 现在是 reader。\n"
    lowered = accounts.by_token(secret)
    assert lowered is not None and lowered.role is Role.READER
    (number,) = [one.id for one in accounts.tokens()]
    say("tokens", "revoke", str(number))
    assert accounts.by_token(secret) is None
    assert "已作废" in say("tokens", "list", "--user", "采编系统")
    say("users", "disable", "采编系统")
    assert "已停用  只凭令牌" in say("users", "list")
    say("users", "enable", "采编系统")
    assert "已停用" not in say("users", "list")
    by = {entry.by for entry in accounts.audit(limit=99) if entry.action == "token.revoke"}
    assert by == {f"{getpass.getuser()}（命令行）"}
    store.close()


def test_a_password_may_be_typed_instead(tmp_path: Path) -> None:
    """With --ask it is asked for twice, held to the rules, and not to be changed at login."""
    typed = f"{GOOD}\n{GOOD}\n"
    made = CliRunner().invoke(gaoqian, ["users", "add", "王编辑", "--ask"], input=typed)
    weak = CliRunner().invoke(
        gaoqian, ["users", "add", "李编辑", "--ask"], input="1234567890\n1234567890\n"
    )

    assert made.exit_code == 0 and GOOD not in made.output
    assert isinstance(weak.exception, Unfit)
    store = open_store(str(tmp_path / "gaoqian.db"))
    accounts = Accounts(store.accounts, clock=store.clock)
    assert not accounts.log_in("王编辑", GOOD, address="").user.must_change
    store.close()


def test_the_password_of_a_database_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gaoqian config` can be pasted into a letter."""
    monkeypatch.setenv("GAOQIAN_DATABASE", "postgresql://desk:gehe:im@10.0.0.5/gaoqian")

    told = CliRunner().invoke(gaoqian, ["config"]).output
    assert "gehe" not in told and "postgresql://desk:***@10.0.0.5/gaoqian" in told
