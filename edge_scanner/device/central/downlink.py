"""What the centre sends to this box: one reader of the connection, one handler for each topic.

A connection has one inbox, so there is one reader; a handler that is slow holds back the next message, which the broker
keeps meanwhile. Anything on another topic is passed over.

Whoever may write to a box's topics must not be able to end it: whatever a handler raises (a full disk, a full trail, a
mistake of ours) ends the handling of that one message. Only a damaged database goes through, because a restart mends
it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn, Protocol

from edge_scanner.core.errors import DamagedError, EdgeScannerError
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from edge_scanner.mqtt.uplink import Incoming

    Handler = Callable[[Incoming], Awaitable[None]]
    """Takes one message; what it raises ends that message's handling and nothing else."""

QUIET_S = 60.0
"""One line a minute about handlers that fail: a flood of bad messages must not fill the journal."""

_log = journal.get("downlink")


class Listener(Protocol):
    """What is needed of the broker."""

    async def subscribe(self, topic: str, qos: int = 1) -> None:
        """Ask for a topic."""

    def messages(self) -> AsyncIterator[Incoming]:
        """What comes in."""


async def follow(broker: Listener, handlers: Mapping[str, Handler]) -> NoReturn:
    """Hand every message on a topic of `handlers` to its handler, until cancelled; a lost connection is waited out."""
    for topic in handlers:
        await broker.subscribe(topic)
    failures, quiet_until = 0, -QUIET_S
    async for incoming in broker.messages():
        handler = handlers.get(incoming.topic)
        if handler is None:
            continue
        try:
            await handler(incoming)
        except DamagedError:
            raise
        except Exception as error:  # noqa: BLE001 (theirs or ours, the recorder goes on)
            failures += 1
            if (now := asyncio.get_running_loop().time()) >= quiet_until:
                quiet_until = now + QUIET_S
                reason = str(error) if isinstance(error, EdgeScannerError) else journal.crash(error)
                _log.error("message from the centre could not be handled", reason=reason, failures=failures)
    raise AssertionError("the broker's messages do not end")
