"""Advertising data in any order, whole or damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.advertising import AdvertisingData, parse, uuid16, whole

EMPTY = AdvertisingData(service_data={}, manufacturer_data={})


def test_short_uuids_are_written_in_full() -> None:
    """A 16-bit UUID is the first part of the Bluetooth base UUID, in lower case."""
    assert uuid16(0xFD6F) == "0000fd6f-0000-1000-8000-00805f9b34fb"


def test_reads_every_structure_it_knows() -> None:
    """Flags, UUIDs, service data, manufacturer data and name of one advert, as on air."""
    data = parse(bytes.fromhex("02011A 0303564E 0616564E010203 06FFB522AABBCC 04095A6F65".replace(" ", "")))

    assert data == AdvertisingData(
        flags=0x1A,
        service_uuids=("00004e56-0000-1000-8000-00805f9b34fb",),
        service_data={"00004e56-0000-1000-8000-00805f9b34fb": b"\x01\x02\x03"},
        manufacturer_data={0x22B5: b"\xaa\xbb\xcc"},
        local_name="Zoe",
    )


def test_order_does_not_matter() -> None:
    """The same structures in another order say the same."""
    assert parse(bytes.fromhex("0303564E02011A04FFB522AA")) == parse(bytes.fromhex("04FFB522AA02011A0303564E"))


@pytest.mark.parametrize(
    ("data", "uuids"),
    [
        pytest.param("0302564E", ["00004e56-0000-1000-8000-00805f9b34fb"], id="16 bits, incomplete"),
        pytest.param(
            "05036FFD564E",
            ["0000fd6f-0000-1000-8000-00805f9b34fb", "00004e56-0000-1000-8000-00805f9b34fb"],
            id="16 bits, two",
        ),
        pytest.param("050478563412", ["12345678-0000-1000-8000-00805f9b34fb"], id="32 bits, incomplete"),
        pytest.param("050578563412", ["12345678-0000-1000-8000-00805f9b34fb"], id="32 bits, complete"),
        pytest.param(
            "110667A607ADD1172FA1C44BF573564E0000", ["00004e56-73f5-4bc4-a12f-17d1ad07a667"], id="128 bits, incomplete"
        ),
        pytest.param(
            "110767A607ADD1172FA1C44BF573564E0000", ["00004e56-73f5-4bc4-a12f-17d1ad07a667"], id="128 bits, complete"
        ),
        pytest.param(
            "0403564E6F", ["00004e56-0000-1000-8000-00805f9b34fb"], id="a torn UUID at the end is passed over"
        ),
        pytest.param("0103", [], id="an empty list"),
        pytest.param(
            "0303564E03036FFD",
            ["00004e56-0000-1000-8000-00805f9b34fb", "0000fd6f-0000-1000-8000-00805f9b34fb"],
            id="two lists are joined",
        ),
    ],
)
def test_reads_uuid_lists(data: str, uuids: list[str]) -> None:
    """Lists of 16, 32 and 128 bits, complete or not, come out as 128-bit text."""
    assert list(parse(bytes.fromhex(data)).service_uuids) == uuids


@pytest.mark.parametrize(
    ("data", "service_data"),
    [
        pytest.param("03166FFD", {"0000fd6f-0000-1000-8000-00805f9b34fb": b""}, id="16 bits, empty"),
        pytest.param("062078563412FF", {"12345678-0000-1000-8000-00805f9b34fb": b"\xff"}, id="32 bits"),
        pytest.param(
            "122189A607ADD1172FA1C44BF573564E000001",
            {"00004e56-73f5-4bc4-a12f-17d1ad07a689": b"\x01"},
            id="128 bits",
        ),
        pytest.param("02166F", {}, id="too short for its UUID"),
    ],
)
def test_reads_service_data(data: str, service_data: dict[str, bytes]) -> None:
    """Service data of each UUID width; one that is too short is passed over."""
    assert parse(bytes.fromhex(data)).service_data == service_data


@pytest.mark.parametrize(
    ("data", "manufacturer_data"),
    [("03FF4C00", {0x004C: b""}), ("05FFB5220102", {0x22B5: b"\x01\x02"}), ("02FF4C", {})],
)
def test_reads_manufacturer_data(data: str, manufacturer_data: dict[int, bytes]) -> None:
    """The company comes first, low byte first; half a company is passed over."""
    assert parse(bytes.fromhex(data)).manufacturer_data == manufacturer_data


def test_a_name_may_be_short_or_broken() -> None:
    """A shortened name is a name, and bytes that are no UTF-8 are replaced."""
    assert parse(bytes.fromhex("03085A6F")).local_name == "Zo"
    assert parse(bytes.fromhex("0309FF5A")).local_name == "\ufffdZ"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("", id="nothing"),
        pytest.param("0000000000", id="padding"),
        pytest.param("0101", id="flags without a value"),
        pytest.param("020AF9", id="transmit power"),
        pytest.param("00030356", id="whatever follows a length of 0"),
    ],
)
def test_passes_over_the_rest(data: str) -> None:
    """Structures nobody needs, and what follows the end of the data, leave nothing."""
    assert parse(bytes.fromhex(data)) == EMPTY


def test_only_the_first_byte_of_flags_counts() -> None:
    """Later versions may append octets to the flags."""
    assert parse(bytes.fromhex("03010600")).flags == 0x06


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        ("02", ""),
        ("0201", ""),
        ("FF", ""),
        ("0201060303", "020106"),
        ("02010605FFB522AA", "020106"),
        ("0201060009FF", "0201060009FF"),
    ],
)
def test_a_damaged_tail_keeps_what_stood_before(data: str, kept: str) -> None:
    """A structure longer than the data ends it, as in bluetoothd; what follows a length of 0 is no damage."""
    assert whole(bytes.fromhex(data)) == bytes.fromhex(kept)
    assert parse(bytes.fromhex(data)) == parse(bytes.fromhex(kept))


structures = st.lists(st.tuples(st.integers(min_value=0, max_value=255), st.binary(max_size=40)), max_size=8)


@given(structures)
def test_well_formed_data_is_never_damaged(parts: list[tuple[int, bytes]]) -> None:
    """Any sequence of whole structures is whole, whatever its types and contents."""
    data = b"".join(bytes([len(value) + 1, kind]) + value for kind, value in parts)
    assert whole(data) == data


@given(st.binary(max_size=1650))
def test_arbitrary_bytes_parse(data: bytes) -> None:
    """Bytes up to the longest extended advert give what their whole structures say, and nothing raises."""
    assert data.startswith(whole(data))
    assert whole(whole(data)) == whole(data)
    assert parse(data) == parse(whole(data))
