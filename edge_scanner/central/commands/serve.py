"""COMMAND edge-central serve: the ministry's page and the API, until SIGTERM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.central import settings
from edge_scanner.central.serve import server
from edge_scanner.central.store import store

if TYPE_CHECKING:
    from pathlib import Path


def run_serve(config: Path) -> None:
    """Serve the page and the API from the tables."""
    read = settings.read(config)
    with store.open_store(read.database.url) as opened:
        server.serve(read, opened)
