"""The OpenAPI document against the running app: whatever is sent, the answer is as documented."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import schemathesis
from desks import Desk, staffed_desk
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from classifier.registry import Registry
from service.api import openapi
from service.app import ROUTES
from service.store.records import Query

UNSAID = ["2xx", 401, 403, 404, 409, 412, 413, 422, 429, 503]
SCHEMA = schemathesis.openapi.from_dict(
    openapi.document(ROUTES),
    config=SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {"max-examples": 5},
            "checks": {
                # What a schema cannot say: no text left, no such theme, too many, changed since.
                "positive_data_acceptance": {"expected-statuses": UNSAID}
            },
            "operations": [
                {
                    # Nor which cursor is one of ours.
                    "include-name": "GET /v1/submissions",
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*UNSAID, 400]}},
                }
            ],
        }
    ),
)
TITLE, TEXT = "河长巡河", "本报讯（通讯员 王明）六月二十日，河长在岸边清点垃圾，清理河道三公里。"


class Front:
    """The app of the test in hand: the document is read before there is one."""

    app: WSGIApplication

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        return self.app(environ, start)


FRONT = Front()
SCHEMA.app = FRONT
FEW = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Iterator[Desk]:
    """A desk with a model, two submissions and an account of every role."""
    with staffed_desk(tmp_path, models=str(registry.folder), event_seconds=1) as made:
        _, token = made.token("editor")
        made.ask("POST", "/v1/submissions", token=token, json={"title": TITLE, "text": TEXT})
        form = {"files": [(io.BytesIO(TEXT.encode("gb18030")), "河长.txt")]}
        made.ask("POST", "/v1/submissions", token=token, data=form)
        FRONT.app = made.app
        yield made


@SCHEMA.parametrize()
@FEW
def test_answers_are_as_documented(case: schemathesis.Case, desk: Desk) -> None:
    """No undocumented status, type or body, and no error of ours, for an administrator."""
    if "id" in case.path_parameters and case.meta.generation.mode.is_positive:
        # Of made-up ids only 404 would be seen.
        case.path_parameters["id"] = made_id(desk, case.path_parameters["id"])
    _, token = desk.token("administrator")
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"})


def made_id(desk: Desk, id: str) -> str:
    """Every other time the id of a submission that is there."""
    found = desk.app.extensions["gaoqian.store"].submissions.page(Query(), limit=2).items
    return found[len(id) % 2].id if len(id) % 3 and found else id


@SCHEMA.parametrize()
@settings(FEW, max_examples=2)
def test_refusals_of_strangers_are_as_documented(case: schemathesis.Case, desk: Desk) -> None:
    """Whoever sends whatever without a token gets an answer that the document foresees."""
    case.headers.pop("Authorization", None)
    case.cookies = {}
    case.call_and_validate(
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.checks.status_code_conformance,
            schemathesis.checks.content_type_conformance,
            schemathesis.checks.response_schema_conformance,
        ]
    )
