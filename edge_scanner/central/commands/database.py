"""COMMAND edge-central database: the tables in today's form, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.central import settings
from edge_scanner.central.store import store
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from pathlib import Path


def run_database(config: Path) -> None:
    """Create or upgrade the tables, and print how many boxes and open alarms they hold."""
    with store.open_store(settings.read(config).database.url) as opened:
        newest = opened.read.newest_bin()
        boxes, alarms = len(opened.read.boxes()), opened.read.open_alarms()
        terminal.say(f"{opened.place}: {counted(boxes, 'box')}, {counted(alarms, 'open alarm')}")
        if newest is not None:
            terminal.say(f"newest bin {newest} (UTC seconds)")
