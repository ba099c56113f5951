"""Alarms as people and programs get them: with their evidence, and never as if some were all."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.serving import PASSWORD, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASIC = "Basic " + base64.b64encode(f"lan:{PASSWORD}".encode()).decode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A filled centre."""
    with serving(tmp_path) as running:
        yield running


def ask(served: Served, path: str) -> tuple[int, bytes]:
    """Status and body of an answer in English."""
    request = urllib.request.Request(served.url + path, headers={"Authorization": BASIC, "Cookie": "lang=en"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def as_json(served: Served, path: str) -> Any:
    """The body of an answer of the API."""
    return json.loads(ask(served, path)[1])


def test_an_alarm_comes_with_its_evidence(served: Served) -> None:
    """By its number, linked from the page; a number that nobody has is not there."""
    number = as_json(served, "/api/v1/alarms")[0]["number"]

    found = as_json(served, f"/api/v1/alarms/{number}")

    assert (found["alarm"]["number"], found["evidence"]) == (number, {"message": "bQ=="})
    assert f'href="/api/v1/alarms/{number}"'.encode() in ask(served, "/")[1]
    assert [ask(served, f"/api/v1/alarms/{other}")[0] for other in (number + 1000, 0, 1 << 70)] == [404] * 3


def test_the_page_says_how_many_it_leaves_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of alarms and of boxes in need it shows some, and never as if they were all."""
    whole = ask(served, "/")[1]
    monkeypatch.setattr("edge_scanner.central.serve.pages.SHOWN", 0)

    cut = ask(served, "/")[1]

    assert b" more</p>" not in whole
    assert cut.count(b" more</p>") == 2
