"""The fleet's commands show what boxes and technicians wrote, and the terminal obeys nothing of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import provisioning.cli as provision
from edge_scanner import terminal
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import CertificateRequest, Place, public_text
from edge_scanner.core.enrolment.rendezvous import ENROL_TOPIC
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from provisioning import certificates
from provisioning.bench.commands import sync
from provisioning.inventory import open_inventory
from provisioning.passphrases import BATCH_VARIABLE, FLEET_VARIABLE
from tests.support import centre
from tests.support.box_client import connected
from tests.support.fleet import BATCH_PASSPHRASE, PASSPHRASE, workshop
from tests.support.foreign import ESCAPES, MARK, NAME, obeyed, program
from tests.support.mosquitto import has_subscriber
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fleet import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A fleet whose inventory somebody filled with such texts."""
    made = workshop(tmp_path)
    for path in (made.fleet.inventory, tmp_path / "laptop" / "inventory.db"):
        path.parent.mkdir(exist_ok=True)
        with open_inventory(path) as inventory:
            inventory.plan(made.batch.manifest)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("INSERT INTO refusal VALUES (?, 'PRV-04', ?, 1)", (f"aa{NAME}", f"{MARK}{ESCAPES}"))
            for number, device_id in enumerate(made.batch.manifest.ids):
                db.execute(
                    "UPDATE box SET enrolled_s = 1, state = ?, name_vi = ?, site = ?, room = ?, reason = ?,"
                    " identity = ? WHERE device_id = ?",
                    (
                        "revoked" if number else "enrolled", MARK, f"{MARK}{ESCAPES}", f"{MARK}{ESCAPES}",
                        f"{MARK}{ESCAPES}", b64encode(bytes([number]) * 32).decode(), device_id,
                    ),
                )  # fmt: skip
                db.execute("INSERT INTO step VALUES (?, 0, 'clock', 'FAIL', 'CLK-01', ?, 1)", (device_id, ESCAPES))
    return made


def test_no_command_of_the_fleet_obeys_what_others_wrote(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inventory's texts in every table and document."""
    monkeypatch.setenv(FLEET_VARIABLE, PASSPHRASE)
    monkeypatch.setenv(BATCH_VARIABLE, BATCH_PASSPHRASE)
    fleet = ("--fleet", shop.fleet.folder)
    batch, home = shop.folder / "batch-B-014.zip", ("--home", tmp_path / "laptop")
    (tmp_path / "laptop" / "fleet.pub").write_text(public_text(shop.fleet.signer.public_key()))
    for words, marked in (
        (("fleet", "list", *fleet), True),
        (("fleet", "list", "--json", *fleet), True),
        (("fleet", "boxes", tmp_path / f"{NAME}.csv", *fleet), False),
        (("fleet", "issue", "authority-hcm", "--unit", "authority", "--out", tmp_path / NAME, *fleet), False),
        (("bench", "show", batch, *home), True),
        (("bench", "show", batch, "--json", *home), True),
    ):
        code, shown = program(provision.main, *words)
        assert obeyed(shown) == [], words
        assert code == 0, (words, shown)
        assert ("[/x]" in shown) >= marked, (words, shown)


def test_no_command_of_the_bench_obeys_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places, folders and files named like that, from the card to the evening's file and what headquarters takes."""
    places = (Place(site="ben-xe", room=MARK, name_vi=MARK, name_en=MARK),)
    package = tmp_path / "edge-scanner_1.0.0_arm64.deb"
    package.write_bytes(b"a package")
    made = workshop(tmp_path, count=2, places=places, software=(package,))
    monkeypatch.setenv(FLEET_VARIABLE, PASSPHRASE)
    monkeypatch.setenv(BATCH_VARIABLE, BATCH_PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    home = ("--home", tmp_path / NAME)
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "fleet.pub").write_text(public_text(made.fleet.signer.public_key()))
    batch = tmp_path / NAME / f"batch-{NAME}.zip"
    shutil.copy(tmp_path / "batch-B-014.zip", batch)
    for words, code in (
        (("card", batch, tmp_path / f"{NAME}-card", *home), 0),
        (("bench", "secret", batch, "--out", f"{NAME}.secret", *home), 0),
        (("label", batch, "--out", f"{NAME}.html", *home), 0),
        (("slips", batch, "--out", f"{NAME}-slips.html", *home), 0),
        (("bench", "sync", batch, "--out", f"{NAME}.json", *home), 0),
        (("bench", "sync", batch, "--broker", "127.0.0.1:1", "--wait", "1", *home), 69),
        (("bench", "retire", made.batch.manifest.ids[0], "--reason", MARK, *home), 0),
        (("bench", "retire", NAME, *home), 78),
        (("fleet", "adopt", f"{NAME}.json", "--fleet", made.fleet.folder), 0),
        (("fleet", "list", "--fleet", made.fleet.folder), 0),
    ):
        done, shown = program(provision.main, *words)
        assert obeyed(shown) == [], words
        assert done == code, (words, shown)


def test_the_evening_s_table_obeys_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids and states that the other side sent, drawn as they are."""
    outcome = sync.Outcome(
        batch=f"{MARK}{ESCAPES}", bench=Counter(), headquarters=Counter(), sent=0, taken_out=(f"{MARK}{ESCAPES}",),
        differences={f"{MARK}{ESCAPES}": "state"},
    )  # fmt: skip
    terminal.console().print(sync.draw(outcome))
    terminal.say_json(sync.as_document(outcome))
    shown = capsys.readouterr().out
    assert obeyed(shown) == []
    assert "[/x]" in shown


async def test_tail_shows_what_a_box_sends(shop: Workshop, tmp_path: Path) -> None:
    """A real broker; one certificate's holder writes escapes into his messages."""
    with centre.central(tmp_path / "centre", shop.fleet) as middle:
        name = shop.batch.manifest.ids[0]
        tail = follow(shop, middle, "fleet-tail", "fleet", "tail")
        try:
            await eventually(lambda: has_subscriber(middle.log, "fleet-tail"))
            async with open_broker(middle.client(name), client_id=name) as broker:
                await connected(broker)
                payload = f'{{"kind":"{MARK}","text":"{ESCAPES}"}}'.encode() + b"\x1b[2J\xff"
                await broker.publish(
                    Message(
                        kind=MessageKind.STATUS, topic=f"edge-scanner/v1/d/{name}/up/status", payload=payload,
                        key="x", created_s=time.time(), expires_s=None,
                    )
                )  # fmt: skip
                assert tail.stdout is not None
                line = await eventually_line(tail)
        finally:
            tail.send_signal(signal.SIGINT)
            rest, errors = tail.communicate()

    assert MARK in line
    assert obeyed(line + rest + errors) == []


async def test_the_desk_shows_what_a_box_asks(shop: Workshop, tmp_path: Path) -> None:
    """A question whose operation is full of escapes: one line, refused, and nothing obeyed."""
    batch_ca = shop.batch.ca
    now_s = time.time()
    with centre.enrolment(tmp_path / "door", shop.fleet, batch_ca.certificate_pem) as door:
        name = f"boot-{shop.batch.manifest.ids[0]}"
        holder = certificates.new_client(batch_ca, name, unit="boot", now_s=now_s, days=1)
        other = certificates.new_client(batch_ca, name, unit="boot", now_s=now_s, days=1)
        csr = x509.CertificateSigningRequestBuilder().subject_name(other.certificate.subject)
        request = CertificateRequest(
            operation=f"{MARK}\n{ESCAPES}",
            csr=csr.sign(other.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(),
            certificate=holder.certificate_pem.decode(),
        )
        desk = follow(shop, door, "fleet-enrol", "desk")
        try:
            await eventually(lambda: has_subscriber(door.log, "fleet-enrol"))
            async with open_broker(door.settings(name, holder), client_id=name) as broker:
                await connected(broker)
                await broker.publish(
                    Message(
                        kind=MessageKind.ENROL, topic=ENROL_TOPIC.format(name=name, word="csr"),
                        payload=documents.write(request), key="x", created_s=now_s, expires_s=None,
                    )
                )  # fmt: skip
                line = await eventually_line(desk)
        finally:
            desk.send_signal(signal.SIGINT)
            rest, errors = desk.communicate()

    assert f"{name} {MARK}" in line
    assert "PRV-03" in line
    assert obeyed(line + rest + errors) == []


async def eventually_line(process: subprocess.Popen[str]) -> str:
    """The next line of a program that goes on."""
    assert process.stdout is not None
    return await asyncio.to_thread(process.stdout.readline)


def follow(shop: Workshop, at: centre.ShippedBroker, name: str, *words: str) -> subprocess.Popen[str]:
    """A command of the fleet that runs until Ctrl-C."""
    issued = [sys.executable, "-m", "provisioning.cli", "fleet", "issue", name, "--out", str(shop.folder / name)]
    environment = os.environ | {"EDGE_PROVISION_PASSPHRASE": PASSPHRASE}
    subprocess.run([*issued, "--fleet", str(shop.fleet.folder)], check=True, env=environment, capture_output=True)
    given = ["--files", str(shop.folder / name), "--broker", f"127.0.0.1:{at.port}"]
    given += ["--fleet", str(shop.fleet.folder)] if words == ("desk",) else []
    return subprocess.Popen(
        [sys.executable, "-m", "provisioning.cli", *words, *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
