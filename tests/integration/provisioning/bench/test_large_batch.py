"""A large batch on one day, by the commands of the technician's guide, and what headquarters knows in the evening."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.enrolment.documents import Place, public_text
from edge_scanner.core.errors import UnavailableError
from edge_scanner.device.enrolment.bench_client import BenchLink
from edge_scanner.device.enrolment.card_client import CardLink
from edge_scanner.device.enrolment.steps import enrol, report
from provisioning.bench import card
from provisioning.fleet.fleet import Endpoint
from provisioning.inventory import State, open_inventory
from tests.support import centre
from tests.support.fleet import Workshop, box_in, make_batch, workshop
from tests.support.ports import free_port
from tests.support.provision_cli import ENVIRONMENT, PROVISION
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GUIDE = Path(__file__).parents[4] / "docs" / "technician.md"
BOXES, SECOND, CARDS = 50, 9, 1
"""At one bench, at the second technician's, and from a card."""


def _commands() -> list[list[str]]:
    """Every command of edge-provision that stands on a line of its own in the guide, both languages' alike."""
    lines = re.findall(r"^\s{4,}(edge-provision .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Laptop:
    """A technician's machine: a folder with the batch in it, and its own home."""

    def __init__(self, shop: Workshop, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.home = folder / ".local" / "share" / "edge-provision"
        self.home.mkdir(parents=True)
        shutil.copy(shop.batch.path, folder)
        (self.home / "fleet.pub").write_text(public_text(shop.fleet.signer.public_key()))
        (folder / ".ssh").mkdir()
        public = Ed25519PrivateKey.generate().public_key()
        line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (folder / ".ssh" / "id_ed25519.pub").write_bytes(line + b"\n")
        self.port = free_port()
        self.log = folder / "bench.log"
        self.done: list[list[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """A home of its own, and the passphrases."""
        return ENVIRONMENT | {"HOME": str(self.folder), "PYTHONPATH": str(GUIDE.parents[1])}

    def words(self, command: list[str]) -> list[str]:
        """The guide's words; the card lies in the folder, the batch is this laptop's."""
        bootfs, name = str(self.folder / "bootfs"), self.shop.batch.path.name
        home = str(self.folder)
        return [
            word.replace("/media/bootfs", bootfs).replace("batch-B-014.zip", name).replace("~", home)
            for word in command
        ]

    def run(self, command: list[str], *options: str) -> str:
        """One command of the guide as it is written."""
        self.done.append(command)
        done = subprocess.run(
            [*PROVISION, *self.words(command), *options],
            capture_output=True, text=True, check=False, env=self.environment, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def bench(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """`bench start` as the guide has it, on this machine instead of a cable."""
        self.done.append(command)
        with self.log.open("a") as out:
            process = subprocess.Popen(
                [*PROVISION, *self.words(command), "--host", "127.0.0.1", "--port", str(self.port)],
                stdout=out, stderr=out, text=True, env=self.environment, cwd=self.folder,
            )  # fmt: skip
        try:
            _until(lambda: f"port {self.port}" in self.log.read_text())
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


def _install(laptop: Laptop, numbers: range) -> list[threading.Thread]:
    """Boxes on the switch, each on until it has its name, as its service does."""

    def one(number: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        link = BenchLink("127.0.0.1", laptop.port)
        while time.monotonic() < deadline:
            box = box_in(laptop.shop.folder / f"box-{number}", serial=f"{laptop.folder.name}-{number}")
            steps = enrol(box, link)
            if {step.verdict for step in steps} == {"PASS"}:
                with contextlib.suppress(UnavailableError):
                    report(box, link, steps)
                    return

    threads = [threading.Thread(target=one, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    return threads


def _enrolled(laptop: Laptop) -> int:
    with open_inventory(laptop.home / "inventory.db") as inventory:
        return [row.state for row in inventory.boxes()].count(State.ENROLLED)


def _plan(count: int) -> tuple[Place, ...]:
    return tuple(
        Place(site=f"site-{number:02}", room="", name_vi=f"Chợ {number}", name_en=f"Market {number}")
        for number in range(count)
    )


@contextmanager
def _desk(shop: Workshop, folder: Path, port: int) -> Iterator[None]:
    """Headquarters' enrolment service as a process."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(GUIDE.parents[1])}
    issue = [*PROVISION, "fleet", "issue", "fleet-enrol", "--out", str(folder), "--fleet", str(shop.fleet.folder)]
    subprocess.run(issue, check=True, env=environment, capture_output=True)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *PROVISION, "desk", "--files", str(folder), "--fleet", str(shop.fleet.folder),
                "--broker", f"127.0.0.1:{port}",
            ],
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


@pytest.mark.slow
def test_fifty_boxes_on_one_day(tmp_path: Path) -> None:
    """A closed lid, an empty battery, a second technician, a box by post; in the evening headquarters has them all."""
    package = tmp_path / "edge-scanner_1.0.0_arm64.deb"
    package.write_bytes(b"a package")
    (tmp_path / "b2").mkdir()
    places = _plan(BOXES + CARDS)
    first = workshop(
        tmp_path, count=BOXES + CARDS, places=places, software=(package,),
        enrol=Endpoint(host="127.0.0.1", port=free_port()),
    )  # fmt: skip
    second = make_batch(tmp_path / "b2", first.fleet, name="B-015", count=SECOND, places=_plan(SECOND))
    with open_inventory(first.fleet.inventory) as inventory:
        inventory.plan(first.batch.manifest)
        inventory.plan(second.batch.manifest)
    an, binh = Laptop(first, tmp_path / "an"), Laptop(second, tmp_path / "binh")
    start, *labels, slips, sync, by_post = _commands()

    with an.bench(start) as bench:
        threads = _install(an, range(BOXES // 2))
        _until(lambda: _enrolled(an) >= 3)
        bench.send_signal(signal.SIGSTOP)  # the lid is closed
        threads += _install(an, range(BOXES // 2, BOXES))
        time.sleep(3)
        bench.send_signal(signal.SIGCONT)
        _until(lambda: _enrolled(an) >= BOXES // 2)
        os.kill(bench.pid, signal.SIGKILL)  # the battery is empty
    with an.bench(start), binh.bench(start):
        threads += _install(binh, range(SECOND))
        for thread in threads:
            thread.join(PATIENCE_S)
    an.run(by_post)
    assert (_enrolled(an), _enrolled(binh)) == (BOXES + CARDS, SECOND)
    posted = box_in(tmp_path / "posted", serial="posted")
    assert {step.verdict for step in enrol(posted, CardLink(an.folder / "bootfs" / card.FOLDER))} == {"PASS"}

    for laptop, count in ((an, BOXES + CARDS), (binh, SECOND)):
        for command in labels:
            assert f"{count} labels" in laptop.run(command)
        assert laptop.run(slips).startswith(f"ma-pin.html: {count} slips")
    cas = first.batch.ca.certificate_pem + second.batch.ca.certificate_pem
    port = first.fleet.enrol.port
    with centre.enrolment(tmp_path / "door", first.fleet, cas, port=port), _desk(first, tmp_path / "desk", port):
        for laptop in (an, binh):
            assert "KHỚP" in laptop.run(sync, "--broker", f"127.0.0.1:{port}", "--wait", "300")

    assert [command for command in _commands() if command not in an.done] == []
    rows = _list(first, tmp_path / "boxes.csv")
    assert len(rows) == BOXES + SECOND + CARDS
    assert [row["state"] for row in rows] == ["enrolled"] * len(rows)
    named = [row["identity"] for row in rows if row["identity"]]
    assert len(set(named)) == BOXES + SECOND


def _list(shop: Workshop, target: Path) -> list[dict[str, str]]:
    """`fleet boxes`, as a health authority gets it."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(GUIDE.parents[1])}
    command = [*PROVISION, "fleet", "boxes", str(target), "--fleet", str(shop.fleet.folder)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    with target.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
