"""COMMAND edge-authority derive: what a case's phone broadcast, as CSV for people and other programs.

The interface is fixed: header `protocol,identifier,start,end`, identifiers in lower-case hex, unix seconds.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.authority.match import cases
from edge_scanner.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from edge_scanner.authority.match.cases import Trust

HEADER = "protocol,identifier,start,end"


def run_derive(paths: Sequence[Path], target: Path, trust: Trust) -> None:
    """Derive every identifier of the case files; nothing is written unless all of them are good."""
    found = cases.load(paths, trust)
    with _output(target) as out:
        out.write(HEADER + "\n")
        for name, derived in cases.derive(found):
            out.write(f"{name},{derived.identifier.hex()},{derived.start_s},{derived.end_s}\n")


@contextlib.contextmanager
def _output(target: Path) -> Iterator[TextIO]:
    if target == Path("-"):
        yield sys.stdout
        return
    try:
        with target.open("x", encoding="ascii", newline="") as file:
            target.chmod(0o600)
            yield file
    except OSError as error:
        raise StorageError("cannot be written", where=str(target), hint=error.strerror or "") from error
