"""A fleet on one mosquitto: how many boxes it holds, how fast, and what happens when all of them come back at once.

One process is all the boxes (tests/support/tiny_mqtt.py), another is the broker, a third connection is the collector.
The broker's share is the kernel's figure of its process. Measured: connecting; everybody publishing one counts message
at once; the pace of an ordinary hour; the broker killed and back three seconds later, once with the boxes' own jitter
(`brokerlink.reconnect_delay`) and once with everybody trying again every second. Over mutual TLS fewer boxes are
measured, because the boxes' own cryptography fills this machine, and 10,000 are extrapolated from the broker's share.

Run: `python -m tests.benchmarks.fleet --write`, or `--boxes 500 --tls-boxes 100 --json`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.connection import CONNECT_S
from tests.benchmarks import document
from tests.support.mosquitto import Mosquitto
from tests.support.tiny_mqtt import LostError, TinyClient, connect

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

FLEET = 10_000
AT_ONCE = 200
"""Connections being made at the same time: the backlog of the broker's socket is 100."""
PAYLOAD_BYTES = 700
"""A counts message of all figures."""
PER_BOX_HOUR = 12 + 1 + 1
"""Health, counts, checkpoint."""
PACE_S = 10.0
OUTAGE_S = 3.0
STORM_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How the fleet came back: until 99 % and all were there, and the most that came within one second."""

    seconds_to_99: float
    seconds_to_all: float
    attempts: int
    busiest_second: int
    broker_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One broker with so many boxes. CPU is the broker's."""

    boxes: int
    tls: bool
    connects_per_s: float
    cpu_ms_per_connect: float
    kib_per_session: float
    burst_per_s: float
    burst_cpu_us: float
    burst_lag_ms: tuple[float, float]
    pace_per_s: float
    pace_cpu_share: float
    pace_lag_ms: tuple[float, float]
    jittered: Storm
    at_once: Storm


class Stage:
    """The broker, the collector and the boxes."""

    def __init__(self, broker: Mosquitto, boxes: int, tls: ssl.SSLContext | None) -> None:
        self.broker, self.boxes, self.tls = broker, boxes, tls
        self.clients: dict[int, TinyClient] = {}
        self.lags_ms: list[float] = []
        self._collector: TinyClient | None = None

    async def collect(self) -> None:
        """Connect the collector, which measures how old each message is."""

        def on_message(_topic: str, payload: bytes) -> None:
            self.lags_ms.append((time.monotonic() - float(payload[:20])) * 1000)

        self._collector = await connect(self.broker.port, "fleet-collector", tls=self.tls, on_message=on_message)
        await self._collector.subscribe("edge-scanner/v1/d/+/up/#")

    async def join(self, box: int) -> None:
        """Connect one box."""
        self.clients[box] = await connect(self.broker.port, f"BOX{box:07}", tls=self.tls)

    async def publish(self, box: int) -> None:
        """One counts message; returns once it is acknowledged."""
        payload = f"{time.monotonic():<20.9f}".encode().ljust(PAYLOAD_BYTES, b".")
        await self.clients[box].publish(f"edge-scanner/v1/d/BOX{box:07}/up/counts", payload)

    def leave(self) -> None:
        """End all connections."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()
        if self._collector is not None:
            self._collector.close()

    @property
    def cpu_s(self) -> float:
        """What the broker has used."""
        return int(self._proc("schedstat").split()[0]) / 1e9

    @property
    def rss_kib(self) -> int:
        """The broker's resident memory."""
        return next(int(line.split()[1]) for line in self._proc("status").splitlines() if line.startswith("VmRSS"))

    def _proc(self, name: str) -> str:
        assert self.broker._process is not None
        return Path(f"/proc/{self.broker._process.pid}/{name}").read_text()


async def measure(stage: Stage) -> Figures:
    """All phases, one after the other."""
    await stage.collect()
    rss_kib, cpu_s, start = stage.rss_kib, stage.cpu_s, time.monotonic()
    gate = asyncio.Semaphore(AT_ONCE)

    async def join(box: int) -> None:
        async with gate:
            await stage.join(box)

    await asyncio.gather(*(join(box) for box in range(stage.boxes)))
    took_s, connect_cpu_s = time.monotonic() - start, stage.cpu_s - cpu_s
    session_kib = (stage.rss_kib - rss_kib) / stage.boxes

    cpu_s, start = stage.cpu_s, time.monotonic()
    await asyncio.gather(*(stage.publish(box) for box in range(stage.boxes)))
    burst_s, burst_cpu_s = time.monotonic() - start, stage.cpu_s - cpu_s
    await _all_collected(stage, stage.boxes)
    burst_lag = _lag(stage)

    pace = FLEET * PER_BOX_HOUR / 3600
    cpu_s, start = stage.cpu_s, time.monotonic()
    sent = 0
    async with asyncio.TaskGroup() as tasks:
        while (passed_s := time.monotonic() - start) < PACE_S:
            while sent < passed_s * pace:
                tasks.create_task(stage.publish(sent * 7919 % stage.boxes))
                sent += 1
            await asyncio.sleep(0.005)
    pace_cpu_s = stage.cpu_s - cpu_s
    await _all_collected(stage, sent)
    pace_lag = _lag(stage)
    figures = Figures(
        boxes=stage.boxes,
        tls=stage.tls is not None,
        connects_per_s=round(stage.boxes / took_s, 0),
        cpu_ms_per_connect=round(connect_cpu_s / stage.boxes * 1000, 3),
        kib_per_session=round(session_kib, 1),
        burst_per_s=round(stage.boxes / burst_s, 0),
        burst_cpu_us=round(burst_cpu_s / stage.boxes * 1e6, 0),
        burst_lag_ms=burst_lag,
        pace_per_s=round(sent / PACE_S, 1),
        pace_cpu_share=round(pace_cpu_s / PACE_S, 4),
        pace_lag_ms=pace_lag,
        jittered=await storm(stage, lambda attempt: brokerlink.reconnect_delay(attempt, random.random())),
        at_once=await storm(stage, lambda _attempt: 1.0),
    )
    stage.leave()
    return figures


async def storm(stage: Stage, delay: Callable[[int], float]) -> Storm:
    """Kill the broker, bring it back, and watch the boxes return as `delay(attempt)` lets them."""
    stage.broker.kill()
    stage.leave()
    came: list[float] = []
    attempts = 0
    killed_at = time.monotonic()

    async def come_back(box: int) -> None:
        nonlocal attempts
        attempt = 0
        while True:
            attempt += 1
            await asyncio.sleep(delay(attempt))
            attempts += 1
            with contextlib.suppress(OSError, LostError, TimeoutError):
                async with asyncio.timeout(CONNECT_S):
                    await stage.join(box)
                came.append(time.monotonic())
                return

    boxes = [asyncio.create_task(come_back(box)) for box in range(stage.boxes)]
    await asyncio.sleep(OUTAGE_S)
    await asyncio.to_thread(stage.broker.start)
    back_at = time.monotonic()
    done, missing = await asyncio.wait(boxes, timeout=STORM_S)
    for task in missing:
        task.cancel()
    assert not missing, f"{len(missing)} boxes of {len(done) + len(missing)} did not come back in {STORM_S} s"
    came.sort()
    seconds = [int(at - killed_at) for at in came]
    await stage.collect()
    return Storm(
        seconds_to_99=round(came[int(len(came) * 0.99) - 1] - back_at, 2),
        seconds_to_all=round(came[-1] - back_at, 2),
        attempts=attempts,
        busiest_second=max(seconds.count(second) for second in set(seconds)),
        broker_cpu_s=round(stage.cpu_s, 2),
    )


async def _all_collected(stage: Stage, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(stage.lags_ms) < count:
        assert time.monotonic() < deadline, f"the collector has {len(stage.lags_ms)} of {count}"
        await asyncio.sleep(0.02)


def _lag(stage: Stage) -> tuple[float, float]:
    """Median and 99th percentile of the collector's lag since the last look."""
    lags = sorted(stage.lags_ms)
    stage.lags_ms.clear()
    return round(statistics.median(lags), 1), round(lags[int(len(lags) * 0.99) - 1], 1)


def run(*, boxes: int, tls: bool) -> Figures:
    """A broker of its own for `boxes`; over TLS all of them show one certificate under many names."""
    with tempfile.TemporaryDirectory() as name:
        broker = Mosquitto(Path(name), listen="mutual" if tls else "open", start=False)
        broker._config.write_text(
            broker._config.read_text().replace("log_type all", "log_type error")
            + "max_queued_messages 100000\nmax_inflight_messages 1000\n"
        )
        context = brokerlink.tls_context(broker.settings(client="BOX")) if tls else None
        with broker:
            broker.start()
            return asyncio.run(measure(Stage(broker, boxes, context)))


def rows(plain: Figures, mutual: Figures) -> list[tuple[str, str, str, str]]:
    """Figure, plain, mutual TLS, what 10,000 boxes over TLS need of the broker."""
    scale = FLEET / mutual.boxes

    def storm_row(name: str, a: Storm, b: Storm) -> tuple[str, str, str, str]:
        return (
            name,
            f"{a.seconds_to_99} s, {a.seconds_to_all} s, {a.attempts:,}, {a.busiest_second:,}",
            f"{b.seconds_to_99} s, {b.seconds_to_all} s, {b.attempts:,}, {b.busiest_second:,}",
            f"{b.broker_cpu_s * scale:.0f} s of one core",
        )

    return [
        (
            "connections per second",
            f"{plain.connects_per_s:,.0f}",
            f"{mutual.connects_per_s:,.0f}",
            f"{1000 / mutual.cpu_ms_per_connect:,.0f} on a whole core",
        ),
        (
            "broker's CPU per connection, ms",
            f"{plain.cpu_ms_per_connect}",
            f"{mutual.cpu_ms_per_connect}",
            f"{mutual.cpu_ms_per_connect * FLEET / 1000:.0f} s for all",
        ),
        (
            "broker's memory per session, KiB",
            f"{plain.kib_per_session}",
            f"{mutual.kib_per_session}",
            f"{mutual.kib_per_session * FLEET / 1024:.0f} MiB for all",
        ),
        (
            "everybody publishes at once: acknowledged per second",
            f"{plain.burst_per_s:,.0f}",
            f"{mutual.burst_per_s:,.0f}",
            f"{1e6 / mutual.burst_cpu_us:,.0f} on a whole core",
        ),
        ("broker's CPU per message, µs", f"{plain.burst_cpu_us:.0f}", f"{mutual.burst_cpu_us:.0f}", ""),
        ("collector's lag then, median and 99 %, ms", _pair(plain.burst_lag_ms), _pair(mutual.burst_lag_ms), ""),
        (
            f"pace of 10,000 boxes, {plain.pace_per_s}/s: broker's share of a core",
            f"{plain.pace_cpu_share:.1%}",
            f"{mutual.pace_cpu_share:.1%}",
            "the same",
        ),
        ("collector's lag then, median and 99 %, ms", _pair(plain.pace_lag_ms), _pair(mutual.pace_lag_ms), ""),
        storm_row(
            "broker killed, back after 3 s, boxes' jitter: 99 %, all back, tries, busiest second",
            plain.jittered,
            mutual.jittered,
        ),
        storm_row("the same, everybody again every second", plain.at_once, mutual.at_once),
    ]


def _pair(lag: tuple[float, float]) -> str:
    return f"{lag[0]:,.1f}, {lag[1]:,.1f}"


def main() -> None:
    """Parse the command line, measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--boxes", type=int, default=FLEET, help="without TLS")
    parser.add_argument("--tls-boxes", type=int, default=1_000)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    console = Console(stderr=True)
    with console.status(f"{options.boxes:,} boxes"):
        plain = run(boxes=options.boxes, tls=False)
    with console.status(f"{options.tls_boxes:,} boxes over mutual TLS"):
        mutual = run(boxes=options.tls_boxes, tls=True)
    heads = ("figure", f"{plain.boxes:,} boxes, plain", f"{mutual.boxes:,} boxes, mutual TLS", "10,000 over TLS need")
    made = rows(plain, mutual)
    if options.json:
        sys.stdout.write(json.dumps([asdict(plain), asdict(mutual)]) + "\n")
    else:
        shown = Table(*heads, title="A fleet on one broker")
        for row in made:
            shown.add_row(*row)
        Console(width=170).print(shown)
    if options.write:
        document.write("fleet", "python -m tests.benchmarks.fleet --write", document.table(heads, made))


if __name__ == "__main__":
    main()
