"""CPU per advert of our radio and daemon against the floor: a bleak callback that does nothing.

A stand-in bluetoothd (`stream.py`, a process of its own on a private bus) streams 200 phones that change address every
5 s; each consumer hears it for a few seconds as a process of its own, and its CPU time and memory come from the kernel
between two marks. `daemon` is the daemon as its unit starts it; its adverts are what was sent. All consumers run
within one run of this program, one after the other; on a busy machine trust neither the figures nor a single ratio.

Run: `python -m tests.benchmarks.load`, or `--rates 500 --seconds 5 --json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.support.dbus import PrivateBus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).parents[2]
RATES = (500, 2_000, 8_000)
PHONES = 200
ROTATE_S = 5.0
WARM_UP_S = 2.0
SECONDS = 10.0
AIM = 1.25
PROTOCOLS = ("bluezone", "gaen", "dp3t", "robert", "bluetrace_lite", "bluetrace", "herald")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one consumer used while it heard one rate; `adverts` came within the measured time.

    `ready_s` is the daemon's time from exec to READY; None is "not told".
    """

    consumer: str
    rate: int
    adverts: int
    seconds: float
    cpu_us: float
    ratio: float
    dropped: int | None
    peak_rss_mb: float
    ready_s: float | None = None


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _measure(seconds: float, heard: Callable[[], tuple[int, int]]) -> None:
    """Print CPU, adverts and drops between two marks as one JSON line."""
    await asyncio.sleep(WARM_UP_S)
    (before, dropped), cpu_s, start = heard(), _cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    after, dropped_after = heard()
    result = {
        "adverts": after - before,
        "dropped": dropped_after - dropped,
        "cpu_s": _cpu_s() - cpu_s,
        "seconds": time.monotonic() - start,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(result) + "\n")


async def noop(seconds: float) -> None:
    """The floor: bleak, active scanning with duplicates, a callback that only counts."""
    from bleak import BleakScanner  # noqa: PLC0415 (each consumer loads what it needs, or memory would not compare)

    heard = 0

    def callback(_device: object, _advertisement: object) -> None:
        nonlocal heard
        heard += 1

    async with BleakScanner(callback, bluez={"filters": {"DuplicateData": True}}):
        await _measure(seconds, lambda: (heard, 0))


async def radio(seconds: float) -> None:
    """Our radio, its adverts taken and thrown away."""
    from edge_scanner.device.radio.radio import RadioSettings, open_radio  # noqa: PLC0415 (see noop)

    async with open_radio(
        RadioSettings(), clock=time.time, name_uuids=frozenset(), new_key=lambda: secrets.token_bytes(32)
    ) as source:

        async def hear() -> None:
            async for _ in source:
                pass

        task = asyncio.create_task(hear())
        await _measure(seconds, lambda: (source.counters.heard, source.counters.dropped))
        task.cancel()


async def recognising(seconds: float) -> None:
    """The radio, every protocol's decoder, encounters and counting: the part of the daemon that grows with the air."""
    from edge_scanner import protocols  # noqa: PLC0415 (see noop)
    from edge_scanner.core.counts.estimator import Counter  # noqa: PLC0415 (see noop)
    from edge_scanner.core.log.encounters import Encounters  # noqa: PLC0415 (see noop)
    from edge_scanner.device.radio.radio import RadioSettings, open_radio  # noqa: PLC0415 (see noop)

    known = protocols.load(PROTOCOLS)
    counter, encounters = Counter(known), Encounters()
    async with open_radio(
        RadioSettings(), clock=time.time, name_uuids=frozenset(), new_key=lambda: secrets.token_bytes(32)
    ) as source:

        async def hear() -> None:
            async for advert in source:
                sightings = protocols.recognise(known, advert)
                counter.add(advert, sightings)
                for sighting in sightings:
                    encounters.add(sighting)

        task = asyncio.create_task(hear())
        await _measure(seconds, lambda: (source.counters.heard, source.counters.dropped))
        task.cancel()


CONSUMERS: dict[str, Callable[[float], Awaitable[None]]] = {"noop": noop, "radio": radio, "recognising": recognising}


def daemon(seconds: float, rate: int, folder: Path, environment: dict[str, str]) -> dict[str, float | None]:
    """Run the daemon without broker and recipients, and read its CPU time and memory from /proc."""
    configuration = folder / "scanner.toml"
    configuration.write_text(
        f'[device]\nstate_dir = "{folder}"\nruntime_dir = "{folder}"\n[log]\nrecipients = "{folder}/none.json"\n'
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(folder / "notify"))
        notices.settimeout(30)
        start = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "edge_scanner.device.unit", "run", str(configuration)],
            env={**environment, "NOTIFY_SOCKET": str(folder / "notify")},
            stderr=subprocess.DEVNULL,
        ) as process:
            while b"READY=1" not in notices.recv(4096):
                pass
            ready_s = time.monotonic() - start
            time.sleep(WARM_UP_S)
            before_s, start = _process_cpu_s(process.pid), time.monotonic()
            time.sleep(seconds)
            cpu_s, took_s = _process_cpu_s(process.pid) - before_s, time.monotonic() - start
            status = Path(f"/proc/{process.pid}/status").read_text()
            process.terminate()
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return {
        "adverts": rate * took_s,
        # The daemon tells nobody how much it dropped: that would be a count.
        "dropped": None,
        "cpu_s": cpu_s,
        "seconds": took_s,
        "peak_rss_mb": peak_kb / 1024,
        "ready_s": ready_s,
    }


def _process_cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child(consumer: str, seconds: float, environment: dict[str, str]) -> dict[str, float | None]:
    """Run one of CONSUMERS as a process."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load", "--consumer", consumer, "--seconds", str(seconds)],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        timeout=seconds + 30,
    ).stdout
    figures: dict[str, float | None] = json.loads(told.splitlines()[-1])
    return figures


def hear(consumer: str, rate: int, seconds: float, phones: int, rotate_s: float) -> Figure:
    """Run one consumer against a fresh stand-in on a fresh bus."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bus = PrivateBus(folder)
        bus.start()
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
        try:
            with subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.benchmarks.stream",
                    "--rate",
                    str(rate),
                    "--phones",
                    str(phones),
                    "--rotate-s",
                    str(rotate_s),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            ) as stand_in:
                assert stand_in.stdin is not None
                assert stand_in.stdout is not None
                stand_in.stdout.readline()
                try:
                    told = (
                        daemon(seconds, rate, folder, environment)
                        if consumer == "daemon"
                        else child(consumer, seconds, environment)
                    )
                finally:
                    stand_in.stdin.close()
        finally:
            bus.stop()
    adverts, took_s, ready_s = told["adverts"] or 0, told["seconds"] or 0, told.get("ready_s")
    return Figure(
        consumer=consumer,
        rate=rate,
        adverts=round(adverts),
        seconds=round(took_s, 2),
        cpu_us=round((told["cpu_s"] or 0) / max(adverts, 1) * 1e6, 2),
        ratio=1.0,
        dropped=None if told["dropped"] is None else round(told["dropped"]),
        peak_rss_mb=round(told["peak_rss_mb"] or 0, 1),
        ready_s=None if ready_s is None else round(ready_s, 2),
    )


def table(figures: list[Figure], phones: int, rotate_s: float) -> Table:
    """The figures as people read them."""
    shown = Table(title=f"CPU per advert, {phones} phones, addresses change every {rotate_s:.0f} s (aim ≤ {AIM})")
    for column in (
        "adverts/s asked",
        "consumer",
        "adverts/s heard",
        "CPU µs/advert",
        "ratio",
        "dropped",
        "peak RSS MB",
        "READY s",
    ):
        shown.add_column(column, justify="left" if column == "consumer" else "right")
    for figure in figures:
        shown.add_row(
            f"{figure.rate:,}",
            figure.consumer,
            f"{figure.adverts / figure.seconds:,.0f}",
            f"{figure.cpu_us:.2f}",
            f"{figure.ratio:.2f}",
            "-" if figure.dropped is None else f"{figure.dropped:,}",
            f"{figure.peak_rss_mb:.1f}",
            "-" if figure.ready_s is None else f"{figure.ready_s:.2f}",
        )
    return shown


def main() -> None:
    """Parse the command line; with --consumer be that consumer, else measure all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES), metavar="ADVERTS_PER_S")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="measured time per consumer and rate")
    parser.add_argument("--phones", type=int, default=PHONES)
    parser.add_argument("--rotate-s", type=float, default=ROTATE_S, help="life of an address and of an identifier")
    parser.add_argument("--consumers", nargs="+", choices=(*CONSUMERS, "daemon"), default=[*CONSUMERS, "daemon"])
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--consumer", choices=CONSUMERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.consumer:
        asyncio.run(_consume(CONSUMERS[arguments.consumer], arguments.seconds))
        return
    figures: list[Figure] = []
    console = Console(stderr=True)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("load", total=None)
        for rate in arguments.rates:
            floor_us = 0.0
            for consumer in arguments.consumers:
                progress.update(task, description=f"{consumer} at {rate:,} adverts/s")
                figure = hear(consumer, rate, arguments.seconds, arguments.phones, arguments.rotate_s)
                floor_us = floor_us or figure.cpu_us
                figures.append(Figure(**{**asdict(figure), "ratio": round(figure.cpu_us / floor_us, 3)}))
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    else:
        Console().print(table(figures, arguments.phones, arguments.rotate_s))


async def _consume(consumer: Callable[[float], Awaitable[None]], seconds: float) -> None:
    await consumer(seconds)


if __name__ == "__main__":
    main()
