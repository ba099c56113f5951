"""COMMAND edge-central evidence: what boxes published in a period, in one file."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.central import settings
from edge_scanner.central.store import store
from edge_scanner.central.witness import evidence
from edge_scanner.core.wording import counted
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path


def run_evidence(config: Path, devices: Sequence[str], start: datetime, end: datetime, out: Path) -> None:
    """Write what these boxes published from start to end (UTC, exclusive); say which of them published nothing."""
    chosen = [device.replace("-", "").upper() for device in devices]
    span = [int(moment.replace(tzinfo=UTC).timestamp()) for moment in (start, end)]
    with store.open_store(settings.read(config).database.url) as opened:
        written = evidence.write(opened.read, chosen, *span, out=out)
    terminal.say(f"{out}: {counted(sum(written.values()), 'statement')}")
    for device in (device for device, count in written.items() if not count):
        terminal.say(errors.told(f"{device}: published nothing then"), stderr=True)
