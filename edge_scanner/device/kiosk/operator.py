"""The operator's document: seven lights with words and what to do, figures about the box, answered requests, the week.

Counts here are released ones (noised, hourly); the operator sees no more than the central broker gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.calibration import people
from edge_scanner.core.counts.release import NEARBY
from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import LIGHTS
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.health import HealthLight, Light
from edge_scanner.device.kiosk import when
from edge_scanner.device.kiosk.translations import catalogue, say
from edge_scanner.device.kiosk.watch import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_scanner.core.health import Health
    from edge_scanner.core.messages import Calibration
    from edge_scanner.core.model import Report
    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.device.kiosk.watch import View

FACTS = (
    "always_here",
    "last_contact",
    "recoveries",
    "outbox",
    "retention",
    "certificate",
    "recipients",
    "uptime",
    "process",
)
_BAD = (Light.WARN, Light.FAIL)
_UNUSED = (Code.LOG_NOT_CONFIGURED, Code.BROKER_NOT_CONFIGURED, Code.CERTIFICATE_NONE)
# Figures in the week's chart and table: those with a name, in that order; `people` where they were counted by hand. The
# CSV has whatever was released.
FIGURES = tuple(key.removeprefix("figure.") for key in catalogue() if key.startswith("figure."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """One light: its name, its state in words and what to do about it (empty when nothing)."""

    light: str
    name: Words
    says: Words
    todo: Words
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answered request of a health authority."""

    case: str
    hours: Words
    answered: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One released hour: mean devices present, by figure, as shown to people with their 95 % interval."""

    at_s: int
    nearby: int | None
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDocument:
    """All that `/ops` shows; `summary` is the one sentence on top."""

    state: str
    theme: str
    device: str
    site: Words
    summary: Words
    problem: str
    simulated: bool
    time: str
    date: Words
    utc_offset_s: int
    lights: Mapping[str, Lamp]
    facts: Mapping[str, Words]
    opened: Words
    pulls: tuple[Answered, ...]
    week: tuple[Hour, ...]


def operator_document(view: View) -> OperatorDocument:
    """What the operator is told about `view`."""
    snapshot, offset_s = view.snapshot, view.utc_offset_s
    lights = {name: _lamp(name, _light(view, name)) for name in LIGHTS}
    return OperatorDocument(
        state=view.state,
        theme=desk_theme(view),
        device=_grouped(snapshot.venue.device) if snapshot else "",
        site=Words(vi=snapshot.venue.name_vi, en=snapshot.venue.name_en) if snapshot else Words(),
        summary=_summary(view, lights),
        problem=view.problem,
        simulated=snapshot.venue.simulated if snapshot else False,
        time=when.clock(view.now_s, offset_s),
        date=when.date(view.now_s, offset_s),
        utc_offset_s=offset_s,
        lights=lights,
        facts=_facts(snapshot, view.now_s, offset_s) if snapshot else dict.fromkeys(FACTS, say("ops.none")),
        opened=say("opened.unknown")
        if snapshot is None or snapshot.opened_count is None
        else say("ops.pulls.count", count=snapshot.opened_count),
        pulls=_pulls(snapshot, offset_s) if snapshot else (),
        week=tuple(_hour(report, snapshot.calibration) for report in snapshot.week) if snapshot else (),
    )


def desk_theme(view: View) -> str:
    """The theme of the operator's pages: light unless the venue's is dark."""
    return "day" if view.theme == "auto" else view.theme


def _light(view: View, name: str) -> HealthLight:
    """A light of a box that may have gone quiet: an old light is not known, and the radio's is down."""
    if view.snapshot is None or view.state in (State.STALE, State.DOWN):
        return HealthLight(light=Light.UNKNOWN)
    return view.snapshot.health.lights.get(name, HealthLight(light=Light.UNKNOWN))


def _lamp(name: str, light: HealthLight) -> Lamp:
    """The advice for the light's code, or for light and severity where the code is not known."""
    words, known = LIGHTS[name], advice.fix(light.code)
    todo = known.operator if known else None
    if todo is None and light.light in _BAD:
        todo = words.warn if light.light is Light.WARN else words.fail
    return Lamp(light=light.light, name=words.name, says=_says(light), todo=todo or Words(), code=light.code[:12])


def _says(light: HealthLight) -> Words:
    """Good, check, fault, not known; or that the box is meant to be without this part."""
    return say("says.unused" if light.code in _UNUSED else f"says.{light.light}")


def _summary(view: View, lights: Mapping[str, Lamp]) -> Words:
    if view.state in (State.STALE, State.DOWN):
        return say(f"summary.{view.state}", age=when.span(view.age_s))
    to_do = sum(lamp.light in _BAD for lamp in lights.values())
    return say("summary.todo", count=to_do) if to_do else say("summary.fine")


def _facts(snapshot: Snapshot, now_s: float, offset_s: int) -> dict[str, Words]:
    """The figures; a value that is the same in both languages is said once."""
    return {
        name: Words(vi=words.vi) if words.vi == words.en else words
        for name, words in (("always_here", _always_here(snapshot)), *_each_fact(snapshot.health, now_s, offset_s))
    }


def _each_fact(health: Health, now_s: float, offset_s: int) -> Iterator[tuple[str, Words]]:
    contact = health.last_contact_s
    yield (
        "last_contact",
        when.moment(contact, offset_s)
        if contact is None
        else say("fact.ago", span=when.span(now_s - contact), moment=when.moment(contact, offset_s)),
    )
    yield "recoveries", say("fact.times", count=sum(health.recoveries.values()))
    yield "outbox", say("fact.outbox", count=health.outbox_rows, dropped=health.outbox_dropped_total)
    oldest = health.oldest_record_s
    kept = say("ops.none") if oldest is None else when.span(now_s - oldest)
    yield "retention", say("fact.retention", kept=kept, days=health.retention_days)
    yield "certificate", _remaining(health.certificate_expires_s, now_s)
    yield "recipients", _remaining(health.recipients_expire_s, now_s)
    yield "uptime", when.span(health.uptime_s)
    yield "process", say("fact.process", rss=round(health.rss_mb), lag=round(health.loop_lag_ms))


def _remaining(until_s: float | None, now_s: float) -> Words:
    if until_s is None:
        return say("ops.none")
    return say("fact.remaining", span=when.span(until_s - now_s)) if until_s > now_s else say("fact.expired")


def _pulls(snapshot: Snapshot, offset_s: int) -> tuple[Answered, ...]:
    return tuple(
        Answered(
            case=pull.case,
            hours=say("fact.hours", start=when.moment(pull.from_s, offset_s), end=when.moment(pull.to_s, offset_s)),
            answered=when.day(pull.answered_s, offset_s),
        )
        for pull in snapshot.pulls[::-1]
    )


def _hour(report: Report, line: Calibration | None) -> Hour:
    texts = tuple(_people(report, line) if name == "people" else _shown(report, name) for name in FIGURES)
    nearby = intervals.of(report, NEARBY) if NEARBY in report.figures else None
    return Hour(at_s=report.bin_start_s, nearby=None if nearby is None else round(nearby.mean), texts=texts)


def _shown(report: Report, figure: str) -> str:
    found = intervals.of(report, figure) if figure in report.figures else None
    return "" if found is None else str(found)


def _grouped(device: str) -> str:
    """K7MP2R9CX4 as people read it from the label: K7MP-2R9C-X4."""
    return "-".join(device[i : i + 4] for i in range(0, len(device), 4))


def _people(report: Report, line: Calibration | None) -> str:
    """People by the counts by hand, with their range; empty without."""
    found = people(report, line) if line is not None and NEARBY in report.figures else None
    return f"{found.likely} ({found.low}-{found.high})" if found is not None else ""


def _always_here(snapshot: Snapshot) -> Words:
    """How many devices are subtracted, and who says so."""
    offset = round(snapshot.venue.thresholds.offset)
    if snapshot.baseline is not None and snapshot.venue.thresholds.offset == snapshot.baseline.devices:
        return say(
            "fact.always_here", count=offset, error=round(snapshot.baseline.error), nights=snapshot.baseline.nights
        )
    return say("fact.counted_empty", count=offset) if offset else say("ops.none")
