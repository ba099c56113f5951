"""Settings as the text of a file: the values that differ from the defaults, and no others. The way back is settings.py.

JSON's strings are TOML's basic strings but for DEL, which TOML wants escaped; so no library is needed to write one.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from edge_scanner.device.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Key = tuple[str, str]
"""Table and key."""


def render(settings: Settings, *, head: str = "", always: Collection[Key] = (), notes: Mapping[Key, str] = {}) -> str:
    """TOML text that `settings.parse` reads as `settings`.

    `always` are written at their defaults, too; `notes` are comments above a key, one line each.
    """
    lines = [f"# {line}" for line in head.splitlines()]
    for table in fields(Settings):
        values, usual = getattr(settings, table.name), getattr(Settings(), table.name)
        written: list[str] = []
        for entry in fields(values):
            key, value = (table.name, entry.name), getattr(values, entry.name)
            if value == getattr(usual, entry.name) and key not in always:
                continue
            written += [f"# {notes[key]}"] if key in notes else []
            written.append(f"{entry.name} = {toml(value)}")
        if written:
            lines += [*([""] if lines else []), f"[{table.name}]", *written]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """One value: text, number, truth, or a list of texts."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
