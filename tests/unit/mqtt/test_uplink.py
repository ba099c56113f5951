"""The patience with a broker that answers slowly, in simulated time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.uplink import ANSWER_S
from tests.support.memory_broker import ACCEPTED, MemoryCentre, MemoryConnection
from tests.support.slow_line import SimulatedTime

if TYPE_CHECKING:
    from edge_scanner.mqtt.uplink import Deliver, Extras


class Answers(MemoryConnection):
    """Answers a message when it is told to."""

    def __init__(self, centre: Hesitant, client_id: str, will: Message | None, deliver: Deliver) -> None:
        super().__init__(centre, client_id, will, deliver)
        self._told = centre.told

    async def publish(self, message: Message, _extras: Extras) -> int:
        """When its future is done."""
        return await self._told.setdefault(message.topic, asyncio.get_running_loop().create_future())


class Hesitant(MemoryCentre):
    """A broker that answers by topic, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, asyncio.Future[int]] = {}

    def connection(self, client_id: str, will: Message | None, deliver: Deliver) -> MemoryConnection:
        """One that answers when it is told to."""
        return Answers(self, client_id, will, deliver)


def test_an_answer_that_comes_as_another_message_s_time_ends() -> None:
    """After a standstill both are found at once: the answer counts, the other has waited in vain, nothing breaks."""

    async def scenario() -> tuple[int | BaseException, int | BaseException]:
        centre, loop = Hesitant(), asyncio.get_running_loop()
        assert isinstance(loop, SimulatedTime)
        async with centre.open("K7MP2R9CX4") as broker:
            await broker.connected()
            first = asyncio.create_task(broker.publish(_message("first")))
            await asyncio.sleep(ANSWER_S / 2)
            second = asyncio.create_task(broker.publish(_message("second")))
            await asyncio.sleep(ANSWER_S / 4)
            loop.stand_still(ANSWER_S / 2)
            loop.call_soon(centre.told["second"].set_result, ACCEPTED)
            return await asyncio.gather(first, second, return_exceptions=True)

    with asyncio.Runner(loop_factory=SimulatedTime) as runner:
        first, second = runner.run(scenario())

    assert isinstance(first, UnavailableError)
    assert second == ACCEPTED


def _message(topic: str) -> Message:
    return Message(kind=MessageKind.HEALTH, topic=topic, payload=b"", key=topic, created_s=0.0)
