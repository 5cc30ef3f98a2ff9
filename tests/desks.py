"""A desk for tests: the app with an account of every role, and ways to ask it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from conftest import Clock
from databases import lay_tables
from flask import Flask
from werkzeug.test import TestResponse

from service.accounts import Accounts, By
from service.api.routes import SESSION_COOKIE
from service.app import create_app
from service.passwords import Passwords
from service.retrain import LOCK
from service.settings import Settings, read_settings
from service.store import open_store
from service.store.records import Role

FAST = Passwords(time_cost=1, memory_kib=8)
GOOD = "护河 91 条，桥 7 座"
BY = By("王主任", "10.0.0.1")
HOST = "desk.example.cn"


@dataclass(frozen=True)
class Desk:
    """An app, and its accounts."""

    app: Flask
    clock: Clock

    @property
    def accounts(self) -> Accounts:
        found = self.app.extensions["gaoqian.accounts"]
        assert isinstance(found, Accounts)
        return found

    def ask(
        self, method: str, path: str, *, cookie: str = "", token: str = "", **given: Any
    ) -> TestResponse:
        """One request; a reply that never ends is cut."""
        client = self.app.test_client()
        if cookie:
            client.set_cookie(SESSION_COOKIE, cookie, domain=HOST)
        headers = dict(given.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        given.setdefault("base_url", f"http://{HOST}")
        response = client.open(path, method=method, headers=headers, **given)
        response.close()
        return response

    def log_in(self, name: str = "editor", password: str = GOOD, **given: Any) -> TestResponse:
        """A login over HTTP."""
        body = {"name": name, "password": password}
        return self.ask("POST", "/v1/login", json=body, **given)

    def cookie(self, name: str) -> str:
        """A session."""
        return self.accounts.log_in(name, GOOD, address="10.1.1.1").cookie

    def token(self, name: str, *, days: float = 30) -> tuple[int, str]:
        """A token of the whole scope of one of the accounts named after their roles."""
        made, secret = self.accounts.add_token(
            name, name="", scope=Role(name), lasts=timedelta(days=days), by=BY
        )
        return made.id, secret


def session_of(response: TestResponse) -> Any:
    """The session cookie that a reply sets."""
    return SimpleCookie(response.headers["Set-Cookie"])[SESSION_COOKIE]


def chosen(folder: Path, **values: Any) -> Settings:
    """Settings with everything in one folder."""
    given = {"database": str(folder / "desk.db"), "models": str(folder / "models"), **values}
    return read_settings({}).replaced(given)


@contextmanager
def desk_of(folder: Path, **values: Any) -> Iterator[Desk]:
    """A desk on SQLite with these settings, where a retraining is under way."""
    clock = Clock()
    settings = chosen(folder, **values)
    if "://" not in settings["database"]:
        lay_tables(Path(settings["database"]))
    store = open_store(settings["database"], clock=clock)
    settings.models.mkdir(parents=True, exist_ok=True)
    try:
        # So that no test that tries all routes leaves a training running behind it.
        with (settings.models / LOCK).open("a") as retraining:
            fcntl.flock(retraining, fcntl.LOCK_EX)
            yield Desk(create_app(settings, store=store, passwords=FAST), clock)
    finally:
        store.close()


@contextmanager
def staffed_desk(folder: Path, **values: Any) -> Iterator[Desk]:
    """A desk that asks everybody to log in, with an account of every role."""
    with desk_of(folder, login="required", **values) as desk:
        for role in Role:
            desk.accounts.add_user(role.value, role=role, password=GOOD, by=BY)
        yield desk
