"""What the centre sends to this box: one reader of the connection, one handler for each topic.

A connection has one inbox, so there is one reader; a handler that is slow holds back the next message, which the broker
keeps meanwhile. Anything on another topic is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from edge_scanner.mqtt.uplink import Incoming

    Handler = Callable[[Incoming], Awaitable[None]]
    """Takes one message; raises only what must end the program."""


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
    async for incoming in broker.messages():
        handler = handlers.get(incoming.topic)
        if handler is not None:
            await handler(incoming)
    raise AssertionError("the broker's messages never end")
