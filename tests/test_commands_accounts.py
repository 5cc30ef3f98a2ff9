"""The first start of a real server, and accounts from the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from desks import FAST

from service.accounts import Accounts
from service.store import open_store


def run(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


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
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"{url}/healthz"):
                return server, said, url
        except OSError:
            time.sleep(0.1)
    raise AssertionError(said)


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)


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
    done = run("serve", environment=environment)

    assert done.returncode == 1 and "免登录只能用于" in done.stderr
    assert "Traceback" not in done.stderr


def test_accounts_from_the_command_line(tmp_path: Path) -> None:
    """What the technician makes there works here; refusals are sentences and exit code 1."""
    path = str(tmp_path / "desk.db")
    environment = {**os.environ, "GAOQIAN_DATABASE": path}

    def say(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run(*arguments, environment=environment)

    added = say("users", "add", "王编辑", "--role", "administrator")
    assert added.returncode == 0, added.stderr
    password = added.stdout.split("：")[1].split()[0]
    program = say("users", "add", "采编系统", "--program")
    assert program.returncode == 0, program.stderr
    secret = say("tokens", "add", "采编系统", "--name", "CMS", "--days", "30").stdout.strip()
    again = say("users", "add", "王编辑")
    assert again.returncode == 1 and "Traceback" not in again.stderr
    last = say("users", "disable", "王编辑")
    assert last.returncode == 1 and "管理员" in last.stderr
    assert json.loads(say("tokens", "list", "--json").stdout)["hint"] == secret[:7]
    listed = [json.loads(line) for line in say("users", "list", "--json").stdout.splitlines()]
    assert {one["name"]: one["program"] for one in listed} == {"王编辑": False, "采编系统": True}

    store = open_store(path, clock=lambda: datetime.now(UTC))
    accounts = Accounts(store.accounts, clock=lambda: datetime.now(UTC), passwords=FAST)
    assert accounts.log_in("王编辑", password, address="").user.must_change
    holder = accounts.by_token(secret)
    assert holder is not None and holder.name == "采编系统"
    (number,) = [one.id for one in accounts.tokens()]
    assert say("tokens", "revoke", str(number)).returncode == 0
    assert accounts.by_token(secret) is None
    store.close()
