"""The HTML of the operator's settings: forms without a script, each mistake beside its field."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk import pages
from edge_scanner.device.kiosk.choices import CHOICES, NUMBERS, OPENING
from edge_scanner.device.kiosk.translations import catalogue, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.core.diagnostics.words import Words
    from edge_scanner.device.kiosk.choices import Typed

_SECTIONS = {
    "set.screen": ("name_vi", "name_en", "staff", "theme"),
    "set.levels": ("moderate_from", "busy_from", "word", "limit"),
}
_PIN = ("pin", "new", "again")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsDocument:
    """All that `/ops/settings` shows; `said` is the sentence on top, `failed` whether it is a complaint.

    `wrong` is what is wrong with the fields of the two small forms, `counted` what was counted by hand.
    """

    theme: str
    site: Words
    device: str
    said: Words
    failed: str
    form: Typed | None
    wrong: Mapping[str, Words]
    counted: tuple[Words, ...]


def settings_page(document: SettingsDocument) -> str:
    """`/ops/settings`."""
    return pages.fill("settings.html", document, {"forms": _forms(document), "said": _said(document)})


def both(words: Words, *, tag: str = "span") -> str:
    """Vietnamese, and the English where it is another."""
    english = f' <{tag} class="en" lang="en">{html.escape(words.en)}</{tag}>' if words.en != words.vi else ""
    return f"{html.escape(words.vi)}{english}"


def _said(document: SettingsDocument) -> str:
    if not document.said.vi:
        return ""
    kind, role = ("failed", "alert") if document.failed else ("done", "status")
    return f'<p class="said {kind}" role="{role}">{both(document.said)}</p>'


def _forms(document: SettingsDocument) -> str:
    if document.form is None:
        return ""
    sections = "".join(
        _section(title, "".join(_field(name, document.form) for name in names)) for title, names in _SECTIONS.items()
    )
    sections += _section("set.opening", _opening(document.form))
    sections += _section("set.holidays", _holidays(document.form))
    pins = "".join(_pin(name, document.wrong.get(name)) for name in _PIN)
    pins += f'<p class="do"><button type="submit">{both(say("set.pin.save"))}</button></p>'
    return (
        f'<form class="wide forms" method="post" action="/ops/settings">{sections}'
        f'<p class="wide"><button class="main" type="submit">{both(say("set.save"))}</button></p></form>'
        f'<form method="post" action="/ops/count">{_section("set.count", _count(document))}</form>'
        f'<form method="post" action="/ops/pin">{_section("set.pin.title", pins)}</form>'
    )


def _section(title: str, inside: str) -> str:
    name = title.replace(".", "-")
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{both(say(title))}</h2>{inside}</section>'


def _field(name: str, form: Typed) -> str:
    value, wrong = form.texts[name], form.wrong.get(name)
    attributes = _described(name, wrong)
    if name in CHOICES:
        options = "".join(
            f'<option value="{one}"{" selected" if one == value else ""}>{_plain(say(f"set.{name}.{one}"))}</option>'
            for one in CHOICES[name]
        )
        control = f'<select id="{name}" name="{name}"{attributes}>{options}</select>'
    else:
        kind = ' inputmode="numeric" class="number"' if name in NUMBERS else ""
        control = f'<input id="{name}" name="{name}" value="{html.escape(value)}"{kind}{attributes}>'
    return _labelled(name, control, wrong)


def _labelled(name: str, control: str, wrong: Words | None) -> str:
    key = f"set.{name}.hint"
    hint = f'<p class="hint" id="{name}-hint">{both(say(key))}</p>' if key in catalogue() else ""
    label = f'<label for="{name}">{both(say(f"set.{name}"))}</label>'
    return f'<div class="field">{label}{control}{hint}{_wrong(name, wrong)}</div>'


def _described(name: str, wrong: Words | None) -> str:
    told = [f"{name}-hint"] if f"set.{name}.hint" in catalogue() else []
    told += [f"{name}-wrong"] if wrong else []
    invalid = ' aria-invalid="true"' if wrong else ""
    return f'{invalid} aria-describedby="{" ".join(told)}"' if told else invalid


def _wrong(name: str, wrong: Words | None) -> str:
    return f'<p class="wrong" id="{name}-wrong">{both(wrong)}</p>' if wrong else ""


def _opening(form: Typed) -> str:
    """A line a weekday."""
    wrong = form.wrong.get("opening")
    days = "".join(
        f'<div class="day"><label for="{name}">{both(say(f"weekday.{day}"))}</label>'
        f'<input id="{name}" name="{name}" value="{html.escape(form.texts[name])}"{_described("opening", wrong)}></div>'
        for day, name in enumerate(OPENING)
    )
    return f'<p class="hint" id="opening-hint">{both(say("set.opening.hint"))}</p>{days}{_wrong("opening", wrong)}'


def _holidays(form: Typed) -> str:
    wrong = form.wrong.get("holidays")
    return (
        f'<p class="hint" id="holidays-hint">{both(say("set.holidays.hint"))}</p>'
        '<textarea id="holidays" name="holidays" rows="7" aria-labelledby="set-holidays"'
        f"{_described('holidays', wrong)}>"
        f"{html.escape(form.texts['holidays'])}</textarea>{_wrong('holidays', wrong)}"
    )


def _count(document: SettingsDocument) -> str:
    """People counted by hand: what is known, one field, and a way to begin again."""
    wrong = document.wrong.get("people")
    known = "".join(f"<p>{both(words)}</p>" for words in document.counted)
    control = f'<input id="people" name="people" inputmode="numeric" class="number"{_described("people", wrong)}>'
    buttons = (
        f'<button type="submit">{both(say("set.count.save"))}</button> '
        f'<button type="submit" name="forget" value="yes">{both(say("set.count.forget"))}</button>'
    )
    return f'<div class="known">{known}</div>{_labelled("people", control, wrong)}<p class="do">{buttons}</p>'


def _pin(name: str, wrong: Words | None) -> str:
    known = "current-password" if name == "pin" else "new-password"
    control = (
        f'<input id="{name}" name="{name}" type="password" inputmode="numeric" class="number" autocomplete="{known}" '
        f"required{_described(name, wrong)}>"
    )
    return _labelled(name, control, wrong)


def _plain(words: Words) -> str:
    return html.escape(words.vi if words.vi == words.en else f"{words.vi} / {words.en}")
