"""The API against its own OpenAPI document: schemathesis asks what the document allows, and what it does not."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.serving import PASSWORD, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNED_IN = {"Authorization": "Basic " + base64.b64encode(f"minh:{PASSWORD}".encode()).decode()}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of a running centre; its endless stream is tested elsewhere."""
    with serving(tmp_path_factory.mktemp("centre")) as running:
        yield schemathesis.openapi.from_url(f"{running.url}/api/v1/openapi.json", headers=SIGNED_IN).exclude(
            path="/api/v1/releases/stream"
        )


OPERATIONS = [
    ("GET", "/api/v1/tree"),
    ("GET", "/api/v1/sites/{site}"),
    ("GET", "/api/v1/bins"),
    ("GET", "/api/v1/alarms"),
    ("GET", "/api/v1/alarms/{number}"),
    ("POST", "/api/v1/alarms/{number}/clear"),
    ("GET", "/api/v1/metrics"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_api_is_what_it_says(api: Any, method: str, path: str) -> None:
    """No answer is a server's error, a status, type or shape that the document lacks."""

    @settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy())
    def holds(case: Any) -> None:
        case.call_and_validate(headers=SIGNED_IN, checks=CHECKS)

    holds()


def test_every_operation_is_asked(api: Any) -> None:
    """A new one belongs into the list above."""
    found = {(one.ok().method.upper(), one.ok().path) for one in api.get_all_operations()}

    assert found == set(OPERATIONS)
