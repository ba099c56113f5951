"""A connection that is handed to an HTTP server's protocol and ended when it takes too long, which aiohttp does not."""

from __future__ import annotations

import asyncio


class HttpConnection(asyncio.Protocol):
    """Hands everything to `inner`, which who inherits gives (`begin`); `late` is what a passed deadline means."""

    def __init__(self) -> None:
        self.inner: asyncio.Protocol | None = None
        self.transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, inner: asyncio.BaseProtocol, transport: asyncio.Transport, seconds: float) -> None:
        """The HTTP server's protocol takes the connection; `late` comes after so many seconds."""
        assert isinstance(inner, asyncio.Protocol)  # noqa: S101 (HTTP is a stream)
        self.inner, self.transport = inner, transport
        self.set_deadline(seconds)
        inner.connection_made(transport)

    def set_deadline(self, seconds: float | None) -> None:
        """`late` comes so long from now, None not at all."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.late)

    def late(self) -> None:
        """End it."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        if self.inner is not None:
            self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The peer sends no more."""
        return self.inner.eof_received() if self.inner is not None else None

    def pause_writing(self) -> None:
        """The peer takes nothing for now."""
        if self.inner is not None:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """The peer takes again."""
        if self.inner is not None:
            self.inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever made it."""
        self.set_deadline(None)
        if self.inner is not None:
            self.inner.connection_lost(error)
