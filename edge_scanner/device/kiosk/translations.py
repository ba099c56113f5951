"""Every word the kiosk says, in Vietnamese and English together, from `device/kiosk/i18n/{vi,en}.json`.

Both languages are always shown, so there is no language switch: a text is a pair. Keys are dotted names; a value may
hold `{placeholders}`. A test holds both catalogues to the same keys and placeholders.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LANGUAGES = ("vi", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One text in both languages."""

    vi: str = ""
    en: str = ""


@cache
def catalogue(language: str) -> dict[str, str]:
    """The texts of one language by key."""
    text = files("edge_scanner.device.kiosk.i18n").joinpath(f"{language}.json").read_text(encoding="utf-8")
    texts: dict[str, str] = json.loads(text)
    return texts


def has(key: str) -> bool:
    """Whether the catalogues have this text."""
    return key in catalogue("vi")


def say(key: str, **values: object) -> Words:
    """A text with its placeholders filled; a value that is itself `Words` is filled per language."""
    filled = {
        language: catalogue(language)[key].format(
            **{name: getattr(value, language) if isinstance(value, Words) else value for name, value in values.items()}
        )
        for language in LANGUAGES
    }
    return Words(**filled)
