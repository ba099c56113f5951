"""How many devices are here, minute by minute, from identifiers that nobody may link.

The promise: a `Tally` says for the middle of each UTC minute (second 30) how many identifiers were on air, in cells
that do not overlap, and one device moves sixty successive tallies by `Counter.sensitivity` at most.

The estimator. An identifier is alive from its first to its last hearing, silences up to the declared grace bridged,
and for its *pad* before and after: the mean wait until a thing that speaks at its own gaps G is heard, E[G^2]/2E[G].
When a phone changes its identifier the old one's pad meets the new one's, so on average the change is counted once,
without knowing whose the two are. The future decides (did it speak again?), so a minute is decided `lag_minutes`
later. Turned down: distinct identifiers (a resident shows two in 15 minutes), "heard within the grace" (counts
every change twice for as long as the grace) and pads estimated over the whole crowd (one phone would then move the
others' numbers and break the sensitivity the noise is made for).

What shows no identifier is counted by address tag, unpadded, in the class of its payload (`device_class.py`): tags of
one device never overlap in time, so it counts once however often it changes its address. Tags change on the quarter
hour; the instants lie 30 s from it.

The tables keep no identifier, only its hash under the process's own key (Python's SipHash, drawn anew at each start):
who reads this memory learns none, and can at most ask whether one that he has already was here.

Sources: model and lifetimes, DP-3T/bt-measurements exp34; placeholders, Google's Exposure Notification risk FAQ.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from edge_scanner.core.counts import device_class
from edge_scanner.core.counts.admission import BoundedTable
from edge_scanner.core.model import Kind, PhoneClass, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_scanner.core.model import Advert, BeaconProtocol, Sighting

MINUTE_S = 60
INSTANT_S = 30
"""Mid-minute: farthest from the full quarter hours on which Bluezone identifiers and address tags change."""

CONTINUOUS_GRACE_S = 60.0
"""A radio that always listens: Bluezone pauses 15 s between its windows, so a minute of silence means gone."""

TAG_GRACE_S = 300.0
"""Silences of an address tag that are bridged, so that phones at the edge of reach count. Tags of one device never
overlap, so this adds no presence that was not there; it costs that a minute is decided five minutes later."""

PASSING_S = 120.0
"""Shorter dwells are passers-by: 28 of 157 iPhone identifiers seen whole in exp34 lasted less."""

ROTATING_LIFE_S = 1800.0
"""No rotating identifier lives longer (iPhones reach 24 minutes); what does is a placeholder or a beacon."""

SHORTEST_LIFE_S = 600
"""Identifiers live ten minutes at least (Exposure Notification v1.2; Bluezone with 144 a day)."""

QUARTER_S = 900
QUARTER_EDGE_S = 45.0
"""What begins or ends so near to a quarter hour may be the piece of a long stay that the change of identifiers or tags
cut off, so it is no passer-by; a Bluezone phone changes up to 45 s late (15 s on, 30 s until the next window)."""

CUT_OFF_S = 20.0
"""A shorter piece is a passer-by nevertheless: a flood of invented identifiers is made of such, and of a long stay it
takes at most one instant."""

MIXED_RSSI_DB = 6
MIXED_HEARINGS = 3
"""An identifier heard alternately from two addresses whose RSSI differs this much, this often, is a placeholder."""

PRESENCE_STALE_S = 30.0
"""An advert with count 0 says only that BlueZ has not yet forgotten the device, which takes it 30 s (radio.py)."""

MEMORY_S = 300.0
"""An identifier silent for so long is forgotten; if it speaks again it is new."""

LIVE_LIMIT = 20_000
"""Live identifiers, and as many address tags: ten times a full hall, about 10 MB."""

TURNED_OUT_S = 50.0
"""Who is silent for so long may be turned out of a full table: longer than Bluezone's pause and a lost window."""

PASSING = "passing"

_SUFFIX = {Kind.HINT: "_hint", Kind.PRESENCE: "_presence", Kind.IDENTIFIED: ""}


class _Track(msgspec.Struct, gc=False, eq=False):
    """One address tag: when it was heard, and at which undecided instants it was there (bit 0: the oldest)."""

    cell: int
    began: float
    last: float
    mask: int = 0
    next_instant: float = -math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class _Identifier(_Track, gc=False, eq=False):
    """One identifier: a track with its own silences and what tells a placeholder."""

    tag: bytes = b""
    previous_tag: bytes = b""
    rssi: int = 0
    mixed: int = 0
    elapsed: float = 0.0
    elapsed_squares: float = 0.0

    def pad_s(self, most: float) -> float:
        return min(self.elapsed_squares / (2 * self.elapsed), most)


_T = TypeVar("_T", bound=_Track)


class Counter:
    """The estimator; `grace_s` is the longest silence, in seconds, of a device that is still here.

    `figures` names the cells of every tally.
    """

    def __init__(self, protocols: Iterable[BeaconProtocol], *, grace_s: float = CONTINUOUS_GRACE_S) -> None:
        """`protocols` make the cells: one per kind of sighting each of them can give."""
        protocols = tuple(protocols)
        # The more a cell says, the later it stands: a tag's cell only ever moves up.
        of_kind = [
            (p.tag, kind, p.name + suffix) for kind, suffix in _SUFFIX.items() for p in protocols if kind in p.kinds
        ]
        classes = device_class.FIGURES
        self.figures: tuple[str, ...] = (*classes, *(name for _, _, name in of_kind), PASSING)
        self._cells = {(tag, kind): at for at, (tag, kind, _) in enumerate(of_kind, len(classes))}
        self._first_identified = len(classes) + sum(kind is not Kind.IDENTIFIED for _, kind, _ in of_kind)
        self._first_presence = len(classes) + sum(kind is Kind.HINT for _, kind, _ in of_kind)
        self._passing = len(self.figures) - 1
        self._identified_tag = len(self.figures)
        self._grace = grace_s
        self._tag_grace = max(grace_s, TAG_GRACE_S)
        self._pad_limit = grace_s / 2
        # Each identifier starts as if it had been followed for a quarter of the grace and found as silent as can be.
        self._prior = (grace_s / 4, grace_s / 4 * grace_s)
        self.lag_minutes = math.ceil(self._tag_grace / MINUTE_S)
        self._most_undecided = 2 * self.lag_minutes + 1
        self._identifiers: BoundedTable[int, _Identifier] = BoundedTable(LIVE_LIMIT)
        self._tags: BoundedTable[bytes, _Track] = BoundedTable(LIVE_LIMIT)
        self._identifiers_out: list[_Identifier] = []
        self._tags_out: list[_Track] = []
        self._listened: dict[int, float] = {}
        self._oldest: int | None = None

    @property
    def dropped_total(self) -> int:
        """Adverts that found the tables full, and what had to make room there (admission.py)."""
        return self._identifiers.refused + self._tags.refused

    @property
    def sensitivity(self) -> int:
        """The most device-minutes one device adds to sixty successive tallies: 66 when the radio always listens.

        Sixty instants, and at each of the six changes an hour can hold those that two pads cover together.
        """
        changes = 60 * MINUTE_S // SHORTEST_LIFE_S
        return 60 + changes * math.ceil(2 * self._pad_limit / MINUTE_S)

    def add(self, advert: Advert, sightings: Sequence[Sighting]) -> None:
        """Take one advertisement, recognised or not (`sightings` empty); times may overlap and come out of order.

        What is minutes away from the open minute was heard by another clock and is passed over.
        """
        minute = int(advert.last_s // MINUTE_S)
        if self._oldest is None:
            # The minute before may still be open: its last adverts come late, and it need not have had any.
            self._oldest = minute - self.lag_minutes - 1
        elif not 0 <= minute - self._oldest <= self._most_undecided:
            return
        cell = 0 if sightings else device_class.classify(advert.data)
        for sighting in sightings:
            if sighting.kind is Kind.IDENTIFIED:
                self._identified(advert, sighting)
                cell = self._identified_tag
            elif sighting.kind is Kind.HINT and sighting.phone_class is PhoneClass.ANDROID:
                # The second advertisement of a phone whose identifier is on air under another address.
                return
            else:
                cell = max(cell, self._cells.get((sighting.protocol.tag, sighting.kind), 0))
        self._tagged(advert, cell)

    def _tagged(self, advert: Advert, cell: int) -> None:
        track = self._tags.get(advert.address_tag)
        if track is None:
            if cell == self._identified_tag:
                return
            track = _Track(cell, advert.first_s, advert.first_s)
            tag = advert.address_tag
            if not self._tags.room(tag, track) and not self._tags.enter(
                tag, track, _turn_out(self._tags_out, advert.first_s)
            ):
                return
        elif cell > track.cell:
            track.cell = cell
        if advert.count:
            self._heard(track, advert.first_s, advert.last_s, self._tag_grace)
        else:
            seen = max(advert.last_s - PRESENCE_STALE_S, track.last)
            self._heard(track, seen, seen, self._tag_grace)

    def _identified(self, advert: Advert, sighting: Sighting) -> None:
        protocol = sighting.protocol
        key = hash((protocol.tag, sighting.identifier))
        known = self._identifiers.get(key)
        first, last = advert.first_s, advert.last_s
        if known is None:
            elapsed, elapsed_squares = self._prior
            known = _Identifier(
                self._cells[protocol.tag, Kind.IDENTIFIED],
                first,
                first,
                tag=advert.address_tag,
                elapsed=elapsed,
                elapsed_squares=elapsed_squares,
            )
            if not self._identifiers.room(key, known) and not self._identifiers.enter(
                key, known, _turn_out(self._identifiers_out, first)
            ):
                return
        elif advert.address_tag != known.tag:
            at_once = advert.address_tag == known.previous_tag or first < known.last
            if at_once and advert.rssi_count and known.rssi and abs(advert.rssi_max - known.rssi) >= MIXED_RSSI_DB:
                known.mixed += 1
            known.previous_tag, known.tag = known.tag, advert.address_tag
        known.rssi = advert.rssi_max if advert.rssi_count else known.rssi
        if not advert.count:
            first = last = max(last - PRESENCE_STALE_S, known.last)
        gap = first - known.last
        if 0 <= gap <= self._grace:
            length = last - first
            known.elapsed += gap + length
            known.elapsed_squares += gap * gap + length * length / (advert.count or 1)
        self._heard(known, first, last, self._grace)

    def _heard(self, track: _Track, first: float, last: float, grace: float) -> None:
        """Extend a track to [first, last]; sets the bits of the instants it now covers."""
        if first < track.began and track.began - last <= grace:
            self._cover(track, first, track.began)
            track.began = first
        if last >= track.next_instant:
            start = min(track.last, first) if first - track.last <= grace else first
            latest_instant = (last - INSTANT_S) // MINUTE_S * MINUTE_S + INSTANT_S
            if start <= latest_instant:
                self._cover(track, start, last)
            track.next_instant = latest_instant + MINUTE_S
        if last > track.last:  # noqa: PLR1730 (three times as fast as max() on the hot path)
            track.last = last

    def _cover(self, track: _Track, start: float, end: float) -> None:
        """Mark the undecided instants in [start, end]."""
        assert self._oldest is not None  # noqa: S101 (add sets it first)
        low = max(math.ceil((start - INSTANT_S) / MINUTE_S) - self._oldest, 0)
        high = math.floor((end - INSTANT_S) / MINUTE_S) - self._oldest
        if low <= high:
            track.mask |= (1 << high + 1) - (1 << low)

    def close(self, minute_s: int, *, listened_s: float = 60.0) -> Tally:
        """The minute that began at `minute_s` is over; the tally is that of `lag_minutes` earlier.

        `listened_s` is how long the radio listened in the minute that is over. The first tallies of a run lie before
        its beginning and say so: listened 0. Call it once a minute, in order; a minute out of order starts anew.
        """
        minute = minute_s // MINUTE_S
        wanted = minute - self.lag_minutes
        if self._oldest is None or not self._oldest <= wanted < self._oldest + self._most_undecided:
            self.restart(minute_s)
        for skipped in range(self._oldest or wanted, wanted):
            self._decide(skipped)
        self._listened[minute] = listened_s
        return self._decide(wanted)

    def finish(self) -> tuple[Tally, ...]:
        """The minutes still undecided, at the end of a run, with what is known; a second call gives none."""
        # Every minute since the last decided one, also those before the run: tracks keep one bit for each.
        known = sorted(self._listened)
        undecided = range(self._oldest or known[0], known[-1] + 1) if known else ()
        tallies = tuple(tally for tally in map(self._decide, undecided) if tally.minute_s // MINUTE_S in known)
        self._forget()
        return tallies

    def restart(self, minute_s: int) -> None:
        """The clock has leapt: forget everything, also the minutes not yet decided; the one of `minute_s` is open."""
        self._forget()
        self._oldest = minute_s // MINUTE_S - self.lag_minutes

    def _decide(self, minute: int) -> Tally:
        """Count the oldest undecided minute and forget what no later one needs."""
        instant = float(minute * MINUTE_S + INSTANT_S)
        counts = [0] * (self._identified_tag + 1)
        self._count_identifiers(instant, counts)
        self._count_tags(instant, counts)
        self._oldest = minute + 1
        return Tally(
            minute_s=minute * MINUTE_S,
            listened_s=self._listened.pop(minute, 0.0),
            figures=dict(zip(self.figures, counts, strict=False)),
        )

    def _count_identifiers(self, instant: float, counts: list[int]) -> None:
        """Add the identifiers alive to `counts`."""
        forgotten = []
        for key, known in chain(self._identifiers, ((None, known) for known in self._identifiers_out)):
            began, last = known.began, known.last
            alive = known.mask & 1
            known.mask >>= 1
            span = dwell = last - began
            if key is not None and (not alive or span < PASSING_S):
                pad = known.pad_s(self._pad_limit)
                alive = alive or began - pad <= instant < began or last <= instant < last + pad
                dwell = span + 2 * pad
            if alive and span <= ROTATING_LIFE_S and known.mixed < MIXED_HEARINGS:
                if dwell < PASSING_S and not _cut_off(began, last):
                    counts[self._passing] += 1
                else:
                    counts[known.cell] += 1
            if key is not None and not known.mask and last + max(self._grace, MEMORY_S) < instant:
                forgotten.append(key)
        for key in forgotten:
            self._identifiers.leave(key)
        self._identifiers_out = [known for known in self._identifiers_out if known.mask]

    def _count_tags(self, instant: float, counts: list[int]) -> None:
        forgotten = []
        for tag, track in chain(self._tags, ((None, track) for track in self._tags_out)):
            if track.mask & 1:
                if track.last - track.began >= PASSING_S or _cut_off(track.began, track.last):
                    counts[track.cell] += 1
                elif self._first_presence <= track.cell < self._first_identified:
                    counts[self._passing] += 1
            track.mask >>= 1
            if tag and not track.mask and track.last + self._tag_grace < instant:
                forgotten.append(tag)
        for tag in forgotten:
            self._tags.leave(tag)
        self._tags_out = [track for track in self._tags_out if track.mask]

    def _forget(self) -> None:
        self._identifiers.clear()
        self._identifiers_out.clear()
        self._tags.clear()
        self._tags_out.clear()
        self._listened.clear()
        self._oldest = None


def _turn_out(out: list[_T], now: float) -> Callable[[_T], bool]:
    """Asks a track to go that was silent for long enough; a stay goes to `out`, for the minutes not yet decided.

    Out there it has no pad behind it, so that one who speaks again after all is not counted twice.
    """

    def turn_out(track: _T) -> bool:
        if track.last >= now - TURNED_OUT_S:
            return False
        if track.last - track.began >= PASSING_S and len(out) < LIVE_LIMIT:
            out.append(track)
        return True

    return turn_out


def _cut_off(began: float, last: float) -> bool:
    """Whether a short track may be the end or the beginning of a longer stay."""
    from_began = (began + QUARTER_EDGE_S) % QUARTER_S
    from_last = (last + QUARTER_EDGE_S) % QUARTER_S
    return last - began >= CUT_OFF_S and min(from_began, from_last) < 2 * QUARTER_EDGE_S
