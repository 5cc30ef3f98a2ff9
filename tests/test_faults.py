"""What happens to the whole product when the machine, the disk or a sender misbehaves."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW, Clock, copied_models
from made_submissions import new
from running import GAOQIAN, Answer, Running, environment_of, running, wait_until

from classifier.article import MAX_CHARS
from classifier.registry import POINTER, Registry
from service.store import Store
from service.store.records import KeyUse, Order, Query
from training.fit import Trained

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "</textarea><svg/onload=alert(1)>",
    "=HYPERLINK(\"http://x.example/\",\"点我\")",
)  # fmt: skip
INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE submissions; --",
    '" OR 1=1 --',
    "x' UNION SELECT password FROM users --",
    "1; SELECT pg_sleep(100)",
    "\\'; --",
    "%' AND 1=CAST((SELECT version()) AS int) --",
)
HARDLY = 3.0  # seconds of processor time: a tenth of it is usual, what is followed costs minutes
ARTICLE = {"title": "河长巡河", "text": "镇里的河长带着护河队下河捞垃圾，两岸种上了树。"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, served_models: Path) -> Iterator[Running]:
    """A server that all senders of this file turn to: what one does must not hurt the next."""
    folder = tmp_path_factory.mktemp("faults")
    copied_models(served_models, folder / "models")
    with running(folder) as started:
        yield started
        assert started.ask("GET", "/readyz").status == 200
        assert "Traceback" not in started.log.read_text("utf-8")


def _is_refusal(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "request_id"}


# What senders do


def test_a_hundred_megabytes_are_refused_unread(server: Running) -> None:
    """With a stated length: before any of them is sent, without taking memory for them."""
    before = server.memory()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as one:
        one.sendall(
            b"POST /v1/submissions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100000000\r\n\r\n"
        )
        assert b" 413 " in one.recv(200)
    assert server.memory() - before < 5_000_000


def test_a_body_without_end_is_stopped(server: Running) -> None:
    """In chunks, without a length: stopped at the limit, for what the limit costs in memory."""
    before = server.memory()
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as one:
        one.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        with pytest.raises(OSError):
            while sent < 200:
                one.sendall(chunk)
                sent += 1
        assert sent < 40
    assert server.memory() - before < 120_000_000
    assert server.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"text":' * 50_000,
        b'{"text": ' + b"9" * 5_000 + b"}",
        b"{" + b",".join(b'"%d": 1' % number for number in range(200_000)) + b"}",
        b'{"text": "a", "text": 1}',
        b'{"text": 1e999}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\xff\xfe"}',
        "{\"text\": \"河\"}".encode("utf-16"),
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"\x00",
        b"null",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/submissions"])
def test_json_that_is_none_is_refused(server: Running, path: str, body: bytes) -> None:
    """Deep, huge, doubled, not Unicode: 400, for next to no work, and nothing of it in the reply."""
    before = server.spent()
    answer = server.ask("POST", path, body=body, headers={"Content-Type": "application/json"})
    _is_refusal(answer, 400)
    assert server.spent() - before < HARDLY
    assert len(answer.body) < 2_000


def test_packed_bodies_are_not_unpacked(server: Running) -> None:
    """A gzip bomb as a body is not JSON."""
    packed = gzip.compress(b" " * 50_000_000)
    for encoding in ("gzip", "deflate", "br"):
        answer = server.ask(
            "POST", "/v1/predict", body=packed,
            headers={"Content-Type": "application/json", "Content-Encoding": encoding},
        )  # fmt: skip
        _is_refusal(answer, 400, 415)


@pytest.mark.parametrize("character", ["的", "a", "，", "\u200b", "😀", "e\u0301"])
def test_a_million_characters_are_refused_and_the_longest_article_is_not_dear(
    server: Running, character: str
) -> None:
    """Beyond the limit 400 for next to no work; at the limit an answer, whatever it is of, that
    costs about eight times what an eighth of it costs, never sixty-four times."""
    before = server.spent()
    _is_refusal(server.ask("POST", "/v1/predict", json_body={"text": character * 1_000_000}), 400)
    assert server.spent() - before < HARDLY

    def cost(length: int) -> float:
        before = server.spent()
        text = (character * length)[:length]
        answer = server.ask("POST", "/v1/predict", json_body={"text": text, "explain": True})
        assert answer.status in {200, 422}
        if answer.status == 200:
            assert answer.json()["results"][0]["decision"] in {"review", "none"}
        return server.spent() - before

    eighth = max(min(cost(MAX_CHARS // 8) for _ in range(2)), 0.03)
    assert any(cost(MAX_CHARS) < 30 * eighth for _ in range(3))


def test_ten_thousand_articles_are_too_many(server: Running) -> None:
    """413 that tells the limit; a thousand are answered in order."""
    rows = [{"id": str(number), "text": f"河长巡河{number}"} for number in range(10_000)]
    for path in ("/v1/predict", "/v1/submissions"):
        _is_refusal(server.ask("POST", path, json_body={"articles": rows}), 413)
    answer = server.ask("POST", "/v1/predict", json_body={"articles": rows[:1_000]})
    assert [one["id"] for one in answer.json()["results"]] == [one["id"] for one in rows[:1_000]]


@pytest.mark.parametrize(
    "charset", ["utf-8", "gb18030", "gbk", "big5", "utf-16", "ascii", "hz", "zip", "idna", "坏"]
)
def test_bytes_that_are_no_text_are_refused_whatever_they_are_called(
    server: Running, charset: str
) -> None:
    """Broken UTF-8 under every declared charset: refused, or taken with a warning, never silently."""
    broken = "镇里的河长带着护河队下河捞垃圾。".encode() * 5 + b"\xff\xff\xc0\x80\xed\xa0\x80\x81"
    form = (
        b'--b\r\nContent-Disposition: form-data; name="charset"\r\n\r\n%s\r\n'
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n%s\r\n--b--\r\n"
    ) % (charset.encode(), broken)
    answer = server.ask(
        "POST", "/v1/submissions", body=form,
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )  # fmt: skip
    if answer.status == 201:
        assert all(one["warnings"] for one in answer.json()["submissions"])
    else:
        _is_refusal(answer, 400, 422)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_markup_in_every_text_field_stays_text(server: Running, hostile: str) -> None:
    """Stored as sent and told as JSON that no browser takes for a page."""
    sent = {"id": hostile, "title": hostile, "text": f"{hostile}河长巡河", "byline": hostile,
            "place": hostile, "section": hostile}  # fmt: skip
    stored = server.ask("POST", "/v1/submissions", json_body=sent)
    assert stored.status == 201
    shown = server.ask("GET", stored.headers["location"])
    assert shown.json()["title"] == hostile
    for answer in (stored, shown, server.ask("GET", "/v1/submissions"),
                   server.ask("GET", "/v1/facets"), server.ask("GET", f"/v1/{hostile[:1]}x")):  # fmt: skip
        assert answer.headers["content-type"].startswith("application/")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("injection", INJECTIONS)
def test_sql_in_every_filter_finds_nothing_and_breaks_nothing(
    server: Running, injection: str
) -> None:
    """Every field of a query is a value: an empty answer or 400, nothing slept, all still there."""
    from urllib.parse import quote

    count = "/v1/submissions?twins=true&count=true&limit=1"
    before = server.ask("GET", count).json()["count"]
    for field in ("theme", "decision", "state", "place", "name", "source", "text", "page", "from",
                  "to", "twins", "free", "order", "limit", "cursor", "count"):  # fmt: skip
        answer = server.ask("GET", f"/v1/submissions?{field}={quote(injection)}")
        assert answer.status in {200, 400}, (field, answer.body)
        assert answer.status == 400 or answer.json()["submissions"] == []
    assert server.ask("GET", f"/v1/submissions/{quote(injection)}").status == 404
    assert server.ask("GET", count).json()["count"] == before


def test_wildcards_are_searched_for_and_not_obeyed(server: Running) -> None:
    """% and _ stand for themselves."""
    sent = server.ask("POST", "/v1/submissions", json_body={"text": "同比增长5%_左右的垃圾清运量"})
    own = sent.json()["submissions"][0]["id"]
    for wanted, is_found in (("5%25_左", True), ("5%25左", False), ("__左", False)):
        query = wanted.replace("左", "%E5%B7%A6")
        found = server.ask("GET", f"/v1/submissions?text={query}").json()["submissions"]
        assert (own in [one["id"] for one in found]) == is_found


def test_a_very_long_cell_does_not_end_an_archive_run(tmp_path: Path) -> None:
    """A CSV cell of 300,000 characters is one record among others; it is refused later, alone."""
    from service.archive import _Reader

    path = tmp_path / "a.csv"
    path.write_text(f"id,title,text\n1,长,{'字' * 300_000}\n2,短,河长巡河\n", "utf-8")
    records = [record for _, record in _Reader([path]).records()]
    assert [one["id"] for one in records if isinstance(one, dict)] == ["1", "2"]


# What the machine does


def test_a_model_folder_that_is_deleted_does_not_stop_a_running_server(
    tmp_path: Path, served_models: Path
) -> None:
    """It answers on from memory and says what is wrong; with the folder back all is well."""
    registry = copied_models(served_models, tmp_path / "models")
    with running(tmp_path, reload_seconds=0.1) as server:
        before = server.ask("POST", "/v1/predict", json_body=ARTICLE).json()
        shutil.rmtree(registry.folder)
        wait_until(
            lambda: server.ask("GET", "/healthz").json()["problem"] != "", while_alive=server
        )
        assert server.ask("POST", "/v1/predict", json_body=ARTICLE).json() == before
        assert server.ask("POST", "/v1/submissions", json_body=ARTICLE).status == 201
        copied_models(served_models, tmp_path / "models")
        wait_until(
            lambda: server.ask("GET", "/healthz").json()["problem"] == "", while_alive=server
        )
        assert server.ask("GET", "/readyz").status == 200
        assert server.ask("POST", "/v1/predict", json_body=ARTICLE).json() == before


def test_a_killed_worker_is_replaced_and_a_stopped_server_finishes_its_work(
    tmp_path: Path, served_models: Path
) -> None:
    """kill -9 of one of two: another takes its place. TERM: what is under way is answered."""
    copied_models(served_models, tmp_path / "models")
    with running(tmp_path, workers=2) as server:
        killed = server.workers()[0].pid
        os.kill(killed, signal.SIGKILL)
        wait_until(
            lambda: len([one for one in server.workers() if one.pid != killed]) == 2,
            while_alive=server,
        )
        for _ in range(20):
            assert server.ask("POST", "/v1/predict", json_body=ARTICLE).status == 200

        rows = [{"text": f"河长带着护河队巡河清理垃圾{number}。" * 150} for number in range(300)]
        answers: list[Answer] = []
        asking = threading.Thread(
            target=lambda: answers.append(
                server.ask("POST", "/v1/predict", json_body={"articles": rows})
            )
        )
        before = server.spent()
        asking.start()
        wait_until(lambda: server.spent() > before + 0.1, while_alive=server)
        server.process.send_signal(signal.SIGTERM)
        asking.join(timeout=60)
        assert [one.status for one in answers] == [200]
        assert len(answers[0].json()["results"]) == 300
        assert server.process.wait(timeout=60) == 0


def test_with_the_clock_set_back_nothing_is_lost_doubled_or_renamed(
    store: Store, clock: Clock
) -> None:
    """A day back in the middle of the work: ids differ, pages hold all once, a key is still known."""
    first = store.submissions.add([new(f"早 {one}") for one in range(5)], key=KeyUse("c", "k", "d"))
    clock.now -= timedelta(days=1)
    again = store.submissions.add([new("不存")], key=KeyUse("c", "k", "d"))
    late = store.submissions.add([new(f"晚 {one}") for one in range(5)])

    assert again.replayed
    assert again.reply == first.reply
    ids = [one.id for one in (*first.submissions, *late.submissions)]
    assert len({*ids}) == 10
    for order in Order:
        seen: list[str] = []
        cursor = None
        while True:
            page = store.submissions.page(Query(order=order), limit=3, cursor=cursor)
            seen += [one.id for one in page.items]
            cursor = page.cursor
            if cursor is None:
                break
        assert sorted(seen) == sorted(ids)
    events = store.events.after(0, limit=100)
    assert [one.seq for one in events] == sorted({one.seq for one in events})


def test_the_model_in_service_is_the_last_promoted_whatever_the_clock_says(
    registry: Registry, trained: Trained, packed_model: dict[str, bytes]
) -> None:
    """A promotion dated before the one it follows is still the later one, and can be undone."""
    registry.add("20200101-aaaaaa", packed_model)
    registry.promote("20200101-aaaaaa", now=NOW - timedelta(days=3_000), by="test")

    assert registry.current_id() == "20200101-aaaaaa"
    assert registry.rollback(now=NOW - timedelta(days=4_000), by="test") == trained.manifest.id


def test_without_home_and_language_it_works_and_speaks_chinese(
    registry: Registry, tmp_path: Path
) -> None:
    """env -i LANG=C: themes and help come out in UTF-8."""
    bare = {"PATH": os.environ["PATH"], "LANG": "C", "GAOQIAN_MODELS": str(registry.folder)}
    path = tmp_path / "稿.jsonl"
    path.write_text(json.dumps({"id": "1", **ARTICLE}, ensure_ascii=False) + "\n", "utf-8")
    told = subprocess.run(
        [GAOQIAN, "tag", "--jsonl", str(path)], env=bare, capture_output=True, check=True
    )
    assert json.loads(told.stdout)["title"] == "河长巡河"
    helped = subprocess.run([GAOQIAN, "--help"], env=bare, capture_output=True, check=True)
    assert "稿签" in helped.stdout.decode("utf-8")


def test_a_user_whom_the_system_does_not_know_can_start_it() -> None:
    """A random uid without a home, as containers have, ends in a default and not in a traceback."""
    script = (
        "import os, pwd\n"
        "os.environ.pop('HOME', None)\n"
        "def unknown(_): raise KeyError('uid not found')\n"
        "pwd.getpwuid = unknown\n"
        "from service.settings import read_settings\n"
        "print(read_settings({})['database'])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert told.stdout.strip() == "/var/lib/gaoqian/gaoqian.db"


# What the disk does: in a mount namespace of its own, which needs root


def _can_mount() -> bool:
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return tried.returncode == 0


needs_mount = pytest.mark.skipif(
    not shutil.which("unshare") or not _can_mount(), reason="mounting needs root"
)
FILL = "dd if=/dev/zero of=ballast bs=4k >/dev/null 2>&1; sync"


def _on_small_disk(
    folder: Path, script: str, *, size: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """A shell script in `folder`, over which a disk of this size is laid for its duration."""
    whole = f"mount -t tmpfs -o size={size} tmpfs '{folder}' && cd '{folder}' && {script}"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", whole],
        env=environment_of(folder, **settings),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


def _says_why(told: subprocess.CompletedProcess[str], *words: str) -> None:
    assert told.returncode == 1, told.stderr
    assert "Traceback" not in told.stderr
    assert any(word in told.stderr for word in words), told.stderr


@needs_mount
def test_a_full_disk_does_not_cost_a_submission_or_the_server(
    tmp_path: Path, served_models: Path
) -> None:
    """507 with Retry-After and nothing half stored; reading and predicting go on; with room again
    storing goes on in the same process, and all that was acknowledged is there once."""
    registry = copied_models(served_models, tmp_path / "models")
    data = tmp_path / "data"
    data.mkdir()
    mounted = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=3m tmpfs '{data}'; exec \"$0\" \"$@\""]  # fmt: skip
    settings = {"database": data / "gaoqian.db", "models": registry.folder}
    with running(tmp_path, before=mounted, **settings) as server:
        inside = Path(f"/proc/{server.process.pid}/root") / data.relative_to("/")
        stored: list[str] = []

        def send(number: int) -> Answer:
            answer = server.ask(
                "POST", "/v1/submissions",
                json_body={"text": f"第{number}篇。" + ARTICLE["text"] * 20},
                headers={"Idempotency-Key": str(number)},
            )  # fmt: skip
            if answer.status == 201:
                stored.append(answer.json()["submissions"][0]["id"])
            return answer

        for number in range(10):
            assert send(number).status == 201
        ballast = inside / "ballast"
        with pytest.raises(OSError, match="No space"), ballast.open("wb") as stream:
            while True:
                stream.write(b"\0" * 4096)
                stream.flush()
        refused = [answer for answer in map(send, range(10, 60)) if answer.status != 201]
        assert refused
        for answer in refused:
            _is_refusal(answer, 507, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert server.ask("GET", "/v1/submissions").status == 200
        assert server.ask("POST", "/v1/predict", json_body=ARTICLE).status == 200

        ballast.unlink()
        again = send(59)
        assert again.status == 201
        assert send(59).headers.get("idempotency-replayed") == "true"
        listed = [
            one["id"]
            for one in server.ask("GET", "/v1/submissions?twins=true&limit=200").json()["submissions"]
        ]  # fmt: skip
        assert sorted(listed) == sorted({*stored})


@needs_mount
def test_a_full_disk_stops_a_training_with_a_sentence(tmp_path: Path) -> None:
    """Exit 1, no folder that looks like a model, nothing left half written."""
    corpus = tmp_path / "c.jsonl"
    rows = [
        {"id": str(number), "title": f"第{number}",
         "text": ("河长巡河捞垃圾" if number % 2 else "老人在食堂吃午饭") * (3 + number % 7) + str(number**3),
         "themes": ["environment" if number % 2 else "elder_care"]}
        for number in range(60)
    ]  # fmt: skip
    corpus.write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    disk = tmp_path / "disk"
    disk.mkdir()
    told = _on_small_disk(
        disk,
        f"'{GAOQIAN}' train '{corpus}' --jobs 1 >/dev/null; code=$?; ls -A models >&2; exit $code",
        size="12k",
    )
    _says_why(told, "磁盘空间")
    assert "manifest" not in told.stderr
    assert ".part-" not in told.stderr


@needs_mount
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_promotion_that_cannot_be_written_changes_nothing(
    registry: Registry, packed_model: dict[str, bytes], fault: str, tmp_path: Path
) -> None:
    """Exit 1 with a sentence; the pointer is the old one and answers as before."""
    registry.add("20261125-aaaaaa", packed_model)
    before = registry.current_id()
    disk = tmp_path / "disk"
    disk.mkdir()
    spoil = FILL if fault == "full" else f"mount -o remount,ro '{disk}'"
    told = _on_small_disk(
        disk,
        f"cp -a '{registry.folder}/.' . && {spoil}; '{GAOQIAN}' models promote 20261125-aaaaaa;"
        f" code=$?; cat {POINTER} >&2; '{GAOQIAN}' models show >/dev/null || exit 9; exit $code",
        size="64m",
        models=disk,
    )
    _says_why(told, "磁盘空间")
    assert told.stderr.rstrip().endswith(before)


@needs_mount
def test_on_a_read_only_system_what_only_reads_works(registry: Registry, tmp_path: Path) -> None:
    """With models and temporary folder read-only, tagging from standard input answers."""
    disk = tmp_path / "disk"
    disk.mkdir()
    told = _on_small_disk(
        disk,
        f"cp -a '{registry.folder}/.' . && mount -o remount,ro '{disk}' && "
        "mount --bind /tmp /tmp && mount -o remount,ro,bind /tmp && "
        "mount -t tmpfs -o ro tmpfs /var/tmp && ! touch /tmp/x 2>/dev/null && "
        f"echo 镇里的河长下河捞垃圾 | '{GAOQIAN}' tag --json -",
        size="64m",
        models=".",
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["scores"]
