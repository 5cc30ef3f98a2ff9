"""Submissions over HTTP: nothing acknowledged is lost, nothing sent twice is stored twice."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from desks import HOST, Desk, desk_of, staffed_desk
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import document_xml, docx, mail, paragraph, pdf_of_pages
from werkzeug.test import TestResponse

from classifier.article import Article
from classifier.evidence import tag_with_evidence
from classifier.model import Classifier
from classifier.page import split_page
from classifier.registry import Registry
from service.api.submissions import attachment
from service.store import Store

TITLE = "河长巡河"
TEXT = "本报讯（通讯员 王明）六月二十日，河长在岸边清点垃圾，清理河道三公里，岸线复绿。"
PAGE = "镇里修路\n\n本报微山讯(通讯员 王明)路修好了。\n\n村里清河\n\n本报讯 河里的垃圾清走了。"


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Iterator[Desk]:
    """A desk with a model and an account of every role."""
    with staffed_desk(tmp_path, models=str(registry.folder)) as made:
        yield made


class Sender:
    """Whoever holds a token of a role."""

    def __init__(self, desk: Desk, role: str = "editor") -> None:
        self._desk = desk
        self._token = desk.token(role)[1]

    def __call__(self, method: str, path: str, **given: Any) -> TestResponse:
        return self._desk.ask(method, path, token=self._token, buffered=True, **given)

    def post(self, body: Any, *, key: str = "", **given: Any) -> TestResponse:
        headers = {"Idempotency-Key": key} if key else {}
        return self("POST", "/v1/submissions", json=body, headers=headers, **given)

    def files(self, *files: tuple[str, bytes], key: str = "", **fields: str) -> TestResponse:
        form = {"files": [(io.BytesIO(content), name) for name, content in files], **fields}
        headers = {"Idempotency-Key": key} if key else {}
        return self("POST", "/v1/submissions", data=form, headers=headers)

    def one(self, text: str = TEXT, title: str = TITLE) -> dict[str, Any]:
        found: dict[str, Any] = self.post({"title": title, "text": text}).json["submissions"][0]
        return found

    def all(self, query: str = "twins=true") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self("GET", f"/v1/submissions?limit=200&{query}").json[
            "submissions"
        ]
        return found


@pytest.fixture
def editor(desk: Desk) -> Sender:
    """An editor's program."""
    return Sender(desk)


def store_of(desk: Desk) -> Store:
    found = desk.app.extensions["gaoqian.store"]
    assert isinstance(found, Store)
    return found


# What comes in


def test_an_article_is_stored_tagged_and_told_where_it_is(
    editor: Sender, model: Classifier
) -> None:
    """The answer is 201 with its place; what stands there says what the model says."""
    answer = editor.post({"id": "cms-7", "title": TITLE, "text": TEXT})
    kept = editor("GET", answer.headers["Location"]).json
    tagging = tag_with_evidence(model, Article(TEXT, TITLE))

    assert answer.status_code == 201
    assert (kept["title"], kept["text"], kept["external_id"]) == (TITLE, TEXT, "cms-7")
    assert (kept["source"], kept["by"], kept["names"]) == ("http", "editor", ["王明"])
    assert (kept["decision"], tuple(kept["themes"])) == (str(tagging.decision), tagging.themes)
    assert kept["scores"] == tagging.as_json()["scores"]
    assert kept["evidence"] == tagging.as_json()["evidence"]
    assert kept["taggings"][0]["model"] == kept["model"] == model.id
    assert kept["history"] == [] and kept["version"] == 1


def test_a_page_becomes_its_articles(editor: Sender) -> None:
    """In the order of the page, under one page, each with what its dateline tells."""
    made = editor.post({"page": PAGE}).json["submissions"]

    assert [(one["title"], one["position"]) for one in made] == [("镇里修路", 0), ("村里清河", 1)]
    assert len({one["page"] for one in made}) == 1
    assert (made[0]["place"], made[0]["names"]) == ("微山县", ["王明"])
    assert {one["id"] for one in editor.all(f"page={made[0]['page']}")} == {
        one["id"] for one in made
    }


def test_pieces_cut_by_an_editor_come_back_as_they_were_split(editor: Sender) -> None:
    """What /v1/pages/split answers can be sent on as it is, after merging or cutting."""
    parts = editor("POST", "/v1/pages/split", json={"page": PAGE}).json
    for part, own in zip(parts["articles"], split_page(PAGE), strict=True):
        assert part.pop("spans") == [[*span] for span in own.spans]
        assert part == own.as_json()
    assert editor.all() == []

    made = editor.post({"articles": parts["articles"], "together": True}).json["submissions"]
    assert [one["external_id"] for one in made] == ["a01", "a02"]
    assert made[0]["page"] == made[1]["page"] is not None


def test_files_of_every_format_are_read_and_kept(editor: Sender) -> None:
    """Each becomes a submission and comes back byte for byte, under its own name."""
    files = {
        "河长.txt": TEXT.encode("gb18030"),
        "稿件.docx": docx(document_xml(paragraph(TITLE) + paragraph(TEXT))),
        "report.pdf": pdf_of_pages([["River patrol", "Clean water."]]),
        "网页.html": f"<html><body><h1>{TITLE}</h1><p>{TEXT}改</p></body></html>".encode(),
        "来信.eml": mail(f"{TEXT}信".encode(), "Content-Type: text/plain; charset=utf-8"),
    }
    answer = editor.files(*files.items())

    assert answer.status_code == 201, answer.text
    made = answer.json["submissions"]
    assert {one["format"] for one in made} == {"txt", "docx", "pdf", "html", "eml"}
    for one in made:
        kept = editor("GET", f"/v1/submissions/{one['id']}/original")
        assert kept.data == files[one["name"]]
        assert kept.mimetype == "application/octet-stream"
        assert kept.headers["X-Content-Type-Options"] == "nosniff"
        assert kept.headers["Content-Disposition"].startswith("attachment;")


def test_one_bad_file_and_none_is_stored(editor: Sender) -> None:
    """The refusal names the file; the good one beside it is not half accepted."""
    answer = editor.files(("好.txt", TEXT.encode()), ("图.png", b"\x89PNG\r\n\x1a\n" + b"0" * 99))

    assert answer.status_code == 422 and "图.png" in answer.json["detail"]
    assert editor.all() == []


def test_a_dropped_page_keeps_its_file_after_merge_and_cut(editor: Sender) -> None:
    """Edited articles sent beside their file have it as their original."""
    file = PAGE.encode("gb18030")
    form = {"file": (io.BytesIO(file), "版面.txt")}
    parts = editor("POST", "/v1/pages/split", data=form).json["articles"]
    for part in parts:
        del part["spans"]
    answer = editor.files(("版面.txt", file), articles=json.dumps(parts[:1]))

    (one,) = answer.json["submissions"]
    assert (one["title"], one["name"], one["format"]) == ("镇里修路", "版面.txt", "txt")
    assert editor("GET", f"/v1/submissions/{one['id']}/original").data == file


@pytest.mark.parametrize(
    "body",
    [
        {"text": ""},
        {"title": " ", "text": "\u3000\n"},
        {"page": " \n "},
        {"articles": []},
        {"articles": [{"text": TEXT}, {"text": ""}]},
        {"text": TEXT, "colour": "red"},
        {"text": 7},
        {"text": None},
        [],
        "text",
        {},
    ],
)
def test_what_cannot_be_an_article_is_refused_and_nothing_stored(editor: Sender, body: Any) -> None:
    """With a problem that says what to do."""
    answer = editor.post(body)

    assert answer.status_code in {400, 422}
    assert answer.mimetype == "application/problem+json" and answer.json["detail"]
    assert editor.all() == []


def test_limits_are_kept(tmp_path: Path, registry: Registry) -> None:
    """Too many articles and too large a body are 413, with nothing stored."""
    with staffed_desk(tmp_path, models=str(registry.folder), max_batch=3, max_body_mb=1) as desk:
        editor = Sender(desk)
        four = [{"text": f"{TEXT}{number}"} for number in range(4)]
        assert editor.post({"articles": four}).status_code == 413
        assert editor.post({"text": "河" * 400_000}).status_code == 413
        assert (
            editor.files(*[(f"{n}.txt", f"{TEXT}{n}".encode()) for n in range(4)]).status_code
            == 413
        )
        assert editor.all() == []
        assert editor.post({"articles": four[:3]}).status_code == 201


def test_without_a_model_everything_is_kept_for_later(tmp_path: Path) -> None:
    """Stored, untagged, and the reason says so."""
    with staffed_desk(tmp_path) as desk:
        editor = Sender(desk)
        one = editor.one()
        kept = editor("GET", f"/v1/submissions/{one['id']}").json

        assert (one["state"], one["decision"], one["scores"]) == ("new", None, None)
        assert (kept["evidence"], kept["taggings"]) == (None, [])
        assert kept["evidence_missing"]


# Sent again


def test_a_request_sent_again_gets_its_answer_again(editor: Sender) -> None:
    """Same key, same content: one row, the same bytes; however the JSON is written down."""
    first = editor.post({"title": TITLE, "text": TEXT}, key="k-1")
    again = editor(
        "POST",
        "/v1/submissions",
        data=json.dumps({"text": TEXT, "title": TITLE}, ensure_ascii=True, indent=3),
        headers={"Idempotency-Key": "k-1", "Content-Type": "application/json"},
    )

    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(editor.all()) == 1


def test_a_key_used_for_something_else_is_refused(editor: Sender) -> None:
    """422, for another text, another title, a page, and for files."""
    editor.post({"title": TITLE, "text": TEXT}, key="k-1")

    for body in ({"title": TITLE, "text": TEXT + "。"}, {"text": TEXT}, {"page": TEXT}):
        assert editor.post(body, key="k-1").status_code == 422
    assert editor.files(("河长.txt", TEXT.encode()), key="k-1").status_code == 422
    assert len(editor.all()) == 1


def test_files_sent_again_are_one_upload(editor: Sender) -> None:
    """A form is parted differently each time; it is still the same request."""
    answers = [editor.files(("河长.txt", TEXT.encode()), key="k-2") for _ in range(3)]

    assert len({answer.data for answer in answers}) == 1
    assert len(editor.all()) == 1
    assert editor.files(("河长.txt", TEXT.encode() + b"!"), key="k-2").status_code == 422
    assert editor.files(("别名.txt", TEXT.encode()), key="k-2").status_code == 422


def test_keys_are_each_senders_own_and_do_not_live_for_ever(desk: Desk, editor: Sender) -> None:
    """Another account may use the same key; after a day so may anybody."""
    administrator = Sender(desk, "administrator")
    first = editor.post({"text": TEXT}, key="k").json
    other = administrator.post({"text": TEXT + "二"}, key="k")
    desk.clock.now += timedelta(hours=25)
    later = editor.post({"text": TEXT + "三"}, key="k")

    assert (other.status_code, later.status_code) == (201, 201)
    assert len({first["submissions"][0]["id"]} | {one["id"] for one in editor.all()}) == 3


def test_a_refused_request_uses_up_no_key(editor: Sender) -> None:
    """What was mended may be sent again under the same key."""
    assert editor.post({"text": " "}, key="k").status_code == 422
    assert editor.post({"text": TEXT}, key="k").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "键", "x" * 201, "\t"])
def test_a_key_that_is_none_is_refused(editor: Sender, key: str) -> None:
    """Rather than stored under something else."""
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    answer = editor("POST", "/v1/submissions", json={"text": TEXT}, headers=headers)

    assert answer.status_code == 400 and "Idempotency-Key" in answer.json["detail"]


def test_twenty_at_once_with_one_key_are_one_submission(editor: Sender) -> None:
    """All are told the same."""
    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: editor.post({"text": TEXT}, key="same"), range(20))]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert len(editor.all()) == 1


def test_the_same_text_again_is_linked(editor: Sender) -> None:
    """Also where white space, dateline or byline differ; and folded away in the list."""
    first = editor.one()
    second = editor.one(
        "本报济宁讯（记者 李芳）六月二十日，河长在岸边 清点垃圾，清理河道三公里，\n岸线复绿。"
    )
    other = editor.one(TEXT.replace("三公里", "四公里"))

    assert (second["twin_of"], other["twin_of"]) == (first["id"], None)
    assert {one["id"] for one in editor.all("")} == {first["id"], other["id"]}
    kept = editor("GET", f"/v1/submissions/{first['id']}").json
    assert [same["id"] for same in kept["same"]] == [second["id"]] and kept["twins"] == 1
    mirrored = editor("GET", f"/v1/submissions/{second['id']}").json
    assert [same["id"] for same in mirrored["same"]] == [first["id"]]


# What is asked


def test_pages_of_the_queue_hold_each_submission_once(editor: Sender) -> None:
    """In every order, whatever the size of a page."""
    editor.post({"articles": [{"text": f"{TEXT}{number}"} for number in range(23)]})
    every = {one["id"] for one in editor.all()}

    for order in ("doubtful", "newest", "oldest"):
        seen: list[str] = []
        cursor = ""
        while True:
            page = editor("GET", f"/v1/submissions?order={order}&limit=4&cursor={cursor}").json
            seen += [one["id"] for one in page["submissions"]]
            if page["cursor"] is None:
                break
            cursor = page["cursor"]
        assert len(seen) == 23 and set(seen) == every
    assert editor("GET", "/v1/submissions?limit=1&count=true").json["count"] == 23


def test_filters_find_what_they_say(desk: Desk, editor: Sender) -> None:
    """Each filter alone, against what the submissions themselves say."""
    editor.post({"page": PAGE})
    desk.clock.now += timedelta(days=2)
    editor.files(("河长.txt", TEXT.encode()))
    everything = editor.all()

    for field, query in (("state", "state"), ("decision", "decision"), ("source", "source")):
        for value in {one[field] for one in everything}:
            found = {one["id"] for one in editor.all(f"{query}={value}")}
            assert found == {one["id"] for one in everything if one[field] == value}
    for theme in {theme for one in everything for theme in one["themes"]}:
        assert all(theme in one["themes"] for one in editor.all(f"theme={theme}"))
    assert [one["title"] for one in editor.all("place=微山县")] == ["镇里修路"]
    assert len(editor.all("name=王明")) == 2
    assert [one["title"] for one in editor.all("text=村里")] == ["村里清河"]
    assert len(editor.all("to=2026-11-24")) == 2  # the whole day, in Beijing
    assert len(editor.all("from=2026-11-25")) == 1
    assert len(editor.all("to=2026-11-24T08:30:00Z")) == 0  # a moment is not included
    assert len(editor.all("from=2026-11-24T08:30:00Z")) == 3


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "from=yesterday",
        "from=2026-02-30",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=abc",
        "colour=red",
        "twins=perhaps",
        "state=auto&state=none",
        "order=random",
    ],
)
def test_a_filter_that_makes_no_sense_is_named(editor: Sender, query: str) -> None:
    """400 with the name of the field, never everything instead."""
    answer = editor("GET", f"/v1/submissions?{query}")

    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json["detail"]


def test_reasons_come_from_the_model_of_the_receipt(
    desk: Desk, editor: Sender, registry: Registry
) -> None:
    """Where that model has been deleted there are none, and why is said."""
    one = editor.one()
    registry.path(one["model"]).rename(registry.folder / "gone")
    fresh = type(desk.app.extensions["gaoqian.served"])(registry)
    desk.app.extensions["gaoqian.served"] = fresh

    kept = editor("GET", f"/v1/submissions/{one['id']}").json
    assert kept["evidence"] is None and one["model"] in kept["evidence_missing"]
    assert str(registry.folder) not in kept["evidence_missing"]
    assert kept["scores"] == one["scores"]


def test_facets_are_what_the_submissions_say(editor: Sender) -> None:
    """Counts by theme, place, name and source; states add up to all."""
    editor.post({"page": PAGE})
    facets = editor("GET", "/v1/facets").json

    assert sum(facets["states"].values()) == 2
    assert {"value": "王明", "count": 1} in facets["names"]
    assert {"value": "http", "count": 2} in facets["sources"]


def test_what_is_not_there_is_404(editor: Sender) -> None:
    """For every way to ask for one, also with ids that cannot be."""
    one = editor.one()
    for id in ("0" * 16, "nothing", "../../etc", "%00", "x" * 400, "河长"):
        for method, tail in (("GET", ""), ("GET", "/original"), ("DELETE", "/lock")):
            assert editor(method, f"/v1/submissions/{id}{tail}").status_code == 404
    assert editor("GET", f"/v1/submissions/{one['id']}/original").status_code == 404


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=60))
def test_no_file_name_breaks_out_of_its_header(name: str) -> None:
    """Whatever it is called, it is one quoted ASCII word and one encoded one, without a slash."""
    header = attachment(name)

    assert header.isascii() and header.isprintable() and "/" not in header and "\\" not in header
    assert header.count('"') == 2 and header.count(";") == 2


# What editors do


def review(editor: Sender, id: str, action: str, **more: Any) -> TestResponse:
    return editor("POST", f"/v1/submissions/{id}/review", json={"action": action, **more})


def test_a_review_settles_and_is_never_overwritten(editor: Sender) -> None:
    """History keeps who, when, from what to what; undo adds to it and leads back."""
    one = editor.one()
    path = f"/v1/submissions/{one['id']}"
    settled = review(editor, one["id"], "set", themes=["elder_care"], version=1).json
    unsure = review(editor, one["id"], "unsure", version=settled["version"]).json
    back = [editor("POST", f"{path}/undo").json for _ in range(2)]
    kept = editor("GET", path).json

    assert (settled["state"], settled["themes"]) == ("settled", ["elder_care"])
    assert (settled["themes_by"], unsure["state"]) == ("editor@editor", "unsure")
    assert (back[0]["state"], back[0]["themes"]) == ("settled", ["elder_care"])
    for field in ("state", "themes", "themes_by", "scores"):
        assert back[1][field] == one[field]
    assert [entry["action"] for entry in kept["history"]] == ["set", "unsure", "undo", "undo"]
    assert [entry["undone"] for entry in kept["history"]] == [True, True, False, False]
    assert editor("POST", f"{path}/undo").status_code == 409


def test_two_editors_and_one_article(desk: Desk, editor: Sender) -> None:
    """The slower one is told, loses nothing and overwrites nothing."""
    other = Sender(desk, "administrator")
    one = editor.one()

    assert review(editor, one["id"], "confirm", version=1).status_code == 200
    late = review(other, one["id"], "none", version=1)
    assert late.status_code == 412
    assert editor("GET", f"/v1/submissions/{one['id']}").json["state"] == "settled"
    assert other("POST", f"/v1/submissions/{one['id']}/undo").status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "set"}, 422),
        ({"action": "set", "themes": ["weather"]}, 422),
        ({"action": "confirm", "themes": ["elder_care"]}, 422),
        ({"action": "delete"}, 400),
        ({"themes": []}, 400),
        ({"action": "set", "themes": ["养老"]}, 400),
        ({"action": "confirm", "version": 2}, 412),
        ({"action": "confirm", "version": "1"}, 400),
    ],
)
def test_a_review_that_makes_no_sense_changes_nothing(
    editor: Sender, body: dict[str, Any], status: int
) -> None:
    """Each is refused with a reason."""
    one = editor.one()
    answer = editor("POST", f"/v1/submissions/{one['id']}/review", json=body)

    assert answer.status_code == status
    assert editor("GET", f"/v1/submissions/{one['id']}").json["history"] == []


def test_locks_name_their_holder_and_run_out(desk: Desk, editor: Sender) -> None:
    """The other is told who; after the time, or when let go, the article is free."""
    other = Sender(desk, "administrator")
    path = f"/v1/submissions/{editor.one()['id']}/lock"

    held = editor("POST", path).json
    refused = other("POST", path)
    assert held["by"] == "editor" and refused.status_code == 409
    assert "editor" in refused.json["detail"]
    assert other.all("")[0]["lock"] == held
    assert other.all("free=true") == [] and len(editor.all("free=true")) == 1
    assert other("DELETE", path).status_code == 204 and other("POST", path).status_code == 409
    assert editor("DELETE", path).status_code == 204
    assert other("POST", path).status_code == 200
    desk.clock.now += timedelta(seconds=121)
    assert editor("POST", path).status_code == 200


def test_many_at_once_and_back_in_one_step(editor: Sender) -> None:
    """By ids with the versions seen: what has changed since is left and named."""
    made = editor.post({"articles": [{"text": f"{TEXT}{n}"} for n in range(5)]}).json["submissions"]
    ids = {one["id"]: one["version"] for one in made}
    review(editor, made[0]["id"], "unsure")
    body = {"action": "set", "themes": ["environment"], "ids": {**ids, "0" * 16: None}}
    batch = editor("POST", "/v1/submissions/review", json=body).json

    assert set(batch["done"]) == {*ids} - {made[0]["id"]}
    assert {one["id"] for one in batch["refused"]} == {made[0]["id"], "0" * 16}
    assert len(editor.all("state=settled")) == 4
    back = editor("POST", "/v1/undo").json
    assert set(back["done"]) == set(batch["done"]) and editor.all("state=settled") == []
    assert editor("POST", "/v1/undo").json["done"] == [made[0]["id"]]
    assert editor("POST", "/v1/undo").status_code == 409


def test_all_of_a_query_leaves_what_was_not_seen(desk: Desk, editor: Sender) -> None:
    """What arrived after the list was shown stays as it is."""
    for number in range(3):
        editor.one(f"{TEXT}{number}")
        desk.clock.now += timedelta(seconds=1)
    seen = editor("GET", "/v1/submissions?name=王明").json
    desk.clock.now += timedelta(seconds=1)
    late = editor.one(f"{TEXT}迟到")
    body = {"action": "none", "query": {"name": "王明", "to": seen["at"]}}
    batch = editor("POST", "/v1/submissions/review", json=body).json

    assert set(batch["done"]) == {one["id"] for one in seen["submissions"]}
    assert [one["id"] for one in editor.all("") if one["state"] != "settled"] == [late["id"]]
    del body["query"]["to"]  # type: ignore[attr-defined]
    assert editor("POST", "/v1/submissions/review", json=body).status_code == 400


def test_a_reader_reads_and_a_page_of_ours_counts_as_the_desk(desk: Desk) -> None:
    """The source says which door it came through."""
    reader = Sender(desk, "reader")
    assert reader.post({"text": TEXT}).status_code == 403
    assert reader("GET", "/v1/submissions").status_code == 200

    answer = desk.ask(
        "POST",
        "/v1/submissions",
        cookie=desk.cookie("editor"),
        json={"text": TEXT},
        headers={"Origin": f"http://{HOST}"},
    )
    assert answer.json is not None and answer.json["submissions"][0]["source"] == "desk"


def test_alone_on_one_machine_submissions_have_an_editor_too(
    tmp_path: Path, registry: Registry
) -> None:
    """Without accounts the one user may submit, review and undo, under a name."""
    with desk_of(tmp_path, models=str(registry.folder)) as desk:
        base = "http://127.0.0.1:8600"
        made = desk.ask("POST", "/v1/submissions", json={"text": TEXT}, base_url=base).json
        assert made is not None
        (one,) = made["submissions"]
        path = f"/v1/submissions/{one['id']}"
        settled = desk.ask("POST", f"{path}/review", json={"action": "none"}, base_url=base).json

        assert one["by"] == "本机" and one["source"] == "http"
        assert settled is not None and settled["themes_by"] == "editor@本机"


def test_predict_stores_nothing(desk: Desk, editor: Sender) -> None:
    """However often it is asked."""
    editor("POST", "/v1/predict", json={"articles": [{"text": TEXT}]})

    assert editor.all() == [] and store_of(desk).events.last() == 0
