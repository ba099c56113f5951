"""Who gets through the bench's door: boxes of the batch, boxes that the technician confirmed, and nobody else."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.enrolment import documents, fingerprints, proofs, rendezvous
from edge_scanner.core.enrolment.documents import Assignment, Request, StepReport, StepResult, public_text
from edge_scanner.core.errors import RefusedError
from edge_scanner.device.commands import enrol as command
from edge_scanner.device.enrolment.bench_client import BenchLink
from edge_scanner.device.enrolment.steps import Box, enrol, report
from provisioning.bench import table
from provisioning.bench.bench import Bench
from provisioning.bench.commands import bench as commands
from provisioning.bench.visitors import Visitors, Waiting
from provisioning.inventory import MAX_REFUSALS, State, open_inventory
from provisioning.passphrases import BATCH_VARIABLE
from tests.integration.terminal.test_foreign_text import PAYLOAD, drawn, obeyed
from tests.support.dialogue import Dialogue
from tests.support.fleet import BATCH_PASSPHRASE, OpenBench, Workshop, box_in, open_bench, workshop
from tests.support.foreign import ESCAPES, MARK
from tests.support.ports import free_port
from tests.support.provision_cli import bench, card_image, make_batch
from tests.support.provision_cli import enrol as enrolled
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from provisioning.inventory import BoxRow

ASKED = {"Host": rendezvous.HOST, "Content-Type": rendezvous.CONTENT_TYPE}


def _request(serial: str = "1000", device_id: str = "", secret: bytes = b"") -> tuple[bytes, Ed25519PrivateKey]:
    """A whole request as a stranger can make it, with the batch's proof where he has the secret."""
    key, mqtt = Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")]))
        .sign(mqtt, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    identity = public_text(key.public_key())
    proof = proofs.prove(secret, serial=serial, identity=identity, csr=csr) if secret else ""
    asked = Request(serial=serial, device_id=device_id, identity=identity, csr=csr, proof=proof, software_version="1")
    return documents.sign(asked, key), key


def _post(bench: OpenBench, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    link = http.client.HTTPConnection("127.0.0.1", bench.port)
    link.request("POST", path, body, headers)
    answer = link.getresponse()
    content = answer.read()
    link.close()
    return answer.status, json.loads(content).get("code", "") if content else ""


def _rows(bench: OpenBench) -> tuple[BoxRow, ...]:
    with open_inventory(bench.inventory) as inventory:
        return inventory.boxes()


def _states(bench: OpenBench) -> set[State]:
    return {row.state for row in _rows(bench)}


@pytest.mark.parametrize(
    "headers",
    [
        {**ASKED, "Host": "evil.example:47111"},
        {**ASKED, "Origin": "https://evil.example"},
        {**ASKED, "Sec-Fetch-Site": "cross-site"},
        {**ASKED, "Content-Type": "text/plain"},
        {"Host": rendezvous.HOST},
    ],
    ids=repr,
)
def test_a_page_in_a_browser_gets_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    """A foreign Host or Origin, or a content type that any page may send: 403, even with the batch's proof."""
    place = workshop(tmp_path)
    with open_bench(place) as bench:
        document, _key = _request(secret=place.batch.enrol_secret)

        assert _post(bench, rendezvous.ENROL, document, headers) == (403, "PRV-08")
        assert _states(bench) == {State.FREE}
        assert _post(bench, rendezvous.ENROL, document, ASKED)[0] == 200


def test_a_stranger_s_board_is_named_and_gets_nothing(tmp_path: Path) -> None:
    """Self-made keys without the batch's secret: no id, its six words on the screen; confirmed, it gets one."""
    place = workshop(tmp_path)
    with open_inventory(tmp_path / "inventory.db") as inventory:
        bench = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        document, key = _request(serial=f"10000000{PAYLOAD}"[:20].replace("\x1b", "e"))
        words = fingerprints.words(key.public_key().public_bytes_raw())

        with pytest.raises(RefusedError, match=words) as refused:
            bench.enrol(document, "fe80::9")
        screen = drawn(table.draw(place.batch, inventory, port=1, now_s=time.time(), visitors=bench.visitors))

        assert refused.value.code == "PRV-06"
        assert {row.state for row in inventory.boxes()} == {State.FREE}
        assert (words in screen, "fe80::9" in screen, obeyed(screen)) == (True, True, [])
        commands.confirm(words.upper().replace("-", " "), home=tmp_path)
        assert bench.enrol(document)
        assert bench.visitors.waiting(time.time()) == []
        with pytest.raises(RefusedError):
            bench.enrol(_request()[0])


def test_a_proof_of_another_batch_or_for_other_keys_is_none(tmp_path: Path) -> None:
    """A proof is bound to the secret and to the request that it came with."""
    place = workshop(tmp_path)
    with open_inventory(tmp_path / "inventory.db") as inventory:
        bench = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        stolen = documents.verify_own(Request, _request(secret=place.batch.enrol_secret)[0]).proof
        document, key = _request()
        copied = documents.sign(replace(documents.verify_own(Request, document), proof=stolen), key)

        for foreign in (_request(secret=bytes(32))[0], copied):
            with pytest.raises(RefusedError) as refused:
                bench.enrol(foreign)
            assert refused.value.code == "PRV-06"


def test_a_flood_fills_nothing(tmp_path: Path) -> None:
    """Long serials are no boxes, strangers are shown in a bounded list, and neither is written to the disk."""
    place = workshop(tmp_path)
    with open_bench(place) as bench:
        for number in range(30):
            assert _post(bench, rendezvous.ENROL, _request(serial="x" * 50_000)[0], ASKED) == (400, "PRV-05")
            assert _post(bench, rendezvous.ENROL, _request(serial=f"s-{number}")[0], ASKED) == (409, "PRV-06")
            other = _request(serial=f"t-{number}", device_id=place.batch.manifest.ids[0])[0]
            assert _post(bench, rendezvous.ENROL, other, ASKED) == (409, "PRV-03")
        with open_inventory(bench.inventory) as inventory:
            assert inventory.refusals() == ()
    assert sum(path.stat().st_size for path in tmp_path.glob("bench.db*")) < 600_000
    with closing(sqlite3.connect(bench.inventory)) as db:
        assert db.execute("SELECT count(*) FROM confirmed").fetchone() == (0,)

    visitors = Visitors()
    for number in range(1000):
        visitors.wait(Waiting(words=f"w-{number}", serial="", peer="", code="PRV-06", at_s=float(number)))
        visitors.hear(f"fe80::{number} 1", float(number))
        visitors.turn_away(f"fe80::{number}", float(number))
    assert len(visitors.waiting(999.0)) == 20
    assert len(visitors.benches(999.0)) == 4
    assert visitors.strangers(999.0) == [f"fe80::{number}" for number in range(996, 1000)]
    assert visitors.strangers(1060.0) == []


def test_who_only_holds_on_keeps_no_box_out(tmp_path: Path) -> None:
    """More half questions than the laptop may open files: a box is named, whoever sends no question of a box too."""
    few = ("prlimit", "--nofile=512:512")
    batch = make_batch(tmp_path)
    card_image(batch, tmp_path / "box")
    said = tmp_path / "said"
    with (
        said.open("w") as stderr,
        bench(batch, "--port", "0", "--host", "127.0.0.1", prefix=few, stderr=stderr) as port,
        contextlib.ExitStack() as held,
    ):

        def hold(words: bytes, source: str = "127.0.0.1") -> socket.socket:
            link = socket.create_connection(("127.0.0.1", port), PATIENCE_S, (source, 0))
            held.enter_context(link).sendall(words)
            return link

        head = b"POST /v1/enrol HTTP/1.1\r\nHost: " + rendezvous.HOST.encode() + b"\r\n"
        for _ in range(600):
            hold(head)
        enrolled(tmp_path / "box", "--bench", f"http://127.0.0.1:{port}")

        kind = f"Content-Type: {rendezvous.CONTENT_TYPE}\r\nContent-Length: 99\r\n\r\n"
        half = hold(head + kind.encode(), "127.0.0.2")
        assert hold(b"\x16\x03\x01 no HTTP at all\r\n\r\n", "127.0.0.3").recv(1)
        assert half.recv(1) == b"", "a body that never comes is waited for"
        wanted = {f"PRV-08 một yêu cầu không phải của hộp, từ 127.0.0.{number}" for number in (1, 2, 3)}
        deadline = time.monotonic() + PATIENCE_S
        while (lines := set(said.read_text().splitlines())) != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
    assert lines == wanted


def test_refused_boards_are_remembered_up_to_a_bound(tmp_path: Path) -> None:
    """Boards of the batch that a used-up batch turns away: the latest are kept."""
    place = workshop(tmp_path, count=1)
    with open_inventory(tmp_path / "inventory.db") as inventory:
        bench = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        bench.enrol(_request(secret=place.batch.enrol_secret)[0])
        for number in range(MAX_REFUSALS + 10):
            with pytest.raises(RefusedError, match="no id left"):
                bench.enrol(_request(serial=f"s-{number}", secret=place.batch.enrol_secret)[0])

        kept = inventory.refusals()
        assert len(kept) == MAX_REFUSALS
        assert f"s-{MAX_REFUSALS + 9}" in {refusal.serial for refusal in kept}


GOOD = StepResult(name="clock", verdict="PASS", code="", detail="0.2 s")


@pytest.mark.parametrize(
    "steps",
    [
        (replace(GOOD, verdict="NOPE"),),
        (replace(GOOD, detail="x" * 201),),
        (replace(GOOD, name="x" * 33),),
        (replace(GOOD, code="x" * 9),),
        (GOOD,) * 41,
    ],
    ids=("verdict", "detail", "name", "code", "steps"),
)
def test_a_bad_report_is_an_answer(tmp_path: Path, steps: tuple[StepResult, ...]) -> None:
    """What no box writes gets a 400; the last good report stays, and the screen is drawn."""
    place = workshop(tmp_path)
    with open_bench(place) as bench:
        box = box_in(tmp_path / "box")
        report(box, bench.link, enrol(box, bench.link))
        key = serialization.load_pem_private_key((box.state / "identity.key").read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        assert box.assignment is not None
        bad = StepReport(
            serial=box.serial,
            device_id=box.assignment.device_id,
            identity=public_text(key.public_key()),
            steps=steps,
        )

        assert _post(bench, rendezvous.REPORT, documents.sign(bad, key), ASKED) == (400, "PRV-05")
        with open_inventory(bench.inventory) as inventory:
            assert len(inventory.reports("B-014")[box.assignment.device_id]) == 8


def test_a_hostile_board_leaves_a_running_bench_as_it_was(tmp_path: Path) -> None:
    """`bench start` on a terminal: markup in a serial and escapes in a report are text on the screen, nothing ends."""
    place, port = workshop(tmp_path, count=3), free_port()
    live = OpenBench(port=port, inventory=tmp_path / "laptop" / "inventory.db")
    command = ("bench", "start", place.batch.path, "--home", tmp_path / "laptop", "--host", "127.0.0.1", "--port", port)
    environment = {BATCH_VARIABLE: BATCH_PASSPHRASE, "COLUMNS": "200", "LINES": "40", "TERM": "xterm"}
    with Dialogue([sys.executable, "-m", "provisioning.cli", *map(str, command)], environment) as screen:
        screen.shows("ready 0/3")
        assert _post(live, rendezvous.ENROL, _request(f"aa{MARK}", "K7MP2R9CX4")[0], ASKED) == (409, "PRV-03")
        assert _post(live, rendezvous.ENROL, _request(f"aa{ESCAPES}")[0], ASKED) == (400, "PRV-05")
        screen.shows(f"…{f'aa{MARK}'[-6:]}")

        document, key = _request("1000", secret=place.batch.enrol_secret)
        assert _post(live, rendezvous.ENROL, document, ASKED)[0] == 200
        (device_id,) = (row.device_id for row in _rows(live) if row.state is State.ENROLLED)
        bad = StepReport(
            serial="1000",
            device_id=device_id,
            identity=public_text(key.public_key()),
            steps=(replace(GOOD, verdict=Verdict.FAIL, code="CLK-01", detail=f"{MARK}{ESCAPES}"),),
        )
        assert _post(live, rendezvous.REPORT, documents.sign(bad, key), ASKED)[0] < 300
        screen.shows("NOT READY 1", MARK)

        assert _post(live, rendezvous.ENROL, _request("1001", secret=place.batch.enrol_secret)[0], ASKED)[0] == 200
        screen.shows("installing 1")
        assert "PRV-08" not in screen.shown
        assert _post(live, rendezvous.ENROL, document, {**ASKED, "Origin": "https://evil.example"}) == (403, "PRV-08")
        screen.shows("PRV-08  127.0.0.1", "unplug the unknown machine")
        assert not any(escape in screen.shown for escape in ("pwned\x07", "\x1b]", "\x1b[2J", "\x9b", "\u202e"))


def test_an_inventory_with_a_bad_report_is_drawn(tmp_path: Path) -> None:
    """One that an older bench kept: the box counts as not ready, on the screen and for programs."""
    place = workshop(tmp_path)
    with open_inventory(tmp_path / "inventory.db") as inventory:
        bench = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        bench.enrol(_request(secret=place.batch.enrol_secret)[0])
        with closing(sqlite3.connect(tmp_path / "inventory.db")) as db, db:
            db.execute(
                "INSERT INTO step VALUES (?, 0, 'clock', 'NOPE', 'CLK-01', 'x', 1)", (place.batch.manifest.ids[0],)
            )

        assert "NOT READY 1" in drawn(table.draw(place.batch, inventory, port=1, now_s=time.time()))
        shown = table.as_document(place.batch, inventory, now_s=time.time())
        assert json.loads(json.dumps(shown))["boxes"][0]["verdict"] == "FAIL"


def test_the_box_that_is_not_ready_comes_first_and_gets_no_label(tmp_path: Path) -> None:
    """Fifty boxes, the first of them with a full card: its line and its advice are on a screen of 24 lines."""
    place = workshop(tmp_path, count=50)
    path = tmp_path / "inventory.db"
    with open_inventory(path) as inventory:
        bench = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        for number in range(50):
            bench.enrol(_request(serial=f"s-{number}", secret=place.batch.enrol_secret)[0])
        with closing(sqlite3.connect(path)) as db, db:
            for number, device_id in enumerate(place.batch.manifest.ids):
                step = ("FAIL", "STO-02") if number == 0 else ("PASS", "")
                db.execute("INSERT INTO step VALUES (?, 0, 'storage', ?, ?, 'x', 1)", (device_id, *step))
        lines = drawn(table.draw(place.batch, inventory, port=1, now_s=time.time())).splitlines()
    bad = place.batch.manifest.ids[0]
    sheet = tmp_path / "svg"
    made = commands.labels(place.batch.path, sheet, home=tmp_path, passphrase=BATCH_PASSPHRASE, paper="roll")

    assert "ready 49/50" in lines[0]
    assert "NOT READY 1" in lines[0]
    assert bad[:4] in lines[3]
    assert len(lines) <= 24
    assert any("STO-02" in line for line in lines)
    # Two boxes of the fifty have a place; the first of them is not ready.
    assert made == (1, 49)
    assert not (sheet / f"{bad}.svg").exists()


def test_nobody_is_named_while_another_bench_calls(tmp_path: Path) -> None:
    """Not even a box with the proof: which bench is the stranger's is for people to find out. The screen names it."""
    place = workshop(tmp_path)
    with open_inventory(tmp_path / "inventory.db") as inventory:
        bench = Bench(place.batch, inventory, signer=place.fleet.signer.public_key())
        bench.visitors.hear("fe80::66 47111", time.time())
        document, _key = _request(secret=place.batch.enrol_secret)

        with pytest.raises(RefusedError, match="fe80::66 47111") as refused:
            bench.enrol(document)
        assert refused.value.code == "PRV-07"
        screen = drawn(table.draw(place.batch, inventory, port=1, now_s=time.time(), visitors=bench.visitors))
        assert ("PRV-07" in screen, "fe80::66" in screen) == (True, True)

        bench.visitors = Visitors()
        assert bench.enrol(document)


def test_the_secret_leaves_the_card_with_the_first_name(tmp_path: Path) -> None:
    """A box that was named has no secret any more, and is known again by its keys alone."""
    place: Workshop = workshop(tmp_path)
    with open_bench(place) as bench:
        box = box_in(tmp_path / "box")
        assert (box.etc / proofs.FILE).exists()
        enrol(box, bench.link)

        assert not (box.etc / proofs.FILE).exists()
        assert {step.verdict for step in enrol(box_in(tmp_path / "box"), bench.link)} == {"PASS"}
        assert not (box.etc / proofs.FILE).exists()


def test_a_report_waits_for_a_bench_that_comes_back(tmp_path: Path) -> None:
    """The laptop's battery is empty after the box got its name: the command ends when the bench has the result."""
    place, port = workshop(tmp_path), free_port()
    with open_bench(place, port=port):
        assert {step.verdict for step in enrol(box_in(tmp_path / "box"), BenchLink("127.0.0.1", port))} == {"PASS"}
    ended: list[int] = []
    box = Box(etc=tmp_path / "box" / "etc", state=tmp_path / "box" / "state", serial="10000000abcd0001")
    box.assignment = documents.verify(
        Assignment, (box.state / "assignment.json").read_bytes(), place.batch.bench_key.public_key()
    )
    steps = (Finding(check="clock", verdict=Verdict.PASS, detail="kept"),)

    def tell() -> None:
        command._tell(box, BenchLink("127.0.0.1", port), steps)
        ended.append(1)

    thread = threading.Thread(target=tell)
    thread.start()
    time.sleep(1)
    assert ended == []
    with open_bench(place, port=port) as bench:
        thread.join(PATIENCE_S)
        with open_inventory(bench.inventory) as inventory:
            assert [step.name for step in inventory.reports("B-014")[box.assignment.device_id]] == ["clock"]
    assert ended == [1]
