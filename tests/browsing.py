"""A person at a browser for tests: the desk as it is used, on a real server.

What imports this is skipped where playwright or chromium is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from desks import FAST, GOOD
from running import Running, running

from classifier.registry import Registry
from service.accounts import Accounts, By
from service.store import open_store
from service.store.records import Role
from service.store.store import now

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
WIDTHS = {"desk": (1440, 900), "phone": (390, 844)}

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if not Path(CHROMIUM).is_file():
    pytest.skip("chromium is not installed (apt-get install chromium)", allow_module_level=True)
expect = playwright.expect
expect.set_options(timeout=60_000)

ARTICLES = [
    {"title": f"第{number}届老年人助餐与党建座谈", "text": f"社区党支部为{number}0位老人送餐。" * 3}
    for number in range(1, 8)
]


@contextmanager
def open_browser() -> Iterator[Any]:
    """One browser for all."""
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield found
        found.close()


@contextmanager
def server_of(folder: Path, registry: Registry, **settings: Any) -> Iterator[Running]:
    """A real server with a model, an editor, another editor, a reader and an administrator."""
    store = open_store(str(folder / "gaoqian.db"), clock=now)
    accounts = Accounts(store.accounts, clock=now, passwords=FAST)
    for name, role in (
        ("王编辑", Role.EDITOR),
        ("李编辑", Role.EDITOR),
        ("读者", Role.READER),
        ("主任", Role.ADMINISTRATOR),
    ):
        accounts.add_user(name, role=role, password=GOOD, by=By("test"))
    store.close()
    chosen = {"models": registry.folder, "login": "required", "threads": 8, **settings}
    with running(folder, **chosen) as found:
        yield found


class Editor:
    """A person at a browser, who notices what goes wrong behind the page."""

    def __init__(self, browser: Any, server: Running, width: str = "desk", **given: Any) -> None:
        self.base = f"http://127.0.0.1:{server.port}"
        wide, high = WIDTHS[width]
        self.context = browser.new_context(
            viewport={"width": wide, "height": high},
            base_url=self.base,
            accept_downloads=True,
            **given,
        )
        self.context.set_default_timeout(60_000)
        self.troubles: list[str] = []
        self.hosts: set[str] = set()
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _heard(self, message: Any) -> None:
        # A refusal of the service is no trouble of the page; a broken policy is.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    def log_in(self, name: str = "王编辑", *, at: str = "/") -> None:
        self.page.goto(at)
        self.page.get_by_label("账号").fill(name)
        self.page.get_by_label("密码").fill(GOOD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("body.may-reader")

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.context.request.fetch(
            path, method=method, data=body, headers={"Origin": self.base}
        )
        assert answer.ok, answer.text()
        return answer.json()

    def submit(self, *articles: dict[str, str]) -> list[dict[str, Any]]:
        stored = self.api("POST", "/v1/submissions", {"articles": [*articles]})["submissions"]
        assert isinstance(stored, list)
        return stored

    def shown(self) -> str:
        """The id of the article on the page, once keys act on it."""
        self.page.wait_for_selector("#article[data-id]")
        return str(self.page.get_attribute("#article", "data-id"))

    def leaves(self, id: str) -> None:
        """Another article is on the page."""
        self.page.wait_for_selector(f"#article[data-id]:not([data-id='{id}'])")

    def comes_to(self, id: str) -> None:
        """This article is on the page."""
        self.page.wait_for_selector(f"#article[data-id='{id}']")

    def detail(self, id: str) -> dict[str, Any]:
        found = self.api("GET", f"/v1/submissions/{id}")
        assert isinstance(found, dict)
        return found
