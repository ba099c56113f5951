"""The fenced blocks of a guide in docs/, as they are written."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def block(guide: str, begins: str) -> str:
    """The one block of docs/`guide` whose text begins so."""
    text = (DOCS / guide).read_text(encoding="utf-8")
    found: list[str] = re.findall(rf"^```\n({re.escape(begins)}.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 1, begins
    return found[0]
