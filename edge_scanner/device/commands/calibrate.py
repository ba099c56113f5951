"""`edge-scanner calibrate`: the site's counts by hand, kept with their dates in the state folder.

It reads the noised releases of the last hour beside the running daemon; the raw counts stay out of reach. What follows
travels with the counts and moves the screen, and holds nothing that the broker has not got.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edge_scanner import terminal
from edge_scanner.core.counts import baseline, calibration
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.counts.occupancy import WEEK_S
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.device import settings, site_factor
from edge_scanner.device.settings import VIET_NAM, utc_offset_s
from edge_scanner.device.storage.store import open_reader

if TYPE_CHECKING:
    from edge_scanner.core.model import Release

_NEXT = "the screen and the reports go by it from the next start on"


def run_on_site(config: Path, people: int | None, *, forget: bool, as_json: bool) -> None:
    """Keep a count, or forget all, for the site of these settings. Raises BadParameter when neither is asked for."""
    chosen = settings.load(config)
    state_dir = Path(chosen.device.state_dir)
    if forget:
        run_forget(state_dir=state_dir)
        return
    if people is None:
        raise typer.BadParameter("say how many people there were, or --forget", param_hint="--people")
    run_calibrate(
        people,
        database=state_dir / settings.DATABASE,
        state_dir=state_dir,
        time_zone=chosen.device.time_zone,
        as_json=as_json,
    )


def run_calibrate(
    people: int,
    *,
    database: Path,
    state_dir: Path,
    time_zone: str = VIET_NAM,
    as_json: bool = False,
    now_s: float | None = None,
) -> None:
    """Compare `people` counted in the last hour, 0 for nobody, with what was released, and keep the count.

    Raises RefusedError when the noise could explain the count, StorageError when the file cannot be written.
    """
    now_s = time.time() if now_s is None else now_s
    reports = [anonymise.from_release(release) for release in asyncio.run(_releases(database, now_s))]
    counted = _before(state_dir)
    display = [report for report in reports if report.ledger == anonymise.DISPLAY]
    learnt = baseline.learn(display, utc_offset_s(time_zone, now_s), now_s, since_s=counted.forgotten_s)
    counted, one, factor = calibration.take(counted, people, reports, learnt, now_s)
    file = state_dir / site_factor.FILE_NAME
    site_factor.write(file, calibration.to_json(counted))
    if as_json:
        said = (asdict(factor) if factor is not None else {}) | {"count": asdict(one)}
        terminal.say_json(said)
        return
    console = terminal.console()
    if not people:
        half = calibration.SURE * one.deviation
        console.print(f"{max(one.devices, 0.0):.0f} ± {half:.0f} devices are here when nobody is; they are subtracted.")
    if factor is None:
        console.print("Count once more when many are here: then people can be told from devices.")
    else:
        console.print(
            f"{factor.people_per_device:.2f} people per device (95 %: {factor.low:.2f} to {factor.high:.2f}) above "
            f"{factor.empty:.0f} that are always here, "
            f"counted {datetime.fromtimestamp(factor.measured_s, UTC):%Y-%m-%d %H:%M} UTC"
        )
    console.print(f"kept in {file}; {_NEXT}", style="dim")


def run_forget(*, state_dir: Path, now_s: float | None = None) -> None:
    """Forget both counts, and the nights up to now; raises StorageError when the file cannot be written."""
    file = state_dir / site_factor.FILE_NAME
    forgotten = Counted(forgotten_s=time.time() if now_s is None else now_s)
    site_factor.write(file, calibration.to_json(forgotten))
    terminal.say(f"Counts by hand are forgotten, and what the nights taught; {_NEXT}.")


def _before(state_dir: Path) -> Counted:
    """What was counted before; a damaged file is what counting again mends."""
    try:
        return site_factor.load(state_dir)
    except (BadDataError, StorageError):
        return Counted()


async def _releases(database: Path, now_s: float) -> list[Release]:
    async with open_reader(database) as store:
        return await store.releases(now_s - 2 * WEEK_S)
