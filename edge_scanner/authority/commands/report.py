"""COMMAND edge-authority report: the result of a match, for people and for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.authority.match import match, report

if TYPE_CHECKING:
    from pathlib import Path


def run_report(result: Path, *, html: Path | None, csv: Path | None, parquet: Path | None) -> None:
    """Write each form that has a file, and say where it is. Raises EdgeScannerError."""
    matches = match.load(result)
    for target, write in ((html, report.write_html), (csv, report.write_csv), (parquet, report.write_parquet)):
        if target is not None:
            write(matches, target)
            terminal.say(target)
