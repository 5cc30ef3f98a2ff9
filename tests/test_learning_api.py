"""Claims about corrections, doubted labels and pinned articles over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desks import BY, GOOD, Desk, staffed_desk
from made_submissions import new, tagging

from classifier.article import Decision
from classifier.registry import Registry
from service.lessons import SUSPECTS
from service.store.records import Action, Role, Submission


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Iterator[Desk]:
    """A desk with a model, two editors and an administrator."""
    with staffed_desk(tmp_path, models=str(registry.folder)) as made:
        made.accounts.add_user("林编辑", role=Role.EDITOR, password=GOOD, by=BY)
        yield made


def _ask(desk: Desk, method: str, path: str, body: Any = None, who: str = "editor") -> Any:
    given = {} if body is None else {"json": body}
    return desk.ask(method, path, cookie=desk.cookie(who), **given)


def _submit(desk: Desk, text: str) -> Submission:
    made = new(text, title=text[:4], tagging=tagging("environment", decision=Decision.REVIEW))
    store = desk.app.extensions["gaoqian.store"]
    (one,) = store.submissions.add([made]).submissions
    assert isinstance(one, Submission)
    return one


def _review(desk: Desk, id: str, who: str, *themes: str) -> None:
    body = {"action": "set", "themes": [*themes]}
    assert _ask(desk, "POST", f"/v1/submissions/{id}/review", body, who).status_code == 200


def test_each_editor_sees_what_became_of_her_own_corrections(desk: Desk) -> None:
    """Not those of others, also when asked for by name; an administrator sees all."""
    first, second, third = (_submit(desk, f"第{number}篇来稿") for number in "一二三")
    _review(desk, first.id, "editor", "elder_care")
    _review(desk, second.id, "林编辑", "party_building")
    _review(desk, third.id, "林编辑", "environment")  # as the model had it: no correction
    _review(desk, second.id, "administrator", "elder_care")

    mine = _ask(desk, "GET", "/v1/corrections").json
    assert [one["submission"] for one in mine["corrections"]] == [first.id]
    assert _ask(desk, "GET", "/v1/corrections?by=林编辑").json == mine
    hers = _ask(desk, "GET", "/v1/corrections", who="林编辑").json
    assert [(one["fate"], one["overruled_by"]) for one in hers["corrections"]] == [
        ("overruled", "administrator")
    ]
    everything = _ask(desk, "GET", "/v1/corrections", who="administrator").json
    assert len(everything["corrections"]) == 3
    assert everything["counts"] == {
        "learned": 0, "not_yet": 0, "overruled": 1, "retired": 0, "waiting": 2,
    }  # fmt: skip
    waiting = _ask(desk, "GET", "/v1/corrections?fate=waiting", who="administrator").json
    assert {one["fate"] for one in waiting["corrections"]} == {"waiting"}
    assert _ask(desk, "GET", "/v1/corrections", who="reader").status_code == 403


def test_a_doubted_label_is_kept_or_changed_and_leaves_the_list(desk: Desk) -> None:
    """Of a submission a review is made as well; who answered may take it back, and nobody else."""
    registry = desk.app.extensions["gaoqian.models"]
    store = desk.app.extensions["gaoqian.store"]
    one = _submit(desk, "河长巡河清理垃圾")
    store.reviews.review(one.id, Action.SET, by="林编辑", themes=("elder_care",))
    common = {"theme": "elder_care", "labelled": True, "probability": 0.02, "quality": 0.1,
              "confident": True, "themes": ["elder_care"]}  # fmt: skip
    doubted = [
        {"id": "c1", "title": "语料里的", "text": "语料里的一篇。", **common},
        {"id": "c2", "title": "又一篇", "text": "语料里的又一篇。", **common},
        {"id": one.id, "title": one.title, "text": one.text, **common},
    ]
    folder = registry.path(registry.current_id())
    (folder / SUSPECTS).write_text(json.dumps({"suspects": doubted, "contradictions": []}))
    listed = _ask(desk, "GET", "/v1/suspects").json["suspects"]
    assert [suspect["id"] for suspect in listed] == ["c1", "c2", one.id]

    wrong = [
        ({"id": "none", "action": "keep"}, 404),
        ({"id": "c1", "action": "change"}, 422),
        ({"id": "c1", "action": "keep", "themes": []}, 422),
        ({"id": "c1", "action": "undo"}, 404),
        ({"id": "c1", "action": "change", "themes": ["no_such"]}, 422),
        ({"id": "c1", "action": "perhaps"}, 400),
    ]
    for body, status in wrong:
        assert _ask(desk, "POST", "/v1/suspects", body).status_code == status, body
    for body in (
        {"id": "c1", "action": "keep"},
        {"id": one.id, "action": "change", "themes": ["environment"]},
    ):
        assert _ask(desk, "POST", "/v1/suspects", body).status_code == 204

    left = _ask(desk, "GET", "/v1/suspects").json["suspects"]
    assert [suspect["id"] for suspect in left] == ["c2"]
    stands = store.submissions.get(one.id)
    assert (stands.themes, stands.themes_by) == (("environment",), "editor@editor")
    back = {"id": one.id, "action": "undo"}
    assert _ask(desk, "POST", "/v1/suspects", back, "林编辑").status_code == 409
    assert _ask(desk, "POST", "/v1/suspects", back).status_code == 204
    assert _ask(desk, "POST", "/v1/suspects", back).status_code == 404
    left = _ask(desk, "GET", "/v1/suspects").json["suspects"]
    assert [suspect["id"] for suspect in left] == ["c2", one.id]
    assert store.submissions.get(one.id).themes == ("elder_care",)
    audited = _ask(desk, "GET", "/v1/audit", who="administrator").json["entries"]
    actions = {entry["action"] for entry in audited}
    assert {"suspect.keep", "suspect.change", "suspect.undo"} <= actions


def test_only_what_a_person_settled_is_pinned(desk: Desk) -> None:
    """Before: 409; after: with the editor's themes, once; let go it is gone, again it is 404."""
    one = _submit(desk, "河长巡河清理垃圾")
    asked = {"submission": one.id}
    assert _ask(desk, "POST", "/v1/pinned", asked).status_code == 409
    _review(desk, one.id, "editor", "environment", "elder_care")
    for _ in range(2):
        made = _ask(desk, "POST", "/v1/pinned", asked)
        assert made.status_code == 201

    (pinned,) = _ask(desk, "GET", "/v1/pinned").json["pinned"]
    assert pinned == made.json
    assert (pinned["themes"], pinned["by"]) == (["environment", "elder_care"], "editor")
    assert _ask(desk, "DELETE", f"/v1/pinned/{one.id}").status_code == 204
    assert _ask(desk, "DELETE", f"/v1/pinned/{one.id}").status_code == 404
    assert _ask(desk, "GET", "/v1/pinned").json == {"pinned": []}
