"""An error's line in Vietnamese or English, for every program.

The code raises its errors in English. `vi.json` holds the Vietnamese of each sentence; `{}` in the English stands for a
value, which the Vietnamese takes by its place (`{0}`, `{1}`). A sentence that is not in the catalogue stays English, so
that a reader never loses the cause; a test holds that every sentence in the sources is in it.

The language is `--lang`, else the locale (LC_ALL, LC_MESSAGES, LANG; POSIX 8.2), else English.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal

from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_scanner.core.errors import EdgeScannerError

Language = Literal["vi", "en"]
_PLACE = re.compile(r".*?:(?:\d+:)? \[[^\]]*\](?: [\w-]+)?: ", re.DOTALL)


def chosen(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language that the command line or the locale asks for."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--lang":
            wanted = value if equals else "".join(arguments[index + 1 : index + 2])
            return "vi" if wanted == "vi" else "en"
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "vi" if locale.startswith("vi") else "en"


def line(error: EdgeScannerError, language: Language) -> str:
    """`what (where): how to mend`, in one language."""
    if language == "en":
        return str(error)
    place = f" ({error.where})" if error.where else ""
    mend = f"; {_vietnamese(error.hint)}" if error.hint else ""
    return f"{_vietnamese(error.what)}{place}{mend}"


def lines(error: EdgeScannerError, language: Language) -> list[str]:
    """An error's line, or one for each mistake in a settings file."""
    mistakes = error.mistakes if isinstance(error, ConfigurationError) else ()
    if not mistakes:
        return [line(error, language)]
    return list(mistakes) if language == "en" else list(map(_mistake, mistakes))


def _mistake(text: str) -> str:
    """Sentence and hint behind their place: `scanner.toml:12: [mqtt] tls: sentence; hint`."""
    found = _PLACE.match(text)
    place = found.group() if found else ""
    sentence, semicolon, hint = text.removeprefix(place).partition("; ")
    return f"{place}{_vietnamese(sentence)}{semicolon}{_vietnamese(hint)}"


def _vietnamese(sentence: str) -> str:
    exact, patterns = _catalogue()
    if sentence in exact:
        return exact[sentence]
    for pattern, text in patterns:
        if found := pattern.fullmatch(sentence):
            return text.format(*found.groups())
    return sentence


@cache
def _catalogue() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Sentences without values, and patterns of those with values, the most specific first."""
    text = (resources.files("edge_scanner.language") / "vi.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    exact = {english: said for english, said in words.items() if "{}" not in english}
    patterns = [
        (re.compile("(.*)".join(map(re.escape, english.split("{}"))), re.DOTALL), words[english])
        for english in sorted(set(words) - set(exact), key=len, reverse=True)
    ]
    return exact, patterns
