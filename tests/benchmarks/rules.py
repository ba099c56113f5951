"""Takes one rule after the other out of the code and runs the test that must then fail: is each rule held by a test.

The rules are those that close what version 0.1.0 allowed (docs/threat-model.md); rules.toml has each as the piece of
code that makes it and the piece without it. It happens in a copy of the last commit: first all tests that the list
names, once, with everything in place; then, for each rule taken out, its own tests up to their first failure. A rule
whose tests pass without it is shown, and the run ends with 1; so it does when a test fails with everything in place.

Run: `python -m tests.benchmarks.rules --write`, or with `--only date` for the rules against one attack.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tests.benchmarks import document

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("rules.toml")
LIMIT_S = 1200
"""The longest that the tests of a rule may take on a busy machine."""
FAILED = 1
"""How pytest ends when a test failed; an import that fails, or no test at all, ends otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`says` what is demanded; `code` in `file` demands it, `without` does not; `tests` of one file notice it.

    `cases` is the id of the only case that is run, empty for all of them.
    """

    against: str
    says: str
    file: str
    code: str
    without: str
    tests_in: str
    tests: tuple[str, ...]
    cases: str = ""


def rules() -> tuple[Rule, ...]:
    """The list."""
    listed = tomllib.loads(LIST.read_text(encoding="utf-8"))["rule"]
    return tuple(Rule(**{**one, "tests": tuple(one["tests"])}) for one in listed)


def nodes(rule: Rule) -> list[str]:
    """What pytest calls a rule's tests."""
    cases = f"[{rule.cases}]" if rule.cases else ""
    return [f"{rule.tests_in}::{name}{cases}" for name in rule.tests]


def run(folder: Path, tests: Iterable[str]) -> int:
    """How pytest ends over these tests in this copy; it stops at the first failure."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        timeout=LIMIT_S,
    ).returncode


def noticed(folder: Path, rule: Rule) -> bool:
    """Whether each of the tests, which pass with the rule, fails without it."""
    path = folder / rule.file
    text = path.read_text(encoding="utf-8")
    if text.count(rule.code) != 1:
        return False
    path.write_text(text.replace(rule.code, rule.without), encoding="utf-8")
    try:
        return all(run(folder, [node]) == FAILED for node in nodes(rule))
    finally:
        path.write_text(text, encoding="utf-8")


def table(done: Iterable[tuple[Rule, bool]]) -> str:
    """One row a rule."""
    rows = [
        (
            one.against,
            one.says,
            f"`{one.file}`",
            ", ".join(f"`{name}`" for name in one.tests),
            "fails" if well else "**passes**",
        )
        for one, well in done
    ]
    return document.table(("against", "the rule", "taken out of", "the test", "then"), rows)


def main() -> int:
    """Take them out, one after the other; 1 when one is missed by nobody."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="the rules whose attack has this word")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    done: list[tuple[Rule, bool]] = []
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
        chosen = [rule for rule in rules() if options.only in rule.against]
        if run(folder, dict.fromkeys(node for rule in chosen for node in nodes(rule))):
            console.print("a test fails with every rule in place: run it by itself")
            return 1
        for rule in chosen:
            done.append((rule, noticed(folder, rule)))
            console.print(f"{'held' if done[-1][1] else 'NOT HELD'}: {rule.against}: {rule.says}", markup=False)
    if options.write:
        document.write("rules", "python -m tests.benchmarks.rules --write", table(done))
    return 0 if all(well for _, well in done) else 1


if __name__ == "__main__":
    sys.exit(main())
