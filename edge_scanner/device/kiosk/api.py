"""`/api/v1`: what the pages show, for programs of the venue; described by `/api/v1/openapi.json`.

Every time is whole UTC seconds. A figure is a mean number of phones with the 95 % interval of its noise, and every one
was released: nothing here says more about one person than the screen does.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (msgspec reads the types)
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from edge_scanner import __version__
from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.calibration import people
from edge_scanner.core.counts.occupancy import Level, Trend
from edge_scanner.core.counts.release import NEARBY
from edge_scanner.core.diagnostics.words import Words  # noqa: TC001 (msgspec reads the types)
from edge_scanner.device.kiosk.public import public_document

if TYPE_CHECKING:
    from edge_scanner.core.messages import Calibration
    from edge_scanner.core.model import Report
    from edge_scanner.device.kiosk.watch import View

PREFIX = "/api/v1"
NEAR = ("/figures", "/health")
"""From the box itself alone, unless the settings open the venue's network (`lan = true`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelView:
    """The word on the screen. Only the state `fresh` has a level; `at` is the end of its newest bin.

    `position` is 0..100 on a bar whose thirds are quiet, moderate and busy. `site`, `word` are as the screen has them.
    """

    state: str
    level: Level
    trend: Trend
    position: int | None
    at: int | None
    site: Words
    word: Words
    clock_sure: bool
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A released bin of the last week: phones present on average, with the 95 % interval; 0 for what may be noise.

    Null where the adapter did not listen. `released` is the same as it was released, at times below zero, and `error`
    half the interval: what sums of bins are made of. `people` stands where they were counted by hand, with the range
    of both.
    """

    start: int
    bin_s: int
    minutes: int
    phones: float | None
    low: float | None
    high: float | None
    released: float | None
    error: float | None
    people: int | None
    people_low: int | None
    people_high: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LightView:
    """`ok`, `warn`, `fail` or `unknown`, and the code under which the operator's guide says what to do."""

    light: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """The box about itself. `state` is fresh, stale, deaf or down; `written` is when the scanner said this.

    `device` is its id, empty where no scanner has spoken.
    """

    device: str
    state: str
    written: int | None
    lights: Mapping[str, LightView]
    uptime_s: int | None
    last_contact: int | None
    outbox_rows: int | None
    certificate_expires: int | None


def level(view: View) -> LevelView:
    """`/level`."""
    shown = public_document(view, "auto")
    crowd = view.snapshot.crowd if view.snapshot is not None and shown.level is not Level.UNKNOWN else None
    return LevelView(
        state=shown.state,
        level=Level(shown.level),
        trend=Trend(shown.trend),
        position=shown.position,
        at=crowd.at_s if crowd is not None else None,
        site=shown.site,
        word=shown.word,
        clock_sure=shown.clock_sure,
        simulated=shown.simulated,
    )


def figures(view: View) -> list[Figure]:
    """`/figures`: the bins of the last week, oldest first."""
    if view.snapshot is None:
        return []
    return [_figure(report, view.snapshot.calibration) for report in view.snapshot.week if NEARBY in report.figures]


def health(view: View) -> HealthView:
    """`/health`."""
    if view.snapshot is None:
        return HealthView(
            device="", state=view.state, written=None, lights={}, uptime_s=None, last_contact=None, outbox_rows=None,
            certificate_expires=None,
        )  # fmt: skip
    box = view.snapshot.health
    return HealthView(
        device=view.snapshot.venue.device,
        state=view.state,
        written=int(view.snapshot.written_s),
        lights={name: LightView(light=one.light, code=one.code) for name, one in box.lights.items()},
        uptime_s=int(box.uptime_s),
        last_contact=_second(box.last_contact_s),
        outbox_rows=box.outbox_rows,
        certificate_expires=_second(box.certificate_expires_s),
    )


def _figure(report: Report, line: Calibration | None) -> Figure:
    phones, low, high = intervals.tenths(intervals.of(report, NEARBY))
    counted = people(report, line) if line is not None else None
    minutes = report.minutes_covered
    return Figure(
        start=report.bin_start_s,
        bin_s=report.bin_s,
        minutes=minutes,
        phones=phones,
        low=low,
        high=high,
        released=round(report.figures[NEARBY] / minutes, 1) if minutes else None,
        error=round(intervals.error(report, NEARBY) / minutes, 1) if minutes else None,
        people=None if counted is None else counted.likely,
        people_low=None if counted is None else counted.low,
        people_high=None if counted is None else counted.high,
    )


def _second(moment_s: float | None) -> int | None:
    return None if moment_s is None else int(moment_s)


@cache
def openapi() -> bytes:
    """The description (OpenAPI 3.1), made of the types above."""
    _, schemas = msgspec.json.schema_components(
        (LevelView, Figure, HealthView), ref_template="#/components/schemas/{name}"
    )
    refused = {"description": "not from here: the box itself, or its network with lan = true"}
    one = {"schema": {"$ref": "#/components/schemas/LevelView"}}
    week = {"type": "array", "items": {"$ref": "#/components/schemas/Figure"}}
    stream = {"schema": {"type": "string", "description": _STREAM}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "The box of a venue",
            "version": __version__,
            "description": "Times are whole UTC seconds. Every figure was released with noise; `low` and `high` "
            "are the 95 % interval of that noise.",
        },
        "paths": {
            f"{PREFIX}/level": _get("level", "The word on the screen.", {"application/json": one}),
            f"{PREFIX}/level/stream": _get(
                "levelStream",
                "Server-sent events: the same whenever it changes.",
                {"text/event-stream": stream},
                {"503": {"description": "too many pages are open; Retry-After says when to come again"}},
            ),
            f"{PREFIX}/figures": _get(
                "figures", "Released figures of the last week, oldest first.", {"application/json": {"schema": week}},
                {"403": refused},
            ),
            f"{PREFIX}/health": _get(
                "health", "The box about itself.",
                {"application/json": {"schema": {"$ref": "#/components/schemas/HealthView"}}}, {"403": refused},
            ),
        },
        "components": {"schemas": schemas},
    }  # fmt: skip
    return msgspec.json.encode(document)


_STREAM = (
    "`event: document` with a LevelView as JSON, at once and at each change; `event: beat` every five seconds with "
    "now_s, utc_offset_s and speed. A reader that misses three beats has lost contact and opens the stream again."
)


def _get(
    name: str, summary: str, content: Mapping[str, object], also: Mapping[str, object] | None = None
) -> dict[str, object]:
    found = {"description": summary, "content": content}
    often = {"description": "asked too often; Retry-After says when to ask again"}
    responses = {"200": found, "429": often, **(also or {})}
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}
