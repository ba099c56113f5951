"""The daemon's side of what the operator sets: looked at with every snapshot, so that nothing has to be restarted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core.counts import calibration
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.errors import ConfigurationError, EdgeScannerError
from edge_scanner.device import operator_settings, site_factor
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_scanner.core.counts.baseline import Baseline
    from edge_scanner.core.model import Report
    from edge_scanner.core.snapshot import Venue
    from edge_scanner.device.settings import Settings

_AHEAD_S = 60.0
"""The page's clock goes on from the last snapshot."""

_log = journal.get("operator")


class Operator:
    """The venue as the operator sets it; a file that cannot be is said once, and what stood before stands."""

    def __init__(self, main: Settings, venue_of: Callable[[Settings], Venue]) -> None:
        self._main = main
        self._venue_of = venue_of
        self._file = Path(main.kiosk.operator_dir, operator_settings.FILE) if main.kiosk.operator_dir else None
        self._stamp: tuple[int, int, int] | None = None
        self._venue = venue_of(main)

    def venue(self) -> Venue:
        """The venue now; a file that did not change is not read."""
        stamp = _stamp(self._file)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._venue = self._venue_of(operator_settings.over(self._main))
            except ConfigurationError as error:
                _log.error("the operator's settings are passed over", reason=str(error))
            else:
                _log.info("the operator's settings are in use", file=stamp is not None)
        return self._venue


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    if file is None:
        return None
    try:
        facts = os.lstat(file)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size


class HandCounts:
    """What the operator counted on the page: judged here by our own releases and kept in the state folder."""

    def __init__(self, main: Settings) -> None:
        self._state_dir = Path(main.device.state_dir)
        self._file = Path(main.kiosk.operator_dir, operator_settings.COUNT) if main.kiosk.operator_dir else None
        self._stamp: tuple[int, int, int] | None = None

    def take(
        self, counted: Counted, reports: Sequence[Report], learn: Callable[[float], Baseline | None], now_s: float
    ) -> Counted:
        """`counted` with what is new; what is refused or cannot be kept is said once and changes nothing.

        `learn` gives what the nights since a moment taught.
        """
        stamp = _stamp(self._file)
        if self._file is None or stamp is None or stamp == self._stamp:
            return counted
        self._stamp = stamp
        try:
            asked = operator_settings.asked_count(self._file)
            # Somebody may have counted at the box meanwhile.
            before = site_factor.load(self._state_dir)
            if not before.newest_s < asked.at_s <= now_s + _AHEAD_S:
                return counted
            if asked.people is None:
                after = Counted(forgotten_s=asked.at_s)
            else:
                after, _, _ = calibration.take(before, asked.people, reports, learn(before.forgotten_s), asked.at_s)
            site_factor.write(self._state_dir / site_factor.FILE_NAME, calibration.to_json(after))
        except EdgeScannerError as error:
            _log.error("the operator's count is passed over", reason=str(error))
            return counted
        _log.info("the operator's count is in use", forgotten=asked.people is None)
        return after
