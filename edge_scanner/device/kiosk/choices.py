"""What the operator may set on the page: the fields of its form, and the way from what was typed to settings.

Each value goes through the parser of the settings file with all the others, so that the rules stand in settings.py
alone; its sentences come back beside their fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from edge_scanner.core.counts.calibration import SURE
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.text import drawn
from edge_scanner.core.venue_days import WEEKDAYS
from edge_scanner.device import operator_settings
from edge_scanner.device.kiosk import when
from edge_scanner.device.kiosk.translations import say
from edge_scanner.device.operator_settings import KEYS, value_of
from edge_scanner.device.settings import Kiosk
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.core.errors import EdgeScannerError
    from edge_scanner.device.enrolment.settings_text import Key
    from edge_scanner.device.kiosk.watch import View
    from edge_scanner.device.settings import Settings

NUMBERS = ("moderate_from", "busy_from", "limit")
CHOICES = {name: get_args(get_type_hints(Kiosk)[name]) for name in ("word", "theme")}
NEEDED = ("name_vi", "name_en")
OPENING = tuple(f"opening_{weekday}" for weekday in range(WEEKDAYS))
_MISTAKE = re.compile(r"\[\w+\] (\w+): (.*)", re.DOTALL)
_MOST = 4096
"""Characters of one field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A form as it was sent or is to be shown: a text for each field, and what is wrong with it."""

    texts: Mapping[str, str]
    wrong: Mapping[str, Words] = field(default_factory=dict)


def shown(settings: Settings) -> Typed:
    """The form of settings as they are."""
    texts: dict[str, str] = {}
    for key in KEYS:
        name, value = key[1], value_of(settings, key)
        if name == "opening":
            texts |= {OPENING[day]: value[day % len(value)] if value else "" for day in range(WEEKDAYS)}
        else:
            texts[name] = "\n".join(value) if isinstance(value, tuple) else str(value)
    return Typed(texts=texts)


def taken(main: Settings, sent: Mapping[str, str]) -> tuple[str, Typed]:
    """The operator's file that a form means; "" and the form with its mistakes when it cannot be."""
    texts = {name: _clean(sent.get(name, "")) for name in shown(main).texts}
    wrong: dict[str, Words] = {}
    values: dict[Key, Any] = {}
    for key in KEYS:
        try:
            values[key] = _value(key[1], texts)
        except ConfigurationError as error:
            wrong[key[1]] = told(error)
    text = operator_settings.text(main, values)
    try:
        operator_settings.merged(main, text.encode(), name="")
    except ConfigurationError as error:
        for line in error.mistakes:
            if found := _MISTAKE.search(line):
                what, _, hint = found[2].partition("; ")
                wrong.setdefault(found[1], _named(told(ConfigurationError(what, hint=hint))))
    return "" if wrong else text, Typed(texts=texts, wrong=wrong)


def whole(text: str) -> int:
    """A count as it was typed; raises ConfigurationError."""
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError("a whole number, e.g. 20")
    return int(text[:9])


def counted(view: View) -> tuple[Words, ...]:
    """What was counted by hand, in sentences."""
    if view.snapshot is None:
        return (say("opened.unknown"),)
    found, offset_s = view.snapshot, view.utc_offset_s
    sentences = []
    if (empty := found.counted.empty) is not None:
        sentences.append(
            say(
                "set.counted.empty",
                count=max(round(empty.devices), 0),
                error=round(SURE * empty.deviation),
                moment=when.day(empty.measured_s, offset_s),
            )
        )
    if (full := found.counted.full) is not None:
        seen = {"people": full.people, "count": max(round(full.devices), 0)}
        sentences.append(say("set.counted.full", **seen, moment=when.day(full.measured_s, offset_s)))
    if (line := found.calibration) is not None:
        sentences.append(say("set.counted.line", factor=line.people_per_device, low=line.low, high=line.high))
    return tuple(sentences) or (say("set.counted.none"),)


def told(error: EdgeScannerError) -> Words:
    """The one line of an error in both languages."""
    return Words(vi=errors.line(error, "vi"), en=errors.line(error, "en"))


def _named(words: Words) -> Words:
    """With a field's name as the form has it, in place of its key."""
    moderate = say("level.moderate")
    return Words(
        vi=words.vi.replace("moderate_from", f"“{moderate.vi}”"),
        en=words.en.replace("moderate_from", f"“{moderate.en}”"),
    )


def _value(name: str, texts: Mapping[str, str]) -> object:
    if name == "opening":
        days = tuple(texts[day].strip() for day in OPENING)
        return () if not any(days) else days[:1] if len(set(days)) == 1 else days
    text = texts[name]
    if name == "holidays":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    if name in NUMBERS:
        return whole(text)
    if (name in NEEDED and not text.strip()) or not drawn(text.strip()):
        raise ConfigurationError("a name is needed, of characters that can be seen")
    return text.strip()


def _clean(text: str) -> str:
    return text[:_MOST].replace("\r\n", "\n")
