"""`/api/v1` of a running kiosk against its own description, its stream, and who may read it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import jsonschema
import pytest

from edge_scanner.core.messages import Calibration
from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.snapshot import Snapshot

SLOW = replace(VENUE, beat_s=3600.0)
FOUND = snapshots.snapshot(venue=SLOW)
LINE = Calibration(people_per_device=1.4, low=1.2, high=1.6, measured_s=TUESDAY_S - 9000.0, empty=3.0, empty_error=2.0)


async def asked(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[Any, aiohttp.ClientResponse]:
    """The document at an address, and its answer."""
    async with session.get(url, headers=headers) as answer:
        return await answer.json(), answer


def fits(value: Any, document: dict[str, Any], path: str) -> None:
    """Raises unless `value` is what the description says of `path`."""
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


@pytest.mark.parametrize(
    "found", [FOUND, replace(FOUND, calibration=LINE), snapshots.snapshot(venue=SLOW, reports=[]), None],
    ids=["usual", "counted by hand", "nothing released", "no scanner"],
)  # fmt: skip
async def test_answers_are_what_the_description_says(tmp_path: Path, found: Snapshot | None) -> None:
    """Level, figures and health of a box that is well, was counted by hand, has measured nothing, or is not there."""
    async with running_kiosk(tmp_path, found) as kiosk, aiohttp.ClientSession() as session:
        document, _ = await asked(session, kiosk.url + "/api/v1/openapi.json")
        assert document["openapi"] == "3.1.0"
        plain = [path for path, it in document["paths"].items() if "application/json" in str(it)]
        assert plain == ["/api/v1/level", "/api/v1/figures", "/api/v1/health"]
        answers = {path: (await asked(session, kiosk.url + path))[0] for path in plain}
    for path, value in answers.items():
        fits(value, document, path)
    level, figures, health = answers.values()
    assert (level["state"], health["state"]) == {True: ("down", "down"), False: (level["state"], "fresh")}[
        found is None
    ]
    if found is None:
        assert (level["level"], figures, health["lights"]) == ("unknown", [], {})
        return
    assert level["level"] == found.crowd.level
    assert len(figures) == len(found.week)
    for one, report in zip(figures, found.week, strict=True):
        assert (one["start"], one["minutes"]) == (report.bin_start_s, report.minutes_covered)
        assert one["low"] <= one["phones"] <= one["high"]
        mean, half = report.figures["nearby"] / 60, 2 * 2**0.5 * report.scale / 60
        assert (one["phones"], one["low"]) == (pytest.approx([mean, mean - half], abs=0.05) if mean >= half else (0, 0))
        assert (one["people"] is None) == (found.calibration is None)


async def test_a_wrong_shape_does_not_fit(tmp_path: Path) -> None:
    """The description is not one that everything fits."""
    async with running_kiosk(tmp_path, FOUND) as kiosk, aiohttp.ClientSession() as session:
        document, _ = await asked(session, kiosk.url + "/api/v1/openapi.json")
        level, _ = await asked(session, kiosk.url + "/api/v1/level")
    for wrong in ({**level, "level": "crowded"}, {**level, "at": "now"}, {"level": "quiet"}):
        with pytest.raises(jsonschema.ValidationError):
            fits(wrong, document, "/api/v1/level")


async def test_the_stream_has_the_level_at_once_and_again(tmp_path: Path) -> None:
    """`document` at once and when it changes, `beat` between, as the description says."""
    async with running_kiosk(tmp_path, FOUND) as kiosk, aiohttp.ClientSession() as session:
        document, _ = await asked(session, kiosk.url + "/api/v1/openapi.json")
        said = document["paths"]["/api/v1/level/stream"]["get"]["responses"]["200"]["content"]["text/event-stream"]
        assert all(name in said["schema"]["description"] for name in ("event: document", "event: beat", "now_s"))
        async with session.get(kiosk.url + "/api/v1/level/stream") as stream:
            assert stream.content_type == "text/event-stream"
            heard: list[dict[str, Any]] = []
            name = ""
            async for raw in stream.content:
                line = raw.decode().strip()
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: ") and name == "document":
                    heard.append(json.loads(line.removeprefix("data: ")))
                    if len(heard) == 2:
                        break
                    kiosk.write(snapshots.snapshot(TUESDAY_S + 1, venue=SLOW, clock_sure=False))
                elif line.startswith("data: "):
                    assert set(json.loads(line.removeprefix("data: "))) == {"now_s", "speed", "utc_offset_s"}
    for one in heard:
        fits(one, document, "/api/v1/level")
    assert [one["clock_sure"] for one in heard] == [True, False]


@pytest.mark.parametrize("origin", ["", "https://panel.example.vn"])
async def test_other_pages_read_it_only_by_setting(tmp_path: Path, origin: str) -> None:
    """No page of another origin may read the API, unless it is named; then that one, and the API alone."""
    async with running_kiosk(tmp_path, FOUND, api_origin=origin) as kiosk, aiohttp.ClientSession() as session:
        for path, asks, may in (
            ("/api/v1/level", "https://panel.example.vn", bool(origin)),
            ("/api/v1/level", "https://other.example", False),
            ("/healthz", "https://panel.example.vn", False),
        ):
            _, answer = await asked(session, kiosk.url + path, Origin=asks)
            assert answer.headers.get("Access-Control-Allow-Origin") == (asks if may else None), (path, asks)
            policy = "cross-origin" if may else "same-origin"
            assert answer.headers["Cross-Origin-Resource-Policy"] == policy
