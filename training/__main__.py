"""`python -m training`: corpus files in, model folder out; the exit code tells."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from classifier.errors import GaoqianError


@click.command()
@click.argument("corpus", nargs=-1, type=click.Path(path_type=Path), metavar="[标注稿…]")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="写模型的空文件夹")
@click.option("--promise", default=0.97, type=click.FloatRange(0.5, 0.999), help="自动放行的准确率")
@click.option(
    "--user-words", type=click.Path(exists=True, path_type=Path), help="本报词表，每行一词"
)
@click.option("--seed", default=20260901, help="随机种子")
@click.option(
    "--tune",
    type=click.FloatRange(min=0, min_open=True),
    metavar="分钟",
    help="先用至多这么久搜索更好的做法；试过的记在 --out 旁边，停下后再运行，从停处接着搜索",
)
@click.option("--cluster", metavar="地址", help="在 Dask 集群上分折和搜索，不写则用本机")
def main(
    corpus: tuple[Path, ...],
    out: Path,
    promise: float,
    user_words: Path | None,
    seed: int,
    tune: float | None,
    cluster: str | None,
) -> None:
    """用标注稿（默认随附语料）训练，把模型写进一个文件夹。"""
    from datetime import datetime

    from training.labelled import BUNDLED
    from training.pipeline import Recipe
    from training.run import check_free, on_cluster, run_training, summary_lines, write_model
    from training.tune import Search

    check_free(out)
    words = user_words.read_text(encoding="utf-8").split() if user_words else ()
    with on_cluster(cluster):
        manifest, files, report = run_training(
            corpus or (BUNDLED,),
            recipe=Recipe(promise=promise, seed=seed),
            now=datetime.now().astimezone(),
            tell=lambda line: click.echo(line, err=True),
            user_words=words,
            search=None if tune is None else Search(minutes=tune, folder=out.parent),
        )
    write_model(out, files)
    for line in summary_lines(manifest, report):
        click.echo(line)
    click.echo(f"模型 {manifest.id} 已写入 {out}")


if __name__ == "__main__":
    try:
        main(standalone_mode=True)
    except GaoqianError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
