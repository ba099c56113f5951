"""The collector behind the shipped broker, with a real certificate for every box: an outage and the way back.

Every box has a certificate and a TLS connection of its own and says `--each` releases of past hours while the collector
is away: the broker holds them for its session. Then the collector's program starts and stores them in SQLite. Printed:
the broker's memory with all of them queued and at most, rows a second, and the share of one processor that the
collector took.

Run: `python -m tests.benchmarks.collecting --boxes 1000 --each 140`, 140,000 messages as of 10,000 boxes in an hour.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.central.store.store import open_store
from edge_scanner.core import messages
from edge_scanner.core.enrolment.box_list import Box
from edge_scanner.core.messages import KINDS
from edge_scanner.core.model import ClockQuality
from edge_scanner.mqtt.brokerlink import tls_context
from tests.support import snapshots
from tests.support.box_lists import write_boxes
from tests.support.central import device_of
from tests.support.collecting import NAME, Centre, centre, subscribed, until
from tests.support.publishing import SITE, Publisher
from tests.support.tiny_mqtt import connect

if TYPE_CHECKING:
    import subprocess

    from edge_scanner.central.store.store import Store
    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.brokerlink import BrokerSettings

BYTES = 700
"""What a message of a box has on average, rounded up; blanks after a release make up for what it is shorter."""
AT_ONCE = 100
"""Boxes that shake hands at a time."""
AN_HOUR_S = 3600.0
"""Longer than any collector takes that keeps up with its fleet."""


def release(model: Publisher, name: str, bin_start: int) -> Message:
    """A box's hour; the link of one log serves all, since the collector keeps a release whatever its link says."""
    report = replace(snapshots.hourly(bin_start, 40), figures={"nearby": 600, "bluezone": 150})
    sender = messages.Sender(device=name, site=SITE, boot=1)
    link, made_s = model.log.log.link(), bin_start + 3605
    return messages.counts(report, sender=sender, link=link, clock=ClockQuality.NTP, created_s=made_s)


async def say(model: Publisher, name: str, link: BrokerSettings, hours: list[int], gate: asyncio.Semaphore) -> int:
    """All of one box's messages over its own connection; their bytes."""
    async with gate:
        client = await connect(link.port, name, tls=tls_context(link))
        size = 0
        for bin_start in hours:
            message = release(model, name, bin_start)
            payload = message.payload.ljust(BYTES)
            await client.publish(message.topic, payload)
            size += len(payload)
        client.close()
    return size


def memory_mb(process: subprocess.Popen[bytes] | None) -> float:
    """Resident megabytes."""
    assert process is not None
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb(process: subprocess.Popen[bytes] | None) -> float:
    """The most that it had."""
    assert process is not None
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listed(folder: Path, names: list[str]) -> None:
    """The signed list of these boxes."""
    keys = [Ed25519PrivateKey.generate().public_key().public_bytes_raw() for _ in names]
    rows = [Box(device=name, site=SITE, room="", name="A", identity=key) for name, key in zip(names, keys, strict=True)]
    write_boxes(folder / "boxes.csv", rows)


async def taken(store: Store, count: int) -> int:
    """How many releases are kept, repeats not counted, once there are so many."""
    async with asyncio.timeout(AN_HOUR_S):
        while (found := store.read.tallies(0, 1 << 40).get("counts/new", 0)) < count:  # noqa: ASYNC110 (a database is asked)
            await asyncio.sleep(0.1)
    return found


async def measure(there: Centre, model: Publisher, names: list[str], each: int) -> str:
    """One outage of the collector and its end."""
    broker = there.broker._process
    began_s = time.monotonic()
    links = {name: there.broker.settings(client=name) for name in names}
    certified_s = time.monotonic() - began_s
    with open_store(there.url) as store:
        process = there.start()
        await until(lambda: store.read.boxes() and subscribed(there.broker, NAME) >= len(KINDS))
        process.send_signal(signal.SIGKILL)
        process.wait()
        empty_mb = memory_mb(broker)
        now_s = int(time.time()) // 3600 * 3600
        hours = [now_s - 3600 * hour for hour in range(1, each + 1)]
        gate = asyncio.Semaphore(AT_ONCE)
        began_s = time.monotonic()
        size = sum(await asyncio.gather(*(say(model, name, links[name], hours, gate) for name in names)))
        said_s, queued_mb = time.monotonic() - began_s, memory_mb(broker)
        total = len(names) * each

        sys.stdout.write(
            f"{len(names)} certificates in {certified_s:.0f} s; {total} messages of {size / total:.0f} bytes in"
            f" {said_s:.0f} s over TLS; broker {empty_mb:.0f} MB, with all of them queued {queued_mb:.0f} MB\n"
        )
        sys.stdout.flush()
        before = there.broker.log.read_text().count(f" as {NAME} ")
        process = there.start()
        start = await taken(store, 1)
        began_s, before_s = time.monotonic(), cpu_s(process)
        await taken(store, total)
        took_s, used_s = time.monotonic() - began_s, cpu_s(process) - before_s
        rows, tallies = total - start, store.read.tallies(0, 1 << 40)
        sessions = there.broker.log.read_text().count(f" as {NAME} ") - before
        most_mb = peak_mb(broker), peak_mb(process)
    return (
        f"collector: {rows / took_s:.0f} rows a second, {100 * used_s / took_s:.0f} % of a processor,"
        f" {1e6 * used_s / max(1, rows):.0f} µs of it a row; {tallies}, {sessions} connections;"
        f" at most {most_mb[0]:.0f} MB at the broker, {most_mb[1]:.0f} MB in the collector\n"
    )


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--boxes", type=int, default=1000)
    parser.add_argument("--each", type=int, default=140)
    asked = parser.parse_args()
    names = [device_of(number) for number in range(asked.boxes)]
    with (
        tempfile.TemporaryDirectory(prefix="edge-collecting-") as folder,
        centre(Path(folder)) as there,
    ):
        listed(Path(folder), names)
        sys.stdout.write(asyncio.run(measure(there, Publisher(), names, asked.each)))


if __name__ == "__main__":
    main()
