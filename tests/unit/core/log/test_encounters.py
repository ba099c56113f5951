"""One record per identifier and minute, whatever arrives in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.log.encounters import MAX_OPEN_MINUTES, MAX_PER_MINUTE, Encounters
from edge_scanner.core.model import Advert, BeaconProtocol, Encounter, Kind, Sighting

MINUTE_S = 1596888000
NOTHING = AdvertisingData(service_data={}, manufacturer_data={})
BLUEZONE = BeaconProtocol(name="bluezone", tag=1, specification="", decode=lambda _: None)
GAEN = BeaconProtocol(name="gaen", tag=2, specification="", decode=lambda _: None)


def sighting(
    payload: bytes = b"one",
    *,
    at: float,
    until: float | None = None,
    rssi: tuple[int, ...] = (-60,),
    count: int | None = None,
    protocol: BeaconProtocol = BLUEZONE,
    kind: Kind = Kind.IDENTIFIED,
) -> Sighting:
    """A burst from `at` to `until`, seconds after the test's minute began, one hearing per RSSI unless `count` says."""
    advert = Advert(
        data=NOTHING,
        address_tag=bytes(8),
        first_s=MINUTE_S + at,
        last_s=MINUTE_S + (at if until is None else until),
        count=len(rssi) if count is None else count,
        rssi_count=len(rssi),
        rssi_sum=sum(rssi),
        rssi_max=max(rssi, default=0),
    )
    return Sighting(protocol=protocol, kind=kind, identifier=payload, payload=payload, advert=advert)


def closed(*sightings: Sighting, minute_s: int = MINUTE_S) -> tuple[tuple[Encounter, ...], int]:
    """What a minute holds after these sightings."""
    encounters = Encounters()
    for one in sightings:
        encounters.add(one)
    return encounters.close(minute_s)


def test_many_sightings_become_one_encounter() -> None:
    """Counts add up, the mean weighs every hearing, and the first and last second are kept."""
    encounters, dropped = closed(
        sighting(at=12.9, until=14.2, rssi=(-70, -60, -62)), sighting(at=40.0, rssi=(-80,)), sighting(at=3.0)
    )

    assert encounters == (
        Encounter(
            protocol_tag=1, payload=b"one", adverts=5, rssi_mean=-66, rssi_max=-60, first_second=3, last_second=40
        ),
    )
    assert dropped == 0


def test_presence_and_hints_are_not_logged() -> None:
    """Only an identifier makes an encounter."""
    assert closed(sighting(at=0, kind=Kind.PRESENCE), sighting(at=0, kind=Kind.HINT)) == ((), 0)


def test_an_empty_minute_is_empty() -> None:
    """A minute in which nothing was heard closes with nothing."""
    assert closed() == ((), 0)


@given(st.permutations([(GAEN, b"b"), (BLUEZONE, b"b"), (BLUEZONE, b"a"), (GAEN, b"a")]))
def test_the_order_tells_nothing(arrivals: list[tuple[BeaconProtocol, bytes]]) -> None:
    """Whoever came first, encounters stand by protocol and payload; protocols never share a record."""
    encounters, _ = closed(
        *[sighting(payload, at=n, protocol=protocol) for n, (protocol, payload) in enumerate(arrivals)]
    )

    assert [(one.protocol_tag, one.payload) for one in encounters] == [(1, b"a"), (1, b"b"), (2, b"a"), (2, b"b")]


@pytest.mark.parametrize(
    ("rssi", "mean"),
    [
        ((-60, -61), -60),
        ((-61, -62), -61),
        ((-60, -61, -61), -61),
        ((-60, -60, -61), -60),
        ((-127,), -127),
        ((0, 1), 1),
        ((20,), 20),
    ],
)
def test_the_mean_is_the_nearest_dbm(rssi: tuple[int, ...], mean: int) -> None:
    """The mean RSSI is rounded to the nearest dBm, and a half goes up."""
    ((encounter,), _) = closed(sighting(at=0, rssi=rssi))

    assert (encounter.rssi_mean, encounter.rssi_max) == (mean, max(rssi))


def test_without_rssi_both_say_127() -> None:
    """A device that is there but was not measured has the specification's "not available"."""
    ((encounter,), _) = closed(sighting(at=5, rssi=(), count=0))

    assert (encounter.adverts, encounter.rssi_mean, encounter.rssi_max) == (0, 127, 127)


def test_hearings_without_rssi_do_not_move_the_mean() -> None:
    """One measured burst and one unmeasured: only the measured one counts for RSSI."""
    ((encounter,), _) = closed(sighting(at=5, rssi=(-70, -72)), sighting(at=9, rssi=(), count=3))

    assert (encounter.adverts, encounter.rssi_mean, encounter.rssi_max) == (5, -71, -70)


def test_the_number_of_adverts_saturates() -> None:
    """More than 255 hearings are written as 255, the mean still weighs them all."""
    ((encounter,), _) = closed(sighting(at=0, rssi=(-50,) * 200), sighting(at=1, rssi=(-60,) * 200))

    assert (encounter.adverts, encounter.rssi_mean) == (255, -55)


def test_a_burst_over_the_boundary_counts_in_both_minutes() -> None:
    """Half of the hearings go to each minute, the odd one to the first; seconds meet at the boundary."""
    encounters = Encounters()
    encounters.add(sighting(at=58.2, until=62.9, rssi=(-70, -60, -65)))

    ((first,), _) = encounters.close(MINUTE_S)
    ((later,), _) = encounters.close(MINUTE_S + 60)

    assert (first.adverts, first.first_second, first.last_second) == (2, 58, 59)
    assert (later.adverts, later.first_second, later.last_second) == (1, 0, 2)
    assert (first.rssi_mean, first.rssi_max) == (later.rssi_mean, later.rssi_max) == (-65, -60)


def test_half_of_a_burst_over_the_boundary_is_in_each_minute() -> None:
    """Six hearings are three and three."""
    encounters = Encounters()
    encounters.add(sighting(at=58, until=62, count=6))

    assert [encounters.close(MINUTE_S + after)[0][0].adverts for after in (0, 60)] == [3, 3]


def test_a_long_burst_leaves_the_minutes_between_alone() -> None:
    """Nobody knows whether a device was heard between a burst's first and last hearing."""
    encounters = Encounters()
    encounters.add(sighting(at=30, until=150, rssi=(-60, -60)))

    kept = [encounters.close(MINUTE_S + 60 * n)[0] for n in range(3)]

    assert [len(minute) for minute in kept] == [1, 0, 1]


def test_a_burst_during_which_the_clock_went_back_stays_within_its_minutes() -> None:
    """First and last second lie in 0..59 even when the last hearing is stamped before the first."""
    encounters = Encounters()
    encounters.add(sighting(at=61, until=59, rssi=(-60, -60)))
    encounters.add(sighting(at=31, until=30, rssi=(-60, -60)))

    both = [encounters.close(MINUTE_S + 60 * n)[0][0] for n in range(2)]

    assert all(0 <= one.first_second <= one.last_second <= 59 for one in both)


def test_closing_a_minute_leaves_the_next_one_open() -> None:
    """What the radio already heard of the next minute is there when that closes, and only then."""
    encounters = Encounters()
    encounters.add(sighting(b"now", at=59))
    encounters.add(sighting(b"next", at=60))

    now, _ = encounters.close(MINUTE_S)
    after, _ = encounters.close(MINUTE_S + 60)

    assert ([one.payload for one in now], [one.payload for one in after]) == ([b"now"], [b"next"])
    assert encounters.close(MINUTE_S + 60) == ((), 0)


def test_a_sighting_of_a_minute_already_closed_is_counted_as_dropped() -> None:
    """The log does not go back: what comes too late is dropped with the next minute, once."""
    encounters = Encounters()
    encounters.close(MINUTE_S)
    encounters.add(sighting(at=59))

    assert encounters.close(MINUTE_S + 60) == ((), 1)
    assert encounters.close(MINUTE_S + 120) == ((), 0)


def test_what_a_wrong_clock_placed_ahead_is_dropped() -> None:
    """After the clock went back an hour nothing waits in memory for the hour to come again."""
    encounters = Encounters()
    encounters.add(sighting(b"ahead", at=3600))
    encounters.add(sighting(b"one", at=0))

    assert encounters.close(MINUTE_S)[1] == 1
    assert encounters.close(MINUTE_S + 3600) == ((), 0)


def test_a_full_minute_drops_newcomers_and_keeps_the_known() -> None:
    """Past the log's 1,683 records a minute new identifiers are dropped and counted; known ones go on growing."""
    encounters = Encounters()
    for number in range(MAX_PER_MINUTE + 3):
        encounters.add(sighting(number.to_bytes(12, "big"), at=0))
    encounters.add(sighting((0).to_bytes(12, "big"), at=30))

    kept, dropped = encounters.close(MINUTE_S)

    assert (len(kept), dropped) == (1683, 3)
    assert (kept[0].adverts, kept[0].last_second) == (2, 30)


def test_what_a_stray_minute_turned_away_is_dropped_too() -> None:
    """Minutes that can no longer be written count with their records and with what found no room in them."""
    encounters = Encounters()
    for number in range(MAX_PER_MINUTE + 2):
        encounters.add(sighting(number.to_bytes(12, "big"), at=0))
    encounters.add(sighting(at=60))
    encounters.add(sighting(at=120 + 60 * (MAX_OPEN_MINUTES - 1)))
    encounters.add(sighting(at=120 + 60 * MAX_OPEN_MINUTES))

    assert encounters.close(MINUTE_S + 120) == ((), MAX_PER_MINUTE + 2 + 1 + 1)


def test_who_was_logged_a_minute_ago_displaces_a_brief_record() -> None:
    """In a minute full of identifiers that are repeated for ten seconds a phone of the last minute enters at once."""
    phone, newcomer = b"phone", b"newcomer"
    encounters = Encounters()
    encounters.add(sighting(phone, at=30))
    encounters.close(MINUTE_S)
    for at in (60, 65, 70):
        for number in range(MAX_PER_MINUTE):
            encounters.add(sighting(number.to_bytes(12, "big"), at=at))
    for at in (80, 81):
        encounters.add(sighting(newcomer, at=at))
        encounters.add(sighting(phone, at=at))

    kept, dropped = encounters.close(MINUTE_S + 60)

    logged = {encounter.payload: encounter.adverts for encounter in kept}
    assert len(kept) == MAX_PER_MINUTE
    assert (newcomer in logged, logged[phone]) == (False, 2)
    assert dropped == 3


def test_nobody_who_stayed_longer_is_displaced() -> None:
    """When every record has grown for more than ten seconds, even a phone of the last minute stays outside."""
    encounters = Encounters()
    encounters.add(sighting(b"phone", at=30))
    encounters.close(MINUTE_S)
    for at in (60, 71):
        for number in range(MAX_PER_MINUTE):
            encounters.add(sighting(number.to_bytes(12, "big"), at=at))
    encounters.add(sighting(b"phone", at=80))

    kept, dropped = encounters.close(MINUTE_S + 60)

    assert b"phone" not in {encounter.payload for encounter in kept}
    assert dropped == 1


def test_the_number_of_open_minutes_is_bounded() -> None:
    """Adverts with times from anywhere open a bounded number of minutes; the rest is dropped and counted."""
    encounters = Encounters()
    for number in range(MAX_OPEN_MINUTES + 5):
        encounters.add(sighting(at=60 * number))

    assert len(encounters._minutes) == MAX_OPEN_MINUTES
    assert encounters.close(MINUTE_S)[1] == 5


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a", b"b", b"c"]),
            st.integers(min_value=0, max_value=239),
            st.integers(min_value=0, max_value=5),
            st.lists(st.integers(min_value=-127, max_value=20), min_size=2, max_size=5),
        ),
        max_size=30,
    )
)
def test_no_hearing_is_lost_or_invented(bursts: list[tuple[bytes, int, int, list[int]]]) -> None:
    """Over all minutes each identifier has as many adverts as were heard of it, and sound seconds and RSSI."""
    encounters = Encounters()
    for payload, at, length, rssi in bursts:
        encounters.add(sighting(payload, at=at, until=at + length, rssi=tuple(rssi)))

    kept = [one for n in range(5) for one in encounters.close(MINUTE_S + 60 * n)[0]]

    for payload in (b"a", b"b", b"c"):
        heard = sum(len(rssi) for name, _, _, rssi in bursts if name == payload)
        assert sum(one.adverts for one in kept if one.payload == payload) == heard
    assert all(0 <= one.first_second <= one.last_second <= 59 for one in kept)
    assert all(-127 <= one.rssi_mean <= one.rssi_max <= 20 for one in kept)
