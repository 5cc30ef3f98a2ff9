"""Claims about the desk's pages as they leave the service; test_browser.py looks at them working."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from desks import Desk, staffed_desk

import service.desk
from classifier.errors import GaoqianError
from classifier.registry import Registry
from service.desk.pages import LANGUAGE_COOKIE, PAGES, texts

DESK = Path(service.desk.__file__).parent
SCRIPTS = sorted((DESK / "static").glob("*.js"))
STYLES = sorted((DESK / "static").glob("*.css"))
SHELLS = (
    "/login", "/queue", "/today", "/corrections", "/suspects", "/slips/1g64wxr00abcdefg", "/submit", "/statistics", "/model", "/themes",
    "/users", "/account", "/try", "/docs",
)  # fmt: skip
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk that asks everybody to log in."""
    with staffed_desk(tmp_path) as made:
        yield made


class Page(HTMLParser):
    """What a browser would load or run, and what people would read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []
        self.words: list[tuple[str, str]] = []  # the language told, and the words
        self._within: list[tuple[str, str]] = [("", "")]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.elements.append((tag, told))
        self._within.append((tag, told.get("lang", self._within[-1][1])))
        if tag in {"input", "link", "meta", "br", "img"}:
            self._within.pop()

    def handle_endtag(self, tag: str) -> None:
        while len(self._within) > 1 and self._within.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._within[-1][0] in {"script", "style"} and data.strip():
            self.inline.append(data)
        elif data.strip():
            self.words.append((self._within[-1][1], data.strip()))


@pytest.mark.parametrize("path", SHELLS)
def test_no_page_has_a_script_or_style_of_its_own_or_anything_from_elsewhere(
    desk: Desk, path: str
) -> None:
    """No inline script, handler or style; every address is a path of ours; nothing is let through."""
    response = desk.ask("GET", path)
    page = Page(response.text)

    assert response.status_code == 200
    assert page.inline == []
    for tag, told in page.elements:
        assert not [name for name in told if name.startswith("on") or name in {"style", "srcdoc"}]
        for name in ("src", "href", "action", "poster", "data"):
            assert re.match(r"(?:$|[/?#](?!/))", told.get(name, "")), (tag, told)
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES], ids=lambda path: path.name)
def test_no_script_makes_markup_or_reaches_out(path: Path) -> None:
    """Nothing turns text into markup or code; no other host is named; files stay small."""
    text = path.read_text(encoding="utf-8")

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|"
        r"createContextualFragment|setHTML|javascript:|srcdoc",
        text,
    )
    assert set(re.findall(r"https?://[^\s\"'`)]+|@import|//cdn", text)) <= {
        "http://www.w3.org/2000/svg"
    }
    assert len(text.splitlines()) <= 500
    if path.suffix == ".js":
        comments = re.sub(r"^\s*//.*$|\s//\s.*$", "", text, flags=re.MULTILINE)
        without = re.sub(
            r"const SAME = .*|const SENTENCE_ENDS = .*|.*join\(\"[、；]\"\).*", "", comments
        )
        assert not HAN.search(re.sub(r"`[^`]*`", "", without)), "words stand in texts.json"


@pytest.mark.parametrize("path", SHELLS)
def test_a_shell_is_the_same_for_everybody(desk: Desk, path: str) -> None:
    """A page holds nobody's copy: a stranger and an administrator get the same bytes."""
    stranger = desk.ask("GET", path)
    chief = desk.ask("GET", path, cookie=desk.cookie("administrator"))

    assert stranger.status_code == chief.status_code == 200
    assert stranger.data == chief.data


def test_every_word_is_there_in_both_languages() -> None:
    """Each line has two words with the same places to fill, and English ones without Chinese."""
    assert len(texts()) > 100
    for key, words in texts().items():
        chinese, english = words
        assert chinese and english, key
        assert {*re.findall(r"\{(\w+)\}", english)} <= {*re.findall(r"\{(\w+)\}", chinese)}, key
        assert key == "other_language" or not HAN.search(english), key


def test_every_kind_of_refusal_has_an_english_name() -> None:
    """The service's own sentences are Chinese; the English desk can say at least what kind it is."""
    kinds, titles = [GaoqianError], {}
    while kinds:
        kind = kinds.pop()
        titles[f"refused.{kind.slug}"] = kind.title
        kinds += kind.__subclasses__()
    told = {key: words[0] for key, words in texts().items() if key.startswith("refused.")}

    assert told == {**titles, "refused.internal": "系统内部错误"}


def test_every_word_asked_for_is_there_and_every_word_there_is_asked_for() -> None:
    """Scripts and pages name only keys that exist, and no key is left over."""
    scripts = "\n".join(path.read_text("utf-8") for path in SCRIPTS)
    pages = "\n".join(path.read_text("utf-8") for path in (DESK / "templates").glob("*.html"))
    asked = {
        *re.findall(r"\bt\(\s*\"([^\"]+)\"", scripts),
        *re.findall(r"\bt\[['\"]([^'\"]+)['\"]\]", pages),
        *re.findall(r"\bt\.(\w+)", pages),
    }
    named = {*re.findall(r"\"([\w.]+)\"", scripts)}
    families = {*re.findall(r"\bt\(`([\w.]+)\$\{", scripts)}  # t(`state.${…}`)

    assert asked - {*texts()} == set()
    left = {
        key
        for key in {*texts()} - asked - named
        if not any(key.startswith(one) for one in families)
    }
    assert left == set()


@pytest.mark.parametrize("path", [path for path in SHELLS if path != "/docs"])
def test_english_is_english(desk: Desk, path: str) -> None:
    """With ?lang=en no Chinese is left, apart from what says it is; the choice is kept."""
    response = desk.ask("GET", f"{path}?lang=en")
    page = Page(response.text)
    cookie = response.headers["Set-Cookie"]

    assert not [words for told, words in page.words if HAN.search(words) and told != "zh-CN"
                and words != "稿"]  # fmt: skip
    assert f"{LANGUAGE_COOKIE}=en" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    client = desk.app.test_client()
    client.set_cookie(LANGUAGE_COOKIE, "en")
    assert '<html lang="en">' in client.get(path).text
    for strange in ("xx", '"><script>', ""):
        told = desk.ask("GET", path, query_string={"lang": strange})
        assert '<html lang="zh-CN">' in told.text and "Set-Cookie" not in told.headers


def test_the_front_door_leads_to_the_queue(desk: Desk) -> None:
    """/ is 收件, /try still tags without storing, and old addresses of nothing are problems."""
    front = desk.ask("GET", "/")

    assert (front.status_code, front.headers["Location"]) == (302, "/queue")
    assert desk.ask("GET", "/try").status_code == 200
    assert desk.ask("GET", "/slips/<script>").status_code == 404


def test_the_report_is_shown_in_a_cage(desk: Desk, packed_model: dict[str, bytes]) -> None:
    """Readers only; its own style sheet and nothing else works there, not even a script of its own."""
    registry = desk.app.extensions["gaoqian.models"]
    assert isinstance(registry, Registry)
    evil = "<style>p{color:red}</style><p>报告</p><script>alert(1)</script>".encode()
    version = json.loads(packed_model["manifest.json"])["id"]
    registry.add(version, {**packed_model, "report.html": evil})
    path = f"/models/{version}/report"

    assert desk.ask("GET", path).status_code == 401
    response = desk.ask("GET", path, cookie=desk.cookie("reader"))
    policy = response.headers["Content-Security-Policy"]
    assert response.data == evil and response.mimetype == "text/html"
    assert "default-src 'none'" in policy and "sandbox" in policy and "script" not in policy
    assert "'sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64='" in policy
    for other in ("20990101-000000", "..", "%2e%2e", ".lock", "current"):
        missing = desk.ask("GET", f"/models/{other}/report", cookie=desk.cookie("reader"))
        assert missing.status_code == 404 and missing.mimetype == "application/problem+json"


def test_every_page_states_who_may(desk: Desk) -> None:
    """No page asks for more than a reader, and only what lies beside a model has anything to read."""
    guarded = {name for name, role in PAGES.items() if role != "stranger"}
    assert guarded == {"desk.report", "desk.verdict"}
