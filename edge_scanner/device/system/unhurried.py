"""An event loop that lets what bluetoothd says gather for a moment, so that a crowd does not wake the processor for
each packet.

Waking up for a packet costs as much as the packet. Nothing that a box does with one is finer than a second, so in a
crowd the loop rests for `REST_S` once it has read all, and then finds what came meanwhile. A timer, and whatever its
own threads report (the disk, the broker), ends a rest at once; while anything waits there is none, so that no buffer
overflows.

asyncio's own selector loop with a selector of ours; the rest waits in a `select` of its own.
"""

from __future__ import annotations

import asyncio
import math
import select
import selectors
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S = 0.125
"""Between two looks at what is not urgent: short beside the 2.5 s by which a burst may be late."""
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
            rest_s = REST_S if timeout is None else min(REST_S, timeout)
            select.select([self._urgent], [], [], rest_s)
            ready = super().select(None if timeout is None else timeout - rest_s)
        if any(key.fd != self._urgent for key, _ in ready):
            now_s = self._clock()
            self._rest = now_s - self._found[0] < OFTEN * REST_S * 2
            self._found.append(now_s)
        elif timeout != 0:
            self._rest = False
        return ready


def new_loop() -> asyncio.AbstractEventLoop:
    """For `asyncio.Runner`."""
    return asyncio.SelectorEventLoop(RestingSelector())


async def beat(period_s: float) -> None:
    """Sleep to the next whole `period_s` of the loop's clock: tasks that beat alike wake the processor together."""
    now_s = asyncio.get_running_loop().time()
    await asyncio.sleep(period_s - now_s % period_s)
