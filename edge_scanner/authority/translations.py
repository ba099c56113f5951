"""What people read, Vietnamese and English: two catalogues with the same keys (i18n/vi.json, i18n/en.json)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib import resources

LANGUAGES = ("vi", "en")
VIET_NAM = timezone(timedelta(hours=7), "ICT")
"""Viet Nam has one zone and no summer time; every time a person reads names it."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """The sentences of a language by key."""
    text = (resources.files("edge_scanner.authority") / "i18n" / f"{language}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words


def say(language: str, key: str, /, **values: object) -> str:
    """The sentence with its values; raises KeyError for one that is in no catalogue."""
    return catalogue(language)[key].format(**values)


def refusal(language: str, code: str) -> str:
    """Why an order is refused, in words; the code itself where a newer box has one that is not known here."""
    return catalogue(language).get(f"request_bad_{code}") or say(language, "request_bad", code=code)


def local(at_s: float) -> str:
    """A moment as people in Viet Nam write it: 24/11/2026 08:00."""
    return f"{datetime.fromtimestamp(at_s, VIET_NAM):%d/%m/%Y %H:%M}"


def local_second(at_s: float) -> str:
    """A moment to the second."""
    return f"{datetime.fromtimestamp(at_s, VIET_NAM):%d/%m/%Y %H:%M:%S}"


def device_name(device: str) -> str:
    """A box's id as its label shows it: K7MP-2R9C-X4."""
    return "-".join((device[:4], device[4:8], device[8:]))
