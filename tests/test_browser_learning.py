"""今日待审, retraining, doubted labels and themes in a real browser, on a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import ARTICLES, Editor, expect, open_browser, server_of
from lessons import shortened, written
from made_submissions import new, tagging
from running import Running

from classifier.article import Decision
from classifier.registry import Registry
from service.lessons import SUSPECTS
from service.store import open_store
from training.labelled import Corpus


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all."""
    with open_browser() as found:
        yield found


@pytest.fixture
def server(tmp_path: Path, registry: Registry, corpus: Corpus) -> Iterator[Running]:
    """A real server whose corpus is small, so that it can be retrained while one looks."""
    lesson = written(tmp_path / "lesson.jsonl", shortened(corpus, every=8, length=100).articles)
    with server_of(tmp_path, registry, corpus=lesson, reload_seconds=0.2) as found:
        yield found


def _doubt(registry: Registry, count: int) -> list[dict[str, Any]]:
    doubted = [
        {
            "id": f"c{number}", "title": f"语料里的第{number}篇", "text": "老人在食堂吃上了热饭。" * 5,
            "themes": ["environment"], "theme": "environment", "labelled": True,
            "probability": 0.03, "quality": 0.1, "confident": True,
        }
        for number in range(count)
    ]  # fmt: skip
    folder = registry.path(registry.current_id())
    found = {"suspects": doubted, "contradictions": []}
    (folder / SUSPECTS).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    return doubted


def _settle(database: Path, count: int) -> None:
    """Articles that a model tagged by itself, so that there is something to audit."""
    store = open_store(str(database))
    auto = tagging("environment", decision=Decision.AUTO)
    store.submissions.add(
        [
            new(f"第{number}次巡河，清理垃圾三公里。", title="河长巡河", tagging=auto)
            for number in range(count)
        ]
    )
    store.close()


def test_todays_minutes_by_keyboard(browser: Any, server: Running, tmp_path: Path) -> None:
    """An audited article shows no suggestion and wants a choice; in the end it is said to be enough."""
    editor = Editor(browser, server)
    editor.log_in("王编辑")
    page = editor.page
    editor.submit(*ARTICLES)
    _settle(tmp_path / "gaoqian.db", 6)
    page.goto("/today")
    count = len(editor.api("GET", "/v1/today?minutes=20")["items"])
    audits = 0
    for number in range(count):
        id = editor.shown()
        blind = page.locator(".state-blind").count() == 1
        if blind:
            audits += 1
            assert page.locator("#themes input:checked, #themes .bar, mark.lit").count() == 0
            page.keyboard.press("Enter")
            expect(page.locator("#saying")).to_contain_text("先选主题")
            assert editor.shown() == id
            page.keyboard.press("3")
        if number == 1:
            page.keyboard.press("0")
        page.keyboard.press("Enter")
        if number < count - 1:
            editor.leaves(id)
        if number == 1:
            editor.shown()
            page.keyboard.press("u")
            editor.comes_to(id)
            page.keyboard.press("3")
            page.keyboard.press("Enter")
            editor.leaves(id)
    expect(page.locator("#closing-head")).to_contain_text(f"今天的 {count} 篇审完了")
    expect(page.locator("#live tbody tr")).to_have_count(4)
    assert audits > 0
    live = editor.api("GET", "/v1/precision")["themes"]
    assert sum(one["audited"] + one["missed"] for one in live) >= audits
    assert editor.troubles == []
    editor.context.close()


def test_a_doubted_label_takes_one_key(browser: Any, server: Running, registry: Registry) -> None:
    """Enter keeps, x takes the doubted theme away, u takes that back, digits and Enter say otherwise."""
    _doubt(registry, 3)
    editor = Editor(browser, server)
    editor.log_in("王编辑")
    page = editor.page
    page.goto("/suspects")
    assert editor.shown() == "c0"
    expect(page.locator("#why")).to_contain_text("环境")
    page.keyboard.press("Enter")
    editor.comes_to("c1")
    page.keyboard.press("x")
    editor.comes_to("c2")
    page.keyboard.press("u")
    editor.comes_to("c1")
    page.keyboard.press("x")
    editor.comes_to("c2")
    page.keyboard.press("3")
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("没有可疑的标注")
    lines = (registry.folder / "answers.jsonl").read_text("utf-8").splitlines()
    answers = {one["id"]: one["themes"] for one in map(json.loads, lines)}
    assert answers == {"c0": ["environment"], "c1": [], "c2": ["elder_care"]}
    assert editor.troubles == []
    editor.context.close()


def test_themes_change_after_a_preview_and_back(browser: Any, server: Running) -> None:
    """The button that does it comes only after what it touches was shown; undo takes it back."""
    chief = Editor(browser, server)
    chief.log_in("主任")
    page = chief.page
    page.goto("/themes")
    page.get_by_role("button", name="新增主题").click()
    page.get_by_label("名称", exact=True).fill("春耕")
    page.get_by_label("编号，小写").fill("farming")
    expect(page.locator("#change-go")).to_be_hidden()
    page.get_by_role("button", name="看影响").click()
    expect(page.locator("#preview")).to_contain_text("涉及训练稿 0 篇")
    page.locator("#change-go").click()
    expect(page.locator(".definition")).to_have_count(5)
    page.get_by_role("button", name="撤销最后一步").click()
    expect(page.locator(".definition")).to_have_count(4)
    assert chief.troubles == []
    chief.context.close()


def test_retraining_is_followed_and_a_version_put_back(browser: Any, server: Running) -> None:
    """The button starts it, the bar follows it, its verdict stands in the list; rolled back by hand."""
    chief = Editor(browser, server)
    chief.log_in("主任")
    page = chief.page
    page.goto("/model")
    page.get_by_role("button", name="现在重训").click()
    expect(page.locator("#retrain-said")).to_contain_text("正在重训", timeout=60_000)
    expect(page.locator("#retrain")).to_be_disabled()
    expect(page.locator("#retrain-said")).not_to_contain_text("正在重训", timeout=240_000)
    status = chief.api("GET", "/v1/retraining")
    assert status["stage"] in ("promoted", "refused"), status
    expect(page.locator("#version-list > li")).to_have_count(2)
    if status["stage"] == "refused":
        expect(page.locator(".version-refused")).to_contain_text("不换上岗")
        page.locator(".version-refused").get_by_role("button", name="换上岗").click()
        page.locator("dialog.sure").get_by_role("button", name="换上岗").click()
        expect(page.locator(".version-current")).to_contain_text(status["version"])
    page.get_by_role("button", name="换回上一个版本").click()
    page.locator("dialog.sure").get_by_role("button", name="换回上一个版本").click()
    expect(page.locator(".version-current")).not_to_contain_text(status["version"])
    assert chief.troubles == []
    chief.context.close()
