"""`gaoqian retrain` and `gaoqian corrections`: learning from what editors decided."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.settings import Settings, read_settings

if TYPE_CHECKING:
    from classifier.registry import Registry
    from service.store import Store

_FATES = {
    "learned": "学会了",
    "not_yet": "还没学会",
    "overruled": "后来另有审定",
    "retired": "主题已停用",
    "waiting": "等下次重训",
}
_json = click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON 对象")


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def this_registry() -> Registry:
    """The models folder of the settings."""
    from classifier.registry import Registry

    return Registry(read_settings().models)


@contextmanager
def this_store() -> Iterator[Store]:
    """The store of the settings."""
    from service.store import open_store

    store = open_store(read_settings()["database"], clock=now)
    try:
        yield store
    finally:
        store.close()


def corpus_paths(settings: Settings, given: tuple[Path, ...]) -> tuple[Path, ...]:
    """The corpus named on the command line, else that of the settings, else the bundled one."""
    from training.labelled import BUNDLED

    told = [Path(part).expanduser() for part in settings["corpus"].split(os.pathsep) if part]
    return given or tuple(told) or (BUNDLED,)


@click.command(short_help="用审定过的稿件重训，好了才换上岗")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[标注稿…]")
@click.option(
    "--promise", type=click.FloatRange(0.5, 0.999), help="自动放行的准确率；不写则同在岗模型"
)
@click.option(
    "--user-words",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="本报词表，每行一词；不写则同在岗模型",
)
@click.option(
    "--margin", default=0.03, type=click.FloatRange(0, 0.5), help="一个主题的 F1 最多可降多少"
)
@click.option("--by", default=None, help="记在谁名下")
@click.option("--jobs", default=2, type=click.IntRange(1, 64), help="并行的进程数")
@click.option("--without-reviews", is_flag=True, help="只用标注稿，不打开数据库")
@click.option("--json", "as_json", is_flag=True, help="输出一个 JSON 对象")
def retrain(
    paths: tuple[Path, ...],
    promise: float | None,
    user_words: Path | None,
    margin: float,
    by: str | None,
    jobs: int,
    without_reviews: bool,
    as_json: bool,
) -> None:
    """用编辑审定过的稿件和标注稿重训，与在岗模型比较，通过才换上岗。

    不写标注稿则用设置 corpus 所指，再没有则用随附语料。换上岗退出码为 0，标注没有变化也是 0，未通过为
    3，在岗模型不变。
    """
    from contextlib import nullcontext

    from classifier.errors import GateRefused
    from service.retrain import GATE_PAGE, Stage
    from service.retrain import retrain as run
    from training.gate import Rules

    registry = this_registry()
    settings = read_settings()
    words = user_words.read_text(encoding="utf-8").split() if user_words else None
    recipe, used_words = recipe_as_serving(registry, promise, words)
    with nullcontext() if without_reviews else this_store() as store:
        outcome = run(
            registry,
            paths=corpus_paths(settings, paths),
            store=store,
            clock=lambda: datetime.now().astimezone(),
            by=by or getpass.getuser(),
            recipe=recipe,
            rules=Rules(margin=margin),
            user_words=used_words,
            jobs=jobs,
            tell=lambda line: click.echo(line, err=True),
        )
    if as_json:
        verdict = outcome.verdict.as_json() if outcome.verdict else None
        record = {
            "stage": str(outcome.stage),
            "version": outcome.version,
            "sentence": outcome.sentence,
            "verdict": verdict,
        }
        click.echo(json.dumps(record, ensure_ascii=False))
    elif outcome.verdict:
        told = outcome.verdict
        for one in (*([told.mean] if told.mean else []), *told.themes):
            click.echo(f"{one.sentence}。")
        for promised in told.promises:
            click.echo(f"{promised.sentence}。")
        click.echo(
            f"两个模型标法不同的有 {told.flipped} 篇，见 {registry.folder / outcome.version / GATE_PAGE}"
        )
    if outcome.stage is Stage.REFUSED:
        raise GateRefused(
            outcome.sentence, fix=f"比较的详情见 {registry.folder / outcome.version / GATE_PAGE}"
        )
    if not as_json:
        click.echo(f"{outcome.sentence}。")
        if outcome.stage is Stage.PROMOTED:
            click.echo(f"模型 {outcome.version} 已换上岗。")


def recipe_as_serving(
    registry: Registry, promise: float | None, words: list[str] | None
) -> tuple[Any, tuple[str, ...]]:
    """The recipe and words of the serving model, but for what is asked for here."""
    from classifier.errors import ModelRefused
    from classifier.model import read_manifest
    from training.pipeline import Recipe

    try:
        record = read_manifest(registry.path(registry.current_id()))
    except ModelRefused:
        record = {"training": {"recipe": {}}, "tokenizer": {"user_words": []}}
    recipe = Recipe.from_json(record["training"].get("recipe", {}))
    used = tuple(record["tokenizer"]["user_words"]) if words is None else tuple(words)
    return recipe if promise is None else replace(recipe, promise=promise), used


@click.group(short_help="更正学会了没有，标注有没有可疑")
def corrections() -> None:
    """更正学会了没有，哪些标注可疑。"""


@corrections.command("list", short_help="每条更正的下落")
@click.option("--by", help="只列这个编辑的")
@click.option("--fate", type=click.Choice([*_FATES]), help="只列这种下落的")
@_json
def list_corrections(by: str | None, fate: str | None, as_json: bool) -> None:
    """编辑改过模型的每一条，现在学会了没有；没学会的列出标得相反的稿件。"""
    from service.lessons import corrections_told

    with this_store() as store:
        told = corrections_told(this_registry(), store)
    shown = [
        one
        for one in told
        if (by is None or one["by"] == by) and (fate is None or one["fate"] == fate)
    ]
    for one in shown:
        if as_json:
            click.echo(json.dumps(one, ensure_ascii=False))
            continue
        click.echo(
            f"{one['at'][:10]}  {one['by']}  {one['submission']}  {one['title'][:20] or '（无题）'}  "
            f"{'、'.join(one['before']) or '无'} → {'、'.join(one['themes']) or '无'}  "
            f"{_FATES[one['fate']]}：{one['sentence']}"
        )
        for other in one["opposites"]:
            has = "有" if other["labelled"] else "没有"
            click.echo(
                f"    {other['id']}  {other['title'][:30] or '（无题）'}  标为{has} {other['theme']}"
            )
    if not as_json:
        counts = {name: sum(one["fate"] == name for one in shown) for name in _FATES}
        total = "，".join(f"{_FATES[name]} {count}" for name, count in counts.items() if count)
        click.echo(f"共 {len(shown)} 条更正" + (f"：{total}" if total else ""))


@corrections.command(short_help="可疑的标注，最可疑的在前")
@click.option("--limit", default=20, type=click.IntRange(1, 1000), help="最多列几篇")
@_json
def suspects(limit: int, as_json: bool) -> None:
    """语料和审定稿里可疑的标注，最可疑的在前；用 keep 或 change 答复。"""
    from service.lessons import open_suspects

    with this_store() as store:
        found = open_suspects(this_registry(), store)[:limit]
    for one in found:
        if as_json:
            click.echo(json.dumps(one, ensure_ascii=False))
            continue
        said = "标了" if one["labelled"] else "没标"
        click.echo(
            f"{one['id']}  {one['title'][:30] or '（无题）'}  {said} {one['theme']}，模型说概率是 {one['probability']:.2f}"
        )
    if not found and not as_json:
        click.echo("没有可疑的标注。")


@corrections.command(short_help="可疑的标注没有错")
@click.argument("id", metavar="编号")
def keep(id: str) -> None:
    """这篇的标注没有错，保留。"""
    from service.lessons import answer_suspect

    with this_store() as store:
        answer_suspect(this_registry(), store, id, None, now=now(), by=getpass.getuser())
    click.echo(f"{id} 保留原来的标注。")


@corrections.command(short_help="可疑的标注确实错了，改正")
@click.argument("id", metavar="编号")
@click.argument("themes", nargs=-1, metavar="[主题…]")
def change(id: str, themes: tuple[str, ...]) -> None:
    """这篇的标注错了，改成这些主题；不写主题就是无主题。下次重训时生效。"""
    from service.lessons import answer_suspect

    with this_store() as store:
        answer_suspect(this_registry(), store, id, themes, now=now(), by=getpass.getuser())
    click.echo(f"{id} 改为{'、'.join(themes) or '无主题'}，下次重训时生效。")


@corrections.command(short_help="撤销自己对可疑标注的答复")
@click.argument("id", metavar="编号")
def reopen(id: str) -> None:
    """撤销自己对这篇的答复，它重新列为可疑。"""
    from service.lessons import take_back_answer

    with this_store() as store:
        take_back_answer(this_registry(), store, id, now=now(), by=getpass.getuser())
    click.echo(f"{id} 重新列为可疑。")
