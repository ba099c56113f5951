"""Coalescing: every packet in exactly one burst or counted as dropped, within bounds, on the grid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from edge_scanner.core.address_tags import Tagger
from edge_scanner.core.model import AddressType
from edge_scanner.device.radio import bursts
from edge_scanner.device.radio.bursts import COALESCE_S, Burst, Bursts, to_advert

PHONE = "4A:11:22:33:44:55"
GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
HIDES_NAMES = "e20a39f4-73f5-4bc4-a12f-17d1ad07a667"
T0 = 1_600_000_020.0


def packet(
    kept: Bursts,
    *,
    address: str = PHONE,
    content: bytes = b"a",
    rssi: int = -60,
    at_s: float = T0,
    name: str | None = None,
) -> None:
    """Hear one packet as the radio does."""
    data = {0x22B5: content}
    if not kept.again(address, data, {}, [GAEN], rssi, at_s):
        kept.begin(burst(address=address, content=content, rssi=rssi, at_s=at_s, name=name))


def burst(
    *,
    address: str = PHONE,
    content: bytes = b"a",
    rssi: int = -60,
    at_s: float = T0,
    name: str | None = None,
    random: bool = True,
    uuids: tuple[str, ...] = (GAEN,),
) -> Burst:
    """A burst of one packet."""
    return Burst(
        address=address,
        random=random,
        flags=0x1A,
        name=name,
        uuids=list(uuids),
        service_data={},
        manufacturer_data={0x22B5: content},
        rssi_sum=rssi,
        rssi_max=rssi,
        first_s=at_s,
        last_s=at_s,
    )


def test_a_burst_is_never_quoted() -> None:
    """Neither the address nor the content is in its text form."""
    shown = repr(burst(name="Lan's phone")) + pretty_repr(burst(name="Lan's phone"))
    assert not [secret for secret in (PHONE, "Lan", "content", GAEN) if secret in shown]


def sealed(kept: Bursts) -> list[Burst]:
    """Everything ready, taken."""
    taken = []
    while (one := kept.take()) is not None:
        taken.append(one)
    return taken


def test_same_content_becomes_one_burst() -> None:
    """Count, first, last, sum and maximum of three packets."""
    kept = Bursts()
    for rssi, offset in ((-70, 0.0), (-50, 1.5), (-60, 3.25)):
        packet(kept, rssi=rssi, at_s=T0 + offset)
    kept.cut(T0 + COALESCE_S)

    (one,) = sealed(kept)
    assert (one.count, one.first_s, one.last_s, one.rssi_sum, one.rssi_max) == (3, T0, T0 + 3.25, -180, -50)


def test_nothing_is_ready_before_the_edge() -> None:
    """An open burst stays open."""
    kept = Bursts()
    packet(kept)

    assert kept.take() is None
    assert kept.due_in(T0 + 1) == COALESCE_S - 1


def test_a_burst_never_straddles_a_minute() -> None:
    """A packet after the edge begins a new burst even when no timer cut the old one."""
    kept = Bursts()
    minute = T0 // 60 * 60 + 60
    packet(kept, at_s=minute - 0.01)
    packet(kept, at_s=minute)
    kept.cut(minute + COALESCE_S)

    assert [(one.first_s, one.last_s) for one in sealed(kept)] == [(minute - 0.01,) * 2, (minute,) * 2]


def test_a_clock_that_goes_back_seals_what_is_open() -> None:
    """No burst ends before it began."""
    kept = Bursts()
    packet(kept, at_s=T0 + 1)
    packet(kept, at_s=T0 - 3600)
    kept.cut(T0)

    assert [one.first_s for one in sealed(kept)] == [T0 + 1, T0 - 3600]
    assert kept.due_in(T0 - 1) == 0


def test_alternating_contents_make_a_burst_each() -> None:
    """Advertisement and scan response of one device do not seal each other."""
    kept = Bursts()
    for turn in range(20):
        packet(kept, content=b"ab"[turn % 2 : turn % 2 + 1], at_s=T0 + turn / 10)
    kept.cut(T0 + COALESCE_S)

    assert sorted((one.manufacturer_data[0x22B5], one.count) for one in sealed(kept)) == [(b"a", 10), (b"b", 10)]


def test_a_fifth_content_sends_the_oldest_on() -> None:
    """A device that never repeats itself cannot fill the table: at most four contents stay open."""
    kept = Bursts()
    for turn in range(6):
        packet(kept, content=bytes((turn,)))

    assert [one.manufacturer_data[0x22B5] for one in sealed(kept)] == [b"\x00", b"\x01"]
    kept.cut(T0 + COALESCE_S)
    assert len(sealed(kept)) == 4


def test_a_flood_of_new_addresses_does_not_push_known_devices_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the table full a new device is refused and counted, and a known one goes on counting."""
    monkeypatch.setattr(bursts, "MAX_PENDING", 2)
    kept = Bursts()
    packet(kept)
    for number in range(5):
        packet(kept, address=f"00:00:00:00:00:{number:02X}")
    packet(kept)
    packet(kept, content=b"b")

    assert (kept.heard, kept.dropped, kept.refused) == (8, 5, 4)
    kept.cut(T0 + COALESCE_S)
    assert [one.count for one in sealed(kept)] == [2, 1]


def test_a_pipeline_that_stands_still_costs_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed bursts beyond the bound are dropped and their packets counted."""
    monkeypatch.setattr(bursts, "MAX_READY", 1)
    kept = Bursts()
    packet(kept)
    packet(kept, address="00:00:00:00:00:01")
    packet(kept, address="00:00:00:00:00:01")
    kept.cut(T0 + COALESCE_S)

    assert [one.address for one in sealed(kept)] == [PHONE]
    assert (kept.dropped, kept.refused) == (2, 0)


def test_presence_counts_no_packet_until_one_comes() -> None:
    """A presence has no RSSI; a packet of the same content within the cell gives it one."""
    kept = Bursts()
    kept.begin(burst().presence())
    assert kept.heard == 0
    assert kept.pending(PHONE)
    packet(kept, rssi=-80)
    kept.cut(T0 + COALESCE_S)

    (one,) = sealed(kept)
    assert (one.count, one.rssi_sum, one.rssi_max) == (1, -80, -80)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30), st.binary(max_size=1), st.integers(-100, -20), st.floats(0, 600, allow_nan=False)
        ),
        max_size=200,
    )
)
def test_no_packet_is_lost_or_counted_twice(air: list[tuple[int, bytes, int, float]]) -> None:
    """Whatever comes in whatever order, the bursts hold exactly what was heard."""
    kept = Bursts()
    for phone, content, rssi, offset in air:
        packet(kept, address=f"40:00:00:00:00:{phone:02X}", content=content, rssi=rssi, at_s=T0 + offset)
    kept.cut(T0 + 1000)
    taken = sealed(kept)

    assert sum(one.count for one in taken) == len(air) == kept.heard
    assert sum(one.rssi_sum for one in taken) == sum(rssi for _, _, rssi, _ in air)
    assert all(one.first_s // COALESCE_S == one.last_s // COALESCE_S for one in taken)
    assert kept.dropped == 0


@pytest.mark.parametrize(
    ("address", "random", "kind"),
    [
        ("C0:00:00:00:00:00", True, AddressType.STATIC),
        ("7F:00:00:00:00:00", True, AddressType.RESOLVABLE),
        ("3F:00:00:00:00:00", True, AddressType.NON_RESOLVABLE),
        ("80:00:00:00:00:00", True, AddressType.UNKNOWN),
        ("C0:00:00:00:00:00", False, AddressType.PUBLIC),
        ("fe:00:00:00:00:00", True, AddressType.STATIC),
    ],
)
def test_the_two_top_bits_tell_how_an_address_is_made(address: str, random: bool, kind: AddressType) -> None:
    """Core 5.4 Vol 6 Part B 1.3: 11 static, 01 resolvable, 00 non-resolvable, 10 reserved."""
    advert = to_advert(burst(address=address, random=random), Tagger(lambda: bytes(32)), frozenset())

    assert advert.address_type is kind


def test_neither_address_nor_name_passes() -> None:
    """The address becomes a tag; a name stays only where a protocol hides an identifier in it."""
    tagger = Tagger(lambda: bytes(32))
    plain = to_advert(burst(name="Lan's phone"), tagger, frozenset({HIDES_NAMES}))
    hidden = to_advert(burst(name="1abcdefgh2", uuids=(HIDES_NAMES,)), tagger, frozenset({HIDES_NAMES}))

    assert plain.data.local_name is None
    assert hidden.data.local_name == "1abcdefgh2"
    assert plain.data.service_uuids == (GAEN,)
    assert PHONE not in repr(plain)
    assert plain.address_tag == hidden.address_tag
    assert (plain.count, plain.rssi_count, plain.data.flags) == (1, 1, 0x1A)
