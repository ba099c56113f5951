"""`bench sync` in the evening: laptop, enrolment broker and desk as they are run, and what each of them believes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.enrolment.documents import public_text
from edge_scanner.core.enrolment.rendezvous import SYNC_TOPIC
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.device import settings
from edge_scanner.device.enrolment.steps import enrol
from edge_scanner.mqtt.broker import open_broker
from provisioning import certificates, sync
from provisioning.bench.commands.sync import reconcile
from provisioning.fleet import enrolment_service
from provisioning.fleet.fleet import Endpoint
from provisioning.fleet.sync_service import SyncDesk
from provisioning.inventory import State, open_inventory
from provisioning.sync import Answer, Question, Standing
from tests.support import centre, schema_check
from tests.support.fleet import BATCH_PASSPHRASE, PASSPHRASE, Workshop, box_in, open_bench, workshop
from tests.support.mosquitto import has_subscriber
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from provisioning.inventory import Inventory


BENCH = "bench-B-014"


QUESTION = SYNC_TOPIC.format(name=BENCH, word="sync")


RESULT = SYNC_TOPIC.format(name=BENCH, word="result")


REFUSED = 0x87


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A fleet whose enrolment broker is on this machine, and a batch of forty that headquarters planned."""
    made = workshop(tmp_path, count=40, enrol=Endpoint(host="127.0.0.1", port=free_port()))
    with open_inventory(made.fleet.inventory) as inventory:
        inventory.plan(made.batch.manifest)
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "fleet.pub").write_text(public_text(made.fleet.signer.public_key()))
    return made


def _install(shop: Workshop, count: int, *, first: int = 0) -> list[str]:
    """Boxes enrolled at the bench, whose inventory becomes the laptop's; their ids."""
    ids = []
    laptop = shop.folder / "laptop" / "inventory.db"
    if laptop.exists():
        shutil.copy(laptop, shop.folder / "bench.db")
    with open_bench(shop) as bench:
        for number in range(first, first + count):
            box = box_in(shop.folder / f"box{number}", serial=f"serial{number}")
            assert {step.verdict for step in enrol(box, bench.link)} == {"PASS"}
            ids.append(settings.load(box.settings).device.id)
    shutil.copy(shop.folder / "bench.db", laptop)
    return ids


@contextmanager
def _door(shop: Workshop) -> Iterator[centre.ShippedBroker]:
    with centre.enrolment(
        shop.folder / "door", shop.fleet, shop.batch.ca.certificate_pem, port=shop.fleet.enrol.port
    ) as door:
        yield door


@contextmanager
def _headquarters(shop: Workshop, door: centre.ShippedBroker) -> Iterator[None]:
    """`edge-provision desk` as a process."""
    files = shop.folder / "desk"
    _provision("fleet", "issue", "fleet-enrol", "--out", files, "--fleet", shop.fleet.folder)
    process = subprocess.Popen(
        [
            sys.executable, "-m", "provisioning.cli", "desk", "--files", str(files),
            "--fleet", str(shop.fleet.folder), "--broker", f"127.0.0.1:{door.port}",
        ],
        stdout=(log := (shop.folder / "desk.log").open("wb")),
        stderr=log,
        env=_environment(),
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        log.close()


def _environment() -> dict[str, str]:
    return os.environ | {
        "EDGE_PROVISION_PASSPHRASE": PASSPHRASE,
        "EDGE_PROVISION_BATCH_PASSPHRASE": BATCH_PASSPHRASE,
        "COLUMNS": "140",
    }


def _provision(*command: str | Path, expect: int = 0, folder: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "provisioning.cli", *map(str, command)],
        capture_output=True, text=True, check=False, env=_environment(), cwd=folder,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def _evening(shop: Workshop, *options: str, expect: int = 0) -> str:
    home = shop.folder / "laptop"
    return _provision("bench", "sync", shop.batch.path, "--home", home, *options, expect=expect, folder=shop.folder)


def _states(path: Path) -> dict[str, State]:
    with open_inventory(path) as inventory:
        return {row.device_id: row.state for row in inventory.boxes() if row.state is not State.FREE}


@pytest.mark.slow
def test_an_evening(shop: Workshop) -> None:
    """What was installed and retired arrives, what was revoked comes back, the counts agree; twice is once."""
    installed = _install(shop, 15)
    with open_inventory(shop.folder / "laptop" / "inventory.db") as laptop:
        laptop.retire(installed[0], State.RETIRED, "card written again")
    with open_inventory(shop.fleet.inventory) as fleet:
        fleet.retire(installed[1], State.REVOKED, "stolen")
    with _door(shop) as door, _headquarters(shop, door):
        first = json.loads(_evening(shop, "--json"))
        again = json.loads(_evening(shop, "--json"))
        more = _install(shop, 1, first=15)
        text = _evening(shop)

    counts = {"free": 25, "enrolled": 13, "retired": 1, "revoked": 1}
    assert first == {
        "batch": "B-014", "bench": counts, "headquarters": counts, "sent": 13,
        "taken_out": [installed[1]], "differences": {}, "exit": 0,
    }  # fmt: skip
    assert again == first | {"sent": 0, "taken_out": []}
    assert "sent now: 1" in text
    assert "KHỚP / RECONCILED" in text
    expected = dict.fromkeys([*installed[2:], *more], State.ENROLLED)
    expected |= {installed[0]: State.RETIRED, installed[1]: State.REVOKED}
    assert _states(shop.fleet.inventory) == _states(shop.folder / "laptop" / "inventory.db") == expected
    with open_inventory(shop.fleet.inventory) as fleet, open_inventory(shop.folder / "laptop/inventory.db") as laptop:
        for device_id in installed[2:]:
            here, there = laptop.box(device_id), fleet.box(device_id)
            assert here is not None
            assert there is not None
            assert (here.identity, here.mqtt_key) == (there.identity, there.mqtt_key)
            assert there.serial == ""


def test_without_internet_there_is_a_file(shop: Workshop) -> None:
    """Nobody answers: exit 69, and the signed file that `fleet adopt` takes; the next evening on line sends nothing."""
    _install(shop, 2)
    home = shop.folder / "laptop"
    _provision("bench", "sync", shop.batch.path, "--home", home, "--wait", "1", "--json", expect=69, folder=shop.folder)
    assert _provision("fleet", "adopt", shop.folder / "sync-B-014.json", "--fleet", shop.fleet.folder) == "2 boxes\n"
    with _door(shop) as door, _headquarters(shop, door):
        assert json.loads(_evening(shop, "--json"))["sent"] == 0


def test_a_batch_that_was_ended_changes_nothing(shop: Workshop) -> None:
    """A lost laptop is refused with PRV-03 and nothing of it is taken over."""
    _install(shop, 1)
    with open_inventory(shop.fleet.inventory) as fleet:
        assert fleet.end_batch("B-014", now_s=time.time())
    with _door(shop) as door, _headquarters(shop, door):
        _evening(shop, expect=77)

    assert _states(shop.fleet.inventory) == {}


def test_a_batch_in_two_laptops_is_found_out(shop: Workshop) -> None:
    """Two inventories gave one id to two boxes: headquarters keeps the first, and the second evening says so."""
    _install(shop, 1)
    (shop.folder / "other").mkdir()
    with _door(shop) as door, _headquarters(shop, door):
        _evening(shop)
        (shop.folder / "laptop" / "inventory.db").unlink()
        (shop.folder / "bench.db").unlink()
        (second,) = _install(shop, 1, first=7)
        found = json.loads(_evening(shop, "--json", expect=1))
        (shop.folder / "laptop" / "inventory.db").unlink()
        lost = json.loads(_evening(shop, "--json", expect=1))
        text = _evening(shop, expect=1)

    assert (found["differences"], found["exit"]) == ({second: "keys"}, 1)
    assert lost["differences"] == {second: "unknown"}
    assert "có bàn khác?" in text


@asynccontextmanager
async def _office(shop: Workshop, inventory: Inventory) -> AsyncIterator[SyncDesk]:
    """The desk's decision without a broker, held to the published contract."""

    class CheckedDesk(SyncDesk):
        def answer(self, name: str, payload: bytes) -> bytes:
            schema_check.validate(QUESTION, payload)
            answer = super().answer(name, payload)
            schema_check.validate(RESULT, answer)
            return answer

    yield CheckedDesk(signer=shop.fleet.signer, inventory=inventory)


async def test_cut_off_after_every_answer(shop: Workshop) -> None:
    """The line breaks after the first, second, ... answer: each next run sends only what is still missing."""
    installed = _install(shop, 30)
    sizes, whole = [], None
    with open_inventory(shop.fleet.inventory) as fleet, open_inventory(shop.folder / "laptop/inventory.db") as laptop:
        async with _office(shop, fleet) as office:
            for allowed in range(2, 9):
                left = allowed
                carried: list[int] = []

                async def ask(assignments: tuple[str, ...]) -> Answer:
                    nonlocal left
                    left -= 1
                    if not left:
                        raise UnavailableError("the line broke")
                    question = Question(batch="B-014", nonce="n", assignments=assignments, retired=())
                    carried.append(len(assignments))  # noqa: B023 (called within this turn of the loop)
                    document = office.answer(BENCH, sync.write_question(question, shop.batch.bench_key))
                    return sync.read_answer(document, shop.fleet.signer.public_key())

                with suppress(UnavailableError):
                    whole = await reconcile(shop.batch, laptop, ask, sent=lambda _done, _total: None)
                sizes.append(sum(carried))
                if whole is not None:
                    break

    assert whole is not None
    assert whole.exit_code == 0
    assert sum(sizes) == len(installed)
    assert len(sizes) > 2
    assert set(_states(shop.fleet.inventory)) == set(installed)


def test_the_desk_believes_the_benchs_signature_only(shop: Workshop) -> None:
    """Another key, another topic, another batch's name, a changed byte, an assignment that the bench did not sign."""
    installed = _install(shop, 2)
    stranger = Ed25519PrivateKey.generate()
    with open_inventory(shop.folder / "laptop/inventory.db") as laptop:
        given = tuple(document.decode() for document in laptop.answers("B-014"))
    question = Question(batch="B-014", nonce="n", assignments=given, retired=())
    good = sync.write_question(question, shop.batch.bench_key)
    forged = given[0].replace(installed[0], shop.batch.manifest.ids[9])
    with open_inventory(shop.fleet.inventory) as fleet:
        here = SyncDesk(signer=shop.fleet.signer, inventory=fleet)

        def refused(name: str, payload: bytes) -> str:
            answer = here.answer(name, payload)
            schema_check.validate(RESULT, answer)
            return sync.read_answer(answer, shop.fleet.signer.public_key()).refused

        assert refused(BENCH, sync.write_question(question, stranger)) == "PRV-05"
        assert refused("bench-B-015", good) == "PRV-03"
        assert refused(BENCH, good.replace(b'"nonce":"n"', b'"nonce":"m"')) == "PRV-05"
        assert refused(BENCH, b"\xff") == "PRV-05"
        mixed = Question(batch="B-014", nonce="n", assignments=(given[1], forged), retired=())
        assert refused(BENCH, sync.write_question(mixed, shop.batch.bench_key)) == "PRV-05"
        assert _states(shop.fleet.inventory) == {}
        assert refused(BENCH, good) == ""
        # What is not of this batch cannot be retired by it, and what was revoked stays revoked.
        fleet.retire(installed[0], State.REVOKED, "stolen")
        late = Question(batch="B-014", nonce="n", assignments=(), retired=("3N8QW0TZ5F", *installed))
        assert refused(BENCH, sync.write_question(late, shop.batch.bench_key)) == ""

    assert _states(shop.fleet.inventory) == {installed[0]: State.REVOKED, installed[1]: State.RETIRED}


async def test_the_bench_believes_headquarters_only(shop: Workshop) -> None:
    """A false desk at the broker, with a certificate of the batch CA, retires nothing at the bench."""
    _install(shop, 1)
    false = certificates.new_client(shop.batch.ca, enrolment_service.DESK, unit="desk", now_s=time.time(), days=1)
    with _door(shop) as door, open_inventory(shop.folder / "false.db") as inventory:
        inventory.plan(shop.batch.manifest)
        inventory.retire(shop.batch.manifest.ids[0], State.REVOKED, "a lie")
        told: list[str] = []
        working = asyncio.create_task(
            enrolment_service.serve(
                enrolment_service.Desk(issuing=shop.fleet.issuing, inventory=inventory),
                door.settings("false", false),
                told=lambda name, _answer: told.append(name),
                evening=SyncDesk(signer=Ed25519PrivateKey.generate(), inventory=inventory),
            )
        )
        await eventually(lambda: has_subscriber(door.log, enrolment_service.DESK))
        await asyncio.to_thread(_evening, shop, "--wait", "4", expect=69)
        working.cancel()
        await asyncio.wait([working])

    assert told == [BENCH]
    assert set(_states(shop.folder / "laptop" / "inventory.db").values()) == {State.ENROLLED}


@pytest.mark.parametrize(
    ("client", "topic", "allowed"),
    [
        (BENCH, QUESTION, True),
        (BENCH, RESULT, False),
        (BENCH, "edge-scanner/v1/bench/bench-B-015/sync", False),
        (BENCH, "edge-scanner/v1/enrol/bench-B-014/csr", True),
        (BENCH, "edge-scanner/v1/enrol/boot-04HMASW9Z6/csr", False),
        ("boot-04HMASW9Z6", QUESTION, False),
        ("fleet-enrol", RESULT, True),
        ("fleet-enrol", QUESTION, False),
    ],
)
async def test_who_may_say_what(shop: Workshop, client: str, topic: str, *, allowed: bool) -> None:
    """A bench asks under its own name and only the desk answers."""
    with _door(shop) as door:
        holder = certificates.new_client(shop.batch.ca, client, unit="x", now_s=time.time(), days=1)
        async with open_broker(door.settings(client, holder), client_id=client) as broker:
            async with asyncio.timeout(PATIENCE_S):
                await broker.connected()
            code = await broker.publish(_message(topic))

    assert (code < 0x80, allowed or code == REFUSED) == (allowed, True)


async def test_a_bench_hears_its_own_answer_only(shop: Workshop) -> None:
    """Whatever it subscribes to, what is said to another bench or asked by one does not reach it."""
    with _door(shop) as door:
        holder = certificates.new_client(shop.batch.ca, BENCH, unit="bench", now_s=time.time(), days=1)
        async with (
            open_broker(door.settings(BENCH, holder), client_id=BENCH) as bench,
            open_broker(door.client(enrolment_service.DESK), client_id=enrolment_service.DESK) as office,
        ):
            async with asyncio.timeout(PATIENCE_S):
                await bench.connected()
                await office.connected()
            await bench.subscribe("#")
            for topic in (
                "edge-scanner/v1/bench/bench-B-015/result",
                "edge-scanner/v1/enrol/boot-04HMASW9Z6/cert",
                RESULT,
            ):
                assert await office.publish(_message(topic)) < 0x80
            async with asyncio.timeout(PATIENCE_S):
                first = await anext(bench.messages())

    assert first.topic == RESULT


def _message(topic: str) -> Message:
    return Message(kind=MessageKind.ENROL, topic=topic, payload=b"{}", key=topic, created_s=0.0)


def test_the_largest_batch_fits_the_broker(shop: Workshop) -> None:
    """How 500 boxes stand, and the fullest page of assignments, stay below the packet limit of the shipped broker."""
    boxes = tuple(
        Standing(device_id=f"K7MP2R{number:04d}", state=State.ENROLLED, identity="f" * 16, mqtt="f" * 16)
        for number in range(500)
    )
    answer = Answer(batch="B" * 16, nonce="f" * 32, at_s=1_800_000_000, boxes=boxes, refused="", what="")
    document = sync.write_answer(answer, shop.fleet.signer)
    _install(shop, 1)
    with open_inventory(shop.folder / "laptop/inventory.db") as laptop:
        (given,) = laptop.answers("B-014")
    page = sync.pages([given] * 100)[0]
    retired = tuple(box.device_id for box in boxes)
    question = Question(batch="B" * 16, nonce="f" * 32, assignments=page, retired=retired)
    asked = sync.write_question(question, shop.batch.bench_key)

    (limit,) = [
        int(line.split()[1])
        for line in (centre.CONFIG / "enrolment.conf").read_text().splitlines()
        if line.startswith("max_packet_size")
    ]
    assert max(len(document), len(asked)) < sync.MAX_BYTES < limit - 1024
    assert sync.read_answer(document, shop.fleet.signer.public_key()) == answer
    assert sync.read_question(asked, shop.batch.bench_key.public_key()) == question
