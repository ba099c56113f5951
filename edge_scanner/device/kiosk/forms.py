"""What the operator changes on the page: `/ops/settings` with its forms, for who knows the PIN and from our own pages.

Nothing is kept here: a form becomes a file in the page's folder, which the scanner looks at with every snapshot.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.core.counts import calibration
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.errors import ConfigurationError, EdgeScannerError, RefusedError, StorageError
from edge_scanner.device import operator_settings
from edge_scanner.device import settings as parser
from edge_scanner.device.kiosk import choices, guard, own_pin, settings_page
from edge_scanner.device.kiosk.operator import desk_theme
from edge_scanner.device.kiosk.translations import say
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_scanner.device.kiosk.choices import Typed
    from edge_scanner.device.kiosk.settings import KioskSettings
    from edge_scanner.device.kiosk.watch import View

DONE = ("settings", "pin", "count", "forget")
_log = journal.get("kiosk")


class Forms:
    """The operator's forms; `operators` is the PIN's guard for a request, None without a PIN."""

    def __init__(
        self,
        settings: KioskSettings,
        *,
        view: Callable[[], View],
        operators: Callable[[web.Request], guard.PinGuard | None],
    ) -> None:
        self._config, self._folder = settings.config, settings.operator_dir
        self._view = view
        self._operators = operators

    async def answer(self, request: web.Request) -> web.Response:
        """`/ops/settings` is shown and sent; `/ops/pin` and `/ops/count` are sent."""
        if request.method != "POST":
            return await self._show(request)
        sent = {"/ops/settings": self._settings, "/ops/pin": self._pin, "/ops/count": self._count}
        return await sent[request.path](request)

    async def _show(self, request: web.Request) -> web.Response:
        known = self._operators(request)
        if known is None or not known.knows(request):
            raise web.HTTPSeeOther("/ops")
        done = request.query.get("done", "")
        return self._page(said=say(f"set.done.{done}") if done in DONE else None)

    async def _settings(self, request: web.Request) -> web.Response:
        folder = self._may_set(request)[1]
        sent = {name: str(value) for name, value in (await request.post()).items()}
        try:
            text, typed = choices.taken(self._main(), sent)
            if text:
                await asyncio.to_thread(operator_settings.write, folder, operator_settings.FILE, text.encode())
        except (ConfigurationError, StorageError) as error:
            _log.error("the operator's settings cannot be kept", reason=str(error))
            return self._page(failed=choices.told(error), status=503)
        if not text:
            return self._page(typed=typed, failed=say("set.wrong", count=len(typed.wrong)), status=422)
        _log.info("the operator changed the settings")
        raise web.HTTPSeeOther("/ops/settings?done=settings")

    async def _pin(self, request: web.Request) -> web.Response:
        known, folder = self._may_set(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        new = form.get("new", "")
        try:
            if new != form.get("again", ""):
                return self._pin_refused("again", say("set.pin.differs"))
            line, kept = await asyncio.to_thread(own_pin.chosen, known.technicians, new)
            if known.wait_s() or await known.admit(form.get("pin", "")) is None:
                return self._pin_refused("pin", say("login.wait" if known.wait_s() else "login.wrong"))
            await asyncio.to_thread(operator_settings.write, folder, own_pin.FILE, kept, mode=0o600)
        except ConfigurationError as error:
            return self._pin_refused("new", choices.told(error))
        except StorageError as error:
            _log.error("the operator's PIN cannot be kept", reason=str(error))
            return self._page(failed=choices.told(error), status=503)
        _log.info("the operator chose another PIN")
        answer = web.HTTPSeeOther("/ops/settings?done=pin")
        answer.set_cookie(
            guard.COOKIE, known.renew(line), httponly=True, samesite="Strict", path="/", secure=request.secure
        )
        raise answer

    async def _count(self, request: web.Request) -> web.Response:
        """People counted in the last hour, judged by the released figures that we know; the scanner does it again."""
        folder = self._may_set(request)[1]
        form = await request.post()
        view, people = self._view(), None
        if forget := "forget" in form:
            _log.info("the operator's counts are to be forgotten")
        else:
            try:
                people = choices.whole(str(form.get("people", "")))
                _judge(people, view)
            except (ConfigurationError, RefusedError) as error:
                why = choices.told(ConfigurationError(error.what, hint=error.hint))
                return self._page(wrong={"people": why}, failed=say("set.wrong", count=1), status=422)
        try:
            asked = operator_settings.Asked(people=people, at_s=view.now_s)
            await asyncio.to_thread(operator_settings.ask_count, folder, asked)
        except StorageError as error:
            _log.error("the operator's count cannot be kept", reason=str(error))
            return self._page(failed=choices.told(error), status=503)
        raise web.HTTPSeeOther(f"/ops/settings?done={'forget' if forget else 'count'}")

    def _may_set(self, request: web.Request) -> tuple[guard.PinGuard, Path]:
        """The guard and the page's folder; a stranger and a form of another origin are refused."""
        known = self._operators(request)
        if known is None or guard.is_foreign_post(request):
            raise web.HTTPForbidden
        if not known.knows(request):
            raise web.HTTPUnauthorized(text="the PIN comes first: /ops")
        if self._folder is None or self._config is None:
            raise web.HTTPForbidden(text="nothing can be set here: operator_dir is empty")
        return known, self._folder

    def _main(self) -> parser.Settings:
        assert self._config is not None  # noqa: S101 (`_may_set` has looked)
        return parser.load(self._config)

    def _pin_refused(self, field: str, why: Words) -> web.Response:
        return self._page(wrong={field: why}, failed=say("set.wrong", count=1), status=422)

    def _page(
        self,
        *,
        typed: Typed | None = None,
        wrong: dict[str, Words] | None = None,
        said: Words | None = None,
        failed: Words | None = None,
        status: int = 200,
    ) -> web.Response:
        """The page of the forms; what cannot be read is said in place of what was done."""
        form: Typed | None = typed
        if form is None and self._config is not None and self._folder is not None:
            try:
                form = choices.shown(operator_settings.load(self._config))
            except EdgeScannerError as error:
                failed, status = failed or choices.told(error), 503
                form = self._without_ours()
        view = self._view()
        document = settings_page.SettingsDocument(
            theme=desk_theme(view),
            site=Words(vi=view.snapshot.venue.name_vi, en=view.snapshot.venue.name_en) if view.snapshot else Words(),
            device=view.snapshot.venue.device if view.snapshot else "",
            said=failed or said or (Words() if form else say("set.closed")),
            failed="yes" if failed else "",
            form=form,
            wrong=wrong or {},
            counted=choices.counted(view),
        )
        return web.Response(text=settings_page.settings_page(document), content_type="text/html", status=status)

    def _without_ours(self) -> Typed | None:
        """The form of the settings file alone, from which a damaged file of ours can be set anew."""
        try:
            return choices.shown(self._main())
        except EdgeScannerError:
            return None


def _judge(people: int, view: View) -> None:
    """Raises RefusedError for a count that the scanner would refuse, ConfigurationError without a snapshot."""
    if view.snapshot is None:
        raise ConfigurationError("there is no snapshot", hint="start the scanner")
    seen = view.snapshot
    calibration.take(seen.counted, people, seen.week, seen.baseline, view.now_s)
