"""A box reduced to its ledger and its store, to be killed: `python -m tests.support.release_loop DATABASE MINUTE`.

Plays a tally a minute as fast as the disk allows. Whatever an outsider could have seen is printed: first every release
already stored, then each newly committed one, as `ledger start body`. The last line of a minute is `minute N`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.model import Batch, Release, Tally
from edge_scanner.device.storage.store import open_store

START_S = 1_700_002_800
FIGURES = ("other", "bluezone", "passing")


def say(release: Release) -> None:
    """One line an outsider could have seen."""
    print(release.ledger, release.bin_start_s, release.body.decode(), flush=True)  # noqa: T201 (the interface)


async def run(database: Path, minute: int) -> None:
    """From `minute` on, for ever."""
    ledger = Ledger(figures=FIGURES)
    async with open_store(database) as store:
        stored = await store.releases(0)
        for release in stored:
            say(release)
        ledger.resume(stored)
        while True:
            at_s = START_S + minute * 60
            ledger.add(Tally(minute_s=at_s, listened_s=60.0, figures=dict.fromkeys(FIGURES, 7)))
            reports = ledger.due(at_s + 60)
            releases = tuple(map(anonymise.to_release, reports))
            await store.commit(Batch(releases=releases))
            # The same again, as after a commit whose answer was lost.
            await store.commit(Batch(releases=tuple(map(anonymise.to_release, ledger.due(at_s + 60)))))
            ledger.forget(reports)
            for release in releases:
                say(release)
            minute += 1
            print("minute", minute, flush=True)  # noqa: T201 (the interface)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
