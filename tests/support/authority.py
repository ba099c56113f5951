"""edge-authority in this process: the whole program with its options, without half a second of interpreter start."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from dataclasses import dataclass
from functools import cache

import typer.main

from edge_scanner.authority import cli

# At each call typer would make all options of all commands anew: three quarters of what a short command takes.
typer.main.get_command = cache(typer.main.get_command)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a shell would see."""

    code: int
    stdout: str
    stderr: str


def edge_authority(*words: object, now_s: float | None = None) -> Outcome:
    """Run one command to its end, at `now_s` where it matters."""
    out, err, before, clock = io.StringIO(), io.StringIO(), sys.argv, time.time
    if now_s is not None:
        time.time = lambda: now_s
    sys.argv = ["edge-authority", *map(str, words)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv, time.time = before, clock
    return Outcome(code if isinstance(code, int) else 1 if code else 0, out.getvalue(), err.getvalue())


def told(shown: str) -> str:
    """The six words of the key that `keys new` or `keys root` just made, as its owner tells them by telephone."""
    return shown.rstrip().rpartition("; ")[2]
