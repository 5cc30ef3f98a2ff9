"""`python -m benchmarks.kills`: kill -9 at twenty random moments of a retraining, under service.

A server goes on answering while `gaoqian retrain` is killed somewhere between its start and the
end of its promotion. After each kill the model in service loads, answers, and is either the one
from before or, whole, the one that was just promoted; a last run to the end clears up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.switch import ask, serving
from classifier.registry import Registry
from service.retrain import STATUS
from training.labelled import Labelled, read_corpus


def main() -> None:
    """Kill, look, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    chance = random.Random(20260901)
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder, "models"))
        corpus = Path(folder, "corpus.jsonl")
        articles = read_corpus().articles[::6]
        _write(corpus, articles[:-1])
        start = time.monotonic()
        _retrain(registry, corpus).wait()
        whole = time.monotonic() - start
        first = registry.current_id()
        _write(corpus, articles)
        moments: Counter[str] = Counter()
        with serving(registry.folder, Path(folder, "gaoqian.db")) as port:
            for _ in range(kills):
                run = _retrain(registry, corpus)
                time.sleep(chance.random() * whole)
                run.kill()
                run.wait()
                moments[_said_last(registry)] += 1
                served = ask(port, "GET", "/healthz")["serving"]
                problems = [version.problem for version in registry.versions()]
                assert registry.load().id == registry.current_id()
                assert served, "the server answers"
                assert not any(problems), problems
                _start_over(registry, first)
        last = _retrain(registry, corpus).wait()
        left = [*registry.folder.glob(".part-*")]
    print(f"{kills} 次 kill -9，一次重训要 {whole:.1f} 秒；在岗模型始终完好，起初是 {first}")
    for sentence, count in moments.items():
        print(f"  {count} 次：{sentence}")
    print(f"最后一次不杀：退出码 {last}，{left or '收拾干净'}")
    if last or left:
        raise SystemExit(1)


def _said_last(registry: Registry) -> str:
    """What the killed run was doing, as far as it had said."""
    return str(json.loads((registry.folder / STATUS).read_text("utf-8"))["sentence"])


def _start_over(registry: Registry, first: str) -> None:
    """Back to the first model, the candidate gone, so that the next run has all of its work."""
    if registry.current_id() != first:
        registry.promote(first, now=datetime.now(UTC), by="benchmark")
    for version in registry.versions():
        if version.id != first:
            registry.remove(version.id)


def _retrain(registry: Registry, corpus: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", "retrain", "--without-reviews", str(corpus)],
        env={**os.environ, "GAOQIAN_MODELS": str(registry.folder)},
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _write(path: Path, articles: Sequence[Labelled]) -> None:
    lines = [
        {
            "id": one.article.id,
            "title": one.article.title,
            "text": one.article.text,
            "themes": sorted(one.themes),
            "date": one.date,
        }
        for one in articles
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main()
