"""COMMAND edge-scanner replay: captures in, one summary out, as JSON for programs or a table for people.

Results go to stdout, the progress bar to stderr, where it shows only on a terminal. Nothing is written here: whoever
wants the daemon's sealed log as well hands in `also`, which gets every advert.
"""

from __future__ import annotations

import pkgutil
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

import edge_scanner.protocols
from edge_scanner import terminal
from edge_scanner.core.errors import ConfigurationError, StorageError
from edge_scanner.core.wording import counted
from edge_scanner.device.replay.captures import is_stdin
from edge_scanner.device.replay.replay import replay
from edge_scanner.protocols import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from edge_scanner.core.model import Advert
    from edge_scanner.device.replay.replay import Summary

_GRACE_S = (1.0, 3600.0)
"""Below a second every device would flicker; no identifier lives an hour."""

_OFFSET_S = 10 * 366 * 86_400.0
"""A clock that was never set is years off, not centuries."""

_BARS = " ▁▂▃▄▅▆▇█"
_PLOT_COLUMNS = 52
"""Fits 80 columns with the figure's name and highest value."""


def all_protocols() -> tuple[str, ...]:
    """The names of the files in `protocols/`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(edge_scanner.protocols.__path__)))


def run_replay(
    files: Sequence[Path],
    *,
    protocols: str = "",
    utc_offset_s: float = 0.0,
    grace_s: float | None = None,
    as_json: bool = False,
    also: Callable[[Advert], None] | None = None,
) -> None:
    """Replay `files` as one receiver and print the summary; `protocols` are comma-separated names, empty for all.

    Raises BadDataError for a damaged file, ConfigurationError for an unknown protocol or an impossible number, and
    StorageError for a file that cannot be read.
    """
    if grace_s is not None and not _GRACE_S[0] <= grace_s <= _GRACE_S[1]:
        raise ConfigurationError(f"a grace of {grace_s:g} s is impossible", hint="60 to 900 are usual")
    if not abs(utc_offset_s) <= _OFFSET_S:
        raise ConfigurationError(f"an offset of {utc_offset_s:g} s is impossible", hint="Viet Nam is 25200")
    if sum(map(is_stdin, files)) > 1:
        raise ConfigurationError("standard input can be read only once", hint="give - once")
    if grace_s is None and (pipe := next((file for file in files if is_stdin(file) or file.is_fifo()), None)):
        hint = "copy it to a file, or give --grace, which is measured in a pass of its own"
        raise StorageError("a pipe can be read only once", where=str(pipe), hint=hint)
    names = [name.strip() for name in protocols.split(",") if name.strip()] or all_protocols()
    try:
        with _progress(files) as on_record:
            summary = replay(
                files,
                load(names),
                grace_s=grace_s,
                utc_offset_s=utc_offset_s,
                on_record=on_record,
                also=also,
            )
    except OSError as error:
        raise StorageError(
            "a capture cannot be read", where=str(error.filename or ""), hint=error.strerror or ""
        ) from None
    if as_json:
        terminal.say_json(summary.as_json())
    else:
        show(summary, terminal.console())


@contextmanager
def _progress(files: Sequence[Path]) -> Iterator[Callable[[Path, int, float], None]]:
    """A bar over the bytes of all files; one pass measures the grace and one counts, each fills the bar anew."""
    console = terminal.console(stderr=True)
    columns = (TextColumn("replaying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=sum(file.stat().st_size for file in files if not is_stdin(file)))
        read = dict.fromkeys(files, 0)

        def on_record(path: Path, position: int, _at_s: float) -> None:
            # Told once per 64 KiB: drawing is slower than reading.
            if position >> 16 != read[path] >> 16 or position < read[path]:
                read[path] = position
                bar.update(task, completed=sum(read.values()))

        yield on_record


def show(summary: Summary, console: Console) -> None:
    """The summary as a table, and a row of bars per figure of the occupancy."""
    intake = summary.intake
    span = ""
    if summary.seconds:
        begin, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (intake.first_s, intake.last_s))
        span = f", {begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    rest = f" adverts in {summary.seconds / 60:,.0f} min{span}; grace {summary.grace_s:.0f} s"
    console.print(Text.assemble((f"{intake.reports:,}", "bold"), rest))
    not_counted = {
        "malformed": intake.malformed + intake.losses.unreadable,
        "with a failed CRC": intake.losses.crc_failed,
        "incomplete": intake.losses.incomplete,
    }
    if any(not_counted.values()):
        console.print("not counted: " + ", ".join(f"{count:,} {name}" for name, count in not_counted.items() if count))
    if intake.losses.clock_steps:
        times = counted(intake.losses.clock_steps, "time")
        console.print(f"the capture's clock was set {times}; after a step back what follows was moved on")
    if intake.losses.stamps_set_aside:
        console.print(
            f"{counted(intake.losses.stamps_set_aside, 'impossible stamp')} took the time of the record before"
        )
    console.print(_table(summary))
    if summary.in_turns:
        console.print("phones, computers, accessories and things are not counted: this receiver listened in turns")
    figures: dict[str, list[int]] = {}
    for row in summary.occupancy:
        figures.setdefault(row.figure, []).append(row.devices)
    if figures:
        console.print(f"{'devices':<20}at most", style="bold")
    for figure, devices in figures.items():
        bars, highest = plot(devices)
        console.print(f"{figure:<22}{highest:>4} {bars}")


def _table(summary: Summary) -> Table:
    table = Table("protocol", box=None, header_style="bold", pad_edge=False)
    for title in ("reports", "identifiers", "hints"):
        table.add_column(title, justify="right")
    for name, reports in summary.sightings.items():
        table.add_row(name, f"{reports:,}", f"{summary.identifiers[name]:,}", f"{summary.hints[name]:,}")
    return table


def plot(values: Sequence[int]) -> tuple[str, int]:
    """At most 52 bars, each the mean of its minutes, and the greatest value of all."""
    width = -(-len(values) // _PLOT_COLUMNS)
    means = [sum(part) / len(part) for part in (values[i : i + width] for i in range(0, len(values), width))]
    top = max(values) or 1
    # A bar is empty only where nobody was.
    return "".join(_BARS[min(8, -int(-8 * mean // top))] for mean in means), max(values)
