"""A slow line in simulated time: bytes a second, a delay, lost packets, and how much was sent over it.

    def test():
        in_simulated_time(scenario())

The loop's clock jumps to the next timer as soon as nothing is left to do, so an hour passes in a moment and nothing
depends on how busy the machine is. No thread, file or socket may be waited for inside.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from typing import TYPE_CHECKING, TypeVar

from edge_scanner.core.errors import UnavailableError
from tests.support.memory_broker import MemoryCentre, MemoryConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.uplink import Deliver, Extras, Incoming

T = TypeVar("T")
PACKET_BYTES = 1400
"""Payload of a TCP segment."""
RETRANSMIT_S = 0.2
"""What a lost packet holds everything up for, doubled each time it is lost again (RFC 6298; Linux's least)."""
ENVELOPE_BYTES = 60
"""MQTT's header, topic and properties, and TLS's record."""


class _Instant(selectors.DefaultSelector):
    """Never waits: the time that would have passed is added to the clock instead."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits and nothing is to come")
        if not ready and timeout:
            self.now_s += timeout
        return ready


class SimulatedTime(asyncio.SelectorEventLoop):
    """A loop whose clock is a number."""

    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        """Simulated seconds."""
        return self._instant.now_s

    def stand_still(self, for_s: float) -> None:
        """Time passes and nothing is done, as on a busy machine."""
        self._instant.now_s += for_s


def in_simulated_time(scenario: Coroutine[None, None, T]) -> T:
    """Run it to its end."""
    with asyncio.Runner(loop_factory=SimulatedTime) as runner:
        return runner.run(scenario)


class Line:
    """What one side sends, first come first served: `per_s` bytes a second, `delay_s` one way, a share of packets lost.

    `sent` counts the bytes that TCP was given; the next `lose_next` messages are lost, as when a connection ends.
    """

    def __init__(self, per_s: float = 1e9, delay_s: float = 0.03, lost: float = 0.0) -> None:
        self.sent = 0
        self.lose_next = 0
        self._per_s = per_s
        self._delay_s = delay_s
        self._lost = lost
        self._free_at = 0.0
        self._chance = random.Random(5)

    async def carry(self, size: int) -> None:
        """Return when the other side has it all."""
        loop = asyncio.get_running_loop()
        size += ENVELOPE_BYTES
        self.sent += size
        self._free_at = max(self._free_at, loop.time()) + self._time_s(size)
        await asyncio.sleep(self._free_at - loop.time() + self._delay_s)

    @property
    def busy(self) -> bool:
        """Whether it still carries what it was given."""
        return asyncio.get_running_loop().time() < self._free_at + self._delay_s

    def pause(self, for_s: float) -> None:
        """Carry nothing new for a while; what is sent meanwhile comes afterwards."""
        self._free_at = max(self._free_at, asyncio.get_running_loop().time()) + for_s

    def _time_s(self, size: int) -> float:
        packets = -(-size // PACKET_BYTES)
        total_s = size / self._per_s
        for _ in range(packets):
            held_s = RETRANSMIT_S
            while self._chance.random() < self._lost:
                total_s += held_s + PACKET_BYTES / self._per_s
                held_s *= 2
        return total_s


class SlowCentre(MemoryCentre):
    """A broker at the end of slow lines: `up` has what a client sends over, `down` what it hears; others are fast."""

    def __init__(self, up: dict[str, Line] | None = None, down: dict[str, Line] | None = None) -> None:
        super().__init__()
        self._up, self._down = up or {}, down or {}

    def connection(self, client_id: str, will: Message | None, deliver: Deliver) -> MemoryConnection:
        """One over the client's lines."""
        up, down = (lines.setdefault(client_id, Line()) for lines in (self._up, self._down))
        return SlowConnection(self, client_id, will, deliver, up=up, down=down)


class SlowConnection(MemoryConnection):
    """A connection over two lines."""

    def __init__(
        self, centre: SlowCentre, client_id: str, will: Message | None, deliver: Deliver, *, up: Line, down: Line
    ) -> None:
        super().__init__(centre, client_id, will, deliver)
        self._up, self._down = up, down
        self._hear = deliver
        self._deliver = self._later
        self._coming: set[asyncio.Task[None]] = set()

    async def publish(self, message: Message, extras: Extras) -> int:
        """As the ordinary one, when it has been carried; what the line loses is neither taken nor answered."""
        lost = self._up.lose_next
        self._up.lose_next = max(0, lost - 1)
        await self._up.carry(len(message.payload) + len(message.topic))
        if lost:
            raise UnavailableError("the connection to the broker ended")
        return await super().publish(message, extras)

    def _later(self, incoming: Incoming, acknowledge: Callable[[], None]) -> None:
        async def bring() -> None:
            await self._down.carry(len(incoming.payload) + len(incoming.topic))
            self._hear(incoming, acknowledge)

        self._coming.add(task := asyncio.create_task(bring()))
        task.add_done_callback(self._coming.discard)
