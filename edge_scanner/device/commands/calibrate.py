"""`edge-scanner calibrate`: the site factor from one count by hand, kept with its date in the state folder.

It reads the noised broker releases of the last hour beside the running daemon; the raw counts stay out of reach. The
factor travels with the counts, and holds nothing that the broker has not got.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.core.counts import calibration
from edge_scanner.core.counts import release as anonymise
from edge_scanner.device import site_factor
from edge_scanner.device.storage.store import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Release


def run_calibrate(
    people: int, *, database: Path, state_dir: Path, as_json: bool = False, now_s: float | None = None
) -> None:
    """Compare `people` counted in the last hour with what was released, and keep the factor.

    Raises RefusedError when the noise could explain the count, StorageError when the file cannot be written.
    """
    now_s = time.time() if now_s is None else now_s
    releases = asyncio.run(_releases(database, now_s))
    reports = [anonymise.from_release(release) for release in releases]
    factor = calibration.calibrate(people, calibration.recent(reports, anonymise.BROKER, now_s), now_s)
    file = state_dir / site_factor.FILE_NAME
    site_factor.write(file, calibration.to_json(factor))
    if as_json:
        terminal.say_json(asdict(factor))
        return
    console = terminal.console()
    console.print(
        f"{factor.people_per_device:.2f} people per device (95 %: {factor.low:.2f} to {factor.high:.2f}), "
        f"counted {datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M} UTC"
    )
    console.print(f"kept in {file}; reports carry it from the next start on", style="dim")


async def _releases(database: Path, now_s: float) -> list[Release]:
    async with open_reader(database) as store:
        return await store.releases(now_s - 2 * calibration.WINDOW_S)
