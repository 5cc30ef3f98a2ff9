"""`gaoqian today`: what an editor should look at today, and whether the promises hold."""

from __future__ import annotations

import getpass
import json

import click

_WHY = {"unsure": "拿不准", "contradictory": "两样标法", "unfamiliar": "没见过", "audit": "抽查"}


@click.command(short_help="今日待审，以及承诺是否守住")
@click.option("--minutes", default=20.0, type=click.FloatRange(0.5, 600), help="有多少分钟")
@click.option("--by", default=None, help="谁来审")
@click.option("--alarms", "only_alarms", is_flag=True, help="只看警报；有则退出码为 3")
@click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON 对象")
def today(minutes: float, by: str | None, only_alarms: bool, as_json: bool) -> None:
    """在给定的分钟里最该审的稿件：拿不准的、两样标法的、没见过的，再加随机抽查。

    抽查的稿件不给出模型的意见；由它得出各主题现在的准确率，与承诺比较。
    """
    from service.commands.retraining import now, this_registry, this_store
    from service.today import alarms, live_precision, plan_today

    registry = this_registry()
    with this_store() as store:
        moment = now()
        found = alarms(store, registry, now=moment)
        if only_alarms:
            for sentence in found:
                click.echo(f"{sentence}。")
            if found:
                raise click.exceptions.Exit(3)
            return
        items = plan_today(store, registry, minutes=minutes, now=moment, by=by or getpass.getuser())
        live = live_precision(store, registry, now=moment)
    for item in items:
        one = item.submission
        record = {"id": one.id, "title": one.title, "why": str(item.why), "blind": item.blind}
        if not item.blind:
            record |= {"themes": [*one.themes], "sentence": item.sentence}
        if as_json:
            click.echo(json.dumps(record, ensure_ascii=False))
            continue
        title = " ".join((one.title or one.text)[:30].split())
        shown = "" if item.blind else f"  {'、'.join(one.themes) or '无主题'}  {item.sentence}"
        click.echo(f"{one.id}  {_WHY[item.why]}  {title}{shown}")
    if as_json:
        return
    click.echo(f"共 {len(items)} 篇。")
    for theme in live:
        click.echo(f"{theme.sentence}。")
    for sentence in found:
        click.echo(f"警报：{sentence}。")
