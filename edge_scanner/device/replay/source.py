"""A stand-in for the radio: any stream of adverts behind the interface of `open_radio`, told when to speak by a clock.

A daemon on it runs the code it runs on a radio. Nothing is dropped: when the consumer is slow, the stream waits and
its adverts come late, which is what a test or a demonstration wants.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_scanner.device.system.clock import lateness_s

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from edge_scanner.core.model import Advert
    from edge_scanner.device.system.clock import Clock

FEED_BATCH = 64
"""Adverts handed on before the event loop gets a turn, as the radio does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """The radio's counters that mean something here: packets `heard` and adverts that were malformed."""

    heard: int
    unreadable: int
    dropped: int = 0
    recoveries: Mapping[str, int] = field(default_factory=dict)


class StandInRadio:
    """An open stand-in: iterate it for `Advert`s. Made by `open_stand_in` only."""

    fault: None = None

    def __init__(self, adverts: Iterator[Advert], clock: Clock | None, unreadable: Callable[[], int]) -> None:
        self._adverts = adverts
        self._clock = clock
        self._unreadable = unreadable
        self._reached_s = 0.0
        self._next: Advert | None = None
        self._ended = False
        self._handed = 0
        self._heard = 0

    def __aiter__(self) -> StandInRadio:
        return self

    async def __anext__(self) -> Advert:
        """The next advert: when the clock has reached its `last_s`, or at once without a clock."""
        advert = self._peek()
        if advert is None:
            raise StopAsyncIteration
        self._handed += 1
        if self._clock is not None and (wait_s := advert.last_s - self._clock.now()) > 0:
            await asyncio.sleep(wait_s / self._clock.speed)
        elif self._handed % FEED_BATCH == 0:
            await asyncio.sleep(0)
        return self._take(advert)

    def now(self) -> float:
        """The clock's UTC seconds; without a clock, the time of the latest advert handed on."""
        return self._clock.now() if self._clock is not None else self._reached_s

    def drain(self) -> list[Advert]:
        """What is due by now and was not handed on yet; for the last commit after a cancellation."""
        due: list[Advert] = []
        now_s = self.now()  # once: a simulated crowd may come faster than it can be taken, and never ends
        while (advert := self._peek()) is not None and advert.last_s <= now_s:
            due.append(self._take(advert))
        return due

    @property
    def counters(self) -> Counters:
        """A snapshot."""
        return Counters(heard=self._heard, unreadable=self._unreadable())

    @property
    def listening(self) -> bool:
        """True until the stream has ended."""
        return not self._ended

    @property
    def punctual(self) -> bool:
        """Whether what is due is handed on in time, as far as this machine's load goes."""
        late_s = 0.0 if self._next is None else self.now() - self._next.last_s
        return self._clock is None or late_s <= lateness_s(self._clock)

    def _peek(self) -> Advert | None:
        if self._next is None and not self._ended:
            self._next = next(self._adverts, None)
            self._ended = self._next is None
        return self._next

    def _take(self, advert: Advert) -> Advert:
        self._next = None
        self._reached_s = max(self._reached_s, advert.last_s)
        self._heard += advert.count
        return advert


@asynccontextmanager
async def open_stand_in(
    adverts: Iterator[Advert], *, clock: Clock | None = None, unreadable: Callable[[], int] = lambda: 0
) -> AsyncIterator[StandInRadio]:
    """`adverts` in order of `last_s`, paced by `clock`, or as fast as they are taken.

    `unreadable` counts the malformed ones so far. The stream's own exceptions come out of the iteration.
    """
    yield StandInRadio(adverts, clock, unreadable)
