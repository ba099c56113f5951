"""Installation day: boxes and a bench over real HTTP, cut off at every step, cloned, re-used, and fifty at once."""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents, rendezvous
from edge_scanner.core.enrolment.documents import Assignment
from edge_scanner.core.errors import DocumentForgedError, RefusedError
from edge_scanner.device import settings
from edge_scanner.device.enrolment.steps import enrol, report
from provisioning import certificates
from provisioning.bench.batch import open_batch
from provisioning.bench.bench import Bench
from provisioning.inventory import State, open_inventory
from tests.support.fleet import BATCH_PASSPHRASE, OpenBench, Workshop, box_in, open_bench, workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.enrolment.documents import StepResult

CHILD = Path(__file__).parents[3] / "support" / "enrol_child.py"
ASKED = {"Host": rendezvous.HOST, "Content-Type": rendezvous.CONTENT_TYPE}
STEPS = ["fleet", "manifest", "clock", "keys", "name", "certificate", "trust", "settings"]


@pytest.fixture
def place(tmp_path: Path) -> Workshop:
    """A fleet with a batch of five."""
    return workshop(tmp_path)


@pytest.fixture
def bench(place: Workshop) -> Iterator[OpenBench]:
    """Its bench, answering."""
    with open_bench(place) as running:
        yield running


def _failed(steps: tuple[StepResult, ...]) -> list[tuple[str, str]]:
    return [(step.name, step.code) for step in steps if step.verdict != "PASS"]


def _kept(folder: Path) -> dict[str, bytes]:
    """Every file that makes a box what it is."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".new")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_box_is_named_and_configured(place: Workshop, bench: OpenBench, tmp_path: Path) -> None:
    """Keys made on the box, an id of the batch, its site, whom to trust, and settings that the daemon accepts."""
    box = box_in(tmp_path / "box")

    steps = enrol(box, bench.link)

    assert [step.name for step in steps] == STEPS
    assert _failed(steps) == []
    chosen = settings.load(box.settings)
    assert chosen.device.id == place.batch.manifest.ids[0]
    assert (chosen.device.site, chosen.device.name_vi) == ("ben-xe-mien-dong", "Bến xe Miền Đông")
    assert (chosen.mqtt.host, chosen.mqtt.port) == ("mqtt.example.vn", 8883)
    certificate = x509.load_pem_x509_certificate(Path(chosen.mqtt.certificate).read_bytes())
    certificate.verify_directly_issued_by(place.batch.ca.certificate)
    assert certificate.subject.rfc4514_string() == f"OU=boot,CN=boot-{chosen.device.id}"
    private = [path for path in (tmp_path / "box" / "state").iterdir() if path.suffix == ".key"]
    assert len(private) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)


def test_three_runs_change_nothing(bench: OpenBench, tmp_path: Path) -> None:
    """The second and the third run find everything done: the same bytes in every file, one box in the inventory."""
    box = tmp_path / "box"
    assert _failed(enrol(box_in(box), bench.link)) == []
    first = _kept(box)

    for _ in range(2):
        assert _failed(enrol(box_in(box), bench.link)) == []

    assert _kept(box) == first
    with open_inventory(bench.inventory) as inventory:
        assert [row.state for row in inventory.boxes()].count(State.ENROLLED) == 1


def _run_child(folder: Path, port: int, moment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHILD), str(folder), str(port), "10000000abcd0001", moment],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHILD.parents[2],
        env={"PYTHONPATH": str(CHILD.parents[2])},
    )


@contextmanager
def _no_network() -> Iterator[None]:
    """A network namespace with loopback and no route, for this thread and the threads and programs begun within."""
    libc, new_net = ctypes.CDLL(None, use_errno=True), 0x40000000
    with Path("/proc/thread-self/ns/net").open() as outside:
        assert libc.unshare(new_net) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(outside.fileno(), new_net) == 0, os.strerror(ctypes.get_errno())


@pytest.mark.system
def test_killed_at_every_moment(place: Workshop, tmp_path: Path) -> None:
    """SIGKILL before, inside and after every write, without any network: the next two runs end with the same box."""
    with _no_network():
        assert subprocess.run(["ip", "route"], capture_output=True, check=True).stdout == b""
        with open_bench(place) as counting:
            moments = _run_child(tmp_path / "whole", counting.port, "").stdout.split("\n")[:-1]
        assert len(moments) > 35
        for number, moment in enumerate(moments):
            here = tmp_path / str(number)
            shop = Workshop(folder=here, fleet=place.fleet, batch=place.batch)
            here.mkdir()
            with open_bench(shop) as bench:
                box = here / "box"
                assert _run_child(box, bench.port, moment).returncode == -9
                keys = {path.name: path.read_bytes() for path in (box / "state").glob("*.key")}

                assert _run_child(box, bench.port, "").returncode == 0
                finished = _kept(box)
                assert _run_child(box, bench.port, "").returncode == 0

                assert _kept(box) == finished
                assert all((box / "state" / name).read_bytes() == content for name, content in keys.items())
                with open_inventory(bench.inventory) as inventory:
                    enrolled = [row for row in inventory.boxes() if row.state is State.ENROLLED]
                    assert [row.device_id for row in enrolled] == [place.batch.manifest.ids[0]]
                    (answer,) = inventory.answers("B-014")
                assert (box / "state" / "assignment.json").read_bytes() == answer


def test_a_cloned_card_is_stopped(bench: OpenBench, tmp_path: Path) -> None:
    """The same keys on another board, and a copy whose MQTT key was replaced: neither gets a certificate."""
    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == []
    shutil.copytree(tmp_path / "box", tmp_path / "clone")

    assert _failed(enrol(box_in(tmp_path / "clone", serial="10000000abcd0002"), bench.link)) == [("name", "PRV-01")]

    (tmp_path / "clone" / "state" / "mqtt.key").unlink()
    steps = enrol(box_in(tmp_path / "clone"), bench.link)
    assert _failed(steps) == [("name", "PRV-01")]
    assert "has one of these keys beside another one" in steps[-1].detail
    with open_inventory(bench.inventory) as inventory:
        assert {(refusal.serial[-1], refusal.code) for refusal in inventory.refusals()} == {
            ("1", "PRV-01"),
            ("2", "PRV-01"),
        }


def test_a_card_written_again_waits_for_the_technician(bench: OpenBench, tmp_path: Path) -> None:
    """A known board with new keys is stopped until its old id is retired, and then gets another id."""
    assert _failed(enrol(box_in(tmp_path / "first"), bench.link)) == []
    again = box_in(tmp_path / "second")

    assert _failed(enrol(again, bench.link)) == [("name", "PRV-02")]
    with open_inventory(bench.inventory) as inventory:
        old = inventory.boxes()[0]
        inventory.retire(old.device_id, State.RETIRED, "card written again")

    assert _failed(enrol(again, bench.link)) == []
    assert again.assignment is not None
    assert again.assignment.device_id != old.device_id


def test_a_retired_box_does_not_come_back(bench: OpenBench, tmp_path: Path) -> None:
    """The old card of a retired box is stopped at the bench."""
    box = box_in(tmp_path / "box")
    assert _failed(enrol(box, bench.link)) == []
    with open_inventory(bench.inventory) as inventory:
        inventory.retire(inventory.boxes()[0].device_id, State.RETIRED, "stolen")

    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == [("name", "PRV-03")]


def test_an_id_from_elsewhere_is_not_taken(place: Workshop, bench: OpenBench, tmp_path: Path) -> None:
    """A box that another bench of the same batch named is unknown here: nobody gets an id twice without being told."""
    elsewhere = Workshop(folder=tmp_path / "elsewhere", fleet=place.fleet, batch=place.batch)
    elsewhere.folder.mkdir()
    with open_bench(elsewhere) as other:
        assert _failed(enrol(box_in(tmp_path / "box"), other.link)) == []

    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == [("name", "PRV-03")]


def test_a_batch_is_counted(bench: OpenBench, tmp_path: Path) -> None:
    """The sixth box of a batch of five gets nothing."""
    for number in range(5):
        assert _failed(enrol(box_in(tmp_path / str(number), serial=f"board-{number}"), bench.link)) == []

    assert _failed(enrol(box_in(tmp_path / "sixth", serial="board-5"), bench.link)) == [("name", "PRV-04")]


def test_a_foreign_bench_is_not_believed(place: Workshop, tmp_path: Path) -> None:
    """A box whose image pins the fleet's key takes nothing from a bench of another fleet."""
    (tmp_path / "foreign").mkdir()
    box = box_in(tmp_path / "box")
    (box.etc / "fleet.pub").write_text(documents.public_text(place.fleet.signer.public_key()))
    with open_bench(workshop(tmp_path / "foreign")) as bench:
        steps = enrol(box, bench.link)

    assert [step.name for step in steps if step.verdict == "FAIL"] == ["manifest"]
    assert not (box.etc / "broker-ca.pem").exists()


@pytest.mark.parametrize("off_s", [-86400.0, 7200.0])
def test_the_clock_is_set_from_the_bench(place: Workshop, tmp_path: Path, off_s: float) -> None:
    """A box in the past or the future takes the bench's time."""
    set_to: list[float] = []

    def taken(utc_s: float) -> bool:
        set_to.append(utc_s)
        return True

    with open_bench(place, clock_off_s=off_s) as bench:
        box = box_in(tmp_path / "box")
        box.set_clock = taken
        assert _failed(enrol(box, bench.link)) == []

    assert len(set_to) == 1
    assert abs(set_to[0] - (time.time() + off_s)) < 600


@pytest.mark.parametrize(("off_s", "code"), [(86400.0, "CLK-03"), (-86400.0, "CLK-04")])
def test_a_clock_that_must_not_be_set_is_told(place: Workshop, tmp_path: Path, off_s: float, code: str) -> None:
    """A box that cannot take the time stops there with the doctor's code, and goes on once it can."""
    with open_bench(place, clock_off_s=off_s) as bench:
        box = box_in(tmp_path / "box")
        box.set_clock = lambda _utc_s: False
        assert _failed(enrol(box, bench.link)) == [("clock", code)]
        box.set_clock = lambda _utc_s: True
        assert _failed(enrol(box, bench.link)) == []


def test_an_old_time_cannot_be_played_again(place: Workshop, bench: OpenBench) -> None:
    """A signed moment answers the nonce that was asked with, and no other."""
    with open_inventory(place.folder / "x.db") as inventory:
        desk = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        moment = documents.verify(documents.Moment, desk.moment("mine"), place.batch.bench_key.public_key())

    assert moment.nonce == "mine"
    assert abs(bench.link.time(place.batch.manifest) - time.time()) < 2


def test_a_renewed_certificate_is_never_put_back(place: Workshop, bench: OpenBench, tmp_path: Path) -> None:
    """A box that was renewed keeps its operational certificate when it comes to the bench again."""
    box = box_in(tmp_path / "box")
    assert _failed(enrol(box, bench.link)) == []
    path = box.state / "mqtt.crt"
    ours = certificates.public_key(x509.load_pem_x509_certificate(path.read_bytes()))
    renewed = certificates.pem(
        certificates.issue_client(place.fleet.issuing, "X", ours, unit="device", now_s=time.time(), days=397)
    )
    path.write_bytes(renewed)

    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == []
    assert path.read_bytes() == renewed


def test_settings_that_an_operator_changed_stay(bench: OpenBench, tmp_path: Path) -> None:
    """The same box's settings are kept; another box's are moved aside and not lost."""
    box = box_in(tmp_path / "box")
    assert _failed(enrol(box, bench.link)) == []
    changed = box.settings.read_text().replace("busy_from = 60", "busy_from = 99")
    box.settings.write_text(changed)
    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == []
    assert box.settings.read_text() == changed

    box.settings.write_text('[device]\nid = "04HMASW9Z6"\n')
    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == []
    assert "04HMASW9Z6" in box.settings.with_suffix(".toml.before-enrolment").read_text()


def test_the_bench_keeps_each_box_steps(bench: OpenBench, tmp_path: Path) -> None:
    """What a box reports stands in the inventory under its id; a report signed by a stranger does not."""
    box = box_in(tmp_path / "box")
    steps = enrol(box, bench.link)
    report(box, bench.link, steps)

    assert box.assignment is not None
    with open_inventory(bench.inventory) as inventory:
        assert [step.name for step in inventory.reports("B-014")[box.assignment.device_id]] == STEPS

    stranger = box_in(tmp_path / "stranger")
    stranger.assignment = box.assignment
    with pytest.raises(RefusedError):
        report(stranger, bench.link, steps)


def test_forged_requests_are_refused(place: Workshop) -> None:
    """A request that is not signed by its key, or whose CSR is not, gets a 400 and no id."""
    with open_bench(place) as bench:
        for body in (b"", b"{}", signed.canonical({"body": {}, "signatures": []}), b"x" * 70_000):
            link = http.client.HTTPConnection("127.0.0.1", bench.port)
            link.request("POST", "/v1/enrol", body, ASKED)
            assert link.getresponse().status in {400, 413}
            link.close()
        with open_inventory(bench.inventory) as inventory:
            assert {row.state for row in inventory.boxes()} == {State.FREE}


@pytest.mark.slow
def test_fifty_boxes_at_one_bench(tmp_path: Path) -> None:
    """Fifty boxes at the same moment: fifty ids, each with the certificate of its own key; prints the time."""
    place = workshop(tmp_path, count=50)
    failed: list[list[tuple[str, str]]] = []

    def one(number: int, port_of: OpenBench) -> None:
        box = box_in(tmp_path / f"box-{number}", serial=f"board-{number}")
        steps = enrol(box, port_of.link)
        report(box, port_of.link, steps)
        failed.append(_failed(steps))

    with open_bench(place) as bench:
        began = time.monotonic()
        threads = [threading.Thread(target=one, args=(number, bench)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - began
        with open_inventory(bench.inventory) as inventory:
            rows = inventory.boxes()

    sys.stdout.write(f"50 boxes enrolled in {took_s:.1f} s\n")
    assert failed == [[]] * 50
    assert {row.state for row in rows} == {State.ENROLLED}
    assert (
        len({row.serial for row in rows})
        == len({row.identity for row in rows})
        == len({row.mqtt_key for row in rows})
        == 50
    )
    for number in range(50):
        document = (tmp_path / f"box-{number}" / "state" / "assignment.json").read_bytes()
        assignment = documents.verify(Assignment, document, place.batch.bench_key.public_key())
        certificate = x509.load_pem_x509_certificate(assignment.certificate.encode())
        key = x509.load_pem_x509_certificate(
            (tmp_path / f"box-{number}" / "state" / "mqtt.crt").read_bytes()
        ).public_key()
        assert certificate.public_key() == key


def test_a_manifest_signed_by_nobody_we_know(place: Workshop) -> None:
    """The batch opens under the fleet's key only."""
    with pytest.raises(DocumentForgedError):
        open_batch(
            place.batch.path,
            passphrase=BATCH_PASSPHRASE,
            signer=Ed25519PrivateKey.generate().public_key(),
            now_s=time.time(),
        )
