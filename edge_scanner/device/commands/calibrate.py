"""`edge-scanner calibrate`: the site factor from one count by hand, kept with its date in the state folder.

It reads the noised display releases of the last hour beside the running daemon; the raw counts stay out of reach.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console

from edge_scanner.core import anonymise, calibration
from edge_scanner.core.errors import StorageError
from edge_scanner.device.store import open_reader

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.messages import Calibration
    from edge_scanner.core.model import Release

FILE_NAME = "calibration.json"

MAX_BYTES = 4096


def run_calibrate(
    people: int, *, database: Path, state_dir: Path, as_json: bool = False, now_s: float | None = None
) -> None:
    """Compare `people` counted in the last hour with what was released, and keep the factor.

    Raises RefusedError when the noise could explain the count, StorageError when the file cannot be written.
    """
    now_s = time.time() if now_s is None else now_s
    releases = asyncio.run(_releases(database, now_s))
    reports = [anonymise.from_release(release) for release in releases]
    factor = calibration.calibrate(people, calibration.recent(reports, anonymise.DISPLAY.ledger, now_s), now_s)
    file = state_dir / FILE_NAME
    _write(file, calibration.to_json(factor))
    if as_json:
        print(json.dumps(asdict(factor)))  # noqa: T201 (the answer for programs)
        return
    console = Console()
    console.print(
        f"{factor.people_per_device:.2f} people per device (95 %: {factor.low:.2f} to {factor.high:.2f}), "
        f"counted {datetime.fromtimestamp(now_s, UTC):%Y-%m-%d %H:%M} UTC"
    )
    console.print(f"kept in {file}; reports carry it from the next start on", style="dim")


def load_calibration(state_dir: Path) -> Calibration | None:
    """The site's factor, None before the first count; raises BadDataError for a damaged file."""
    file = state_dir / FILE_NAME
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError("the site factor cannot be read", where=str(file)) from error
    return calibration.from_json(text, where=str(file))


async def _releases(database: Path, now_s: float) -> list[Release]:
    async with open_reader(database) as store:
        return await store.releases(now_s - 2 * calibration.WINDOW_S)


def _write(file: Path, text: bytes) -> None:
    """All of it or nothing, also when the power fails."""
    temporary = file.with_suffix(".new")
    try:
        with temporary.open("wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise StorageError("the site factor cannot be written", where=str(file)) from error
