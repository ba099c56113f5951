"""The threat model says of every attacker by what it is shown, and each of these tests exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
TEXT = (PROJECT / "docs" / "threat-model.md").read_text()
GETS = TEXT.partition("## What each of them gets\n")[2].partition("\n## ")[0]
ROWS = [row for row in re.split(r"\n\n(?=\*\*)", GETS) if row.startswith("**")]
NAMED = re.compile(r"`(test_\w+|OneParty|tests/[\w./]+\.py)`")
TESTS = {
    found[1]
    for path in (PROJECT / "tests").rglob("*.py")
    for found in re.finditer(
        r"^(?:    )?(?:async )?(?:def|class) (test_\w+|OneParty)\b", path.read_text(), re.MULTILINE
    )
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("**")[1][:40])
def test_every_row_is_shown_by_something(row: str) -> None:
    """At least one test is named behind "shown by"."""
    assert NAMED.search(re.split("shown by", row, flags=re.IGNORECASE)[-1])
    assert "hown by" in row


def test_every_test_that_it_names_exists() -> None:
    """A renamed test is renamed there, too."""
    named = set(NAMED.findall(TEXT))
    missing = {name for name in named if not (name in TESTS or (PROJECT / name).is_file())}

    assert len(ROWS) >= 18
    assert missing == set()
