"""What every program owes whoever started it: each error of ours is a line in their language, and its exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.core.errors import EXIT_CRASH, EdgeScannerError, StorageError
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Callable


def run(name: str, work: Callable[[], object]) -> None:
    """Do a program's work; ends the process when it fails (exit codes as in core/errors.py)."""
    try:
        try:
            work()
        finally:
            # At exit it would be too late for a line of ours.
            sys.stdout.flush()
    except EdgeScannerError as error:
        for line in errors.lines(error, errors.reader()):
            terminal.say(f"{name}: {line}", stderr=True)
        sys.exit(error.exit_code)
    except OSError as error:
        # Files and sockets are translated where they are used; what is left is mostly our own output.
        said = StorageError(
            error.strerror or "I/O error",
            where=str(error.filename or "standard output"),
            hint="check disk and permissions",
        )
        terminal.say(f"{name}: {errors.line(said, errors.reader())}", stderr=True)
        # At the end Python would write what is left once more, fail again, and exit with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(StorageError.exit_code)
    except Exception:  # noqa: BLE001 (the outermost frame: a mistake of ours has a code of its own)
        sys.excepthook(*sys.exc_info())
        sys.exit(EXIT_CRASH)
