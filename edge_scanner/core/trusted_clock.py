"""What time it is for whatever cannot be undone: retention, expiry, quotas. Nothing is deleted because a clock says so.

UTC comes from NTP servers that the venue's network names, or from a battery-backed clock that may be wrong: nobody
vouches for either. What a box can count on is its own monotonic clock. So:

* Trusted time goes on evenly with monotonic time, whatever UTC does, and is never more than `MAX_JUMP_S` beyond that.
  The hour does not grow with many small steps, because it counts from the last time that was believed.
* UTC that stands further off is a claim. It is believed when the centre's signed word (signed_time.py) agrees, or when
  it has lasted `LASTS_S` of running time, evenly.
  A box is switched off at night, and its clock has gone on then: a claim survives that if it moved by no more than
  `NIGHT_S`, and the time the box was off is believed once the claim is.
* UTC that is behind is followed at once, because less is deleted then. What has been lived through is not forgotten by
  that: days of a quota are counted by it, and UTC more than `MAX_JUMP_S` before it, at once or in many small steps,
  is a claim as well.

The centre's word alone moves nothing: it only ends the doubt about a clock that says the same, so that whoever has its
key must have the venue's clock as well.

So a clock that is set a year ahead deletes nothing for two days of running, which is time enough to see the light; and
a box whose clock is right deletes on time, or after it was off as soon as it hears the centre.

Pure: the clocks are an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_scanner.core.model import ClockReading

MAX_JUMP_S = 3600.0
"""A step of NTP after a restart, and the drift of months; whole segments are an hour."""
LASTS_S = 48 * 3600.0
"""A false clock is seen by somebody within two days: the light is yellow on the page and at the centre."""
NIGHT_S = 25 * 3600.0
"""A venue's closed day."""
DRIFT = 0.001
"""Seconds a second by which a box's own clock may run fast; crystals are within a tenth of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What survives a restart: trusted time, a claim (UTC seconds) with the running time it has lasted, lived time.

    `lived_s` None: as `known_s`.
    """

    known_s: float
    claim_s: float | None = None
    claimed_s: float = 0.0
    lived_s: float | None = None


class TrustedClock:
    """Made at the start of a run from what the last one kept, None on a new box, which believes its first reading."""

    def __init__(self, kept: Kept | None, clock: ClockReading) -> None:
        self._at_s = clock.monotonic_s
        self._known_s = clock.utc_s if kept is None else kept.known_s
        self._lived_s = self._known_s if kept is None or kept.lived_s is None else kept.lived_s
        self._told_s: float | None = None
        self._claim_s: float | None = None
        self._claimed_s = 0.0
        if kept is not None and kept.claim_s is not None:
            moved_s = clock.utc_s - kept.claim_s
            if -MAX_JUMP_S <= moved_s <= NIGHT_S:
                self._claim_s, self._claimed_s = clock.utc_s, kept.claimed_s

    @property
    def doubted(self) -> bool:
        """Whether UTC stands too far from what is trusted, at the latest reading."""
        return self._claim_s is not None

    @property
    def behind(self) -> bool:
        """Whether UTC is more than an hour before what this box has lived through, at the latest reading."""
        return self._claim_s is not None and self._claim_s < self._lived_s

    @property
    def lived_s(self) -> float:
        """Lived time at the latest reading, UTC seconds: goes on with running time, whatever UTC does in between."""
        return self._lived_s

    @property
    def kept(self) -> Kept:
        """What the next run must know, at the latest reading."""
        return Kept(known_s=self._known_s, claim_s=self._claim_s, claimed_s=self._claimed_s, lived_s=self._lived_s)

    def tell(self, at_s: float, clock: ClockReading) -> None:
        """An authenticated source says that it is `at_s` or later, UTC seconds."""
        self.read(clock)
        self._told_s = max(at_s, self._told_s or at_s)
        self.read(clock)

    def read(self, clock: ClockReading) -> float:
        """The trusted time, UTC seconds; ask at least once an hour."""
        passed_s = clock.monotonic_s - self._at_s
        self._at_s = clock.monotonic_s
        self._known_s += passed_s
        self._lived_s += passed_s
        if self._told_s is not None:
            self._told_s += passed_s
        ahead_s, behind_s = clock.utc_s - self._known_s, self._lived_s - clock.utc_s
        if ahead_s <= MAX_JUMP_S and behind_s <= MAX_JUMP_S:
            self._claim_s, self._claimed_s = None, 0.0
            self._known_s += min(0.0, ahead_s)
            self._lived_s -= min(max(0.0, behind_s), passed_s * DRIFT)
        else:
            self._claim(clock.utc_s, passed_s)
        return min(clock.utc_s, self._known_s + MAX_JUMP_S)

    def _claim(self, utc_s: float, passed_s: float) -> None:
        if self._claim_s is None or abs(utc_s - self._claim_s - passed_s) > MAX_JUMP_S:
            self._claimed_s = 0.0
        else:
            self._claimed_s += passed_s
        self._claim_s = utc_s
        agreed = self._told_s is not None and self._known_s < utc_s <= self._told_s + MAX_JUMP_S
        if agreed or self._claimed_s >= LASTS_S:
            self._known_s, self._claim_s, self._claimed_s = utc_s, None, 0.0
            self._lived_s = utc_s
