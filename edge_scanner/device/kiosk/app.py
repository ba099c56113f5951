"""The list of addresses, and the program.

`/` and `/events` are public, and so is the word in `/api/v1`, whose figures need the place of `/metrics`. `/ops`,
what is below it and `/ops.csv` are the operator's; `/metrics` needs the same place but no PIN, since it tells less.
`/healthz` is for the screen unit and for systemd's eyes. All else is 404.
"""

from __future__ import annotations

import json
import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.core import json_documents
from edge_scanner.core.errors import ConfigurationError, UnavailableError
from edge_scanner.device.gates import read
from edge_scanner.device.kiosk import (
    api,
    figures,
    figures_page,
    gates_page,
    guard,
    metrics,
    pages,
    site_gates,
    stream,
    tls_page,
    translations,
)
from edge_scanner.device.kiosk.connections import Connections, Quiet, TurnedAway
from edge_scanner.device.kiosk.operator import desk_theme, operator_document
from edge_scanner.device.kiosk.other_boxes import OtherBoxes
from edge_scanner.device.kiosk.public import public_document
from edge_scanner.device.kiosk.releases import week_csv
from edge_scanner.device.kiosk.watch import Watch
from edge_scanner.device.system import journal, supervise, unhurried

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from aiohttp.typedefs import Handler

    from edge_scanner.core.history import History
    from edge_scanner.device.kiosk.settings import KioskSettings

HISTORY_FILE = "history.json"
# A fifth of a beat is soon enough for "three missed beats"; the look is one fstat.
_LOOKS_PER_BEAT = 5
_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.05, 1.0
# Ten looks: slower than that and the page is lying about its freshness.
_STUCK_S = 10.0
_MAX_FORM = 32 * 1024
"""The operator's settings, in Vietnamese and as a form sends them."""
_SHUTDOWN_S = 1.0

_log = journal.get("kiosk")


class Kiosk:
    """The pages of one snapshot file."""

    def __init__(self, settings: KioskSettings) -> None:
        self._settings = settings
        self._watch = Watch(settings.snapshot)
        self._guard, self._closed = _open_guard(settings)
        self._languages = _languages(settings)
        self._others = tuple(read(line) for line in settings.gates)
        self._boxes = OtherBoxes(self._others)
        self._hub = stream.Hub()
        self._turned_away = TurnedAway()
        self._connections: Connections | None = None
        self._view = self._watch.look()
        self._looked_s = time.monotonic()

    def application(self) -> web.Application:
        """The aiohttp application with every address."""
        app = web.Application(middlewares=[self._not_too_often, guard.own_host_only], client_max_size=_MAX_FORM)
        app.on_response_prepare.append(guard.add_headers)
        app.on_response_prepare.append(partial(guard.allow_origin, self._settings.api_origin))
        app.router.add_get("/", self._public)
        app.router.add_get("/events", self._events)
        app.router.add_get("/qr/{what:app|notice}.svg", self._qr)
        app.router.add_get("/www/{path:.+}", self._asset)
        app.router.add_get("/ops", self._ops)
        app.router.add_post("/ops/login", self._login)
        app.router.add_post("/ops/logout", self._logout)
        app.router.add_get("/ops/events", self._ops_events)
        app.router.add_get("/ops.csv", self._ops_csv)
        app.router.add_get("/ops/figures", self._figures)
        app.router.add_get("/ops/figures.csv", self._figures_csv)
        app.router.add_get("/ops/gates", self._gates)
        app.router.add_get("/ops/settings", self._form)
        app.router.add_post("/ops/{form:settings|pin|count}", self._form)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/api/v1/{what:openapi.json|level|figures|health}", self._api)
        app.router.add_get("/api/v1/level/stream", self._level_stream)
        return app

    def connections(self, make: Callable[[], asyncio.BaseProtocol]) -> Connections:
        """The doors in front of the HTTP server; `make` gives a protocol of it."""
        self._connections = Connections(make, self._turned_away)
        return self._connections

    def logger(self) -> logging.Logger:
        """For the HTTP server: what it has to say is counted."""
        logger = logging.getLogger("edge_scanner.kiosk.http")
        logger.addFilter(Quiet(self._turned_away))
        return logger

    @web.middleware
    async def _not_too_often(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._connections is not None and not self._connections.may_ask(request.remote or ""):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60", "Connection": "close"})
        return await handler(request)

    async def keep_looking(self) -> None:
        """Look at the snapshot for ever and publish what changed."""
        state = None
        while True:
            self._view = view = self._watch.look()
            self._looked_s = time.monotonic()
            if view.state is not state:
                state = view.state
                _log.info("the snapshot changed its state", state=str(state), problem=view.problem)
            self._turned_away.tell(self._looked_s)
            await self.publish()
            beat_s = view.snapshot.venue.beat_s if view.snapshot else _LONGEST_LOOK_S
            await unhurried.beat(min(max(beat_s / _LOOKS_PER_BEAT, _SHORTEST_LOOK_S), _LONGEST_LOOK_S))

    async def publish(self) -> None:
        """Hand the documents of the latest look to the open pages."""
        view = self._view
        others = {}
        for code, texts in self._languages.items():
            with translations.instead_of_english(texts):
                others[f"public {code}"] = json_documents.dumps(public_document(view))
        await self._hub.publish(
            {
                **others,
                "public": json_documents.dumps(public_document(view)),
                "ops": json_documents.dumps(operator_document(view)),
                "level": json_documents.dumps(api.level(view)),
            }
        )

    async def _public(self, request: web.Request) -> web.Response:
        theme = request.query.get("theme", "")
        code = self._language(request)
        with translations.instead_of_english(self._languages.get(code)):
            document = public_document(self._view, theme if theme in ("day", "night") else "auto")
        return _page(pages.public_page(document, code, self._languages))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        code = self._language(request)
        return await self._send_events(request, f"public {code}" if code else "public")

    def _language(self, request: web.Request) -> str:
        """The code of the language that is asked for in place of English, empty for English."""
        code = request.query.get("lang", "")
        return code if code in self._languages else ""

    async def _send_events(
        self, request: web.Request, name: str, allowed: Callable[[], bool] = lambda: True
    ) -> web.StreamResponse:
        connection = self._connections.of(request.transport) if self._connections else None
        if connection is None:
            raise web.HTTPServiceUnavailable
        # Its answer has no deadline, and `stream.py` bounds how many there are.
        connection.set_deadline(None)
        return await stream.send_events(request, self._hub, name, self._beat, late=connection.late, allowed=allowed)

    async def _qr(self, request: web.Request) -> web.Response:
        snapshot = self._view.snapshot
        address = "" if snapshot is None else getattr(snapshot.venue, f"{request.match_info['what']}_url")
        if not address:
            raise web.HTTPNotFound
        return web.Response(body=pages.qr_svg(address), content_type="image/svg+xml")

    async def _asset(self, request: web.Request) -> web.Response:
        if request.match_info["path"] not in pages.assets():
            raise web.HTTPNotFound
        body, kind = pages.assets()[request.match_info["path"]]
        return web.Response(body=body, headers={"Content-Type": kind, "Cache-Control": "no-cache"})

    async def _ops(self, request: web.Request) -> web.Response:
        known = self._operators(request)
        if known is None:
            return self._pin_page(self._closed, 503)
        if not known.knows(request):
            return self._pin_page("login.wait" if known.wait_s() else "login.ask", 401)
        return _page(pages.operator_page(operator_document(self._view), gates=bool(self._others)))

    def _pin_page(self, message: str, status: int) -> web.Response:
        return _page(pages.login_page(message, desk_theme(self._view)), status=status)

    async def _login(self, request: web.Request) -> web.Response:
        known = self._operators(request)
        if known is None or guard.is_foreign_post(request):
            raise web.HTTPForbidden
        if known.wait_s():
            return self._pin_page("login.wait", 429)
        form = await request.post()
        token = await known.admit(str(form.get("pin", "")))
        if token is None:
            _log.warning("a wrong PIN was entered")
            return self._pin_page("login.wait" if known.wait_s() else "login.wrong", 401)
        answer = web.HTTPSeeOther("/ops")
        answer.set_cookie(guard.COOKIE, token, httponly=True, samesite="Strict", path="/", secure=request.secure)
        raise answer

    async def _logout(self, request: web.Request) -> web.Response:
        known = self._operators(request)
        if known is None or guard.is_foreign_post(request):
            raise web.HTTPForbidden
        known.forget(request)
        answer = web.HTTPSeeOther("/ops")
        answer.del_cookie(guard.COOKIE, path="/")
        raise answer

    async def _ops_events(self, request: web.Request) -> web.StreamResponse:
        known = self._operator_or_refuse(request)
        return await self._send_events(request, "ops", lambda: known.knows(request))

    async def _ops_csv(self, request: web.Request) -> web.Response:
        self._operator_or_refuse(request)
        text = week_csv(self._view.snapshot, self._view.utc_offset_s)
        headers = {"Content-Disposition": 'attachment; filename="edge-scanner-week.csv"'}
        return web.Response(text=text, content_type="text/csv", headers=headers)

    async def _form(self, request: web.Request) -> web.Response:
        from edge_scanner.device.kiosk.forms import Forms  # noqa: PLC0415 (with it comes the parser of the settings)

        return await Forms(self._settings, view=lambda: self._view, operators=self._operators).answer(request)

    async def _figures(self, request: web.Request) -> web.Response:
        known = self._operators(request)
        if known is None or not known.knows(request):
            raise web.HTTPSeeOther("/ops")
        month = request.query.get("month", "")
        document = figures.figures_document(self._view, self._history(), month=month)
        return _page(figures_page.figures_page(document))

    async def _gates(self, request: web.Request) -> web.Response:
        known = self._operators(request)
        if known is None or not known.knows(request):
            raise web.HTTPSeeOther("/ops")
        if not self._others:
            raise web.HTTPNotFound
        chosen, heard = self._settings, await self._boxes.look()
        document = site_gates.gates_document(self._view, chosen.gate_name, self._others, heard, chosen.hall_rule)
        return _page(gates_page.gates_page(document))

    async def _figures_csv(self, request: web.Request) -> web.Response:
        self._operator_or_refuse(request)
        text = figures.figures_csv(self._history(), utc_offset_s=self._view.utc_offset_s)
        headers = {"Content-Disposition": 'attachment; filename="edge-scanner-figures.csv"'}
        return web.Response(text=text, content_type="text/csv", headers=headers)

    def _history(self) -> History:
        """Read when it is asked for: it is not kept for months in memory."""
        return figures.load(self._settings.snapshot.with_name(HISTORY_FILE))

    async def _metrics(self, request: web.Request) -> web.Response:
        self._near_or_refuse(request)
        body = metrics.exposition(self._view, self._hub.streams)
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _api(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if f"/{what}" in api.NEAR:
            self._near_or_refuse(request)
        body = api.openapi() if what == "openapi.json" else json_documents.dumps(getattr(api, what)(self._view))
        return web.Response(body=body, content_type="application/json")

    async def _level_stream(self, request: web.Request) -> web.StreamResponse:
        return await self._send_events(request, "level")

    async def _healthz(self, _request: web.Request) -> web.Response:
        alive = time.monotonic() - self._looked_s < _STUCK_S
        text = json.dumps({"alive": alive, "snapshot": self._view.state})
        return web.Response(text=text, status=200 if alive else 503, content_type="application/json")

    def _beat(self) -> str:
        view = self._view
        speed = view.snapshot.venue.speed if view.snapshot else 1.0
        now_s = view.now_s + (time.monotonic() - self._looked_s) * speed
        return json.dumps({"now_s": round(now_s, 1), "speed": speed, "utc_offset_s": view.utc_offset_s})

    def _near_or_refuse(self, request: web.Request) -> None:
        if not (guard.is_loopback(request) or self._settings.ops_on_lan):
            raise web.HTTPForbidden(text="only from the box itself, unless ops_on_lan is set")

    def _operators(self, request: web.Request) -> guard.PinGuard | None:
        self._near_or_refuse(request)
        return self._guard

    def _operator_or_refuse(self, request: web.Request) -> guard.PinGuard:
        known = self._operators(request)
        if known is None or not known.knows(request):
            raise web.HTTPUnauthorized(text="the PIN comes first: /ops")
        return known


def _open_guard(settings: KioskSettings) -> tuple[guard.PinGuard | None, str]:
    """The guard, and what `/ops` says without one: a PIN that cannot be used ends no public page."""
    try:
        return guard.open_guard(settings.ops_pin_file, settings.operator_dir), "login.unset"
    except ConfigurationError as error:
        _log.error("the operator's page stays closed", reason=str(error))
        return None, "login.unusable"


def _languages(settings: KioskSettings) -> dict[str, Mapping[str, str]]:
    """The other languages beside the settings file; one that is wrong is said and left out."""
    known = {}
    for code, texts in translations.others(settings.config.parent / "languages") if settings.config else ():
        if isinstance(texts, ConfigurationError):
            _log.error("a language is left out", reason=str(texts))
        else:
            known[code] = texts
    return known


def _page(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)


async def serve(settings: KioskSettings, ready: asyncio.Event | None = None) -> None:
    """Serve until cancelled; raises UnavailableError when the address is taken."""
    kiosk = Kiosk(settings)
    await kiosk.publish()
    runner = web.AppRunner(
        kiosk.application(),
        access_log=None,
        logger=kiosk.logger(),
        handle_signals=False,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    servers: list[asyncio.Server] = []
    try:
        assert runner.server is not None  # noqa: S101 (`setup` has made it)
        connections = kiosk.connections(runner.server)
        for host, port, tls in tls_page.places(settings):
            try:
                servers.append(await tls_page.listen(connections, host, port, tls))
            except OSError as error:
                raise UnavailableError(
                    f"cannot listen: {os.strerror(error.errno or 0)}",
                    where=f"{host}:{port}",
                    hint="choose another port",
                ) from None
        _log.info("the kiosk is ready", host=settings.host, port=settings.port)
        supervise.notify("READY=1")
        if ready is not None:
            ready.set()
        await kiosk.keep_looking()
    finally:
        for server in servers:
            server.close()
        await runner.cleanup()


def run(settings: KioskSettings) -> int:
    """Serve until a stop signal; the exit code."""
    journal.set_up()
    return supervise.run(serve(settings))
