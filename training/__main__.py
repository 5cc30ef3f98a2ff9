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
def main(
    corpus: tuple[Path, ...], out: Path, promise: float, user_words: Path | None, seed: int
) -> None:
    """用标注稿（默认随附语料）训练，把模型写进一个文件夹。"""
    from datetime import datetime

    from training.labelled import BUNDLED
    from training.pipeline import Recipe
    from training.run import run_training, summary_lines, write_model

    words = user_words.read_text(encoding="utf-8").split() if user_words else ()
    manifest, files, report = run_training(
        corpus or (BUNDLED,),
        recipe=Recipe(promise=promise, seed=seed),
        now=datetime.now().astimezone(),
        tell=lambda line: click.echo(line, err=True),
        user_words=words,
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
