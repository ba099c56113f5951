"""PROGRAM `edge-scanner kiosk`: the venue's screen, from the daemon's snapshot and nothing else.

Its own process and user. The way of a figure: `watch` reads the snapshot file (the border between two users) ->
`public` / `operator` turn it into documents of words -> `pages`, `stream` and `metrics` give them out -> `app` is the
list of addresses. A page's script holds no text and makes no decision: every word is chosen here, in both languages.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk.settings import KioskSettings, to_arguments

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["KioskSettings", "become_kiosk"]


def become_kiosk(settings: KioskSettings) -> NoReturn:
    """Replace this process by a kiosk that loads only the kiosk.

    The command line and the settings file bring libraries that a screen does not need for months: measured, the
    kiosk that stayed inside the command took 14 MB more. The process id stays, so systemd notices nothing.
    """
    os.execv(sys.executable, [sys.executable, "-m", __name__, *to_arguments(settings)])  # noqa: S606 (no shell, our own module)
