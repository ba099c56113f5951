"""Many packets of one device with one content become one burst: the radio's memory between two edges of a 5 s grid.

Promise: every packet is either in exactly one burst or counted in `dropped`, and memory is bounded whatever is on air.
A burst never straddles an edge of the UTC grid of `COALESCE_S`, hence never a UTC minute, so the log's per-minute
adverts, RSSI and first and last second come out as if every packet had been handed on by itself.

Decision: coalescing in the radio, not in the pipeline. A packet costs a comparison and four additions in place, no
object; decoding, tagging and counting then cost the same at 500 and at 8,000 packets a second. It beat a queue of
packets (an object each, and a bound that a busy hour reaches) and "newest wins" (adverts and mean RSSI would be wrong).

Pure: the time is an argument. Bluetooth addresses live here and in `radio.py` only; `to_advert` is where they end.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.model import AddressType, Advert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_scanner.core.address_tags import Tagger

COALESCE_S = 5.0
"""Length of a burst: divides 60, so that minutes stay whole. Nothing downstream is finer than a minute except the
first and last second, which a burst keeps; 1 s costs five times the decoding in a crowd (docs/radio.md, figures)."""

MAX_PENDING = 12_000
"""Bursts open at once: 10,000 live devices, the design point, and room for phones that alternate two contents."""

MAX_CONTENTS = 4
"""Contents per device within one grid cell: advertisement, scan response and two spare; the oldest goes on first."""

MAX_READY = 24_000
"""Bursts waiting for the pipeline: two full cells, i.e. a pipeline that stood still for 10 s."""

STRONGEST_DBM = 20
"""Core 5.4 Vol 4 Part E 7.7.65.2. D-Bus has room for far more, which no radio ever measured."""

MAX_DATA_BYTES = 1650
"""Of data in one advert (Core 5.4 Vol 6 Part B 4.4.2.9). What claims to hold more did not come over the air."""

_MOST_SIGNIFICANT_BITS = {
    "0": AddressType.NON_RESOLVABLE,
    "1": AddressType.NON_RESOLVABLE,
    "2": AddressType.NON_RESOLVABLE,
    "3": AddressType.NON_RESOLVABLE,
    "4": AddressType.RESOLVABLE,
    "5": AddressType.RESOLVABLE,
    "6": AddressType.RESOLVABLE,
    "7": AddressType.RESOLVABLE,
    "C": AddressType.STATIC,
    "D": AddressType.STATIC,
    "E": AddressType.STATIC,
    "F": AddressType.STATIC,
}
"""First hexadecimal digit of a random address (Core 5.4 Vol 6 Part B 1.3.2); 8..B is reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Since the radio was opened. Packets: `heard` (each in exactly one burst or in `dropped`), `refused` (the part of
    `dropped` that came from new devices during a flood), `ignored` (callbacks that are no packets), `unreadable`.

    `recoveries` counts by level, `passive_refused` fall-backs to active scanning, `reads` and
    `reads_failed` GATT reads.
    """

    heard: int
    dropped: int
    refused: int
    ignored: int
    unreadable: int
    recoveries: Mapping[str, int]
    passive_refused: int
    reads: int
    reads_failed: int


class Burst(msgspec.Struct, gc=False, eq=False):
    """Packets of one device with one content. Mutable on purpose: it is updated once per packet, in place.

    `count` packets were heard, all with an RSSI in dBm; a presence (see `presence`) has none.
    """

    address: str
    random: bool
    flags: int | None
    name: str | None
    uuids: Sequence[str]
    service_data: Mapping[str, bytes]
    manufacturer_data: Mapping[int, bytes]
    rssi_sum: int
    rssi_max: int
    first_s: float
    last_s: float
    count: int = 1
    older: Burst | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []

    def presence(self) -> Burst:
        """Turn it into a statement that the device is there although no packet was reported: `count` 0, no RSSI."""
        self.count = self.rssi_sum = self.rssi_max = 0
        return self


class Bursts:
    """The pending bursts of the current grid cell and the sealed ones the pipeline has not taken yet.

    `heard` and `dropped` count packets since the beginning; `refused` is the part of `dropped` that came from devices
    not seen in this cell while `MAX_PENDING` bursts were open (a flood of new addresses: known devices go on counting).
    """

    def __init__(self) -> None:
        self.heard = 0
        self.dropped = 0
        self.refused = 0
        self._start_s = self._end_s = 0.0
        self._open = 0
        self._pending: dict[str, Burst] = {}
        self._ready: deque[Burst] = deque()

    def again(  # noqa: PLR0917 (keyword arguments cost a tenth of this call, once per packet)
        self,
        address: str,
        manufacturer_data: Mapping[int, bytes],
        service_data: Mapping[str, bytes],
        uuids: Sequence[str],
        rssi: int,
        now_s: float,
    ) -> bool:
        """Add a packet to the burst that has its content; False when there is none and `begin` must be called.

        This is the radio's hot path: one call per packet.
        """
        if not self._start_s <= now_s < self._end_s:
            self.cut(now_s)
        burst = self._pending.get(address)
        while burst is not None:
            if (
                burst.manufacturer_data == manufacturer_data
                and burst.service_data == service_data
                and burst.uuids == uuids
            ):
                self.heard += 1
                burst.count += 1
                burst.rssi_sum += rssi
                burst.last_s = now_s
                if rssi > burst.rssi_max or burst.count == 1:
                    burst.rssi_max = rssi
                return True
            burst = burst.older
        return False

    def begin(self, burst: Burst) -> None:
        """Open a burst for a content that `again` did not know; drops and counts it when too many are open."""
        if not self._start_s <= burst.first_s < self._end_s:
            self.cut(burst.first_s)
        self.heard += burst.count
        newest = self._pending.get(burst.address)
        if newest is not None and self._contents(newest) >= MAX_CONTENTS:
            self._seal_oldest(newest)
        if self._open >= MAX_PENDING:
            self.dropped += burst.count
            self.refused += burst.count if newest is None else 0
            return
        burst.older = newest
        self._pending[burst.address] = burst
        self._open += 1

    def drop(self) -> None:
        """A packet was heard that nobody can date."""
        self.heard += 1
        self.dropped += 1

    def pending(self, address: str) -> bool:
        """Whether this device was heard in the current cell."""
        return address in self._pending

    def cut(self, now_s: float) -> None:
        """Seal every pending burst, oldest device first, and move to the grid cell of `now_s`, whichever way time went.

        What no longer fits into `MAX_READY` is dropped and counted.
        """
        for newest in self._pending.values():
            burst: Burst | None = newest
            while burst is not None:
                older, burst.older = burst.older, None
                self._seal(burst)
                burst = older
        self._pending.clear()
        self._open = 0
        self._start_s = now_s // COALESCE_S * COALESCE_S
        self._end_s = self._start_s + COALESCE_S

    def due_in(self, now_s: float) -> float:
        """Seconds until the current cell ends, 0 when it has."""
        return max(0.0, self._end_s - now_s) if self._start_s <= now_s else 0.0

    def take(self) -> Burst | None:
        """The oldest sealed burst, or None."""
        return self._ready.popleft() if self._ready else None

    def _seal(self, burst: Burst) -> None:
        if len(self._ready) < MAX_READY:
            self._ready.append(burst)
        else:
            self.dropped += burst.count

    @staticmethod
    def _contents(burst: Burst | None) -> int:
        contents = 0
        while burst is not None:
            contents, burst = contents + 1, burst.older
        return contents

    def _seal_oldest(self, burst: Burst) -> None:
        newer, oldest = burst, burst.older
        assert oldest is not None  # noqa: S101 (the caller counted MAX_CONTENTS, which is more than one)
        while oldest.older is not None:
            newer, oldest = oldest, oldest.older
        newer.older = None
        self._open -= 1
        self._seal(oldest)


def check_size(service_data: Mapping[str, bytes], manufacturer_data: Mapping[int, bytes], uuids: Sequence[str]) -> None:
    """Raises ValueError for data that no advert can hold, TypeError for values that are no bytes."""
    size = 2 * (len(uuids) + len(service_data) + len(manufacturer_data))
    for value in service_data.values():
        if type(value) is not bytes:
            raise TypeError
        size += len(value)
    for value in manufacturer_data.values():
        if type(value) is not bytes:
            raise TypeError
        size += len(value)
    if size > MAX_DATA_BYTES:
        raise ValueError(size)


def clear(properties: Mapping[str, Any]) -> None:
    """Empty the lists and tables of a device that claims more than the air can hold: bleak would keep them for it.

    `properties` are BlueZ's as bleak holds them; whatever is there instead is passed over.
    """
    with contextlib.suppress(Exception):
        for kept in properties.values():
            if isinstance(kept, list | dict):
                kept.clear()


def to_advert(burst: Burst, tagger: Tagger, name_uuids: frozenset[str]) -> Advert:
    """The `Advert` of a sealed burst: the address becomes a tag, and the name goes unless a UUID in `name_uuids` says
    that an identifier hides in it.
    """
    keep_name = burst.name is not None and not name_uuids.isdisjoint(burst.uuids)
    return Advert(
        data=AdvertisingData(
            flags=burst.flags,
            service_uuids=tuple(burst.uuids),
            service_data=burst.service_data,
            manufacturer_data=burst.manufacturer_data,
            local_name=burst.name if keep_name else None,
        ),
        address_tag=tagger.tag(burst.address, burst.last_s),
        address_type=_MOST_SIGNIFICANT_BITS.get(burst.address[:1].upper(), AddressType.UNKNOWN)
        if burst.random
        else AddressType.PUBLIC,
        first_s=burst.first_s,
        last_s=burst.last_s,
        count=burst.count,
        rssi_count=burst.count,
        rssi_sum=burst.rssi_sum,
        rssi_max=burst.rssi_max,
    )
