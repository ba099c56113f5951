"""Which recipients a box seals to: what was installed, what came since, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import small_files
from edge_scanner.core import signed
from edge_scanner.core.log import hpke, recipients
from edge_scanner.core.log.format import parse_header
from edge_scanner.core.messages import AuditAction, Sender
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull.answer import parse_audit
from edge_scanner.device.central import recipient_sets, trail
from edge_scanner.device.health import BoxState
from edge_scanner.device.settings import Log
from edge_scanner.device.storage.store import open_store
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.uplink import Incoming
from tests.support.box import Box
from tests.support.disks import disk_image, when_power_returns
from tests.support.mosquitto import Mosquitto
from tests.support.recipients import Parties, fill, parties, party, pem
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.device.storage.store import Store

ACL = (Path(__file__).parents[4] / "config" / "broker" / "acl").read_text()
NOW_S = time.time()
SENDER = Sender(device="K7MP2R9CX4", site="x", boot=1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A new box's store."""
    async with open_store(tmp_path / "state" / "log.db") as opened:
        yield opened


def installed(folder: Path, who: Parties) -> Log:
    """The settings of a box on which `who`'s set was installed."""
    (folder / "installed.json").write_bytes(who.document)
    (folder / "root.pem").write_bytes(who.root_pem)
    (folder / "custodian.pem").write_bytes(who.custodian_pem)
    return Log(
        recipients=str(folder / "installed.json"),
        authority_root=str(folder / "root.pem"),
        custodian_root=str(folder / "custodian.pem"),
    )


def newer(who: Parties, version: int) -> bytes:
    """The same keys in a set with another version."""
    return recipients.sign(replace(who.recipients, version=version), [who.root, who.custodian_root])


def message(document: bytes) -> Incoming:
    """As it comes from the broker."""
    return Incoming(topic="edge-scanner/v1/d/K7MP2R9CX4/down/cfg", payload=document, retained=True)


def receiver(folder: Path, store: Store, who: Parties) -> tuple[recipient_sets.Receiver, BoxState]:
    """A box that has `who`'s set in force and no log."""
    health = BoxState(log=None, recipients=who.recipients, retention_days=14, state_dir=folder)

    async def seal(_found: RecipientSet) -> None:
        """These tests look at which set is in force."""

    inbox = recipient_sets.Receiver(
        pinned=who.roots, state_dir=folder, store=store, health=health, sender=SENDER, now=lambda: NOW_S, seal=seal
    )
    return inbox, health


async def test_newer_set_is_kept_and_used_after_a_restart(tmp_path: Path, store: Store) -> None:
    """A set with a higher version replaces the one in force, in memory and on the disk."""
    who = parties(NOW_S)
    settings = installed(tmp_path, who)
    inbox, health = receiver(tmp_path, store, who)

    await inbox.take(message(newer(who, 2)))

    assert health.recipients is not None
    assert health.recipients.version == 2
    found = recipient_sets.read(settings, tmp_path).recipients
    assert found is not None
    assert found.version == 2
    assert (tmp_path / recipient_sets.RECEIVED).stat().st_mode & 0o077 == 0


async def test_bad_older_and_same_sets_change_nothing(tmp_path: Path, store: Store) -> None:
    """Garbage, a stranger's set, an older one and a repeat leave the set in force and the disk alone."""
    who = parties(NOW_S, version=3)
    stranger = parties(NOW_S, version=9)
    inbox, health = receiver(tmp_path, store, who)

    for document in (b"", b"{}", stranger.document, newer(who, 2), who.document):
        await inbox.take(message(document))

    assert health.recipients == who.recipients
    assert not (tmp_path / recipient_sets.RECEIVED).exists()


async def test_older_set_put_back_with_the_card_is_refused(store: Store) -> None:
    """What was in force once cannot be replaced by something older, whatever lies in the files."""
    who = parties(NOW_S, version=3)

    async def put(version: int) -> bool:
        found = replace(who.recipients, version=version)
        return await recipient_sets.put_in_force(found, store, sender=SENDER, now_s=NOW_S)

    assert [await put(version) for version in (3, 2, 3, 4)] == [True, False, True, True]


@pytest.mark.system
@pytest.mark.parametrize("moment", ["half of the file", "the file is there", "the trail has it", "all is kept"])
async def test_a_set_cut_off_at_any_moment_leaves_one_that_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The card as it was then: the set in its files may be used, and the newer one is taken when it comes again."""
    who = parties(NOW_S)
    card, cut, folder = tmp_path / "card.img", tmp_path / "cut.img", tmp_path / "mnt"
    folder.mkdir()
    write, append = small_files.write, trail.append

    def reached(where: str) -> None:
        if where == moment:
            shutil.copy(card, cut)

    def watched_write(path: Path, content: bytes) -> None:
        write(path, content, half=lambda: reached("half of the file"))
        reached("the file is there")

    async def watched_append(*arguments: Any, **more: Any) -> Any:
        row = await append(*arguments, **more)
        reached("the trail has it")
        return row

    with disk_image(card, folder, megabytes=16):
        settings = installed(folder, who)
        async with open_store(folder / "state" / "log.db") as store:
            assert await recipient_sets.put_in_force(who.recipients, store, sender=SENDER, now_s=NOW_S)
            os.sync()
            with monkeypatch.context() as patch:
                patch.setattr(small_files, "write", watched_write)
                patch.setattr(trail, "append", watched_append)
                await receiver(folder, store, who)[0].take(message(newer(who, 2)))
            reached("all is kept")

    with when_power_returns(cut, folder):
        found = recipient_sets.read(settings, folder).recipients
        assert found is not None
        assert found.version == (1 if moment.startswith("half") else 2)
        async with open_store(folder / "state" / "log.db") as store:
            assert await recipient_sets.put_in_force(found, store, sender=SENDER, now_s=NOW_S)
            inbox, health = receiver(folder, store, who)
            health.recipients = found
            await inbox.take(message(newer(who, 2)))
            assert health.recipients.version == 2
            assert await store.meta("recipients_version") == 2


async def test_every_change_of_who_can_open_is_in_the_trail_and_published(tmp_path: Path, store: Store) -> None:
    """A set that replaces another is an audit entry with its digest and its parties, and a message to everybody."""
    who = parties(NOW_S)
    await recipient_sets.put_in_force(who.recipients, store, sender=SENDER, now_s=NOW_S)
    assert [row async for row in store.audit_rows()] == []
    assert await trail.recipients_changed_s(store) is None
    inbox, _ = receiver(tmp_path, store, who)

    await inbox.take(message(newer(who, 2)))
    await inbox.take(message(newer(who, 2)))

    [record] = [parse_audit(row.entry) async for row in store.audit_rows()]
    assert (record.action, record.case) == (AuditAction.RECIPIENTS, "recipients-2")
    assert record.request == replace(who.recipients, version=2).digest
    assert record.people == ("health-authority: health-authority", "custodian: custodian")
    [row] = await store.oldest(10)
    assert row.message.topic.endswith("/up/audit")
    told = json.loads(row.message.payload)
    assert (told["action"], told["case"], told["request"]) == ("recipients", "recipients-2", record.request.hex())
    assert await trail.recipients_changed_s(store) == int(NOW_S)


async def test_a_set_that_one_party_signed_changes_nothing(tmp_path: Path, store: Store) -> None:
    """The root's holder publishes a set of his own; the box refuses.

    Alone, signed twice by the same root, with one key in both roles, with one part, with a party that holds both parts.
    """
    who = parties(NOW_S)
    inbox, health = receiver(tmp_path, store, who)
    first, second = who.recipients.recipients
    honest = replace(who.recipients, version=2)
    own = party("both", who.root, "health-authority", "custodian")
    twice = replace(second, public_key=first.public_key)
    wishes = [
        honest,
        replace(honest, parts=(("health-authority",),)),
        replace(honest, parts=(("health-authority", "custodian"),)),
        replace(honest, parties=(own,)),
        replace(honest, parties=(own, party("nobody", who.custodian_root))),
        replace(honest, recipients=(first, twice)),
    ]
    for wish in wishes:
        for keys in ([who.root], [who.root, who.root], [who.root, Ed25519PrivateKey.generate()]):
            body = recipients._body(wish)
            await inbox.take(message(signed.sign(body, label=recipients.LABEL, keys=keys)))
    for wish in wishes[1:]:
        body = recipients._body(wish)
        document = signed.sign(body, label=recipients.LABEL, keys=[who.root, who.custodian_root])
        await inbox.take(message(document))

    assert health.recipients == who.recipients
    assert [row async for row in store.audit_rows()] == []
    await inbox.take(message(newer(who, 2)))
    assert health.recipients == honest


async def test_received_set_of_an_earlier_root_is_passed_over(tmp_path: Path, store: Store) -> None:
    """A box that was provisioned anew uses what was installed, not what its former authority once sent."""
    former, present = parties(NOW_S), parties(NOW_S)
    inbox, _ = receiver(tmp_path, store, former)
    await inbox.take(message(newer(former, 7)))

    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    found = recipient_sets.read(installed(elsewhere, present), tmp_path).recipients

    assert found == present.recipients


async def test_no_root_means_no_received_set(tmp_path: Path) -> None:
    """Without a pinned authority a file in the state folder is nobody's set."""
    (tmp_path / recipient_sets.RECEIVED).write_bytes(parties(NOW_S).document)

    assert (
        recipient_sets.read(Log(recipients="/nonexistent", authority_root="/nonexistent"), tmp_path).recipients is None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Three(Parties):
    """The same with a second custodian, without whom nothing opens."""

    second_root: Ed25519PrivateKey

    @property
    def custodian_pem(self) -> bytes:
        """Both custodians' roots in one file."""
        return pem(self.custodian_root) + pem(self.second_root)

    def signed(self, version: int, *keys: Ed25519PrivateKey) -> bytes:
        """A set of this version, signed by these roots."""
        return signed.sign(
            recipients._body(replace(self.recipients, version=version)), label=recipients.LABEL, keys=keys
        )

    @property
    def document(self) -> bytes:
        """The first set, as all three signed it."""
        return self.signed(1, self.root, self.custodian_root, self.second_root)


def three(now_s: float) -> Three:
    """An authority and two custodians, every one of whom holds a part."""
    two, second = parties(now_s), Ed25519PrivateKey.generate()
    key = hpke.public_key_of(hpke.wrap_suite(1), hpke.new_private_key(hpke.wrap_suite(1), fill))
    role = replace(two.recipients.recipients[1], role="second", name="second", public_key=key)
    authority, first = two.recipients.parties
    custodians = sorted([first, party("second", second, "second")], key=lambda one: one.root)
    found = replace(
        two.recipients,
        parties=(authority, *custodians),
        parts=(*two.recipients.parts, ("second",)),
        recipients=(*two.recipients.recipients, role),
    )
    given = {field.name: getattr(two, field.name) for field in fields(two)}
    return Three(**{**given, "recipients": found}, second_root=second)


def sealed_to(box: Box) -> list[int]:
    """The versions of the recipient sets that a box's segments name, in order."""
    return [
        parse_header(header).recipients_version for (header,) in box.rows("SELECT header FROM segment ORDER BY seq")
    ]


async def test_set_published_by_the_fleet_seals_the_next_hour(tmp_path: Path) -> None:
    """The real daemon takes a retained set from the broker; its next segment names the new version."""
    who = parties(NOW_S)
    with (
        Mosquitto(tmp_path, listen="mutual", acl=ACL) as broker,
        Box(tmp_path / "box", broker=broker, who=who) as box,
    ):
        async with open_broker(broker.settings(client="fleet-config"), client_id="fleet-config") as fleet:
            await fleet.connected()
            topic = recipient_sets.topic(box.device_id)
            document = Message(
                kind=MessageKind.STATUS, topic=topic, payload=newer(who, 2), key="cfg", retain=True, created_s=NOW_S
            )
            await fleet.publish(document)
            box.start("--simulate", "10", "--speed", "600")
            box.until("recipient set received")
            await eventually(lambda: 2 in sealed_to(box))
            box.stop()

    assert sealed_to(box)[-1] == 2


async def test_a_set_of_two_custodians_comes_over_mqtt_with_three_signatures_only(tmp_path: Path) -> None:
    """The real daemon, a real broker: two of three signatures are refused; with the third one it seals to the set."""
    who = three(NOW_S)
    with (
        Mosquitto(tmp_path, listen="mutual", acl=ACL) as broker,
        Box(tmp_path / "box", broker=broker, who=who) as box,
    ):
        async with open_broker(broker.settings(client="fleet-config"), client_id="fleet-config") as fleet:
            await fleet.connected()
            topic = recipient_sets.topic(box.device_id)
            cfg = Message(kind=MessageKind.STATUS, topic=topic, payload=b"", key="cfg", retain=True, created_s=NOW_S)
            roots = (who.root, who.custodian_root, who.second_root)
            await fleet.publish(replace(cfg, payload=who.signed(2, *roots[:2])))
            box.start("--simulate", "10", "--speed", "600")
            box.until("received recipient set is refused")
            await eventually(lambda: sealed_to(box) != [])
            assert set(sealed_to(box)) == {1}
            await fleet.publish(replace(cfg, payload=who.signed(3, *roots)))
            box.until("recipient set received")
            await eventually(lambda: 3 in sealed_to(box))
            box.stop()

    assert 2 not in sealed_to(box)
    (header, *_) = box.rows("SELECT header FROM segment ORDER BY seq DESC")
    assert len(parse_header(header[0]).commitments) == 3
