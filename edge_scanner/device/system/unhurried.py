"""An event loop that lets what bluetoothd says gather for a moment, so that a crowd does not wake the processor for
each packet.

Waking up for a packet costs as much as the packet. Nothing that a box does with one is finer than a second, so in a
crowd the loop rests for `REST_S` once it has read all, and then finds what came meanwhile. A timer, and whatever its
own threads report (the disk, the broker), ends a rest at once; while anything waits there is none. The more a rest
found, the shorter is the next, so that the socket never fills: what the bus cannot send gathers there, without a bound
of ours, and would be read later than it was heard.

asyncio's own selector loop with a selector of ours; the rest waits in a `select` of its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import select
import selectors
import struct
import termios
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S = 0.125
"""Between two looks at what is not urgent: short beside the 2.5 s by which a burst may be late."""
ENOUGH_BYTES = 16_384
"""What a rest should find at most: a fifth of what a local socket holds of packets (Linux counts each packet's own 800
bytes too: 170 to 280 packets fill it, which is 1,500 a second with rests of an eighth)."""
OFTEN = 32
"""So many looks that found something, within twice as many rests, make a crowd; a start's 17 answers do not."""


class RestingSelector(selectors.EpollSelector):
    """The first file that is registered is urgent: the pipe by which threads and signals wake asyncio's loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._urgent = -1
        self._found: deque[float] = deque([-math.inf] * OFTEN, maxlen=OFTEN)
        self._rest = False
        self._rest_s = REST_S

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As any selector's."""
        key = super().register(fileobj, events, data)
        if self._urgent < 0:
            self._urgent = key.fd
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready, within `timeout` seconds; after a rest in a crowd where nothing waits."""
        ready = super().select(0 if self._rest else timeout)
        if not ready and self._rest and timeout != 0:
            rest_s = self._rest_s if timeout is None else min(self._rest_s, timeout)
            select.select([self._urgent], [], [], rest_s)
            ready = super().select(None if timeout is None else timeout - rest_s)
            if waiting := max((_waiting(key.fd) for key, _ in ready if key.fd != self._urgent), default=0):
                self._rest_s = min(REST_S, rest_s * ENOUGH_BYTES / waiting)
        if any(key.fd != self._urgent for key, _ in ready):
            now_s = self._clock()
            self._rest = now_s - self._found[0] < OFTEN * REST_S * 2
            self._found.append(now_s)
        elif timeout != 0:
            self._rest = False
        return ready


def _waiting(file: int) -> int:
    """Bytes to be read; 0 where the kernel does not say."""
    with suppress(OSError):
        return int(struct.unpack("i", fcntl.ioctl(file, termios.FIONREAD, bytes(4)))[0])
    return 0


def new_loop() -> asyncio.AbstractEventLoop:
    """For `asyncio.Runner`."""
    return asyncio.SelectorEventLoop(RestingSelector())


async def beat(period_s: float) -> None:
    """Sleep to the next whole `period_s` of the loop's clock: tasks that beat alike wake the processor together."""
    now_s = asyncio.get_running_loop().time()
    await asyncio.sleep(period_s - now_s % period_s)
