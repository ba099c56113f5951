"""Plain lines, and the way to a console that draws; rich is loaded when one is asked for."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from edge_scanner.core.text import drawn, literal

if TYPE_CHECKING:
    from edge_scanner.terminal.drawing import Terminal


def console(*, stderr: bool = False) -> Terminal:
    """A console on stdout or stderr. rich is loaded here: most of a box's processes never draw."""
    from edge_scanner.terminal.drawing import Terminal

    return Terminal(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(line: object, *, stderr: bool = False, end: str = "\n") -> None:
    """Print one line, flushed."""
    print(literal(str(line)), file=sys.stderr if stderr else sys.stdout, end=end, flush=True)


def say_json(value: object) -> None:
    """Print one JSON document on one line of stdout, for programs: what is not printable stands there as an escape."""
    document = json.dumps(value, ensure_ascii=False)
    if not drawn(document):
        document = "".join(one if drawn(one) else json.dumps(one)[1:-1] for one in document)
    say(document)
