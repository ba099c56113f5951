"""The weeks before the demo begins: a simulated crowd's comings and goings, counted, noised and stored as on a box.

Whoever is there at the middle of a minute is a tally, as the counter's (core/counts/estimator.py); from there on it is
the product's own road: the ledger with the settings' budgets and noise, and a commit of what it releases. Only the
radio is left out, which would take hours.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_scanner import protocols
from edge_scanner.core.counts.device_class import DeviceClass
from edge_scanner.core.counts.estimator import INSTANT_S, MINUTE_S, Counter
from edge_scanner.core.counts.release import Ledger, to_release
from edge_scanner.core.model import Batch, LogRows, Tally
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.settings import DATABASE
from edge_scanner.device.simulation.crowd import visits
from edge_scanner.device.simulation.phones import Kind
from edge_scanner.device.storage.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_scanner.device.settings import Settings
    from edge_scanner.device.simulation.crowd import CrowdPlan

DAYS = 21
"""The usual day is the mean of the same weekday in three weeks."""
_FIGURES = {
    Kind.BLUEZONE_ANDROID: "bluezone",
    Kind.BLUEZONE_IPHONE: "bluezone_presence",
    Kind.GAEN_ANDROID: "gaen",
    Kind.GAEN_IPHONE: "gaen",
    Kind.HEADPHONES: DeviceClass.ACCESSORY.figure,
    Kind.LAPTOP: DeviceClass.COMPUTER.figure,
}


async def store(settings: Settings, state_dir: Path, plan: CrowdPlan, *, end_s: int) -> int:
    """Store DAYS of `plan` that end at `end_s` (UTC seconds on a full hour); gives how many releases they are."""
    counter = Counter(protocols.load(settings.radio.protocols), grace_s=settings.radio.grace_s)
    ledger = Ledger(settings.counts.budget, figures=counter.figures, sensitivity=counter.sensitivity)
    for tally in tallies(plan, counter.figures, start_s=end_s - DAYS * 86_400, end_s=end_s, seed=end_s):
        ledger.add(tally)
    releases = tuple(to_release(report) for report in ledger.due(end_s))
    # A box has its key before its first record: a database without one tells of a key that was lost.
    open_identity(state_dir, configured_id=settings.device.id)
    async with open_store(state_dir / DATABASE) as database:
        await database.commit(Batch(rows=LogRows(), releases=releases, messages=()))
    return len(releases)


def tallies(plan: CrowdPlan, figures: Sequence[str], *, start_s: int, end_s: int, seed: int) -> Iterator[Tally]:
    """One tally a minute: who of the crowd is there at the minute's middle, by figure; the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 (a simulation that must repeat)
    kinds, weights = list(plan.mix), list(plan.mix.values())
    present = dict.fromkeys(figures, 0)
    leaving: list[tuple[float, str]] = []
    coming = visits(replace(plan, duration_s=end_s - start_s), rng, start_s)
    following = next(coming, None)
    for minute_s in range(start_s, end_s, MINUTE_S):
        instant_s = minute_s + INSTANT_S
        while following is not None and following[0] <= instant_s:
            figure = _FIGURES[rng.choices(kinds, weights)[0]]
            present[figure] += 1
            heapq.heappush(leaving, (following[1], figure))
            following = next(coming, None)
        while leaving and leaving[0][0] <= instant_s:
            present[heapq.heappop(leaving)[1]] -= 1
        yield Tally(minute_s=minute_s, listened_s=MINUTE_S, figures=dict(present))
