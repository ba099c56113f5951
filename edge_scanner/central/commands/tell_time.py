"""COMMAND edge-central time: the signed time for every box in service, until SIGTERM."""

from __future__ import annotations

from pathlib import Path

from edge_scanner.central import link, settings, tasks, telling
from edge_scanner.central.store import store


def run_time(config: Path) -> None:
    """Send the signed time under the name in the certificate."""
    read = settings.read(config)
    name = link.client_name(Path(read.time.certificate))
    with store.open_store(read.database.url) as opened:
        teller = telling.Teller(Path(read.time.folder))
        tasks.run(telling.tell(opened, teller, link.broker_settings(read.mqtt, read.time), name))
