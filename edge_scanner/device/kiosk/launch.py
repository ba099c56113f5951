"""From the command line to a process that has loaded the kiosk and nothing else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk.settings import KioskSettings, to_arguments

if TYPE_CHECKING:
    from typing import NoReturn

PACKAGE = __name__.rpartition(".")[0]


def become_kiosk(settings: KioskSettings) -> NoReturn:
    """Replace this process by a kiosk that loads only the kiosk.

    The command line and the settings file bring libraries that a screen does not need for months: measured, the
    kiosk that stayed inside the command took 14 MB more. The process id stays, so systemd notices nothing.
    """
    os.execv(sys.executable, [sys.executable, "-m", PACKAGE, *to_arguments(settings)])  # noqa: S606 (no shell, our own module)
