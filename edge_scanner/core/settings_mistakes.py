"""A settings file to dataclasses, and what is wrong with it in sentences: the key, its line, and how to mend it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import msgspec

from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Settings = TypeVar("Settings")
"""A dataclass whose fields are tables: dataclasses of keys with defaults."""


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


def convert(document: Mapping[str, Any], usual: Settings) -> tuple[Settings, list[Mistake]]:
    """The tables of a TOML document over what holds where it is silent, key by key, so that every mistake is found."""
    held: Any = usual
    known = {table.name: getattr(held, table.name) for table in fields(held)}
    mistakes: list[Mistake] = []
    made: dict[str, Any] = {}
    for table, values in document.items():
        if table not in known:
            mistakes.append(nearest(Mistake(table=table, what="unknown table"), table, tuple(known)))
        elif not isinstance(values, dict):
            mistakes.append(Mistake(table=table, what="must be a table", hint=f"write [{table}] on a line of its own"))
        else:
            made[table] = _table(table, values, known[table], mistakes)
    return replace(held, **made), mistakes


def _table(table: str, values: Mapping[str, Any], usual: Any, mistakes: list[Mistake]) -> Any:
    hints = get_type_hints(type(usual), include_extras=True)
    good: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            mistakes.append(nearest(Mistake(table=table, key=key, what="unknown key"), key, tuple(hints)))
            continue
        try:
            good[key] = msgspec.convert(value, hints[key])
        except (msgspec.ValidationError, ValueError) as error:  # ValueError: a number that no sentence can hold
            what = plain(str(error))
            if what.startswith("invalid enum value"):
                what = f"{value!r:.80} is not one of {', '.join(map(str, get_args(hints[key])))}"
            hint = f"the default is {getattr(type(usual)(), key)!r}"
            mistakes.append(Mistake(table=table, key=key, what=what, hint=hint))
    return replace(usual, **good)


def refuse(mistakes: Sequence[Mistake], contradictions: Iterable[Mistake], text: bytes, *, where: str) -> None:
    """Raises ConfigurationError that lists all, one a line, but no contradiction between keys that are wrong anyway."""
    wrong = {(mistake.table, mistake.key) for mistake in mistakes}
    found = [
        *mistakes,
        *(
            mistake
            for mistake in contradictions
            if wrong.isdisjoint((mistake.table, key) for key in (mistake.key, *mistake.beside, ""))
        ),
    ]
    if found:
        lines = text.decode().split("\n")  # TOML and editors count no other sign as the end of a line
        told = tuple(f"{where}:{line(lines, mistake)} {mistake}" for mistake in found)
        raise ConfigurationError("\n".join(told), mistakes=told)


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
