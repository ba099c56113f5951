"""The clocks: UTC for what is recorded, monotonic for intervals, and how far UTC can be trusted.

A Pi before the 5 has no real-time clock: until NTP answers it starts at the time of its last shutdown. Nothing waits
for that; the quality goes into the log and the step that NTP makes later is seen as a jump of UTC against monotonic.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Protocol

from edge_scanner.core.model import ClockQuality, ClockReading
from edge_scanner.core.pipeline import LATENESS_S

_TIMESYNCD_MARK = Path("/run/systemd/timesync/synchronized")
_RTC = Path("/sys/class/rtc/rtc0")
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES = 512
"""Larger than struct timex on any Linux; all zero it asks for the state and changes nothing."""
SIMULATED_LATENESS_S = 0.2
"""How much later than its time a simulated advert may be handed on, in our seconds."""
QUALITY_S = 30.0
"""How long a quality reading is kept; NTP's own steps are minutes apart."""


class Clock(Protocol):
    """What the daemon tells time by."""

    speed: float

    def now(self) -> float:
        """UTC seconds."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never steps."""

    def reading(self) -> ClockReading:
        """Both clocks at one moment, with their quality."""


def lateness_s(clock: Clock) -> float:
    """How late a burst may come, in seconds of this clock: more where simulated time outruns the event loop."""
    return LATENESS_S + (clock.speed - 1) * SIMULATED_LATENESS_S


class SystemClock:
    """The machine's clocks."""

    speed = 1.0

    def __init__(self) -> None:
        self._quality = ClockQuality.NONE
        self._read_at = -QUALITY_S

    def now(self) -> float:
        """UTC seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never steps."""
        return time.monotonic()

    def reading(self) -> ClockReading:
        """Both clocks at one moment, with their quality."""
        monotonic_s = time.monotonic()
        if monotonic_s - self._read_at >= QUALITY_S:
            self._quality, self._read_at = _quality(), monotonic_s
        return ClockReading(utc_s=time.time(), monotonic_s=monotonic_s, quality=self._quality)


class SimulatedClock:
    """Time that runs `speed` times as fast as the machine's from the moment it is made; a demonstration's clock.

    It begins now, or at `not_before_s`: a second run does not live through the first one's hours again.
    """

    def __init__(self, speed: float, *, not_before_s: float = 0.0) -> None:
        self.speed = speed
        self._utc_s = max(time.time(), not_before_s)
        self._began_s = time.monotonic()

    def now(self) -> float:
        """UTC seconds of the simulation."""
        return self._utc_s + self.monotonic()

    def monotonic(self) -> float:
        """Simulated seconds since the clock was made."""
        return (time.monotonic() - self._began_s) * self.speed

    def reading(self) -> ClockReading:
        """Both clocks; a simulation is always sure of its time."""
        return ClockReading(utc_s=self.now(), monotonic_s=self.monotonic(), quality=ClockQuality.NTP)


def _quality() -> ClockQuality:
    """NTP when the kernel says so, whichever service keeps it (timesyncd, chrony, ntpd), else RTC, else none.

    Asking needs no right, and the unit's sandbox lets it through. A container may forbid it; then timesyncd's mark is
    the only word there is.
    """
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if 0 <= state < _TIME_ERROR or (state < 0 and _TIMESYNCD_MARK.exists()):
        return ClockQuality.NTP
    return ClockQuality.RTC if _RTC.exists() else ClockQuality.NONE
