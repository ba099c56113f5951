"""Where figures are kept: a section of docs/measurements.md between two marks, rewritten by the command that measures.

Each section says by which command, when and on what machine it was made.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = DOCS / "measurements.md"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def write(name: str, command: str, text: str) -> None:
    """Put `text` into section `name`, which the document must have: `<!-- name:begin -->`, `<!-- name:end -->`."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    document = DOCUMENT.read_text(encoding="utf-8")
    before, found, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"{DOCUMENT.name} has no section {name}")
    made = f"`{command}` · {datetime.now(UTC):%Y-%m-%d} · {machine()}"
    DOCUMENT.write_text(f"{before}{begin}\n{made}\n\n{text}\n{end}{after}", encoding="utf-8")


def report(name: str, command: str, text: str, *, keep: bool) -> None:
    """Print what was measured; where it is to be kept, put it into section `name` as well."""
    sys.stdout.write(f"{text}\n")
    if keep:
        write(name, command, text)


def read(name: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Section `name`: by which command, when and where it was made, and its rows by their first cell, then by head."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    made, *lines = DOCUMENT.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip().splitlines()
    rows: dict[str, dict[str, str]] = {}
    heads: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line or set(line) <= set("|- "):
            heads = heads if line else []
        elif heads:
            rows[cells[0]] = dict(zip(heads, cells, strict=True))
        else:
            heads = cells
    return made, rows


def machine() -> str:
    """What it was measured on, in a few words."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    busy = os.getloadavg()[0]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, load {busy:.1f}"
