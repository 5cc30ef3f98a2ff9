"""`python -m benchmarks.archive`: `gaoqian archive` on articles without end, whole and killed.

Writes N articles made of the corpus's sentences (for load only: what they are about is noise),
tags them with one process and with two, then once more with a worker and after it the command
itself killed on the way and started again. Prints articles a second, the speed-up, the greatest
memory of a worker and of the command, whether all outputs are the same bytes, and what the figures
mean for a hundred million articles on ten such machines.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.http import published_model
from training.labelled import read_corpus

GAOQIAN = str(Path(sys.executable).with_name("gaoqian"))
SENTENCES = (8, 20)  # of one article
ARCHIVE, MACHINES = 100_000_000, 10


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command."""

    seconds: float
    worker_bytes: int  # resident, the greatest of any worker at any time
    command_bytes: int


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--articles", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to write; else the temporary folder")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"CPython {platform.python_version()}, {chosen.articles} articles"
    )
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        models = published_model(folder).folder
        source = folder / "archive.jsonl"
        with source.open("w", encoding="utf-8") as stream:
            characters = 0
            for line, length in _articles(chosen.articles):
                stream.write(line)
                characters += length
        print(
            f"{source.stat().st_size / 2**20:.0f} MiB, {characters / chosen.articles:.0f} characters each"
        )
        digests = {}
        rates = {}
        for workers in (1, 2):
            output = folder / f"out-{workers}.jsonl"
            run = _watched(_started(source, output, models, workers))
            rates[workers] = chosen.articles / run.seconds
            digests[f"{workers} process(es)"] = _digest(output)
            print(
                f"{workers} process(es): {run.seconds:7.1f} s, {rates[workers]:7.0f} articles/s, "
                f"worker {run.worker_bytes / 2**20:.0f} MiB, command {run.command_bytes / 2**20:.0f} MiB",
                flush=True,
            )
            output.unlink()
        print(f"speed-up {rates[2] / rates[1]:.2f}")
        output = folder / "out-killed.jsonl"
        _killed(source, output, models)
        digests["killed and taken up again"] = _digest(output)
        for what, digest in digests.items():
            print(f"sha256 {digest[:16]}  {what}")
        is_same = len(set(digests.values())) == 1
        print("the same bytes" if is_same else "THE OUTPUTS DIFFER")
        hours = ARCHIVE / (rates[2] * MACHINES) / 3600
        print(
            f"{ARCHIVE} articles on {MACHINES} such machines: {hours:.1f} hours at {rates[2]:.0f}/s each"
        )
    sys.exit(0 if is_same else 1)


def _articles(count: int) -> Iterator[tuple[str, int]]:
    """Lines of JSON, each a title and sentences drawn from the whole corpus; and their lengths."""
    chance = random.Random(20261124)
    titles, sentences = [], []
    for one in read_corpus().articles:
        titles.append(one.article.title)
        sentences += [
            f"{each}。" for each in one.article.text.replace("\n", "").split("。") if each
        ]
    for number in range(count):
        text = "".join(chance.choices(sentences, k=chance.randint(*SENTENCES)))
        title = chance.choice(titles)
        row = {"id": str(number), "title": title, "text": text}
        yield json.dumps(row, ensure_ascii=False) + "\n", len(title) + len(text)


def _started(source: Path, output: Path, models: Path, workers: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [GAOQIAN, "archive", str(source), str(output), "--workers", str(workers)],
        env={**os.environ, "GAOQIAN_MODELS": str(models)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The worker processes: children that Dask spawned, without Python's resource tracker."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [one for one in children if "spawn_main" in " ".join(one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _watched(process: subprocess.Popen[bytes]) -> Run:
    """Wait for the command, looking at memory twice a second; it must succeed."""
    start = time.monotonic()
    worker = command = 0
    while process.poll() is None:
        for one in _workers(process):
            try:
                worker = max(worker, one.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        try:
            command = max(command, psutil.Process(process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.5)
    if process.wait() != 0:
        sys.exit(f"gaoqian archive ended with {process.returncode}")
    return Run(time.monotonic() - start, worker, command)


def _killed(source: Path, output: Path, models: Path) -> None:
    """kill -9 of a worker, then of the command and all its workers, then to the end."""
    parts = output.with_name(output.name + ".parts")

    def finished() -> int:
        return len(list(parts.glob("part-*.jsonl")))

    process = _started(source, output, models, 2)
    _until(lambda: finished() >= 1, process)
    os.kill(_workers(process)[0].pid, signal.SIGKILL)
    seen = finished()
    _until(lambda: finished() > seen + 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    print(f"killed with {finished()} parts done", flush=True)
    _watched(_started(source, output, models, 2))


def _until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not condition():
        if process.poll() is not None:
            sys.exit("the run was over before it could be killed: take more --articles")
        time.sleep(0.05)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main()
