"""What the operator sees of all gates of a site: each gate's word and figures, and what they add up to, hour by hour.

Everything is a released figure; a gate without one in an hour is missing there, and the total of that hour says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.counts import intervals, site_total
from edge_scanner.core.counts.occupancy import DAY_S, Level
from edge_scanner.core.counts.site_total import Part
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.health import Light
from edge_scanner.device.kiosk import api, when
from edge_scanner.device.kiosk.operator import desk_theme
from edge_scanner.device.kiosk.other_boxes import Heard, Problem
from edge_scanner.device.kiosk.translations import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_scanner.core.counts.intervals import Present
    from edge_scanner.device.gates import Gate
    from edge_scanner.device.kiosk.api import Figure
    from edge_scanner.device.kiosk.watch import View

    Bin = tuple[int, int]
    """Start and length, seconds."""

MOST_ROWS = 96
"""A day of quarters of an hour."""
_AHEAD_S = 3600
"""So far another box's clock may be ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """A gate: its name, whether it is known to be it, its word, its lights, and why its figures are missing."""

    name: Words
    proof: Words
    level: str
    word: Words
    lights: Words
    problem: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bin: a figure for each gate, None where it is missing, and their total of `counted` gates."""

    day: str
    span: str
    gates: tuple[Present | None, ...]
    total: Present | None
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatesDocument:
    """All that `/ops/gates` shows; `whole` is whether the total of the summary has every gate."""

    theme: str
    site: Words
    made: Words
    summary: Words
    missing: Words
    whole: bool
    rule: Words
    gates: tuple[GateRow, ...]
    rows: tuple[Row, ...]


def gates_document(view: View, name: str, gates: Sequence[Gate], heard: Sequence[Heard], rule: str) -> GatesDocument:
    """The page of this box, called `name`, and of the others with what they said; `rule` is one of site_total.py."""
    judged = _judged((own(view), *heard), simulated=view.snapshot.venue.simulated if view.snapshot else None)
    names = (Words(vi=name) if name else say("gates.this"), *(Words(vi=gate.name) for gate in gates))
    proofs = ("this", *("proven" if gate.fingerprint else "unproven" for gate in gates))
    rows = _rows(judged, rule, view)
    newest = max(rows, key=lambda row: (row.counted, row.gates[0] is not None), default=None)
    absent = [one for one, figure in zip(names, newest.gates, strict=True) if figure is None] if newest else []
    snapshot = view.snapshot
    return GatesDocument(
        theme=desk_theme(view),
        site=Words(vi=snapshot.venue.name_vi, en=snapshot.venue.name_en) if snapshot else Words(vi="Edge Scanner"),
        made=say("figures.made", moment=when.moment(view.now_s, view.utc_offset_s)),
        summary=_summary(newest, len(judged)),
        missing=say("gates.missing", names=_listed(absent)) if absent else Words(),
        whole=newest is not None and not absent,
        rule=say(f"gates.rule.{rule.replace(' ', '_')}"),
        gates=tuple(_gate(*one) for one in zip(names, proofs, judged, strict=True)),
        rows=rows,
    )


def own(view: View) -> Heard:
    """What this box would say itself."""
    return Heard(level=api.level(view), health=api.health(view), figures=tuple(api.figures(view)))


def _judged(heard: Iterable[Heard], *, simulated: bool | None) -> list[Heard]:
    """Without the figures that cannot be added: of a box heard already, with an unsure clock, of a simulation."""
    known: set[str] = set()
    judged = []
    for one in heard:
        problem = one.problem
        if one.level is not None and one.health is not None and problem is None:
            if one.health.written is None:
                problem = Problem.DOWN
            elif one.health.device and one.health.device in known:
                problem = Problem.TWICE
            elif not one.level.clock_sure:
                problem = Problem.CLOCK
            elif simulated is not None and one.level.simulated is not simulated:
                problem = Problem.SIMULATED
            known.add(one.health.device)
        judged.append(one if problem is None else Heard(level=one.level, health=one.health, problem=problem))
    return judged


def _rows(judged: Sequence[Heard], rule: str, view: View) -> tuple[Row, ...]:
    """The bins of the last day, the newest first.

    Where they are too many, this box's go before others, and those of many gates before those of few: bins that one
    gate invents put nobody else's off the page.
    """
    bins = [_by_bin(one.figures) for one in judged]
    weeks = [_week(one.figures) for one in judged]
    begin_s, end_s = view.now_s - DAY_S, view.now_s + _AHEAD_S
    held = Counter(key for each in bins for key in each if begin_s < key[0] < end_s)
    kept = sorted(held, key=lambda key: (key in bins[0], held[key], key), reverse=True)[:MOST_ROWS]
    rows = []
    for start_s, bin_s in sorted(kept, reverse=True):
        parts = [_part(each.get((start_s, bin_s)), week) for each, week in zip(bins, weeks, strict=True)]
        present = [part for part in parts if part is not None]
        first, last = (when.local(at_s, view.utc_offset_s) for at_s in (start_s, start_s + bin_s))
        rows.append(
            Row(
                day=f"{first:%d/%m}",
                span=f"{first:%H:%M}-{last:%H:%M}",
                gates=tuple(None if part is None else intervals.around(part.mean, part.half) for part in parts),
                total=site_total.total(present, rule),
                counted=len(present),
            )
        )
    return tuple(rows)


def _by_bin(figures: Iterable[Figure]) -> Mapping[Bin, Figure]:
    return {(figure.start, figure.bin_s): figure for figure in figures}


def _week(figures: Iterable[Figure]) -> float:
    """The mean over all bins, by their minutes."""
    known = [(figure.released, figure.minutes) for figure in figures if figure.released is not None]
    minutes = sum(minutes for _, minutes in known)
    return sum(released * its for released, its in known) / minutes if minutes else 0.0


def _part(figure: Figure | None, week: float) -> Part | None:
    if figure is None or figure.released is None or figure.error is None:
        return None
    return Part(mean=figure.released, half=figure.error, week=week)


def _gate(name: Words, proof: str, heard: Heard) -> GateRow:
    level = heard.level.level if heard.level is not None else Level.UNKNOWN
    return GateRow(
        name=name,
        proof=say(f"gates.proof.{proof}"),
        level=level,
        word=say("says.unknown") if level is Level.UNKNOWN else say(f"level.{level}"),
        lights=_lights(heard),
        problem=say(f"gates.problem.{heard.problem}") if heard.problem else Words(),
    )


def _lights(heard: Heard) -> Words:
    """How many lights need a look, by the box's own word."""
    if heard.health is None or not heard.health.lights:
        return say("says.unknown")
    bad = sum(one.light in (Light.WARN, Light.FAIL) for one in heard.health.lights.values())
    return say("summary.todo", count=bad) if bad else say("says.ok")


def _summary(newest: Row | None, gates: int) -> Words:
    if newest is None or newest.total is None:
        return say("gates.none")
    told = newest.total
    key = "gates.summary" if round(told.mean) else "gates.summary.few"
    return say(
        key,
        span=newest.span,
        date=newest.day,
        phones=round(told.mean),
        low=round(told.low),
        high=round(told.high),
        counted=newest.counted,
        gates=gates,
    )


def _listed(names: Sequence[Words]) -> Words:
    """Names behind one another; a name is the same in both languages, but for this box's."""
    return Words(vi=", ".join(one.vi for one in names), en=", ".join(one.en or one.vi for one in names))
