"""The guide's night runs as it is written: each block of docs/authority.md, on its machine, with what travels there.

Machines are folders with a home of their own, `/media/usb` is one folder for all, and only the dates and weeks, the
broker's address and that folder's name are replaced. Passphrases and answers are typed at a terminal. The rehearsal's
block is played by test_demo_tracing; here it is held to the Makefile.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import re
import shlex
import stat
import subprocess
import sys
import time
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.keys import recipients as sets
from edge_scanner.authority.keys.keys import KEEP_S, read_public
from edge_scanner.authority.keys.weeks import WEEK_S, week_of, weeks_from
from edge_scanner.core import signed
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.enrolment.documents import Assignment
from edge_scanner.core.pull import revocations
from edge_scanner.demo import evening
from edge_scanner.device.enrolment.identity import open_identity
from provisioning import certificates
from provisioning.fleet.fleet import Endpoint
from provisioning.inventory import open_inventory
from tests.support import exports
from tests.support.box import Box
from tests.support.centre import ShippedBroker
from tests.support.fleet import PASSPHRASE, Workshop, workshop
from tests.support.mosquitto import has_subscriber
from tests.support.ports import free_port
from tests.support.terminal import type_in
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "authority.md"
BLOCK = re.compile(r"^```sh(?: (?P<machine>[a-z]+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NIGHT = "## Hai giờ sáng / At two in the morning"
MACHINES = ("officer", "approver", "custodian", "root", "fleet", "box")
REHEARSAL = "rehearsal"
PROGRAMS = {
    "edge-authority": "edge_scanner.authority.cli",
    "edge-provision": "provisioning.cli",
    "edge-scanner": "edge_scanner.device.cli",
}
ANSWERS = {
    r"Mật khẩu / Passphrase: ": "ngựa đúng pin ghim",
    r"Nhập lại / Repeat: ": "ngựa đúng pin ghim",
    r"the hours above: ?": "1 1",
    # The version is the one on the screen above the question.
    **{rf"Recipient set, version {number}\b[\s\S]*Type the version to sign it: ": str(number) for number in (1, 2)},
}
WEEKS = 12
SIGNERS = {"health-officer": "officer", "approver": "approver"}
FINISHED_HOURS = 2
SECRET = re.compile(r"\.key$|passphrase|share")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of commands, its machine, and whether it belongs to the night or to what is prepared."""

    machine: str
    text: str
    night: bool


def blocks() -> list[Block]:
    """The guide's blocks in their order."""
    text = GUIDE.read_text()
    return [
        Block(machine=found["machine"] or "", text=found["text"], night=found.start() > text.index(NIGHT))
        for found in BLOCK.finditer(text)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The machines, the fleet with its broker, and one box that is installed at the bus station."""

    folder: Path
    shop: Workshop
    broker: ShippedBroker
    box: Box
    tonight: evening.Evening
    week: str

    @property
    def usb(self) -> Path:
        """The stick."""
        return self.folder / "usb"

    def at(self, machine: str) -> Path:
        """A machine's folder, which is its user's home, too."""
        return self.folder / machine

    @property
    def due_week(self) -> str:
        """The last week whose keys nobody needs any more."""
        return week_of(self.tonight.start_s - KEEP_S - WEEK_S)

    def calls(self) -> dict[str, str]:
        """What the owners of the two signing keys read from their own machines when the root's telephones them."""
        made = {role: self.at(machine) / "keys" / f"{role}.pub" for role, machine in SIGNERS.items()}
        return {
            rf"{role}: [^\n]*\n[^\n]*Type the six words[^\n]*: ": fingerprints.words(read_public(public).public)
            for role, public in made.items()
            if public.exists()
        }

    def run(self, block: Block) -> None:
        """Type a block in at its machine."""
        start_s, end_s = self.tonight.ordered_s
        text = block.text
        for written, real in (
            ("/media/usb", str(self.usb)),
            ("2026-11-20T08:00", evening.local(start_s)),
            ("2026-11-20T12:00", evening.local(end_s)),
            ("2027-W07", weeks_from(self.week, WEEKS + 1)[-1]),
            ("2026-W44", self.due_week),
            ("mqtt.example.vn", f"127.0.0.1:{self.broker.port}"),
        ):
            text = text.replace(written, real)
        code, shown = type_in(
            text,
            folder=self.at(block.machine),
            environment={"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.at(block.machine))},
            answers=ANSWERS | self.calls() | {r"Passphrase of the fleet: ": PASSPHRASE},
            within_s=PATIENCE_S,
        )
        assert code == 0, f"{block.machine}: exit {code}\n{text}\n{shown}"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Nobody has a key yet; the fleet has a broker, and a box that was installed and never heard anything."""
    for name in (*MACHINES, "usb", "bin"):
        (tmp_path / name).mkdir()
    for name, module in PROGRAMS.items():
        # A box knows where its settings are; here they lie in its folder.
        config = ' --config "$HOME/scanner.toml"' if name == "edge-scanner" else ""
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"{config}\n')
        program.chmod(0o755)
    port = free_port()
    home = tmp_path / "fleet" / ".local" / "share" / "edge-provision"
    shop = workshop(home, broker=Endpoint(host="127.0.0.1", port=port))
    with ShippedBroker(tmp_path / "broker", shop.fleet, conf="mosquitto.conf", acl="acl", port=port) as broker:
        yield Scene(
            folder=tmp_path,
            shop=shop,
            broker=broker,
            box=installed(tmp_path / "box", shop, port),
            tonight=evening.plan(time.time()),
            week=week_of(time.time()),
        )


def installed(folder: Path, shop: Workshop, port: int) -> Box:
    """The batch's first box, with its certificate, and its key known to headquarters."""
    device_id, now_s = shop.batch.manifest.ids[0], time.time()
    holder = certificates.new_client(shop.fleet.issuing, device_id, unit="device", now_s=now_s, days=30)
    (folder / "box.crt").write_bytes(holder.certificate_pem + shop.fleet.issuing.certificate_pem)
    (folder / "box.key").write_bytes(holder.key_pem)
    (folder / "box.key").chmod(0o600)
    (folder / "ca.pem").write_bytes(shop.fleet.trust_pem)
    mqtt = (
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nca = "{folder}/ca.pem"\ncertificate = "{folder}/box.crt"\n'
        f'key = "{folder}/box.key"\n'
    )
    box = Box(folder, device_id=device_id, extra=mqtt)
    box.state.mkdir(mode=0o700)
    identity = open_identity(box.state, configured_id=device_id)
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        inventory.adopt(
            Assignment(
                batch=shop.batch.manifest.batch,
                device_id=device_id,
                identity=b64encode(identity.public_key).decode(),
                certificate=holder.certificate_pem.decode(),
                site="",
                room="",
                name_vi="",
                name_en="",
                issued_s=int(now_s),
            )
        )
    return box


def test_every_block_names_its_machine() -> None:
    """Nothing is left out: the whole guide is typed in below, but the rehearsal, which has its own test."""
    assert {block.machine for block in blocks()} == {*MACHINES, REHEARSAL}
    assert [block.machine for block in blocks()].count(REHEARSAL) == 1


def test_the_rehearsal_is_what_its_own_test_plays() -> None:
    """The block's commands are `make demo-tracing`, whose module test_demo_tracing runs with `--check`."""
    [rehearsal] = [block for block in blocks() if block.machine == REHEARSAL]
    typed = [shlex.split(line, comments=True) for line in rehearsal.text.splitlines()]
    assert typed == [["make", "demo-tracing"], ["make", "demo-tracing", "DEMO_ARGS=--check"]]

    shown = subprocess.run([*typed[1], "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True)

    [recipe] = [line for line in shown.stdout.splitlines() if "edge_scanner.demo" in line]
    assert shlex.split(recipe)[1:] == ["-m", "edge_scanner.demo.tracing", "--check"]
    played = (ROOT / "tests" / "integration" / "demo" / "test_demo_tracing.py").read_text()
    assert '[sys.executable, "-m", "edge_scanner.demo.tracing", "--check"]' in played


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_guide_runs_as_it_is_written(scene: Scene) -> None:
    """From five empty machines to the report, which names the planted minutes of the order and no others."""
    for block in blocks():
        if block.machine in MACHINES and not block.night:
            if "keys destroy" in block.text:
                an_old_key(scene)
            scene.run(block)
    renewed_revoked_destroyed(scene)
    heard = live_through_the_evening(scene)
    hand_in_the_cases(scene)

    with collecting(scene) as published, scene.box:
        scene.box.start("--simulate", "1")
        wait_for(lambda: heads(scene, published) >= FINISHED_HOURS)
        for block in blocks():
            if block.machine in MACHINES and block.night:
                scene.run(block)

    start_s, end_s = scene.tonight.ordered_s
    with (scene.at("officer") / "hcm-0417.csv").open(encoding="utf-8-sig") as table:
        found = [(row["case"], row["minute_utc"]) for row in csv.DictReader(table)]
    assert len(found) > 20
    assert set(found) == {("f0/1", evening.utc(minute)) for minute in heard if start_s <= minute < end_s}
    nothing_secret_travelled(scene)


def an_old_key(scene: Scene) -> None:
    """The tracing office has been at work for so long that a week's key is due."""
    made = (
        f'edge-authority keys new keys --role recipient --name "Phòng dịch tễ" --weeks 1 --from-week {scene.due_week}'
    )
    scene.run(Block(machine="officer", text=made, night=False))
    assert (scene.at("officer") / "keys" / f"recipient-{scene.due_week}.key").exists()


def renewed_revoked_destroyed(scene: Scene) -> None:
    """The next set goes on for twelve weeks under both signatures, the list names the approver, the old key is gone."""
    fleet, root, officer = scene.at("fleet"), scene.at("root"), scene.at("officer")
    pinned = sets.read_roots(fleet / "authority-root.pem", [fleet / "custodian-root.pem"])
    first, second = (sets.read(fleet / name, pinned) for name in ("recipients.json", "recipients-2.json"))
    assert (first.version, second.version) == (1, 2)
    assert second.not_after_s == first.not_after_s + WEEKS * WEEK_S
    assert len(second.recipients) == 2 * len(first.recipients) == 4 * WEEKS

    found = revocations.verify(
        (root / "revocations.json").read_bytes().rstrip(b"\n"),
        signed.verify_keys((fleet / "authority-root.pem").read_bytes()),
    )
    assert found.keys == {read_public(root / "approver.pub").public}

    assert not (officer / "keys" / f"recipient-{scene.due_week}.key").exists()
    assert scene.due_week in (officer / "keys" / f"destroyed-recipient-{scene.due_week}.txt").read_text()


def live_through_the_evening(scene: Scene) -> frozenset[int]:
    """The operator puts both roots and the recipients onto the box; then the evening happens."""
    fleet, box = scene.at("fleet"), scene.box
    for name in ("authority-root.pem", "custodian-root.pem", "recipients.json"):
        (box.folder / name).write_bytes((fleet / name).read_bytes())
    return evening.seal(box.config, box.device_id, scene.tonight)


def hand_in_the_cases(scene: Scene) -> None:
    """The patient's Bluezone record, and a signed export of somebody who was never there."""
    officer, publisher = scene.at("officer"), exports.publisher()
    (officer / "f0.json").write_bytes(scene.tonight.cases[evening.PATIENT])
    day = scene.tonight.start_s // 86400 * 144
    (officer / "export.zip").write_bytes(publisher.archive(exports.body([exports.key(bytes(range(16)), day)])))
    (officer / "publisher.pem").write_bytes(publisher.pem)


@contextlib.contextmanager
def collecting(scene: Scene) -> Iterator[Path]:
    """The fleet's collector, which keeps what boxes publish in the operator's file, as the guide says."""
    fleet, name = scene.at("fleet"), "fleet-collector"
    holder = certificates.new_client(scene.shop.fleet.issuing, name, unit="client", now_s=time.time(), days=30)
    (fleet / "ca.pem").write_bytes(scene.shop.fleet.trust_pem)
    (fleet / f"{name}.crt").write_bytes(holder.certificate_pem + scene.shop.fleet.issuing.certificate_pem)
    (fleet / f"{name}.key").write_bytes(holder.key_pem)
    kept = fleet / "published.txt"
    shown = re.search("mosquitto_sub -F '([^']+)'", GUIDE.read_text())
    assert shown is not None
    with kept.open("wb") as output:
        process = subprocess.Popen(
            [
                "mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", str(scene.broker.port), "-i", name,
                "--cafile", "ca.pem", "--cert", f"{name}.crt", "--key", f"{name}.key", "-F", shown[1],
                "-t", "edge-scanner/v1/d/+/up/#",
            ],
            cwd=fleet,
            stdout=output,
        )  # fmt: skip
    try:
        wait_for(lambda: has_subscriber(scene.broker.log, name))
        yield kept
    finally:
        process.terminate()
        process.wait()


def heads(scene: Scene, published: Path) -> int:
    """How many heads of finished hours the box has published; it must be alive."""
    assert scene.box.running, scene.box.journal.read_text()
    return published.read_text().count("/up/checkpoint ")


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds, with the patience of a busy machine."""
    asyncio.run(eventually(condition))


def nothing_secret_travelled(scene: Scene) -> None:
    """The stick holds no key but the broker's, which the officer took off it, and opened records are the owner's."""
    left = [path.name for path in scene.usb.rglob("*") if SECRET.search(path.name)]
    assert left == []
    assert stat.S_IMODE((scene.at("officer") / "hcm-0417.opened").stat().st_mode) == 0o600
