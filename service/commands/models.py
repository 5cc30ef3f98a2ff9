"""`gaoqian models`: which versions there are, what each promises, which one serves."""

from __future__ import annotations

import getpass
import json
from datetime import datetime
from typing import TYPE_CHECKING

import click

from service.settings import read_settings

if TYPE_CHECKING:
    from classifier.registry import Registry


def _registry() -> Registry:
    from classifier.registry import Registry

    return Registry(read_settings().models)


@click.group(short_help="查看、切换模型版本")
def models() -> None:
    """查看、切换模型版本。"""


@models.command("list", short_help="列出全部版本")
@click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON 对象")
def list_versions(as_json: bool) -> None:
    """列出全部版本，新的在前；带 * 的是当前版本。"""
    for version in _registry().versions():
        if as_json:
            record = {name: getattr(version, name) for name in version.__slots__}
            click.echo(json.dumps(record, ensure_ascii=False))
            continue
        mark = "*" if version.current else " "
        about = (
            version.problem
            or f"{version.created}  {version.articles} 篇  {len(version.themes)} 个主题"
        )
        click.echo(f"{mark} {version.id}  {about}")


@models.command(short_help="一个版本的来历和承诺")
@click.argument("version", required=False, metavar="[编号]")
@click.option("--json", "as_json", is_flag=True, help="输出清单全文")
def show(version: str | None, as_json: bool) -> None:
    """一个版本（默认当前版本）的来历、主题和承诺。"""
    from classifier.model import read_manifest

    registry = _registry()
    record = read_manifest(registry.path(version or registry.current_id()))
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False, indent=1))
        return
    training = record["training"]
    click.echo(f"编号      {record['id']}")
    click.echo(f"训练时间  {record['created']}")
    click.echo(f"标注稿    {training['articles']} 篇，摘要 {training['corpus'][:12]}")
    if "macro_f1" in training:
        click.echo(f"宏 F1     {training['macro_f1']}（折外）")
    for theme in record["themes"]:
        click.echo(f"{theme['name']}  {theme['promise']['sentence']}")


@models.command(short_help="把一个版本换上岗")
@click.argument("version", metavar="编号")
def promote(version: str) -> None:
    """自检通过后，把一个版本换上岗；正在运行的服务会自动换过去。"""
    _registry().promote(version, now=datetime.now().astimezone(), by=getpass.getuser())
    click.echo(f"当前模型是 {version}。")


@models.command(short_help="换回上一个版本")
def rollback() -> None:
    """换回当前版本之前的那个版本。"""
    version = _registry().rollback(now=datetime.now().astimezone(), by=getpass.getuser())
    click.echo(f"已换回 {version}。")


@models.command(short_help="两个版本差在哪里")
@click.argument("version", metavar="编号")
@click.argument("other", required=False, metavar="[编号]")
@click.option("--json", "as_json", is_flag=True, help="输出一个 JSON 对象")
def diff(version: str, other: str | None, as_json: bool) -> None:
    """一个版本与另一个（默认当前版本）相比：数据、做法、主题、承诺，改了标注的稿件。"""
    from service.versions import compare_versions

    registry = _registry()
    record = compare_versions(registry, other or registry.current_id(), version)
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False, indent=1))
        return
    click.echo(f"{record['before']} → {record['after']}")
    for name, (old, new) in record["changed"].items():
        click.echo(f"{name}：{old} → {new}")
    for slug, (old, new) in record["themes"].items():
        click.echo(f"{slug}：{old or '没有'} → {new or '没有'}")
    labels = record["labels"]
    if labels is None:
        click.echo("有一个版本没有留下训练稿，比不出标注。")
        return
    click.echo(
        f"新增 {labels['added']} 篇，去掉 {labels['removed']} 篇，改标 {len(labels['relabelled'])} 篇"
    )
    for one in labels["relabelled"][:20]:
        old, new = ("、".join(one[side]) or "无" for side in ("before", "after"))
        click.echo(f"  {one['id']}  {one['title'][:30]}  {old} → {new}")


@models.command(short_help="删去用不着的旧版本")
@click.option("--keep", default=10, type=click.IntRange(1, 1000), help="留下最新的几个")
@click.option("--dry-run", is_flag=True, help="只看会删哪些")
def prune(keep: int, dry_run: bool) -> None:
    """只留最新的几个版本；当前版本和它之前的那个总是留下。"""
    from service.versions import superfluous

    registry = _registry()
    versions = superfluous(registry, keep=keep)
    for version in versions:
        if not dry_run:
            registry.remove(version)
        click.echo(f"{'会删去' if dry_run else '已删去'} {version}")
    if not versions:
        click.echo("没有可删的。")
