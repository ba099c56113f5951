"""A hostile broker and a hostile box: what they can do to a pull is waste its time.

The broker reads everything, drops, repeats, reorders, truncates, swaps chunks between boxes and forges requests; the
box signs impossible sizes, other hours and contradictions. Frames are real, the network is the in-memory stand-in.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.authority.collect import pull as asking
from edge_scanner.authority.collect.collection import Collection, State
from edge_scanner.authority.collect.pull import collect
from edge_scanner.authority.collect.verify import verify
from edge_scanner.core.log import bundle
from edge_scanner.core.model import Encounter
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull import pace
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.answer import Answer, Fetch, Part, Piece
from tests.support.memory_broker import MemoryCentre
from tests.support.office import AUTHORITY, HOUR_S, Office
from tests.support.pulling import PullBox, pull_box
from tests.support.recipients import parties
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_scanner.authority.collect.pull import Outcome
    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.uplink import Extras

NOW_S = 1_795_903_200 + 600
OFFICE = Office(NOW_S)
PLANTED = hashlib.sha256(b"a phone").digest()[:12]
NAMES = ("K7MP2R9CX4", "7K3M9Q2X4T")


class Hostile(MemoryCentre):
    """A broker that passes each message through `meddle`, which may return none, it, or others."""

    def __init__(self, meddle: Callable[[Message], list[bytes]]) -> None:
        super().__init__()
        self.meddle = meddle

    def accept(self, message: Message, extras: Extras) -> int:
        """Pass on what the enemy likes; say that all is well."""
        code = 0
        for payload in self.meddle(message):
            code = super().accept(replace(message, payload=payload), extras)
        return code


@pytest.fixture
async def boxes(tmp_path: Path) -> AsyncIterator[list[PullBox]]:
    """Two boxes that heard one phone each minute."""
    heard = {
        minute_s: [
            Encounter(
                protocol_tag=1, payload=PLANTED, adverts=3, rssi_mean=-70, rssi_max=-66, first_second=1, last_second=9
            )
        ]
        for minute_s in range(NOW_S - 5 * HOUR_S, NOW_S, 60)
    }
    people = parties(NOW_S)
    async with (
        pull_box(
            tmp_path / "a", OFFICE, people, device=NAMES[0], start_s=NOW_S - 5 * HOUR_S, end_s=NOW_S, heard=heard
        ) as one,
        pull_box(
            tmp_path / "b", OFFICE, people, device=NAMES[1], start_s=NOW_S - 5 * HOUR_S, end_s=NOW_S, heard=heard
        ) as two,
    ):
        yield [one, two]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are noticed in a tenth of a second."""
    monkeypatch.setattr(pace, "FIRST_S", 0.1)
    monkeypatch.setattr(pace, "SHORTEST_S", 0.1)
    monkeypatch.setattr(pace, "LONGEST_S", 0.2)
    monkeypatch.setattr(asking, "REPEAT_S", 0.3)
    monkeypatch.setattr(asking, "ANSWER_S", 0.2)


async def run(
    centre: MemoryCentre,
    boxes: list[PullBox],
    folder: Path,
    enough: Callable[[tuple[Outcome, ...]], bool] = lambda _: False,
) -> tuple[Outcome, ...]:
    """A pull of four hours from both boxes over this centre, until it ends or what it has got so far is `enough`."""
    request = OFFICE.request(*NAMES, from_s=NOW_S - 5 * HOUR_S, to_s=NOW_S - HOUR_S)
    document = OFFICE.signed(request)
    known = {box.identity.device_id: box.box for box in boxes}
    async with (
        centre.open(NAMES[0]) as first,
        centre.open(NAMES[1]) as second,
        centre.open(AUTHORITY) as desk,
    ):
        tasks = [asyncio.create_task(box.answer(broker)) for box, broker in zip(boxes, (first, second), strict=True)]
        for broker in (first, second, desk):
            await broker.connected()
        await asyncio.sleep(0.05)
        found: dict[str, Collection] = {}
        collecting = asyncio.create_task(
            collect(
                desk,
                document,
                requests.read(document),
                known,
                folder,
                on_change=lambda one: found.update({one.box.device: one}),
                now=lambda: float(NOW_S),
            )
        )
        try:
            await eventually(lambda: collecting.done() or enough(asking.outcomes(found.values())))
            return await collecting if collecting.done() else asking.outcomes(found.values())
        finally:
            for task in (collecting, *tasks):
                task.cancel()
            await asyncio.wait([collecting, *tasks])


def whole(folder: Path, boxes: list[PullBox]) -> bool:
    """Both bundles verify and hold four hours."""
    verdicts = [verify(folder / box.identity.device_id, box.box) for box in boxes]
    return all(verdict.holds and verdict.segments >= 4 for verdict in verdicts)


def is_piece(message: Message) -> bool:
    """A box's piece."""
    return message.topic.endswith("/piece")


async def test_it_reads_everything_and_learns_nothing(boxes: list[PullBox], tmp_path: Path) -> None:
    """No byte of the planted identifier crosses the broker, as bytes or as hex."""
    centre = MemoryCentre()

    outcome = await run(centre, boxes, tmp_path / "desk")

    assert [one.state for one in outcome] == [State.DONE, State.DONE]
    crossed = b"".join(message.payload for message in centre.published)
    assert len(crossed) > 1_500_000
    assert PLANTED not in crossed
    assert PLANTED.hex().encode() not in crossed.lower()


async def test_it_drops_repeats_and_reorders(boxes: list[PullBox], tmp_path: Path) -> None:
    """A third is lost, a third comes twice, pieces come backwards: the bundles are whole in the end."""
    dice, held = random.Random(7), dict[str, list[bytes]]()

    def meddle(message: Message) -> list[bytes]:
        if not is_piece(message):
            return [message.payload]
        waiting = held.setdefault(message.topic, [])
        waiting.append(message.payload)
        if len(waiting) < 3:
            return []
        mixed = [payload for payload in reversed(waiting) for _ in range(dice.choice((0, 1, 2)))]
        waiting.clear()
        return mixed

    outcome = await run(Hostile(meddle), boxes, tmp_path / "desk")

    assert [one.state for one in outcome] == [State.DONE, State.DONE]
    assert whole(tmp_path / "desk", boxes)


async def test_it_truncates_flips_and_swaps_between_boxes(boxes: list[PullBox], tmp_path: Path) -> None:
    """Bad pieces are dropped and counted; with enough good ones the bundles are whole, never wrong."""
    dice, last = random.Random(9), dict[str, bytes]()

    def meddle(message: Message) -> list[bytes]:
        if not is_piece(message):
            return [message.payload]
        other = next((payload for topic, payload in last.items() if topic != message.topic), message.payload)
        last[message.topic] = message.payload
        flipped = bytearray(message.payload)
        flipped[-1] ^= 1
        return [dice.choice((message.payload, message.payload[:-7], bytes(flipped), other, b"", message.payload))]

    outcome = await run(Hostile(meddle), boxes, tmp_path / "desk")

    assert [one.state for one in outcome] == [State.DONE, State.DONE]
    assert sum(one.dropped for one in outcome) > 0
    assert whole(tmp_path / "desk", boxes)


async def test_it_swaps_every_answer(boxes: list[PullBox], tmp_path: Path) -> None:
    """Each box's answers and pieces under the other's name: nothing is believed, nothing is finished."""

    class Swapping(MemoryCentre):
        def accept(self, message: Message, extras: Extras) -> int:
            if "/in/" in message.topic:
                one, two = NAMES if NAMES[0] in message.topic else NAMES[::-1]
                message = replace(message, topic=message.topic.replace(one, two))
            return super().accept(message, extras)

    def refused(outcome: tuple[Outcome, ...]) -> bool:
        return len(outcome) == len(boxes) and all(one.dropped > 0 for one in outcome)

    outcome = await run(Swapping(), boxes, tmp_path / "desk", enough=refused)

    assert {one.state for one in outcome} == {State.DOUBTED}
    assert not list((tmp_path / "desk").glob("*/answer.json"))


async def test_it_forges_requests_and_fetches(boxes: list[PullBox]) -> None:
    """A request it cannot sign gets a refusal; a fetch of an unknown request gets nothing at all."""
    box, centre = boxes[0], MemoryCentre()
    async with centre.open(NAMES[0]) as broker:
        await broker.connected()
        answerer = box.answerer(broker)
        await answerer.begin()
        enemy = Office(NOW_S)
        await answerer.handle(enemy.signed(enemy.request(NAMES[0])))
        for part in Part:
            await answerer.handle(answers.pack_fetch(Fetch(request=bytes(32), part=part, numbers=(0, 1))))

    sent = [answers.read_answer(m.payload, device=NAMES[0], identity=box.box.key) for m in centre.published]
    assert [answer.code for answer in sent] == ["wrong_root"]


async def test_it_fetches_without_end(boxes: list[PullBox]) -> None:
    """Pieces go out a bounded number of times, and only into the inbox of the approved request."""
    box, centre = boxes[0], MemoryCentre()
    document = OFFICE.signed(OFFICE.request(NAMES[0]))
    digest = requests.read(document).request.digest
    async with centre.open(NAMES[0]) as broker:
        await broker.connected()
        answerer = box.answerer(broker)
        await answerer.begin()
        await answerer.handle(document)
        for _ in range(200):
            await answerer.handle(answers.pack_fetch(Fetch(request=digest, part=Part.BODY, numbers=tuple(range(32)))))

    pieces = [message for message in centre.published if is_piece(message)]
    assert {message.topic for message in pieces} == {answers.piece_topic(AUTHORITY, NAMES[0])}
    assert len(pieces) < 8 * 64


async def test_a_box_that_signs_impossible_sizes_is_left_alone(boxes: list[PullBox], tmp_path: Path) -> None:
    """A gigabyte for two hours is not fetched."""
    box = boxes[0]
    request = OFFICE.request(NAMES[0])
    collection = Collection(tmp_path / "one", box.box, request)

    collection.take_answer(answers.sign_answer(answer(request.digest, body_bytes=1 << 30), box.identity.key))

    assert (collection.state, collection.code) == (State.BAD, "size")


@pytest.mark.parametrize("changes", [{"from_s": 0}, {"request": "ab" * 32}, {"device": NAMES[1]}])
async def test_a_box_that_signs_another_manifest_is_caught(
    boxes: list[PullBox], tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Other hours, another request, another box's name."""
    box, request = boxes[0], OFFICE.request(NAMES[0])
    values = {
        "device": NAMES[0],
        "from_s": request.from_s,
        "to_s": request.to_s,
        "made_s": NOW_S,
        "quality": box.clock.quality,
        "request": request.digest.hex(),
    }
    manifest = bundle.BundleWriter(bundle.Context(**{**values, **changes}), ()).manifest(box.identity.key)
    collection = Collection(tmp_path / "one", box.box, request)
    said = answer(request.digest, manifest_bytes=len(manifest), manifest_sha256=hashlib.sha256(manifest).digest())

    collection.take_answer(answers.sign_answer(said, box.identity.key))
    collection.take_piece(Piece(request=request.digest, part=Part.MANIFEST, number=0, data=manifest))

    assert collection.state is State.BAD


async def test_a_box_whose_body_contradicts_itself_is_caught(boxes: list[PullBox], tmp_path: Path) -> None:
    """Every chunk fits its hash and the whole does not: evidence against the box, not a bundle."""
    box, request = boxes[0], OFFICE.request(NAMES[0])
    context = bundle.Context(
        device=NAMES[0],
        from_s=request.from_s,
        to_s=request.to_s,
        made_s=NOW_S,
        quality=box.clock.quality,
        request=request.digest.hex(),
    )
    writer = bundle.BundleWriter(context, ())
    body = writer.boot(await anext(box.store.boots()))
    writer._body.update(b"?")
    manifest = writer.manifest(box.identity.key)
    collection = Collection(tmp_path / "one", box.box, request)
    said = answer(
        request.digest,
        manifest_bytes=len(manifest),
        manifest_sha256=hashlib.sha256(manifest).digest(),
        body_bytes=len(body),
    )

    collection.take_answer(answers.sign_answer(said, box.identity.key))
    collection.take_piece(Piece(request=request.digest, part=Part.MANIFEST, number=0, data=manifest))
    collection.take_piece(Piece(request=request.digest, part=Part.BODY, number=0, data=body))

    assert (collection.state, collection.code) == (State.BAD, "body-altered")


def answer(request: bytes, **changes: Any) -> Answer:
    """A box's word."""
    values: dict[str, Any] = {
        "device": NAMES[0],
        "authority": AUTHORITY,
        "case": "HCM-2026-0417",
        "request": request,
        "at_s": NOW_S,
        "audit_entries": 2,
        "audit_head": bytes(32),
        "manifest_bytes": 9,
        "manifest_sha256": bytes(32),
        "body_bytes": 0,
    }
    return Answer(**{**values, **changes})
