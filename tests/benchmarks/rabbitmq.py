"""A cluster of RabbitMQ nodes loses one under load: is a report lost that a box was told is accepted.

The boxes are the daemon's own broker adapter, over TLS with a certificate each; each publishes numbered reports at
QoS 1 until it is told that they are accepted, and repeats under the same key what was not. They reach the cluster
through one address, as a virtual IP would offer it. The collector has a persistent session, a quorum queue. The node to
which all are connected is killed, and started again if nobody can publish without it.

Run: `python -m tests.benchmarks.rabbitmq --write`, as root: the first time it makes a Debian tree with RabbitMQ 4.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import tls_context
from edge_scanner.mqtt.uplink import REFUSED_FROM
from tests.benchmarks import document
from tests.support.fleet import workshop
from tests.support.rabbit import Cluster, Node
from tests.support.tiny_mqtt import LostError, connect

if TYPE_CHECKING:
    from edge_scanner.mqtt.broker import Broker

BOXES = 20
COLLECTOR = "fleet-collector"
PER_S = 10.0
"""Reports a second of each box: 200 a second together, five times the pace of 10,000 boxes."""
BEFORE_S = 10.0
PATIENCE_S = 45.0
"""Without an accepted report for so long the killed node is started again."""
AFTER_S = 10.0
DRAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of the reports; `silent_s` is the longest time in which no box had a report accepted.

    `accepted_after` were accepted after the kill, from `boxes_after` boxes.
    """

    nodes: int
    protocol: str
    accepted: int
    lost: int
    repeated: int
    accepted_after: int
    boxes_after: int
    silent_s: float
    needed_restart: bool
    lag_ms_before: float


class Front:
    """One address before the nodes: a connection goes to the first node that takes it."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._server: asyncio.Server | None = None
        self._piping: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for node in self._nodes:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", node.mqtt_port)
                for source, sink in ((reader, back), (there, writer)):
                    task = asyncio.create_task(_pipe(source, sink))
                    self._piping.add(task)
                    task.add_done_callback(self._piping.discard)
                return
        writer.close()

    def close(self) -> None:
        """End every connection."""
        for task in self._piping:
            task.cancel()
        if self._server is not None:
            self._server.close()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


class Fleet:
    """The boxes' and the collector's side of the story."""

    def __init__(self, port: int, cluster: Cluster) -> None:
        self.port = port
        self.links = {name: cluster.client(name, port=port) for name in cluster.names}
        self.accepted: dict[str, float] = {}
        self.received: dict[str, int] = {}
        self.lags_ms: list[float] = []
        self.publishing = True
        self.protocol = ""

    async def box(self, number: int) -> None:
        """Publish report after report until told to stop."""
        name = _name(number)
        async with open_broker(self.links[name], client_id=name) as broker:
            sequence = 0
            while self.publishing:
                await self._report(broker, number, sequence)
                sequence += 1
                await asyncio.sleep(1 / PER_S)

    async def _report(self, broker: Broker, number: int, sequence: int) -> None:
        name = _name(number)
        key = f"{name}/0/{sequence}"
        payload = json.dumps({"key": key, "at": time.time(), "padding": "." * 600}).encode()
        message = Message(
            kind=MessageKind.COUNTS,
            topic=f"edge-scanner/v1/d/{name}/up/counts",
            payload=payload,
            key=key,
            created_s=time.time(),
        )
        while self.publishing:
            await broker.connected()
            self.protocol = broker.state.protocol
            with contextlib.suppress(UnavailableError):
                if await broker.publish(message) < REFUSED_FROM:
                    self.accepted[key] = time.monotonic()
                    return
            await asyncio.sleep(0.1)

    async def collect(self, ready: asyncio.Event) -> None:
        """A persistent session that comes back whenever it is lost."""
        while True:
            with contextlib.suppress(OSError, LostError, TimeoutError):
                async with asyncio.timeout(20):
                    context = tls_context(self.links[COLLECTOR])
                    client = await connect(self.port, COLLECTOR, tls=context, on_message=self._take, clean=False)
                    await client.subscribe("edge-scanner/v1/d/+/up/counts")
                ready.set()
                await client.lost
            await asyncio.sleep(1)

    def _take(self, _topic: str, payload: bytes) -> None:
        body = json.loads(payload)
        self.received[body["key"]] = self.received.get(body["key"], 0) + 1
        self.lags_ms.append((time.time() - body["at"]) * 1000)


async def story(cluster: Cluster) -> Figures:
    """Load, a killed node, and the reckoning."""
    front = Front(cluster.nodes)
    await front.open()
    fleet = Fleet(front.port, cluster)
    ready = asyncio.Event()
    collector = asyncio.create_task(fleet.collect(ready))
    await ready.wait()
    boxes = [asyncio.create_task(fleet.box(number)) for number in range(BOXES)]
    await asyncio.sleep(BEFORE_S)
    assert fleet.accepted, "no report was accepted before anything happened"
    lag_ms = sorted(fleet.lags_ms)[len(fleet.lags_ms) // 2]
    victim = cluster.nodes[0]
    await asyncio.to_thread(victim.kill)
    killed_at = time.monotonic()
    resumed = await _resumed(fleet, killed_at, PATIENCE_S)
    if not resumed:
        victim.start()
        await asyncio.to_thread(victim.wait)
        assert await _resumed(fleet, killed_at, PATIENCE_S * 2), "nothing is accepted although all nodes are back"
    await asyncio.sleep(AFTER_S)
    fleet.publishing = False
    await asyncio.wait(boxes, timeout=30)
    missing = await _missing(fleet)
    for task in (collector, *boxes):
        task.cancel()
    await asyncio.wait([collector, *boxes])
    front.close()
    after = [key for key, at in fleet.accepted.items() if at > killed_at + 0.5]
    times = sorted(fleet.accepted.values())
    return Figures(
        nodes=len(cluster.nodes),
        protocol=fleet.protocol,
        accepted=len(fleet.accepted),
        lost=len(missing),
        repeated=sum(count - 1 for count in fleet.received.values()),
        accepted_after=len(after),
        boxes_after=len({key.partition("/")[0] for key in after}),
        silent_s=round(max(b - a for a, b in itertools.pairwise(times)), 1),
        needed_restart=not resumed,
        lag_ms_before=round(lag_ms, 1),
    )


async def _missing(fleet: Fleet) -> set[str]:
    """Accepted reports that the collector has not got, once it has had time for them."""
    for _ in range(int(DRAIN_S)):
        if fleet.accepted.keys() <= fleet.received.keys():
            break
        await asyncio.sleep(1)
    return fleet.accepted.keys() - fleet.received.keys()


async def _resumed(fleet: Fleet, since: float, patience_s: float) -> bool:
    """Whether, a second after the kill or later, reports are accepted again."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if any(at > since + 1 for at in list(fleet.accepted.values())[-BOXES:]):
            return True
        await asyncio.sleep(0.2)
    return False


def _name(number: int) -> str:
    return f"BOX{number:07}"


def run(nodes: int) -> Figures:
    """A cluster of so many nodes and one story."""
    names = [COLLECTOR, *(_name(number) for number in range(BOXES))]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop").mkdir()
        fleet = workshop(Path(folder) / "shop").fleet
        with Cluster(Path(folder), fleet, nodes=nodes, names=names) as cluster:
            return asyncio.run(story(cluster))


def rows(figures: list[Figures]) -> list[list[str]]:
    """As people read them."""
    return [
        [
            str(one.nodes),
            one.protocol,
            f"{one.lag_ms_before} ms",
            f"{one.accepted:,}, {one.accepted_after:,}",
            f"{one.boxes_after} of {BOXES}",
            f"{one.lost:,}",
            f"{one.repeated:,}",
            f"{one.silent_s} s",
            "only after the node was started again" if one.needed_restart else "on the nodes that were left",
        ]
        for one in figures
    ]


def main() -> None:
    """Parse the command line, measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, nargs="+", default=[3])
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("run it as root: it makes and enters a Debian tree")
    with Console(stderr=True).status("clusters"):
        figures = [run(nodes) for nodes in options.nodes]
    heads = ["nodes", "MQTT", "collector's lag", "accepted, after the kill", "boxes that went on", "lost"]
    heads += ["repeated", "longest silence", "went on"]
    if options.json:
        sys.stdout.write(json.dumps([asdict(one) for one in figures]) + "\n")
    else:
        shown = Table(*heads, title="One node killed under load")
        for row in rows(figures):
            shown.add_row(*row)
        Console(width=150).print(shown)
    if options.write:
        document.write("rabbitmq", "python -m tests.benchmarks.rabbitmq --write", document.table(heads, rows(figures)))


if __name__ == "__main__":
    main()
