"""COMMAND `python -m tests.support.real_home_assistant PYTHON`: a box at the Home Assistant that PYTHON has installed.

It needs `pip install homeassistant home-assistant-frontend paho-mqtt` there, in the versions that its manifests name.
Home Assistant says every state on the same broker (`mqtt_statestream`), so that no account is needed to read them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner import terminal
from edge_scanner.device import settings
from edge_scanner.device.daemon.local_mqtt import publisher
from edge_scanner.mqtt.broker import open_broker
from tests.support import snapshots
from tests.support.mosquitto import PASSWORD, USER, Mosquitto
from tests.support.snapshots import VENUE
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from edge_scanner.core.snapshot import Snapshot

SENSORS = ("crowd_level", "phones", "trend", "health", "last_release", "over_the_limit")
ENTRY = "01JAAAAAAAAAAAAAAAAAAAAAAA"


def furnish(folder: Path, port: int) -> None:
    """What Home Assistant keeps of a broker that its owner has entered on its page."""
    (folder / ".storage").mkdir()
    (folder / "configuration.yaml").write_text("mqtt_statestream:\n  base_topic: ha\n")
    made = {"created_at": "2025-01-01T00:00:00+00:00", "modified_at": "2025-01-01T00:00:00+00:00"}
    data = {"broker": "127.0.0.1", "port": port, "username": USER, "password": PASSWORD, "protocol": "5"}
    entry: dict[str, Any] = made | {
        "data": data,
        "domain": "mqtt",
        "entry_id": ENTRY,
        "title": "mqtt",
        "source": "user",
        "options": {},
        "version": 1,
        "minor_version": 2,
        "unique_id": None,
        "disabled_by": None,
        "discovery_keys": {},
        "subentries": [],
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
    }
    kept = {"version": 1, "minor_version": 5, "key": "core.config_entries", "data": {"entries": [entry]}}
    (folder / ".storage" / "core.config_entries").write_text(json.dumps(kept))


async def told(broker: Mosquitto) -> tuple[dict[str, str], dict[str, str]]:
    """The states of the box's sensors while it is there, and after it has gone."""
    where = settings.LocalMqtt(
        host="127.0.0.1", port=broker.port, tls=False, username=USER, password_file=str(broker.folder / "password")
    )
    now_s = int(time.time())
    shown: Snapshot = snapshots.snapshot(now_s, venue=replace(VENUE, limit=100))
    states: dict[str, str] = {}

    def known() -> bool:
        return len(states) == len(SENSORS) and "unavailable" not in states.values()

    async with open_broker(broker.settings(), client_id="house", session_s=0) as link:
        await link.connected()
        await link.subscribe("ha/#")

        async def read() -> None:
            async for message in link.messages():
                name = message.topic.split("/")[-2]
                for sensor in SENSORS:
                    if name.endswith(sensor) and message.topic.endswith("/state"):
                        states[sensor] = message.payload.decode()

        reading = asyncio.create_task(read())
        box = asyncio.ensure_future(publisher(where, device=VENUE.device, latest=lambda: shown, now=time.time)())
        try:
            await eventually(known)
            there = dict(states)
            box.cancel()
            await asyncio.wait([box])
            await eventually(lambda: set(states.values()) == {"unavailable"})
            return there, dict(states)
        finally:
            for task in (box, reading):
                task.cancel()
            await asyncio.wait([box, reading])


def main(python: str) -> None:
    """Say what Home Assistant shows."""
    with tempfile.TemporaryDirectory() as scratch, Mosquitto(Path(scratch), listen="password") as broker:
        home = Path(scratch) / "home"
        home.mkdir()
        furnish(home, broker.port)
        with (Path(scratch) / "journal").open("wb") as journal:
            program = subprocess.Popen(
                [python, "-m", "homeassistant", "-c", str(home), "--skip-pip"], stdout=journal, stderr=journal
            )
        try:
            there, gone = asyncio.run(told(broker))
        finally:
            program.terminate()
            program.wait(PATIENCE_S)
    for name in SENSORS:
        terminal.say(f"{name}: {there[name]}; after the box has gone: {gone[name]}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.support.real_home_assistant PYTHON")
    main(sys.argv[1])
