"""`gaoqian archive`: tag archives of any size."""

from __future__ import annotations

from pathlib import Path

import click

from service.commands.options import model_folder, model_option


@click.command(short_help="给成批的旧稿打主题标签")
@click.argument("inputs", nargs=-1, required=True, metavar="输入…")
@click.argument("output", type=click.Path(path_type=Path), metavar="输出")
@click.option("--cluster", metavar="地址", help="Dask 调度器，如 tcp://10.0.0.1:8786；不写则用本机")
@click.option("--workers", default=2, type=click.IntRange(1, 256), help="本机的进程数")
@model_option
def archive(
    inputs: tuple[str, ...], output: Path, cluster: str | None, workers: int, chosen: str | None
) -> None:
    """给成批的旧稿打主题标签。

    输入是 .jsonl、.csv、.parquet 文件（可加 .gz）、文件夹或通配符；输出是 .jsonl 或 .parquet
    文件，没有后缀则是放分块的文件夹。中途停下，再运行同一命令就接着做，结果与一次做完完全相同。
    处理不了的记录连同原因写进旁边的 errors.jsonl。
    """
    from service.archive import find_inputs, tag_archive

    done = tag_archive(
        find_inputs(inputs),
        output,
        model=model_folder(chosen),
        workers=workers,
        cluster=cluster,
        tell=lambda line: click.echo(line, err=True),
    )
    rate = done.articles / done.seconds if done.seconds else 0
    click.echo(
        f"{done.articles} 篇写入 {output}，{done.refused} 条处理不了，"
        f"用时 {done.seconds:.1f} 秒（{rate:.0f} 篇/秒），接续 {done.resumed} 块"
    )
