"""The ratios of two releases: what is worse than its kind allows is marked, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console

from edge_scanner import __version__
from tests.benchmarks import document, ratios

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _release(version: str, *, busy: bool = False, **values: float) -> dict[str, Any]:
    """Each value is of a time, and one that is named `size` of a size."""
    kinds = {name: ratios.SIZE if name == "size" else ratios.TIME for name in values}
    measured = {name: {"value": value, "tolerance": kinds[name]} for name, value in values.items()}
    return {"version": version, "measured": "2026-11-27", "machine": "a machine", "busy": busy, "ratios": measured}


def test_only_what_is_clearly_worse_is_marked() -> None:
    """Within its tolerance and better pass; what only one release has cannot be compared."""
    old, new = _release("1.0", a=1.0, b=1.0, c=1.0, gone=1.0), _release("1.1", a=1.2, b=1.3, c=0.1, added=9.0)

    assert ratios.worse(old, new) == [
        ("a", 1.0, 1.2, False),
        ("b", 1.0, 1.3, True),
        ("c", 1.0, 0.1, False),
        ("added", None, 9.0, False),
        ("gone", 1.0, None, False),
    ]


def test_times_of_a_busy_machine_are_not_marked_and_sizes_are() -> None:
    """What other programs did meanwhile is no news about ours; how many bytes we need is."""
    old, new = _release("1.0", a=1.0, size=1.0), _release("1.1", busy=True, a=9.0, size=1.2)

    assert ratios.worse(old, new) == [("a", 1.0, 9.0, False), ("size", 1.0, 1.2, True)]


def test_the_two_newest_releases_are_compared_and_a_candidate_is_older(tmp_path: Path) -> None:
    """1.0.0rc2 stands before 1.0.0, and 1.10.0 after 1.9.0: versions, no words."""
    for number, version in enumerate(("1.0.0", "1.0.0rc2", "1.9.0", "1.10.0")):
        (tmp_path / f"{version}.json").write_text(json.dumps(_release(version, a=1.0 + number)))
    console = Console(record=True, width=100)

    ratios.compare(console, tmp_path)

    said = console.export_text()
    assert ("1.9.0" in said, "1.10.0" in said, "rc2" in said) == (True, True, False)
    assert "worse" in said


def test_one_release_is_shown_alone_and_none_is_said(tmp_path: Path) -> None:
    """Nothing to compare with is no mistake."""
    console = Console(record=True, width=100)
    ratios.compare(console, tmp_path)
    (tmp_path / "1.0.json").write_text(json.dumps(_release("1.0", a=2.5)))
    ratios.compare(console, tmp_path)

    said = " ".join(console.export_text().split())
    assert "make ratios" in said
    assert "2.5" in said


def test_every_kept_file_has_values_and_tolerances() -> None:
    """Each release has one, the present, too; it is named by its version, and has values and tolerances."""
    files = list(ratios.FOLDER.glob("*.json"))
    assert __version__ in {file.stem for file in files}
    for file in files:
        release = json.loads(file.read_text(encoding="utf-8"))
        assert release["version"] == file.stem
        assert all(line["value"] > 0 and line["tolerance"] > 0 for line in release["ratios"].values())


def test_this_version_keeps_memory_start_wake_ups_and_a_slow_line() -> None:
    """Each with the command that measured it, as the table in docs/measurements.md has it."""
    kept = json.loads((ratios.FOLDER / f"{__version__}.json").read_text(encoding="utf-8"))["ratios"]

    assert ratios.TABLES.keys() <= kept.keys()
    assert all("python -m tests.benchmarks." in kept[name]["from"] for name in ratios.TABLES)
    assert ratios.tables().keys() == ratios.TABLES.keys()


def test_a_table_is_read_by_row_and_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A section may have two tables, of different heads; what stands outside its marks is not read.

    What is measured is printed, and kept only where that was asked for.
    """
    text = (
        document.table(("who", "ms"), [("a", "1,000"), ("b", 2)]) + "\n\n" + document.table(("part", "MB"), [("c", 3)])
    )
    page = tmp_path / "page.md"
    page.write_text("| who | ms |\n| --- | --- |\n| z | 9 |\n<!-- one:begin -->\n<!-- one:end -->\n| y | 8 |\n")
    monkeypatch.setattr(document, "DOCUMENT", page)

    document.report("one", "try", "| who | ms |", keep=False)
    document.report("one", "measure", text, keep=True)
    made, rows = document.read("one")

    assert capsys.readouterr().out == f"| who | ms |\n{text}\n"
    assert made.startswith("`measure` · ")
    assert "`try`" not in page.read_text()
    assert rows == {"a": {"who": "a", "ms": "1,000"}, "b": {"who": "b", "ms": "2"}, "c": {"part": "c", "MB": "3"}}


def test_tables_are_read_anew_and_what_was_measured_stays(tmp_path: Path) -> None:
    """Nothing that needs an idle machine is lost when a table was measured again."""
    release = _release("1.0", a=2.5)
    release["ratios"]["start: million instructions from exec to READY"] = {"value": 1.0, "tolerance": 0.05}

    ratios.keep(release, tmp_path / "1.0.json")

    kept = json.loads((tmp_path / "1.0.json").read_text(encoding="utf-8"))
    assert kept["ratios"]["a"]["value"] == 2.5
    assert kept["ratios"]["start: million instructions from exec to READY"]["value"] > 100
