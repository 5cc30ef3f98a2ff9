"""The training run: corpus files in, a model folder with its report out."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import joblib

from classifier.article import Article
from classifier.errors import ExtraMissing, GaoqianError, InputRefused
from classifier.model import ARRAYS, MANIFEST, Manifest, pack, write_manifest
from classifier.registry import write_folder
from training.evaluation import evaluate_training
from training.fit import Tell, Trained, corpus_digest, train
from training.labelled import BUNDLED, Corpus, Labelled, read_corpus
from training.pipeline import Recipe
from training.tune import Search, find_recipe

REPORT, REPORT_PAGE, PIPELINE = "report.json", "report.html", "pipeline.joblib"
LEARNED = "learned.jsonl.gz"
_MAX_LEARNED = 4_000_000_000  # bytes of JSON


def run_training(
    paths: Sequence[Path] = (BUNDLED,),
    *,
    recipe: Recipe,
    now: datetime,
    tell: Tell,
    user_words: Sequence[str] = (),
    jobs: int = 2,
    search: Search | None = None,
) -> tuple[Manifest, dict[str, bytes], dict[str, Any]]:
    """Train on labelled files: the manifest, the files of the model folder, and the report.

    With `search`, a better recipe is looked for first, from `recipe` on, and used; what that gave
    is in the manifest. Raises CorpusRefused with every problem in the files; writes nothing but
    the trials of a search.
    """
    corpus = read_corpus(paths)
    searched: dict[str, Any] = {}
    if search is not None:
        found = find_recipe(
            corpus, search, start=recipe, tell=tell, user_words=user_words, jobs=jobs
        )
        tell(found.sentence)
        recipe, searched = found.recipe, {"search": found.as_json()}
    trained = train(corpus, recipe=recipe, now=now, tell=tell, user_words=user_words, jobs=jobs)
    tell("评估，写报告")
    report = evaluate_training(trained)
    summary = {name: report[name] for name in ("macro_f1", "macro_f1_interval", "exact_sets")}
    manifest = replace(
        trained.manifest, training={**trained.manifest.training, **summary, **searched}
    )
    return manifest, model_files(trained, manifest, report), report


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Let what joblib does within run on a Dask cluster; on this machine where there is no address.

    Raises ExtraMissing without Dask, InputRefused where the cluster does not answer, has no worker,
    or works with other versions than this machine, which could give another model.
    """
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise ExtraMissing(
            "没有安装 Dask",
            where="gaoqian train --cluster",
            fix="请运行 pip install 'gaoqian[dask]'",
        ) from None
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputRefused(
            f"连不上 Dask 集群（{error}）", where=address, fix="请检查地址和网络"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=10)
        except TimeoutError:
            raise InputRefused(
                "Dask 集群没有工作进程", where=address, fix="请先运行 dask worker"
            ) from None
        for package in ("gaoqian", "scikit-learn"):
            ours = version(package)
            try:
                others = {*client.run(version, package).values()} - {ours}
            except PackageNotFoundError:
                others = {"没有安装"}
            if others:
                raise InputRefused(
                    f"集群上的 {package} 是 {'、'.join(sorted(others))}，本机是 {ours}",
                    where=address,
                    fix="请在每台机器上装同一版本",
                )
        with joblib.parallel_config("dask", client=client):
            yield


def check_free(folder: Path) -> None:
    """Refuse a place where something is, before minutes of training are spent on it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GaoqianError("已有内容，不覆盖", where=str(folder), fix="请换一个空文件夹")


def write_model(folder: Path, files: dict[str, bytes]) -> None:
    """Write a model folder of its own; refuses to write over anything."""
    check_free(folder)
    if folder.is_dir():
        folder.rmdir()
    write_folder(folder, files)


def model_files(trained: Trained, manifest: Manifest, report: dict[str, Any]) -> dict[str, bytes]:
    """The files of a model folder by name."""
    packed = pack(trained.arrays)
    pipeline = io.BytesIO()
    joblib.dump(trained.pipeline, pipeline, compress=3)
    return {
        ARRAYS: packed,
        MANIFEST: write_manifest(manifest, packed),
        REPORT: (json.dumps(report, ensure_ascii=False, indent=1) + "\n").encode(),
        REPORT_PAGE: report_page(manifest, report).encode(),
        LEARNED: learned_file(trained.corpus),
        # For people with notebooks; the service never opens it.
        PIPELINE: pipeline.getvalue(),
    }


def learned_file(corpus: Corpus) -> bytes:
    """What a model learned from, so that the next one can be judged against it fairly."""
    lines = [
        json.dumps(
            {
                "id": one.article.id,
                "title": one.article.title,
                "text": one.article.text,
                "themes": sorted(one.themes),
                "date": one.date,
            },
            ensure_ascii=False,
        )
        for one in corpus.articles
    ]
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def read_learned(folder: Path, manifest: Manifest) -> Corpus | None:
    """What the model in a folder learned from; None where the folder does not truly say."""
    try:
        with gzip.open(folder / LEARNED) as stream:
            content = stream.read(_MAX_LEARNED + 1)
        records = [json.loads(line) for line in content.decode().split("\n") if line]
        articles = tuple(
            Labelled(
                Article(record["text"], record["title"], record["id"]),
                frozenset(record["themes"]),
                where=f"{folder.name}/{LEARNED}",
                date=record["date"],
            )
            for record in records
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
        return None
    corpus = Corpus(articles, manifest.themes)
    return corpus if corpus_digest(corpus) == manifest.training.get("corpus") else None


def report_page(manifest: Manifest, report: dict[str, Any]) -> str:
    """The report as a page in Chinese that needs nothing but a browser."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    names = {theme.slug: theme.name for theme in manifest.themes}
    environment.filters["name_of"] = lambda slug: names.get(slug, slug)
    template = environment.from_string(
        Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    )
    return template.render(
        manifest=manifest,
        report=report,
        names=names,
        themes=list(zip(manifest.themes, manifest.promises, strict=True)),
        percent=lambda share: "—" if share is None else f"{share:.1%}",
    )


def summary_lines(manifest: Manifest, report: dict[str, Any]) -> list[str]:
    """What the command line prints of a report."""
    names = {theme.slug: theme.name for theme in manifest.themes}
    low, high = report["macro_f1_interval"]
    themeless = report["themeless"]
    lines = [f"宏 F1 {report['macro_f1']:.4f}（95% 区间 {low:.4f}–{high:.4f}，折外）"]
    for slug, figures in report["themes"].items():
        lines.append(
            f"  {names.get(slug, slug)}  {figures['support']} 篇  准确率 {figures['precision']:.3f}"
            f"  查全率 {figures['recall']:.3f}  F1 {figures['f1']:.3f}"
        )
    lines.append(f"主题全对 {report['exact_sets']:.1%}，校准误差 {report['calibration_error']:.4f}")
    for words, count, share in (
        ("无主题稿", themeless["articles"], themeless["tagged"]),
        ("其中难例", themeless["hard"], themeless["hard_tagged"]),
    ):
        if share is not None:
            lines.append(f"{words} {count} 篇，误标 {share:.1%}")
    for row in report.get("decisions", ()):
        if row["precision"] is not None:
            lines.append(
                f"承诺 {row['promise']:.0%}：已定 {row['settled']:.1%}，准确率 {row['precision']:.3f}，"
                f"查全率 {row['recall']:.3f}，全对 {row['exact_sets']:.1%}"
            )
        else:
            lines.append(f"承诺 {row['promise']:.0%}：数据不足，全部送审")
    return lines
