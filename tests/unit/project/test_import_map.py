"""The import map in the decision record is that of the sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "docs" / "decisions" / "0013-a-folder-a-noun.md"
OFF_BY, ALWAYS = 0.25, 5
"""Commits may add files and imports without writing the table again; a quarter more is another room."""


def _rooms(text: str) -> dict[str, list[int]]:
    """The figures of each row by its room."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(("| edge_", "| prov"))]
    return {row[0]: list(map(int, row[1:])) for row in rows}


def test_the_record_has_todays_map() -> None:
    """Every room is in the table, and no figure has moved far since it was written."""
    written = RECORD.read_text().partition("<!-- today: begin -->")[2].partition("<!-- today: end -->")[0]
    command = [sys.executable, str(ROOT / "tools" / "import-map")]
    today = _rooms(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    then = _rooms(written)

    stale = {
        room: (then.get(room), figures)
        for room, figures in today.items()
        if room not in then
        or any(abs(new - old) > max(ALWAYS, OFF_BY * old) for new, old in zip(figures, then[room], strict=True))
    }

    assert len(today) >= 7
    assert stale == {}, "run tools/import-map --write"
    assert set(then) == set(today)


def test_the_rooms_of_the_map_are_all_that_there_are() -> None:
    """A program that is added is measured, too: each package that has folders of its own."""
    packages = {f"edge_scanner/{path.name}" for path in (ROOT / "edge_scanner").iterdir() if path.is_dir()}
    large = {name for name in packages if len(list((ROOT / name).rglob("*.py"))) > 20}

    assert large <= set(_rooms(RECORD.read_text()))
