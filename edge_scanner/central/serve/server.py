"""PROGRAM edge-central serve: the routes, the gate before them, and the headers on every answer.

The gate lets a person or program in who signed in; a request that changes something must come from a page of ours: its
`Origin` is our own host. Only a program with a password of its own may have none, because no browser leaves it out. So
no other site can act in a reader's name.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.middleware.trustedhost import TrustedHostMiddleware

from edge_scanner import __version__, small_files
from edge_scanner.central import tasks
from edge_scanner.central.serve import access, api, connections, pages
from edge_scanner.central.serve.signed_set import SignedSet
from edge_scanner.central.serve.state import Centre
from edge_scanner.core.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from edge_scanner.central.serve.access import Person
    from edge_scanner.central.settings import Settings
    from edge_scanner.central.store.store import Store

OPEN = {"/healthz", "/login", "/logout", "/favicon.ico"}
OPEN_BELOW = ("/www/", "/language/")
MAX_BODY = 8192
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make(here: Centre, hosts: tuple[str, ...] = ("*",)) -> FastAPI:
    """The application; `hosts` are the names under which it answers."""
    app = FastAPI(
        title="edge-central",
        version=__version__,
        description="What a fleet of edge scanners published: noised counts, health, alarms, openings of logs.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.centre = here
    app.include_router(api.router)
    app.include_router(pages.router)
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    app.middleware("http")(_gate)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return app


def serve(settings: Settings, store: Store) -> None:
    """Serve until SIGTERM. Raises what `page` raises."""
    tasks.run(page(settings, store))


def page(settings: Settings, store: Store, *, now: Callable[[], float] = time.time) -> Coroutine[Any, Any, None]:
    """What serves until a signal, its sockets open; `now` is UTC seconds.

    Raises ConfigurationError, StorageError, and UnavailableError where it cannot listen.
    """
    chosen = settings.serve
    users_file = Path(chosen.users)
    proxy = access.Proxy(secret=_secret(Path(chosen.proxy_secret))) if chosen.proxy_secret else None
    if proxy is None or users_file.exists():
        access.read_users(users_file)  # a mistake is said now, not at the first guess
    here = Centre(
        store=store,
        access=access.Access(users=Users(users_file), now=time.monotonic, proxy=proxy),
        now=now,
        silent_s=settings.collect.silence_s,
        time_zone=chosen.time_zone,
        signed_set=SignedSet(settings.fleet).version,
    )
    if not chosen.certificate and chosen.host not in {"127.0.0.1", "::1", "localhost"} and not chosen.socket:
        raise ConfigurationError(
            "passwords would cross the network in the clear", where="[serve] host",
            hint="set certificate and key, or listen on 127.0.0.1 behind a proxy",
        )  # fmt: skip
    app = make(here, chosen.names or ("*",))
    return over_http(app, chosen.certificate, chosen.key).serve(connections.listen(chosen))


def over_http(app: FastAPI, certificate: str = "", key: str = "") -> uvicorn.Server:
    """The server of an application; raises ConfigurationError for a certificate or key that is none."""
    config = uvicorn.Config(
        app, http=connections.Connection, ws="none", lifespan="off", log_level="error", access_log=False,
        ssl_certfile=certificate or None, ssl_keyfile=key or None, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=3, limit_concurrency=500, h11_max_incomplete_event_size=16_384,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:
        raise ConfigurationError("certificate and key cannot be used", where=certificate) from error
    return uvicorn.Server(config)


class Users:
    """The users' file, read again when it was written: who is taken out is out at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: int | None = None
        self._users: dict[str, tuple[access.Role, str]] = {}

    def __call__(self) -> dict[str, tuple[access.Role, str]]:
        """As the file has them; none while it cannot be read."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._seen:
                self._users, self._seen = access.read_users(self._path), stamp
        except (OSError, StorageError, ConfigurationError) as error:
            if self._seen is not None:
                tasks.say(f"edge-central: {error}; nobody can sign in")
            self._users, self._seen = {}, None
        return self._users


async def _gate(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
    here: Centre = request.app.state.centre
    response = await _answer(request, here, proceed)
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


async def _answer(request: Request, here: Centre, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
    path, length = request.scope["path"], request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY or "transfer-encoding" in request.headers:
        return JSONResponse({"detail": "the body is too large"}, status_code=413)
    if request.method not in {"GET", "HEAD"} and not _ours(request):
        return JSONResponse({"detail": "asked from another page"}, status_code=403)
    person = await _who(request, here)
    if person is None and path not in OPEN and not path.startswith(OPEN_BELOW):
        if path.startswith("/api/"):
            challenge = {"WWW-Authenticate": 'Basic realm="edge-central", charset="UTF-8"'}
            return JSONResponse({"detail": "sign in"}, status_code=401, headers=challenge)
        return RedirectResponse("/login", status_code=303)
    request.state.person = person
    return await proceed(request)


async def _who(request: Request, here: Centre) -> Person | None:
    """Who asks."""
    people = here.access
    if header := request.headers.get("authorization"):
        return await here.check(people.of_basic, header)
    if (token := request.cookies.get(access.COOKIE)) and (person := people.of_session(token)):
        return person
    return people.of_proxy(request.headers)


def _ours(request: Request) -> bool:
    """Whether a page of ours asks, or a program; a browser sends a password that it knows from any page, too."""
    origin = request.headers.get("origin")
    if origin is None:
        return "authorization" in request.headers
    return origin.partition("://")[2] == request.headers.get("host")


async def _healthz(request: Request) -> Response:
    """`ok` while the database answers."""
    here: Centre = request.app.state.centre
    try:
        await asyncio.to_thread(here.read.newest_bin)
    except Exception:  # noqa: BLE001 (whatever the database raises, the answer is that it does not answer)
        return Response("the database does not answer\n", status_code=503, media_type="text/plain")
    return Response("ok\n", media_type="text/plain")


def _secret(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise StorageError("others may read the secret", where=str(path), hint=f"chmod 600 {path}")
        found = small_files.content(path).decode(errors="replace").strip()
    except OSError as error:
        raise StorageError(f"cannot read the proxy's secret: {error.strerror}", where=str(path)) from error
    if len(found) < 32:  # noqa: PLR2004 (128 bits in hexadecimal)
        raise ConfigurationError(
            "the proxy's secret has fewer than 32 characters", where=str(path), hint="openssl rand -hex 32"
        )
    return found
