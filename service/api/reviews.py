"""What editors decide: one article, many at once, steps back, and who is looking at what."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, request
from flask.typing import ResponseReturnValue

from classifier.errors import ModelMissing, ThemesRefused, TooLarge
from service.access import asker
from service.api import asked, bodies, slips
from service.api.predict import known_slugs, reply, settings
from service.api.routes import Route
from service.api.submissions import store
from service.store.records import Action, Batch, Submission

MOST_AT_ONCE = 5_000
"""Submissions that one bulk review may settle; more are better looked at in parts."""

LOCK_SECONDS = 120


def review(id: str) -> ResponseReturnValue:
    """Settle one submission, or pass it on to a second editor."""
    sent = bodies.read_body(request, asked.ReviewBody)
    themes = chosen_themes(sent.action, sent.themes, now=store().submissions.get(id).themes)
    return _told(
        store().reviews.review(
            id, Action(sent.action), by=asker().name, themes=themes, version=sent.version
        )
    )


def undo(id: str) -> ResponseReturnValue:
    """Take back one's own latest review of a submission."""
    return _told(store().reviews.undo(id, by=asker().name))


def undo_last() -> ResponseReturnValue:
    """Take back one's own latest review, or the whole bulk review; again for the one before."""
    return _batch(store().reviews.undo_last(asker().name))


def lock(id: str) -> ResponseReturnValue:
    """Tell others that one is looking at a submission; again to go on."""
    held = store().reviews.lock(id, by=asker().name, seconds=LOCK_SECONDS)
    return reply({"by": held.by, "until": slips.stamp(held.until)})


def unlock(id: str) -> ResponseReturnValue:
    """Let go of a submission; what another editor holds stays held."""
    store().reviews.unlock(store().submissions.get(id).id, by=asker().name)
    return Response(status=204)


def review_many() -> ResponseReturnValue:
    """Review alike all that is named, or all that a query finds."""
    sent = bodies.read_body(request, asked.BulkIds, asked.BulkQuery)
    assert isinstance(sent, asked.BulkIds | asked.BulkQuery)
    themes = chosen_themes(sent.action, sent.themes)
    action, by = Action(sent.action), asker().name
    if isinstance(sent, asked.BulkIds):
        most = int(settings()["max_batch"])
        if len(sent.ids) > most:
            raise TooLarge(f"一次 {len(sent.ids)} 篇，最多 {most} 篇", fix="请分几次审")
        return _batch(store().reviews.review_many(sent.ids, action, by=by, themes=themes))
    query = sent.query.query()
    if store().submissions.count(query, most=MOST_AT_ONCE + 1) > MOST_AT_ONCE:
        raise TooLarge(f"找出的来稿超过 {MOST_AT_ONCE} 篇", fix="请加上筛选条件，分几次审")
    return _batch(store().reviews.review_all(query, action, by=by, themes=themes))


def chosen_themes(
    action: str, themes: Sequence[str] | None, *, now: Sequence[str] = ()
) -> tuple[str, ...]:
    """The themes to set: those that there are today, and those that stand now.

    Raises ThemesRefused for others.
    """
    if action != "set":
        if themes is not None:
            raise ThemesRefused("只有 set 才写 themes", where="themes", fix="格式见 /docs")
        return ()
    if themes is None:
        raise ThemesRefused("set 必须写 themes", where="themes", fix="没有主题请写 []")
    try:
        known = known_slugs()
    except ModelMissing:
        return tuple(themes)  # nobody can say yet what is wrong
    strange = [theme for theme in themes if theme not in known and theme not in now]
    if strange:
        raise ThemesRefused(
            f"没有主题 {'、'.join(strange)}", where="themes", fix=f"现有主题：{'、'.join(known)}"
        )
    return tuple(themes)


def _told(submission: Submission) -> Response:
    return reply(slips.told(submission))


def _batch(batch: Batch) -> Response:
    return reply(
        {
            "batch": batch.id,
            "done": [*batch.done],
            "refused": [{"id": id, "reason": reason} for id, reason in batch.refused.items()],
        }
    )


_BODY = (400, 413, 415)

ROUTES = (
    Route(
        "POST",
        "/v1/submissions/<submission:id>/review",
        review,
        "审一篇",
        reply=slips.SubmissionReply,
        bodies=(asked.ReviewBody,),
        refusals=(*_BODY, 404, 409, 412, 422, 507),
        role="editor",
    ),
    Route(
        "POST",
        "/v1/submissions/<submission:id>/undo",
        undo,
        "撤销自己对这一篇最近一次审稿",
        reply=slips.SubmissionReply,
        refusals=(404, 409, 507),
        role="editor",
    ),
    Route(
        "POST",
        "/v1/submissions/<submission:id>/lock",
        lock,
        "我在看这一篇；每两分钟之内再来一次",
        reply=slips.LockReply,
        refusals=(404, 409, 507),
        role="editor",
    ),
    Route(
        "DELETE",
        "/v1/submissions/<submission:id>/lock",
        unlock,
        "不看这一篇了",
        refusals=(404, 507),
        role="editor",
        status=204,
    ),
    Route(
        "POST",
        "/v1/submissions/review",
        review_many,
        "批量审稿：选中的，或按条件找出的全部",
        reply=slips.BatchReply,
        bodies=(asked.BulkIds, asked.BulkQuery),
        refusals=(*_BODY, 422, 507),
        role="editor",
    ),
    Route(
        "POST",
        "/v1/undo",
        undo_last,
        "撤销自己最近一次审稿，可连续撤销",
        reply=slips.BatchReply,
        refusals=(409, 507),
        role="editor",
    ),
)
