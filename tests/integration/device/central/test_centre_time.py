"""The centre's signed time at a real broker ends a real daemon's doubt about a clock that leapt."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed_time
from edge_scanner.core.enrolment.documents import public_text
from provisioning.fleet import time_key
from tests.support.box import Box
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

ACL = (Path(__file__).parents[4] / "config" / "broker" / "acl").read_text()
SIMULATION = ("--simulate", "4", "--speed", "60")
DAY_S = 86_400
FLEET = Ed25519PrivateKey.generate()


def publish(broker: Mosquitto, box: Box, document: bytes) -> None:
    """What the centre's publisher does: retained, under its own certificate."""
    files = broker.authority.issue("fleet-time")
    told = ("-t", signed_time.topic(box.device_id), "-q", "1", "-r", "-s", "-V", "5")
    tls = ("--cafile", broker.authority.file, "--cert", files.certificate, "--key", files.key)
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), *told, *tls],
        input=document,
        check=True,
    )


def document(folder: Path, at_s: float, *, fleet: Ed25519PrivateKey = FLEET) -> bytes:
    """The time, by a key that headquarters' command made."""
    time_key.make(fleet, folder, days=400, now_s=time.time())
    key = serialization.load_pem_private_key((folder / time_key.KEY).read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return signed_time.sign(int(at_s), appointment=(folder / time_key.APPOINTMENT).read_bytes(), key=key)


def test_a_signed_time_ends_the_doubt(tmp_path: Path) -> None:
    """A box that was off for a month doubts its clock; a foreign fleet's word does not help, its own fleet's does."""
    with (
        Mosquitto(tmp_path, listen="mutual", acl=ACL) as broker,
        Box(tmp_path / "box", broker=broker) as box,
    ):
        (box.folder / "fleet.pub").write_text(public_text(FLEET.public_key()) + "\n")
        box.start(*SIMULATION)
        box.until("minute committed")
        box.stop()
        with closing(sqlite3.connect(box.database)) as database, database:
            kept = json.dumps([time.time() - 30 * DAY_S, None, 0])
            database.execute("UPDATE meta SET value = ? WHERE name = 'trusted_clock'", (kept,))
        publish(broker, box, document(tmp_path / "foreign", time.time(), fleet=Ed25519PrivateKey.generate()))

        box.start(*SIMULATION)
        box.until("message from the centre could not be handled")
        box.until("minute committed", times=3)
        until(lambda: box.light("clock")[1] == "CLK-05")
        publish(broker, box, document(tmp_path / "old", time.time() - DAY_S * 3 / 4))
        publish(broker, box, document(tmp_path / "now", time.time() + 600))
        box.until("the centre confirms the time")
        box.until_light("clock", ("ok", ""))

        assert box.stop() == 0
