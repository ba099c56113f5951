"""`/api/v1`: the same answers as the pages for programs, described by `/api/v1/openapi.json`.

Every time is whole UTC seconds. Every figure is a mean number of phones with the 95 % interval of its noise; boxes add
the noise, so nothing here says anything about one person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse

from edge_scanner.central.serve import export, metrics, questions, stream, view
from edge_scanner.central.serve.access import Role
from edge_scanner.central.serve.figures import level
from edge_scanner.central.serve.state import asking, centre, needs
from edge_scanner.central.store.model import Site
from edge_scanner.core.counts.intervals import tenths

if TYPE_CHECKING:
    from edge_scanner.central.store.reading import RaisedAlarm
    from edge_scanner.central.store.site_bins import SiteBin

MAX_DAYS = 400
FOREVER_S = 4_102_444_800
"""2100: no answer goes further."""
Seconds = Annotated[int, Query(ge=0, le=FOREVER_S)]

router = APIRouter(prefix="/api/v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One hour or longer step of one site; `phones` is null where no box listened.

    `rule` is what the total is: the sum of `boxes` (`separate`) or the largest of them (`same hall`).
    """

    site: str
    start: int
    step_s: int
    boxes: int
    rule: str
    minutes: int
    phones: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceView:
    """One site over time: its boxes, its bins, and every entry of its boxes' trails, the newest first."""

    site: Site
    boxes: tuple[view.BoxView, ...]
    bins: list[Bin]
    openings: tuple[questions.Opening, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmView:
    """What a person must see; `cleared` is when somebody had seen to it."""

    number: int
    device: str
    kind: str
    raised: int
    what: str
    cleared: int | None
    cleared_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEvidence:
    """An alarm and what it rests on."""

    alarm: AlarmView
    evidence: dict[str, Any]


@router.get("/tree")
async def tree(request: Request) -> view.Country:
    """The country, province by province, with its newest hour; boxes that need somebody; the app's share by kind."""
    here = centre(request)
    return await run_in_threadpool(
        questions.country, here.read, here.week, now_s=here.now(), silent_s=here.silent_s, signed_set=here.signed_set
    )


@router.get("/sites/{site}", responses={404: {"description": "no such site on the signed list"}})
async def one_site(
    request: Request, site: Annotated[str, Path(max_length=64)], days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 7
) -> PlaceView:
    """One site over time, by hours up to a fortnight and by days beyond."""
    found = await centre(request).place(site, days)
    rows = [_bin(one, found.step_s) for one in found.bins]
    return PlaceView(site=found.site, boxes=found.boxes, bins=rows, openings=found.openings)


@router.get(
    "/bins",
    response_model=list[Bin],
    responses={
        200: {"content": {"text/csv": {}, export.PARQUET: {}}},
        501: {"description": "Parquet at a centre without polars"},
    },
)
async def bins(  # noqa: PLR0917 (a query's parameters)
    request: Request,
    start: Annotated[int, Query(alias="from", ge=0, le=FOREVER_S)],
    end: Annotated[int, Query(alias="to", ge=0, le=FOREVER_S)],
    site: Annotated[str | None, Query(max_length=64)] = None,
    step_s: Annotated[Literal[3600, 86400], Query()] = 3600,
    form: Annotated[Literal["json", "csv", "parquet"], Query(alias="format")] = "json",
) -> Response | list[Bin]:
    """Figures of a span, 10,000 rows at most, in the order of time; go on from the last row's `start`.

    A site's `phones` are the sum over its boxes, or of the largest of them: `rule` says which.
    """
    if end - start > MAX_DAYS * questions.DAY_S:
        wrong = {"type": "span", "loc": ("query", "to"), "msg": f"a span is at most {MAX_DAYS} days", "input": end}
        raise RequestValidationError([wrong])
    here = centre(request)
    found = await run_in_threadpool(here.read.bins, start, end, site=site, step_s=step_s)
    rows = [_bin(one, step_s) for one in found]
    return rows if form == "json" else await run_in_threadpool(export.response, rows, form)


@router.get("/alarms")
async def alarms(request: Request, every: Annotated[bool, Query(alias="all")] = False) -> list[AlarmView]:
    """Open alarms, the newest first; with `all` those that were cleared, too."""
    here = centre(request)
    found = await run_in_threadpool(here.read.alarms, open_only=not every)
    return [_alarm(one) for one in found]


@router.get("/alarms/{number}", responses={404: {"description": "no such alarm"}})
async def one_alarm(request: Request, number: int) -> AlarmEvidence:
    """One alarm with what proves it: messages in base64, as they came."""
    found = await run_in_threadpool(centre(request).read.alarm, number) if 0 < number < 1 << 62 else None
    if found is None:
        raise HTTPException(404, "no such alarm")
    return AlarmEvidence(alarm=_alarm(found), evidence=dict(found.alarm.evidence))


@router.post(
    "/alarms/{number}/clear",
    responses={
        403: {"description": "a reader, or asked from another page"},
        404: {"description": "no such open alarm"},
    },
)
async def clear(request: Request, number: int) -> dict[str, int]:
    """Say that somebody has seen to an alarm; operators only, and the name is kept."""
    needs(request, Role.OPERATOR)
    here = centre(request)
    if not 0 < number < 1 << 62:
        raise HTTPException(404, "no such open alarm")
    done = await run_in_threadpool(here.store.clear_alarm, number, by=asking(request).name, now_s=int(here.now()))
    if not done:
        raise HTTPException(404, "no such open alarm")
    return {"cleared": number}


@router.get("/releases/stream", response_class=StreamingResponse)
async def releases(request: Request) -> StreamingResponse:
    """Server-sent events: `bins` whenever new figures of an hour were kept, as a JSON list like `/bins`."""
    here = centre(request)
    return StreamingResponse(stream.events(here, _bin, ended=request.is_disconnected), media_type="text/event-stream")


@router.get("/metrics", response_class=Response)
async def prometheus(request: Request) -> Response:
    """The fleet for Prometheus."""
    here = centre(request)
    text = await run_in_threadpool(
        metrics.text, here.read, now_s=here.now(), silent_s=here.silent_s, signed_set=here.signed_set
    )
    return Response(text, media_type=metrics.CONTENT_TYPE)


def _bin(one: SiteBin, step_s: int) -> Bin:
    phones, low, high = tenths(level([one]))
    return Bin(
        site=one.site,
        start=one.bin_start,
        step_s=step_s,
        boxes=one.boxes,
        rule=one.rule,
        minutes=one.minutes,
        phones=phones,
        low=low,
        high=high,
    )


def _alarm(one: RaisedAlarm) -> AlarmView:
    return AlarmView(
        number=one.number,
        device=one.alarm.device,
        kind=one.alarm.kind,
        raised=one.alarm.raised,
        what=one.alarm.what,
        cleared=one.cleared,
        cleared_by=one.cleared_by,
    )
