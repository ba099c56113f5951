"""Every word the kiosk says, in Vietnamese and English together, from `device/kiosk/texts.json`.

Both languages are always shown, so there is no language switch: a text is a pair. Keys are dotted names; a value may
hold `{placeholders}`. Names of lights and what to do about a fault stand in core/diagnostics, for all programs.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.wording import filled

LANGUAGES = ("vi", "en")


@cache
def catalogue() -> dict[str, Words]:
    """The texts by key."""
    text = files("edge_scanner.device.kiosk").joinpath("texts.json").read_text(encoding="utf-8")
    return {key: Words(**both) for key, both in json.loads(text).items()}


def say(key: str, **values: object) -> Words:
    """A text with its placeholders filled; a value that is itself `Words` is filled per language."""
    both = {
        language: filled(
            getattr(catalogue()[key], language),
            **{name: getattr(value, language) if isinstance(value, Words) else value for name, value in values.items()},
        )
        for language in LANGUAGES
    }
    return Words(**both)
