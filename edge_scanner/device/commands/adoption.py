"""`edge-scanner adoption`: which share of the devices nearby runs an app, from what was released anyway."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.adoption import adoption
from edge_scanner.core.errors import RefusedError
from edge_scanner.core.wording import counted
from edge_scanner.device.storage.store import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Release

DAY_S = 86_400


def run_adoption(
    *, database: Path, protocol: str = "bluezone", days: int = 7, as_json: bool = False, now_s: float | None = None
) -> None:
    """Print the share of phones nearby that run `protocol`, with its 95 % range, over the last `days`.

    Raises RefusedError, code `too-few`, where the noise could be the answer.
    """
    since_s = (time.time() if now_s is None else now_s) - days * DAY_S
    reports = [
        anonymise.from_release(release)
        for release in asyncio.run(_releases(database, since_s))
        if release.ledger == anonymise.BROKER
    ]
    found = adoption(reports, protocol)
    if found is None:
        raise RefusedError(
            f"the figures of {counted(len(reports), 'bin')} in {counted(days, 'day')} "
            "do not stand out from their noise",
            code="too-few",
            hint="look at more days; apps are counted with [counts] tracing_figures = true",
        )
    if as_json:
        terminal.say_json(asdict(found))
        return
    console = terminal.console()
    console.print(
        f"{found.share:.1%} of the phones that stay nearby run {protocol} "
        f"(95 %: {found.low:.1%} to {found.high:.1%}), "
        f"over {found.device_hours:,.0f} device-hours in {counted(len(reports), 'bin')}"
    )
    console.print("of all phones that are heard; one that runs two apps is two: a floor", style="dim")


async def _releases(database: Path, since_s: float) -> list[Release]:
    async with open_reader(database) as store:
        return await store.releases(since_s)
