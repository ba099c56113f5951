"""COMMAND edge-central collect: what the boxes publish goes into the tables, until SIGTERM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.central import settings, tasks
from edge_scanner.central.collect import collector
from edge_scanner.central.store import store

if TYPE_CHECKING:
    from pathlib import Path


def run_collect(config: Path) -> None:
    """Store what the boxes publish and witness their logs."""
    read = settings.read(config)
    with store.open_store(read.database.url) as opened:
        tasks.run(collector.collect(read, opened))
