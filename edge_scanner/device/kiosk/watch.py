"""How fresh the snapshot is, and whether it may be shown at all.

The file is read only when it changed, never more than the limit, never through a FIFO or device. Its age is measured
on the monotonic clock from the moment new content was seen: a wall clock that steps, or a simulated one, makes a
figure neither fresh nor stale. An unreadable file counts as a missed beat, so that one torn write harms nothing.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_scanner.core import snapshot as document
from edge_scanner.core.errors import BadDataError, UnavailableError
from edge_scanner.core.health import Light
from edge_scanner.core.snapshot import MAX_BYTES, MISSED_BEATS, VIET_NAM_OFFSET_S

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.snapshot import Snapshot

# After this many beats nobody restarts any more: the scanner is down, not late.
_DOWN_BEATS = 12


class State(StrEnum):
    """What the page may claim: only `fresh` allows a word about the crowd."""

    FRESH = "fresh"
    STALE = "stale"
    DEAF = "deaf"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The last good snapshot, how far it can be trusted and the time on the daemon's clock.

    `problem` is the reason why the present file cannot be read, empty when it can; `age_s` is wall time.
    """

    state: State
    snapshot: Snapshot | None
    age_s: float
    now_s: float
    problem: str = ""

    @property
    def utc_offset_s(self) -> int:
        """The venue's offset from UTC."""
        return self.snapshot.venue.utc_offset_s if self.snapshot else VIET_NAM_OFFSET_S

    @property
    def theme(self) -> str:
        """The venue's theme: auto, day or night."""
        return self.snapshot.venue.theme if self.snapshot else "auto"


class Watch:
    """Looks at one snapshot file; `look` is cheap while the file does not change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._snapshot: Snapshot | None = None
        self._seen_s = 0.0
        self._problem = ""

    def look(self) -> View:
        """The state at this moment."""
        monotonic_s = time.monotonic()
        try:
            self._refresh(monotonic_s)
        except (BadDataError, UnavailableError) as error:
            self._problem = str(error)
        if self._snapshot is None:
            return View(state=State.DOWN, snapshot=None, age_s=0.0, now_s=time.time(), problem=self._problem)
        age_s = monotonic_s - self._seen_s
        return View(
            state=_state(self._snapshot, age_s, gone=self._stamp is None),
            snapshot=self._snapshot,
            age_s=age_s,
            now_s=self._snapshot.written_s + age_s * self._snapshot.venue.speed,
            problem=self._problem,
        )

    def _refresh(self, monotonic_s: float) -> None:
        stamp, data, age_s = _read(self._path, self._stamp)
        if stamp == self._stamp:
            return
        first = self._stamp is None and self._snapshot is None
        self._stamp = stamp
        if stamp is None:
            raise UnavailableError("there is no snapshot", where=str(self._path), hint="start the scanner")
        snapshot = document.from_json(data)
        self._problem = ""
        if self._snapshot is None or snapshot.written_s != self._snapshot.written_s:
            # A kiosk that starts beside a dead scanner must not take an old file for a new one.
            self._seen_s = monotonic_s - (age_s if first else 0.0)
        self._snapshot = snapshot


def _state(snapshot: Snapshot, age_s: float, *, gone: bool) -> State:
    missed = age_s / snapshot.venue.beat_s
    if missed >= _DOWN_BEATS or (gone and missed >= MISSED_BEATS):
        return State.DOWN
    if missed >= MISSED_BEATS:
        return State.STALE
    radio = snapshot.health.lights.get("radio")
    if radio is not None and radio.light is Light.FAIL:
        return State.DEAF
    return State.FRESH


def _read(path: Path, known: tuple[int, int, int] | None) -> tuple[tuple[int, int, int] | None, bytes, float]:
    """The file's stamp (None when it is not there), its content when the stamp is not `known`, its age in seconds."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            facts = os.fstat(number)
            stamp = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
            if not stat.S_ISREG(facts.st_mode):
                raise UnavailableError("the snapshot is not a file", where=str(path))
            if stamp == known:
                return stamp, b"", 0.0
            return stamp, os.read(number, MAX_BYTES + 1), max(0.0, time.time() - facts.st_mtime)
        finally:
            os.close(number)
    except FileNotFoundError:
        return None, b"", 0.0
    except OSError as error:
        raise UnavailableError(f"the snapshot cannot be read: {error.strerror}", where=str(path)) from None
