"""Who came to the bench without being let in: boards that wait for the technician, strangers, other benches.

All of it is in memory and bounded, because anybody on the cable can add to it: a flood displaces what is shown and
fills nothing.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from edge_scanner.core.enrolment import rendezvous as meeting

MAX_WAITING = 20
"""Boards on the screen that wait; one that was displaced asks again two seconds later."""
WAITS_S = 60.0
"""A board that has not asked for so long is gone."""
MAX_BENCHES = 4
BENCH_GONE_S = 5 * meeting.BEACON_S
"""A bench calls every two seconds; after five calls missed it was switched off."""
MAX_STRANGERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A board that is not let in: its six words, its serial, who asks (address), and why (PRV-06, PRV-03)."""

    words: str
    serial: str
    peer: str
    code: str
    at_s: float


@dataclass(slots=True)
class Visitors:
    """Times are UTC seconds; `refused` counts refusals by code since the bench was started."""

    refused: Counter[str] = field(default_factory=Counter)
    _waiting: OrderedDict[str, Waiting] = field(default_factory=OrderedDict)
    _benches: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _strangers: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def wait(self, board: Waiting) -> None:
        """A board asks."""
        self._waiting.pop(board.words, None)
        self._waiting[board.words] = board
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def enter(self, words: str) -> None:
        """A board was let in."""
        self._waiting.pop(words, None)

    def waiting(self, now_s: float) -> list[Waiting]:
        """The boards that asked within the last minute, the latest first."""
        return [one for one in reversed(self._waiting.values()) if abs(now_s - one.at_s) <= WAITS_S]

    def hear(self, place: str, now_s: float) -> bool:
        """Another bench calls from `place`; whether it is new."""
        known = _remember(self._benches, place, now_s, MAX_BENCHES)
        return known is None or abs(now_s - known) > BENCH_GONE_S

    def benches(self, now_s: float) -> list[str]:
        """Where other benches call from now."""
        return [place for place, at_s in self._benches.items() if abs(now_s - at_s) <= BENCH_GONE_S]

    def turn_away(self, peer: str, now_s: float) -> None:
        """A machine at the address `peer` asks as no box does."""
        _remember(self._strangers, peer, now_s, MAX_STRANGERS)

    def strangers(self, now_s: float) -> list[str]:
        """The addresses of machines that asked so within the last minute."""
        return [peer for peer, at_s in self._strangers.items() if abs(now_s - at_s) <= WAITS_S]


def _remember(seen: OrderedDict[str, float], who: str, now_s: float, limit: int) -> float | None:
    """When it was seen before; what was not seen for the longest time is forgotten beyond `limit`."""
    before = seen.pop(who, None)
    seen[who] = now_s
    while len(seen) > limit:
        seen.popitem(last=False)
    return before
