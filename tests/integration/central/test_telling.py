"""The time, told over the shipped broker: a box that returns finds the newest word, signed as the fleet appointed."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.central.telling import Teller
from edge_scanner.core import signed_time
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.mqtt.broker import open_broker
from provisioning.fleet import time_key
from tests.support.box_client import connected
from tests.support.collecting import centre, until
from tests.support.publishing import Publisher
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

FLEET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BOXES = ("K7MP2R9CX4", "7K3M9Q2X4T")


async def test_every_box_is_told(tmp_path: Path) -> None:
    """The program itself: each box of the list hears a time that its pinned key proves; SIGTERM ends it in order."""
    time_key.make(FLEET, tmp_path / "time-key", days=400, now_s=time.time())
    boxes = [Publisher(device) for device in BOXES]
    with centre(tmp_path, *boxes) as there:
        config = there.file()
        teller = there.broker.settings(client="fleet-time")
        config.write_text(
            config.read_text() + f'[time]\ncertificate = "{teller.certificate}"\nkey = "{teller.key}"\n'
            f'folder = "{tmp_path}/time-key"\n'
        )
        there.configs["fleet-collector"] = config
        collector = there.start()
        await until(lambda: b"boxes on the list: 2" in (tmp_path / "fleet-collector.log").read_bytes())
        program = there.start(command="time")
        for device in BOXES:
            async with open_broker(there.broker.settings(client=device), client_id=device) as box:
                await connected(box)
                await box.subscribe(signed_time.topic(device))
                async with asyncio.timeout(PATIENCE_S):
                    incoming = await anext(box.messages())
                assert abs(signed_time.read(incoming.payload, FLEET.public_key()) - time.time()) < 300
        program.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(program.wait) == 0
        assert (tmp_path / "fleet-collector.log").read_text().count("\n") == 2
        collector.send_signal(signal.SIGTERM)
        collector.wait()


def test_a_key_that_may_not_tell_is_said_so(tmp_path: Path) -> None:
    """No files, a key past its span, another's appointment: one line, exit 78."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Teller(tmp_path)
    for name, days_ago in (("old", 500), ("new", 0)):
        time_key.make(FLEET, tmp_path / name, days=400, now_s=time.time() - days_ago * 86_400)
    with pytest.raises(ConfigurationError, match="outside of its key's"):
        Teller(tmp_path / "old").word(time.time())
    (tmp_path / "new" / "time-key.json").write_bytes((tmp_path / "old" / "time-key.json").read_bytes())
    with pytest.raises(ConfigurationError, match="another key"):
        Teller(tmp_path / "new").word(time.time())
