"""A pull over a slow line in simulated time: a box that has answered, and what was sent until the other side had all.

Asker, box and the `Broker` between them are the program's own; the line and the clock are simulated. The rows are those
of a real store, read beforehand, because simulated time waits for no thread.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_scanner.authority.collect.pull import collect
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import request as requests
from edge_scanner.device.central.downlink import follow
from tests.support.memory_broker import MemoryCentre
from tests.support.office import AUTHORITY, HOUR_S, Office
from tests.support.pulling import PullBox, pull_box
from tests.support.recipients import parties
from tests.support.slow_line import SlowCentre
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_scanner.authority.collect.collection import Collection, State
    from edge_scanner.core.model import BootRecord, Frame, Leaf, SegmentHeader
    from edge_scanner.core.pull.request import Request
    from edge_scanner.device.storage.rows import AuditRow
    from edge_scanner.mqtt.uplink import Broker
    from tests.support.slow_line import Line

NOW_S = 1_795_903_200 + 600
HOURS = 6

LINES = [  # bytes a second, delay one way, share of packets lost
    (2_000, 0.05, 0.0),
    (8_000, 0.05, 0.0),
    (8_000, 0.05, 0.05),
    (8_000, 0.6, 0.0),
    (64_000, 0.05, 0.0),
    (64_000, 0.05, 0.05),
    (1_000_000, 0.6, 0.05),
    (1_000_000, 0.02, 0.0),
]


class Shelf:
    """A store's rows in memory, for reading only."""

    def __init__(self) -> None:
        self._audit: list[AuditRow] = []
        self._boots: list[BootRecord] = []
        self._leaves: list[Leaf] = []
        self._headers: list[SegmentHeader] = []
        self._frames: dict[int, list[Frame]] = {}

    @classmethod
    async def of(cls, box: PullBox) -> Shelf:
        """What the box has stored."""
        shelf, store = cls(), box.store
        shelf._audit = [row async for row in store.audit_rows()]
        shelf._boots = [boot async for boot in store.boots()]
        shelf._leaves = [leaf async for leaf in store.leaves()]
        shelf._headers = [header async for header in store.headers(float("-inf"), float("inf"))]
        shelf._frames = {header.seq: [frame async for frame in store.frames(header.seq)] for header in shelf._headers}
        return shelf

    async def audit_rows(self) -> AsyncIterator[AuditRow]:
        """The audit trail."""
        for row in self._audit:
            yield row

    async def boots(self) -> AsyncIterator[BootRecord]:
        """The boots."""
        for boot in self._boots:
            yield boot

    async def leaves(self) -> AsyncIterator[Leaf]:
        """The leaves."""
        for leaf in self._leaves:
            yield leaf

    async def headers(self, _from_s: float, _to_s: float) -> AsyncIterator[SegmentHeader]:
        """All headers, as the hours of a request are all there are."""
        for header in self._headers:
            yield header

    async def frames(self, seq: int) -> AsyncIterator[Frame]:
        """A segment's frames."""
        for frame in self._frames[seq]:
            yield frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A box that has answered a request."""

    box: PullBox
    document: bytes


@asynccontextmanager
async def answered_box(folder: Path) -> AsyncIterator[Answered]:
    """Some hours of a box, asked for and answered over a fast line."""
    office = Office(NOW_S)
    async with pull_box(folder, office, parties(NOW_S), start_s=NOW_S - (HOURS + 2) * HOUR_S, end_s=NOW_S) as box:
        request: Request = office.request(box.identity.device_id)
        document = office.signed(replace(request, from_s=NOW_S - (HOURS + 1) * HOUR_S))
        centre = MemoryCentre()
        async with centre.open(box.identity.device_id) as broker:
            await broker.connected()
            answerer = box.answerer(broker)
            await answerer.begin()
            await answerer.handle(document)
            await eventually(lambda: centre.published)
        yield Answered(box=replace(box, store=await Shelf.of(box)), document=document)  # type: ignore[arg-type]


class Watch:
    """A pull in simulated time: how long it took, and the remaining times that were shown on the way."""

    def __init__(self) -> None:
        self.took_s = 0.0
        self.shown: list[tuple[float, float]] = []
        self.connections: list[int] = []
        self.speaks_every_s = 0.0
        self.waited: list[float] = []

    async def pull(self, answered: Answered, centre: SlowCentre, folder: Path) -> tuple[State, ...]:
        """Ask, with the request sent before."""
        device, asked = answered.box.identity.device_id, requests.read(answered.document)
        (folder / device).mkdir(parents=True)
        (folder / device / "sent").touch()
        loop = asyncio.get_running_loop()

        def note(collection: Collection) -> None:
            if collection.remaining_s is not None:
                self.shown.append((loop.time(), collection.remaining_s))

        async with centre.open(device) as theirs, centre.open(AUTHORITY) as ours:
            await theirs.connected()
            await ours.connected()
            tasks = [
                asyncio.create_task(self._answer(answered.box, theirs)),
                asyncio.create_task(self._speak(theirs)),
            ]
            outcome = await collect(
                ours,
                answered.document,
                asked,
                {device: answered.box.box},
                folder,
                on_change=note,
                now=lambda: NOW_S + loop.time(),
            )
            self.took_s = loop.time()
            self.connections = [theirs.connections_total, ours.connections_total]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return tuple(one.state for one in outcome)

    async def _answer(self, box: PullBox, broker: object) -> None:
        answerer = box.answerer(broker)
        await answerer.begin()
        await follow(broker, {answerer.topic: answerer.take})  # type: ignore[arg-type]

    async def _speak(self, broker: Broker) -> None:
        loop = asyncio.get_running_loop()
        while self.speaks_every_s:
            began_s = loop.time()
            message = Message(kind=MessageKind.HEALTH, topic="up/health", payload=bytes(900), key="x", created_s=NOW_S)
            await broker.publish(message)
            self.waited.append(loop.time() - began_s)
            await asyncio.sleep(self.speaks_every_s)


def wanted(folder: Path) -> int:
    """Bytes of what arrived."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.name in ("manifest.json", "body.bin"))


def centre(answered: Answered, line: Line, whose: str) -> SlowCentre:
    """A broker with the box or the authority behind this line."""
    if whose == "box":
        return SlowCentre(up={answered.box.identity.device_id: line})
    return SlowCentre(down={AUTHORITY: line})
