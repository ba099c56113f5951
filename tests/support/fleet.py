"""A throw-away fleet with a batch, and boxes that enrol against its bench: what provisioning's tests share."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner import __version__
from edge_scanner.core.enrolment import proofs
from edge_scanner.core.enrolment.documents import Place
from edge_scanner.device.enrolment.bench_client import BenchLink
from edge_scanner.device.enrolment.steps import Box
from provisioning.bench import bench as benches
from provisioning.bench.batch import Batch, new_batch, open_batch
from provisioning.fleet.fleet import Endpoint, Fleet, new_fleet
from provisioning.inventory import open_inventory
from tests.support.cheap_lock import cheap_fleet
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSPHRASE = "mat-khau-thu"
BATCH_PASSPHRASE = "mat-khau-cua-lo"
HOTLINE, LABEL_ADDRESS = "028 3829 4000", "HTTPS://Q.HCM.TEST/D/"
PLACES = (
    Place(site="ben-xe-mien-dong", room="Cửa 3", name_vi="Bến xe Miền Đông", name_en="Eastern Bus Station"),
    Place(site="cho-ben-thanh", room="", name_vi="Chợ Bến Thành", name_en="Ben Thanh Market"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A fleet and one opened batch of it."""

    folder: Path
    fleet: Fleet
    batch: Batch


def workshop(
    folder: Path,
    *,
    count: int = 5,
    broker: Endpoint | None = None,
    enrol: Endpoint | None = None,
    software: tuple[Path, ...] = (),
    places: tuple[Place, ...] = PLACES,
    hotline: str = HOTLINE,
    costly: bool = False,
) -> Workshop:
    """Make both in `folder`; `costly` is what a guess at the passphrase costs outside of tests."""
    with nullcontext() if costly else cheap_fleet():
        fleet = new_fleet(
            folder / "fleet",
            name="thu",
            broker=broker or Endpoint(host="mqtt.example.vn", port=8883),
            enrol=enrol or Endpoint(host="mqtt.example.vn", port=8884),
            passphrase=PASSPHRASE,
            now_s=time.time(),
            hotline=hotline,
            label_address=LABEL_ADDRESS,
        )
        return make_batch(folder, fleet, count=count, software=software, places=places)


def make_batch(
    folder: Path,
    fleet: Fleet,
    *,
    name: str = "B-014",
    count: int = 5,
    software: tuple[Path, ...] = (),
    places: tuple[Place, ...] = PLACES,
) -> Workshop:
    """A batch of that fleet in `folder`, opened, and its secret beside it as `bench secret` writes it."""
    now_s = time.time()
    who = parties(now_s)
    path = folder / f"batch-{name}.zip"
    new_batch(
        fleet,
        name=name,
        count=count,
        places=places[:count],
        authority_root=who.root_pem,
        custodian_root=who.custodian_pem,
        recipient_set=who.document,
        software=software,
        software_version=__version__,
        passphrase=BATCH_PASSPHRASE,
        now_s=now_s,
        target=path,
    )
    batch = open_batch(path, passphrase=BATCH_PASSPHRASE, signer=fleet.signer.public_key(), now_s=now_s)
    (folder / proofs.FILE).write_text(batch.enrol_secret.hex())
    return Workshop(folder=folder, fleet=fleet, batch=batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBench:
    """A bench that answers on loopback, and the inventory's file."""

    port: int
    inventory: Path

    @property
    def link(self) -> BenchLink:
        """A box's link to it."""
        return BenchLink("127.0.0.1", self.port)


@contextmanager
def open_bench(place: Workshop, *, clock_off_s: float = 0.0, port: int = 0) -> Iterator[OpenBench]:
    """The real bench in a thread of its own; `clock_off_s` puts its clock ahead."""
    path = place.folder / "bench.db"
    ready, stop = threading.Event(), None
    ports: list[int] = []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        nonlocal stop
        stop = asyncio.Event()
        with open_inventory(path) as inventory:
            bench = benches.Bench(
                place.batch,
                inventory,
                signer=place.fleet.signer.public_key(),
                now=lambda: time.time() + clock_off_s,
            )
            async with benches.serve(bench, host="127.0.0.1", port=port) as bound:
                ports.append(bound)
                ready.set()
                await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S), "the bench did not start"
    try:
        yield OpenBench(port=ports[0], inventory=path)
    finally:
        assert stop is not None
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def box_in(folder: Path, serial: str = "10000000abcd0001") -> Box:
    """A box whose files lie in `folder`; its clock is never set.

    Its card was made for the batch of the nearest workshop above; a folder that is no part of one has none.
    """
    image = next((above / proofs.FILE for above in folder.parents if (above / proofs.FILE).exists()), None)
    if image is not None and not (folder / "state" / "assignment.json").exists():
        (folder / "etc").mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder / "etc" / proofs.FILE)
    return Box(etc=folder / "etc", state=folder / "state", serial=serial)
