"""What the checks look at: the settings and the few places of the machine that a test must be able to move."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.device.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.core.model import ClockQuality
    from edge_scanner.device.settings import Settings


def _quality() -> ClockQuality:
    return SystemClock().reading().quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One box to look at. `sys` is /sys, `proc` /proc; `listen_s` is how long the radio is heard; `run` is /run.

    `at_bench`: installation day, on a cable without a network, before the scanner has been started.
    """

    settings: Settings
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    run: Path = Path("/run")
    listen_s: float = 10.0
    at_bench: bool = False
    now: Callable[[], float] = time.time
    quality: Callable[[], ClockQuality] = _quality

    @property
    def state(self) -> Path:
        """The state directory."""
        return Path(self.settings.device.state_dir)
