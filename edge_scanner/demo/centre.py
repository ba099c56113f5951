"""PROGRAM `python -m edge_scanner.demo.centre`: collector, witness and page of the demo's centre, in one process.

The parts are edge-central's own. Only their clock is the demo's: the box lives in simulated time, and a centre refuses
times that are far from its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import hashlib
import io
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import program
from edge_scanner.central import link, settings, tasks
from edge_scanner.central.collect import collector
from edge_scanner.central.serve import access, server
from edge_scanner.central.store import store
from edge_scanner.core import snapshot
from edge_scanner.core.enrolment import box_list, documents
from edge_scanner.core.errors import BadDataError
from edge_scanner.demo.stage import CENTRE, CENTRE_PASSWORD, CENTRE_USER, COLLECTOR, SITE
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.mqtt.broker import open_broker

if TYPE_CHECKING:
    from edge_scanner.central.settings import Settings
    from edge_scanner.central.store.store import Store

PLACE = {"province": "TP. Hồ Chí Minh", "district": "Bình Thạnh", "kind": "station"}
_SETTINGS = """\
[database]
url = "sqlite:///{folder}/{own}/central.db"

[mqtt]
host = "127.0.0.1"
port = {broker_port}
ca = "{folder}/ca.pem"
certificate = "{folder}/{name}.crt"
key = "{folder}/{name}.key"

[fleet]
boxes = "{folder}/{own}/boxes.csv"

# An hour of the demo is a minute of ours, and the clock is that of the box's last snapshot.
[collect]
silence_s = 3600

[serve]
port = {port}
users = "{folder}/{own}/users.toml"
"""


@dataclass(slots=True, kw_only=True)
class BoxTime:
    """The box's time as its newest snapshot says it, UTC seconds; until there is one, `newest_s` as it was given."""

    snapshot: Path
    newest_s: float

    def __call__(self) -> float:
        """Never goes back."""
        with contextlib.suppress(OSError, BadDataError):
            self.newest_s = max(self.newest_s, snapshot.from_json(self.snapshot.read_bytes()).written_s)
        return self.newest_s


def prepare(folder: Path, *, device_id: str, broker_port: int, port: int, now_s: int) -> Settings:
    """The centre's files in FOLDER/centre: settings, the signed list of the one box, the one operator."""
    own = folder / CENTRE
    identity = open_identity(folder / "state", configured_id=device_id)
    hung = {
        "device_id": device_id, "site": SITE, "room": "Cửa 1", "name_vi": "Bến xe Miền Đông",
        "identity": b64encode(identity.public_key).decode(), "state": box_list.IN_SERVICE, **PLACE,
    }  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, [*box_list.COLUMNS, *box_list.PLACE_COLUMNS])
    writer.writeheader()
    writer.writerow(hung)
    content = out.getvalue().encode()
    signer = Ed25519PrivateKey.generate()
    word = documents.BoxList(fleet="demo", made_s=now_s, sha256=hashlib.sha256(content).hexdigest())
    (own / "boxes.csv").write_bytes(content)
    (own / "boxes.csv.sig").write_bytes(documents.sign(word, signer) + b"\n")
    (own / box_list.FLEET_KEY_NAME).write_text(documents.public_text(signer.public_key()) + "\n")
    password = (own / CENTRE_PASSWORD).read_text()
    access.write_user(own / "users.toml", CENTRE_USER, access.Role.OPERATOR, access.hash_password(password))
    text = _SETTINGS.format(folder=folder, own=CENTRE, name=COLLECTOR, broker_port=broker_port, port=port)
    (own / "central.toml").write_text(text)
    return settings.read(own / "central.toml")


async def run(chosen: Settings, opened: Store, now: BoxTime) -> None:
    """Collect and serve until cancelled; the page answers once the broker has acknowledged every subscription."""
    name = link.client_name(Path(chosen.mqtt.certificate))
    async with (
        open_broker(link.broker_settings(chosen.mqtt), client_id=name, at_once=collector.AT_ONCE) as broker,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(collector.Collector(chosen, opened, broker, now=now).run(), name="collector")
        await broker.connected()
        group.create_task(server.page(chosen, opened, now=now), name="page")


def main(folder: Path, device_id: str, broker_port: int, port: int, begins_s: int) -> None:
    """The stage (stage.py) starts it."""
    chosen = prepare(folder, device_id=device_id, broker_port=broker_port, port=port, now_s=begins_s)
    with store.open_store(chosen.database.url) as opened:
        tasks.run(run(chosen, opened, BoxTime(snapshot=folder / "run" / "snapshot.json", newest_s=begins_s)))


if __name__ == "__main__":
    program.run("demo", lambda: typer.run(main))
