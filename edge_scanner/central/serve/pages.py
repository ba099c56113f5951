"""The pages: now, one place over time, signing in. A page works without its script, which adds the curve.

Everything is escaped by Jinja2; what a box or the signed list says is foreign text and shown literally.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import jinja2
from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse

from edge_scanner.central.serve import access, questions
from edge_scanner.central.serve.access import Role
from edge_scanner.central.serve.figures import level
from edge_scanner.central.serve.state import asking, centre, needs
from edge_scanner.core.counts.intervals import Present, tenths
from edge_scanner.core.text import literal
from edge_scanner.core.wording import filled
from edge_scanner.language import errors

if TYPE_CHECKING:
    from edge_scanner.central.serve.state import Centre

LANGUAGE_COOKIE = "lang"
SPANS = (1, 7, 30, 365)
SHOWN = 200
"""Alarms and boxes in need on the page of now; it says how many more there are."""
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "woff2": "font/woff2"}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def now(request: Request) -> HTMLResponse:
    """How busy the country is, which boxes need somebody, open alarms, the newest openings."""
    here = centre(request)
    document = await run_in_threadpool(
        questions.country, here.read, here.week, now_s=here.now(), silent_s=here.silent_s, signed_set=here.signed_set
    )
    alarms = await run_in_threadpool(partial(here.read.alarms, limit=SHOWN))
    opened_alarms = await run_in_threadpool(here.read.open_alarms)
    opened = await run_in_threadpool(questions.newest_openings, here.read)
    return _page(
        request, "now.html", country=document, alarms=alarms, more_alarms=max(0, opened_alarms - len(alarms)),
        shown=SHOWN, openings=opened,
    )  # fmt: skip


@router.get("/sites/{site}")
async def site(request: Request, site: str, days: Annotated[int, Query(ge=1, le=400)] = 7) -> HTMLResponse:
    """One place over time."""
    found = await centre(request).place(site, days)
    levels = steps({one.bin_start: level([one]) for one in found.bins}, found.step_s)
    curve = json.dumps([[start, *tenths(at)] for start, at in levels])
    return _page(request, "site.html", place=found, levels=levels[::-1], curve=curve, days=days, spans=SPANS)


def steps(told: Mapping[int, Present | None], step_s: int) -> list[tuple[int, Present | None]]:
    """Every step between the first and the last, None where no box listened, so that a curve has its gaps."""
    if not told:
        return []
    return [(start, told.get(start)) for start in range(min(told), max(told) + 1, step_s)]


@router.post("/alarms/{number}/clear")
async def clear(request: Request, number: int) -> RedirectResponse:
    """An operator has seen to an alarm."""
    needs(request, Role.OPERATOR)
    here = centre(request)
    if 0 < number < 1 << 62:
        await run_in_threadpool(here.store.clear_alarm, number, by=asking(request).name, now_s=int(here.now()))
    return RedirectResponse("/", status_code=303)


@router.get("/login")
async def ask(request: Request) -> HTMLResponse:
    """The form."""
    return _page(request, "login.html", wrong=False)


@router.post("/login")
async def sign_in(
    request: Request, name: Annotated[str, Form(max_length=64)], password: Annotated[str, Form(max_length=200)]
) -> Response:
    """A session for whoever knows the password."""
    here = centre(request)
    person = await here.check(here.access.sign_in, name, password)
    if person is None:
        page = _page(request, "login.html", wrong=True)
        page.status_code = 403
        return page
    here.access.close_session(request.cookies.get(access.COOKIE, ""))
    # Behind a proxy only the browser knows that it speaks TLS.
    schemes = {request.url.scheme, request.headers.get("origin", "").partition(":")[0]}
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        access.COOKIE, here.access.open_session(person), max_age=int(access.SESSION_S), httponly=True,
        secure="https" in schemes, samesite="strict",
    )  # fmt: skip
    return answer


@router.post("/logout")
async def sign_out(request: Request) -> RedirectResponse:
    """The end of a session."""
    centre(request).access.close_session(request.cookies.get(access.COOKIE, ""))
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(access.COOKIE)
    return answer


@router.get("/language/{lang}")
async def language(lang: str) -> RedirectResponse:
    """Remember a reader's language."""
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(LANGUAGE_COOKIE, "en" if lang == "en" else "vi", max_age=365 * 86_400, samesite="lax")
    return answer


@router.get("/www/{name:path}")
async def asset(name: str) -> Response:
    """Style, script and typeface; read once, so no path reaches the disk."""
    found = _assets().get(name)
    if found is None:
        raise HTTPException(404)
    return Response(found[0], media_type=found[1], headers={"Cache-Control": "max-age=3600"})


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    found = {}
    for package, folder in (("edge_scanner.central.serve", "www"), ("edge_scanner.web", "vendor")):
        for entry in files(package).joinpath(folder).iterdir():
            kind = _TYPES.get(entry.name.rsplit(".", 1)[-1])
            if kind:
                found[entry.name] = (entry.read_bytes(), kind)
    return found


@cache
def _texts() -> dict[str, dict[str, str]]:
    text = files("edge_scanner.central.serve").joinpath("texts.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("edge_scanner.central.serve", "www"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
    )  # fmt: skip
    made.filters["literal"] = literal
    return made


def _finalize(value: Any) -> Any:
    return literal(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _language(request: Request) -> errors.Language:
    return "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "vi"


def _page(request: Request, name: str, **shown: Any) -> HTMLResponse:
    here: Centre = centre(request)
    lang = _language(request)
    zone = ZoneInfo(here.time_zone)

    def text(key: str, **values: object) -> str:
        return filled(_texts()[key][lang], **values)

    def named(prefix: str, name: str) -> str:
        """The text of a name that is known, otherwise the name itself."""
        return _texts().get(prefix + name, {}).get(lang, name)

    def sentence(english: str) -> str:
        """What is kept in English, for example why an alarm was raised."""
        return errors.told(english, lang)

    def clock(at_s: float | None) -> str:
        return "-" if at_s is None else datetime.fromtimestamp(at_s, UTC).astimezone(zone).strftime("%d.%m.%Y %H:%M %Z")

    html = _templates().get_template(name).render(
        t=text, named=named, sentence=sentence, lang=lang, clock=clock, zone=here.time_zone,
        person=getattr(request.state, "person", None), now=here.now(), **shown,
    )  # fmt: skip
    return HTMLResponse(html)
