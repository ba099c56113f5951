"""A month's messages over a slow line, in simulated time: they arrive, and others have the line for half of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.model import Message, MessageKind
from edge_scanner.device.central.outbox import PER_S, Deliveries, deliver
from edge_scanner.device.storage.rows import OutboxRow
from tests.support.slow_line import ENVELOPE_BYTES, Line, SlowCentre, in_simulated_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.mqtt.uplink import Broker
    from tests.support.memory_broker import MemoryCentre

BOX = "K7MP2R9CX4"
NOW_S = 1_795_507_803.0
MONTH = 30 * 48
"""Counts of a month."""
SIZE = 1_500


class Rows:
    """An outbox in memory: simulated time waits for no thread of a database."""

    def __init__(self, count: int) -> None:
        self.waiting = {number: _message(number) for number in range(1, count + 1)}

    async def oldest(self, limit: int, after_id: int = 0) -> list[OutboxRow]:
        """As the store."""
        rows = (OutboxRow(id=number, message=message) for number, message in self.waiting.items() if number > after_id)
        return [row for row, _ in zip(rows, range(limit), strict=False)]

    async def delete(self, ids: Iterable[int]) -> None:
        """As the store."""
        for number in ids:
            del self.waiting[number]


def _message(number: int, size: int = SIZE) -> Message:
    return Message(kind=MessageKind.COUNTS, topic="up/counts", payload=bytes(size), key=str(number), created_s=NOW_S)


async def send(rows: Rows, broker: Broker) -> None:
    """The outbox's task."""
    await deliver(
        rows,
        broker,
        changed=asyncio.Event(),
        clock=lambda: NOW_S,
        trusted=lambda: NOW_S,
        deliveries=Deliveries(),
    )


@pytest.mark.parametrize("per_s", [2_000, 8_000, 1_000_000])
def test_a_month_drains_and_leaves_half_a_slow_line_to_others(per_s: float) -> None:
    """All of it arrives once; where the line is the bound, it is free for half of the time."""
    line, rows, took_s, waited = Line(per_s), Rows(MONTH), 0.0, []

    async def speak(broker: object) -> None:
        """Something else that the box has to say, twice a minute."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            await broker.publish(_message(-1, 900))  # type: ignore[attr-defined]
            waited.append(loop.time() - began_s)
            await asyncio.sleep(31.0)

    async def scenario() -> None:
        nonlocal took_s
        centre = SlowCentre(up={BOX: line})
        async with centre.open(BOX) as broker:
            await broker.connected()
            tasks = [asyncio.create_task(send(rows, broker)), asyncio.create_task(speak(broker))]
            while rows.waiting:  # noqa: ASYNC110 (simulated seconds)
                await asyncio.sleep(1.0)
            took_s = asyncio.get_running_loop().time()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    in_simulated_time(scenario())

    bare_s = line.sent / per_s
    assert line.sent < 1.1 * MONTH * (SIZE + ENVELOPE_BYTES + 20)
    if bare_s > MONTH / PER_S:
        assert 1.8 * bare_s <= took_s <= 2.5 * bare_s
    else:
        assert took_s < 2 * MONTH / PER_S
    assert max(waited) < 25 * SIZE / per_s + 1


def test_what_was_accepted_is_out_of_the_box_before_the_line_rests() -> None:
    """A box that is switched off while it leaves the line to others does not send again what the broker has."""
    line, rows = Line(2_000), Rows(MONTH)

    async def scenario() -> MemoryCentre:
        centre = SlowCentre(up={BOX: line})
        async with centre.open(BOX) as broker:
            await broker.connected()
            task = asyncio.create_task(send(rows, broker))
            while not centre.published:  # noqa: ASYNC110 (simulated seconds)
                await asyncio.sleep(0.1)
            while line.busy:  # noqa: ASYNC110 (simulated seconds)
                await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.wait([task])
        return centre

    published = in_simulated_time(scenario()).published

    assert not {message.key for message in published} & {str(number) for number in rows.waiting}
