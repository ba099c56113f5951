"""A program on a terminal of its own: what it shows, and what somebody types."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType


class Dialogue:
    """Leaving the context kills the program."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = os.openpty()
        # The terminal is the program's controlling one, as a person's is: a PIN is read from /dev/tty.
        self._program = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **environment},
        )
        os.close(slave)
        self.shown = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.kill()
        self._program.wait()
        os.close(self._master)

    def shows(self, *phrases: str) -> None:
        """Wait until each of `phrases` is shown after what was answered last."""
        for phrase in phrases:
            self._until(phrase)

    def answer(self, *phrases: str, text: str) -> None:
        """The same, and type `text` and Enter."""
        self.shows(*phrases)
        os.write(self._master, f"{text}\n".encode())

    def end(self) -> int:
        """The exit code, once the program has ended."""
        self._until(None)
        return self._program.wait(PATIENCE_S)

    def _until(self, phrase: str | None) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while phrase is None or phrase not in self.shown[self._seen :]:
            assert time.monotonic() < deadline, f"no {phrase!r} in {self.shown!r}"
            if not select.select([self._master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:
                # Linux says EIO when the last program has closed the terminal.
                data = b""
            if not data:
                assert phrase is None, f"it ended without {phrase!r}: {self.shown!r}"
                return
            self.shown += data.decode(errors="replace")
        self._seen = self.shown.index(phrase, self._seen) + len(phrase)
