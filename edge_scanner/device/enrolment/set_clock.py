"""Setting the machine's clock to the bench's time: one process asks, another one may.

Enrolment speaks to a network, so it holds no right over the clock. It writes a line into a folder of its own
(`/run/edge-scanner-enrol`); `edge-scanner-clock.path` sees the file, and `edge-scanner-clock.service`, which may set
the clock and has no network, does so and takes the file away. Enrolment waits until it sees the new time.

The line says when the monotonic clock began, in UTC nanoseconds. That stays true however long the service takes to
start, and done twice it is the same.

It beat an enrolment with CAP_SYS_TIME, whose every flaw would reach the clock, and D-Bus (timedate1), which refuses
while NTP is on and needs polkit, which a bare Debian has not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import program, small_files, terminal
from edge_scanner.core.errors import BadDataError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "clock"
"""Its name in the asker's folder; edge-scanner-clock.path names it, too."""
WAIT_S = 30.0
"""A Pi of the slowest kind starts a Python program in four seconds."""
NEAR_S = 1.0
"""Seen as set: less than what a clock may be off before it is set at all (enrol.py)."""
_LOOK_S = 0.05
_ARGUMENTS = 2
_NS = 1_000_000_000
_EARLIEST_S, _LATEST_S = 1_767_225_600, 4_102_444_800
"""2026 to 2100: before, this program was not; beyond, something is wrong with who asks."""
_MAX_BYTES = 32


def set_directly(utc_s: float) -> bool:
    """Set the clock ourselves; False for a process that may not."""
    try:
        time.clock_settime(time.CLOCK_REALTIME, utc_s)
    except PermissionError:
        return False
    return True


def ask(
    folder: Path,
    utc_s: float,
    *,
    wait_s: float = WAIT_S,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> bool:
    """Have the service set the clock to `utc_s` (which is now); whether it was. Raises StorageError."""
    began_s = monotonic()
    path = folder / FILE
    try:
        small_files.write(path, f"{int((utc_s - began_s) * _NS)}\n".encode())
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(path), hint="is /run full?") from error
    while abs(utc_s + monotonic() - began_s - now()) >= NEAR_S:
        if monotonic() - began_s > wait_s:
            with contextlib.suppress(OSError):  # nobody came; an old wish must not be granted later
                path.unlink()
            return False
        time.sleep(_LOOK_S)
    return True


def _set_ns(utc_ns: int) -> None:
    time.clock_settime_ns(time.CLOCK_REALTIME, utc_ns)


def grant(
    path: Path,
    *,
    set_to: Callable[[int], None] = _set_ns,
    monotonic_ns: Callable[[], int] = time.monotonic_ns,
) -> float:
    """The service's side: set the clock as the file says and take it away; UTC seconds.

    Raises BadDataError for a file that says no plausible time, StorageError for one that cannot be read or a clock
    that must not be set. The file is gone afterwards in every case, so that nothing is tried for ever.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_MAX_BYTES)
        try:
            began_ns = int(text)
        except ValueError as error:
            raise BadDataError("no time is written there", where=str(path)) from error
        utc_ns = began_ns + monotonic_ns()
        if not _EARLIEST_S * _NS <= utc_ns < _LATEST_S * _NS:
            raise BadDataError("an impossible time", where=str(path), hint="set the laptop's clock")
        set_to(utc_ns)
    except OSError as error:
        raise StorageError(
            f"the clock was not set: {error.strerror}", where=str(path), hint="run edge-scanner-clock.service"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    return utc_ns / _NS


def main() -> None:
    """`python3 -m edge_scanner.device.enrolment.set_clock FILE`, the whole of edge-scanner-clock.service."""
    if len(sys.argv) != _ARGUMENTS:
        sys.exit("usage: python3 -m edge_scanner.device.enrolment.set_clock FILE")
    program.run("edge-scanner", lambda: _granted(Path(sys.argv[1])))


def _granted(file: Path) -> None:
    terminal.say(f"clock set to {datetime.fromtimestamp(grant(file), UTC):%Y-%m-%d %H:%M:%S} UTC")


if __name__ == "__main__":
    main()
