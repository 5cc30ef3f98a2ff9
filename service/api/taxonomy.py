"""Themes as data that change: what a step would touch, the step, and the way back."""

from __future__ import annotations

from typing import Any, Literal

from flask import request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field

from classifier.errors import ThemesRefused
from service import access
from service.access import asker
from service.accounts import By
from service.api import asked, bodies
from service.api.models import models
from service.api.predict import reply, served
from service.api.routes import Route
from service.api.submissions import store
from service.lessons import touched_by
from service.taxonomy import (
    Change,
    Kind,
    Taxonomy,
    known_themes,
    read_taxonomy,
    undo_step,
    write_step,
)

_LONGEST_NAME, _LONGEST_DEFINITION = 40, 500


class ChangeBody(bodies.Incoming):
    """一步主题变更"""

    kind: Literal["add", "rename", "merge", "retire"] = Field(
        description="add 新增，rename 改名称或编号，merge 并入另一个，retire 停用"
    )
    slug: asked.Slug = Field(description="哪个主题；新增时是新编号")
    into: asked.Slug | None = Field(None, description="rename 的新编号，merge 并入的主题")
    name: bodies.Text = Field("", max_length=_LONGEST_NAME, description="名称")
    definition: bodies.Text = Field("", max_length=_LONGEST_DEFINITION, description="一句话说明")
    examples: list[bodies.Text] = Field([], max_length=50, description="例词")

    def change(self) -> Change:
        """The step it means; raises ThemesRefused where something is missing or too much."""
        kind = Kind(self.kind)
        if kind is Kind.ADD and not self.name.strip():
            raise ThemesRefused("没有写名称", where="name", fix="请写主题的名称")
        if kind is Kind.MERGE and self.into is None:
            raise ThemesRefused("没有写并入哪个主题", where="into", fix="请写另一个主题的编号")
        described = kind in (Kind.ADD, Kind.RENAME)
        if not described and (self.name or self.definition or self.examples):
            raise ThemesRefused("合并和停用不写名称、说明、例词", where="name", fix="请去掉")
        if kind not in (Kind.MERGE, Kind.RENAME) and self.into is not None:
            raise ThemesRefused("新增和停用不写 into", where="into", fix="请去掉")
        words = (word.strip() for word in self.examples)
        return Change(
            kind,
            self.slug,
            self.into or "",
            self.name.strip(),
            self.definition.strip(),
            tuple(dict.fromkeys(word for word in words if word)),
        )


class UndoBody(bodies.Incoming):
    """撤销哪一步"""

    expected: int = Field(ge=1, le=2**31 - 1, description="看到的变更一共几步；已被别人改过则 409")


class TouchedReply(BaseModel):
    """一步变更涉及多少；只是预演，没有改"""

    sentence: str
    learned: int = Field(description="在岗模型学过的、有此主题的稿件")
    submissions: int = Field(description="现在标为此主题的来稿，最多数到 10000")
    corrections: int = Field(description="定上或去掉此主题的更正")
    clients: int = Field(description="在用的接口令牌；旧编号照样认得")


class DefinedReply(BaseModel):
    """一个主题的定义"""

    slug: str
    name: str
    definition: str
    examples: list[str]


class ChangeReply(BaseModel):
    """一步主题变更"""

    kind: Literal["add", "rename", "merge", "retire"]
    slug: str
    into: str
    name: str
    at: str
    by: str
    sentence: str


class TaxonomyReply(BaseModel):
    """现有主题、旧编号和变更记录"""

    themes: list[DefinedReply]
    replaced: dict[str, str | None] = Field(description="旧编号 → 现在的编号；停用的为空")
    changes: list[ChangeReply] = Field(description="先做的在前；撤销的是最后一步")


def taxonomy() -> ResponseReturnValue:
    """Themes as they are today, and the steps that led here."""
    return reply(_told(read_taxonomy(models().folder)))


def preview_change() -> ResponseReturnValue:
    """What a step would touch; nothing is changed."""
    change = bodies.read_body(request, ChangeBody).change()
    read_taxonomy(models().folder).with_step(change, known_themes(models()))
    touched = touched_by(models(), store(), change)
    return reply(
        {
            "sentence": f"{change}：{touched}",
            "learned": touched.learned,
            "submissions": touched.submissions,
            "corrections": touched.corrections,
            "clients": touched.clients,
        }
    )


def change_themes() -> ResponseReturnValue:
    """Take one step."""
    change = bodies.read_body(request, ChangeBody).change()
    taxonomy = write_step(
        models(), change, known_themes(models()), now=store().clock(), by=asker().name
    )
    _record(f"theme.{change.kind}", change.slug, into=change.into, name=change.name)
    served().refresh()  # this process at once, the others within a second
    return reply(_told(taxonomy), 201)


def undo_change() -> ResponseReturnValue:
    """Take back the last step, where it is still the one that was seen."""
    sent = bodies.read_body(request, UndoBody)
    change = undo_step(models(), expected=sent.expected)
    _record("theme.undo", change.slug, kind=str(change.kind))
    served().refresh()
    return reply(_told(read_taxonomy(models().folder)))


def _record(action: str, subject: str, **detail: object) -> None:
    by = By(asker().name, access.address())
    access.accounts().record(action, by, subject, **detail)


def _told(taxonomy: Taxonomy) -> dict[str, Any]:
    kept = ("kind", "slug", "into", "name", "at", "by")
    return {
        "themes": [theme.as_json() for theme in taxonomy.themes(known_themes(models()))],
        "replaced": taxonomy.replaced(),
        "changes": [
            {**{name: change.as_json()[name] for name in kept}, "sentence": str(change)}
            for change in taxonomy.changes
        ],
    }


_BODY = (400, 413, 415)

ROUTES = (
    Route(
        "GET",
        "/v1/taxonomy",
        taxonomy,
        "现有主题的定义、旧编号、变更记录",
        reply=TaxonomyReply,
        role="reader",
    ),
    Route(
        "POST",
        "/v1/taxonomy/preview",
        preview_change,
        "主题变更的预演：涉及多少，不改",
        reply=TouchedReply,
        bodies=(ChangeBody,),
        refusals=(*_BODY, 404, 409, 422),
        role="administrator",
    ),
    Route(
        "POST",
        "/v1/taxonomy/changes",
        change_themes,
        "新增、改名、合并、停用主题，一次一步",
        reply=TaxonomyReply,
        bodies=(ChangeBody,),
        refusals=(*_BODY, 404, 409, 422, 507),
        role="administrator",
        status=201,
    ),
    Route(
        "POST",
        "/v1/taxonomy/undo",
        undo_change,
        "撤销最后一步主题变更，一切如前",
        reply=TaxonomyReply,
        bodies=(UndoBody,),
        refusals=(*_BODY, 409, 507),
        role="administrator",
    ),
)
