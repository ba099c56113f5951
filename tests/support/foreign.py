"""Texts of others that a terminal would obey, and a look at what a program printed of them."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ESCAPES = "\x1b[2J\x1b]0;pwned\x07\x9b1A\u202e"
MARK = "b[/x][red]:skull:"
"""Printable, so that documents take it: a tag that ends nothing, a colour, an emoji's name."""
NAME = f"f[red]{ESCAPES}"
"""The beginning of every file's name."""


class Shown(io.StringIO):
    """What a program printed; its log, which writes to the open file itself, goes to this process's stderr."""

    def fileno(self) -> int:
        """As of stderr."""
        return 2


def obeyed(text: str) -> list[str]:
    """What a terminal would have acted on."""
    return [character for character in text if not character.isprintable() and character != "\n"]


def program(main: Callable[[], None], *words: object) -> tuple[int, str]:
    """A command of one of the other programs in this process: its exit code, and what it printed."""
    out, before = Shown(), sys.argv
    sys.argv = ["program", *map(str, words)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    return code if isinstance(code, int) else 0, out.getvalue()
