"""Claims about the stateless API, on a real server and in process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from classifier.registry import Registry
from service.app import create_app
from service.settings import read_settings
from training.labelled import Corpus

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))


@pytest.fixture
def client(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FlaskClient:
    """The application in process, with a model in service."""
    monkeypatch.chdir(tmp_path)
    return create_app(read_settings()).test_client()


@pytest.fixture
def server(registry: Registry, tmp_path: Path) -> Iterator[str]:
    """A real server on a free port, ended by its own process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [GAOQIAN, "serve", "--port", str(port), "--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "GAOQIAN_MODELS": str(registry.folder)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/readyz", timeout=2).close()
            break
        except OSError:
            time.sleep(0.1)
    yield address
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def _post(address: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{address}/v1/predict",
        data=json.dumps(body, ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_the_server_answers_as_the_command_line_does(
    server: str, registry: Registry, corpus: Corpus, tmp_path: Path
) -> None:
    """One article and a hundred over HTTP equal `gaoqian tag --jsonl`, with evidence too."""
    articles = [one.article for one in corpus.articles[:100]]
    rows = [{"id": one.id, "title": one.title, "text": one.text} for one in articles]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    for explain in (False, True):
        told = subprocess.run(
            [GAOQIAN, "tag", "--jsonl", "-", *(["--explain"] if explain else [])],
            input=lines.encode(),
            capture_output=True,
            check=True,
            env={**os.environ, "GAOQIAN_MODELS": str(registry.folder)},
        ).stdout.decode()
        expected = [json.loads(line) for line in told.splitlines()]

        batch = _post(server, {"articles": rows, "explain": explain})
        single = _post(server, {**rows[0], "explain": explain})

        assert batch == {"model": registry.current_id(), "results": expected}
        assert single["results"] == expected[:1]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"text": 5}', "application/json", 400),
        (b'{"text": "a", "extra": 1}', "application/json", 400),
        (b'{"articles": []}', "application/json", 400),
        (b'{"text": "\\ud800"}', "application/json", 400),
        (b'{"text": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"text": "\xff"}', "application/json", 400),
        (b'{"text": " \\n"}', "application/json", 422),
        (b'{"articles": [{"text": "x"}, {"text": ""}]}', "application/json", 422),
        (b"text=a", "application/x-www-form-urlencoded", 415),
        (b'{"text": "a"}', "text/plain", 415),
    ],
)
def test_what_cannot_be_read_is_a_problem_document(
    client: FlaskClient, body: bytes, kind: str, status: int
) -> None:
    """RFC 9457, in Chinese, with a request id, and never the body sent back."""
    answer = client.post("/v1/predict", data=body, content_type=kind)

    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    told = json.loads(answer.data)
    assert set(told) == {"type", "title", "status", "detail", "request_id"}
    assert told["status"] == status
    assert any("\u4e00" <= character <= "\u9fff" for character in told["detail"])


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient) -> None:
    """413, and as a problem document like every other refusal."""
    body = b" " * (21 * 1024 * 1024)
    answer = client.post("/v1/predict", data=body, content_type="application/json")

    assert answer.status_code == 413
    assert answer.mimetype == "application/problem+json"


def test_without_a_model_the_service_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Alive, not ready, and every prediction names the command that helps."""
    monkeypatch.chdir(tmp_path)
    bare = create_app(read_settings()).test_client()

    assert bare.get("/healthz").status_code == 200
    for answer in (bare.get("/readyz"), bare.post("/v1/predict", json={"text": "党建"})):
        assert answer.status_code == 503
        assert "gaoqian train" in json.loads(answer.data)["detail"]


def test_themes_and_model_say_what_is_promised(client: FlaskClient, registry: Registry) -> None:
    """Each theme has its name, definition and promise, under the id that answers."""
    themes = client.get("/v1/themes").get_json()
    model = client.get("/v1/model").get_json()

    assert themes["model"] == model["model"] == registry.current_id()
    assert {theme["slug"] for theme in themes["themes"]} == {
        "investment_promotion", "party_building", "environment", "elder_care",
    }  # fmt: skip
    assert all(theme["promise"]["sentence"] for theme in themes["themes"])


def test_pages_load_nothing_from_elsewhere(client: FlaskClient) -> None:
    """No address of another host in any page, and a policy that would forbid it."""
    for path in ("/", "/docs"):
        answer = client.get(path, follow_redirects=True)
        assert answer.status_code == 200
        assert "http://" not in answer.text
        assert "https://" not in answer.text
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
