"""How fast a line brings pieces, and what follows: how many may be under way, how long to wait, how long it will take.

A constant window fits one line only: what fills a fast one lies for minutes in a slow one, where it is taken for lost
and asked for again. So everything here is measured from what has arrived. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import deque

AHEAD_S = 3.0
"""Under way is what the line lately brought in this time: longer than a round trip, short enough for others to pass."""
LEAST = 2
"""One piece on the line and the next one already asked for."""
SLACK = 4.0
"""A piece is late after this many times the usual pause between two."""
FIRST_S = 15.0
"""How long the first piece may take, while nothing is known: 48 KiB at 3.3 kB/s."""
SHORTEST_S = 4.0
LONGEST_S = 300.0
_REMEMBERED = 64


class Pace:
    """One line, in one direction; `most` pieces under way at the utmost."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._began_s: float | None = None
        self._came: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._late = 0

    def begin(self, at_s: float) -> None:
        """Something was asked for; only the first time matters."""
        if self._began_s is None:
            self._began_s = at_s

    def came(self, at_s: float, size: int) -> None:
        """A piece of `size` bytes is here."""
        self.begin(at_s)
        self._late = 0
        if len(self._came) == _REMEMBERED:
            self._began_s = self._came[0][0]
        self._came.append((at_s, size))

    def late(self) -> None:
        """Nothing came within `patience_s`: the next wait is twice as long."""
        self._late += 1

    def window(self, now_s: float) -> int:
        """Pieces that may be under way: one while nothing is known or after a silence, then by what the line brings."""
        if not self._came or self._late:
            return 1
        lately = sum(now_s - at_s <= AHEAD_S for at_s, _ in self._came)
        return min(self._most, LEAST + lately)

    def patience_s(self) -> float:
        """How long nothing may come before what is under way is taken for lost."""
        usual_s = FIRST_S
        if self._came and self._began_s is not None:
            usual_s = SLACK * (self._came[-1][0] - self._began_s) / len(self._came)
        return min(LONGEST_S, max(SHORTEST_S, usual_s) * float(2**self._late))

    def remaining_s(self, size: int, now_s: float) -> float | None:
        """How long `size` bytes more will take; None while nothing is known."""
        if not self._came or self._began_s is None or now_s <= self._began_s:
            return None
        return size * (now_s - self._began_s) / sum(size for _, size in self._came)
