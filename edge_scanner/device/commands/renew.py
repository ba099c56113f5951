"""COMMAND edge-scanner renew: fetch or renew the box's certificate when it is due; run hourly by a timer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.device import settings
from edge_scanner.device.enrolment.renewal import renew

if TYPE_CHECKING:
    from pathlib import Path


def run_renew(config: Path, *, as_json: bool = False) -> None:
    """Do what is due and print one sentence, or one JSON object.

    Raises UnavailableError (69), RefusedError (77), StorageError (74).
    """
    done = asyncio.run(renew(settings.load(config)))
    facts = {"operation": done.operation, "certificate_until": f"{done.until:%Y-%m-%d}", "exit": 0}
    terminal.say_json(facts) if as_json else terminal.say(done)
