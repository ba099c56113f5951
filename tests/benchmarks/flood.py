"""A flood of invented identifiers over a hall of phones: who is still counted and logged, and what it costs.

Everything between bleak's callback and the pipeline's minute is the daemon's own code (bursts, tags, decoders,
encounters, counting); only the packets and the clock are simulated. `once`: each packet has a new address and a new
identifier. `repeated`: each is sent three times, five seconds apart. `bare`: new addresses without an identifier.
The flood lasts over a quarter hour, where identifiers and tags change.

Run: `python -m tests.benchmarks.flood`, or `--rate 2000 --minutes 6 --json`.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge_scanner import protocols
from edge_scanner.core.address_tags import Tagger
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.log.encounters import Encounters
from edge_scanner.device.radio.bursts import Burst, Bursts, to_advert
from tests.benchmarks import document

START_S = 1_763_975_340
"""Six minutes before a full quarter hour, UTC: the flood begins three minutes later."""
QUIET_MINUTES = 3
PHONES = 60
WINDOW_S, PAUSE_S = 15, 30
"""Bluezone on Android speaks for a while and pauses for as much as twice that; Exposure Notification never pauses."""
HEARD = 0.4
"""Share of a phone's packets, one a second, that a receiver in a hall hears."""
KINDS = ("once", "repeated", "bare")
REPEATS = 3
REPEAT_S = 5.0
NAMES = ("bluezone", "gaen", "dp3t", "robert", "bluetrace_lite", "bluetrace", "herald")
BLUEZONE_COMPANY = 0x22B5
BLUEZONE_UUID = "00004e56-0000-1000-8000-00805f9b34fb"
GAEN_UUID = "0000fd6f-0000-1000-8000-00805f9b34fb"
BLUEZONE_LIFE_S = 900
GAEN_LIFE_S = 840


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One flood: shares are of the phones truly there, means over its minutes; packets are the flood's and theirs."""

    kind: str
    rate: int
    minutes: int
    phones: int
    counted_before: float
    counted_least: float
    counted_mean: float
    counted_most: float
    logged_mean: float
    dropped_bursts: int
    dropped_counting: int
    dropped_log: int
    rss_before_mb: float
    rss_peak_mb: float
    cpu_us_per_packet: float


class Box:
    """The daemon's path of a packet, without bleak in front and without a disk behind."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.protocols = protocols.load(NAMES)
        self.bursts = Bursts()
        self.counter = Counter(self.protocols)
        self.encounters = Encounters()
        self.tagger = Tagger(lambda: self.rng.randbytes(32))

    def packet(self, address: str, data: dict[int, bytes], services: dict[str, bytes], uuid: str, now_s: float) -> None:
        """As `radio.py` does it."""
        uuids = [uuid] if uuid else []
        rssi = -50 - self.rng.randrange(30)
        if not self.bursts.again(address, data, services, uuids, rssi, now_s):
            self.bursts.begin(
                Burst(
                    address=address, random=True, flags=0x1A, name=None, uuids=uuids,
                    service_data=services, manufacturer_data=data, rssi_sum=rssi, rssi_max=rssi, first_s=now_s,
                    last_s=now_s,
                )
            )  # fmt: skip

    def take(self) -> None:
        """As `scanner.hear` and `Pipeline.feed` do it."""
        while (burst := self.bursts.take()) is not None:
            advert = to_advert(burst, self.tagger, frozenset())
            sightings = protocols.recognise(self.protocols, advert)
            for sighting in sightings:
                self.encounters.add(sighting)
            self.counter.add(advert, sightings)


class Hall:
    """Phones that stay all the time, half Bluezone, half Exposure Notification, rotating as they do."""

    def __init__(self, box: Box, phones: int) -> None:
        self.box = box
        self.offsets = [box.rng.uniform(0, GAEN_LIFE_S) for _ in range(phones)]

    def identifier(self, phone: int, now_s: float) -> bytes:
        """What a phone shows."""
        epoch = now_s // BLUEZONE_LIFE_S if phone % 2 else (now_s + self.offsets[phone]) // GAEN_LIFE_S
        return int(epoch).to_bytes(4, "big") + phone.to_bytes(8, "big")

    def speak(self, now_s: float) -> None:
        """One second of them all."""
        for phone in range(len(self.offsets)):
            pausing = phone % 2 and (now_s + self.offsets[phone]) % (WINDOW_S + PAUSE_S) >= WINDOW_S
            if pausing or self.box.rng.random() >= HEARD:
                continue
            token = self.identifier(phone, now_s)
            address = ":".join(f"{byte:02X}" for byte in (0x40 | phone % 2, *token[3:4], *token[-4:]))
            at_s = now_s + phone / len(self.offsets)
            if phone % 2:
                self.box.packet(address, {BLUEZONE_COMPANY: token}, {}, BLUEZONE_UUID, at_s)
            else:
                self.box.packet(address, {}, {GAEN_UUID: token + bytes(8)}, GAEN_UUID, at_s)


class Flood:
    """Invented senders at `rate` packets a second."""

    def __init__(self, box: Box, kind: str, rate: int) -> None:
        self.box, self.kind, self.rate = box, kind, rate
        self._again: deque[tuple[float, bytes]] = deque()

    def speak(self, now_s: float) -> None:
        """One second of it, evenly."""
        for number in range(self.rate):
            at_s = now_s + number / self.rate
            if self._again and self._again[0][0] <= at_s:
                _, token = self._again.popleft()
            else:
                token = self.box.rng.randbytes(12)
                if self.kind == "repeated":
                    self._again.extend((at_s + REPEAT_S * n, token) for n in range(1, REPEATS))
            address = ":".join(f"{byte:02X}" for byte in (0x40 | token[0] & 0x3F, *token[1:6]))
            if self.kind == "bare":
                self.box.packet(address, {}, {}, "", at_s)
            else:
                self.box.packet(address, {BLUEZONE_COMPANY: token}, {}, BLUEZONE_UUID, at_s)


def run(kind: str, *, rate: int, minutes: int, phones: int = PHONES, seed: int = 1, quiet: bool = True) -> Figures:
    """A quiet beginning, the flood, and what was made of it; `quiet` shows no progress."""
    box = Box(seed)
    hall, flood = Hall(box, phones), Flood(box, kind, rate)
    counted: dict[int, int] = {}
    logged: dict[int, float] = {}
    dropped_log = 0
    before_mb = _rss_mb()
    cpu_s = time.process_time()
    # The counts of a minute are known two minutes later, and the first and last of the flood are only partly in it.
    minutes_all = QUIET_MINUTES + minutes + box.counter.lag_minutes
    for minute in track(range(minutes_all), description=kind, disable=quiet, console=Console(stderr=True)):
        begin_s = START_S + 60 * minute
        for second in range(60):
            hall.speak(begin_s + second)
            if QUIET_MINUTES <= minute < QUIET_MINUTES + minutes:
                flood.speak(begin_s + second)
            box.take()
        box.bursts.cut(begin_s + 60)
        box.take()
        encounters, dropped = box.encounters.close(begin_s)
        dropped_log += dropped
        real = {hall.identifier(phone, begin_s + at_s) for phone in range(phones) for at_s in (0, 30)}
        kept = {one.payload[4:12] for one in encounters if one.payload[:12] in real}
        logged[minute] = len(kept) / phones
        tally = box.counter.close(begin_s)
        if tally.listened_s:
            counted[(tally.minute_s - START_S) // 60] = sum(tally.figures[name] for name in ("bluezone", "gaen"))
    cpu_s = time.process_time() - cpu_s
    shares = [counted[minute] / phones for minute in range(QUIET_MINUTES, QUIET_MINUTES + minutes)]
    flooded = [logged[minute] for minute in range(QUIET_MINUTES, QUIET_MINUTES + minutes)]
    return Figures(
        kind=kind,
        rate=rate,
        minutes=minutes,
        phones=phones,
        counted_before=round(counted[QUIET_MINUTES - 1] / phones, 3),
        counted_least=round(min(shares), 3),
        counted_mean=round(sum(shares) / len(shares), 3),
        counted_most=round(max(shares), 3),
        logged_mean=round(sum(flooded) / len(flooded), 3),
        dropped_bursts=box.bursts.dropped,
        dropped_counting=box.counter.dropped_total,
        dropped_log=dropped_log,
        rss_before_mb=round(before_mb, 1),
        rss_peak_mb=round(_peak_mb(), 1),
        cpu_us_per_packet=round(cpu_s / (box.bursts.heard or 1) * 1e6, 1),
    )


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _peak_mb() -> float:
    """The peak since this program began; getrusage's would be that of the process which started it, if higher."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


HEADS = (
    "flood", "packets/s", "counted before", "counted: least, mean, most", "logged", "dropped: bursts, counting, log",
    "RSS before, peak MB", "CPU µs/packet",
)  # fmt: skip


def rows(figures: list[Figures]) -> list[tuple[str, ...]]:
    """The figures as people read them."""
    return [
        (
            one.kind,
            f"{one.rate:,}",
            f"{one.counted_before:.0%}",
            f"{one.counted_least:.0%}, {one.counted_mean:.0%}, {one.counted_most:.0%}",
            f"{one.logged_mean:.0%}",
            f"{one.dropped_bursts:,}, {one.dropped_counting:,}, {one.dropped_log:,}",
            f"{one.rss_before_mb:.0f}, {one.rss_peak_mb:.0f}",
            f"{one.cpu_us_per_packet:.1f}",
        )
        for one in figures
    ]


def main() -> None:
    """Parse the command line, flood, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--rate", type=int, default=2_000, help="packets of the flood per second")
    parser.add_argument("--minutes", type=int, default=6)
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    figures = [run(kind, rate=options.rate, minutes=options.minutes, quiet=options.json) for kind in options.kinds]
    if options.json:
        sys.stdout.write(json.dumps([asdict(one) for one in figures]) + "\n")
    else:
        shown = Table(*HEADS, title=f"A flood over {PHONES} phones, {options.minutes} minutes")
        for row in rows(figures):
            shown.add_row(*row)
        Console(width=160).print(shown)
    if options.write:
        command = f"python -m tests.benchmarks.flood --minutes {options.minutes} --write"
        document.write("flood", command, document.table(HEADS, rows(figures)))


if __name__ == "__main__":
    main()
