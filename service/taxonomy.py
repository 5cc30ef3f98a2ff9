"""Themes as data that change: added, renamed, merged, retired, each one step that can be undone.

`themes.json` in the models folder is a list of steps. Nothing else is rewritten: labels, reviews
and model files keep the ids they were given, and whoever reads them asks what an id is called
today. So taking back a step leaves everything as it was before it.

    [{"kind": "merge", "slug": "greening", "into": "environment", "at": …, "by": …}, …]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from classifier.article import Article, Tagging
from classifier.errors import Conflict, GaoqianError, ModelMissing, NotFound, ThemesRefused
from classifier.model import Classifier, read_manifest
from classifier.registry import Registry, replace_file
from classifier.themes import SLUG, Theme, theme_from_json

THEMES = "themes.json"
_MAX_BYTES = 4_000_000


class Kind(StrEnum):
    """What a step does."""

    ADD = "add"
    RENAME = "rename"
    MERGE = "merge"
    RETIRE = "retire"


_SAID = {
    Kind.ADD: "新增",
    Kind.RENAME: "改名",
    Kind.MERGE: "合并",
    Kind.RETIRE: "停用",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One step. `into` is the new id of a rename, or the theme that a merge ends in."""

    kind: Kind
    slug: str
    into: str = ""
    name: str = ""
    definition: str = ""
    examples: tuple[str, ...] = ()
    at: str = ""  # ISO 8601
    by: str = ""

    def as_json(self) -> dict[str, Any]:
        """The form in `themes.json`."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return {**record, "kind": str(self.kind), "examples": [*self.examples]}

    def __str__(self) -> str:
        what = f"{_SAID[self.kind]}主题 {self.slug}"
        if self.kind is Kind.MERGE:
            return f"{what}，并入 {self.into}"
        if self.kind is Kind.RENAME:
            new = "，".join(
                part
                for part in (
                    f"编号改为 {self.into}" if self.into else "",
                    f"名称改为“{self.name}”" if self.name else "",
                )
                if part
            )
            return f"{what}，{new}"
        return f"{what}“{self.name}”" if self.name else what


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """What every id, however old, is called today."""

    changes: tuple[Change, ...] = ()

    def now(self, slug: str) -> str | None:
        """What an id is called today; None where it is retired.

        >>> steps = (Change(Kind.MERGE, "a", into="b"), Change(Kind.RENAME, "b", into="c"))
        >>> Taxonomy(steps).now("a")
        'c'
        """
        current: str | None = slug
        for change in self.changes:
            if change.slug != current:
                continue
            if change.kind is Kind.RETIRE:
                current = None
            elif change.into:
                current = change.into
        return current

    def labels(self, slugs: Iterable[str]) -> tuple[str, ...]:
        """Labels as they read today: each once, retired ones left out, order kept."""
        return tuple(dict.fromkeys(new for slug in slugs if (new := self.now(slug)) is not None))

    def themes(self, known: Sequence[Theme]) -> tuple[Theme, ...]:
        """Definitions as they read today, of the themes known and of those added since."""
        found = {theme.slug: theme for theme in known}
        for change in self.changes:
            if change.kind is Kind.ADD:
                found[change.slug] = Theme(
                    change.slug, change.name, change.definition, change.examples
                )
                continue
            theme = found.pop(change.slug, None)
            if theme is None or change.kind is Kind.RETIRE:
                continue
            if change.kind is Kind.MERGE:
                found.setdefault(change.into, replace(theme, slug=change.into))
            else:
                new = change.into or theme.slug
                found[new] = replace(
                    theme,
                    slug=new,
                    name=change.name or theme.name,
                    definition=change.definition or theme.definition,
                    examples=change.examples or theme.examples,
                )
        return tuple(found.values())

    def replaced(self) -> dict[str, str | None]:
        """Every id that is no longer in use, and what stands for it now."""
        gone = [change.slug for change in self.changes if change.kind is Kind.RETIRE or change.into]
        return {slug: self.now(slug) for slug in gone if self.now(slug) != slug}

    def with_step(self, change: Change, known: Sequence[Theme]) -> Taxonomy:
        """The same with one more step, checked against the themes that there are (`known`).

        Raises Conflict, NotFound or ThemesRefused where the step makes no sense.
        """
        today = {theme.slug for theme in self.themes(known)}
        used = today | {theme.slug for theme in known} | set(self.replaced())
        target = change.slug if change.kind is Kind.ADD else change.into
        if change.kind is not Kind.ADD and change.slug not in today:
            replaced = self.replaced().get(change.slug)
            raise NotFound(
                f"没有主题 {change.slug}" + (f"，它已改为 {replaced}" if replaced else ""),
                fix=f"现有主题：{'、'.join(sorted(today))}",
            )
        if change.kind is Kind.MERGE:
            if change.into == change.slug or change.into not in today:
                raise NotFound(
                    f"不能并入 {change.into}", fix=f"现有主题：{'、'.join(sorted(today))}"
                )
        elif change.kind is Kind.ADD or (target and target != change.slug):
            if not SLUG.fullmatch(target):
                raise ThemesRefused(
                    f"主题编号不能是 {target!r}", fix="请用小写英文字母、数字和下划线，字母开头"
                )
            if target in used:
                raise Conflict(
                    f"主题编号 {target} {'正在用' if target in today else '从前用过'}",
                    fix="请另取一个编号；要恢复停用的主题，请用 gaoqian themes undo",
                )
        if change.kind is Kind.RENAME and not (change.into or change.name):
            raise ThemesRefused("没有写新编号或新名称", where=change.slug, fix="请至少写一样")
        return Taxonomy((*self.changes, change))


def read_taxonomy(folder: Path) -> Taxonomy:
    """The steps in a models folder; none where there is no file.

    Raises GaoqianError for a file that is none of ours.
    """
    path = folder / THEMES
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Taxonomy()
    try:
        records = json.loads(content) if len(content) <= _MAX_BYTES else None
        if not isinstance(records, list):
            raise TypeError("no list")
        changes = tuple(
            Change(
                **{
                    **record,
                    "kind": Kind(record["kind"]),
                    "examples": tuple(record.get("examples", ())),
                }
            )
            for record in records
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise GaoqianError(
            "不是主题变更的记录", where=str(path), fix="请从备份恢复这个文件"
        ) from None
    return Taxonomy(changes)


def known_themes(registry: Registry) -> tuple[Theme, ...]:
    """The themes of the serving model under the ids it was trained with, none without a model."""
    try:
        record = read_manifest(registry.path(registry.current_id()))
    except ModelMissing:
        return ()
    return tuple(theme_from_json(theme) for theme in record["themes"])


def write_step(
    registry: Registry, change: Change, known: Sequence[Theme], *, now: datetime, by: str
) -> Taxonomy:
    """Take one step, durably; raises as `Taxonomy.with_step` does."""
    with registry.locked():
        dated = replace(change, at=now.isoformat(timespec="seconds"), by=by)
        taxonomy = read_taxonomy(registry.folder).with_step(dated, known)
        _write(registry.folder, taxonomy)
    return taxonomy


def undo_step(registry: Registry, *, expected: int | None = None) -> Change:
    """Take back the last step.

    Raises Conflict where there is none, and where there are no longer the `expected` number of
    them: the last is another than was seen.
    """
    with registry.locked():
        taxonomy = read_taxonomy(registry.folder)
        if not taxonomy.changes:
            raise Conflict("没有可撤销的主题变更", where=str(registry.folder))
        if expected is not None and expected != len(taxonomy.changes):
            raise Conflict("主题刚被别人改过", fix="请重新看过变更记录再撤销")
        *kept, last = taxonomy.changes
        _write(registry.folder, Taxonomy(tuple(kept)))
    return last


def _write(folder: Path, taxonomy: Taxonomy) -> None:
    records = [change.as_json() for change in taxonomy.changes]
    content = json.dumps(records, ensure_ascii=False, indent=1) + "\n"
    replace_file(folder / THEMES, content.encode())


class RethemedClassifier(Classifier):
    """A model that answers with today's ids: retired themes gone, merged ones as one.

    Every column keeps its numbers, so an answer is that of the model itself, renamed. Of merged
    themes an article has the one if it has either, with the higher probability of the two.
    """

    def __init__(self, model: Classifier, taxonomy: Taxonomy) -> None:
        # Not the constructor of a model from arrays: the large ones are shared with `model`.
        self.__dict__.update(vars(model))
        manifest = model.manifest
        today = {theme.slug: theme for theme in taxonomy.themes(manifest.themes)}
        new = [taxonomy.now(slug) for slug in manifest.slugs]
        kept = [place for place, slug in enumerate(new) if slug is not None]
        self.weights = model.weights[:, kept]
        self.bias = model.bias[kept]
        self._table = np.ascontiguousarray(model._table[:, [*kept, -1]])
        self._decide_by(
            replace(
                manifest,
                themes=tuple(today[slug] for slug in new if slug is not None),
                cutoffs=tuple(manifest.cutoffs[place] for place in kept),
                promises=tuple(manifest.promises[place] for place in kept),
            )
        )

    def _slip(self, article: Article, row: list[float], *told: Any) -> Tagging:
        slip = super()._slip(article, row, *told)
        if len(set(self._slugs)) == len(self._slugs):
            return slip
        scores: dict[str, float] = {}
        for slug, probability in zip(self._slugs, row, strict=True):
            scores[slug] = max(probability, scores.get(slug, 0.0))
        return replace(slip, themes=tuple(dict.fromkeys(slip.themes)), scores=scores)


def answering(model: Classifier, taxonomy: Taxonomy) -> Classifier:
    """The model as it answers today; itself where no step touches it."""
    own = model.manifest.themes
    if taxonomy.themes(own)[: len(own)] == own:
        return model
    return RethemedClassifier(model, taxonomy)
