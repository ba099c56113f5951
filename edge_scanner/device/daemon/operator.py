"""The daemon's side of the operator's settings: looked at with every snapshot, so that nothing has to be restarted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import operator_settings
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.core.snapshot import Venue
    from edge_scanner.device.settings import Settings

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
