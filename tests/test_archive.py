"""Claims about service.archive, on a real local cluster."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")
parquet = pytest.importorskip("pyarrow.parquet")

from classifier.errors import InputRefused, UnreadableFile  # noqa: E402
from classifier.registry import Registry  # noqa: E402
from service.archive import find_inputs, tag_archive  # noqa: E402
from training.labelled import Corpus  # noqa: E402

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))
pytestmark = pytest.mark.filterwarnings("default")


def _rows(corpus: Corpus, count: int) -> list[dict[str, str]]:
    articles = [one.article for one in corpus.articles]
    return [
        {
            "id": str(number),
            "title": articles[number % len(articles)].title,
            "text": articles[(number * 7) % len(articles)].text,
        }
        for number in range(count)
    ]


def _write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def model(registry: Registry) -> Path:
    """The folder of the model in service."""
    return registry.path(registry.current_id())


def test_every_format_in_and_out_gives_what_tag_gives(
    tmp_path: Path, model: Path, registry: Registry, corpus: Corpus
) -> None:
    """JSONL, gzipped CSV and Parquet in, JSONL and Parquet out: order, numbers, bad rows apart."""
    rows = _rows(corpus, 60)
    folder = tmp_path / "in"
    folder.mkdir()
    _write_jsonl(folder / "a.jsonl", [*rows[:20], {"id": "bad"}])
    with gzip.open(folder / "b.csv.gz", "wt", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, ["id", "title", "text"])
        writer.writeheader()
        writer.writerows(rows[20:40])
    import pyarrow

    parquet.write_table(pyarrow.Table.from_pylist(rows[40:]), folder / "c.parquet")
    inputs = find_inputs([str(folder)])

    done = tag_archive(inputs, tmp_path / "out.jsonl", model=model, workers=1)
    tag_archive(inputs, tmp_path / "out.parquet", model=model, workers=2)

    from classifier.article import Article

    expected = [
        tagging.as_json()
        for tagging in registry.load().tag_many(
            Article(row["text"], row["title"], row["id"]) for row in rows
        )
    ]
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    table = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    errors = (tmp_path / "out.jsonl.errors.jsonl").read_text("utf-8")
    assert [json.loads(line) for line in lines] == expected
    assert [{**row, "scores": dict(row["scores"])} for row in table] == expected
    assert (done.articles, done.refused) == (60, 1)
    assert "a.jsonl:21" in errors
    assert "text" in errors
    assert not (tmp_path / "out.jsonl.parts").exists()


def test_killed_and_started_again_it_ends_as_if_never_stopped(
    tmp_path: Path, model: Path, registry: Registry, corpus: Corpus
) -> None:
    """kill -9 of a worker, then of the command, then a second run: the very same bytes."""
    source = _write_jsonl(tmp_path / "in.jsonl", _rows(corpus, 16_000))
    command = [GAOQIAN, "archive", str(source), str(tmp_path / "killed.jsonl"), "--workers", "2"]
    environment = {**os.environ, "GAOQIAN_MODELS": str(registry.folder)}
    parts = tmp_path / "killed.jsonl.parts"
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    _until(lambda: len(list(parts.glob("part-*.jsonl"))) >= 1, process)
    workers = [
        int(pid)
        for pid in subprocess.run(
            ["pgrep", "-g", str(process.pid), "-f", "spawn_main"],
            capture_output=True, text=True, check=False,
        ).stdout.split()
    ]  # fmt: skip
    os.kill(workers[-1], signal.SIGKILL)
    _until(lambda: len(list(parts.glob("part-*.jsonl"))) >= 3, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.jsonl").exists()

    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    tag_archive([source], tmp_path / "whole.jsonl", model=model, workers=2)

    assert again.returncode == 0, again.stderr
    assert "接续 0 块" not in again.stdout
    assert _digest(tmp_path / "killed.jsonl") == _digest(tmp_path / "whole.jsonl")


def _until(condition: Any, process: subprocess.Popen[bytes]) -> None:
    for _ in range(6_000):
        if condition():
            return
        assert process.poll() is None
        time.sleep(0.02)
    raise AssertionError("the archive run made no progress")


def test_another_input_does_not_take_up_a_run(tmp_path: Path, model: Path, corpus: Corpus) -> None:
    """What was begun for other files, or stands finished, is not written over."""
    one = _write_jsonl(tmp_path / "one.jsonl", _rows(corpus, 5))
    other = _write_jsonl(tmp_path / "other.jsonl", _rows(corpus, 6))
    tag_archive([one], tmp_path / "out", model=model, workers=1)

    with pytest.raises(InputRefused, match="不同"):
        tag_archive([other], tmp_path / "out", model=model, workers=1)
    tag_archive([one], tmp_path / "out.jsonl", model=model, workers=1)
    with pytest.raises(InputRefused, match="不覆盖"):
        tag_archive([one], tmp_path / "out.jsonl", model=model, workers=1)


@pytest.mark.parametrize("pattern", ["nowhere", "*.nothing", "notes.txt"])
def test_what_names_no_readable_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    """The sentence says which pattern, and what can be read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(UnreadableFile, match="jsonl"):
        find_inputs([pattern])
