"""The recovery sequence: from what the radio can see of itself to the next level. Pure; `radio.py` does what it says.

Levels, each counted and logged: a new scanner, power-cycle the adapter, reset it (reset.py: its USB port, or a block of
rfkill), restart the process (by raising; systemd does the rest). Two sequences, because two things look like silence:

* a *fault*: bus, bluetoothd, adapter or discovery is gone. Retries come fast and back off to `RETRY_MAX_S`, so that
  hearing resumes within 15 s of the cause's end. Only an adapter that is there but will not listen is power-cycled,
  reset and, after `RESTART_AFTER_S`, worth a restart; no restart brings back a stick that was pulled out.
* *quiet*: the adapter says that it is listening and no advert comes. It may be deaf all the same (bluez/bluez#1554),
  but most often the venue is closed. The sequence is slow and never ends the process: a restart is written down
  outside this process, and would tell to the second when the last visitor left.

Decision: only an advert resets the sequences fully; "no exception" and "discovering" never do (a bluetoothd that
restarts leaves the scanner deaf without an error). It beat a single silence timer, which is either too slow for
faults or restarts an empty venue all night.

Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from enum import StrEnum

RETRY_MIN_S = 1.0
RETRY_MAX_S = 8.0
"""Back-off between new scanners while there is a fault: below 15 s with the time one start may take."""

POWER_AFTER_TRIES = 3
"""Refused starts before the adapter is power-cycled: `InProgress` of a cancelled client ends by itself in 1-2 s."""

POWER_PAUSE_S = 30.0
POWER_PAUSE_MAX_S = 480.0
"""Between two power-cycles of one fault, doubling: a dying USB adapter is not helped by hammering."""

RESET_AFTER_S = (180.0, 540.0)
"""An adapter that refuses so long, and so many power-cycles, is reset on its USB port: that brings back sticks whose
firmware hangs."""

UNBLOCK_PAUSE_S = 30.0
UNBLOCK_PAUSE_MAX_S = 480.0
"""Between two tries to lift a block, doubling: a switch at the box's side stays where a person put it."""

RESTART_AFTER_S = 900.0
"""An adapter that is there and refuses to listen this long: five power-cycles and two resets have failed."""

QUIET_SCANNER_S = 120.0
"""Adapter listening, no advert: one new scanner is cheap (half a second of hearing)."""

QUIET_POWER_S = 600.0
"""Still quiet: power-cycle, now and then every `QUIET_REPEAT_S`."""

QUIET_REPEAT_S = 3600.0

SETTLED_S = 60.0
"""A scanner that has been well this long ends a fault even in an empty venue."""


class Fault(StrEnum):
    """What is wrong, worst first; the words go to the log."""

    NO_BUS = "D-Bus unreachable"
    NO_BLUETOOTHD = "bluetoothd absent"
    DENIED = "bluetoothd refuses access"
    NO_ADAPTER = "adapter absent"
    REPLACED = "bluetoothd restarted"
    BLOCKED = "Bluetooth is blocked"
    STOPPED = "adapter stopped listening"
    REFUSED = "adapter refuses to listen"


_NOTHING_TO_POWER = frozenset({Fault.NO_BUS, Fault.NO_BLUETOOTHD, Fault.DENIED, Fault.NO_ADAPTER, Fault.BLOCKED})
"""What neither a power-cycle nor a restart of ours can mend; it is looked at again every few seconds. Of these a block
is lifted by the reset."""


class RecoveryLevel(StrEnum):
    """What to do next; the value is the counter's name in health."""

    SCANNER = "scanner"
    POWER = "power"
    RESET = "reset"
    RESTART = "restart"


class RecoverySequence:
    """Remembers how far a trouble has gone. Ask `next_level` about once a second to once in five seconds."""

    def __init__(self) -> None:
        self._fault_since_s: float | None = None
        self._well_since_s: float | None = None
        self._tries = 0
        self._pause_s = RETRY_MIN_S
        self._next_try_s = 0.0
        self._power_pause_s = POWER_PAUSE_S
        self._next_power_s = 0.0
        self._resets = 0
        self._unblock_pause_s = UNBLOCK_PAUSE_S
        self._next_unblock_s = 0.0
        self._quiet_levels = 0

    def next_level(
        self, now_s: float, *, fault: Fault | None, silence_s: float, start_refused: bool = False
    ) -> RecoveryLevel | None:
        """The level that is due, or None.

        `fault` is what a probe saw, None when the adapter says that it listens; `silence_s` is the time since the last
        advert, or since the radio was opened; `start_refused`: the latest scanner did not start.
        """
        if fault is None:
            return self._quiet(now_s, silence_s)
        self._well_since_s = None
        if self._fault_since_s is None:
            self._fault_since_s = now_s
        if now_s < self._next_try_s:
            return None
        if fault not in _NOTHING_TO_POWER:
            level = self._strong(now_s, now_s - self._fault_since_s, start_refused=start_refused)
        else:
            self._fault_since_s = now_s
            level = self._unblock(now_s) if fault is Fault.BLOCKED else None
        if level is not None:
            self._next_try_s = now_s
            return level
        self._next_try_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, RETRY_MAX_S)
        self._tries += 1
        return RecoveryLevel.SCANNER

    def _strong(self, now_s: float, lasted_s: float, *, start_refused: bool) -> RecoveryLevel | None:
        """What is done to an adapter that is there, beyond a new scanner; None while that is not due."""
        if lasted_s >= RESTART_AFTER_S:
            return RecoveryLevel.RESTART
        if not start_refused:
            return None
        if self._resets < len(RESET_AFTER_S) and lasted_s >= RESET_AFTER_S[self._resets]:
            self._resets += 1
            return RecoveryLevel.RESET
        if self._tries >= POWER_AFTER_TRIES and now_s >= self._next_power_s:
            self._next_power_s = now_s + self._power_pause_s
            self._power_pause_s = min(2 * self._power_pause_s, POWER_PAUSE_MAX_S)
            return RecoveryLevel.POWER
        return None

    def _unblock(self, now_s: float) -> RecoveryLevel | None:
        if self._tries == 0 or now_s < self._next_unblock_s:
            return None
        self._next_unblock_s = now_s + self._unblock_pause_s
        self._unblock_pause_s = min(2 * self._unblock_pause_s, UNBLOCK_PAUSE_MAX_S)
        return RecoveryLevel.RESET

    def _quiet(self, now_s: float, silence_s: float) -> RecoveryLevel | None:
        if self._well_since_s is None:
            self._well_since_s = now_s
        if silence_s < QUIET_SCANNER_S:
            self._quiet_levels = 0
        heard_since_well = silence_s < now_s - self._well_since_s
        if heard_since_well or now_s - self._well_since_s >= SETTLED_S:
            self._fault_since_s = None
            self._tries = 0
            self._pause_s, self._power_pause_s = RETRY_MIN_S, POWER_PAUSE_S
            self._next_try_s = self._next_power_s = self._next_unblock_s = 0.0
            self._unblock_pause_s = UNBLOCK_PAUSE_S
            self._resets = 0
        due_s = QUIET_SCANNER_S
        if self._quiet_levels:
            due_s = QUIET_POWER_S + (self._quiet_levels - 1) * QUIET_REPEAT_S
        if silence_s < due_s:
            return None
        self._quiet_levels += 1
        return RecoveryLevel.SCANNER if self._quiet_levels == 1 else RecoveryLevel.POWER
