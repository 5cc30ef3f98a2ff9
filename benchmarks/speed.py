"""`python -m benchmarks.speed`: time per article of ours and the peers, one core, same run.

Every contender learns from the bundled corpus, then tags the same 800-character articles and the
same headlines, one at a time and in batch; rounds are interleaved so that a change of the
machine's mood meets all of them. Then growth with length, model size, load time and memory.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import logging
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from benchmarks.accuracy import TITLES
from benchmarks.peers import FastText, Peer, Tutorial, jieba_cut, rjieba_cut
from classifier.article import Article
from classifier.model import ARRAYS, Classifier, load
from training.labelled import Corpus, read_corpus
from training.pipeline import Recipe, label_matrix
from training.run import run_training, write_model

ROUNDS = 7
LENGTH = 800


def main() -> None:
    """Print all tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    logging.getLogger("jieba").setLevel(logging.ERROR)
    print(
        f"{platform.processor() or platform.machine()}, CPython {platform.python_version()}, 1 core"
    )
    corpus = read_corpus()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        _, files, _ = run_training(
            recipe=Recipe(), now=datetime.now(UTC), tell=lambda _: None, jobs=1
        )
        write_model(path, files)
        model = load(path)
        contenders = _contenders(model, corpus)
        _table(f"{LENGTH}-character articles", contenders, _articles(corpus))
        _table("headlines", contenders, _headlines(corpus))
        _growth(model)
        _footprint(path)


def _articles(corpus: Corpus) -> list[str]:
    """Articles of the corpus joined end to end and cut to length."""
    whole = "".join(labelled.article.text.replace("\n", "") for labelled in corpus.articles)
    return [whole[at : at + LENGTH] for at in range(0, 120 * LENGTH, LENGTH)]


def _headlines(corpus: Corpus) -> list[str]:
    if (TITLES / "dev.tsv").is_file():
        rows = (TITLES / "dev.tsv").read_text(encoding="utf-8").splitlines()
        return [row.rpartition("\t")[0] for row in rows[:600]]
    return [one.article.title for one in corpus.articles if one.article.title][:600]


Contender = tuple[str, Callable[[str], object], Callable[[Sequence[str]], object]]


def _contenders(model: Classifier, corpus: Corpus) -> list[Contender]:
    texts = [f"{one.article.title}\n{one.article.text}" for one in corpus.articles]
    truth = label_matrix(
        [one.themes for one in corpus.articles], [theme.slug for theme in corpus.themes]
    )
    peers: list[Peer] = [
        Tutorial(jieba_cut, "(a) jieba + scikit-learn"),
        Tutorial(rjieba_cut, "(b) rjieba + scikit-learn"),
    ]
    try:
        import fasttext  # noqa: F401

        peers += [
            FastText(jieba_cut, "(c) fastText, jieba"),
            FastText(rjieba_cut, "(c) fastText, rjieba"),
        ]
    except ImportError:
        print("fastText is not installed: pip install 'gaoqian[bench]'")

    def ours_one(text: str) -> object:
        return model.tag(Article(text))

    def ours_batch(all_texts: Sequence[str]) -> object:
        return list(model.tag_many([Article(text) for text in all_texts]))

    contenders: list[Contender] = [("gaoqian", ours_one, ours_batch)]
    for peer in peers:
        peer.fit(texts, truth)
        contenders.append((peer.name, lambda text, own=peer: own.scores([text]), peer.scores))  # type: ignore[misc]
    return contenders


def _table(title: str, contenders: Sequence[Contender], texts: Sequence[str]) -> None:
    """Median milliseconds per text, and how many times the first contender's."""
    single: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    batch: dict[str, list[float]] = {name: [] for name, _, _ in contenders}
    for turn in range(ROUNDS + 1):
        for name, one, many in contenders:
            start = time.perf_counter()
            for text in texts:
                one(text)
            middle = time.perf_counter()
            many(texts)
            end = time.perf_counter()
            if turn:  # the first round warms up
                single[name].append((middle - start) / len(texts) * 1000)
                batch[name].append((end - middle) / len(texts) * 1000)
    print(f"\n{title}, {len(texts)} of them, median of {ROUNDS} rounds")
    print(f"{'':28}{'one at a time':>16}{'ratio':>8}{'in batch':>14}{'ratio':>8}")
    ours = contenders[0][0]
    for name, _, _ in contenders:
        ratio_one = median(a / b for a, b in zip(single[name], single[ours], strict=True))
        ratio_many = median(a / b for a, b in zip(batch[name], batch[ours], strict=True))
        print(
            f"{name:28}{median(single[name]):13.3f} ms{ratio_one:8.1f}"
            f"{median(batch[name]):11.3f} ms{ratio_many:8.1f}"
        )


def _growth(model: Classifier) -> None:
    """Microseconds per character as the text grows, with both tokenizers."""
    from classifier import tokens

    prose = "".join(one.article.text for one in read_corpus().articles)
    kinds = {
        "prose": lambda length: "".join(islice(cycle(prose), length)),
        "one character repeated": lambda length: "的" * length,
        "Latin without a space": lambda length: "a" * length,
    }
    lengths = (1_000, 10_000, 50_000, 200_000)
    print("\nmicroseconds per character by length" + "".join(f"{length:>10}" for length in lengths))
    spec = model.manifest.tokenizer
    for engine in (tokens._rjieba, tokens._jieba):
        name, cut = engine(spec)
        own = Classifier.__new__(Classifier)
        own.__dict__ = {**model.__dict__, "tokenizer": tokens.Tokenizer(spec, name, cut)}
        for kind, make in kinds.items():
            cells = []
            for length in lengths:
                text = make(length)
                own.tag(Article(text))
                start = time.perf_counter()
                own.tag(Article(text))
                cells.append((time.perf_counter() - start) / length * 1e6)
            print(f"{name + ', ' + kind:36}" + "".join(f"{cell:10.3f}" for cell in cells))


def _footprint(folder: Path) -> None:
    """Size, load time, first tagging of a cold process, memory, and the command's help."""
    program = (
        "import time\nstart = time.perf_counter()\n"
        "from pathlib import Path\nfrom classifier.article import Article\n"
        "from classifier.model import load\n"
        f"loading = time.perf_counter()\nmodel = load(Path({str(folder)!r}))\n"
        "loaded = time.perf_counter()\nmodel.tag(Article('河长带队清理河道垃圾'))\n"
        "end = time.perf_counter()\n"
        "peak = [int(line.split()[1]) / 1024 for line in open('/proc/self/status')"
        " if line.startswith('VmHWM')][0]\n"
        "print(f'{loaded - loading:.3f} {end - start:.3f} {peak:.0f}')"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(5)
    ]
    loading, first, peak = (median(float(run[column]) for run in runs) for column in range(3))
    start = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).with_name("gaoqian"), "--help"], capture_output=True, check=True
    )
    helped = time.perf_counter() - start
    size = (folder / ARRAYS).stat().st_size / 1e6
    print(
        f"\nmodel {size:.1f} MB, loads in {loading:.3f} s; cold process to first slip {first:.3f} s, "
        f"peak memory {peak:.0f} MB; gaoqian --help {helped:.3f} s"
    )


if __name__ == "__main__":
    main()
