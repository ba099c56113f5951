"""What was found in a bundle: the verdict, as JSON for programs and as sentences for people (edge-authority verify)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import translations
from edge_scanner.core.log.errors import EmptyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PULLED, EXPORTED, CARD = "pull", "export", "card"
"""How a bundle left its box: as an answer; on a stick, with an entry in the box's published trail; or without."""

_MAX_LISTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found; times UTC seconds. `code` is empty when everything holds (core/log/errors.py otherwise).

    `proven_until_s` is the newest published statement that the bundle was held against, None without any: nothing
    before it was cut off or rewritten. `later` statements were made after the bundle, `unvouched` ones carry a key for
    which no boot record is at hand. `missing_hours` are hours asked for of which there is no segment. Of the
    `minutes_asked`, `minutes_at_most` can have a record: frames are sealed, so no more is known before they are opened.
    `source` is PULLED, EXPORTED or CARD. `findings` prove nothing by themselves: pairs of a kind and a topic.
    """

    device: str
    place: str
    code: str = ""
    what: str = ""
    where: str = ""
    request: str = ""
    from_s: int = 0
    to_s: int = 0
    made_s: int = 0
    segments: int = 0
    frames: int = 0
    minutes_asked: int = 0
    minutes_at_most: int = 0
    power_cuts: int = 0
    open_segment: bool = False
    missing_hours: tuple[int, ...] = ()
    clock: str = ""
    lowest_clock: str = ""
    recipients_checked: bool = False
    source: str = PULLED
    findings: tuple[tuple[str, str], ...] = ()
    checkpoints: int = 0
    links: int = 0
    boots: int = 0
    later: int = 0
    unvouched: int = 0
    proven_until_s: int | None = None
    audit_entries: int = 0
    audit_head: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts anything."""
        return not self.code


def from_values(values: Mapping[str, Any]) -> Verdict:
    """A verdict out of JSON; raises TypeError, ValueError."""
    lists = {
        "missing_hours": tuple(values["missing_hours"]),
        "findings": tuple((kind, source) for kind, source in values["findings"]),
    }
    return Verdict(**{**values, **lists})


def as_json(verdict: Verdict) -> dict[str, object]:
    """For programs."""
    return {"holds": verdict.holds, **asdict(verdict)}


def proven(verdict: Verdict, language: str) -> list[str]:
    """What the bundle proves, sentence by sentence."""

    def say(key: str, **values: object) -> str:
        return translations.say(language, key, **values)

    if not verdict.holds:
        return []
    lines = [
        say("verify_box", device=translations.device_name(verdict.device)),
        say("verify_segments", segments=verdict.segments, frames=verdict.frames),
        say("verify_order"),
    ]
    if verdict.recipients_checked:
        lines.append(say("verify_recipients"))
    if verdict.proven_until_s is not None:
        lines.append(
            say(
                "verify_published",
                checkpoints=verdict.checkpoints,
                links=verdict.links,
                boots=verdict.boots,
                until=translations.local(verdict.proven_until_s),
            )
        )
    return lines


def not_proven(verdict: Verdict, language: str) -> list[str]:
    """What it does not prove, sentence by sentence."""

    def say(key: str, **values: object) -> str:
        return translations.say(language, key, **values)

    if verdict.code == EmptyError.code:
        return [say("verify_empty"), say(f"verify_source_{verdict.source}")]
    if not verdict.holds:
        return [say("verify_contradiction", what=verdict.what, where=verdict.where, code=verdict.code)]
    lines = _tail(verdict, say)
    lines += [say(f"finding_{kind}", source=source) for kind, source in verdict.findings]
    lines += _gaps(verdict, say)
    if verdict.lowest_clock in ("none", "rtc"):
        lines.append(say(f"verify_clock_{verdict.lowest_clock}"))
    if not verdict.recipients_checked:
        lines.append(say("verify_no_recipients"))
    if verdict.source != PULLED:
        lines.append(say(f"verify_source_{verdict.source}"))
    lines.append(say("verify_person"))
    return lines


def _tail(verdict: Verdict, say: Callable[..., str]) -> list[str]:
    """How far published statements reach; "nothing later" only where there is nothing."""
    if verdict.proven_until_s is None:
        lines = [say("verify_nothing_published")]
    else:
        lines = [say("verify_after", until=translations.local(verdict.proven_until_s))]
    if verdict.later:
        lines.append(say("verify_later", count=verdict.later))
    elif verdict.proven_until_s is not None:
        lines.append(say("verify_nothing_later"))
    return lines


def _gaps(verdict: Verdict, say: Callable[..., str]) -> list[str]:
    """Hours and minutes without a record."""
    lines = []
    if verdict.missing_hours:
        listed = ", ".join(translations.local(hour_s) for hour_s in verdict.missing_hours[:_MAX_LISTED])
        more = "" if len(verdict.missing_hours) <= _MAX_LISTED else ", …"
        lines.append(say("verify_missing", hours=listed + more))
    if (absent := verdict.minutes_asked - verdict.minutes_at_most) > 0:
        lines.append(say("verify_minutes", absent=absent, asked=verdict.minutes_asked))
    if verdict.power_cuts:
        lines.append(say("verify_power_cuts", count=verdict.power_cuts))
    if verdict.open_segment:
        lines.append(say("verify_open"))
    return lines


def show(verdict: Verdict, language: str) -> None:
    """The one-page verdict."""
    say = translations.catalogue(language)
    good, unproven, bad = Text("✔ ", "bold green"), Text("? ", "bold yellow"), Text("✘ ", "bold red")
    lines = [
        Text.assemble((translations.device_name(verdict.device), "bold"), "  ", verdict.place),
        Text(),
    ]
    if verdict.holds:
        hours = translations.say(
            language, "verify_hours", start=translations.local(verdict.from_s), end=translations.local(verdict.to_s)
        )
        lines += [
            Text(hours),
            Text(translations.say(language, "verify_made", at=translations.local_second(verdict.made_s))),
        ]
        lines += [Text(), Text(say["verify_proven"], style="bold")]
        lines += [good + Text(line) for line in proven(verdict, language)]
        lines += [Text(), Text(say["verify_not_proven"], style="bold")]
    mark = unproven if verdict.holds else bad
    lines += [mark + Text(line) for line in not_proven(verdict, language)]
    title = say["verify_holds"] if verdict.holds else say["verify_fails"]
    style = "green" if verdict.holds else "red"
    terminal.console().print(
        Panel(Group(*lines), title=Text(title), title_align="left", border_style=style, padding=(1, 2))
    )
