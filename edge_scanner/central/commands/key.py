"""COMMAND edge-central key: the witness's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.central.witness import cosignature

if TYPE_CHECKING:
    from pathlib import Path


def run_key(path: Path, name: str) -> None:
    """Write the key and print its public part."""
    terminal.say(cosignature.make(path, name))
