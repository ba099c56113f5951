"""Who may do what at the enrolment broker: the shipped files on a real mosquitto, mutual TLS.

The plain matrix of the central broker stands in test_broker_config.py, taking a right away in test_revocation.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from edge_scanner import small_files
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import CertificateAnswer, CertificateRequest
from edge_scanner.core.enrolment.rendezvous import ENROL_TOPIC
from edge_scanner.core.errors import BadDataError, RefusedError, UnavailableError
from edge_scanner.device import settings
from edge_scanner.device.enrolment.identity import open_key
from edge_scanner.device.enrolment.renewal import renew
from edge_scanner.device.enrolment.steps import enrol
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings, Trouble
from provisioning import certificates
from provisioning.fleet import enrolment_service
from provisioning.inventory import State, open_inventory
from tests.support import centre, schema_check
from tests.support.box_client import connected
from tests.support.disks import disk_image, when_power_returns
from tests.support.doors import REFUSED, code_for, message, turned_away, two_doors
from tests.support.fleet import PASSPHRASE, Workshop, box_in, open_bench, workshop
from tests.support.mosquitto import has_subscriber
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from edge_scanner.device.settings import Settings
    from provisioning.inventory import BoxRow, Inventory
    from tests.support.centre import ShippedBroker

DAY = 86400.0
shop = pytest.fixture(two_doors)


@contextmanager
def _door(shop: Workshop) -> Iterator[ShippedBroker]:
    with centre.enrolment(
        shop.folder / "door", shop.fleet, shop.batch.ca.certificate_pem, port=shop.fleet.enrol.port
    ) as door:
        yield door


@asynccontextmanager
async def _desk(shop: Workshop, door: ShippedBroker) -> AsyncIterator[list[tuple[str, CertificateAnswer]]]:
    """The enrolment desk at work; what it answered."""
    told: list[tuple[str, CertificateAnswer]] = []

    class CheckedDesk(enrolment_service.Desk):
        """Every question and answer is held to the published contract."""

        def answer(self, name: str, payload: bytes) -> bytes:
            schema_check.validate(ENROL_TOPIC.format(name=name, word="csr"), payload)
            answer = super().answer(name, payload)
            schema_check.validate(ENROL_TOPIC.format(name=name, word="cert"), answer)
            return answer

    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        working = asyncio.create_task(
            enrolment_service.serve(
                CheckedDesk(issuing=shop.fleet.issuing, inventory=inventory),
                door.client(enrolment_service.DESK, unit="desk"),
                told=lambda name, answer: told.append((name, documents.read(CertificateAnswer, answer))),
            )
        )
        await eventually(lambda: has_subscriber(door.log, enrolment_service.DESK))
        try:
            yield told
        finally:
            working.cancel()
            await asyncio.wait([working])


def _box(shop: Workshop, name: str = "box") -> Settings:
    """A box that was enrolled at the bench."""
    with open_bench(shop) as bench:
        box = box_in(shop.folder / name, serial=name)
        assert {step.verdict for step in enrol(box, bench.link)} == {"PASS"}
    return settings.load(box.settings)


async def test_a_bootstrap_certificate_opens_one_door_for_one_question(shop: Workshop) -> None:
    """At the enrolment broker a bootstrap name may ask under its name and nothing else; the central one is shut."""
    box = _box(shop)
    ours, name = box.device.id, f"boot-{box.device.id}"
    link = BrokerSettings(
        host="127.0.0.1",
        port=shop.fleet.enrol.port,
        ca=Path(box.mqtt.ca),
        certificate=Path(box.mqtt.certificate),
        key=Path(box.mqtt.key),
    )
    with _door(shop), centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port):
        allowed = {
            f"edge-scanner/v1/enrol/{name}/csr": True,
            f"edge-scanner/v1/enrol/{name}/cert": False,
            f"edge-scanner/v1/enrol/{ours}/csr": False,
            "edge-scanner/v1/enrol/boot-04HMASW9Z6/csr": False,
            f"edge-scanner/v1/d/{ours}/up/counts": False,
            f"edge-scanner/v1/a/authority-hcm/in/{ours}/x": False,
        }
        async with open_broker(link, client_id=name) as broker:
            await connected(broker)
            codes = {topic: await broker.publish(message(topic)) for topic in allowed}

        assert {topic: code < 0x80 for topic, code in codes.items()} == allowed
        assert {code for topic, code in codes.items() if not allowed[topic]} == {REFUSED}
        assert await turned_away(replace(link, port=shop.fleet.broker.port), name) is Trouble.CERTIFICATE_REFUSED


async def test_a_stolen_laptop_cannot_name_a_collector(shop: Workshop) -> None:
    """A batch CA that issues `fleet-collector` or another box's name gets neither past the central broker."""
    with _door(shop) as door, centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port) as middle:
        for name in ("fleet-collector", "authority-hcm", shop.batch.manifest.ids[0]):
            forged = certificates.new_client(shop.batch.ca, name, unit="x", now_s=time.time(), days=1)
            assert await turned_away(middle.settings(name, forged), name) is Trouble.CERTIFICATE_REFUSED
            # At the enrolment broker it gets in, and may only ask under that name.
            assert await code_for(door.settings(name, forged), name, "edge-scanner/v1/d/x/up/counts") == REFUSED


async def test_first_contact_and_renewal(shop: Workshop) -> None:
    """Bootstrap -> 397 days under the box's own name -> nothing to do -> renewed from day 240; the key stays."""
    box = _box(shop)
    certificate = Path(box.mqtt.certificate)
    key = Path(box.mqtt.key).read_bytes()
    with _door(shop) as door, centre.central(shop.folder / "centre", shop.fleet, port=shop.fleet.broker.port):
        async with _desk(shop, door) as told:
            assert str(await renew(box)).startswith("simpleenroll: certificate until")
            first = certificate.read_bytes()
            assert "nothing to do" in str(await renew(box))
            assert certificate.read_bytes() == first
            command = [sys.executable, "-m", "edge_scanner.device.cli", "renew", "--json", "--config"]
            command.append(str(shop.folder / "box" / "etc" / "scanner.toml"))
            typed = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)

            link = replace(
                door.client("x"), port=shop.fleet.broker.port, certificate=certificate, key=Path(box.mqtt.key)
            )
            assert await code_for(link, box.device.id, f"edge-scanner/v1/d/{box.device.id}/up/counts") < 0x80

            assert (await renew(box, now=lambda: time.time() + 241 * DAY)).operation == "simplereenroll"
            assert [answer.operation for _name, answer in told] == ["simpleenroll", "simplereenroll"]

    given = x509.load_pem_x509_certificate(first)
    assert certificates.common_name(given) == box.device.id
    assert json.loads(typed.stdout) == {
        "operation": "",
        "certificate_until": f"{given.not_valid_after_utc:%Y-%m-%d}",
        "exit": 0,
    }
    assert (given.not_valid_after_utc - given.not_valid_before_utc).days == enrolment_service.DEVICE_DAYS
    assert Path(box.mqtt.key).read_bytes() == key
    assert certificate.stat().st_mode & 0o777 == 0o600


async def test_asking_twice_gives_the_same_certificate(shop: Workshop) -> None:
    """A box whose answer was lost on the way gets the certificate that it already has: none is left unaccounted for."""
    box = _box(shop)
    boot = Path(box.mqtt.certificate).read_bytes()
    with _door(shop) as door:
        async with _desk(shop, door):
            await renew(box)
            first = Path(box.mqtt.certificate).read_bytes()
            Path(box.mqtt.certificate).write_bytes(boot)
            await renew(box)

    assert Path(box.mqtt.certificate).read_bytes() == first


@pytest.mark.system
@pytest.mark.parametrize("moment", ["half of the certificate", "the certificate is there"])
async def test_a_box_cut_off_while_it_is_renewed_goes_on(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The card as it was at that moment: the old or the new certificate, the same key, and the desk's same answer."""
    card, cut, folder = shop.folder / "card.img", shop.folder / "cut.img", shop.folder / "mnt"
    folder.mkdir()
    write = small_files.write

    def cut_the_power() -> None:
        shutil.copy(card, cut)

    def watched(path: Path, content: bytes) -> None:
        halfway = moment.startswith("half")
        write(path, content, half=cut_the_power if halfway else lambda: None)
        if not halfway:
            cut_the_power()

    with _door(shop) as door:
        async with _desk(shop, door):
            with disk_image(card, folder, megabytes=6):
                box = _box(shop, "mnt/box")
                os.sync()
                key = Path(box.mqtt.key).read_bytes()
                with monkeypatch.context() as patch:
                    patch.setattr(small_files, "write", watched)
                    await renew(box)
                given = Path(box.mqtt.certificate).read_bytes()
            with when_power_returns(cut, folder):
                assert Path(box.mqtt.key).read_bytes() == key
                assert (Path(box.mqtt.certificate).read_bytes() == given) is moment.startswith("the")
                assert (await renew(box)).operation == ("simpleenroll" if moment.startswith("half") else "")
                assert Path(box.mqtt.certificate).read_bytes() == given


async def test_the_desk_refuses_copies_and_the_revoked(shop: Workshop) -> None:
    """Another key under a known id, a revoked box, and a batch that was ended."""
    box = _box(shop)
    boot = Path(box.mqtt.certificate).read_bytes()
    with _door(shop) as door:
        async with _desk(shop, door):
            await renew(box)
            Path(box.mqtt.certificate).write_bytes(boot)
            with open_inventory(shop.fleet.inventory) as inventory:
                inventory.retire(box.device.id, State.REVOKED, "stolen")
            with pytest.raises(RefusedError) as refused:
                await renew(box)
            assert refused.value.code == "PRV-03"

            with open_inventory(shop.fleet.inventory) as inventory:
                assert inventory.end_batch("B-014", now_s=time.time())
            other = _box(shop, "other")
            with pytest.raises(RefusedError) as ended:
                await renew(other)
            assert ended.value.code == "PRV-03"


def test_the_desk_believes_signatures_only(shop: Workshop) -> None:
    """A certificate of another name, another key, a foreign CA, and bytes that are no request."""
    box = _box(shop)
    now_s = time.time()
    mine = Path(box.mqtt.certificate).read_text()
    stranger = certificates.new_client(shop.batch.ca, f"boot-{box.device.id}", unit="boot", now_s=now_s, days=1)
    foreign = certificates.new_ca("foreign", now_s=now_s, days=1, leaves_only=True)
    forged = certificates.new_client(foreign, f"boot-{shop.batch.manifest.ids[1]}", unit="boot", now_s=now_s, days=1)
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        inventory.claim(
            box.device.id,
            certificates.fingerprint(certificates.public_key(certificates.load_certificate(mine.encode()))),
            now_s=now_s,
        )
        here = enrolment_service.Desk(issuing=shop.fleet.issuing, inventory=inventory)

        def ask(name: str, certificate: str, csr: str) -> str:
            request = CertificateRequest(operation="simpleenroll", csr=csr, certificate=certificate)
            answer = here.answer(name, documents.write(request))
            schema_check.validate(ENROL_TOPIC.format(name=name, word="cert"), answer)
            return documents.read(CertificateAnswer, answer).refused

        assert ask(f"boot-{box.device.id}", mine, _csr(stranger)) == "PRV-03"
        assert ask("boot-04HMASW9Z6", stranger.certificate_pem.decode(), _csr(stranger)) == "PRV-03"
        assert ask(f"boot-{box.device.id}", stranger.certificate_pem.decode(), _csr(stranger)) == "PRV-01"
        assert ask(f"boot-{shop.batch.manifest.ids[1]}", forged.certificate_pem.decode(), _csr(forged)) == "PRV-03"
        assert ask("x", "no pem", "no pem") == "PRV-05"
        assert documents.read(CertificateAnswer, here.answer("x", b"\xff")).refused == "PRV-05"
        assert inventory.newest_certificate(box.device.id) is None


def _csr(holder: certificates.Holder) -> str:
    csr = x509.CertificateSigningRequestBuilder().subject_name(holder.certificate.subject)
    return csr.sign(holder.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


async def test_headquarters_learns_a_box_s_identity_at_its_first_contact(shop: Workshop) -> None:
    """A box that headquarters knows by its id alone, as one from a card: its proven key is in the list for authorities.

    A copy of it with another identity key is refused, and so is a key that another box has.
    """
    box = _box(shop)
    identity = documents.public_text(open_key(Path(box.device.state_dir)).public_key())
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        assert rows(inventory)[box.device.id].identity == ""
    with _door(shop) as door:
        async with _desk(shop, door):
            await renew(box)
            (Path(box.device.state_dir) / "identity.key").unlink()
            (Path(box.device.state_dir) / "assignment.json").unlink()
            with pytest.raises(RefusedError, match="another identity key") as refused:
                await renew(box, now=lambda: time.time() + 241 * DAY)
            assert refused.value.code == "PRV-01"

    with open_inventory(shop.fleet.inventory) as inventory:
        assert rows(inventory)[box.device.id].identity == identity
        with pytest.raises(RefusedError, match="another identity key"):
            inventory.learn(shop.batch.manifest.ids[1], identity)
    listed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "provisioning.cli", "fleet", "boxes", str(shop.folder / "boxes.csv"), "--fleet",
         str(shop.fleet.folder)],
        check=True,
        capture_output=True,
        env=os.environ | {"EDGE_PROVISION_PASSPHRASE": PASSPHRASE},
    )  # fmt: skip
    assert b"1 box in service" in listed.stdout
    assert f"{box.device.id}," in (shop.folder / "boxes.csv").read_text("utf-8-sig")
    assert identity in (shop.folder / "boxes.csv").read_text("utf-8-sig")


def rows(inventory: Inventory) -> dict[str, BoxRow]:
    """All boxes by id."""
    return {row.device_id: row for row in inventory.boxes()}


async def test_a_box_whose_identity_is_lost_still_renews(shop: Workshop) -> None:
    """It counts on: its certificate is renewed without a proof, and nothing is learnt."""
    box = _box(shop)
    (Path(box.device.state_dir) / "identity.key").unlink()
    with _door(shop) as door:
        async with _desk(shop, door):
            assert (await renew(box)).operation == "simpleenroll"

    with open_inventory(shop.fleet.inventory) as inventory:
        assert rows(inventory)[box.device.id].identity == ""


async def test_a_box_believes_only_its_own_ca(shop: Workshop) -> None:
    """A desk with another CA, as a laptop with a batch CA could play it, gives nothing that a box would install."""
    box = _box(shop)
    boot = Path(box.mqtt.certificate).read_bytes()
    (shop.folder / "foreign").mkdir()
    foreign = workshop(shop.folder / "foreign")
    with _door(shop) as door, open_inventory(shop.folder / "foreign.db") as inventory:
        inventory.plan(shop.batch.manifest)
        false = certificates.new_client(shop.batch.ca, enrolment_service.DESK, unit="desk", now_s=time.time(), days=1)
        working = asyncio.create_task(
            enrolment_service.serve(
                enrolment_service.Desk(issuing=foreign.fleet.issuing, inventory=inventory),
                door.settings("false", false),
                told=lambda _name, _answer: None,
            )
        )
        await eventually(lambda: has_subscriber(door.log, enrolment_service.DESK))
        with pytest.raises(BadDataError, match="not this box's or not from its fleet's CA"):
            await renew(box)
        working.cancel()
        await asyncio.wait([working])

    assert Path(box.mqtt.certificate).read_bytes() == boot


async def test_without_a_desk_the_box_keeps_what_it_has(shop: Workshop) -> None:
    """Nobody answers: one sentence, and another try in an hour."""
    box = _box(shop)
    boot = Path(box.mqtt.certificate).read_bytes()
    with _door(shop), pytest.raises(UnavailableError, match="no certificate yet"):
        await renew(box, answer_s=1.5)

    assert Path(box.mqtt.certificate).read_bytes() == boot
