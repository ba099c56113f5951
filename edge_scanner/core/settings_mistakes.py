"""What is wrong with a settings file, in sentences: the key, its line, and how to mend it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with one key, or with the whole table when `key` is empty; `beside`: keys it does not fit to.

    The sentences, `hint` behind a semicolon, exist in both languages (edge_scanner/language).
    """

    table: str
    key: str = ""
    beside: tuple[str, ...] = ()
    what: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"[{self.table}] {self.key}" if self.key else f"[{self.table}]"
        return f"{place}: {self.what}; {self.hint}" if self.hint else f"{place}: {self.what}"


CONVERSIONS = (
    "expected {}, got {}",
    "expected {} >= {}",
    "expected {} <= {}",
    "expected {} of length <= {}",
    "expected {} matching regex {}",
)
"""What msgspec says of a value, as `plain` gives it."""


def plain(message: str) -> str:
    """The sentence msgspec gives, without its quotes and with a small first letter."""
    message = message.replace("`", "")
    return message[:1].lower() + message[1:]


def nearest(mistake: Mistake, word: str, known: tuple[str, ...]) -> Mistake:
    """The mistake with what was probably meant, else with all that is known."""
    match = difflib.get_close_matches(word, known, n=1)
    return replace(mistake, hint=f"did you mean {match[0]}?" if match else f"known are {', '.join(known)}")


def line(lines: list[str], mistake: Mistake) -> str:
    """`12:` for the line of the mistaken key (else of one beside it) or table; nothing if it stands nowhere."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(lines, 1):
        if header := re.match(r"\s*\[+([^\]]+)\]", line):
            table = header[1].strip()
            key = ""
        elif assigned := re.match(r"\s*[\"']?([\w-]+)[\"']?\s*=", line):
            key = assigned[1]
        else:
            continue
        if table == mistake.table:
            found.setdefault(key, number)
    return next((f"{found[key]}:" for key in (mistake.key, *mistake.beside) if key in found), "")
