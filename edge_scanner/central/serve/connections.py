"""Where the server listens, and which connections it ends: those that hold a place and ask for nothing whole."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

from edge_scanner.core.errors import UnavailableError

if TYPE_CHECKING:
    import asyncio

    from edge_scanner.central.settings import Serve

REQUEST_S = 10.0
"""A request takes at most twice as long to arrive."""
BACKLOG = 128


def listen(chosen: Serve) -> list[socket.socket]:
    """The socket of `[serve] socket`, for our user and group alone, or those of host and port.

    Raises UnavailableError.
    """
    where = chosen.socket or f"{chosen.host}:{chosen.port}"
    made: list[socket.socket] = []
    try:
        if chosen.socket:
            made.append(_local(Path(chosen.socket)))
        else:
            found = socket.getaddrinfo(chosen.host, chosen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                made.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
    except OSError as error:
        for one in made:
            one.close()
        said = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise UnavailableError(f"cannot listen: {said}", where=where, hint="choose another port or socket") from error
    return made


def _local(path: Path) -> socket.socket:
    """A Unix socket; one that nobody answers on any more is replaced."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            if made.connect_ex(str(path)) != errno.ECONNREFUSED:
                raise OSError(errno.EADDRINUSE, "")  # noqa: TRY301 (as `bind` says it of a port)
            path.unlink()
        before = os.umask(0o117)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


class Connection(H11Protocol):
    """A connection that is ended when no whole request comes in time: the places are few, and everybody may connect."""

    _watch: asyncio.TimerHandle | None = None
    _waited = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's, with a clock."""
        super().connection_made(transport)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """End a connection that waited for a request, or for the rest of one, at the last look and still does."""
        cycle = self.cycle
        waits = cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started)
        if waits and self._waited:
            self.transport.abort()
            return
        self._waited = waits
        self._watch = self.loop.call_later(REQUEST_S, self._look)
