"""An error's line in Vietnamese or English, for every program.

The code raises its errors in English. `vi.json` holds the Vietnamese of each sentence; `{}` in the English stands for a
value, which the Vietnamese takes by its place (`{0}`, `{1}`); a value may be a sentence, too. `elsewhere.json` holds
what others say: the system's reasons, the command line's usage errors, and the nouns that stand beside a number. A
sentence in neither stays English, so that a reader never loses the cause; a test holds that every sentence in the
sources is in the catalogue.

The language is `--lang`, else the locale (LC_ALL, LC_MESSAGES, LANG; POSIX 8.2), else English.
"""

from __future__ import annotations

import json
import os
import re
import sys
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_scanner.core.errors import EdgeScannerError

Language = Literal["vi", "en"]
_COUNTED = re.compile(r"([\d,]+) ([a-z ]+)")
_PLACE = re.compile(r".*?:(?:\d+:)? \[[^\]]*\](?: [\w-]+)?: ", re.DOTALL)


def chosen(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language of error lines: what the command line asks for, or Vietnamese where the locale is."""
    return _asked(arguments) or ("vi" if _locale(environment).startswith("vi") else "en")


def spoken(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language of what people read at length: what the command line asks for, or English where the locale is."""
    return _asked(arguments) or ("en" if _locale(environment).startswith("en") else "vi")


def _asked(arguments: Sequence[str]) -> Language | None:
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--lang":
            wanted = value if equals else "".join(arguments[index + 1 : index + 2])
            return "vi" if wanted == "vi" else "en"
    return None


def _locale(environment: Mapping[str, str]) -> str:
    """The locale of a program's words, for example vi_VN.UTF-8; empty where none is named."""
    return environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""


def line(error: EdgeScannerError, language: Language) -> str:
    """`what (where): how to mend`, in one language."""
    if language == "en":
        return str(error)
    place = f" ({error.where})" if error.where else ""
    mend = f"; {vietnamese(error.hint)}" if error.hint else ""
    return f"{vietnamese(error.what)}{place}{mend}"


def reader() -> Language:
    """The language of this program's error lines."""
    return chosen(sys.argv[1:], os.environ)


def told(sentence: str, language: Language | None = None) -> str:
    """A sentence that is no error of ours, in a language, or in that of this program's reader."""
    return vietnamese(sentence) if (language or reader()) == "vi" else sentence


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
    return f"{place}{vietnamese(sentence)}{semicolon}{vietnamese(hint)}"


def vietnamese(sentence: str) -> str:
    """A sentence of ours, of the system's or of the command line's; one that nobody knows as it is."""
    exact, patterns = _catalogue()
    if said := exact.get(sentence) or exact.get(sentence.lower()):
        return said
    for pattern, text in patterns:
        if found := pattern.fullmatch(sentence):
            return text.format(*map(_value, found.groups()))
    return sentence


def _value(text: str) -> str:
    """A value within a sentence: a number with its noun, a sentence of its own, or what it is."""
    found = _COUNTED.fullmatch(text)
    noun = _nouns().get(found[2]) if found else None
    return f"{found[1]} {noun}" if found and noun else vietnamese(text)


@cache
def _catalogue() -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Sentences without values, and patterns of those with values, the most specific first."""
    words: dict[str, str] = {**_file("vi.json"), **_file("elsewhere.json")["sentences"]}
    exact = {english: said for english, said in words.items() if "{}" not in english}
    exact = {**_file("elsewhere.json")["system"], **exact}
    patterns = [
        (re.compile("(.*)".join(map(re.escape, english.split("{}"))), re.DOTALL), words[english])
        for english in sorted(filter(lambda one: "{}" in one, words), key=len, reverse=True)
    ]
    return exact, patterns


@cache
def _nouns() -> dict[str, str]:
    """The Vietnamese of a noun, by its English singular and plural: it has one form for both."""
    nouns: dict[str, str] = _file("elsewhere.json")["nouns"]
    return {counted(number, noun).partition(" ")[2]: said for noun, said in nouns.items() for number in (1, 2)}


def _file(name: str) -> Any:
    return json.loads((resources.files("edge_scanner.language") / name).read_text(encoding="utf-8"))
