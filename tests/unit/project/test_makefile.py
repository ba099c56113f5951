"""What the commands of the Makefile install on a fresh machine: what they need, and nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BROKER = {"mosquitto", "mosquitto-clients"}


def _asked(target: str, folder: Path) -> dict[str, str]:
    """The Debian packages that `make TARGET` asks for where there is no environment yet: package and command."""
    done = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", f"VENV={folder / 'venv'}", target],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    items = [item for words in re.findall(r"tools/need (.*)", done.stdout) for item in words.split()]
    return {item.rpartition(":")[2]: item.partition(":")[0] for item in items}


@pytest.mark.parametrize(
    ("target", "packages"),
    [
        ("run", set()),
        ("venv", set()),
        ("quick", set()),
        ("cover", set()),
        ("lint", set()),
        ("laptop", set()),
        ("central", set()),
        ("demo", BROKER),
        ("demo-tracing", BROKER),
        ("deb", {"dpkg"}),
        ("release", {"dpkg"}),
    ],
)
def test_a_command_asks_for_what_it_needs(target: str, packages: set[str], tmp_path: Path) -> None:
    """Besides what makes the environment itself."""
    assert _asked(target, tmp_path).keys() == packages | {"python3-venv"}


@pytest.mark.parametrize("target", ["test", "e2e"])
def test_every_package_that_tests_ask_for_is_used_by_one(target: str, tmp_path: Path) -> None:
    """Its command or its own name stands in a test, in what tests share, or in the tools that they call."""
    asked = _asked(target, tmp_path)
    used = "".join(
        path.read_text(errors="replace")
        for place in ("tests", "tools", "edge_scanner", "provisioning")
        for path in (ROOT / place).rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".png"}
    )
    # The browser asks for the library, Python for the module.
    needed = {package: command for package, command in asked.items() if command not in {"libatomic.so.1", "ensurepip"}}

    assert needed
    assert [package for package, command in needed.items() if not re.search(rf"\b({command}|{package})\b", used)] == []


def test_known_weaknesses_are_looked_for_each_week_in_every_lock() -> None:
    """The job has a day of the week, and its command reads all locks."""
    job = (ROOT / ".github/workflows/advisories.yml").read_text()
    recipe = (ROOT / "Makefile").read_text().partition("\nadvisories: ")[2].partition("\n\n")[0]

    assert re.search(r'cron: "\d+ \d+ \* \* [0-6]"', job)
    assert "run: make advisories" in job
    assert "for lock in $(LOCKS)/*.lock" in recipe
