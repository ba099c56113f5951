"""Taking a box's rights away at the central broker: the shipped files on a real mosquitto, mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import Trouble
from provisioning import certificates
from provisioning.fleet import revoke
from provisioning.inventory import State, open_inventory
from tests.support import centre
from tests.support.box_client import connected
from tests.support.doors import code_for, message, turned_away, two_doors
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fleet import Workshop

DAY = 86400.0
NO_SUBSCRIBERS = 0x10
shop = pytest.fixture(two_doors)


async def test_revocation_cuts_a_live_session_and_is_proven(shop: Workshop) -> None:
    """A thief's running session is refused at once, no new one gets in, others stay; the probe proves both."""
    thief, other = shop.batch.manifest.ids[:2]
    with (
        centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port) as middle,
        open_inventory(shop.fleet.inventory) as inventory,
    ):
        inventory.plan(shop.batch.manifest)
        holder = certificates.new_client(shop.fleet.issuing, thief, unit="device", now_s=time.time(), days=397)
        inventory.keep_certificate(thief, holder.certificate_pem, now_s=time.time())
        link = middle.settings(thief, holder)
        async with (
            open_broker(link, client_id=thief) as live,
            open_broker(middle.client(other), client_id=other) as good,
        ):
            await connected(live)
            await connected(good)
            assert await live.publish(message(f"edge-scanner/v1/d/{thief}/up/counts")) < 0x80
            online = replace(message(f"edge-scanner/v1/d/{thief}/up/status"), retain=True)
            assert await live.publish(online) < 0x80
            assert await retained(middle, thief) == 1
            for topic in (f"edge-scanner/v1/d/{thief}/down/#", "$share/g/edge-scanner/v1/d/+/up/counts"):
                await live.subscribe(topic)

            proof = await revoke.revoke(
                shop.fleet,
                inventory,
                thief,
                reason="stolen",
                folder=middle.folder,
                reload=middle.reload,
                probe_at=middle.endpoint,
            )

            assert proof.proven, proof
            await eventually(lambda: not live.is_connected)
            # Nothing of the session is left: what is said to the box finds no subscriber, and nothing waits for it.
            async with open_broker(middle.client("fleet-config"), client_id="fleet-config") as operator:
                await connected(operator)
                assert await operator.publish(message(f"edge-scanner/v1/d/{thief}/down/cfg")) == NO_SUBSCRIBERS
            assert await good.publish(message(f"edge-scanner/v1/d/{other}/up/counts")) < 0x80
            # Nobody reads for ever that it is online, and the right to take that away is gone again.
            assert await retained(middle, thief) == 0
            assert "topic write edge-scanner/v1/d/" + thief not in (middle.folder / "acl").read_text()
        assert await turned_away(link, thief) is Trouble.CERTIFICATE_REFUSED
        lists = revoke.look(middle.folder, now_s=time.time())
        box = inventory.box(thief)

    assert box is not None
    assert box.state is State.REVOKED
    assert (lists.revoked, lists.denied) == (4, 3)
    assert lists.expires_s > 34 * DAY


async def retained(middle: centre.ShippedBroker, name: str) -> int:
    """How many messages the broker keeps of this name's status, as somebody who looks finds them."""
    async with open_broker(middle.client("fleet-tail"), client_id="fleet-tail", session_s=0) as looking:
        await connected(looking)
        await looking.subscribe(f"edge-scanner/v1/d/{name}/up/status")
        found = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                async for _ in looking.messages():
                    found += 1
        return found


async def test_a_revocation_that_the_broker_did_not_read_is_not_proven(shop: Workshop) -> None:
    """Files written and no SIGHUP: the probe still speaks, and the command says so."""
    with (
        centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port) as middle,
        open_inventory(shop.fleet.inventory) as inventory,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(revoke, "PROBE_S", 2.0)
        proof = await revoke.revoke(
            shop.fleet,
            inventory,
            "K7MP2R9CX4",
            reason="stolen",
            folder=middle.folder,
            reload=lambda: None,
            probe_at=middle.endpoint,
        )

    assert not proof.proven
    assert (proof.live_code, proof.handshake) == (16, "accepted")


async def test_a_list_alone_leaves_the_session_running(shop: Workshop) -> None:
    """Why the ACL is written, too: with the revocation list only, the thief goes on publishing."""
    thief = shop.batch.manifest.ids[0]
    with centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port) as middle:
        holder = certificates.new_client(shop.fleet.issuing, thief, unit="device", now_s=time.time(), days=1)
        async with open_broker(middle.settings(thief, holder), client_id=thief) as live:
            await connected(live)
            entry = certificates.Revoked(serial=holder.certificate.serial_number, at_s=time.time())
            (middle.folder / "crl.pem").write_bytes(
                certificates.revocation_list(shop.fleet.issuing, [entry], number=2, now_s=time.time())
            )
            middle.reload()

            assert await live.publish(message(f"edge-scanner/v1/d/{thief}/up/counts")) < 0x80


async def test_an_old_list_locks_everybody_out_and_is_alarmed(shop: Workshop) -> None:
    """Mosquitto refuses every box under a list past its date; the look at it says so before and after."""
    box = shop.batch.manifest.ids[0]
    with centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port) as middle:
        old = certificates.revocation_list(shop.fleet.issuing, (), number=2, now_s=time.time() - 36 * DAY)
        (middle.folder / "crl.pem").write_bytes(old)
        middle.reload()

        assert await turned_away(middle.client(box), box) is Trouble.CERTIFICATE_REFUSED
        assert revoke.look(middle.folder, now_s=time.time()).expires_s < 0

        with open_inventory(shop.fleet.inventory) as inventory:
            revoke.write_lists(shop.fleet, inventory, middle.folder, now_s=time.time())
        middle.reload()
        assert await code_for(middle.client(box), box, f"edge-scanner/v1/d/{box}/up/counts") < 0x80


async def test_lists_are_derived_and_written_twice_the_same(shop: Workshop, tmp_path: Path) -> None:
    """A run that was cut off between the files is mended by the next; what is above the mark is never touched."""
    folder = tmp_path / "lists"
    folder.mkdir()
    comment = b"# m\xe1y ch\xfc\n"  # typed in another encoding than UTF-8
    shipped = comment + (centre.CONFIG / "acl").read_bytes()
    (folder / "acl").write_bytes(shipped)
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        inventory.retire(shop.batch.manifest.ids[0], State.REVOKED, "stolen")
        revoke.write_lists(shop.fleet, inventory, folder, now_s=time.time())
        once = (folder / "acl").read_bytes()
        (folder / "acl").write_bytes(shipped)
        revoke.write_lists(shop.fleet, inventory, folder, now_s=time.time())

        assert revoke.look(folder, now_s=time.time()).denied == 1

    assert (folder / "acl").read_bytes() == once
    assert once.startswith(comment)
    assert [line for line in shipped.splitlines() if not line.startswith(b"#")] == [
        line for line in once.splitlines()[:-2] if not line.startswith(b"#")
    ]
    assert once.endswith(f"user {shop.batch.manifest.ids[0]}\ntopic deny #\n".encode())


@pytest.mark.parametrize("line", ["topic deny", "user a b", "pattern wriet x", "allow all", "topic read a b"])
def test_a_line_that_mosquitto_would_not_take_is_found_first(line: str) -> None:
    """A broker of version 2.1 ends when it reads a bad ACL, so we never write one."""
    revoke.lint((centre.CONFIG / "acl").read_text())
    with pytest.raises(BadDataError, match="would not read"):
        revoke.lint(f"user x\n{line}\n")


async def test_a_session_that_waits_is_ended_too(shop: Workshop) -> None:
    """A thief who is away with subscriptions in a lasting session: after the revocation there is none."""
    thief = shop.batch.manifest.ids[0]
    with (
        centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port) as middle,
        open_inventory(shop.fleet.inventory) as inventory,
    ):
        holder = certificates.new_client(shop.fleet.issuing, thief, unit="device", now_s=time.time(), days=397)
        inventory.keep_certificate(thief, holder.certificate_pem, now_s=time.time())
        link = middle.settings(thief, holder)
        async with open_broker(link, client_id=thief) as live:
            await connected(live)
            await live.subscribe(f"edge-scanner/v1/d/{thief}/down/#")
        async with open_broker(middle.client("fleet-config"), client_id="fleet-config") as operator:
            await connected(operator)
            assert await operator.publish(message(f"edge-scanner/v1/d/{thief}/down/cfg")) == 0

            proof = await revoke.revoke(
                shop.fleet, inventory, thief, reason="stolen", folder=middle.folder, reload=middle.reload,
                probe_at=middle.endpoint,
            )  # fmt: skip

            assert proof.proven, proof
            assert await operator.publish(message(f"edge-scanner/v1/d/{thief}/down/cfg")) == NO_SUBSCRIBERS
        assert await turned_away(link, thief) is Trouble.CERTIFICATE_REFUSED
        log = middle.log.read_text()

    assert log.count(" as probe-") == 2
    assert not [line for line in log.splitlines() if " as probe-" in line and ", c0," in line]
