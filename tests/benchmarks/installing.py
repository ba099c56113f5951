"""What an installation takes: seconds and megabytes of each step on a fresh Debian 12 and a fresh Debian 13.

The steps are an ordinary user's, with root for Debian's packages; megabytes are what each step adds to the disk. Needs
root, Debian's archive and the package index. Run: `python -m tests.benchmarks.installing --write`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import document
from tests.support.fresh import RELEASES, SOURCES, asked_of_root, commands, fresh, make, used_mb

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.debian import Machine

NAMES = {"bookworm": "Debian 12", "trixie": "Debian 13"}


def steps(target: Machine) -> dict[str, Callable[[], object]]:
    """What is done, in this order."""

    def debian(words: str) -> object:
        return target.run("sh", "-c", f"{asked_of_root(target, words)} >/dev/null && apt-get clean")

    def install(guide: str) -> object:
        return target.offline("sh", "-ec", "\n".join([f"cd {SOURCES}/dist", *commands(guide)]))

    return {
        "`make demo`: Debian's packages": lambda: debian("demo"),
        "`make demo`: the environment": lambda: make(target, ".venv/.demo"),
        "`make demo DEMO_ARGS=--check`, then": lambda: make(target, "demo DEMO_ARGS=--check"),
        "`make test`: the environment's other half": lambda: make(target, "venv"),
        "`make laptop`: the stick": lambda: make(target, "laptop"),
        "a laptop from the stick": lambda: install("authority.md"),
        "`make central`: the folder": lambda: make(target, "central"),
        "a centre from its folder": lambda: install("central.md"),
    }


def measure(release: str) -> dict[str, str]:
    """Each step's cell."""
    cells = {}
    with tempfile.TemporaryDirectory() as name, fresh(Path(name), release) as target:
        for step, act in steps(target).items():
            before_mb, began = used_mb(Path(name) / "disk" / "upper"), time.monotonic()
            act()
            seconds = time.monotonic() - began
            cells[step] = f"{seconds:.0f} s, {max(0.0, used_mb(Path(name) / 'disk' / 'upper') - before_mb):.0f} MB"
    return cells


def main() -> None:
    """Parse the command line, measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    found = {release: measure(release) for release in RELEASES}
    heads = ["step", *(NAMES[release] for release in RELEASES)]
    rows = [(step, *(cells[step] for cells in found.values())) for step in found["bookworm"]]
    text = document.table(heads, rows)
    document.report("installing", "python -m tests.benchmarks.installing --write", text, keep=options.write)


if __name__ == "__main__":
    main()
