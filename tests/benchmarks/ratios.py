"""Each release's ratios in a file, and what changed since the release before: nothing here is a test.

A ratio is ours against a bare yardstick of the same run, or a size that no machine changes; so releases that were
measured on different machines can be compared. A line is marked when it is worse than before by more than its kind
allows: a quarter for times, a twentieth for sizes. A person says why, in the commit of the release. Where the machine
did other work meanwhile, the file says so, and its times are shown and never marked.

What takes longer to measure (memory, start, instructions, wake-ups, a slow line) is read from the tables that commands
of its own have put into docs/measurements.md; each of these lines says by which command, when and on what machine.

Run: `python -m tests.benchmarks.ratios --write` on an idle machine measures and keeps (`make ratios`, four minutes);
`--tables` reads the tables anew and keeps the rest; without either, the two newest files are compared (`make compare`).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version
from rich.console import Console
from rich.table import Table

from edge_scanner import __version__
from tests.benchmarks import document

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "ratios"
MEASURED = ("seal", "counting", "store", "load", "authority")
TIME, SIZE = 0.25, 0.05
"""How much worse is marked."""
MINUTE = re.compile(r"us_per_minute_of_(\d+)_encounters")
RATE = 2_000
"""Adverts a second of the radio's ratios."""


TABLES = {
    "daemon, 1,000 phones: PSS, MB": ("memory", "daemon, 1,000 phones", "PSS MB", SIZE),
    "daemon, 10,000 addresses: PSS, MB": ("memory", "daemon, 10,000 addresses", "PSS MB", SIZE),
    "start: million instructions from exec to READY": (
        "start", "+ log, recipients, broker, radio: READY", "million instructions", SIZE,
    ),
    "daemon: instructions ÷ bleak's, 2,000 adverts a second": ("processor", "2,000/s", "ratio", SIZE),
    "daemon: instructions ÷ bleak's, 10,000 addresses": ("processor", "10,000 addresses, 2,000/s", "ratio", SIZE),
    "box: wake-ups a second, nobody there": ("wake-ups", "0", "wake-ups/s, both", TIME),
    "box: wake-ups a second, 200 phones": ("wake-ups", "200", "wake-ups/s, both", TIME),
    "pull over 8 kB/s with 5 % lost: bytes sent ÷ wanted": (
        "slow-line", "8 kB/s, 5% lost", "bytes sent ÷ wanted, box's end", SIZE,
    ),
    "pull over 8 kB/s with 5 % lost: time ÷ what the bytes need": (
        "slow-line", "8 kB/s, 5% lost", "time ÷ needed, box's end", SIZE,
    ),
    "pull over 64 kB/s with 5 % lost: time ÷ what the bytes need": (
        "slow-line", "64 kB/s, 5% lost", "time ÷ needed, box's end", SIZE,
    ),
}  # fmt: skip
"""Line of the file: section of docs/measurements.md, its row and column, and how much worse is marked. Instructions,
bytes and simulated time do not depend on the machine."""


def ratios(told: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """From what `python -m tests.benchmarks --json` says: value and tolerance by name; more is worse."""
    seal, counting, store, authority = (told[name] for name in ("seal", "counting", "store", "authority"))
    load = {line["consumer"]: line for line in told["load"] if line["rate"] == RATE}
    day, match = authority["day"], authority["match"]
    minutes = {int(found[1]): value for name, value in seal.items() if (found := MINUTE.fullmatch(name))}
    return {
        "radio: processor ÷ a bare callback's": (load["radio"]["ratio"], TIME),
        "radio and recognition: processor ÷ a bare callback's": (load["recognising"]["ratio"], TIME),
        "daemon: processor ÷ a bare callback's": (load["daemon"]["ratio"], TIME),
        "daemon: resident memory, MB": (load["daemon"]["peak_rss_mb"], SIZE),
        "counting: closing a minute of 10,000 ÷ hearing each once": (
            counting["close_ms"] * 1000 / (counting["add_us"] * counting["identifiers"]), TIME,
        ),
        "counting: memory of 10,000 identifiers, MB": (counting["memory_mb"], SIZE),
        "log: bytes at rest ÷ bytes of information, 60 a minute": (
            seal["bytes_per_encounter_at_rest_at_60_a_minute"] / seal["bytes_per_encounter_of_information"], SIZE,
        ),
        "log: the fullest minute ÷ an empty minute": (minutes[max(minutes)] / minutes[0], TIME),
        "log: verifying a day ÷ sealing it": (seal["ms_to_verify_a_day"] / seal["ms_to_seal_a_day"], TIME),
        "log: opening a day ÷ sealing it": (seal["ms_to_open_a_day"] / seal["ms_to_seal_a_day"], TIME),
        "store: 14 days, MB": (store["mb_for_14_days"], SIZE),
        "authority: matching ÷ the bare hashes": (match["match_cpu_s"] / authority["bare"]["bare_cpu_s"], TIME),
        "authority: opening a full day ÷ verifying it": (day["open_cpu_s"] / day["verify_cpu_s"], TIME),
        "authority: memory of a match, MB": (match["peak_mb"], SIZE),
    }  # fmt: skip


def tables() -> dict[str, dict[str, Any]]:
    """What the tables of docs/measurements.md say, each line with where it is from."""
    lines = {}
    for name, (section, row, column, slack) in TABLES.items():
        made, rows = document.read(section)
        lines[name] = {"value": float(rows[row][column].replace(",", "")), "tolerance": slack, "from": made}
    return lines


def measured(found: Mapping[str, tuple[float, float]], *, busy: bool) -> dict[str, Any]:
    """The ratios of this version, with when and where they were measured."""
    return {
        "version": __version__,
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": document.machine(),
        "busy": busy,
        "ratios": {name: {"value": round(value, 3), "tolerance": slack} for name, (value, slack) in found.items()},
    }


def keep(release: dict[str, Any], file: Path) -> None:
    """Write a release's ratios, with those of the tables as they are now."""
    release["ratios"] |= tables()
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(release, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def worse(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, float | None, float | None, bool]]:
    """Name, value before and now (None where one lacks it), and whether it is to be explained."""
    lines = []
    busy = old["busy"] or new["busy"]
    for name in [*new["ratios"], *(name for name in old["ratios"] if name not in new["ratios"])]:
        before, now = (side["ratios"].get(name, {}).get("value") for side in (old, new))
        slack = new["ratios"].get(name, {}).get("tolerance", TIME)
        marked = None not in {before, now} and now > before * (1 + slack) and not (busy and slack == TIME)
        lines.append((name, before, now, marked))
    return lines


def compare(console: Console, folder: Path) -> None:
    """The two newest releases beside each other."""
    files = sorted(folder.glob("*.json"), key=lambda file: Version(file.stem))[-2:]
    releases = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    if not releases:
        console.print(f"no release has ratios in {folder}: make ratios")
        return
    table = Table("ratio", *(release["version"] for release in releases), "", highlight=False)
    for name, before, now, marked in worse(releases[0], releases[-1]):
        shown = [before, now][-len(releases) :]
        table.add_row(name, *("" if value is None else f"{value:g}" for value in shown), "worse" if marked else "")
    console.print(table)
    for release in releases:
        doubt = "; the machine was busy: its times say little" if release["busy"] else ""
        console.print(f"{release['version']}: {release['measured']}, {release['machine']}{doubt}")
        for made in dict.fromkeys(line["from"] for line in release["ratios"].values() if "from" in line):
            console.print(f"{release['version']}: {made}", highlight=False, markup=False)


def main() -> int:
    """Measure and keep, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"measure, read the tables, and keep as {__version__}")
    parser.add_argument("--tables", action="store_true", help=f"read the tables alone anew, and keep as {__version__}")
    options, file = parser.parse_args(), FOLDER / f"{__version__}.json"
    if options.write:
        busy = os.getloadavg()[0] > (os.cpu_count() or 1) / 2
        command = [sys.executable, "-m", "tests.benchmarks", *MEASURED, "--json"]
        done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE)
        if done.returncode:
            return done.returncode
        keep(measured(ratios(json.loads(done.stdout)), busy=busy), file)
    elif options.tables:
        keep(json.loads(file.read_text(encoding="utf-8")), file)
    compare(Console(), FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
