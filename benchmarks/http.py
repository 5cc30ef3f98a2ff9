"""`python -m benchmarks.http`: our service, an empty Flask route and the tutorial service, same run.

All three stand under the same server (gunicorn, threads) with the same numbers of workers and
threads, and take turns under wrk: one 800-character article, a batch of 100, and, ours alone,
submissions stored on the disk (SQLite, and PostgreSQL where `--postgres URL` names an empty
database). Requests a second, p50 and p99. `--soak MINUTES` then asks ours all the time and prints
memory and errors. wrk shares the processor with the servers: read ratios, not absolute numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from running import Running, free_port, running, wait_until  # noqa: E402

from classifier.registry import Registry  # noqa: E402
from training.labelled import read_corpus  # noqa: E402

LENGTH = 800
WORKERS, THREADS = 2, 8
CONNECTIONS = 16

_SUBMIT = """
local text = %s
local n = 0
local seed = tostring(math.random(1, 2^30)) .. tostring(os.time())
request = function()
  n = n + 1
  local body = '{"text": "' .. seed .. ' ' .. n .. ' ' .. text .. '"}'
  return wrk.format("POST", "/v1/submissions", {["Content-Type"] = "application/json",
    ["Idempotency-Key"] = seed .. "-" .. n}, body)
end
"""
_POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open(%s, "rb")
wrk.body = file:read("*all")
file:close()
"""
_REPORT = """
done = function(summary, latency, requests)
  io.write(string.format("REPORT %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
""".replace("%%", "%")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of wrk."""

    rate: float  # requests a second
    p50: float  # milliseconds
    p99: float
    refused: int  # answers other than 2xx and 3xx
    broken: int  # connections

    def line(self) -> str:
        """For the table."""
        wrong = (
            f"  {self.refused} refused, {self.broken} broken" if self.refused + self.broken else ""
        )
        return f"{self.rate:9.0f} {self.p50:9.2f} {self.p99:9.2f}{wrong}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=10, help="of each run of wrk")
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns of every contender; the median counts"
    )
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES")
    parser.add_argument("--postgres", metavar="URL", help="an empty PostgreSQL database")
    chosen = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: apt-get install wrk")
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"CPython {platform.python_version()}; {WORKERS} workers x {THREADS} threads, "
        f"wrk -c{CONNECTIONS}, {chosen.seconds} s x {chosen.rounds}, median"
    )
    os.environ["OMP_NUM_THREADS"] = "1"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry = published_model(folder)
        ours = stack.enter_context(running(folder, workers=WORKERS, threads=THREADS))
        empty = stack.enter_context(_flask(folder, "empty"))
        tutorial = stack.enter_context(_flask(folder, "tutorial"))
        articles = _articles(100)
        one = _script(folder, "one", {"text": articles[0]})
        many = _script(folder, "many", {"articles": [{"text": text} for text in articles]})
        contenders = {"gaoqian": ours, "empty Flask route": empty, "tutorial service": tutorial}
        _table(f"one {LENGTH}-character article", contenders, one, chosen)
        _table("batch of 100 such articles", contenders, many, chosen)
        submit = folder / "submit.lua"
        submit.write_text(_SUBMIT % json.dumps(articles[0], ensure_ascii=False) + _REPORT, "utf-8")
        _table("submissions stored, SQLite", {"gaoqian": ours}, submit, chosen)
        if chosen.postgres:
            on_postgres = stack.enter_context(
                running(
                    folder,
                    workers=WORKERS,
                    threads=THREADS,
                    database=chosen.postgres,
                    models=registry.folder,
                )
            )
            _table("submissions stored, PostgreSQL", {"gaoqian": on_postgres}, submit, chosen)
        if chosen.soak:
            _soak(ours, one, minutes=chosen.soak)


def published_model(folder: Path) -> Registry:
    """A model of the bundled corpus, in service."""
    from training.pipeline import Recipe
    from training.run import run_training

    now = datetime.now(UTC)
    manifest, files, _ = run_training(recipe=Recipe(), now=now, tell=lambda _: None, jobs=2)
    registry = Registry(folder / "models")
    registry.add(manifest.id, files)
    registry.promote(manifest.id, now=now, by="benchmark")
    return registry


def _articles(count: int) -> list[str]:
    """Articles of the corpus joined end to end and cut to length."""
    whole = "".join(one.article.text.replace("\n", "") for one in read_corpus().articles)
    return [whole[at : at + LENGTH] for at in range(0, count * LENGTH, LENGTH)]


def _script(folder: Path, name: str, body: Any) -> Path:
    content, script = folder / f"{name}.json", folder / f"{name}.lua"
    content.write_text(json.dumps(body, ensure_ascii=False), "utf-8")
    script.write_text(_POST % json.dumps(str(content)) + _REPORT, "utf-8")
    return script


@contextmanager
def _flask(folder: Path, which: str) -> Iterator[Running]:
    """A plain Flask application of `create`, under plain gunicorn."""
    port = free_port()
    log = folder / f"{which}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", f"benchmarks.http:{which}()", "--preload",
             "-k", "gthread", "-w", str(WORKERS), "--threads", str(THREADS), "--keep-alive", "15",
             "--no-control-socket", "-b", f"127.0.0.1:{port}"],
            cwd=ROOT, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    server = Running(port, process, log)
    try:
        wait_until(_is_up(server), while_alive=server, seconds=120)
        yield server
    finally:
        server.kill()


def _is_up(server: Running) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            return server.ask("POST", "/v1/predict", json_body={"text": "河"}).status == 200
        except OSError:
            return False

    return asked


def empty() -> Any:
    """A Flask application whose one route takes the body and answers nothing of use."""
    from flask import Flask, request

    app = Flask("empty")

    @app.post("/v1/predict")
    def predict() -> Any:
        request.get_data()
        return {}

    return app


def tutorial() -> Any:
    """What the tutorials build: Flask, jieba and a scikit-learn pipeline."""
    from flask import Flask, request

    from benchmarks.peers import Tutorial, jieba_cut
    from training.pipeline import label_matrix

    corpus = read_corpus()
    slugs = [theme.slug for theme in corpus.themes]
    peer = Tutorial(jieba_cut, "tutorial")
    peer.fit(
        [f"{one.article.title}\n{one.article.text}" for one in corpus.articles],
        label_matrix([one.themes for one in corpus.articles], slugs),
    )
    app = Flask("tutorial")

    @app.post("/v1/predict")
    def predict() -> Any:
        sent = request.get_json()
        texts = [one["text"] for one in sent.get("articles", [sent])]
        return {
            "results": [dict(zip(slugs, row, strict=True)) for row in peer.scores(texts).tolist()]
        }

    return app


def _wrk(server: Running, script: Path, *, seconds: float) -> Measured:
    told = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "30s",
         "-s", str(script), f"http://127.0.0.1:{server.port}/v1/predict"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    report = re.search(r"REPORT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", told)
    assert report, told
    requests, micros, p50, p99, refused, broken = map(int, report.groups())
    return Measured(requests / micros * 1e6, p50 / 1e3, p99 / 1e3, refused, broken)


def _table(
    title: str, contenders: dict[str, Running], script: Path, chosen: argparse.Namespace
) -> None:
    """One line each, the contenders taking turns so that the machine's mood meets all of them."""
    print(f"\n{title}\n{'':20s} {'req/s':>9s} {'p50 ms':>9s} {'p99 ms':>9s}", flush=True)
    runs: dict[str, list[Measured]] = {name: [] for name in contenders}
    for server in contenders.values():
        _wrk(server, script, seconds=2)
    for _ in range(chosen.rounds):
        for name, server in contenders.items():
            runs[name].append(_wrk(server, script, seconds=chosen.seconds))
    middle = {
        name: sorted(own, key=lambda run: run.rate)[len(own) // 2] for name, own in runs.items()
    }
    for name, run in middle.items():
        share = middle["gaoqian"].rate / run.rate if run.rate else float("inf")
        print(
            f"{name:20s} {run.line()}" + ("" if name == "gaoqian" else f"   gaoqian x{share:.2f}")
        )


def _soak(server: Running, script: Path, *, minutes: float) -> None:
    print(f"\nsoak, {minutes:g} minutes\n{'minute':>8s} {'MiB':>8s} {'req/s':>9s} {'wrong':>6s}")
    start = time.monotonic()
    while (gone := time.monotonic() - start) < minutes * 60:
        run = _wrk(server, script, seconds=min(30, minutes * 60 - gone + 1))
        print(
            f"{(time.monotonic() - start) / 60:8.1f} {server.memory() / 2**20:8.1f} "
            f"{run.rate:9.0f} {run.refused + run.broken:6d}",
            flush=True,
        )


if __name__ == "__main__":
    main()
