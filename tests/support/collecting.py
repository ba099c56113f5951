"""A centre for tests: the shipped broker with certificates, a signed list, settings, and the collector on them.

`start` runs the program itself, so that it can be killed; `collecting` runs it in this process with a clock of the
test's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.central import settings
from edge_scanner.central.collect.collector import AT_ONCE, Collector
from edge_scanner.central.link import broker_settings
from edge_scanner.central.store.store import open_store
from edge_scanner.core.enrolment import box_list
from edge_scanner.core.messages import KINDS
from edge_scanner.mqtt.broker import open_broker
from tests.support.box_client import connected
from tests.support.box_lists import write_boxes
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from edge_scanner.central.settings import Settings
    from edge_scanner.central.store.store import Store
    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.brokerlink import BrokerSettings
    from tests.support.publishing import Publisher

BROKER = Path(__file__).parents[2] / "config" / "broker"
NAME = "fleet-collector"


class Centre:
    """Broker, list and settings in one folder; the database is SQLite there unless `url` says otherwise."""

    def __init__(self, folder: Path, broker: Mosquitto, boxes: Iterable[Publisher], url: str = "") -> None:
        self.folder = folder
        self.broker = broker
        self.url = url or f"sqlite:///{folder}/central.db"
        self.configs: dict[str, Path] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.write_list(boxes)

    def write_list(self, boxes: Iterable[Publisher]) -> None:
        """Write the signed list."""
        write_boxes(
            self.folder / "boxes.csv",
            [
                box_list.Box(
                    device=box.device, site=box.listed.site, room="", name="Bến xe", identity=box.listed.identity
                )
                for box in boxes
            ],
        )

    def settings(self, name: str = NAME, **mqtt: object) -> Settings:
        """The collector's settings under a name of its own."""
        return settings_for(self.broker.settings(client=name), self.folder / "boxes.csv", url=self.url, **mqtt)

    def file(self, name: str = NAME) -> Path:
        """The same settings as a file."""
        made = self.settings(name)
        path = self.folder / f"{name}.toml"
        mqtt = made.mqtt
        path.write_text(
            f'[database]\nurl = "{self.url}"\n[fleet]\nboxes = "{made.fleet.boxes}"\n[mqtt]\nhost = "{mqtt.host}"\n'
            f'port = {mqtt.port}\nca = "{mqtt.ca}"\ncertificate = "{mqtt.certificate}"\nkey = "{mqtt.key}"\n'
        )
        return path

    def start(self, name: str = NAME, command: str = "collect") -> subprocess.Popen[bytes]:
        """The program itself; its lines go to `NAME.log`.

        Compiled modules are kept in the folder, as an installation keeps them: to compile all of them anew is two
        thirds of the time that a start takes.
        """
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.folder / "compiled"),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            config = self.configs.get(name) or self.file(name)
            words = ["-m", "edge_scanner.central.cli", command, "--config", str(config)]
            process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log, env=environment)
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    @contextlib.asynccontextmanager
    async def collecting(self, now: Callable[[], float], name: str = NAME) -> AsyncIterator[Store]:
        """The collector in this process, connected and subscribed; its store."""
        made = self.settings(name)
        with open_store(self.url) as store:
            async with running(made, store, now, name=name, ready=lambda: subscribed(self.broker, name) >= len(KINDS)):
                yield store

    async def publish(self, device: str, messages: Iterable[Message]) -> list[int]:
        """Say these as a box, each until the broker has taken it; the broker's answers."""
        async with open_broker(self.broker.settings(client=device), client_id=device) as box:
            await connected(box)
            return [await box.publish(message) for message in messages]


def settings_for(link: BrokerSettings, boxes: Path, *, url: str = "", **mqtt: object) -> Settings:
    """The collector's settings for a broker and a signed list."""
    made = settings.Settings()
    return replace(
        made,
        database=settings.Database(url=url) if url else made.database,
        mqtt=settings.Mqtt(
            host=link.host, port=link.port, ca=str(link.ca), certificate=str(link.certificate), key=str(link.key),
            **mqtt,  # type: ignore[arg-type]
        ),
        fleet=settings.Fleet(boxes=str(boxes)),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def running(
    made: Settings, store: Store, now: Callable[[], float], *, name: str, ready: Callable[[], object]
) -> AsyncIterator[None]:
    """The collector in this process, once it has its list and the broker side is `ready`; its own error is raised."""
    async with open_broker(broker_settings(made.mqtt), client_id=name, at_once=AT_ONCE) as link:
        task = asyncio.create_task(Collector(made, store, link, now=now).run())
        try:
            await until(lambda: task.done() or (store.read.boxes() and ready()))
            if not task.done():
                yield
            if task.done():
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])


def subscribed(broker: Mosquitto, name: str) -> int:
    """How many subscriptions of a client the broker has logged."""
    return broker.log.read_text().count(f": {name} 1 edge-scanner/v1/d/+/up/")


@contextlib.contextmanager
def centre(folder: Path, *boxes: Publisher, url: str = "") -> Iterator[Centre]:
    """A running broker with the shipped configuration, and a centre beside it."""
    config = (BROKER / "mosquitto.conf").read_text()
    with Mosquitto(folder, listen="mutual", config=config) as broker:
        broker.set_acl((BROKER / "acl").read_text())
        made = Centre(folder, broker, boxes, url)
        try:
            yield made
        finally:
            made.end()


async def until(condition: Callable[[], object]) -> None:
    """Wait in a thread, since `condition` asks a database."""
    end_s = time.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < end_s, "it never came"
        await asyncio.sleep(0.05)
