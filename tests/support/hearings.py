"""What a radio hears of phones placed by hand, as the counter takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Advert, BeaconProtocol, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable

START_S = 1_700_002_860
"""A minute past a full hour, so that nothing lies near a quarter hour by accident."""
EMPTY = AdvertisingData(service_data={}, manufacturer_data={})

ROTATING = BeaconProtocol(
    name="rotating",
    tag=9,
    specification="",
    decode=lambda _: None,
    kinds=frozenset(Kind),
    lifetime_s={PhoneClass.ANDROID: 600.0},
)
PLAIN = BeaconProtocol(name="plain", tag=8, specification="", decode=lambda _: None)
FIGURES = (
    "unknown",
    "thing",
    "accessory",
    "computer",
    "phone",
    "rotating_hint",
    "rotating_presence",
    "rotating",
    "plain",
    "passing",
)

Heard = tuple[Advert, list[Sighting]]


def heard(
    at_s: float,
    *,
    until_s: float | None = None,
    identifier: bytes = b"",
    kind: Kind | None = None,
    tag: bytes = b"address1",
    rssi: int | None = -70,
    count: int = 2,
    phone_class: PhoneClass = PhoneClass.OTHER,
    protocol: BeaconProtocol = ROTATING,
) -> Heard:
    """One burst and what the protocol sees in it: an identifier, the kind given, or nothing."""
    advert = Advert(
        data=EMPTY,
        address_tag=tag,
        first_s=at_s,
        last_s=at_s if until_s is None else until_s,
        count=count,
        rssi_count=count if rssi is not None else 0,
        rssi_sum=(rssi or 0) * count,
        rssi_max=127 if rssi is None else rssi,
    )
    if identifier:
        kind = Kind.IDENTIFIED
    if kind is None:
        return advert, []
    sighting = Sighting(
        protocol=protocol, kind=kind, phone_class=phone_class, identifier=identifier, payload=identifier, advert=advert
    )
    return advert, [sighting]


def steady(begin: float, end: float, *, every_s: float = 10.0, **what: object) -> list[Heard]:
    """A device heard every `every_s` seconds in [begin, end]."""
    steps = int((end - begin) // every_s)
    return [heard(begin + step * every_s, **what) for step in range(steps + 1)]  # type: ignore[arg-type]


def changing(count: int, minutes: int, life_s: int) -> list[Heard]:
    """Phones that stay and change identifier every `life_s`, each at its own time."""
    events = []
    for phone in range(count):
        begin = START_S + 1.0
        end = begin + life_s * (phone + 1) / count
        while begin < START_S + minutes * 60:
            name = b"%d/%d" % (phone, int(begin))
            events += steady(begin, end - 5, identifier=name, phone_class=PhoneClass.ANDROID)
            begin, end = end, end + life_s
    return events


def counts(
    events: Iterable[Heard], minutes: int, figure: str = "rotating", *, grace_s: float = 60.0, begin: int = START_S
) -> list[int]:
    """The figure minute by minute from `begin`, after all minutes were closed in order."""
    counter = Counter((ROTATING, PLAIN), grace_s=grace_s)
    waiting = sorted(events, key=lambda event: event[0].first_s)
    tallies = []
    position = 0
    for minute in range(minutes):
        end_s = begin + (minute + 1) * 60
        while position < len(waiting) and waiting[position][0].first_s < end_s:
            counter.add(*waiting[position])
            position += 1
        tallies.append(counter.close(begin + minute * 60))
    tallies += counter.finish()
    return [tally.figures[figure] for tally in tallies if tally.listened_s]
