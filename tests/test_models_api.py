"""Claims about models and retraining over HTTP: who may, one winner, and what the verdict says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import Desk, staffed_desk
from lessons import shortened, written
from running import running, wait_until

from classifier.model import digest
from classifier.registry import Registry
from service.retrain import GATE, GATE_PAGE
from training.fit import Trained
from training.labelled import Corpus

OTHER = "20270101-other"
VERDICT = {
    "candidate": OTHER, "serving": "x", "promoted": False, "reasons": ["环境：变差"],
    "sentence": "新模型不换上岗：环境：变差", "notes": [], "judged": 40, "since": "2026-09-01",
    "mean": None, "themes": [], "promises": [], "pinned": [], "flips": [{"text": "原文"}],
    "flipped": 1, "grounds": "g",
}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, registry: Registry, packed_model: dict[str, bytes]) -> Iterator[Desk]:
    """A desk with two versions, one in service and one that was refused."""
    record = {**json.loads(packed_model["manifest.json"]), "id": OTHER}
    record.pop("digest")
    record["digest"] = digest(json.dumps(record, ensure_ascii=False, sort_keys=True).encode())
    files = {
        **packed_model,
        "manifest.json": json.dumps(record, ensure_ascii=False).encode(),
        GATE: json.dumps(VERDICT, ensure_ascii=False).encode(),
        GATE_PAGE: b"<style>p{color:red}</style><p>no</p><script>alert(1)</script>",
    }
    registry.add(OTHER, files)
    with staffed_desk(tmp_path, models=str(registry.folder)) as made:
        yield made


def _ask(desk: Desk, method: str, path: str, body: Any = None, who: str = "administrator") -> Any:
    given = {} if body is None else {"json": body}
    return desk.ask(method, path, cookie=desk.cookie(who), **given)


def test_versions_are_listed_with_what_became_of_them(desk: Desk, trained: Trained) -> None:
    """One is in service; the refused one says why and has a page that nothing runs on."""
    told = _ask(desk, "GET", "/v1/models", who="reader").json
    by_id = {one["id"]: one for one in told["versions"]}

    assert told["current"] == trained.manifest.id
    assert [id for id, one in by_id.items() if one["current"]] == [trained.manifest.id]
    assert by_id[trained.manifest.id]["promoted"] is None
    assert by_id[OTHER]["promoted"] is False and "环境" in by_id[OTHER]["sentence"]
    whole = _ask(desk, "GET", f"/v1/models/{OTHER}", who="reader").json
    assert whole["verdict"]["reasons"] == VERDICT["reasons"]
    assert "原文" not in json.dumps(whole, ensure_ascii=False)
    assert _ask(desk, "GET", "/v1/models/none", who="reader").status_code == 404
    page = _ask(desk, "GET", f"/models/{OTHER}/verdict", who="reader")
    assert page.status_code == 200
    assert "sandbox" in page.headers["Content-Security-Policy"]


def test_of_two_who_switch_at_once_one_wins(desk: Desk, trained: Trained) -> None:
    """Both saw the same version in service; the loser is told 409 and nothing is switched twice."""
    registry = desk.app.extensions["gaoqian.models"]
    cookie = desk.cookie("administrator")
    body = {"version": OTHER, "expected": trained.manifest.id}
    statuses: list[int] = []

    def promote() -> None:
        answer = desk.ask("POST", "/v1/promote", cookie=cookie, json=body)
        statuses.append(answer.status_code)

    both = [threading.Thread(target=promote) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert sorted(statuses) == [200, 409]
    assert registry.current_id() == OTHER
    assert len(registry.history()) == 2
    assert _ask(desk, "GET", "/healthz").json["serving"] == OTHER


def test_back_to_the_version_before(desk: Desk, trained: Trained) -> None:
    """Rolled back once; whoever still believes the other serves is refused; who did it is written."""
    _ask(desk, "POST", "/v1/promote", {"version": OTHER, "expected": trained.manifest.id})
    back = _ask(desk, "POST", "/v1/rollback", {"expected": OTHER})

    assert back.json["current"] == trained.manifest.id
    assert _ask(desk, "POST", "/v1/rollback", {"expected": OTHER}).status_code == 409
    entries = _ask(desk, "GET", "/v1/audit").json["entries"]
    assert {"model.promote", "model.rollback"} <= {one["action"] for one in entries}


def test_what_cannot_serve_is_not_put_into_service(desk: Desk, trained: Trained) -> None:
    """No such version: 404; a damaged one: 409; the old one goes on."""
    registry = desk.app.extensions["gaoqian.models"]
    arrays = registry.folder / OTHER / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-9])
    expected = {"expected": trained.manifest.id}

    for version, status in (("none", 404), ("../x", 404), (OTHER, 409)):
        body = {"version": version, **expected}
        assert _ask(desk, "POST", "/v1/promote", body).status_code == status
    wrong = {"version": trained.manifest.id, "expected": None}
    assert _ask(desk, "POST", "/v1/promote", wrong).status_code == 409
    assert registry.current_id() == trained.manifest.id


def test_editors_look_and_do_not_switch(desk: Desk) -> None:
    """Neither versions nor retraining are theirs to change."""
    for path in ("/v1/promote", "/v1/rollback", "/v1/retraining"):
        assert _ask(desk, "POST", path, {}, who="editor").status_code == 403
    assert _ask(desk, "GET", "/v1/retraining", who="editor").status_code == 403


def test_a_retraining_is_started_followed_and_the_second_refused(
    tmp_path: Path, corpus: Corpus
) -> None:
    """On a real server: begun with 202, the next gets 409, and in the end a model serves."""
    short = shortened(corpus, every=8, length=100)
    lesson = written(tmp_path / "lesson.jsonl", short.articles)
    with running(tmp_path, corpus=lesson, reload_seconds=0.2) as server:
        assert server.ask("GET", "/v1/retraining").json()["stage"] == "never"
        begun = server.ask("POST", "/v1/retraining", timeout=60)
        assert begun.status == 202 and begun.json()["stage"] == "running", begun.body
        again = server.ask("POST", "/v1/retraining", timeout=60)
        assert again.status == 409, again.body
        assert "本机" in again.json()["detail"]

        def is_over() -> bool:
            return bool(server.ask("GET", "/v1/retraining").json()["stage"] != "running")

        wait_until(is_over, while_alive=server, seconds=240)
        told = server.ask("GET", "/v1/retraining").json()
        assert told["stage"] == "promoted", told
        assert 0 < told["done"] <= 1 and told["by"] == "本机"
        assert server.ask("GET", "/v1/models").json()["current"] == told["version"]
        verdict = server.ask("GET", f"/v1/models/{told['version']}").json()["verdict"]
        assert verdict["promoted"] and verdict["promises"]
        wait_until(
            lambda: server.ask("GET", "/healthz").json()["serving"] == told["version"],
            while_alive=server,
        )
