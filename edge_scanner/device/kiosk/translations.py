"""Every word the kiosk says, in Vietnamese and English together, from `device/kiosk/texts.json`.

Both languages are always shown, so there is no language switch: a text is a pair. Keys are dotted names; a value may
hold `{placeholders}`. Names of lights and what to do about a fault stand in core/diagnostics, for all programs.

Another language takes the place of English on the public page, from a file of the technician's (`ko.json`): texts by
their keys, and under `language` its own name. What it does not translate stays English.
"""

from __future__ import annotations

import json
import re
import string
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.wording import filled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LANGUAGES = ("vi", "en")
NAME = "language"
MOST = 8
"""Other languages."""
_MAX_BYTES = 256 * 1024
_CODE = re.compile(r"[a-z]{2,3}")
_second: ContextVar[Mapping[str, str] | None] = ContextVar("second", default=None)


@cache
def _shipped() -> dict[str, Words]:
    text = files("edge_scanner.device.kiosk").joinpath("texts.json").read_text(encoding="utf-8")
    return {key: Words(**both) for key, both in json.loads(text).items()}


def catalogue() -> Mapping[str, Words]:
    """The texts by key."""
    other = _second.get()
    if other is None:
        return _shipped()
    return {key: Words(vi=both.vi, en=other.get(key, both.en)) for key, both in _shipped().items()}


@contextmanager
def instead_of_english(other: Mapping[str, str] | None) -> Iterator[None]:
    """Say this language's texts in place of the English ones; None: English."""
    before = _second.set(other)
    try:
        yield
    finally:
        _second.reset(before)


def say(key: str, **values: object) -> Words:
    """A text with its placeholders filled; a value that is itself `Words` is filled per language."""
    text, other = _shipped()[key], _second.get()
    texts = {"vi": text.vi, "en": text.en if other is None else other.get(key, text.en)}
    both = {
        language: filled(
            texts[language],
            **{name: getattr(value, language) if isinstance(value, Words) else value for name, value in values.items()},
        )
        for language in LANGUAGES
    }
    return Words(**both)


def others(folder: Path) -> Iterator[tuple[str, Mapping[str, str] | ConfigurationError]]:
    """Each file of the folder by its language's code, the first few: its texts, or what is wrong with it."""
    found = sorted(file for file in folder.glob("*.json") if _CODE.fullmatch(file.stem) and file.stem not in LANGUAGES)
    for file in found[:MOST]:
        try:
            yield file.stem, other(file)
        except ConfigurationError as error:
            yield file.stem, error


def other(file: Path) -> Mapping[str, str]:
    """The texts of a file; raises ConfigurationError that names the first wrong one."""
    try:
        texts = json.loads(small_files.content(file, _MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError("cannot be read", where=str(file)) from error
    if not isinstance(texts, dict) or not texts.get(NAME):
        raise ConfigurationError("lacks the language's own name", where=str(file), hint='add "language" and the name')
    for key, text in texts.items():
        if key != NAME and key not in _shipped():
            raise ConfigurationError(f"{key} is no text of the page", where=str(file), hint="compare with texts.json")
        if not isinstance(text, str) or _blanks(text) != (set() if key == NAME else _blanks(_shipped()[key].en)):
            raise ConfigurationError(
                f"{key} has other blanks than the English", where=str(file), hint="compare with texts.json"
            )
    return texts


def _blanks(text: str) -> set[str] | None:
    """The names in braces, None where they are broken."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return None
