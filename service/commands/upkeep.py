"""`gaoqian doctor`, `gaoqian backup` and `gaoqian restore`: what the technician runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from service.settings import read_settings


@click.command(short_help="检查这套安装，说明哪里要修")
@click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON 对象")
def doctor(as_json: bool) -> None:
    """检查设置、文件夹、磁盘、时钟、数据库、模型、分词和上次重训；有坏的，退出码是 1。"""
    from classifier.errors import SettingRefused
    from service.doctor import Finding, Level, examine

    def show(finding: Finding) -> None:
        if as_json:
            record = {name: getattr(finding, name) for name in Finding.__slots__}
            click.echo(json.dumps(record, ensure_ascii=False))
        else:
            click.echo(f"{finding.level}\t{finding}")

    broken = False
    try:
        settings = read_settings()
    except SettingRefused as error:
        where = f"（{error.where}）" if error.where else ""
        show(Finding(Level.BROKEN, "设置", f"{error.what}{where}", error.fix))
        raise SystemExit(1) from None
    for finding in examine(settings, now=datetime.now(UTC)):
        show(finding)
        broken = broken or finding.level is Level.BROKEN
    if broken:
        raise SystemExit(1)


@click.command(short_help="把数据库和模型存成一个文件")
@click.argument("file", type=click.Path(path_type=Path), metavar="文件")
def backup(file: Path) -> None:
    """把数据库和模型文件夹存成一个 .tar 文件；服务照常运行。"""
    from service.backup import back_up

    settings = read_settings()
    contents = back_up(
        file, database=settings["database"], models=settings.models, now=datetime.now(UTC)
    )
    click.echo(f"已备份到 {file}：{contents}。")


@click.command(short_help="从备份恢复到这台机器")
@click.argument("file", type=click.Path(path_type=Path), metavar="文件")
@click.option("--check", is_flag=True, help="只核对备份是否完好，什么也不恢复")
def restore(file: Path, check: bool) -> None:
    """把备份恢复到设置所说的数据库和模型文件夹；那里已有内容就不动，并说明原因。"""
    from service.backup import check_backup, put_back

    if check:
        click.echo(f"{file} 完好：{check_backup(file)}。")
        return
    settings = read_settings()
    contents = put_back(file, database=settings["database"], models=settings.models)
    click.echo(f"已恢复：{contents}。请运行 gaoqian doctor 核对，再启动服务。")
