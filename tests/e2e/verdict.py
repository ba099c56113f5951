"""Verdicts of a guest's story, and how a program shows them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

Verdicts = dict[str, bool]
"""What must hold, and whether it does."""
LAST_LINES = 40
"""Of a console or journal, shown when something does not hold."""


@contextmanager
def timed(durations: dict[str, float], what: str) -> Iterator[None]:
    """How long something took."""
    began = time.monotonic()
    yield
    durations[what] = time.monotonic() - began


def last(text: str) -> str:
    """The end of a long text."""
    return "\n".join([line for line in text.splitlines() if line][-LAST_LINES:])


def report(held: Verdicts, durations: dict[str, float]) -> None:
    """Two tables."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, holds in held.items():
        table.add_row("[green]yes[/]" if holds else "[bold red]NO[/]", what)
    for what, duration_s in durations.items():
        table.add_row(f"{duration_s:.0f} s", what)
    Console(soft_wrap=True).print(table)
