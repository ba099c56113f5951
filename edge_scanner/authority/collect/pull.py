"""COMMAND edge-authority pull: hand a signed request to many boxes at once and collect what they answer. docs/pull.md.

The asker is the patient side. Boxes are away for days, brokers restart and laptops close: whatever has arrived is on
disk (collection.py), and the same command goes on from there. It asks for pieces by number, so it alone decides how
much is under way: a window a box, measured from what its line brings (core/pull/pace.py), and a ceiling over all, below
what a broker queues for one client before it silently drops.

A piece that is late is not asked for again while there are others to ask for: on a slow line it is still under way, and
each repeat would hold up the rest.

The broker's answer to a request tells an absent box (0x00: somebody's session waits for it) from an unknown one (0x10).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.authority.collect.collection import Collection, State
from edge_scanner.core.errors import MalformedError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import answer, pace
from edge_scanner.core.pull.answer import PIECE_BYTES, Fetch, Part
from edge_scanner.core.pull.pace import Pace
from edge_scanner.mqtt.uplink import REFUSED_FROM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.core.pull.request import Asked
    from edge_scanner.mqtt.broker import Broker

WINDOW = 24
"""Pieces of one box under way at most, 1.2 MB; twice what a line of 100 Mbit/s holds in 50 ms."""
BATCHES = 3
"""The window refills in thirds, so that the box is never idle."""
CEILING = 240
"""Pieces of all boxes under way; a mosquitto queues 1,000 messages for a client and drops the rest in silence."""
ANSWER_S = 3.0
"""An answer to `what did you answer?` is one round trip away, or nobody is there."""
REPEAT_S = 60.0
"""A request without an answer is repeated after this; doubles up to MAX_REPEAT_S. Repeats expire with the next one."""
MAX_REPEAT_S = 6 * 3600.0
UNKNOWN_S = 15.0
"""A box that nobody has heard of may be switched on for the first time."""
NO_SUBSCRIBER = 0x10
_FETCH_LIFE_S = 60.0
"""A box that was away finds few fetches that nobody waits for; on a slow line they may wait longer."""
_FULL_S = 1.0
"""Between two looks whether the boxes together leave room under the ceiling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one box stands at the end."""

    device: str
    state: State
    code: str
    bytes: int
    dropped: int


async def collect(
    broker: Broker,
    document: bytes,
    asked: Asked,
    boxes: Mapping[str, Box],
    folder: Path,
    *,
    on_change: Callable[[Collection], None] = lambda _collection: None,
    now: Callable[[], float] = time.time,
) -> tuple[Outcome, ...]:
    """Ask every box of the request and collect until all are done, have refused, or the request has expired.

    Cancelling at any moment loses nothing; calling again goes on. Raises StorageError, UnavailableError when the broker
    refuses the subscription.
    """
    request = asked.request
    collections = {device: Collection(folder / device, boxes[device], request) for device in request.devices}
    asker = _Asker(broker, document=document, asked=asked, collections=collections, on_change=on_change, now=now)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, request.expires_s - now())):
            await asker.run()
    return outcomes(collections.values())


def outcomes(collections: Iterable[Collection]) -> tuple[Outcome, ...]:
    """The end of each box."""
    return tuple(
        Outcome(device=one.box.device, state=one.state, code=one.code, bytes=one.progress[0], dropped=one.dropped)
        for one in collections
    )


class _Asker:
    """All boxes of one request over one connection."""

    def __init__(
        self,
        broker: Broker,
        *,
        document: bytes,
        asked: Asked,
        collections: Mapping[str, Collection],
        on_change: Callable[[Collection], None],
        now: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._document = document
        self._request = asked.request
        self._collections = collections
        self._on_change = on_change
        self._now = now
        self._under_way = 0
        self._news = {device: asyncio.Event() for device in collections}
        self._asked: dict[str, set[tuple[Part, int]]] = {device: set() for device in collections}
        self._late: dict[str, set[tuple[Part, int]]] = {device: set() for device in collections}
        self._paces = {device: Pace(WINDOW) for device in collections}
        self._all = Pace(CEILING)

    async def run(self) -> None:
        for collection in self._collections.values():
            self._on_change(collection)
        if all(collection.finished for collection in self._collections.values()):
            return
        await self._broker.subscribe(answer.inbox(self._request.authority))
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(), name="listen")
            await asyncio.wait(
                [
                    group.create_task(self._drive(collection), name=f"box {collection.box.device}")
                    for collection in self._collections.values()
                ]
            )
            listening.cancel()

    async def _listen(self) -> None:
        """Hand what comes in to its box; the topic's name is the broker's word and only says whom to ask."""
        async for incoming in self._broker.messages():
            levels = incoming.topic.split("/")
            collection = self._collections.get(levels[-2]) if len(levels) > 1 else None
            if collection is None or collection.finished:
                continue
            if levels[-1] == "answer":
                if collection.take_answer(incoming.payload):
                    self._tell(collection)
            elif levels[-1] == "piece":
                self._take_piece(collection, incoming.payload)

    def _take_piece(self, collection: Collection, payload: bytes) -> None:
        try:
            piece = answer.parse_piece(payload)
        except MalformedError:
            collection.dropped += 1
            return
        device, one = collection.box.device, (piece.part, piece.number)
        taken = collection.take_piece(piece)
        if one in self._asked[device]:
            self._asked[device].discard(one)
            self._under_way -= 1
        self._late[device].discard(one)
        if taken:
            now_s, own = asyncio.get_running_loop().time(), self._paces[device]
            for line in (own, self._all):
                line.came(now_s, len(piece.data))
            done, total = collection.progress
            collection.remaining_s = own.remaining_s(total - done, now_s)
        if taken or collection.finished:
            self._tell(collection)

    def _tell(self, collection: Collection) -> None:
        self._news[collection.box.device].set()
        self._on_change(collection)

    async def _drive(self, collection: Collection) -> None:
        """One box from the request to its last piece."""
        while not collection.finished:
            try:
                await self._broker.connected()
                if collection.answer is None:
                    await self._ask(collection)
                else:
                    await self._fetch(collection)
            except UnavailableError:
                self._forget(collection)
                await asyncio.sleep(0.2)

    async def _ask(self, collection: Collection) -> None:
        """Send the request and wait for an answer; repeat with patience.

        Where it was sent before, the box may have answered while we were cut off, so it is asked for that first.
        """
        loop = asyncio.get_running_loop()
        connection, wait_s = self._broker.connections_total, REPEAT_S
        expires_s = float(self._request.expires_s)
        while _unanswered(collection):
            if collection.sent:
                await self._send_fetch(collection, Part.ANSWER, ())
                if await self._wait(collection, ANSWER_S) and not _unanswered(collection):
                    return
            code = await self._publish(collection, self._document, expires_s)
            if code >= REFUSED_FROM:
                raise UnavailableError(
                    f"the broker refuses the request (0x{code:02x})",
                    where=answer.request_topic(collection.box.device),
                    hint="is this certificate allowed to ask?",
                )
            unknown = code == NO_SUBSCRIBER
            if not unknown:
                collection.mark_sent()
            if _unanswered(collection) and collection.state is not State.DOUBTED:
                collection.state = State.UNKNOWN if unknown else State.QUEUED
                self._on_change(collection)
            # By the loop's own clock: a laptop whose clock is set would wait for hours.
            deadline_s = loop.time() + (UNKNOWN_S if unknown else wait_s)
            while loop.time() < deadline_s and _unanswered(collection):
                if await self._wait(collection, 1.0):
                    break
                if self._broker.connections_total != connection or not self._broker.is_connected:
                    # The broker may have forgotten what it held for the box.
                    return
            wait_s = min(MAX_REPEAT_S, 2 * wait_s)
            expires_s = min(float(self._request.expires_s), self._now() + wait_s)

    async def _fetch(self, collection: Collection) -> None:
        """Keep as much under way as the line carries, until everything is here."""
        asked, own = self._asked[collection.box.device], self._paces[collection.box.device]
        connection = self._broker.connections_total
        while not collection.finished and self._broker.connections_total == connection:
            window = own.window(asyncio.get_running_loop().time())
            batch = -(-window // BATCHES)
            room = min(window - len(asked), CEILING - self._under_way)
            if room >= batch or (not asked and room > 0):
                if wanted := self._next(collection, min(batch, room)):
                    await self._send_fetch(collection, wanted[0][0], tuple(number for _, number in wanted))
                    continue
            elif not asked:
                await asyncio.sleep(_FULL_S)
                continue
            if not await self._wait(collection, self._patience_s(own)):
                own.late()
                collection.remaining_s = None
                self._forget(collection)
                self._on_change(collection)
        self._forget(collection)

    def _next(self, collection: Collection, limit: int) -> list[tuple[Part, int]]:
        """What to ask for now, noted as under way; late ones only when nothing else is missing or on its way."""
        asked, late = self._asked[collection.box.device], self._late[collection.box.device]
        wanted = collection.wanted(limit, asked | late)
        if not wanted and not asked:
            late.clear()
            wanted = collection.wanted(limit, asked)
        asked.update(wanted)
        self._under_way += len(wanted)
        now_s = asyncio.get_running_loop().time()
        for line in (self._paces[collection.box.device], self._all):
            line.begin(now_s)
        return wanted

    def _patience_s(self, own: Pace) -> float:
        """A box's own pauses, or as long as all that was asked for needs where the slow line is ours."""
        queued_s = self._all.remaining_s(self._under_way * PIECE_BYTES, asyncio.get_running_loop().time())
        return max(own.patience_s(), min(pace.LONGEST_S, queued_s or 0.0))

    def _forget(self, collection: Collection) -> None:
        """What is under way is late, perhaps lost."""
        asked = self._asked[collection.box.device]
        self._late[collection.box.device] |= asked
        self._under_way -= len(asked)
        asked.clear()

    async def _wait(self, collection: Collection, timeout_s: float) -> bool:
        """Whether there was news in time."""
        news = self._news[collection.box.device]
        try:
            async with asyncio.timeout(timeout_s):
                await news.wait()
        except TimeoutError:
            return False
        news.clear()
        return True

    async def _send_fetch(self, collection: Collection, part: Part, numbers: tuple[int, ...]) -> None:
        fetch = Fetch(request=self._request.digest, part=part, numbers=numbers)
        life_s = max(_FETCH_LIFE_S, self._paces[collection.box.device].patience_s())
        expires_s = min(float(self._request.expires_s), self._now() + life_s)
        await self._publish(collection, answer.pack_fetch(fetch), expires_s)

    async def _publish(self, collection: Collection, payload: bytes, expires_s: float) -> int:
        device, digest = collection.box.device, self._request.digest
        message = Message(
            kind=MessageKind.PULL,
            topic=answer.request_topic(device),
            payload=payload,
            key=f"{device}/pull/{digest.hex()[:16]}",
            created_s=self._now(),
            expires_s=expires_s,
        )
        return await self._broker.publish(
            message, response_topic=answer.answer_topic(self._request.authority, device), correlation=digest
        )


def _unanswered(collection: Collection) -> bool:
    """Whether the request is still to be answered."""
    return collection.answer is None and not collection.finished
