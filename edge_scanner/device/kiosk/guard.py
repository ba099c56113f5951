"""Who may see what, and the headers that make a page unable to misbehave.

The public page needs no secret. The operator's page and the metrics are for loopback, or for the venue's network when
the setting says so, and the page asks for the PIN: guesses are limited for everybody together, because a per-address
limit is only as good as the addresses. A session is a random token of which the server keeps a hash. A request whose
Host header is a foreign name is refused, which is what stops a web page elsewhere from reading ours by DNS rebinding; a
form of another origin is refused by its Origin.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.core import operator_pin as pin
from edge_scanner.device.kiosk import own_pin
from edge_scanner.device.system import pin_file

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

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
# A host's own name (RFC 952, RFC 1123).
_LABEL = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CLOSE = {"Connection": "close"}
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "edge-scanner",
}


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """On every response, also refusals and streams."""
    response.headers.update(_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


async def allow_origin(origin: str, request: web.Request, response: web.StreamResponse) -> None:
    """Let a page of the one `origin` that the settings name read `/api/v1` (Fetch Standard 3.2); none as shipped."""
    if origin and request.path.startswith("/api/v1/"):
        response.headers["Vary"] = "Origin"
        if request.headers.get("Origin") == origin:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"


@web.middleware
async def own_host_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses a request for a foreign name, and lets each connection carry one request, which has its deadlines."""
    if not _is_own_name(host_of(request.headers.get("Host", ""))):
        raise web.HTTPMisdirectedRequest(text="open this page by its address", headers=_CLOSE)
    try:
        response = await handler(request)
    except web.HTTPException as refusal:
        refusal.force_close()
        raise
    response.force_close()
    return response


def host_of(header: str) -> str:
    """The host of a Host header (RFC 9110 7.2) in small letters, without port, brackets and the root's dot."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower().removesuffix(".")


def _is_own_name(name: str) -> bool:
    """Whether nobody outside can make this name lead here: an address, a single label, or one of mDNS (RFC 6762)."""
    labels = name.split(".")
    short = len(labels) == 1 or (len(labels) == 2 and labels[1] == "local")  # noqa: PLR2004 (host and "local")
    return _is_address(name) or (short and bool(_LABEL.fullmatch(labels[0])))


def is_loopback(request: web.Request) -> bool:
    """Whether the request comes from this box."""
    return _is_address(request.remote or "") and ipaddress.ip_address(request.remote or "").is_loopback


def is_foreign_post(request: web.Request) -> bool:
    """Whether a form was sent by a page of another origin.

    Browsers name the page's origin with every POST (Fetch Standard 3.2); over plain HTTP from the network they send
    nothing else. What is no browser and names none cannot be made to act by a page.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    scheme, _, place = origin.partition("://")
    return scheme != request.scheme or _place(place) != _place(request.headers.get("Host", ""))


def _place(text: str) -> tuple[str, str]:
    """Host and port of `host[:port]`; HTTP's own port is 80."""
    port = text.rpartition("]")[2].rpartition(":")[2] if ":" in text.rpartition("]")[2] else ""
    return host_of(text), port or "80"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class PinGuard:
    """The PIN, the brake on guessing, and the sessions of those who knew it."""

    def __init__(self, line: str, technicians: str = "") -> None:
        self._line = line
        self.technicians = technicians or line
        """The hash that the box was given; the operator may have chosen another PIN since (own_pin.py)."""
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
        return self._new_session()

    def renew(self, line: str) -> str:
        """Another PIN counts from now on: every session ends, and one begins whose token this is."""
        self._line = line
        self._sessions.clear()
        return self._new_session()

    def _new_session(self) -> str:
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


def open_guard(path: Path | None, operator_dir: Path | None = None) -> PinGuard | None:
    """The guard of a PIN file, None when no file is configured or it is not there yet; raises ConfigurationError."""
    line = pin_file.line(path) if path else ""
    return PinGuard(own_pin.line(operator_dir, line), line) if line else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
