"""Encounters: all sightings of one identifier in one UTC minute become one record of the log.

Rules:

* One `Encounter` per protocol, payload and UTC minute; presence and hints are not logged.
* A burst that spans minutes counts in the minutes of its first and its last hearing, and in none between. Half of its
  hearings go to each, the odd one to the first; its RSSI speaks for both: nobody knows which hearing fell where.
* `rssi_mean` is the nearest dBm, a half going up; 127 stands for "no hearing had an RSSI", here and on the wire.
* `close` sorts by protocol and payload, so that the log does not tell who came first within a minute.
* `dropped` counts sightings that found no room or had to make some (admission.py: in a flood who is heard twice in a
  minute is logged before who is heard once, and a brief record makes room for who was logged in the last minute), and
  encounters of minutes that can no longer be written.

Specification: the record is the one of segment.py; 127 is from Core 5.4 Vol 4 Part E 7.7.65.2.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from edge_scanner.core.counts.admission import BoundedTable
from edge_scanner.core.log import frames
from edge_scanner.core.model import Encounter, Kind

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert, Sighting

MINUTE_S = 60
NO_RSSI = 127
MAX_ADVERTS = 255

# What the frames of a sealed minute hold.
MAX_PER_MINUTE = frames.MAX_FRAMES_A_MINUTE * frames.MAX_RECORDS

BRIEF_S = 10
"""A record that grew for no longer is brief: a flood repeats itself for a while, a phone goes on."""

# The minute being heard, the one being closed, and what a queue or a corrected clock may leave open beside them.
MAX_OPEN_MINUTES = 16


class Encounters:
    """Collects sightings until their minute is closed."""

    def __init__(self) -> None:
        self._minutes: dict[int, BoundedTable[tuple[int, bytes], _Record]] = {}
        self._dropped = 0
        # Hashes under the process's own key: when a minute is sealed, its identifiers are in memory no more.
        self._regulars: frozenset[int] = frozenset()

    def add(self, sighting: Sighting) -> None:
        """Take a sighting into its minutes; anything but an identified one is ignored."""
        if sighting.kind is not Kind.IDENTIFIED:
            return
        advert = sighting.advert
        key = (sighting.protocol.tag, sighting.payload)
        first_s = int(advert.first_s)
        last_s = int(advert.last_s)
        first_minute_s = first_s - first_s % MINUTE_S
        last_minute_s = last_s - last_s % MINUTE_S
        if first_minute_s == last_minute_s:
            self._add(first_minute_s, key, advert, (advert.count, first_s, last_s))
        else:
            later = advert.count // 2
            self._add(first_minute_s, key, advert, (advert.count - later, first_s, first_minute_s + MINUTE_S - 1))
            self._add(last_minute_s, key, advert, (later, last_minute_s, last_s))

    def close(self, minute_s: int) -> tuple[tuple[Encounter, ...], int]:
        """The encounters of the minute that began at `minute_s`, and how much was dropped since the last close.

        Minutes close in order: what an earlier one still holds is dropped, and so is what a clock that has since gone
        back placed further ahead than `MAX_OPEN_MINUTES`.
        """
        horizon_s = minute_s + MAX_OPEN_MINUTES * MINUTE_S
        for stray_s in [open_s for open_s in self._minutes if not minute_s <= open_s < horizon_s]:
            stray = self._minutes.pop(stray_s)
            self._dropped += len(stray) + stray.refused
        opened = self._minutes.pop(minute_s, None) or BoundedTable(0)
        dropped, self._dropped = self._dropped + opened.refused, 0
        self._regulars = frozenset(hash(key) for key, _ in opened)
        records = sorted(((key, record) for key, record in opened), key=itemgetter(0))
        return tuple(record.encounter(key, minute_s) for key, record in records), dropped

    def _add(self, minute_s: int, key: tuple[int, bytes], advert: Advert, share: tuple[int, int, int]) -> None:
        """Add a minute's share of a burst: hearings, first and last second (UTC)."""
        adverts, first_s, last_s = share
        minute = self._minutes.get(minute_s)
        if minute is None:
            if len(self._minutes) >= MAX_OPEN_MINUTES:
                self._dropped += 1
                return
            minute = self._minutes[minute_s] = BoundedTable(MAX_PER_MINUTE)
        record = minute.get(key)
        if record is None:
            record = _Record(first_s, first_s)
            if not minute.room(key, record):
                regular = hash(key) in self._regulars
                if not minute.enter(key, record, _brief if regular else _never, regular=regular):
                    return
        record.add(advert, adverts, first_s, last_s)


def _brief(record: _Record) -> bool:
    return record.last_s - record.first_s <= BRIEF_S


def _never(_record: _Record) -> bool:
    return False


class _Record(msgspec.Struct, gc=False, eq=False):
    """An encounter that is still growing."""

    first_s: int
    last_s: int
    adverts: int = 0
    rssi_count: int = 0
    rssi_sum: int = 0
    rssi_max: int = -NO_RSSI

    def add(self, advert: Advert, adverts: int, first_s: int, last_s: int) -> None:
        self.adverts += adverts
        if advert.rssi_count:
            self.rssi_count += advert.rssi_count
            self.rssi_sum += advert.rssi_sum
            if advert.rssi_max > self.rssi_max:  # noqa: PLR1730
                self.rssi_max = advert.rssi_max
        if first_s < self.first_s:  # noqa: PLR1730 (three times as fast as min() on the hot path)
            self.first_s = first_s
        if last_s > self.last_s:  # noqa: PLR1730
            self.last_s = last_s

    def encounter(self, key: tuple[int, bytes], minute_s: int) -> Encounter:
        heard = self.rssi_count > 0
        return Encounter(
            protocol_tag=key[0],
            payload=key[1],
            adverts=min(self.adverts, MAX_ADVERTS),
            rssi_mean=(2 * self.rssi_sum + self.rssi_count) // (2 * self.rssi_count) if heard else NO_RSSI,
            rssi_max=self.rssi_max if heard else NO_RSSI,
            first_second=self.first_s - minute_s,
            last_second=self.last_s - minute_s,
        )
