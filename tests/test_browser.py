"""The desk in a real browser, as an editor works at it: by keyboard, on a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from browsing import ARTICLES, WIDTHS, Editor, expect, open_browser, server_of
from conftest import SHARED
from desks import GOOD
from running import Running

from classifier.registry import Registry

ROOT = Path(__file__).parents[1]
SEED_PAGE = SHARED / "seed" / "page.txt"
PAGE = SEED_PAGE if SEED_PAGE.is_file() else ROOT / "service" / "demo-page.txt"
PAGES = (
    "/queue", "/today", "/corrections", "/suspects", "/submit", "/statistics", "/model", "/themes",
    "/users", "/account", "/try",
)  # fmt: skip
PAYLOAD = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all."""
    with open_browser() as found:
        yield found


@pytest.fixture
def server(tmp_path: Path, registry: Registry) -> Iterator[Running]:
    """A real server with a model and people of every role."""
    with server_of(tmp_path, registry) as found:
        yield found


@pytest.fixture
def editor(browser: Any, server: Running) -> Iterator[Editor]:
    """One editor, logged in; in the end nothing has gone wrong and nobody else was called."""
    found = Editor(browser, server)
    found.log_in()
    yield found
    assert found.troubles == []
    assert found.hosts == {f"127.0.0.1:{server.port}"}
    found.context.close()


def drop_page(editor: Editor, path: Path) -> None:
    """Drop a file onto the place for pages, as a hand with a mouse does."""
    data = editor.page.evaluate_handle(
        """([name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name, { type: "text/plain" }));
            return data;
        }""",
        [path.name, path.read_text(encoding="utf-8")],
    )
    editor.page.dispatch_event("#drop-page", "dragover", {"dataTransfer": data})
    editor.page.dispatch_event("#drop-page", "drop", {"dataTransfer": data})
    editor.page.wait_for_selector(".piece")


def test_a_morning_at_the_desk(editor: Editor, tmp_path: Path) -> None:
    """Drop a page, merge, cut, accept; review five by keyboard; undo; filter; export."""
    page = editor.page
    page.keyboard.press("Tab")
    page.goto("/submit")
    page.wait_for_selector("body.may-editor")
    drop_page(editor, PAGE)
    pieces = page.locator(".piece")
    whole = re.sub(r"\s", "", "".join(page.locator(".piece .copy").all_inner_texts()))
    count = pieces.count()
    assert count > 5

    pieces.nth(1).get_by_role("button", name="与下篇合并").click()
    expect(pieces).to_have_count(count - 1)
    pieces.nth(0).get_by_role("button", name="在此切开").last.click()
    expect(pieces).to_have_count(count)
    page.get_by_role("button", name="退一步").click()
    page.get_by_role("button", name="退一步").click()
    expect(pieces).to_have_count(count)
    same = re.sub(r"\s", "", "".join(page.locator(".piece .copy").all_inner_texts()))
    assert same == whole, "two steps and back lose nothing"
    pieces.nth(0).get_by_role("button", name="在此切开").last.click()
    expect(pieces).to_have_count(count + 1)
    pieces.nth(0).get_by_role("button", name="与下篇合并").click()
    pieces.nth(1).get_by_role("button", name="与下篇合并").click()
    expect(pieces).to_have_count(count - 1)
    page.get_by_role("button", name=f"收下这 {count - 1} 篇").click()
    page.wait_for_url("**/queue?page=*")
    expect(page.locator("#list > li[data-id]")).to_have_count(count - 1)
    stored = editor.api("GET", "/v1/submissions?limit=200")["submissions"]
    assert len(stored) == count - 1 and all(one["has_original"] for one in stored)

    page.goto("/queue")
    page.wait_for_selector("#list > li[data-id]")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    reviewed: list[str] = []
    for number in range(5):
        id = editor.shown()
        assert id not in reviewed
        reviewed.append(id)
        before = set(editor.detail(id)["themes"])
        if number == 1:
            page.keyboard.press("3")
        if number == 2:
            page.keyboard.press("0")
        page.keyboard.press("s" if number == 3 else "Enter")
        editor.leaves(id)
        after = editor.detail(id)
        assert after["state"] == ("unsure" if number == 3 else "settled")
        if number == 1:
            assert set(after["themes"]) == before ^ {"environment"}
        if number == 2:
            assert after["themes"] == []

    for id in reversed(reviewed[-2:]):
        editor.shown()
        page.keyboard.press("u")
        editor.comes_to(id)
        assert editor.detail(id)["state"] not in {"settled", "unsure"}
        assert len(editor.detail(id)["history"]) == 2, "what was undone stays written"
    assert [editor.detail(id)["state"] for id in reviewed[:3]] == ["settled"] * 3

    page.goto("/queue")
    page.get_by_role("link", name="已定稿").click()
    page.wait_for_url("**/queue?state=settled")
    expect(page.locator("#list > li[data-id]")).to_have_count(3)
    page.keyboard.press("/")
    page.keyboard.type("没有一篇写着这句话")
    page.keyboard.press("Enter")
    expect(page.locator("#list .nothing")).to_be_visible()
    page.go_back()
    expect(page.locator("#list > li[data-id]")).to_have_count(3)
    page.reload()
    expect(page.locator("#list > li[data-id]")).to_have_count(3)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Excel").click()
    waiting.value.save_as(tmp_path / "out.xlsx")
    rows = [*openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows(values_only=True)]
    assert {row[0] for row in rows[1:]} == {*reviewed[:3]}


def test_keys_never_reach_the_wrong_article(editor: Editor) -> None:
    """However fast keys are struck, each acts on the article that was seen, or on none."""
    editor.submit(*ARTICLES)
    page = editor.page
    page.goto(
        f"/slips/{editor.submit({'text': '环卫工人清理河道垃圾。' * 9})[0]['id']}?order=newest"
    )
    first = editor.shown()
    page.evaluate(
        """() => { for (let n = 0; n < 6; n += 1) for (const key of ["Enter", "s", "1", "Enter"])
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); }"""
    )
    editor.leaves(first)
    editor.shown()
    everything = editor.api("GET", "/v1/submissions")["submissions"]

    assert [one["id"] for one in everything if one["state"] == "settled"] == [first]
    assert not [one for one in everything if one["state"] == "unsure"]

    other = editor.shown()
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, repeat: true}))"
    )
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, isComposing: true}))"
    )
    page.keyboard.press("Control+s")
    assert editor.shown() == other and editor.detail(other)["history"] == []


def test_what_a_colleague_changed_meanwhile_is_looked_at_again(
    editor: Editor, browser: Any, server: Running
) -> None:
    """An older version is not settled: the newer is shown, with a word; locks are seen."""
    (one, *_) = editor.submit(*ARTICLES[:2])
    editor.page.goto(f"/slips/{one['id']}")
    editor.shown()
    colleague = Editor(browser, server)
    colleague.log_in("李编辑", at=f"/slips/{one['id']}")
    expect(colleague.page.locator("#notice")).to_contain_text("王编辑")
    colleague.page.goto("/queue")
    expect(colleague.page.locator(f"[data-id='{one['id']}'] .warn")).to_contain_text("王编辑")

    colleague.api("POST", f"/v1/submissions/{one['id']}/review", {"action": "none"})
    editor.page.keyboard.press("1")
    editor.page.keyboard.press("Enter")
    expect(editor.page.locator("#notice")).to_contain_text("刚被改过")
    assert editor.shown() == one["id"]
    assert [step["by"] for step in editor.detail(one["id"])["history"]] == ["李编辑"]
    assert colleague.troubles == []
    colleague.context.close()


def test_many_at_once_and_back(editor: Editor) -> None:
    """Two chosen by keyboard, then all of a query, are given a theme and taken back."""
    ids = {one["id"] for one in editor.submit(*ARTICLES)}
    page = editor.page
    page.goto("/queue?text=座谈")
    expect(page.locator("#list > li[data-id]")).to_have_count(len(ids))
    for key in "jxjx":
        page.keyboard.press(key)
    page.locator("#bulk").get_by_role("button", name="改主题").click()
    page.locator("#bulk-choice").get_by_label("环境").check()
    page.locator("#bulk-choice").get_by_role("button").click()
    expect(page.locator("#list > li.state-settled")).to_have_count(2)
    expect(page.locator("#list > li.state-settled .chip").first).to_have_text("环境")

    late = editor.submit({"title": "晚到的座谈", "text": "列出以后才到的稿子。" * 9})[0]["id"]
    page.get_by_label("选中本页").check()
    page.keyboard.press("Escape")
    page.locator("#bulk").get_by_role("button", name="定为无主题").click()
    expect(page.locator("#saying")).to_contain_text(re.compile("已审 [78] 篇"))
    page.locator("#saying").get_by_role("button", name="撤销").click()
    expect(page.locator("#saying")).to_contain_text("已撤销")
    expect(page.locator("#list > li.state-settled")).to_have_count(2)
    page.reload()
    page.wait_for_selector("#list > li[data-id]")
    page.locator("#list > li").first.locator(".select").click()
    page.get_by_role("button", name=re.compile("选中全部 8 篇")).click()
    editor.submit({"title": "更晚的座谈", "text": "确认时还没有看见的稿子。" * 9})
    page.locator("#bulk").get_by_role("button", name="存疑").click()
    page.locator("dialog.sure").get_by_role("button", name="确定").click()
    expect(page.locator("#saying")).to_contain_text("已审 8 篇")
    states = {
        one["title"]: one["state"] for one in editor.api("GET", "/v1/submissions")["submissions"]
    }
    assert states.pop("更晚的座谈") != "unsure" and set(states.values()) == {"unsure"}
    assert editor.detail(late)["state"] == "unsure"


def test_what_arrives_is_seen_without_a_hand(editor: Editor) -> None:
    """A new submission stands in the open queue within seconds, its twin folded under it."""
    page = editor.page
    page.goto("/queue")
    expect(page.locator("#list .nothing")).to_be_visible()
    page.wait_for_timeout(300)
    editor.submit(ARTICLES[0])
    expect(page.locator("#list > li[data-id]")).to_have_count(1)
    editor.submit({**ARTICLES[0], "text": "（本报讯）\n" + ARTICLES[0]["text"]}, ARTICLES[1])
    expect(page.locator("#list > li[data-id]")).not_to_have_count(1)
    editor.submit(ARTICLES[1])
    page.locator("#list .twins summary").first.click()
    expect(page.locator("#list .twins li")).not_to_have_count(0)


def test_files_that_fail_say_why(editor: Editor, tmp_path: Path) -> None:
    """Of many files each tells what became of it; the good ones are in."""
    good = tmp_path / "河长巡河.txt"
    good.write_text("河长巡河清理垃圾，两岸添了新绿。" * 5, encoding="gb18030")
    empty, broken = tmp_path / "空.txt", tmp_path / "坏.docx"
    empty.write_bytes(b"")
    broken.write_bytes(b"PK\x03\x04 not a document")
    page = editor.page
    page.goto("/submit")
    page.wait_for_selector("body.may-editor")
    page.set_input_files("#files", [good, empty, broken])
    expect(page.locator("#progress-said")).to_contain_text("1 / 3")
    expect(page.locator("#progress-said")).to_contain_text("2 个没有收下")
    expect(page.locator("#sent li.stored")).to_contain_text("河长巡河.txt")
    for line in page.locator("#sent li.failed .said").all_inner_texts():
        assert len(line) > 8, "a sentence, not a number"
    assert len(editor.api("GET", "/v1/submissions")["submissions"]) == 1


def test_what_people_write_never_runs(editor: Editor, browser: Any, server: Running) -> None:
    """Markup in every field that others fill stays text on every page that shows it."""
    page = editor.page
    article = {
        "id": PAYLOAD, "title": PAYLOAD, "text": f"{PAYLOAD}\n党建引领 {PAYLOAD}" * 3,
        "byline": PAYLOAD, "section": PAYLOAD, "place": PAYLOAD,
    }  # fmt: skip
    stored = [*editor.submit(article), *editor.submit(article)]
    chief = Editor(browser, server)
    chief.log_in("主任")
    chief.api("PATCH", "/v1/users/李编辑", {"shown": PAYLOAD[:40]})
    for who, paths in ((editor, ("/queue?twins=true", f"/slips/{stored[0]['id']}", "/statistics",
                                 f"/queue?text={PAYLOAD}", "/try")),
                       (chief, ("/users",))):  # fmt: skip
        for path in paths:
            who.page.goto(path)
            who.page.wait_for_timeout(600)
            assert who.page.title() != "ran"
            assert who.page.locator("main img, main script").count() == 0
    page.goto(f"/slips/{stored[0]['id']}")
    editor.shown()
    assert page.locator("#title").inner_text() == PAYLOAD
    page.goto("/submit")
    page.locator("[name=text]").fill(f"{PAYLOAD}\n\n" + "党员送餐到家。" * 20)
    page.get_by_role("button", name="拆成几篇").click()
    page.wait_for_selector(".piece")
    assert page.title() != "ran" and page.locator("main img, main script").count() == 0
    assert chief.troubles == []
    chief.context.close()


def test_a_login_leads_back_and_nowhere_else(browser: Any, server: Running) -> None:
    """After a login one is where one wanted to be, on our own host; a wrong password says so."""
    one = Editor(browser, server)
    one.page.goto("/login?next=https://evil.example/")
    one.page.get_by_label("账号").fill("王编辑")
    one.page.get_by_label("密码").fill("不是这个密码")
    one.page.keyboard.press("Enter")
    expect(one.page.locator("#refusal")).to_contain_text("账号或密码不对")
    one.page.get_by_label("密码").fill(GOOD)
    one.page.keyboard.press("Enter")
    one.page.wait_for_url("**/queue")
    for wish, there in (("/themes?x=1", "/themes?x=1"), ("//evil.example/", "/queue")):
        one.page.goto(f"/login?next={wish}")
        one.page.wait_for_url(f"{one.base}{there}")
    one.page.get_by_role("button", name="退出").click()
    one.page.wait_for_url("**/login")
    assert one.hosts == {f"127.0.0.1:{server.port}"}
    one.context.close()


def test_a_reader_looks_and_changes_nothing(browser: Any, server: Running, editor: Editor) -> None:
    """A reader sees articles and reasons, no way to settle them, and keys do nothing."""
    (one,) = editor.submit(ARTICLES[0])
    reader = Editor(browser, server)
    reader.log_in("读者", at=f"/slips/{one['id']}")
    reader.shown()
    for key in ("1", "0", "Enter", "s", "u"):
        reader.page.keyboard.press(key)
    expect(reader.page.locator("#confirm")).to_be_hidden()
    assert reader.shown() == one["id"] and editor.detail(one["id"])["history"] == []
    assert reader.page.locator("#themes input:enabled").count() == 0
    reader.page.goto("/users")
    expect(reader.page.locator("#notice")).to_be_visible()
    assert reader.troubles == []
    reader.context.close()


def test_the_report_shows_and_nothing_of_it_runs(editor: Editor, registry: Registry) -> None:
    """The report opens in its own style from the page of the model."""
    page = editor.page
    page.goto("/model")
    with page.context.expect_page() as opening:
        page.locator("#report").click()
    report = opening.value
    report.wait_for_load_state()
    manifest = json.loads((registry.path(registry.current_id()) / "manifest.json").read_text())
    assert manifest["id"] in report.locator("h1").inner_text()
    assert report.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == (
        "collapse"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_its_screen_and_can_be_used_by_name(
    browser: Any, server: Running, width: str
) -> None:
    """Nothing sticks out sideways; every control has a name; each page has one heading of its own."""
    chief = Editor(browser, server, width)
    chief.log_in("主任")
    stored = chief.submit(*ARTICLES, {"title": "长" * 200, "text": "无" * 3000})
    for path in (*PAGES, f"/slips/{stored[0]['id']}", f"/slips/{stored[-1]['id']}", "/docs"):
        for words in ("", "lang=en"):
            chief.page.goto(f"{path}?{words}")
            chief.page.wait_for_load_state("networkidle") if "queue" not in path else None
            chief.page.wait_for_timeout(150)
            wide = chief.page.evaluate("document.documentElement.scrollWidth")
            assert path == "/docs" or wide <= WIDTHS[width][0], (path, wide)
            assert chief.page.locator("h1").count() == 1, path
            nameless = chief.page.evaluate(
                """() => [...document.querySelectorAll("button, a[href], input, select, textarea")]
                .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden]")
                    && !(one.innerText || one.ariaLabel || one.labels?.length || one.title))
                .map((one) => one.outerHTML.slice(0, 120))"""
            )
            assert nameless == [], path
        chief.page.goto(f"{path}?lang=zh")
    assert chief.troubles == []
    chief.context.close()
