"""Captures through the daemon's own functions: the stand-in for the radio, and what a replay says at its end.

Every report goes one by one (count 1) through the same `Recogniser`, `Tagger` and `Counter` as the radio's bursts; only
scan responses stay apart from their adverts, which BlueZ merges for the radio. `docs/replay.md` is the manual.

The grace is the longest silence of a device that is still here, so it belongs to the receiver: a sniffer listens all
the time, a phone for seconds every few minutes. Where the operator does not declare it, a first pass over the files
measures the silences between hearings of one identifier and takes `MISSED_SCANS` of the typical one. Report gaps of
the whole capture were turned down: an empty hall looks like a receiver that does not listen.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_scanner.core.address_tags import Tagger
from edge_scanner.core.advertising import AdvertisingData, parse, whole
from edge_scanner.core.counts import device_class
from edge_scanner.core.counts.estimator import CONTINUOUS_GRACE_S, MINUTE_S, Counter
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Advert, Kind
from edge_scanner.device.replay import captures
from edge_scanner.protocols import Recogniser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from edge_scanner.core.model import BeaconProtocol, Tally

MISSED_SCANS = 2
"""A device that is silent for twice its usual silence is gone."""

_MOST = 0.9
"""Of the identifiers: near devices would hide how seldom the far ones are heard, the more so the more receivers."""

TURNS_GRACE_S = 120.0
"""A receiver that needs a longer grace listens in turns. Address tags, made anew each quarter hour, cannot bridge
those: the classes of such a capture mean nothing (0.2 to 19 where 74 devices were heard a scan) and are left out."""

MAX_GRACE_S = 900.0
"""The life of an identifier; a longer silence cannot be bridged by the identifier that fell silent."""

MAX_IDENTIFIERS = 1_000_000
"""Distinct identifiers of one replay, about 100 MB: a stadium for a day."""

_FORGET_S = 1800
"""No identifier lives longer, so an older hearing begins no silence."""


@dataclass(slots=True, kw_only=True)
class Intake:
    """What a reading took in so far: reports, those whose data is damaged, and per capture its first and last second.

    Between the two lies what was recorded: a step forward of the capture's clock moves the first one on.
    """

    reports: int = 0
    malformed: int = 0
    spans: dict[Path, tuple[float, float]] = field(default_factory=dict)
    losses: captures.Losses = field(default_factory=captures.Losses)

    def reach(self, path: Path, at_s: float) -> None:
        """A record of this capture, at its UTC seconds."""
        first_s, last_s = self.spans.get(path, (at_s, at_s))
        if at_s > last_s and not captures.follows(at_s, last_s):
            first_s += at_s - last_s
        self.spans[path] = first_s, max(last_s, at_s)

    @property
    def first_s(self) -> float:
        """UTC seconds of the earliest record."""
        return min((first_s for first_s, _ in self.spans.values()), default=0.0)

    @property
    def last_s(self) -> float:
        """UTC seconds of the latest record."""
        return max((last_s for _, last_s in self.spans.values()), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Devices of one figure of the tally (`gaen`, `bluezone_presence`, ...) in the UTC minute that begins then."""

    minute_s: int
    figure: str
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The end of a replay; the mappings have every protocol that was asked for.

    `in_turns`: the receiver did not listen all the time, so no classes of devices can be counted.
    """

    intake: Intake
    grace_s: float
    in_turns: bool
    sightings: dict[str, int]
    hints: dict[str, int]
    identifiers: dict[str, int]
    occupancy: tuple[Occupancy, ...]

    @property
    def seconds(self) -> float:
        """From the first record to the last, whatever the records hold."""
        return self.intake.last_s - self.intake.first_s

    def as_json(self) -> dict[str, object]:
        """The fixed interface of `edge-scanner replay --json`."""
        losses = self.intake.losses
        return {
            "adverts": self.intake.reports,
            "sightings": self.sightings,
            "hints": self.hints,
            "identifiers": self.identifiers,
            "malformed": self.intake.malformed + losses.unreadable,
            "seconds": round(self.seconds, 3),
            "grace_s": round(self.grace_s, 1),
            "skipped": {
                "crc_failed": losses.crc_failed,
                "incomplete": losses.incomplete,
                "clock_steps": losses.clock_steps,
                "stamps": losses.stamps_set_aside,
            },
            "occupancy": [
                {"minute": row.minute_s, "protocol": row.figure, "devices": row.devices} for row in self.occupancy
            ],
        }


def adverts(
    paths: Iterable[Path],
    protocols: Iterable[BeaconProtocol],
    intake: Intake,
    *,
    utc_offset_s: float = 0.0,
    on_record: Callable[[Path, int, float], None] | None = None,
) -> Iterator[Advert]:
    """The captures' adverts in order of time, as the radio hands them on; addresses end here.

    `utc_offset_s` is how far the captures' clock is ahead of UTC (Central European Summer Time: 7200). Raises
    BadDataError for a damaged file and OSError for one that cannot be read; of a damaged advert what stands before the
    damage counts.
    """
    tagger = Tagger(lambda: secrets.token_bytes(32))
    name_uuids = frozenset().union(*(protocol.name_uuids for protocol in protocols))

    def record(path: Path, position: int, at_s: float) -> None:
        intake.reach(path, at_s)
        if on_record is not None:
            on_record(path, position, at_s)

    for report in captures.merge(paths, intake.losses, record, utc_offset_s=utc_offset_s):
        intake.reports += 1
        intake.malformed += len(whole(report.data)) < len(report.data)
        yield Advert(
            data=_without_name(parse(report.data), name_uuids),
            address_tag=tagger.tag(report.address, report.at_s),
            address_type=report.address_type,
            first_s=report.at_s,
            last_s=report.at_s,
            rssi_count=0 if report.rssi is None else 1,
            rssi_sum=report.rssi or 0,
            rssi_max=report.rssi or 0,
        )


def _without_name(data: AdvertisingData, name_uuids: frozenset[str]) -> AdvertisingData:
    """The name goes unless a protocol's identifier may hide in it."""
    if data.local_name is None or not name_uuids.isdisjoint(data.service_uuids):
        return data
    return AdvertisingData(
        flags=data.flags,
        service_uuids=data.service_uuids,
        service_data=data.service_data,
        manufacturer_data=data.manufacturer_data,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What a first pass found: the grace it justifies, and whether it listens in turns."""

    grace_s: float
    in_turns: bool


class _Silences:
    """Each identifier's own silences: how long the one is in which a moment of its silent time lies."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, bytes], list[float]] = {}
        self._typical = [0] * (_FORGET_S + 1)
        self._swept_s = -math.inf

    def hear(self, key: tuple[int, bytes], first_s: float, last_s: float) -> None:
        if first_s - self._swept_s > _FORGET_S:
            self._sweep(first_s)
        known = self._open.setdefault(key, [first_s, 0.0, 0.0])
        silence_s = first_s - known[0]
        if 0 < silence_s <= _FORGET_S:
            known[1] += silence_s
            known[2] += silence_s**2
        known[0] = last_s

    def quantile(self, share: float) -> int:
        """The silence that so large a share of the identifiers stay below, whole seconds; 0 without any."""
        self._sweep(math.inf)
        wanted = share * sum(self._typical)
        passed = 0
        for second, count in enumerate(self._typical):
            passed += count
            if count and passed >= wanted:
                return second + 1
        return 0

    def _sweep(self, now_s: float) -> None:
        """Of identifiers that are over only the typical silence is kept: a long capture has very many."""
        self._swept_s = now_s
        over = [key for key, known in self._open.items() if now_s - known[0] > _FORGET_S]
        for key in over:
            _, silent_s, squares = self._open.pop(key)
            if silent_s:
                self._typical[int(squares / silent_s)] += 1


def measured(stream: Iterable[Advert], protocols: Sequence[BeaconProtocol]) -> Receiver:
    """What this receiver justifies: `MISSED_SCANS` times the silence that nine in ten identifiers stay below."""
    silences, recogniser = _Silences(), Recogniser(protocols)
    for advert in stream:
        for sighting in recogniser.recognise(advert):
            if sighting.kind is Kind.IDENTIFIED:
                silences.hear((sighting.protocol.tag, sighting.identifier), advert.first_s, advert.last_s)
    return Receiver(
        grace_s=min(MAX_GRACE_S, max(CONTINUOUS_GRACE_S, float(MISSED_SCANS * silences.quantile(_MOST)))),
        in_turns=MISSED_SCANS * silences.quantile(0.5) > TURNS_GRACE_S,
    )


class Replay:
    """Counts what passes by: `add` every advert in order of time, then `finish`."""

    def __init__(self, protocols: Sequence[BeaconProtocol], *, grace_s: float, in_turns: bool | None = None) -> None:
        """`in_turns` where it was measured; a declared grace says so itself."""
        self._recogniser = Recogniser(protocols)
        self._grace_s = grace_s
        self._in_turns = grace_s > TURNS_GRACE_S if in_turns is None else in_turns
        self._counter = Counter(protocols, grace_s=grace_s)
        # After so many silent minutes everything is decided and nobody is left.
        self._quiet_minutes = self._counter.lag_minutes + math.ceil(_FORGET_S / MINUTE_S)
        self._sightings = dict.fromkeys((protocol.name for protocol in protocols), 0)
        self._hints = dict(self._sightings)
        self._identifiers: dict[str, set[bytes]] = {protocol.name: set() for protocol in protocols}
        self._known = 0
        self._rows: list[Occupancy] = []
        self._minute_s: int | None = None

    def add(self, advert: Advert) -> None:
        """Take one advert; raises BadDataError when the captures hold more identifiers than can be told apart."""
        self._advance(int(advert.last_s // MINUTE_S) * MINUTE_S)
        sightings = self._recogniser.recognise(advert)
        self._counter.add(advert, sightings)
        for sighting in sightings:
            name = sighting.protocol.name
            if sighting.kind is Kind.HINT:
                self._hints[name] += 1
                continue
            self._sightings[name] += 1
            known = self._identifiers[name]
            if sighting.kind is Kind.IDENTIFIED and sighting.identifier not in known:
                if self._known == MAX_IDENTIFIERS:
                    raise BadDataError(
                        f"more than {MAX_IDENTIFIERS:,} identifiers", hint="replay fewer captures at a time"
                    )
                self._known += 1
                known.add(sighting.identifier)

    def finish(self, intake: Intake) -> Summary:
        """Decide the minutes still open; minutes in which nothing was heard for a long time have no occupancy rows."""
        if self._minute_s is not None:
            self._close(self._minute_s)
            self._keep(*self._counter.finish())
        ever = {row.figure for row in self._rows if row.devices}
        if self._in_turns:
            ever -= set(device_class.FIGURES)
        return Summary(
            intake=intake,
            grace_s=self._grace_s,
            in_turns=self._in_turns,
            sightings=self._sightings,
            hints=self._hints,
            identifiers={name: len(known) for name, known in self._identifiers.items()},
            occupancy=tuple(row for row in self._rows if row.figure in ever),
        )

    def _advance(self, minute_s: int) -> None:
        """Close the minutes before `minute_s`; of a long silence only the first part has anything to decide."""
        if self._minute_s is None:
            self._minute_s = minute_s
        end_s = min(minute_s, self._minute_s + self._quiet_minutes * MINUTE_S)
        for closing_s in range(self._minute_s, end_s, MINUTE_S):
            self._close(closing_s)
        if end_s < minute_s:
            self._counter.restart(minute_s)
        self._minute_s = max(self._minute_s, minute_s)

    def _close(self, minute_s: int) -> None:
        self._keep(self._counter.close(minute_s))

    def _keep(self, *tallies: Tally) -> None:
        self._rows += [
            Occupancy(minute_s=tally.minute_s, figure=figure, devices=devices)
            for tally in tallies
            if tally.listened_s
            for figure, devices in tally.figures.items()
        ]


def replay(
    paths: Sequence[Path],
    protocols: Sequence[BeaconProtocol],
    *,
    grace_s: float | None = None,
    utc_offset_s: float = 0.0,
    on_record: Callable[[Path, int, float], None] | None = None,
    also: Callable[[Advert], None] | None = None,
) -> Summary:
    """Replay captures as one receiver; `grace_s` None measures it; `also` gets every advert, e.g. to log it.

    Raises BadDataError for an unknown or damaged file, OSError for one that cannot be opened.
    """
    in_turns = None
    if grace_s is None:
        receiver = measured(adverts(paths, protocols, Intake(), on_record=on_record), protocols)
        grace_s, in_turns = receiver.grace_s, receiver.in_turns
    intake, counting = Intake(), Replay(protocols, grace_s=grace_s, in_turns=in_turns)
    for advert in adverts(paths, protocols, intake, utc_offset_s=utc_offset_s, on_record=on_record):
        counting.add(advert)
        if also is not None:
            also(advert)
    return counting.finish(intake)
