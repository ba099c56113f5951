"""A process that commits and delivers until it is killed: `python -m tests.support.outbox_child DATABASE PORT RUN`.

It commits one message after another and prints each key once the commit has returned, so the parent knows what must
arrive.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from edge_scanner.core.model import Batch, Message, MessageKind
from edge_scanner.device.central.outbox import Deliveries, deliver
from edge_scanner.device.storage.store import Store, open_store
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.broker import BrokerSettings, open_broker

TOPIC = "edge-scanner/v1/d/K7MP2R9CX4/up/counts"


async def commit(store: Store, changed: asyncio.Event, run: int) -> None:
    """Messages without end; a key is printed when it is on the disk."""
    number = 0
    while True:
        key = f"{run}/{number}"
        message = Message(kind=MessageKind.COUNTS, topic=TOPIC, payload=key.encode(), key=key, created_s=time.time())
        await store.commit(Batch(messages=(message,)))
        changed.set()
        print(key, flush=True)  # noqa: T201 (the parent reads it)
        number += 1
        await asyncio.sleep(0.005)


async def main(database: Path, port: int, run: int) -> None:
    """Both at once. Run -1 commits nothing and only delivers."""
    brokerlink.RECONNECT_MIN_S, brokerlink.RECONNECT_MAX_S = 0.02, 0.1
    changed = asyncio.Event()
    settings = BrokerSettings(host="127.0.0.1", port=port, tls=False)
    async with (
        open_store(database) as store,
        open_broker(settings, client_id="box") as broker,
        asyncio.TaskGroup() as tasks,
    ):
        if run >= 0:
            tasks.create_task(commit(store, changed, run), name="commit")
        tasks.create_task(
            deliver(
                store,
                broker,
                changed=changed,
                clock=time.time,
                trusted=time.time,
                deliveries=Deliveries(),
                per_s=2000.0,
            ),
            name="deliver",
        )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
