"""COMMAND edge-scanner renew: fetch or renew the box's certificate when it is due; run hourly by a timer."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from edge_scanner.device import settings
from edge_scanner.device.renew import renew

if TYPE_CHECKING:
    from pathlib import Path


def run_renew(config: Path) -> None:
    """Do what is due and print one sentence; raises UnavailableError (69), RefusedError (77), StorageError (74)."""
    sys.stdout.write(asyncio.run(renew(settings.load(config))) + "\n")
