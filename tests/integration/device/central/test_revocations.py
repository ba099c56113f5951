"""A mandate that was revoked is refused at once: by the box, at the desk, by the custodian."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority import newest
from edge_scanner.authority.collect import request as requesting
from edge_scanner.authority.keys import mandates
from edge_scanner.authority.open import unseal
from edge_scanner.core.errors import BadDataError, DocumentForgedError, RefusedError
from edge_scanner.core.messages import AuditAction, Sender
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull import revocations as documents
from edge_scanner.core.pull.answer import parse_audit
from edge_scanner.core.pull.revocations import Revocations
from edge_scanner.device.central import revocations
from edge_scanner.device.storage.store import open_store
from edge_scanner.mqtt.uplink import Incoming
from tests.support.office import Office

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_scanner.device.storage.store import Store

NOW_S = 1_795_903_200
OFFICE = Office(NOW_S)
DEVICE = "K7MP2R9CX4"
SENDER = Sender(device=DEVICE, site="x", boot=1)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
APPROVER = OFFICE.approver.key.public_key().public_bytes_raw()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A new box's store."""
    async with open_store(tmp_path / "state" / "log.db") as opened:
        yield opened


async def begun(folder: Path, store: Store) -> revocations.Receiver:
    """A box after a start."""
    inbox = receiver(folder, store)
    await inbox.begin()
    return inbox


def receiver(folder: Path, store: Store) -> revocations.Receiver:
    """A box that pinned the office's root."""
    return revocations.Receiver(
        roots=[OFFICE.root.public_key()], state_dir=folder, store=store, sender=SENDER, now=lambda: NOW_S
    )


def message(version: int, *keys: bytes, root: Ed25519PrivateKey = OFFICE.root) -> Incoming:
    """A list as it comes from the broker."""
    document = documents.sign(Revocations(version=version, keys=frozenset(keys)), [root])
    return Incoming(topic=revocations.topic(DEVICE), payload=document, retained=True)


async def test_a_list_is_obeyed_kept_entered_and_survives_a_restart(tmp_path: Path, store: Store) -> None:
    """From the message on, and from the file after the next start; the trail says which list and is published."""
    inbox = receiver(tmp_path, store)
    assert inbox.current.keys == frozenset()

    await inbox.take(message(1, APPROVER))
    await inbox.take(message(1, APPROVER))

    assert inbox.current.keys == {APPROVER}
    assert receiver(tmp_path, store).current == inbox.current
    [record] = [parse_audit(row.entry) async for row in store.audit_rows()]
    assert (record.action, record.case, record.request) == (
        AuditAction.REVOCATION,
        "revocations-1",
        inbox.current.digest,
    )
    [row] = await store.oldest(10)
    assert json.loads(row.message.payload)["action"] == "revocation"


async def test_bad_lists_change_nothing(tmp_path: Path, store: Store) -> None:
    """Garbage, a stranger's list, an older one, one that takes a name off; and a file that somebody damaged."""
    inbox = receiver(tmp_path, store)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    await inbox.take(message(5, APPROVER))
    for bad in (
        Incoming(topic="x", payload=b"{}", retained=True),
        message(6, APPROVER, root=Ed25519PrivateKey.generate()),
        message(4, APPROVER, other),
        message(6, other),
    ):
        await inbox.take(bad)

    assert inbox.current == Revocations(version=5, keys=frozenset({APPROVER}))
    (tmp_path / revocations.KEPT).write_bytes(b"?")
    assert receiver(tmp_path, store).current == documents.NONE


@pytest.mark.parametrize("how", ["older", "gone", "damaged"])
async def test_an_older_list_put_back_with_the_card_opens_nothing(tmp_path: Path, store: Store, how: str) -> None:
    """The database knows what was obeyed: until that list comes again nobody is, and an older one is refused."""
    first, second = message(1, APPROVER), message(2, APPROVER, OTHER)
    inbox = await begun(tmp_path, store)
    await inbox.take(first)
    old = (tmp_path / revocations.KEPT).read_bytes()
    await inbox.take(second)
    if how == "gone":
        (tmp_path / revocations.KEPT).unlink()
    else:
        (tmp_path / revocations.KEPT).write_bytes(old if how == "older" else b"?")

    inbox = await begun(tmp_path, store)
    seen = [inbox.revoked]
    for document in (first, second):
        await inbox.take(document)
        seen.append(inbox.revoked)

    assert seen == [None, None, frozenset({APPROVER, OTHER})]
    assert (await begun(tmp_path, store)).revoked == frozenset({APPROVER, OTHER})


def test_desk_and_custodian_obey_the_list_beside_the_root(tmp_path: Path) -> None:
    """Without a list the order is fine; with one it is refused; a list that the root did not sign is an error."""
    root, asked = tmp_path / "authority-root.pem", requests.read(OFFICE.signed(OFFICE.request(DEVICE)))
    root.write_bytes(OFFICE.root_pem)
    assert requesting.state(asked, mandates.pinned(root), now_s=NOW_S) == ""

    (tmp_path / mandates.LIST_NAME).write_bytes(message(1, APPROVER).payload + b"\n")

    assert requesting.state(asked, mandates.pinned(root), now_s=NOW_S) == "mandate_revoked"
    with pytest.raises(RefusedError, match="approver's mandate was revoked"):
        unseal.check_order(asked, mandates.pinned(root))
    (tmp_path / mandates.LIST_NAME).write_bytes(message(1, APPROVER, root=Ed25519PrivateKey.generate()).payload)
    with pytest.raises(DocumentForgedError):
        mandates.pinned(root)


def test_a_desk_takes_no_older_list_nor_none(tmp_path: Path) -> None:
    """Last month's list, brought again on a stick, and a list that was taken away; the newest is used as before."""
    root, path = tmp_path / "authority-root.pem", tmp_path / mandates.LIST_NAME
    root.write_bytes(OFFICE.root_pem)
    for version, keys in ((1, (APPROVER,)), (2, (APPROVER, OTHER))):
        path.write_bytes(message(version, *keys).payload)
        assert mandates.pinned(root).revoked == set(keys)

    path.write_bytes(message(1, APPROVER).payload)
    with pytest.raises(RefusedError, match="older than the one last used"):
        mandates.pinned(root)
    path.unlink()
    with pytest.raises(RefusedError, match="older than the one last used"):
        mandates.pinned(root)
    path.write_bytes(message(2, APPROVER, OTHER).payload)
    assert mandates.pinned(root).revoked == frozenset({APPROVER, OTHER})

    newest.path().write_text("?")
    with pytest.raises(BadDataError, match="cannot be read"):
        mandates.pinned(root)
