"""`gaoqian themes`: add, rename, merge and retire themes, one reversible step each."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from service.taxonomy import Change

_dry_run = click.option("--dry-run", is_flag=True, help="只看影响，不改")
_definition = click.option("--definition", default="", help="一句话说明")
_examples = click.option("--example", "examples", multiple=True, help="例词，可写多次")


@click.group(short_help="增改主题")
def themes() -> None:
    """增加、改名、合并、停用主题；每次一步，可以撤销，标注和来稿本身不改。"""


@themes.command("list", short_help="现有主题和变更记录")
@click.option("--json", "as_json", is_flag=True, help="输出一个 JSON 对象")
def list_themes(as_json: bool) -> None:
    """现有主题、停用或改过的编号，以及变更记录。"""
    from service.commands.retraining import this_registry
    from service.taxonomy import known_themes, read_taxonomy

    registry = this_registry()
    taxonomy = read_taxonomy(registry.folder)
    current = taxonomy.themes(known_themes(registry))
    if as_json:
        record = {
            "themes": [theme.as_json() for theme in current],
            "replaced": taxonomy.replaced(),
            "changes": [change.as_json() for change in taxonomy.changes],
        }
        click.echo(json.dumps(record, ensure_ascii=False))
        return
    for theme in current:
        click.echo(f"{theme.slug}  {theme.name}  {theme.definition}".rstrip())
    for old, new in taxonomy.replaced().items():
        click.echo(f"{old} 已{f'改为 {new}' if new else '停用'}")
    for change in taxonomy.changes:
        click.echo(f"{change.at}  {change.by}  {change}")


@themes.command(short_help="新增主题")
@click.argument("slug", metavar="编号")
@click.option("--name", required=True, help="名称")
@_definition
@_examples
@_dry_run
def add(slug: str, name: str, definition: str, examples: tuple[str, ...], dry_run: bool) -> None:
    """新增主题；标好三十篇左右再运行 gaoqian retrain。"""
    from service.taxonomy import Change, Kind

    change = Change(Kind.ADD, slug, name=name, definition=definition, examples=examples)
    _take(change, dry_run)


@themes.command(short_help="改名称或编号")
@click.argument("slug", metavar="编号")
@click.option("--name", default="", help="新名称")
@click.option("--slug", "into", default="", help="新编号；旧编号的来稿和请求照样认得")
@_definition
@_examples
@_dry_run
def rename(
    slug: str, name: str, into: str, definition: str, examples: tuple[str, ...], dry_run: bool
) -> None:
    """改主题的名称或编号。"""
    from service.taxonomy import Change, Kind

    change = Change(Kind.RENAME, slug, into, name, definition, examples)
    _take(change, dry_run)


@themes.command(short_help="并入另一个主题")
@click.argument("slug", metavar="编号")
@click.argument("into", metavar="并入的编号")
@_dry_run
def merge(slug: str, into: str, dry_run: bool) -> None:
    """把一个主题并入另一个。"""
    from service.taxonomy import Change, Kind

    _take(Change(Kind.MERGE, slug, into), dry_run)


@themes.command(short_help="停用主题")
@click.argument("slug", metavar="编号")
@_dry_run
def retire(slug: str, dry_run: bool) -> None:
    """停用主题；此后不再标它，也不再学它。"""
    from service.taxonomy import Change, Kind

    _take(Change(Kind.RETIRE, slug), dry_run)


@themes.command(short_help="撤销上一步变更")
def undo() -> None:
    """撤销上一步变更，一切如前。"""
    from service.commands.retraining import this_registry
    from service.taxonomy import undo_step

    click.echo(f"已撤销：{undo_step(this_registry())}。")


def _take(change: Change, dry_run: bool) -> None:
    from service.commands.retraining import now, this_registry, this_store
    from service.lessons import touched_by
    from service.taxonomy import known_themes, read_taxonomy, write_step

    registry = this_registry()
    known = known_themes(registry)
    read_taxonomy(registry.folder).with_step(change, known)  # refuses what makes no sense
    with this_store() as store:
        touched = touched_by(registry, store, change)
    click.echo(f"{change}：{touched}。")
    if dry_run:
        click.echo("只是预演，没有改。")
        return
    write_step(registry, change, known, now=now(), by=getpass.getuser())
    click.echo("已生效；撤销用 gaoqian themes undo。要让模型学到，请运行 gaoqian retrain。")
