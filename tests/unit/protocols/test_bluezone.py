"""What Bluezone has and the contract's vectors do not show: GATT reads and the bulk functions."""

from __future__ import annotations

import pytest

from edge_scanner.core.advertising import AdvertisingData, parse
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Advert, Kind, PhoneClass
from edge_scanner.protocols import bluezone

DAY_0 = bytes(range(32))


def after_a_read(value: bytes) -> Advert:
    """The iPhone's advert as the radio hands it on once it has read the characteristic."""
    data = AdvertisingData(
        service_uuids=("00004e56-73f5-4bc4-a12f-17d1ad07a667",),
        service_data={"00004e56-73f5-4bc4-a12f-17d1ad07a689": value},
        manufacturer_data={},
    )
    return Advert(data=data, address_tag=bytes(8), first_s=0.0, last_s=0.0, rssi_sum=-60, rssi_max=-60)


def test_an_iphone_read_over_gatt_is_identified() -> None:
    """Twelve bytes read from the characteristic are the iPhone's identifier."""
    sighting = bluezone.decode(after_a_read(bytes.fromhex("130CEA6472130C185D8643DF")))

    assert sighting is not None
    assert (sighting.kind, sighting.phone_class) == (Kind.IDENTIFIED, PhoneClass.IPHONE)
    assert sighting.identifier == sighting.payload == bytes.fromhex("130CEA6472130C185D8643DF")


@pytest.mark.parametrize("length", [0, 11, 13, 20])
def test_a_read_of_another_length_leaves_presence(length: int) -> None:
    """An iPhone that answers with anything but twelve bytes is still there."""
    sighting = bluezone.decode(after_a_read(bytes(length)))

    assert sighting is not None
    assert sighting.kind is Kind.PRESENCE
    assert sighting.identifier == b""


@pytest.mark.parametrize(
    ("data", "is_readable"),
    [
        pytest.param("110767A607ADD1172FA1C44BF573564E0000", True, id="iPhone in the foreground"),
        pytest.param("14FF4C000108000000000000000000000000000000", True, id="iPhone in the background, perhaps"),
        pytest.param("110767A607ADD1172FA1C44BF573F4390AE2", False, id="v1 iPhone: it has another characteristic"),
        pytest.param("0FFFB522130CEA6472130C185D8643DF0303564E", False, id="Android: it has no GATT server"),
        pytest.param("1AFF4C000215C7AFEF7B17884F4AA87D691D53BF21C400140014C5", False, id="an Android's iBeacon"),
        pytest.param("02011A", False, id="anything else"),
    ],
)
def test_only_current_iphones_are_worth_a_connection(data: str, is_readable: bool) -> None:
    """A connection costs seconds, so it is asked for only where an identifier can be read."""
    advert = Advert(
        data=parse(bytes.fromhex(data)), address_tag=bytes(8), first_s=0.0, last_s=0.0, rssi_sum=-60, rssi_max=-60
    )

    assert bluezone.readable(advert) == ("00004e56-73f5-4bc4-a12f-17d1ad07a689" if is_readable else None)


def test_an_iphone_that_was_read_is_not_read_again() -> None:
    """Once the identifier is known there is nothing to connect for."""
    assert bluezone.readable(after_a_read(bytes(12))) is None


def test_the_day_chain_is_bare_hashing() -> None:
    """Each day's key is the hash of the day before: vector A, days 1, 2 and 13."""
    keys = [DAY_0]
    for _ in range(13):
        keys.append(bluezone.next_day_key(keys[-1]))

    assert keys[1].hex() == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"
    assert keys[2].hex() == "2f287b4d3d4910f6cada9e1bd1b4648099e8c52c81aa4a6aebfa6fc86f19834e"
    assert keys[13].hex() == "7dcc85c9586f9849467458d9209ffd036826eba1063e4726f09870b7d13ae18c"


@pytest.mark.parametrize("rotations", [1, 96, 144])
def test_a_day_of_identifiers_is_one_run_of_bytes(rotations: int) -> None:
    """The bulk function gives twelve bytes per rotation, and the number of rotations changes only where they end."""
    identifiers = bluezone.day_identifiers(DAY_0, rotations)

    assert len(identifiers) == 12 * rotations
    assert identifiers == bluezone.day_identifiers(DAY_0, 144)[: 12 * rotations]
    assert identifiers[:12].hex() == "130cea6472130c185d8643df"


def test_the_bulk_function_refuses_what_derive_refuses() -> None:
    """A key of another length never yields identifiers that match nobody."""
    with pytest.raises(BadDataError, match="32 bytes"):
        bluezone.day_identifiers(bytes(31))
