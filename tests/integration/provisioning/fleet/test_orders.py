"""Signed documents to every box through the shipped broker, and which box has which."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError, UnavailableError
from edge_scanner.core.log import recipients
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import revocations
from edge_scanner.core.pull.revocations import Revocations
from edge_scanner.mqtt.broker import open_broker
from provisioning import certificates
from provisioning.cli import app
from provisioning.fleet import commands, orders
from provisioning.fleet.fleet import Endpoint
from provisioning.inventory import State, open_inventory
from tests.support.centre import ShippedBroker
from tests.support.fleet import PASSPHRASE, Workshop, workshop
from tests.support.ports import free_port
from tests.support.recipients import Parties, parties, weekly
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_S = time.time()
WHO = parties(NOW_S)
KEY = Ed25519PrivateKey.generate().public_key().public_bytes_raw()


def identity() -> str:
    """A box's public key as the inventory keeps it."""
    return base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


def document(version: int, who: Parties = WHO) -> bytes:
    """A set that both signed."""
    return recipients.sign(replace(who.recipients, version=version), [who.root, who.custodian_root])


def test_what_boxes_would_refuse_is_not_sent() -> None:
    """One signature, another root, nonsense; the control is a set and a list that they would take."""
    roots = (WHO.root_pem, WHO.custodian_pem)
    voided = revocations.sign(Revocations(version=3, keys=frozenset({KEY})), [WHO.root])
    assert (orders.read(document(2) + b"\n", *roots).place, orders.read(document(2), *roots).version) == ("down/cfg", 2)
    assert (orders.read(voided, *roots).place, orders.read(voided, *roots).version) == ("down/mandates", 3)
    for bad in (
        recipients.sign(WHO.recipients, [WHO.root]),
        document(2, parties(NOW_S)),
        revocations.sign(Revocations(version=3, keys=frozenset({KEY})), [WHO.custodian_root]),
        b"",
        b"{}",
    ):
        with pytest.raises(ConfigurationError, match="would refuse"):
            orders.read(bad, *roots)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[tuple[Workshop, ShippedBroker]]:
    """A fleet with two boxes in service and one revoked, and its broker."""
    port = free_port()
    shop = workshop(tmp_path / "hq", broker=Endpoint(host="127.0.0.1", port=port))
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        first, second, gone = shop.batch.manifest.ids[:3]
        for device, state in ((first, State.ENROLLED), (second, State.ENROLLED), (gone, State.REVOKED)):
            inventory._db.execute(
                "UPDATE box SET state = ?, identity = ? WHERE device_id = ?", (state, identity(), device)
            )
        inventory._db.commit()
    for name, content in (("set", document(2)), ("a.pem", WHO.root_pem), ("c.pem", WHO.custodian_pem)):
        (tmp_path / name).write_bytes(content)
    commands.issue(shop.fleet, orders.NAME, unit="client", hosts=[], target=tmp_path / "files")
    with ShippedBroker(tmp_path / "broker", shop.fleet, conf="mosquitto.conf", acl="acl", port=port) as broker:
        yield shop, broker


def provision(tmp_path: Path, shop: Workshop, *words: str) -> str:
    """Run `edge-provision fleet …`; stdout."""
    done = CliRunner().invoke(
        app, ["fleet", *words, "--fleet", str(shop.fleet.folder), "--files", str(tmp_path / "files")],
        env={"EDGE_PROVISION_PASSPHRASE": PASSPHRASE},
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return done.stdout


async def say(broker: ShippedBroker, shop: Workshop, device: str, version: int) -> bytes:
    """A box connects: it hears what is kept for it and says which set it has in force."""
    holder = certificates.new_client(shop.fleet.issuing, device, unit="device", now_s=NOW_S, days=30)
    async with open_broker(broker.settings(device, holder), client_id=device, session_s=0) as box:
        await box.connected()
        await box.subscribe(f"edge-scanner/v1/d/{device}/down/cfg")
        async with asyncio.timeout(PATIENCE_S):
            kept = await anext(box.messages())
        body = json.dumps({"state": "online", "recipients_version": version}).encode()
        topic = f"edge-scanner/v1/d/{device}/up/status"
        message = Message(
            kind=MessageKind.STATUS, topic=topic, payload=body, key="x", retain=True, created_s=0, expires_s=None
        )
        assert await box.publish(message) < 0x80
    return kept.payload


def test_a_set_reaches_every_box_in_service_and_the_list_shows_who_lags(
    tmp_path: Path, centre: tuple[Workshop, ShippedBroker]
) -> None:
    """Retained for both boxes, not for the revoked one; a box that reports an older version is marked."""
    shop, broker = centre
    first, second, _ = shop.batch.manifest.ids[:3]
    roots = ("--authority-root", str(tmp_path / "a.pem"), "--custodian-root", str(tmp_path / "c.pem"))

    said = json.loads(provision(tmp_path, shop, "send", str(tmp_path / "set"), *roots, "--json"))

    assert (said["version"], said["boxes"], said["taken"]) == (2, 2, 2)
    assert asyncio.run(say(broker, shop, first, 2)) == document(2)
    assert asyncio.run(say(broker, shop, second, 1)) == document(2)
    rows = [json.loads(line) for line in provision(tmp_path, shop, "list", "--json").splitlines()]
    shown = {row["id"]: row["recipients"] for row in rows}
    assert (shown[first], shown[second]) == ("2", "1, old")
    assert set(shown.values()) == {"2", "1, old", ""}
    assert "1, old" in provision(tmp_path, shop, "list")


def test_the_largest_set_that_can_be_signed_reaches_a_box(
    tmp_path: Path, centre: tuple[Workshop, ShippedBroker]
) -> None:
    """Years of weekly keys go through the shipped broker and into a box; a broker that takes less is named."""
    shop, broker = centre
    first = shop.batch.manifest.ids[0]
    roots = ("--authority-root", str(tmp_path / "a.pem"), "--custodian-root", str(tmp_path / "c.pem"))
    largest = weekly(replace(WHO.recipients, version=2), 64)
    signed_by_both = recipients.sign(largest, [WHO.root, WHO.custodian_root])
    assert 220_000 < len(signed_by_both) <= recipients.MAX_DOCUMENT_BYTES
    (tmp_path / "set").write_bytes(signed_by_both)

    said = json.loads(provision(tmp_path, shop, "send", str(tmp_path / "set"), *roots, "--json"))

    assert (said["boxes"], said["taken"]) == (2, 2)
    assert asyncio.run(say(broker, shop, first, 2)) == signed_by_both
    conf = broker.folder / "mosquitto.conf"
    conf.write_text(re.sub(r"(?m)^max_packet_size .*$", "max_packet_size 65536", conf.read_text()))
    broker.restart()
    with pytest.raises(RefusedError, match=f"does not accept a message of {len(signed_by_both)} bytes"):
        asyncio.run(
            orders.send(
                commands.client(orders.NAME, tmp_path / "files", shop.fleet.broker),
                [first],
                orders.read(signed_by_both, WHO.root_pem, WHO.custodian_pem),
            )
        )


def test_a_box_that_lies_about_its_set_makes_no_other_look_old(
    tmp_path: Path, centre: tuple[Workshop, ShippedBroker]
) -> None:
    """The yardstick is what was sent, and an older one that is sent again does not lower it."""
    shop, broker = centre
    first, second, _ = shop.batch.manifest.ids[:3]
    roots = ("--authority-root", str(tmp_path / "a.pem"), "--custodian-root", str(tmp_path / "c.pem"))
    provision(tmp_path, shop, "send", str(tmp_path / "set"), *roots)
    asyncio.run(say(broker, shop, first, 2))
    asyncio.run(say(broker, shop, second, 10**9))
    (tmp_path / "set").write_bytes(document(1))
    provision(tmp_path, shop, "send", str(tmp_path / "set"), *roots)

    rows = [json.loads(line) for line in provision(tmp_path, shop, "list", "--json").splitlines()]

    shown = {row["id"]: row["recipients"] for row in rows}
    assert (shown[first], shown[second]) == ("2", "1000000000, never sent")
    (shop.fleet.folder / "recipients-sent").write_text("x")
    with pytest.raises(BadDataError, match="not a version"):
        orders.sent(shop.fleet.folder)


@pytest.mark.usefixtures("centre")
def test_a_broker_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with its address, in the time one waits for it."""
    monkeypatch.setattr(orders, "CONNECT_S", 0.5)
    settings = commands.client(orders.NAME, tmp_path / "files", Endpoint(host="127.0.0.1", port=free_port()))
    with pytest.raises(UnavailableError, match="no connection"):
        asyncio.run(orders.reported(settings))


def test_a_status_may_say_anything() -> None:
    """What is no version is none."""
    for payload in (
        b"",
        b"[]",
        b"7",
        b'{"recipients_version":"2"}',
        b'{"recipients_version":true}',
        b"\xff",
        b"[" * 100_000,
    ):
        assert orders._status(payload) == orders.Reported()
    assert orders._status(b'{"recipients_version":2,"revocations_version":1}') == orders.Reported(
        recipients=2, revocations=1
    )
