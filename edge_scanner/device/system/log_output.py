"""Where log lines go: to stderr, by a thread, so that whoever does not read them holds nobody up.

journald that hangs or a pipe that nobody reads would stop the event loop in the middle of a line, and with it hearing,
the watchdog and the stop signal. Lines that find the queue full are counted, and the next line that goes out says how
many were lost. A process that was started with stderr closed gets one that leads nowhere: the next file that it opens
would otherwise be number 2, and get what C libraries print there.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from functools import cache
from queue import SimpleQueue
from typing import TextIO

WAITING = 2_000
"""Lines kept for a reader that pauses: some hundred kilobytes."""

END_S = 1.0
"""How long the end of the program waits for the last lines."""


def stderr() -> TextIO:
    """Where this process says its errors, opened on nothing where it was closed."""
    if sys.stderr is None:
        while (number := os.open(os.devnull, os.O_RDWR)) < 2:  # noqa: PLR2004 (stderr's number)
            pass
        sys.stderr = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (for as long as the program runs)
    return sys.stderr


@cache
def aside() -> AsideHandler:
    """The one handler of this process that writes to stderr, with its one thread."""
    return AsideHandler(stderr().fileno())


class AsideHandler(logging.Handler):
    """Formats a line where it is said and writes it elsewhere."""

    def __init__(self, number: int) -> None:
        """`number` is the open file that the lines go to."""
        super().__init__()
        self._number = number
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; count it when too many wait."""
        if self._lines.qsize() >= WAITING:
            self._lost += 1
            return
        try:
            self._lines.put(self.format(record))
        except Exception:  # noqa: BLE001 (as every handler of logging: a line that cannot be told harms nobody)
            self.handleError(record)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            rest = (f"{line}\nlog lines lost: {lost}\n" if lost else f"{line}\n").encode(errors="replace")
            with contextlib.suppress(OSError):
                # Not through the stream: its lock, held while nobody reads, would end the interpreter's own end.
                while rest:
                    rest = rest[os.write(self._number, rest) :]

    def _end(self) -> None:
        self._lines.put(None)
        self._thread.join(END_S)
