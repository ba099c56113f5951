"""Somebody at a terminal: a shell's block of commands runs under a pty, and each question gets its answer."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LINES, COLUMNS = "40", "120"


def type_in(
    block: str, *, folder: Path, environment: Mapping[str, str], answers: Mapping[str, str], within_s: float
) -> tuple[int, str]:
    """Run a block of commands as a person would; the exit code of the first that fails, or 0, and what was shown.

    `answers` are regular expressions for a question at the end of the screen, and what is typed then.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-eu", "-c", block],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**environment, "LINES": LINES, "COLUMNS": COLUMNS, "TERM": "dumb"},
    )
    os.close(theirs)
    shown, asked_from, deadline = b"", 0, time.monotonic() + within_s
    try:
        while True:
            ready, _, _ = select.select([ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the block hangs:\n{shown.decode(errors='replace')}"
            if not (chunk := _read(ours)):
                break
            shown += chunk
            for question, answer in answers.items():
                if re.search(question.encode() + rb"\s*$", shown[asked_from:]):
                    asked_from = len(shown)
                    os.write(ours, f"{answer}\n".encode())
                    break
        return process.wait(within_s), shown.decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read(terminal: int) -> bytes:
    """What has come; empty at the end."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        # Linux's way of saying that nobody writes there any more.
        return b""
