"""From the command line to a process that has loaded the kiosk and nothing else."""

from __future__ import annotations

import datetime as dt
import os
import sys
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk.settings import KioskSettings, to_arguments

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn

    from edge_scanner.device.kiosk.certificate import Shown

PACKAGE = __name__.rpartition(".")[0]


def shown_certificate(folder: Path) -> Shown:
    """What people compare of the page's certificate in `folder`; raises BadDataError, StorageError."""
    from edge_scanner.device.kiosk import certificate  # noqa: PLC0415 (as below)

    return certificate.shown(folder)


def become_kiosk(settings: KioskSettings) -> NoReturn:
    """Replace this process by a kiosk that loads only the kiosk.

    The command line and the settings file bring libraries that a screen does not need for months: measured, the
    kiosk that stayed inside the command took 14 MB more. The process id stays, so systemd notices nothing.
    """
    if settings.tls_port and settings.operator_dir is not None:
        from edge_scanner.device.kiosk import certificate  # noqa: PLC0415 (most pages need none)

        certificate.ensure(settings.operator_dir, dt.datetime.now(dt.UTC))
    os.execv(sys.executable, [sys.executable, "-m", PACKAGE, *to_arguments(settings)])  # noqa: S606 (no shell, our own module)
