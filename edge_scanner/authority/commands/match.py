"""COMMAND edge-authority match: progress on stderr, a summary on stdout; match.py does the matching."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from edge_scanner import terminal
from edge_scanner.authority import translations
from edge_scanner.authority.match import cases, match
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.progress import TaskID

    from edge_scanner.authority.match.cases import Trust


def run_match(
    opened: Sequence[Path],
    case_files: Sequence[Path],
    out: Path,
    trust: Trust,
    *,
    tolerant: bool,
    near_dbm: int,
    as_json: bool,
) -> None:
    """Match, save the result, and say in a table who was found. Raises EdgeScannerError."""
    found = cases.load(case_files, trust)
    console = terminal.console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: match.Step, done: int, of: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, what="")
            noun = "identifiers" if step == "deriving" else "encounters"
            bar.update(tasks[step], completed=done, total=of, what=f"{done:,} {noun}")

        matches = match.match(
            found,
            opened,
            now_s=time.time(),
            tolerant=tolerant,
            near_dbm=near_dbm,
            on_step=show,
        )
    match.save(matches, out)
    visits = match.visits(matches.sightings)
    phones = len({heard.case for heard in matches.sightings})
    if as_json:
        terminal.say_json(
            {
                "case": matches.case,
                "cases": matches.cases,
                "found": phones,
                "identifiers": matches.identifiers,
                "minutes": len(matches.sightings),
                "visits": len(visits),
                "result": str(out),
            }
        )
        return
    terminal.console().print(
        f"{counted(matches.cases, 'phone')} looked for, {phones:,} found: {counted(len(visits), 'visit')}, "
        f"{counted(len(matches.sightings), 'minute')}; {out}\n"
        f"the opened records must be gone by {translations.local(matches.expires_s)} (edge-authority purge)",
        soft_wrap=True,
    )
