"""The simulated crowd behaves as the protocols' phones do, repeats by its seed and knows its own truth."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import AddressType, DayKey
from edge_scanner.core.model import Kind as SightingKind
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan, Planted, bus_station, simulate, visits
from edge_scanner.device.simulation.phones import Kind
from edge_scanner.protocols import bluezone, load, recognise

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

DAY_S = 1_596_844_800
"""2020-08-08, the base day of the Bluezone vectors."""
BLUEZONE_KEY = bytes(range(32))
SLOT_IDENTIFIERS = {
    0: bytes.fromhex("130CEA6472130C185D8643DF"),
    1: bytes.fromhex("893DAE342437130CE5E23837"),
    48: bytes.fromhex("B67A4F2BC44E6AE1BA10760D"),
    95: bytes.fromhex("0AE9AB99C50104E835045ABF"),
}
NEXT_DAY_SLOT_0 = bytes.fromhex("970E23C0E19DE93F8CC4057B")
TEK = bytes.fromhex("75c734c6dd1a782de7a965da5eb93125")
TEK_DAY_S = 2_642_976 * 600
"""The official Exposure Notification vectors begin with this interval, a midnight."""
RPIS = {
    0: bytes.fromhex("8be6cd371c5c891604bfbe49df845096"),
    1: bytes.fromhex("3c9a1de5dd6b02afa7fded7b570b3e56"),
    2: bytes.fromhex("243ffe9a3b08bded3094bac8630bb8ad"),
    3: bytes.fromhex("dfc3ed265e97d0eabb630e168b4214ed"),
}
PROTOCOLS = load(["bluezone", "gaen", "dp3t", "robert"])
START_S = float(DAY_S + 8 * 3600)


def alone(*planted: Planted, **plan: float) -> Crowd:
    """Planted phones in an otherwise empty hall, from the first arrival to the last departure."""
    begin = min(one.arrive_s for one in planted)
    end = max(one.leave_s for one in planted)
    return Crowd(
        CrowdPlan(devices=0, duration_s=end - begin, planted=planted, **plan),  # type: ignore[arg-type]
        seed=1,
        start_s=begin,
        new_key=lambda: b"a test's key",
    )


def bluezone_phone(arrive_s: float = DAY_S, leave_s: float = DAY_S + 3600) -> Planted:
    """A Bluezone Android with the vectors' key."""
    return Planted(name="case", key=BLUEZONE_KEY, arrive_s=arrive_s, leave_s=leave_s)


def test_the_same_seed_gives_the_same_hearings() -> None:
    """Plan, seed, start and tag keys decide everything; another seed is another crowd."""
    plan = CrowdPlan(devices=20, duration_s=300)

    def heard(seed: int) -> list[Advert]:
        return list(Crowd(plan, seed=seed, start_s=START_S, new_key=lambda: b"key").adverts())

    assert heard(1) == heard(1)
    assert heard(1) != heard(2)


def test_hearings_are_what_the_radio_hands_on() -> None:
    """In order of time, inside the plan, in one cell of the 5 s grid each, with an RSSI that can be."""
    before = START_S
    for advert in simulate(CrowdPlan(devices=40, duration_s=600), seed=3, start_s=START_S):
        assert before <= advert.last_s < START_S + 600
        assert advert.first_s <= advert.last_s
        assert advert.first_s // 5 == advert.last_s // 5
        assert (advert.first_s < advert.last_s) == (advert.count > 1)
        assert advert.rssi_count == advert.count >= 1
        assert -100 <= advert.rssi_sum / advert.count <= advert.rssi_max <= -25
        assert len(advert.address_tag) == 8
        assert advert.data.local_name is None
        before = advert.last_s


def test_bluezone_androids_follow_the_published_derivation() -> None:
    """The vectors' identifiers are on air in their quarter hours, at most 15 s longer, also across midnight."""
    crowd = alone(bluezone_phone(leave_s=DAY_S + 86_400 + 600))
    spans: dict[bytes, list[float]] = defaultdict(list)
    for advert in crowd.adverts():
        if (identifier := advert.data.manufacturer_data.get(0x22B5)) is not None:
            assert bluezone.ANDROID_SERVICE in advert.data.service_uuids
            spans[identifier] += [advert.first_s, advert.last_s]
    assert len(spans) == 97
    expected = {DAY_S + slot * 900: identifier for slot, identifier in SLOT_IDENTIFIERS.items()}
    expected[DAY_S + 86_400] = NEXT_DAY_SLOT_0
    for begin, identifier in expected.items():
        assert begin <= min(spans[identifier]) < begin + 60
        assert max(spans[identifier]) <= begin + 900 + 60


@pytest.mark.parametrize("number", range(6))
def test_background_windows_are_fifteen_seconds_and_identifiers_little_stale(number: int) -> None:
    """15 s on, 15 s off; what a window began with stays to its end; an open app pauses 5 s a minute."""
    crowd = Crowd(
        CrowdPlan(devices=0, duration_s=3600, planted=(bluezone_phone(),), coalesce_s=0, loss=(0.0, 0.0)),
        seed=number,
        start_s=DAY_S,
    )
    own = [a for a in crowd.adverts() if 0x22B5 in a.data.manufacturer_data]
    times = [advert.last_s for advert in own]
    pauses = [b - a for a, b in pairwise(times) if b - a > 3]
    foreground = crowd.device("case").transmitters[0].on_s == 60
    assert all((4 if foreground else 14) < pause < (6 if foreground else 17) for pause in pauses)
    assert len(pauses) == pytest.approx(3600 / (65 if foreground else 30), abs=2)
    first = [a.last_s - DAY_S for a in own if a.data.manufacturer_data[0x22B5] == SLOT_IDENTIFIERS[0]]
    assert 900 - 30 < max(first) <= 900 + (60 if foreground else 15)


def test_exposure_notification_follows_the_official_vectors() -> None:
    """An iPhone with the official key shows the official identifiers, each with its own address and metadata."""
    phone = Planted(name="en", kind=Kind.GAEN_IPHONE, key=TEK, arrive_s=TEK_DAY_S, leave_s=TEK_DAY_S + 2400)
    shown = alone(phone).on_air("en")
    payloads = [one.data.service_data["0000fd6f-0000-1000-8000-00805f9b34fb"] for one in shown]
    assert payloads[0][:16] == RPIS[0]
    assert {payload[:16] for payload in payloads} <= set(RPIS.values())
    assert len({one.address for one in shown}) == len({payload[16:] for payload in payloads}) == len(payloads) >= 2
    assert all(one.data.flags == 0x1A and one.address_type is AddressType.NON_RESOLVABLE for one in shown)


@pytest.mark.parametrize(
    ("kind", "shortest", "longest"), [(Kind.GAEN_ANDROID, 624, 954), (Kind.GAEN_IPHONE, 960, 1440)]
)
def test_exposure_notification_identifiers_live_as_long_as_measured(kind: Kind, shortest: int, longest: int) -> None:
    """Androids change after 10.4 to 15.9 minutes, iPhones after 16 to 24, the address with the identifier."""
    phone = Planted(name="en", kind=kind, key=TEK, arrive_s=TEK_DAY_S, leave_s=TEK_DAY_S + 6 * 3600)
    spans: dict[bytes, list[float]] = {}
    for advert in alone(phone).adverts():
        (payload,) = advert.data.service_data.values()
        spans.setdefault(payload, [advert.first_s, 0.0])[1] = advert.last_s
        assert (advert.data.flags is None) == (kind is Kind.GAEN_ANDROID)
    lives = [end - begin for begin, end in list(spans.values())[1:-1]]
    assert len(lives) > 10
    assert all(shortest - 10 <= life <= longest + 10 for life in lives)


def test_bluezone_iphones_show_presence_or_a_hint_and_never_an_identifier() -> None:
    """In the foreground the service, in the background the overflow bit."""
    phone = Planted(
        name="iphone", kind=Kind.BLUEZONE_IPHONE, key=BLUEZONE_KEY, arrive_s=START_S, leave_s=START_S + 7200
    )
    kinds = [sighting.kind for advert in alone(phone).adverts() for sighting in recognise(PROTOCOLS, advert)]
    assert set(kinds) == {SightingKind.PRESENCE, SightingKind.HINT}
    assert kinds.count(SightingKind.PRESENCE) / len(kinds) == pytest.approx(0.1, abs=0.05)


def test_new_androids_add_a_stronger_beacon() -> None:
    """Some phones send the iBeacon, a hint, about 10 dB stronger and from another address than the identifier."""
    seen = 0
    for seed in range(8):
        crowd = Crowd(CrowdPlan(devices=0, duration_s=1800, planted=(bluezone_phone(),)), seed=seed, start_s=DAY_S)
        hearings: dict[bool, list[Advert]] = {True: [], False: []}
        for advert in crowd.adverts():
            hearings[0x004C in advert.data.manufacturer_data].append(advert)
        if hearings[True]:
            seen += 1
            levels = [sum(a.rssi_sum for a in part) / sum(a.count for a in part) for part in hearings.values()]
            assert levels[0] - levels[1] == pytest.approx(10, abs=1.5)
            tags = [{advert.address_tag for advert in part} for part in hearings.values()]
            assert tags[0].isdisjoint(tags[1])
            assert {s.kind for a in hearings[True] for s in recognise(PROTOCOLS, a)} == {SightingKind.HINT}
    assert 0 < seen < 8


def test_addresses_rotate_for_themselves() -> None:
    """Restless Androids have a new address with every window, the others keep one for the quarter hour."""
    changes = set()
    for seed in range(8):
        crowd = Crowd(CrowdPlan(devices=0, duration_s=900, planted=(bluezone_phone(),)), seed=seed, start_s=DAY_S)
        changes.add(len({one.address for one in crowd.on_air("case") if 0x22B5 in one.data.manufacturer_data}) > 10)
    assert changes == {True, False}


def test_other_devices_are_no_phones_of_any_protocol() -> None:
    """Headphones and laptops are heard and recognised by nothing."""
    plan = CrowdPlan(devices=20, duration_s=300, mix={Kind.HEADPHONES: 1.0, Kind.LAPTOP: 1.0})
    heard = list(simulate(plan, seed=1, start_s=START_S))
    assert {advert.address_type for advert in heard} == {AddressType.STATIC, AddressType.RESOLVABLE}
    assert not [sighting for advert in heard for sighting in recognise(PROTOCOLS, advert)]


@pytest.mark.parametrize("coalesce_s", [0.0, 1.0, 5.0])
def test_the_declared_share_of_packets_is_lost(coalesce_s: float) -> None:
    """Coalesced or packet by packet, 40 % loss leaves 60 % of four packets a second."""
    phone = Planted(name="en", kind=Kind.GAEN_ANDROID, key=TEK, arrive_s=TEK_DAY_S, leave_s=TEK_DAY_S + 1200, rssi=-70)
    crowd = Crowd(
        CrowdPlan(devices=0, duration_s=1200, planted=(phone,), loss=(0.4, 0.4), coalesce_s=coalesce_s),
        seed=5,
        start_s=TEK_DAY_S,
    )
    heard = list(crowd.adverts())
    packets = sum(advert.count for advert in heard)
    assert packets == pytest.approx(1200 * 4 * 0.6, rel=0.05)
    assert sum(advert.rssi_sum for advert in heard) / packets == pytest.approx(-70, abs=0.5)
    if not coalesce_s:
        assert packets == len(heard)


def test_thinning_makes_fewer_packets_of_the_same_phones() -> None:
    """A tenth of the packets still shows every identifier."""
    phone = bluezone_phone()
    dense, thin = (list(alone(phone, thin=share).adverts()) for share in (1.0, 0.1))
    assert sum(a.count for a in thin) < 0.15 * sum(a.count for a in dense)
    identifiers = [{a.data.manufacturer_data.get(0x22B5) for a in part} - {None} for part in (dense, thin)]
    assert identifiers[0] == identifiers[1]


def test_everything_heard_of_a_planted_phone_is_known_beforehand() -> None:
    """What a leak test searches for is complete: no content is heard that `on_air` does not tell."""
    planted = [
        Planted(name=kind, kind=kind, key=TEK if "gaen" in kind else BLUEZONE_KEY, arrive_s=START_S + 7, leave_s=end)
        for kind, end in zip(Kind, (START_S + 600 * n for n in range(1, 7)), strict=True)
    ]
    crowd = alone(*planted)
    told = [one.data for phone in planted for one in crowd.on_air(phone.name)]
    heard = [advert.data for advert in crowd.adverts()]
    assert all(data in told for data in heard)
    assert len({id(data) for data in heard}) > 20


def test_a_case_record_finds_its_phone() -> None:
    """The record of a planted phone derives every identifier that was heard of it; the key is shown by no repr."""
    phone = bluezone_phone(arrive_s=DAY_S + 3600, leave_s=DAY_S + 7200)
    crowd = alone(phone)
    (record,) = crowd.case_records("case")["data"]
    assert record == {
        "daily_key": BLUEZONE_KEY.hex().upper(),
        "time_start": DAY_S,
        "max": 96,
        "time_end": DAY_S + 7200,
    }
    derived = {d.identifier for d in bluezone.derive(DayKey(key=BLUEZONE_KEY, start_s=DAY_S, end_s=DAY_S + 7200))}
    heard = {a.data.manufacturer_data[0x22B5] for a in crowd.adverts() if 0x22B5 in a.data.manufacturer_data}
    assert heard <= derived
    assert repr(BLUEZONE_KEY)[2:-1] not in repr(phone)
    assert crowd.day_key("case") == DayKey(key=BLUEZONE_KEY, start_s=DAY_S, end_s=DAY_S + 7200)


def test_an_exposure_key_covers_its_day() -> None:
    """A planted Exposure Notification phone's key is valid from midnight to midnight; a longer stay takes a new key."""
    phone = Planted(name="en", kind=Kind.GAEN_ANDROID, key=TEK, arrive_s=TEK_DAY_S + 85_000, leave_s=TEK_DAY_S + 90_000)
    crowd = alone(phone)
    assert crowd.day_key("en") == DayKey(key=TEK, start_s=TEK_DAY_S, end_s=TEK_DAY_S + 86_400)
    assert len(crowd.on_air("en")) >= 5


def test_the_hall_is_as_full_as_planned() -> None:
    """From the start on about the planned number is there; arrivals replace departures; kinds follow the mix."""
    crowd = Crowd(CrowdPlan(devices=300, duration_s=6 * 3600), seed=11, start_s=START_S)
    present = [crowd.present(START_S + 600 * n) for n in range(36)]
    totals = [sum(counts.values()) for counts in present]
    assert mean(totals) == pytest.approx(300, rel=0.1)
    assert all(200 < total < 400 for total in totals)
    assert mean(c[Kind.BLUEZONE_ANDROID] for c in present) == pytest.approx(0.35 * 300, rel=0.15)
    stays = [d.leave_s - d.arrive_s for d in crowd.devices() if d.arrive_s > START_S]
    assert mean(stays) == pytest.approx(0.3 * 300 + 0.5 * 2100 + 0.2 * 7200, rel=0.1)


def test_a_swinging_crowd_waxes_and_wanes() -> None:
    """With swing the first half of a period brings more people than the second."""
    plan = CrowdPlan(devices=300, duration_s=7200, swing=0.9, swing_s=7200, stays=((600.0, 1.0),))
    crowd = Crowd(plan, seed=2, start_s=START_S)
    arrivals = [d.arrive_s - START_S for d in crowd.devices() if d.arrive_s > START_S]
    first = sum(at < 3600 for at in arrivals)
    assert first > 2 * (len(arrivals) - first)


def test_the_counter_finds_the_truth() -> None:
    """The daemon's own counter, fed with the crowd, comes within a tenth of who is there."""
    crowd = Crowd(CrowdPlan(devices=80, duration_s=5400), seed=4, start_s=START_S)
    counter, minute = Counter(PROTOCOLS), int(START_S)
    tallies = []
    for advert in crowd.adverts():
        while advert.last_s >= minute + 60:
            tallies.append(counter.close(minute))
            minute += 60
        counter.add(advert, recognise(PROTOCOLS, advert))
    settled = [tally for tally in tallies if tally.listened_s and tally.minute_s > START_S + 1200]
    for figure, kinds in (
        ("bluezone", (Kind.BLUEZONE_ANDROID,)),
        ("gaen", (Kind.GAEN_ANDROID, Kind.GAEN_IPHONE)),
    ):
        truth = mean(sum(crowd.present(t.minute_s + 30)[kind] for kind in kinds) for t in settled)
        assert mean(t.figures[figure] for t in settled) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize(("offset_s", "shift"), [(0, 0), (7 * 3600, 7), (-5 * 3600, -5)])
def test_bus_station_keeps_the_venues_hours(offset_s: int, shift: int) -> None:
    """Busiest at 17:00 of the venue's clock in every zone, quietest at 2:00, and straight lines between."""
    plan = bus_station(60, utc_offset_s=offset_s)

    shares = {hour: plan.share(DAY_S + (hour - shift) * 3600) for hour in range(24)}

    assert max(shares, key=lambda hour: shares[hour]) == 17
    assert min(shares, key=lambda hour: shares[hour]) == 2
    assert plan.share(DAY_S + (16.5 - shift) * 3600) == pytest.approx((shares[16] + shares[17]) / 2)
    assert CrowdPlan().share(DAY_S) == 1.0


def test_crowd_of_a_day_follows_its_hours() -> None:
    """Over twenty days about as many are there as the plan's share says, at the busiest hour and in the night."""
    plan = CrowdPlan(devices=200.0, hours=bus_station(1, utc_offset_s=0).hours, duration_s=20 * 86_400.0)

    stays = list(visits(plan, Random(3), float(DAY_S)))

    def present(hour: float) -> float:
        moments = [DAY_S + day * 86_400 + hour * 3600 for day in range(20)]
        return mean(sum(arrive <= at < leave for arrive, leave in stays) for at in moments)

    # A stay is three quarters of an hour on average, so the hall empties somewhat later than the arrivals do.
    assert present(18) == pytest.approx(200 * plan.share(DAY_S + 17.5 * 3600), rel=0.1)
    assert present(2) < 30
