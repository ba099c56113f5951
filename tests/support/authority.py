"""edge-authority in this process: the whole program with its options, without half a second of interpreter start."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass

from edge_scanner.authority import cli


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shell would see."""

    code: int
    stdout: str
    stderr: str


def edge_authority(*words: object) -> Outcome:
    """Run one command to its end."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["edge-authority", *map(str, words)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    return Outcome(code if isinstance(code, int) else 1 if code else 0, out.getvalue(), err.getvalue())
