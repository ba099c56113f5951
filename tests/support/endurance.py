"""One life of a simulated box: from its start to a stop, or to a power cut in the middle of what it was doing.

The pipeline, the sealed log, the store, the committing task and the outbox are the daemon's own; the crowd, the clocks
and the broker are played. Time passes as fast as the minutes can be worked. A life is a process: a cut is SIGKILL.
What the store acknowledged, and what the broker took, is written to `truth.txt` line by line, as a witness outside.

Run by `tests.benchmarks.endurance`: `python -m tests.support.endurance FOLDER LIFE`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import secrets
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from edge_scanner import protocols
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.log import recipients as documents
from edge_scanner.core.log import roots
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import ClockQuality, ClockReading, MessageKind
from edge_scanner.core.pipeline import LATENESS_S, Pipeline
from edge_scanner.device.central import recipient_sets
from edge_scanner.device.central.outbox import Deliveries, deliver
from edge_scanner.device.daemon import sealing
from edge_scanner.device.daemon.committer import Flush
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.health import BoxState
from edge_scanner.device.settings import Counts
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan
from edge_scanner.device.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.model import Advert, Batch, Message
    from edge_scanner.device.storage.store import Store

START_S = 1_764_028_800.0
"""Midnight UTC, seven in the morning in Viet Nam."""
DAY_S = 86_400
MINUTE_S = 60
NAMES = ("bluezone", "gaen", "dp3t", "robert", "bluetrace_lite", "bluetrace", "herald")
FAST = 1e6
CUT_WITHIN_S = 0.01
"""A minute's work takes about as long, so a cut falls before, into or after its commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """While it lasts the box's UTC is `offset_s` ahead of the truth and rests on `quality`."""

    from_s: float
    to_s: float
    offset_s: float
    quality: ClockQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """Everything that will happen to one box; times are true UTC seconds. Lives follow one another."""

    folder: str
    seed: int
    days: int
    devices: float
    retention_days: int
    lives: tuple[tuple[float, float], ...]
    cut: tuple[bool, ...]
    steps: tuple[Step, ...]
    outages: tuple[tuple[float, float], ...]

    @classmethod
    def plan(
        cls, folder: Path, *, seed: int, days: int, retention_days: int, cuts: int, steps: int, outages: int
    ) -> Venue:
        """A random fortnight. With `cuts` 0 the box runs from the first minute to the last."""
        rng = random.Random(seed)
        minutes = days * DAY_S // MINUTE_S
        edges = sorted(rng.sample(range(60, minutes - 60), cuts))
        lives, cut, begin = [], [], 0
        told: list[Step] = []
        for edge in [*edges, minutes]:
            if begin < edge:
                lives.append((START_S + begin * MINUTE_S, START_S + edge * MINUTE_S))
                cut.append(edge < minutes)
            dark = min(rng.choice((2, 5, 20, 90, 300)), minutes - edge)
            if edge < minutes:
                synced = rng.choice((0, 1, 3, 12))
                wake_s = START_S + (edge + dark) * MINUTE_S
                told.append(
                    Step(
                        from_s=wake_s,
                        to_s=wake_s + synced * MINUTE_S,
                        offset_s=-dark * MINUTE_S,
                        quality=ClockQuality.NONE,
                    )
                )
            begin = max(begin, edge + dark)
        for _ in range(steps):
            at_s = START_S + rng.randrange(60, minutes - 60) * MINUTE_S
            offset_s, lasts, quality = rng.choice(
                (
                    (-90.0, 30, ClockQuality.NTP),
                    (-5400.0, 20, ClockQuality.NONE),
                    (7200.0, 20, ClockQuality.NONE),
                    (40.0 * DAY_S, 10, ClockQuality.NONE),
                    (3.0, 240, ClockQuality.RTC),
                )
            )
            told.append(Step(from_s=at_s, to_s=at_s + lasts * MINUTE_S, offset_s=offset_s, quality=quality))
        away = []
        for _ in range(outages):
            at_s = START_S + rng.randrange(minutes) * MINUTE_S
            away.append((at_s, at_s + rng.choice((10, 60, 300, 1500)) * MINUTE_S))
        return cls(
            folder=str(folder),
            seed=seed,
            days=days,
            devices=rng.choice((2.0, 3.0, 5.0, 8.0)),
            retention_days=retention_days,
            lives=tuple(lives),
            cut=tuple(cut),
            steps=tuple(told),
            outages=tuple(away),
        )

    def write(self) -> None:
        """Keep the plan beside the box."""
        Path(self.folder, "venue.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Venue:
        """The plan again."""
        fields: dict[str, Any] = json.loads((folder / "venue.json").read_bytes())
        fields["steps"] = tuple(Step(**{**step, "quality": ClockQuality(step["quality"])}) for step in fields["steps"])
        fields["lives"] = tuple((begin, end) for begin, end in fields["lives"])
        return cls(**fields)

    def broker_is_away(self, now_s: float) -> bool:
        """Whether the broker cannot be reached."""
        return any(begin <= now_s < end for begin, end in self.outages)


class PlayedClock:
    """The box's clocks; the driver moves them. `looked` counts how often the committing task asked."""

    speed = FAST

    def __init__(self, venue: Venue, begin_s: float) -> None:
        self._venue = venue
        self._begin_s = self.true_s = begin_s
        self.looks = 0

    @property
    def step(self) -> tuple[float, ClockQuality]:
        """How wrong UTC is, and what it rests on."""
        for step in self._venue.steps:
            if step.from_s <= self.true_s < step.to_s:
                return step.offset_s, step.quality
        return 0.0, ClockQuality.NTP

    def now(self) -> float:
        """UTC seconds as the box has them."""
        return self.true_s + self.step[0]

    def monotonic(self) -> float:
        """Seconds since the life began."""
        return self.true_s - self._begin_s

    def glance(self) -> ClockReading:
        """Both clocks, for whoever does not commit."""
        return ClockReading(utc_s=self.now(), monotonic_s=self.monotonic(), quality=self.step[1])

    def reading(self) -> ClockReading:
        """Both clocks, for the committing task."""
        self.looks += 1
        return self.glance()

    async def looked_at(self, times: int) -> None:
        """Return once the committing task has asked so often from now on."""
        until = self.looks + times
        while self.looks < until:  # noqa: ASYNC110 (looks come every few microseconds; an Event would cost more)
            await asyncio.sleep(0.0002)


class Truth:
    """A file that a kill cannot take back: one line for each thing that is settled."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, *words: object) -> None:
        """One line."""
        os.write(self._file, (" ".join(str(word) for word in words) + "\n").encode())


class WitnessedStore:
    """The store, with a witness of what it acknowledged."""

    def __init__(self, store: Store, truth: Truth) -> None:
        self._store = store
        self._truth = truth

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, batch: Batch) -> None:
        """Commit, then tell."""
        await self._store.commit(batch)
        for frame in batch.rows.frames:
            self._truth.tell("frame", frame.seq, frame.number)
        for message in batch.messages:
            self._truth.tell("message", message.key)
        if batch.drop_segments_before is not None:
            self._truth.tell("dropped", batch.drop_segments_before)


class PlayedBroker:
    """Takes messages and writes them down; away while the venue's calendar says so."""

    def __init__(self, venue: Venue, clock: PlayedClock, truth: Truth) -> None:
        self._venue, self._clock, self._truth = venue, clock, truth

    async def connected(self) -> None:
        """Return once the broker can be reached."""
        while self._venue.broker_is_away(self._clock.true_s):  # noqa: ASYNC110 (a calendar wakes nobody)
            await asyncio.sleep(0.005)

    async def publish(self, message: Message) -> int:
        """Accepted, or UnavailableError; now and then the broker has it and the answer is lost."""
        if self._venue.broker_is_away(self._clock.true_s):
            raise UnavailableError("the broker is away", where="simulation")
        body = message.payload.decode() if message.kind in {MessageKind.CHECKPOINT, MessageKind.COUNTS} else ""
        self._truth.tell("delivered", message.key, message.kind, body)
        if secrets.randbelow(50) == 0:
            raise UnavailableError("the answer is lost", where="simulation")
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the source counts."""

    dropped: int = 0
    recoveries: dict[str, int]


class PlayedSource:
    """A radio that always listens."""

    listening = punctual = True
    fault = None
    counters = Heard(recoveries={})


def adverts(venue: Venue, begin_s: float) -> Iterator[Advert]:
    """The crowd from a moment on, a new one each day, waxing by day and waning by night."""
    first = int((begin_s - START_S) // DAY_S)
    for day in range(first, venue.days):
        plan = CrowdPlan(devices=venue.devices, duration_s=float(DAY_S), swing=0.9, swing_s=float(DAY_S))
        crowd = Crowd(plan, seed=venue.seed * 1000 + day, start_s=START_S + day * DAY_S)
        yield from (advert for advert in crowd.adverts() if advert.last_s >= begin_s)


async def live(venue: Venue, number: int) -> None:
    """One life; ends by SIGKILL where the plan says so."""
    folder = Path(venue.folder)
    truth = Truth(folder / "truth.txt")
    (begin_s, end_s), cut = venue.lives[number], venue.cut[number]
    clock = PlayedClock(venue, begin_s)
    known = protocols.load(NAMES)
    identity = open_identity(folder)
    found = documents.verify(
        (folder / "recipients.json").read_bytes(),
        roots.read((folder / "authority-root.pem").read_bytes(), (folder / "custodian-root.pem").read_bytes()),
    )
    async with open_store(folder / "log.db") as real:
        store = cast("Store", WitnessedStore(real, truth))
        state = await store.log_state()
        await recipient_sets.put_in_force(
            found, store, sender=Sender(device=identity.device_id, site="endurance", boot=0), now_s=begin_s
        )
        log = sealing.begin(identity.device_id, identity.key, found, state, clock.reading())
        counter = Counter(known)
        ledger = Ledger(Counts().budget, figures=counter.figures, sensitivity=counter.sensitivity)
        ledger.resume(await store.releases(clock.now() - 2 * DAY_S))
        pipeline = Pipeline(
            protocols=known,
            counter=counter,
            ledger=ledger,
            log=log,
            sender=Sender(device=identity.device_id, site="endurance", boot=state.next_boot),
            clock=clock.reading(),
        )
        health = BoxState(log=log, recipients=found, retention_days=venue.retention_days, state_dir=folder)
        health.source = PlayedSource()
        flush = Flush(pipeline, store, clock, health)
        await flush.begin(state.next_boot)
        changed, deliveries = asyncio.Event(), Deliveries()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(flush.keep(changed))
                tasks.create_task(
                    deliver(
                        store,
                        PlayedBroker(venue, clock, truth),
                        changed=changed,
                        clock=lambda: clock.glance().utc_s,
                        trusted=flush.trusted,
                        deliveries=deliveries,
                        per_s=FAST,
                    )
                )
                tasks.create_task(drive(venue, pipeline, clock, truth, end_s=end_s, cut=cut))
        except* _OverError:
            pass
        await flush.last()
        truth.tell("outbox", await store.outbox_size(), "lost", deliveries.expired + await store.outbox_dropped())


class _OverError(Exception):
    """The life is over."""


async def drive(venue: Venue, pipeline: Pipeline, clock: PlayedClock, truth: Truth, *, end_s: float, cut: bool) -> None:
    """Minute after minute: what was heard, then the clock, then whatever the daemon's tasks make of it."""
    heard = adverts(venue, clock.true_s)
    waiting = next(heard, None)
    while clock.true_s < end_s:
        minute_end_s = clock.true_s - clock.true_s % MINUTE_S + MINUTE_S
        offset_s, _ = clock.step
        while waiting is not None and waiting.last_s < minute_end_s:
            pipeline.feed(
                msgspec.structs.replace(waiting, first_s=waiting.first_s + offset_s, last_s=waiting.last_s + offset_s)
                if offset_s
                else waiting
            )
            waiting = next(heard, None)
        if cut and minute_end_s >= end_s:
            threading.Timer(
                secrets.randbelow(1000) / 1000 * CUT_WITHIN_S, os.kill, (os.getpid(), signal.SIGKILL)
            ).start()
        truth.tell("minute", int(minute_end_s))
        clock.true_s = minute_end_s + LATENESS_S + 0.5
        await clock.looked_at(3)
        if minute_end_s % (DAY_S // 4) == 0:
            gc.collect()  # What the crowd leaves behind in cycles is not the box's.
            size = sum(path.stat().st_size for path in Path(venue.folder).glob("log.db*"))
            truth.tell("state", int(minute_end_s - START_S), _rss_kb(), size)
    if cut:
        await asyncio.Event().wait()
    raise _OverError


def _rss_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


if __name__ == "__main__":
    asyncio.run(live(Venue.read(Path(sys.argv[1])), int(sys.argv[2])))
