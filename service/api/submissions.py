"""What comes in, and what stands in the queue: submissions as programs and the desk see them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from pydantic_core import from_json

from classifier.errors import (
    EmptyArticle,
    InputRefused,
    Malformed,
    ModelMissing,
    ModelRefused,
    TooLarge,
)
from classifier.evidence import tag_with_evidence
from classifier.model import Classifier
from classifier.page import split_page
from service.access import asker
from service.api import asked, bodies, slips
from service.api.predict import reply, served, settings
from service.api.routes import Route
from service.intake import Limits, read_in_sandbox
from service.intake.encoding import read_name
from service.intake.recognise import recognise
from service.observe import tagged
from service.receive import Piece, page_pieces, read_pieces, receive
from service.store import Store
from service.store.records import KeyUse, Order, StoredReply, Submission

MOST_FILES = 20
"""Files in one request: each may take seconds to read."""

COUNTED_UP_TO = 10_000

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form."""

    name: str
    content: bytes


def store() -> Store:
    """The store of this application."""
    found = current_app.extensions["gaoqian.store"]
    assert isinstance(found, Store)
    return found


def submit() -> ResponseReturnValue:
    """Store one article, many, a page or files; what is acknowledged is on the disk."""
    sent, files = _sent()
    key = _key(sent, files)
    answer = store().submissions.reply_to(key) if key else None
    replayed = answer is not None
    if answer is None:
        added = receive(
            store(),
            _model(),
            _few(_pieces(sent, files)),
            source=_source(),
            by=asker().name,
            key=key,
            reply=_accepted,
        )
        stored = added.submissions
        tagged([one.article for one in stored], [one.tagging for one in stored])
        answer, replayed = added.reply or _accepted(added.submissions), added.replayed
    response = Response(answer.body, status=answer.status, mimetype="application/json")
    first = json.loads(answer.body)["submissions"][0]["id"]
    response.headers["Location"] = f"/v1/submissions/{first}"
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def list_submissions() -> ResponseReturnValue:
    """One page of the queue."""
    sent = bodies.read_query(request, asked.ListQuery)
    at = store().clock()
    query = sent.query(order=Order(sent.order), free_for=asker().name if sent.free else None)
    found = store().submissions.page(query, limit=sent.limit, cursor=sent.cursor)
    locks = store().reviews.locks([one.id for one in found.items])
    count = store().submissions.count(query, most=COUNTED_UP_TO) if sent.count else None
    return reply(
        {
            "submissions": [slips.told(one, locks.get(one.id)) for one in found.items],
            "cursor": found.cursor,
            "at": slips.stamp(at),
            "count": count,
        }
    )


def show_submission(id: str) -> ResponseReturnValue:
    """One submission with its text, receipts, reasons, history and twins."""
    return reply(told_whole(store().submissions.get(id)))


def told_whole(one: Submission) -> dict[str, Any]:
    """A submission with all that is known of it."""
    evidence, missing = _evidence(one)
    return {
        **slips.told(one, store().reviews.locks([one.id]).get(one.id)),
        "text": one.text,
        "evidence": evidence,
        "evidence_missing": missing,
        "taggings": [slips.told_tagging(each) for each in store().submissions.taggings(one.id)],
        "history": [slips.told_review(each) for each in store().reviews.history(one.id)],
        "same": [
            {
                "id": twin.id,
                "title": twin.title,
                "source": twin.source,
                "by": twin.by,
                "received": slips.stamp(twin.received),
            }
            for twin in _family(one)
        ],
    }


def original(id: str) -> ResponseReturnValue:
    """The file as it came; always to be saved, never shown by a browser."""
    found = store().submissions.original(id)
    response = Response(found.content, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = attachment(found.name or f"{id}.{found.format}")
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def split() -> ResponseReturnValue:
    """A page taken apart and not stored, for the desk's merging and cutting."""
    warnings: list[str] = []
    if request.mimetype == "multipart/form-data":
        fields = bodies.checked(asked.SplitFields, request.form.to_dict())
        documents = [
            document
            for file in read_files("file")
            for document in read_in_sandbox(
                file.content, name=file.name, charset=fields.charset or None, limits=_limits()
            )
        ]
        text = "\n\n".join(document.text for document in documents)
        warnings = [warning for document in documents for warning in document.warnings]
    else:
        text = bodies.read_body(request, asked.SentPage).page
    return reply(
        {
            "text": text,
            "warnings": warnings,
            "articles": [
                {**one.as_json(), "spans": [[*span] for span in one.spans]}
                for one in split_page(text)
            ],
        }
    )


def facets() -> ResponseReturnValue:
    """What the queue can be filtered by, and how many there are of each."""
    limit = bodies.read_query(request, asked.FacetsQuery).limit
    kept = store().submissions
    kinds = {"themes": "theme", "places": "place", "names": "name", "sources": "source"}
    return reply(
        {
            "states": {str(state): count for state, count in kept.states().items()},
            **{
                shown: [
                    {"value": one.value, "count": one.count}
                    for one in kept.facets(kind, limit=limit)  # type: ignore[arg-type]
                ]
                for shown, kind in kinds.items()
            },
        }
    )


def attachment(name: str) -> str:
    """The Content-Disposition of a file to be saved under a name (RFC 6266).

    >>> print(attachment("河长\\n巡河.docx"))
    attachment; filename="____.docx"; filename*=UTF-8''%E6%B2%B3%E9%95%BF%E5%B7%A1%E6%B2%B3.docx
    """
    shown = "".join(c for c in name.replace("/", "_").replace("\\", "_") if c.isprintable())
    plain = "".join(c if c.isascii() and c not in '"%;' else "_" for c in shown)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"


def _sent() -> tuple[BaseModel, tuple[File, ...]]:
    """What was sent, checked, with the files beside it."""
    if request.mimetype != "multipart/form-data":
        kinds = (asked.SentArticle, asked.SentArticles, asked.SentPage)
        return bodies.read_body(request, *kinds), ()
    files = read_files("files")
    if len(files) > MOST_FILES:
        raise TooLarge(f"一次 {len(files)} 个文件，最多 {MOST_FILES} 个", fix="请分几次发送")
    return bodies.checked(asked.FormFields, request.form.to_dict()), files


def read_files(field: str) -> tuple[File, ...]:
    """The files of a form, all under one name; raises Malformed."""
    strange = {*request.files} - {field}
    if strange or not request.files:
        raise Malformed(
            "没有文件" if not strange else "没有这一项", where=field, fix="格式见 /docs"
        )
    return tuple(
        File(read_name(one.filename or ""), one.read()) for one in request.files.getlist(field)
    )


def _key(sent: BaseModel, files: Sequence[File]) -> KeyUse | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    bodies.checked(asked.KeyHeader, {"Idempotency-Key": key})
    # What a request means, not how it was written: a form is parted differently each time.
    meant = [
        request.method,
        request.path,
        sent.model_dump(mode="json", exclude_unset=True),
        [[one.name, hashlib.sha256(one.content).hexdigest()] for one in files],
    ]
    digest = hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()
    return KeyUse(asker().name, key, digest)


def _accepted(stored: tuple[Submission, ...]) -> StoredReply:
    told = {"submissions": [slips.told(one) for one in stored]}
    return StoredReply(201, json.dumps(told, ensure_ascii=False) + "\n")


def _source() -> str:
    who = asker().by
    on_page = who == "session" or (who == "local" and "Sec-Fetch-Site" in request.headers)
    return "desk" if on_page else "http"


def _model() -> Classifier | None:
    try:
        return served().model()
    except ModelMissing:
        return None  # what came in is kept all the same, and tagged later


def _pieces(sent: BaseModel, files: Sequence[File]) -> Sequence[Piece]:
    match sent:
        case asked.SentArticle():
            return [sent.piece()]
        case asked.SentArticles():
            return sent.pieces()
        case asked.SentPage():
            return page_pieces(sent.page)
        case asked.FormFields(articles=""):
            return [
                piece
                for file in files
                for piece in read_pieces(
                    file.content,
                    name=file.name,
                    page=sent.page == "true",
                    charset=sent.charset or None,
                    limits=_limits(),
                )
            ]
        case asked.FormFields():
            return _edited(sent, files)
    raise AssertionError(sent)


def _edited(sent: asked.FormFields, files: Sequence[File]) -> Sequence[Piece]:
    """Articles as an editor has cut them out of one file, which is kept beside them."""
    if len(files) != 1:
        raise InputRefused("附上改好的稿件时，只能寄一个文件", where="articles")
    try:
        articles = from_json(sent.articles, allow_inf_nan=False)
        edited = bodies.checked(asked.SentArticles, {"articles": articles, "together": True})
    except Malformed as refusal:
        raise InputRefused(refusal.what, where=refusal.where, fix=refusal.fix) from None
    except ValueError:
        raise InputRefused("不是合法的 JSON", where="articles", fix="格式见 /docs") from None
    (file,) = files
    format = str(recognise(file.content, file.name))
    return [
        replace(piece, original=file.content, name=file.name, format=format)
        for piece in edited.pieces()
    ]


def _few(pieces: Sequence[Piece]) -> Sequence[Piece]:
    most = int(settings()["max_batch"])
    if len(pieces) > most:
        raise TooLarge(f"一次 {len(pieces)} 篇，最多 {most} 篇", fix="请分几次发送")
    if not pieces:
        raise EmptyArticle("没有文字", fix="请补上正文后重投")
    return pieces


def _limits() -> Limits:
    return Limits(file_bytes=int(settings()["max_body_mb"]) * _MIB)


def _evidence(one: Submission) -> tuple[list[dict[str, Any]] | None, str]:
    """The reasons of the latest receipt, or why there are none."""
    if one.tagging is None:
        return None, "还没有打过标签"
    try:
        tagging = tag_with_evidence(served().of(one.tagging.model), one.article)
    except ModelRefused as refusal:
        return None, f"打标签的模型 {one.tagging.model} 不能再用：{refusal.what}"
    return [reason.as_json() for reason in tagging.evidence or ()], ""


def _family(one: Submission) -> list[Submission]:
    if one.twin_of is None:
        return [*store().submissions.twins(one.id)]
    others = store().submissions.twins(one.twin_of)
    return [
        store().submissions.get(one.twin_of),
        *(twin for twin in others if twin.id != one.id),
    ]


_BODY = (400, 413, 415, 422)

ROUTES = (
    Route(
        "POST",
        "/v1/submissions",
        submit,
        "投稿：一篇、多篇、一个版面或文件；存下后才答复",
        reply=slips.AcceptedReply,
        bodies=(asked.SentArticle, asked.SentArticles, asked.SentPage),
        form=asked.SentFiles,
        headers=asked.KeyHeader,
        refusals=(*_BODY, 503, 507),
        role="editor",
        status=201,
    ),
    Route(
        "GET",
        "/v1/submissions",
        list_submissions,
        "来稿列表，拿不准的在前",
        reply=slips.SubmissionsReply,
        query=asked.ListQuery,
        role="reader",
    ),
    Route(
        "GET",
        "/v1/submissions/<submission:id>",
        show_submission,
        "一篇来稿：正文、收据、理由、历史、重复",
        reply=slips.DetailReply,
        refusals=(404,),
        role="reader",
    ),
    Route(
        "GET",
        "/v1/submissions/<submission:id>/original",
        original,
        "下载原文件",
        media="application/octet-stream",
        refusals=(404,),
        role="reader",
    ),
    Route(
        "POST",
        "/v1/pages/split",
        split,
        "把整版文字拆成稿件，不保存",
        reply=slips.SplitReply,
        bodies=(asked.SentPage,),
        form=asked.SplitFile,
        refusals=_BODY,
        role="reader",
    ),
    Route(
        "GET",
        "/v1/facets",
        facets,
        "可用来筛选的主题、地点、通讯员、来源",
        reply=slips.FacetsReply,
        query=asked.FacetsQuery,
        role="reader",
    ),
)
