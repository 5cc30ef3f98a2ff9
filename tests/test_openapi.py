"""The OpenAPI document against the running app: whatever is sent, the answer is as documented."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from desks import Desk, staffed_desk
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from classifier.registry import Registry
from service.api import openapi
from service.app import ROUTES

SCHEMA = schemathesis.openapi.from_dict(
    openapi.document(ROUTES),
    config=SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "generation": {"max-examples": 10},
            "checks": {
                # What a schema cannot say: no text left, no such theme, too many, changed since.
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", 401, 403, 404, 409, 412, 413, 422, 503]
                }
            },
        }
    ),
)
TITLE, TEXT = "河长巡河", "本报讯（通讯员 王明）六月二十日，河长在岸边清点垃圾，清理河道三公里。"
FEW = settings(
    max_examples=10,
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
        yield made


@SCHEMA.parametrize()
@FEW
def test_answers_are_as_documented(case: schemathesis.Case, desk: Desk) -> None:
    """No undocumented status, type or body, and no error of ours, for an administrator."""
    _, token = desk.token("administrator")
    case.call_and_validate(app=desk.app, headers={"Authorization": f"Bearer {token}"})
