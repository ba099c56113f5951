"""Crowds whose true size is known: phones that come, stay and go, and what a lossy radio hears of them.

Independent of `device/simulation/crowd.py` on purpose: the estimator is judged by a model its neighbours did not write.
Phones are on air as the real ones were: Bluezone Androids 15 s on, 15 s off (alarms make it a little longer), the
identifier of the quarter hour chosen when a window starts, a new address each window; Exposure Notification all the
time, identifier and address changed together at random; Bluezone iPhones with a UUID only, address changed about every
quarter hour.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from edge_scanner.core.advertising import AdvertisingData, uuid16
from edge_scanner.core.model import AddressType, Advert
from edge_scanner.protocols.bluezone import ANDROID_SERVICE, IPHONE_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_S = 1_700_000_100 - 1_700_000_100 % 3600
CELL_S = 5.0
PRESENCE_S = 30.0
FORGOTTEN_S = 30.0
"""How often a passive radio tells who is still known to BlueZ, and how long BlueZ knows a device that is silent."""

GAEN = uuid16(0xFD6F)
KINDS = ("bluezone_android", "bluezone_iphone", "gaen_android", "gaen_iphone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`phones` on average, staying `stay_s` on average (half to one and a half of it); the radio listens `on_s` of
    every `cycle_s` and loses the share `loss` of packets. `passers`: people a minute who walk by in 20 to 90 s.
    `passive`: BlueZ tells of a device when it appears and, every 30 s, that it has not yet forgotten it.
    """

    phones: int
    stay_s: float
    kinds: tuple[str, ...] = KINDS
    loss: float = 0.5
    hours: float = 2.0
    on_s: float = 5.0
    cycle_s: float = 5.0
    passers: float = 0.0
    passive: bool = False
    seed: int = 1


class Phone:
    """One phone; `since` and `until` UTC seconds."""

    def __init__(self, rng: random.Random, kind: str, since: float, until: float, *, staying: bool = True) -> None:
        self.kind = kind
        self.since = since
        self.until = until
        self.staying = staying
        self._rng = rng
        self._address = rng.randbytes(6)
        self._window = -1
        self._slot = -1
        self._phase = rng.uniform(0, 30)
        self._period = rng.uniform(30, 31)
        self._next = 0.0
        self._data = self._content(rng.randbytes(20))
        self._secret = rng.randbytes(8)
        self.rssi = rng.randint(-90, -60)

    def _lifetime(self) -> float:
        if self.kind == "gaen_android":
            return self._rng.uniform(10.4, 15.9) * 60
        if self.kind == "gaen_iphone":
            return self._rng.uniform(16, 24) * 60
        return self._rng.uniform(13, 16) * 60

    def _content(self, payload: bytes) -> AdvertisingData:
        if self.kind == "bluezone_android":
            return AdvertisingData(
                service_uuids=(ANDROID_SERVICE,), service_data={}, manufacturer_data={0x22B5: payload[:12]}
            )
        if self.kind == "bluezone_iphone":
            return AdvertisingData(flags=0x1A, service_uuids=(IPHONE_SERVICE,), service_data={}, manufacturer_data={})
        flags = 0x1A if self.kind == "gaen_iphone" else None
        return AdvertisingData(
            flags=flags, service_uuids=(GAEN,), service_data={GAEN: payload[:20]}, manufacturer_data={}
        )

    def on_air(self, at_s: float) -> tuple[float, float, float]:
        """(begin, end, packets a second) on air in the cell from `at_s`; changes identifier and address when due."""
        begin, end = max(at_s, self.since), min(at_s + CELL_S, self.until)
        if self.kind == "bluezone_android":
            window = int((at_s - START_S - self._phase) // self._period)
            opened = START_S + window * self._period + self._phase
            if window != self._window:
                self._window = window
                self._address = self._rng.randbytes(6)
                slot = int(opened // 900)
                if slot != self._slot:
                    self._slot = slot
                    self._data = self._content(self._rng.randbytes(20))
            return max(begin, opened), min(end, opened + 15), 10.0
        if at_s >= self._next:
            self._next = at_s + (self._lifetime() if self._next else self._rng.uniform(0, self._lifetime()))
            self._address = self._rng.randbytes(6)
            self._data = self._content(self._rng.randbytes(20))
        return begin, end, 4.0

    def tag(self, at_s: float) -> bytes:
        """The address tag the radio would give: another one every quarter hour."""
        return (self._address + int(at_s // 900).to_bytes(4, "big"))[-8:]

    @property
    def address(self) -> bytes:
        """The address, for the baseline that counts addresses."""
        return self._address

    @property
    def data(self) -> AdvertisingData:
        """What it says now."""
        return self._data


def population(scene: Scene) -> list[Phone]:
    """Everybody who comes by: a full house at the start, then as many arrivals as departures, by chance."""
    rng = random.Random(scene.seed)
    end_s = START_S + scene.hours * 3600
    people = []

    def stay() -> float:
        return scene.stay_s * rng.uniform(0.5, 1.5)

    rate = scene.phones / scene.stay_s
    at_s = START_S - 2 * scene.stay_s
    while at_s < end_s:
        at_s += rng.expovariate(rate)
        people.append(Phone(rng, rng.choice(scene.kinds), at_s, at_s + stay()))
    at_s = float(START_S)
    while scene.passers and at_s < end_s:
        at_s += rng.expovariate(scene.passers / 60)
        people.append(Phone(rng, rng.choice(scene.kinds), at_s, at_s + rng.uniform(20, 90), staying=False))
    return sorted((phone for phone in people if phone.until > START_S), key=lambda phone: phone.since)


def truth(people: Sequence[Phone], minutes: Sequence[int], *, kinds: tuple[str, ...] = KINDS) -> dict[int, float]:
    """Minute (UTC seconds of its start) -> phones that stay, averaged over the minute."""
    present = dict.fromkeys(minutes, 0.0)
    for phone in people:
        if not phone.staying or phone.kind not in kinds:
            continue
        first = int(max(phone.since, minutes[0]) // 60) * 60
        for minute in range(first, int(min(phone.until, minutes[-1] + 59)) + 1, 60):
            if minute in present:
                present[minute] += max(min(phone.until, minute + 60) - max(phone.since, minute), 0) / 60
    return present


def hear(scene: Scene, people: Sequence[Phone]) -> Iterator[tuple[Phone, Advert]]:
    """What the radio hands on, cell by cell, in order of time."""
    rng = random.Random(scene.seed + 1)
    waiting = list(reversed(people))
    here: list[Phone] = []
    at_s = float(START_S)
    while at_s < START_S + scene.hours * 3600:
        while waiting and waiting[-1].since < at_s + CELL_S:
            here.append(waiting.pop())
        here = [phone for phone in here if phone.until > at_s]
        if (at_s - START_S) % scene.cycle_s < scene.on_s:
            for phone in here:
                begin, end, rate = phone.on_air(at_s)
                packets = (end - begin) * rate
                if packets <= 0:
                    continue
                heard = packets * (1 - scene.loss)
                count = max(round(rng.gauss(heard, (heard * scene.loss) ** 0.5)), 0)
                if count:
                    yield phone, _advert(rng, phone, begin, end, count)
        at_s += CELL_S


def hear_passively(scene: Scene, people: Sequence[Phone]) -> Iterator[tuple[Phone, Advert]]:
    """The same as a passive radio tells it: new devices at once, those still remembered every 30 s, without RSSI."""
    remembered: dict[bytes, tuple[Phone, Advert]] = {}
    next_s = START_S + PRESENCE_S
    for phone, advert in hear(scene, people):
        while advert.first_s >= next_s:
            remembered = {key: known for key, known in remembered.items() if known[1].last_s > next_s - FORGOTTEN_S}
            for known, last in remembered.values():
                tag = known.tag(next_s) if last.data is known.data else last.address_tag
                yield (
                    known,
                    replace(
                        last,
                        address_tag=tag,
                        first_s=next_s,
                        last_s=next_s,
                        count=0,
                        rssi_count=0,
                        rssi_sum=0,
                        rssi_max=127,
                    ),
                )
            next_s += PRESENCE_S
        if phone.address not in remembered:
            yield phone, replace(advert, last_s=advert.first_s, count=1, rssi_count=1, rssi_sum=advert.rssi_max)
        remembered[phone.address] = phone, advert


def _advert(rng: random.Random, phone: Phone, begin: float, end: float, count: int) -> Advert:
    first = begin + (end - begin) * (1 - rng.random() ** (1 / count))
    last = first + (end - first) * rng.random() ** (1 / (count - 1)) if count > 1 else first
    rssi = phone.rssi + rng.randint(-4, 4)
    return Advert(
        data=phone.data,
        address_tag=phone.tag(begin),
        address_type=AddressType.RESOLVABLE,
        first_s=first,
        last_s=last,
        count=count,
        rssi_count=count,
        rssi_sum=rssi * count,
        rssi_max=rssi,
    )
