"""A pull over a real mosquitto with mutual TLS: box and asker, absent boxes, killed brokers, crashes of either side."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority.collect.boxes import Box
from edge_scanner.authority.collect.collection import Collection, State
from edge_scanner.authority.collect.pull import collect
from edge_scanner.core.log import bundle
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.pull import answer
from edge_scanner.core.pull import request as requests
from edge_scanner.device.central.pull import answered
from edge_scanner.mqtt.broker import open_broker
from tests.support.authority import edge_authority
from tests.support.box_lists import write_boxes
from tests.support.doors import heard
from tests.support.mosquitto import Mosquitto, has_subscriber
from tests.support.office import AUTHORITY, HOUR_S, Office
from tests.support.ports import free_port
from tests.support.pulling import pull_box
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from edge_scanner.authority.collect.pull import Outcome
    from edge_scanner.mqtt.broker import Broker
    from tests.support.pulling import PullBox

NOW_S = 1_795_903_200 + 600
Protocol = Literal["auto", "5", "3.1.1"]
ACL = Path(__file__).parents[4] / "config" / "broker" / "acl"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with the fleet's own permissions."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, listen="mutual", acl=ACL.read_text()) as broker:
        yield broker


@asynccontextmanager
async def connected(mosquitto: Mosquitto, name: str, protocol: Protocol = "auto") -> AsyncIterator[Broker]:
    """A connection under the name of its certificate."""
    async with open_broker(mosquitto.settings(client=name, protocol=protocol), client_id=name) as broker:
        async with asyncio.timeout(PATIENCE_S):
            await broker.connected()
        yield broker


@asynccontextmanager
async def on_line(mosquitto: Mosquitto, box: PullBox, protocol: Protocol = "auto") -> AsyncIterator[None]:
    """The box's answering task, until the block ends."""
    async with connected(mosquitto, box.identity.device_id, protocol) as broker:
        task = asyncio.create_task(box.answer(broker))
        try:
            await eventually(lambda: task.done() or has_subscriber(mosquitto.log, box.identity.device_id))
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()):
                raise error


class Desk:
    """An authority's laptop: the request, where bundles go, and what was seen on the way."""

    def __init__(self, folder: Path, office: Office, *boxes: PullBox) -> None:
        self.folder = folder
        self.boxes = {box.identity.device_id: box.box for box in boxes}
        self.document = office.signed(office.request(*self.boxes))
        self.asked = requests.read(self.document)
        self.seen: list[tuple[str, State]] = []

    async def pull(self, mosquitto: Mosquitto, protocol: Protocol = "auto") -> tuple[Outcome, ...]:
        """One run of the command."""
        async with connected(mosquitto, AUTHORITY, protocol) as broker:
            return await collect(
                broker,
                self.document,
                self.asked,
                self.boxes,
                self.folder,
                on_change=self._note,
                now=lambda: float(NOW_S),
            )

    def _note(self, collection: Collection) -> None:
        self.seen.append((collection.box.device, collection.state))

    def verify(self, device: str) -> int:
        """Segments of the bundle on disk, each checked; raises a LogError."""
        box, folder = self.boxes[device], self.folder / device
        manifest = bundle.read_manifest((folder / bundle.MANIFEST_NAME).read_bytes(), device=device, identity=box.key)
        with (folder / bundle.BODY_NAME).open("rb") as body:
            return len(list(bundle.verify_bundle(manifest, iter(lambda: body.read(65536), b""), identity=box.key)))


@pytest.mark.parametrize(
    ("of_boxes", "of_desk"), [("auto", "auto"), ("3.1.1", "3.1.1"), ("3.1.1", "5"), ("5", "3.1.1")]
)
async def test_two_boxes_answer_at_once(
    mosquitto: Mosquitto, tmp_path: Path, of_boxes: Protocol, of_desk: Protocol
) -> None:
    """Both bundles arrive whole, verify, and stand in the boxes' audit trails; the venues may see it."""
    office, people = Office(NOW_S), parties(NOW_S)
    async with AsyncExitStack() as stack:
        boxes = [
            await stack.enter_async_context(
                pull_box(tmp_path / name, office, people, device=name, start_s=NOW_S - 4 * HOUR_S, end_s=NOW_S)
            )
            for name in ("K7MP2R9CX4", "7K3M9Q2X4T")
        ]
        for box in boxes:
            await stack.enter_async_context(on_line(mosquitto, box, of_boxes))
        desk = Desk(tmp_path / "desk", office, *boxes)

        outcome = await desk.pull(mosquitto, of_desk)

        assert [one.state for one in outcome] == [State.DONE, State.DONE]
        assert [desk.verify(device) for device in desk.boxes] == [3, 3]
        for box in boxes:
            trail = [answer.parse_audit(row.entry) async for row in box.store.audit_rows()]
            assert [entry.action for entry in trail] == [AuditAction.REQUEST, AuditAction.ANSWER]
            assert trail[1].people == ("health-officer: BS. Nguyễn Thị An", "approver: Trần Văn Bình")
            pulls, count = await answered(box.store, NOW_S)
            assert (count, pulls[0].case) == (1, "HCM-2026-0417")
            announced = [json.loads(row.message.payload) for row in await box.store.oldest(9)]
            assert announced[-1]["head"] == [row async for row in box.store.audit_rows()][-1].digest.hex()


async def test_an_absent_box_is_told_from_an_unknown_one(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The request waits at the broker for a box that was there before; a box nobody knows is called unknown."""
    office, people = Office(NOW_S), parties(NOW_S)
    async with AsyncExitStack() as stack:
        absent, never = [
            await stack.enter_async_context(
                pull_box(tmp_path / name, office, people, device=name, start_s=NOW_S - 2 * HOUR_S, end_s=NOW_S)
            )
            for name in ("K7MP2R9CX4", "7K3M9Q2X4T")
        ]
        async with on_line(mosquitto, absent):
            await eventually(lambda: has_subscriber(mosquitto.log, absent.identity.device_id))
        desk = Desk(tmp_path / "desk", office, absent, never)

        run = asyncio.create_task(desk.pull(mosquitto))
        await eventually(lambda: len(desk.seen) >= 4)
        assert (absent.identity.device_id, State.QUEUED) in desk.seen
        assert (never.identity.device_id, State.UNKNOWN) in desk.seen
        async with on_line(mosquitto, absent):
            await eventually(lambda: (absent.identity.device_id, State.DONE) in desk.seen)
        run.cancel()
        await asyncio.wait([run])

        assert desk.verify(absent.identity.device_id) == 2


async def test_killed_brokers_and_crashes_of_both_sides_cost_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The broker dies in the middle, then the asker, then the box restarts: the bytes are the same in the end."""
    office, people = Office(NOW_S), parties(NOW_S)
    async with pull_box(
        tmp_path / "box", office, people, start_s=NOW_S - 24 * HOUR_S, end_s=NOW_S, closed=False
    ) as box:
        device = box.identity.device_id
        desk = Desk(tmp_path / "desk", office, box)
        request = office.request(device, from_s=NOW_S - 23 * HOUR_S, to_s=NOW_S)
        desk.document = office.signed(request)
        desk.asked = requests.read(desk.document)
        part = desk.folder / device / "body.part"

        async with on_line(mosquitto, box):
            run = asyncio.create_task(desk.pull(mosquitto))
            await eventually(part.exists)
            mosquitto.restart()
            run.cancel()
            await asyncio.wait([run])
            run = asyncio.create_task(desk.pull(mosquitto))
            await asyncio.sleep(0.3)
            mosquitto.kill()
            run.cancel()
            await asyncio.wait([run])
        mosquitto.start()
        async with on_line(mosquitto, box):
            outcome = await desk.pull(mosquitto)

        assert [one.state for one in outcome] == [State.DONE]
        assert desk.verify(device) == 24
        trail = [answer.parse_audit(row.entry) async for row in box.store.audit_rows()]
        assert [entry.action for entry in trail].count(AuditAction.ANSWER) == 1


async def test_a_refusal_is_told_with_its_code(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Too wide an order is refused by the box and ends the run; asking again ends it again."""
    office, people = Office(NOW_S), parties(NOW_S)
    async with (
        pull_box(tmp_path / "box", office, people, start_s=NOW_S - 2 * HOUR_S, end_s=NOW_S) as box,
        on_line(mosquitto, box),
    ):
        desk = Desk(tmp_path / "desk", office, box)
        request = office.request(box.identity.device_id, from_s=NOW_S - 30 * HOUR_S)
        desk.document = office.signed(request)
        desk.asked = requests.read(desk.document)

        outcome = await desk.pull(mosquitto)

        assert [(one.state, one.code) for one in outcome] == [(State.REFUSED, "too_wide")]


async def test_an_order_that_runs_out_ends_the_pull(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """When the request expires the asker stops asking, whoever has not answered."""
    office, people = Office(NOW_S), parties(NOW_S)
    async with pull_box(tmp_path / "box", office, people, start_s=NOW_S - HOUR_S, end_s=NOW_S) as box:
        desk = Desk(tmp_path / "desk", office, box)
        request = replace(desk.asked.request, expires_s=NOW_S + 1)
        desk.document = office.signed(request)
        desk.asked = requests.read(desk.document)

        async with asyncio.timeout(PATIENCE_S):
            outcome = await desk.pull(mosquitto)

        assert [one.state for one in outcome] == [State.UNKNOWN]


async def test_the_broker_lets_nobody_else_ask_or_read(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A collector can neither send a request nor see an answer; another box cannot speak in this one's name."""
    office, people = Office(NOW_S), parties(NOW_S)
    async with (
        pull_box(tmp_path / "box", office, people, start_s=NOW_S - 2 * HOUR_S, end_s=NOW_S) as box,
        on_line(mosquitto, box),
    ):
        desk = Desk(tmp_path / "desk", office, box)
        async with connected(mosquitto, "fleet-collector") as collector:
            await collector.subscribe("edge-scanner/v1/a/#")
            outcome = await desk.pull(mosquitto)
            assert await heard(collector) == []

        assert [one.state for one in outcome] == [State.DONE]


async def test_the_program_says_what_is_still_missing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Exit code 69 and a way on while a box is unknown, 77 after a refusal, 0 at the end; other requests keep out."""
    people, now_s = parties(NOW_S), int(time.time())
    live = Office(now_s)
    async with pull_box(tmp_path / "box", live, people, start_s=NOW_S - HOUR_S, end_s=NOW_S) as box:
        files = mosquitto.authority.issue(AUTHORITY)
        asked = Box(device=box.identity.device_id, site="x", room="", name="", identity=box.identity.public_key)
        inventory = write_boxes(tmp_path / "boxes.csv", [asked])

        async def pull(request: requests.Request, out: str) -> tuple[int, str, str]:
            path = tmp_path / "request.json"
            path.write_bytes(live.signed(request))
            program = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "edge_scanner.authority.cli", "pull", path, "--boxes", inventory,
                "--out", tmp_path / out, "--broker", f"127.0.0.1:{mosquitto.port}", "--ca", mosquitto.authority.file,
                "--certificate", files.certificate, "--certificate-key", files.key, "--wait", "20", "--json",
                "--lang", "en", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            stdout, stderr = await program.communicate()
            return program.returncode or 0, stdout.decode(), stderr.decode()

        good = live.request(box.identity.device_id, from_s=now_s - 600, to_s=now_s - 60)
        box.clock.utc_s = now_s
        async with on_line(mosquitto, box):
            code, stdout, stderr = await pull(good, "good")
            assert (code, json.loads(stdout)["boxes"][0]["state"]) == (0, "done"), stderr
            code, stdout, _ = await pull(live.request(box.identity.device_id, from_s=now_s - 100_000), "wide")
            assert (code, json.loads(stdout)["boxes"][0]["code"]) == (77, "too_wide")
            code, _, stderr = await pull(live.request(box.identity.device_id), "good")
            assert code == 65
            assert "another request" in stderr


async def test_a_broker_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The command waits for it, says why, and ends with 69 and a way on."""
    live = Office(int(time.time()))
    (tmp_path / "request.json").write_bytes(live.signed(live.request("K7MP2R9CX4")))
    write_boxes(
        tmp_path / "boxes.csv",
        [
            Box(
                device="K7MP2R9CX4",
                site="x",
                room="",
                name="",
                identity=Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
            )
        ],
    )

    done = await asyncio.to_thread(
        edge_authority, "pull", tmp_path / "request.json", "--boxes", tmp_path / "boxes.csv", "--out",
        tmp_path / "out", "--broker", f"127.0.0.1:{free_port()}", "--plain", "--wait", "2", "--lang", "en",
    )  # fmt: skip

    assert done.code == 69
    assert "cannot be reached" in done.stderr
    assert "run the same command again" in done.stderr


async def test_a_mistyped_broker_ends_with_its_code_and_advice(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """A name that nobody knows is not waited for: BRK-01 as on the box's sheet, what to do, exit 69."""
    office, settings = Office(int(time.time())), mosquitto.settings(client=AUTHORITY)
    async with pull_box(
        tmp_path / "box", office, parties(office.now_s), start_s=office.now_s, end_s=office.now_s
    ) as box:
        write_boxes(tmp_path / "boxes.csv", [box.box])
    (tmp_path / "approved.json").write_bytes(office.signed(office.request(box.box.device)))

    done = await asyncio.to_thread(
        edge_authority, "pull", tmp_path / "approved.json", "--boxes", tmp_path / "boxes.csv", "--out", tmp_path / "in",
        "--broker", "no-such-host.invalid", "--ca", settings.ca, "--certificate", settings.certificate,
        "--certificate-key", settings.key,
    )  # fmt: skip

    assert done.code == 69
    assert "BRK-01" in done.stderr.splitlines()[-1]
    assert "no-such-host.invalid" in done.stderr.splitlines()[-1]
