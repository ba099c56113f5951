"""A simulated crowd: phones arrive, stay, rotate and leave, and a lossy radio hears some of it. The third source.

What comes out is what the radio gives: `Advert`s with tags for addresses, coalesced as `bursts.py` does. The same plan,
seed and start give the same crowd and the same hearings; only the tags' keys are fresh, as on a box. The truth stands
beside it: who is present when, what a phone shows, and the case record an authority would receive for it.
`phones.py` is what devices send, `hearing.py` what is heard of it.
"""

from __future__ import annotations

import itertools
import math
import random
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_scanner.core.address_tags import Tagger
from edge_scanner.core.model import DayKey
from edge_scanner.device.radio.bursts import COALESCE_S
from edge_scanner.device.replay.source import open_stand_in
from edge_scanner.device.simulation.phones import DAY_S, Device, Kind
from edge_scanner.device.simulation.reception import Ear
from edge_scanner.protocols import bluezone, gaen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from edge_scanner.core.model import Advert
    from edge_scanner.device.replay.source import StandInRadio
    from edge_scanner.device.simulation.phones import OnAir
    from edge_scanner.device.system.clock import Clock

_MIX = {
    Kind.BLUEZONE_ANDROID: 0.35,
    Kind.BLUEZONE_IPHONE: 0.15,
    Kind.GAEN_ANDROID: 0.15,
    Kind.GAEN_IPHONE: 0.15,
    Kind.HEADPHONES: 0.12,
    Kind.LAPTOP: 0.08,
}

HOUR_S = 3600
# fmt: off
_BUS_STATION = (
    0.06, 0.04, 0.03, 0.04, 0.12, 0.32, 0.62, 0.86, 0.90, 0.74, 0.58, 0.55,
    0.60, 0.54, 0.50, 0.58, 0.80, 1.00, 0.94, 0.72, 0.52, 0.36, 0.22, 0.12,
)
# fmt: on
"""The share of the busiest hour at each local hour: commuters in the morning and in the evening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A phone whose key, stay (UTC seconds) and mean RSSI (dBm) are known beforehand.

    `key` is Bluezone's day key (32 bytes) or the exposure key (16) of the UTC day on which it arrives.
    """

    name: str
    kind: Kind = Kind.BLUEZONE_ANDROID
    key: bytes = field(repr=False)
    arrive_s: float
    leave_s: float
    rssi: int = -60


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdPlan:
    """About `devices` present at any time, from the start on, for `duration_s`.

    `stays` are mean seconds and weights; `mix` the kinds' weights; `loss` the range of each device's lost share of
    packets; `thin` the share of packets worked with at all. `coalesce_s` is 5 at most and divides 60; 0 gives every
    packet by itself.
    With `swing` 0..1 the rate of arrivals waxes and wanes by that share within `swing_s`. `hours` are 24 shares of
    `devices`, one for each UTC hour's beginning and straight lines between; empty is the same all day.
    """

    devices: float = 60.0
    duration_s: float = float(DAY_S)
    stays: tuple[tuple[float, float], ...] = ((300.0, 0.3), (2100.0, 0.5), (7200.0, 0.2))
    mix: Mapping[Kind, float] = field(default_factory=lambda: dict(_MIX))
    loss: tuple[float, float] = (0.3, 0.8)
    thin: float = 1.0
    coalesce_s: float = COALESCE_S
    swing: float = 0.0
    swing_s: float = 7200.0
    hours: tuple[float, ...] = ()
    planted: tuple[Planted, ...] = ()

    def share(self, at_s: float) -> float:
        """The share of `devices` that `hours` give at a moment, UTC seconds."""
        if not self.hours:
            return 1.0
        hour, part = divmod(at_s / HOUR_S % len(self.hours), 1)
        before, after = self.hours[int(hour)], self.hours[(int(hour) + 1) % len(self.hours)]
        return before + (after - before) * part


@dataclass(slots=True, kw_only=True)
class _Heard:
    """A device and how the radio hears it."""

    device: Device
    rssi: float
    share: float


class Crowd:
    """One run of a plan: the hearings (`adverts`) and the truth about them."""

    def __init__(
        self,
        plan: CrowdPlan,
        *,
        seed: int,
        start_s: float,
        new_key: Callable[[], bytes] = lambda: secrets.token_bytes(32),
    ) -> None:
        """`start_s` is UTC seconds; `new_key` makes the keys of the address tags."""
        self.plan = plan
        self.start_s = start_s
        self.end_s = start_s + plan.duration_s
        self._rng = random.Random(seed)  # noqa: S311 (a simulation that must repeat)
        self._ear = Ear(self._rng, Tagger(new_key), packets=not plan.coalesce_s)
        planted = [self._planted(one) for one in plan.planted]
        self._names = {one.name: heard.device for one, heard in zip(plan.planted, planted, strict=True)}
        self._heard = sorted([*planted, *self._arrivals()], key=lambda heard: heard.device.arrive_s)

    def adverts(self) -> Iterator[Advert]:
        """The hearings in order of `last_s`, cell after cell of the coalescing grid, until the plan's end; once."""
        cell_s = self.plan.coalesce_s or COALESCE_S
        moment = self.start_s // cell_s * cell_s
        present: list[_Heard] = []
        arriving = iter(self._heard)
        following = next(arriving, None)
        while moment < self.end_s:
            end = moment + cell_s
            while following is not None and following.device.arrive_s < end:
                present.append(following)
                following = next(arriving, None)
            present = [heard for heard in present if heard.device.leave_s > moment]
            cell: list[Advert] = []
            for heard in present:
                device = heard.device
                begin, until = max(moment, device.arrive_s, self.start_s), min(end, device.leave_s, self.end_s)
                for transmitter in device.transmitters:
                    cell += self._ear.hear(transmitter, begin, until, rssi=heard.rssi, share=heard.share)
            cell.sort(key=_last)
            yield from cell
            moment = end

    def present(self, at_s: float) -> dict[Kind, int]:
        """The truth: devices in the hall at a moment, by kind."""
        counts = dict.fromkeys(Kind, 0)
        for heard in self._heard:
            if heard.device.arrive_s <= at_s < heard.device.leave_s:
                counts[heard.device.kind] += 1
        return counts

    def devices(self) -> tuple[Device, ...]:
        """Everyone who comes, in order of arrival."""
        return tuple(heard.device for heard in self._heard)

    def device(self, name: str) -> Device:
        """A planted phone; raises KeyError for a name that was not planted."""
        return self._names[name]

    def on_air(self, name: str) -> tuple[OnAir, ...]:
        """Everything a planted phone shows: the canaries of a leak test."""
        return tuple(self._names[name].on_air())

    def day_key(self, name: str) -> DayKey:
        """A planted phone's key as a case's, from the start of its day (Exposure Notification: to its end)."""
        device = self._names[name]
        if device.kind in (Kind.GAEN_ANDROID, Kind.GAEN_IPHONE):
            return DayKey(key=device.key, start_s=device.day_s, end_s=device.day_s + DAY_S)
        return DayKey(key=device.key, start_s=device.day_s, end_s=int(device.leave_s))

    def case_records(self, *names: str) -> dict[str, list[dict[str, str | int]]]:
        """Planted Bluezone phones as the case document `{"data": [...]}` that the app's push carries."""
        records: list[dict[str, str | int]] = []
        for name in names:
            key = self.day_key(name)
            records.append(
                {"daily_key": key.key.hex().upper(), "time_start": key.start_s, "max": 96, "time_end": key.end_s}
            )
        return {"data": records}

    def _planted(self, one: Planted) -> _Heard:
        day_s = int(one.arrive_s // DAY_S) * DAY_S
        device = Device(
            one.kind,
            self._rng.randbytes(32),
            day_s=day_s,
            key=one.key,
            arrive_s=one.arrive_s,
            leave_s=one.leave_s,
        )
        return _Heard(device=device, rssi=one.rssi, share=self._share())

    def _arrivals(self) -> Iterator[_Heard]:
        for arrive_s, leave_s in visits(self.plan, self._rng, self.start_s):
            yield self._comer(arrive_s, leave_s)

    def _comer(self, arrive_s: float, leave_s: float) -> _Heard:
        rng = self._rng
        kind = rng.choices(list(self.plan.mix), list(self.plan.mix.values()))[0]
        size = gaen.KEY_BYTES if kind in (Kind.GAEN_ANDROID, Kind.GAEN_IPHONE) else bluezone.KEY_BYTES
        device = Device(
            kind,
            rng.randbytes(32),
            day_s=int(arrive_s // DAY_S) * DAY_S,
            key=rng.randbytes(size),
            arrive_s=arrive_s,
            leave_s=leave_s,
        )
        return _Heard(device=device, rssi=rng.triangular(-95, -50, -78), share=self._share())

    def _share(self) -> float:
        return (1 - self._rng.uniform(*self.plan.loss)) * self.plan.thin


def visits(plan: CrowdPlan, rng: random.Random, start_s: float) -> Iterator[tuple[float, float]]:
    """When each of a plan's devices comes and goes, UTC seconds, planted ones apart.

    First those who are there at the start, for the rest of their stay, then those who come later, in order.
    """
    weights = [weight for _, weight in plan.stays]
    mean_stay_s = sum(mean_s * weight for mean_s, weight in plan.stays) / sum(weights)
    # A longer stay is met more often at a random moment.
    met = [mean_s * weight for mean_s, weight in plan.stays]
    for _ in range(round(plan.devices * plan.share(start_s))):
        mean_s = rng.choices(plan.stays, met)[0][0]
        yield start_s, start_s + mean_s * rng.uniform(0.0, 1.0)
    most = (1 + plan.swing) * max(plan.hours, default=1.0)
    rate = plan.devices * most / mean_stay_s
    moment = start_s
    while rate:
        moment += rng.expovariate(rate)
        if moment >= start_s + plan.duration_s:
            return
        wave = 1 + plan.swing * math.sin(2 * math.pi * (moment - start_s) / plan.swing_s)
        if rng.random() * most < wave * plan.share(moment):
            mean_s = rng.choices(plan.stays, weights)[0][0]
            yield moment, moment + mean_s * rng.uniform(0.5, 1.5)


def bus_station(phones: int, *, utc_offset_s: int) -> CrowdPlan:
    """A hall with its day: about `phones` phones at the busiest hour, in the evening; nearly nobody at night."""
    first = utc_offset_s // HOUR_S
    hours = tuple(_BUS_STATION[(first + hour) % len(_BUS_STATION)] for hour in range(len(_BUS_STATION)))
    return CrowdPlan(devices=phones / _phone_share(), hours=hours)


def _phone_share() -> float:
    return 1 - (_MIX[Kind.HEADPHONES] + _MIX[Kind.LAPTOP]) / sum(_MIX.values())


def _last(advert: Advert) -> float:
    return advert.last_s


def simulate(plan: CrowdPlan, *, seed: int, start_s: float) -> Iterator[Advert]:
    """The hearings of a plan without their truth."""
    return Crowd(plan, seed=seed, start_s=start_s).adverts()


@asynccontextmanager
async def open_crowd(
    *, clock: Clock, phones: int = 60, plan: CrowdPlan | None = None, seed: int | None = None
) -> AsyncIterator[StandInRadio]:
    """A crowd behind the radio's interface that lives by `clock`, for ever: after the plan's end another one follows.

    `plan` None is a lively hall of about `phones` phones; `seed` None is another crowd each time.
    """
    if plan is None:
        plan = CrowdPlan(devices=phones / _phone_share(), swing=0.4)
    adverts = _for_ever(plan, secrets.randbits(32) if seed is None else seed, clock.now())
    async with open_stand_in(adverts, clock=clock) as source:
        yield source


def _for_ever(plan: CrowdPlan, seed: int, start_s: float) -> Iterator[Advert]:
    for day in itertools.count():
        yield from simulate(plan, seed=seed + day, start_s=start_s + day * plan.duration_s)
