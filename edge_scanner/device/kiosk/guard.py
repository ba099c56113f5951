"""Who may see what, and the headers that make a page unable to misbehave.

The public page needs no secret. The operator's page and the metrics are for loopback, or for the venue's network when
the setting says so, and the page asks for the PIN: guesses are limited for everybody together, because a per-address
limit is only as good as the addresses. A session is a random token of which the server keeps a hash. A request whose
Host header is a foreign name is refused, which is what stops a web page elsewhere from reading ours by DNS rebinding.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.device.kiosk import pin

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.typedefs import Handler

COOKIE = "ops"
# Five free guesses, then a pause that doubles from half a minute up to a quarter of an hour.
_FREE_GUESSES = 5
_FIRST_PAUSE_S = 30.0
_LONGEST_PAUSE_S = 900.0
# A shift; whoever opens more pages than a venue has staff pushes out the oldest.
_SESSION_S = 8 * 3600.0
_MAX_SESSIONS = 16
_MAX_PIN_FILE = 512

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "edge-scanner",
}


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """On every response, also refusals and streams."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def own_host_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses a request for a foreign name; an address or localhost cannot be rebound."""
    name = request.headers.get("Host", "").rsplit(":", 1)[0] if ":" in request.headers.get("Host", "") else request.host
    if name != "localhost" and not _is_address(name):
        raise web.HTTPMisdirectedRequest(text="open this page by its address")
    return await handler(request)


def is_loopback(request: web.Request) -> bool:
    """Whether the request comes from this box."""
    return _is_address(request.remote or "") and ipaddress.ip_address(request.remote or "").is_loopback


def is_foreign_post(request: web.Request) -> bool:
    """Whether a form was sent by a page of another origin (every present browser says where a form came from)."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


class PinGuard:
    """The PIN, the brake on guessing, and the sessions of those who knew it."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._wrong = 0
        self._closed_until_s = 0.0
        self._sessions: OrderedDict[bytes, float] = OrderedDict()
        # One guess at a time: scrypt takes 16 MB, and parallel guesses would outrun the brake.
        self._one = asyncio.Lock()

    def wait_s(self) -> float:
        """Seconds until the next guess is looked at; 0 now."""
        return max(0.0, self._closed_until_s - time.monotonic())

    async def admit(self, guess: str) -> str | None:
        """A new session's token for the right PIN, None for a wrong one or while guessing is paused."""
        async with self._one:
            if self.wait_s():
                return None
            if not await asyncio.to_thread(pin.matches, guess, self._line):
                self._wrong += 1
                if self._wrong >= _FREE_GUESSES:
                    pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._wrong - _FREE_GUESSES, 10))
                    self._closed_until_s = time.monotonic() + pause_s
                return None
            self._wrong = 0
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = time.monotonic() + _SESSION_S
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def knows(self, request: web.Request) -> bool:
        """Whether the request carries a live session."""
        return self._sessions.get(_digest(request.cookies.get(COOKIE, "")), 0.0) > time.monotonic()

    def forget(self, request: web.Request) -> None:
        """End the request's session."""
        self._sessions.pop(_digest(request.cookies.get(COOKIE, "")), None)


def open_guard(path: Path | None) -> PinGuard | None:
    """The guard of a PIN file, None when no file is configured or it is not there yet; raises ConfigurationError."""
    if path is None or not path.exists():
        return None
    try:
        with path.open(encoding="ascii") as file:
            line = file.read(_MAX_PIN_FILE)
        pin.check(line)
    except (OSError, UnicodeDecodeError, BadDataError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no PIN hash"
        raise ConfigurationError(
            f"the operator's PIN file cannot be used: {reason}",
            where=str(path),
            hint="set it: edge-scanner ops-pin FILE",
        ) from None
    return PinGuard(line)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
