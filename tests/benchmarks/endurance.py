"""A simulated fortnight of many boxes: memory, size of the database, and whether anything was lost.

Each venue is a box with a life of its own: power cuts (SIGKILL in the middle of a minute's work), clocks that start
behind, step and leap, days without a broker, lost answers, retention. `tests/support/endurance.py` is one life. Here
the lives follow one another, and at the end everything the store acknowledged is looked for, and everything published
is held against the log by the verifier that the health authority uses.

Run: `python -m tests.benchmarks.endurance`, or `--venues 2 --days 3 --retention-days 1 --json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from edge_scanner.core.log import merkle
from edge_scanner.core.log.frames import Minute
from edge_scanner.core.log.opener import open_frames, part_keys
from edge_scanner.core.log.verifier import Verifier
from edge_scanner.core.model import Link
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.storage.store import open_reader
from tests.benchmarks import document, plot
from tests.support.endurance import DAY_S, MINUTE_S, START_S, Venue
from tests.support.recipients import Parties, parties

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.device.storage.store import Store

ROOT = Path(__file__).parents[2]
WARM_S = DAY_S
"""Memory is compared from a day after a start: caches and the allocator have settled."""

NEAR_S = 2 * MINUTE_S
"""So near to a step of the clock a minute may be counted among its neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one box made of its fortnight. `…_lost` and `minutes_missing` must be 0, `states` are (day, MB, MB)."""

    venue: int
    devices: float
    minutes: int
    lives: int
    cuts: int
    steps: int
    outage_hours: float
    frames_acknowledged: int
    frames_lost: int
    minutes_opened: int
    minutes_missing: int
    segments_deleted: int
    oldest_days: float
    messages_acknowledged: int
    messages_lost: int
    messages_waiting: int
    messages_repeated: int
    checkpoints_verified: int
    links_verified: int
    segments_verified: int
    memory_growth_mb: float
    database_mb: float
    states: tuple[tuple[float, float, float], ...]

    @property
    def sound(self) -> bool:
        """Nothing lost, and verified."""
        return not (self.frames_lost or self.messages_lost or self.minutes_missing) and self.segments_verified > 0


@dataclass(slots=True, kw_only=True)
class Witness:
    """What a box's witness file says, gathered; `lost_by_rule` are messages that expired or made room."""

    frames: set[tuple[int, int]] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    delivered: Counter[str] = field(default_factory=Counter)
    notes: list[bytes] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    states: list[tuple[float, float, float]] = field(default_factory=list)
    minutes: list[int] = field(default_factory=list)
    dropped: int = 0
    lost_by_rule: int = 0

    @classmethod
    def hear(cls, text: str) -> Witness:
        """All lines of a witness file."""
        said = cls()
        for line in text.splitlines():
            said.take(*line.split(" ", 1))
        return said

    def take(self, word: str, rest: str) -> None:
        """One line."""
        match word:
            case "frame":
                seq, frame = rest.split()
                self.frames.add((int(seq), int(frame)))
            case "message":
                self.acknowledged.add(rest)
            case "delivered":
                self._take_message(*rest.split(" ", 2))
            case "dropped":
                self.dropped = max(self.dropped, int(rest))
            case "minute":
                self.minutes.append(int(rest) - MINUTE_S)
            case "outbox":
                self.lost_by_rule = int(rest.split()[2])
            case _:
                at_s, rss_kb, size = (int(part) for part in rest.split())
                self.states.append((at_s / DAY_S, rss_kb / 1024, size / 1e6))

    def to_be_found(self, venue: Venue, oldest_s: float) -> set[int]:
        """Minutes of the kept time that the box worked on with a right clock, but for those that a cut fell into.

        A segment that was begun with a clock behind can be the oldest by name and not by age: what counts as kept is
        at most as old as the retention.
        """
        oldest_s = max(oldest_s, venue.lives[-1][1] - venue.retention_days * DAY_S)
        cuts = {end_s - MINUTE_S for (_, end_s), cut in zip(venue.lives, venue.cut, strict=True) if cut}
        wrong = [(step.from_s - NEAR_S, step.to_s + NEAR_S) for step in venue.steps]
        return {
            minute_s
            for minute_s in self.minutes
            if minute_s >= oldest_s + NEAR_S
            and minute_s not in cuts
            and not any(begin_s < minute_s < end_s for begin_s, end_s in wrong)
        }

    def _take_message(self, key: str, kind: str, body: str) -> None:
        self.delivered[key] += 1
        if kind == "checkpoint":
            self.notes.append(json.loads(body)["note"].encode())
        elif kind == "counts" and (link := json.loads(body).get("link")):
            self.links.append(Link(seq=link["segment"], digest=bytes.fromhex(link["link"])))


def live(venue: Venue, on_life: Callable[[float], None]) -> None:
    """All lives of a box, each as a process; raises when one ends otherwise than planned."""
    folder = Path(venue.folder)
    for number, ((begin_s, end_s), cut) in enumerate(zip(venue.lives, venue.cut, strict=True)):
        with (folder / "errors.txt").open("ab") as errors:
            code = subprocess.run(
                [sys.executable, "-m", "tests.support.endurance", venue.folder, str(number)],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                check=False,
                preexec_fn=_politely,
            ).returncode
        if code != (-9 if cut else 0):
            raise RuntimeError(
                f"life {number} of {folder.name} ended with {code}: {(folder / 'errors.txt').read_text()}"
            )
        on_life((end_s - begin_s) / DAY_S)


def _politely() -> None:
    os.nice(5)


async def judge(venue: Venue, who: Parties, number: int) -> Result:
    """Hold the box's log and outbox against the witness."""
    said = Witness.hear((Path(venue.folder) / "truth.txt").read_text())
    async with open_reader(Path(venue.folder) / "log.db") as store:
        kept, opened, verified = await verify(store, venue, who, said)
        waiting = {row.message.key for row in await store.oldest(10_000)}
        oldest_s = (await store.summary()).oldest_s or 0.0
    alive = {frame for frame in said.frames if frame[0] >= said.dropped}
    undelivered = said.acknowledged - said.delivered.keys() - waiting
    return Result(
        venue=number,
        devices=venue.devices,
        minutes=len(said.minutes),
        lives=len(venue.lives),
        cuts=sum(venue.cut),
        steps=len(venue.steps),
        outage_hours=round(sum(end - begin for begin, end in venue.outages) / 3600, 1),
        frames_acknowledged=len(said.frames),
        frames_lost=len(alive - kept),
        minutes_opened=len(opened),
        minutes_missing=len(said.to_be_found(venue, oldest_s) - opened),
        segments_deleted=said.dropped,
        oldest_days=round((venue.lives[-1][1] - oldest_s) / DAY_S, 2),
        messages_acknowledged=len(said.acknowledged),
        messages_lost=max(0, len(undelivered) - said.lost_by_rule),
        messages_waiting=len(waiting),
        messages_repeated=sum(times - 1 for times in said.delivered.values()),
        checkpoints_verified=len(said.notes),
        links_verified=len(said.links),
        segments_verified=verified,
        memory_growth_mb=_growth(venue, said.states),
        database_mb=round(max((size for _, _, size in said.states), default=0), 2),
        states=tuple(said.states),
    )


async def verify(store: Store, venue: Venue, who: Parties, said: Witness) -> tuple[set[tuple[int, int]], set[int], int]:
    """The frames that are there, the minutes in them (UTC) and how many segments passed.

    Raises LogError for anything that does not add up.
    """
    identity = open_identity(Path(venue.folder))
    verifier = Verifier(
        device=identity.device_id,
        identity=identity.key.public_key(),
        before=merkle.EMPTY,
        leaves=[leaf.digest async for leaf in store.leaves()],
        recipients=[who.recipients],
        links=said.links,
    )
    async for boot in store.boots():
        verifier.boot(boot.record)
    for note in said.notes:
        if not verifier.checkpoint(note):
            raise RuntimeError("a published checkpoint is older than the tree")
    kept: set[tuple[int, int]] = set()
    minutes: set[int] = set()
    segments = 0
    keys = who.keys()
    async for header in store.headers(float("-inf"), float("inf")):
        frames = [frame async for frame in store.frames(header.seq)]
        verified = verifier.segment(header, frames)
        minutes.update(
            content.minute_s
            for content in open_frames(header.header, part_keys(header.header, keys), frames, unclean=verified.unclean)
            if isinstance(content, Minute)
        )
        kept.update((frame.seq, frame.number) for frame in frames)
        segments += 1
    verifier.finish()
    return kept, minutes, segments


def _growth(venue: Venue, states: list[tuple[float, float, float]]) -> float:
    """The most that memory grew within one life, from a day after its start."""
    most = 0.0
    for begin_s, end_s in venue.lives:
        life = [rss for day, rss, _ in states if begin_s + WARM_S <= START_S + day * DAY_S <= end_s]
        if life:
            most = max(most, life[-1] - life[0])
    return round(most, 2)


def run(folder: Path, *, venues: int, days: int, retention_days: int, jobs: int, quiet: bool = False) -> list[Result]:
    """Every venue through all its days; the first one is never cut off."""
    who = parties(START_S)
    plans = []
    for number in range(venues):
        box = folder / f"venue-{number}"
        box.mkdir(mode=0o700)
        who.install(box)
        plan = Venue.plan(
            box,
            seed=number + 1,
            days=days,
            retention_days=retention_days,
            cuts=0 if number == 0 and venues > 1 else max(2, days // 2),
            steps=max(2, days // 3),
            outages=max(1, days // 3),
        )
        plan.write()
        plans.append(plan)
    columns = (
        TextColumn("simulated days"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("", total=venues * days)

        def fortnight(number: int) -> Result:
            live(plans[number], lambda part: progress.advance(task, part))
            return asyncio.run(judge(plans[number], who, number))

        return list(pool.map(fortnight, range(venues)))


def summary(results: list[Result]) -> list[tuple[str, str]]:
    """The figures of all venues together."""
    return [
        ("box-days simulated", f"{sum(one.minutes for one in results) * MINUTE_S / DAY_S:,.0f}"),
        ("power cuts, clock steps", f"{sum(one.cuts for one in results)}, {sum(one.steps for one in results)}"),
        ("hours without a broker", f"{sum(one.outage_hours for one in results):,.0f}"),
        (
            "frames acknowledged, lost",
            f"{sum(one.frames_acknowledged for one in results):,}, {sum(one.frames_lost for one in results)}",
        ),
        (
            "minutes opened by both key holders, missing",
            f"{sum(one.minutes_opened for one in results):,}, {sum(one.minutes_missing for one in results)}",
        ),
        ("segments deleted by retention", f"{sum(one.segments_deleted for one in results):,}"),
        (
            "oldest record at the end, days",
            f"{min(one.oldest_days for one in results)} to {max(one.oldest_days for one in results)}",
        ),
        (
            "messages acknowledged, lost, still waiting, sent again",
            ", ".join(
                f"{sum(figure):,}"
                for figure in zip(
                    *(
                        (one.messages_acknowledged, one.messages_lost, one.messages_waiting, one.messages_repeated)
                        for one in results
                    ),
                    strict=True,
                )
            ),
        ),
        ("checkpoints verified, all", f"{sum(one.checkpoints_verified for one in results):,}"),
        ("links in counts verified, all", f"{sum(one.links_verified for one in results):,}"),
        ("segments verified, all", f"{sum(one.segments_verified for one in results):,}"),
        ("memory grew after the first day of a life, at most", f"{max(one.memory_growth_mb for one in results)} MB"),
        ("resident memory, most", f"{max(rss for one in results for _, rss, _ in one.states):.1f} MB"),
        ("database, largest", f"{max(one.database_mb for one in results)} MB"),
    ]  # fmt: skip


def draw(results: list[Result], folder: Path) -> None:
    """The two plots of the document."""
    folder.mkdir(exist_ok=True)
    for name, title, up, column in (
        ("memory", "Resident memory of each box", "MB", 1),
        ("database", "Database of each box, WAL included", "MB", 2),
    ):
        series = {f"venue {one.venue}": [(state[0], state[column]) for state in one.states] for one in results}
        text = plot.lines(title, series, across="simulated day", up=up, faint=True)
        (folder / f"endurance-{name}.svg").write_text(text, encoding="utf-8")


def main() -> None:
    """Parse the command line, simulate, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--venues", type=int, default=20)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--retention-days", type=int, default=4, help="shorter than the run, so that segments do go")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="venues at once")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--write", action="store_true", help="put figures and plots into docs/measurements.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = run(
            Path(folder),
            venues=options.venues,
            days=options.days,
            retention_days=options.retention_days,
            jobs=options.jobs,
        )
    figures = summary(results)
    if options.json:
        sys.stdout.write(json.dumps([asdict(one) for one in results]) + "\n")
    else:
        shown = Table("figure", "value", title=f"{options.venues} venues, {options.days} days", box=None)
        for name, value in figures:
            shown.add_row(name, value)
        Console().print(shown)
    if options.write:
        draw(results, document.DOCS / "images")
        command = f"python -m tests.benchmarks.endurance --venues {options.venues} --days {options.days} --write"
        document.write("endurance", command, document.table(("figure", "value"), figures))
    sys.exit(0 if all(one.sound for one in results) else 1)


if __name__ == "__main__":
    main()
