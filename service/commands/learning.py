"""`gaoqian train`, `gaoqian evaluate`, `gaoqian corpus`: the commands that use `training`."""

from __future__ import annotations

import getpass
import json
from datetime import datetime
from pathlib import Path

import click

from service.commands.options import model_option, open_model
from service.settings import read_settings

corpus_argument = click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path), metavar="[标注稿…]"
)


@click.command(short_help="用标注稿训练一个模型")
@corpus_argument
@click.option("--out", type=click.Path(path_type=Path), help="写进这个空文件夹，不进模型库")
@click.option("--promise", default=0.97, type=click.FloatRange(0.5, 0.999), help="自动放行的准确率")
@click.option(
    "--user-words",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="本报词表，每行一词",
)
@click.option("--seed", default=20260901, help="随机种子")
@click.option("--jobs", default=2, type=click.IntRange(1, 64), help="并行的进程数")
@click.option(
    "--tune",
    type=click.FloatRange(min=0, min_open=True),
    metavar="分钟",
    help="先用至多这么久搜索更好的做法；停下后再运行，从停处接着搜索",
)
@click.option(
    "--cluster",
    metavar="地址",
    help="在 Dask 集群上分折和搜索，如 tcp://10.0.0.1:8786；不写则用本机",
)
def train(
    paths: tuple[Path, ...],
    out: Path | None,
    promise: float,
    user_words: Path | None,
    seed: int,
    jobs: int,
    tune: float | None,
    cluster: str | None,
) -> None:
    """用标注稿训练一个模型，并把它换上岗。

    不写标注稿则用随附语料。读 .jsonl、.csv、.xlsx、其文件夹，或按主题命名的文件夹。
    """
    from classifier.registry import Registry
    from training.labelled import BUNDLED
    from training.pipeline import Recipe
    from training.run import check_free, on_cluster, run_training, summary_lines, write_model
    from training.tune import Search

    if out is not None:
        check_free(out)
    models = read_settings().models
    now = datetime.now().astimezone()
    words = user_words.read_text(encoding="utf-8").split() if user_words else ()
    with on_cluster(cluster):
        manifest, files, report = run_training(
            paths or (BUNDLED,),
            recipe=Recipe(promise=promise, seed=seed),
            now=now,
            tell=lambda line: click.echo(line, err=True),
            user_words=words,
            jobs=jobs,
            search=None if tune is None else Search(minutes=tune, folder=Path(models)),
        )
    for line in summary_lines(manifest, report):
        click.echo(line)
    if out is not None:
        write_model(out, files)
        click.echo(f"模型 {manifest.id} 已写入 {out}")
        return
    registry = Registry(models)
    folder = registry.add(manifest.id, files)
    registry.promote(manifest.id, now=now, by=getpass.getuser())
    click.echo(f"模型 {manifest.id} 已换上岗，报告见 {folder / 'report.html'}")


@click.command(short_help="用标注稿检验一个模型")
@corpus_argument
@click.option("--json", "as_json", is_flag=True, help="输出一个 JSON 对象")
@model_option
def evaluate(paths: tuple[Path, ...], as_json: bool, chosen: str | None) -> None:
    """用标注稿检验一个模型：准确率、查全率、F1、校准，错得最离谱的稿件。"""
    if not paths:
        raise click.UsageError("请写标注稿文件")
    from training.evaluation import evaluate_model
    from training.labelled import read_corpus
    from training.run import summary_lines

    model = open_model(chosen)
    report = evaluate_model(model, read_corpus(paths))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    for line in summary_lines(model.manifest, report):
        click.echo(line)


@click.group(short_help="检查标注语料")
def corpus() -> None:
    """检查标注语料。"""


@corpus.command(short_help="数一数、查一查标注语料")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[文件…]")
@click.option("--json", "as_json", is_flag=True, help="输出一个 JSON 对象")
def check(files: tuple[Path, ...], as_json: bool) -> None:
    """数一数语料的主题、篇幅、体裁，查重复、雷同开头和格式错误；有一处不合规则退出码为 1。

    不写文件则检查随附语料。
    """
    from training.check import check_corpus
    from training.labelled import BUNDLED

    result = check_corpus(files or sorted(BUNDLED.glob("*.jsonl")))
    click.echo(json.dumps(result.as_json(), ensure_ascii=False) if as_json else str(result))
    if result.breaches:
        raise click.exceptions.Exit(1)
