"""What a retraining learns from: corpus files, and over them what editors decided.

Only what a person gave or confirmed is in it, called as it is called today.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from classifier.article import Article
from classifier.errors import Conflict, ModelMissing, ModelRefused, NotFound
from classifier.model import read_manifest
from classifier.registry import Registry
from classifier.themes import Theme
from service.answers import Answer, mark_of, read_answers, record_answer
from service.store.records import Action, Query
from service.taxonomy import Change, Taxonomy, read_taxonomy

if TYPE_CHECKING:
    from service.store import Store
    from training.fates import Correction
    from training.labelled import Corpus

FATES, SUSPECTS = "fates.json", "suspects.json"
"""Beside a model: what became of each correction, and which labels are in doubt."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Everything that a retraining learns from, gathered and as it is called today."""

    corpus: Corpus
    reviewed: int  # articles of it that editors settled
    notes: tuple[str, ...]


def gather(
    folder: Path,
    *,
    paths: Sequence[Path],
    store: Store | None,
    taxonomy: Taxonomy,
    known: Sequence[Theme] = (),
) -> Lesson:
    """What there is to learn from: corpus files, over them what editors settled and answered.

    Only labels that a person gave are in it. Of the same text the latest word counts.
    """
    from training.fit import MIN_PER_THEME
    from training.labelled import Corpus, Labelled, read_corpus

    corpus = read_corpus(paths)
    answers = read_answers(folder)
    articles = {mark_of(one.article): one for one in corpus.articles}
    ids = {one.article.id for one in corpus.articles}
    settled = [] if store is None else [*store.reviews.labelled()]
    for one in sorted(settled, key=lambda one: (one.settled, one.id)):
        if not (one.text.strip() or one.title.strip()):
            continue
        id = one.id if one.id not in ids else f"submission-{one.id}"
        article = Article(one.text, one.title, id)
        articles[mark_of(article)] = Labelled(
            article,
            frozenset(one.themes),
            where=f"审定稿 {one.id}",
            date=f"{one.received:%Y-%m-%d}",
            about={"settled": one.settled.isoformat(timespec="seconds"), "by": one.by},
        )
    reviewed = sum("settled" in one.about for one in articles.values())
    for mark, answer in answers.items():
        if mark in articles and str(articles[mark].about.get("settled", "")) <= answer.at:
            articles[mark] = replace(articles[mark], themes=frozenset(answer.themes))
    defined = {theme.slug: theme for theme in (*corpus.themes, *known)}
    everything = Corpus(tuple(articles.values()), tuple(defined.values()))
    today = renamed(everything, taxonomy, everything.themes)
    served = {theme.slug for theme in known}
    scarce = {
        theme
        for theme in today.themes
        if theme.slug not in served
        and sum(theme.slug in one.themes for one in today.articles) < MIN_PER_THEME
    }
    notes = tuple(
        f"主题 {theme.name} 的标注稿不到 {MIN_PER_THEME} 篇，这次先不学它"
        for theme in sorted(scarce, key=lambda theme: theme.slug)
    )
    left = frozenset(theme.slug for theme in scarce)
    return Lesson(
        Corpus(
            tuple(replace(one, themes=one.themes - left) for one in today.articles),
            tuple(theme for theme in today.themes if theme not in scarce),
        ),
        reviewed,
        notes,
    )


def renamed(corpus: Corpus, taxonomy: Taxonomy, known: Sequence[Theme]) -> Corpus:
    """Labels as they read today, and the themes that are among them."""
    from training.labelled import Corpus

    articles = tuple(
        replace(one, themes=frozenset(taxonomy.labels(sorted(one.themes))))
        for one in corpus.articles
    )
    used = {slug for one in articles for slug in one.themes}
    today = {theme.slug: theme for theme in taxonomy.themes(known)}
    order = [slug for slug in today if slug in used] + sorted(used - set(today))
    return Corpus(articles, tuple(today.get(slug, Theme(slug, slug)) for slug in order))


def gather_corrections(store: Store, *, by: str | None = None) -> list[Correction]:
    """Every review that changed what the model had said and was not taken back, oldest first."""
    from training.fates import Correction

    return [
        Correction(
            one.review,
            one.article.id,
            one.article,
            one.by,
            one.at,
            frozenset(one.themes),
            frozenset(one.before),
            one.overruled_by,
        )
        for one in store.corrections.told(by=by)
    ]


def corrections_told(
    registry: Registry, store: Store, *, by: str | None = None
) -> list[dict[str, Any]]:
    """Every correction, or those of one editor, with its fate under the serving model.

    Those made since it was trained are waiting.
    """
    known = {one["review"]: one for one in beside_serving(registry, FATES, [])}
    told = []
    for one in store.corrections.told(by=by):
        before = known.get(one.review)
        if before is not None and bool(before["overruled_by"]) == bool(one.overruled_by):
            told.append(before)
            continue
        fate, said = "waiting", "在岗模型训练之后才改的"
        if one.overruled_by:
            fate, said = "overruled", f"后来 {one.overruled_by} 另有审定"
        told.append(
            {
                "review": one.review,
                "submission": one.article.id,
                "title": one.article.title,
                "by": one.by,
                "at": one.at.isoformat(timespec="seconds"),
                "themes": sorted(one.themes),
                "before": sorted(one.before),
                "fate": fate,
                "by_heart": False,
                "overruled_by": one.overruled_by,
                "opposites": [],
                "sentence": said,
            }
        )
    return told


def open_suspects(registry: Registry, store: Store | None) -> list[dict[str, Any]]:
    """Doubted labels that nobody has answered since the serving model was trained."""
    answers = read_answers(registry.folder)
    found = []
    for one in beside_serving(registry, SUSPECTS, {"suspects": []})["suspects"]:
        answer = answers.get(mark_of(Article(one["text"], one["title"])))
        if answer is None and not _reviewed_otherwise(store, one):
            found.append(one)
    return found


def _reviewed_otherwise(store: Store | None, suspect: Mapping[str, Any]) -> bool:
    id: str = suspect["id"]
    return _is_submission(store, id) and (
        {*store.submissions.get(id).themes} != {*suspect["themes"]}
    )


def answer_suspect(
    registry: Registry,
    store: Store | None,
    id: str,
    themes: Sequence[str] | None,
    *,
    now: datetime,
    by: str,
) -> None:
    """Keep a doubted label (None), or say which themes the article has.

    A submission is reviewed with it; an article of a corpus file keeps its file, the answer goes
    before it. Raises NotFound where nothing by that id is in doubt.
    """
    one = _suspect(registry, id)
    chosen = tuple(one["themes"] if themes is None else themes)
    if _is_submission(store, id):
        action = Action.CONFIRM if themes is None else Action.SET
        store.reviews.review(id, action, by=by, themes=chosen)
    article = Article(one["text"], one["title"], id)
    record_answer(registry, Answer(article, chosen), now=now, by=by)


def take_back_answer(
    registry: Registry, store: Store | None, id: str, *, now: datetime, by: str
) -> None:
    """Put a doubted label in doubt again, and take back the review that came of the answer.

    Raises NotFound where there is no answer to take back, Conflict where it is somebody else's.
    """
    one = _suspect(registry, id)
    article = Article(one["text"], one["title"], id)
    answer = read_answers(registry.folder).get(mark_of(article))
    if answer is None:
        raise NotFound("这一篇还没有人答复，没有可撤销的", where=id[:40])
    if answer.by != by:
        raise Conflict(f"这一篇是 {answer.by} 答复的", where=id[:40], fix="请直接改正，不用撤销")
    if _is_submission(store, id):
        store.reviews.undo(id, by=by)
    record_answer(registry, replace(answer, taken_back=True), now=now, by=by)


def _suspect(registry: Registry, id: str) -> dict[str, Any]:
    for one in beside_serving(registry, SUSPECTS, {"suspects": []})["suspects"]:
        if one["id"] == id:
            return dict(one)
    raise NotFound(
        "可疑的标注里没有这一篇", where=id[:40], fix="请先看 gaoqian corrections suspects"
    )


def _is_submission(store: Store | None, id: str) -> TypeGuard[Store]:
    """Whether an article came in here; else it is of a corpus file, and nothing is reviewed."""
    if store is None:
        return False
    try:
        store.submissions.get(id)
    except NotFound:
        return False
    return True


def beside_serving(registry: Registry, name: str, otherwise: Any) -> Any:
    """A JSON file in the serving model's folder; `otherwise` where there is none."""
    try:
        return json.loads((registry.path(registry.current_id()) / name).read_text("utf-8"))
    except (ModelMissing, OSError, ValueError):
        return otherwise


@dataclass(frozen=True, slots=True)
class Touched:
    """What a change of themes concerns."""

    learned: int  # articles that the serving model learned from and that have the theme
    submissions: int  # that stand with it, at most `_MOST`
    corrections: int  # reviews that gave or took it
    clients: int  # live tokens of programs and people, which may still send the old id

    def __str__(self) -> str:
        return (
            f"涉及训练稿 {self.learned} 篇、来稿 {self.submissions} 篇、更正 {self.corrections} 条；"
            f"在用的接口令牌 {self.clients} 个，旧编号照样认得"
        )


_MOST = 10_000


def touched_by(registry: Registry, store: Store, change: Change) -> Touched:
    """What a step would concern, counted before it is taken."""
    taxonomy = read_taxonomy(registry.folder)
    # Everything that is called so today, under whatever id it was given.
    ids = {change.slug, *(old for old, new in taxonomy.replaced().items() if new == change.slug)}
    try:
        record = read_manifest(registry.path(registry.current_id()))
        learned = sum(record["training"].get("per_theme", {}).get(id, 0) for id in ids)
    except ModelRefused:
        learned = 0
    corrections = sum(
        bool(ids & ({*one.themes} ^ {*one.before})) for one in store.corrections.told()
    )
    now = store.clock()
    live = [
        token
        for token in store.accounts.tokens()
        if token.revoked is None and (token.expires is None or token.expires > now)
    ]
    submissions = sum(store.submissions.count(Query(theme=id), most=_MOST) for id in ids)
    return Touched(learned, submissions, corrections, len(live))
