"""Whether what is read from the bus now was heard just now: D-Bus signals carry no time, so a backlog has none.

A program that stood still (a busy processor, a suspended machine) finds the bus full of signals. Stamped when they are
read, they would put phones into minutes in which nobody heard them. So what is read after a standstill is dropped and
counted, and that time does not count as listened (device/daemon/committer.py): a backlog is counted in the minute in
which it was heard, or not at all.

The rule looks at this machine's own load alone, by a timer that is late; nobody who is heard or not heard moves it.
Pure: the time (monotonic seconds) is an argument.
"""

from __future__ import annotations

import math

BEAT_S = 1.0
"""Between two beats of the timer."""

STALL_S = 2.0
"""A timer later than this is a standstill: within the lateness that the pipeline allows for (2.5 s)."""

SHARE = 0.5
"""Of a standstill, how long it may take to read what came meanwhile: reading costs a tenth of that at 2,000 signals a
second and full load."""

LONGEST_S = 60.0
"""After a longer standstill (a machine that slept) the bus has dropped us or has no more than that to tell."""


class Punctuality:
    """The timer's beats, and what follows from one that was late."""

    def __init__(self, now_s: float) -> None:
        self._beat_s = now_s
        self._doubted_until_s = -math.inf
        self._busy_since_s: float | None = None

    def beat(self, now_s: float) -> None:
        """The timer went off."""
        stood_s = now_s - self._beat_s - BEAT_S
        if stood_s > STALL_S:
            self._doubted_until_s = now_s + BEAT_S + SHARE * min(stood_s, LONGEST_S)
        self._beat_s = now_s

    def doubted(self, now_s: float) -> bool:
        """Whether what is read at this moment may have waited."""
        return now_s - self._beat_s > BEAT_S + STALL_S or now_s < self._doubted_until_s

    def busy(self, now_s: float) -> None:
        """There is something to hand on."""
        if self._busy_since_s is None:
            self._busy_since_s = now_s

    def idle(self) -> None:
        """Everything was handed on."""
        self._busy_since_s = None

    def kept(self, now_s: float) -> bool:
        """Whether all is read and handed on in time."""
        behind = self._busy_since_s is not None and now_s - self._busy_since_s > STALL_S
        return not (behind or self.doubted(now_s))
