"""The edges of what a record may cover and of what a name may hide; each was found by a mutant that nothing noticed."""

from __future__ import annotations

import pytest

from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Advert, BeaconProtocol, DayKey, Kind
from edge_scanner.protocols import bluezone, dp3t, gaen

DAY = 86_400
MIDNIGHT = 1_600_041_600


def derived(protocol: BeaconProtocol, start_s: int, end_s: int, key: bytes = bytes(32)) -> int:
    """How many identifiers a record yields."""
    assert protocol.derive is not None
    return sum(1 for _ in protocol.derive(DayKey(key=key, start_s=start_s, end_s=end_s)))


def named(name: str) -> Advert:
    """An iPhone of Bluezone v1 that calls itself `name`."""
    data = AdvertisingData(
        service_uuids=(bluezone.V1_IPHONE_SERVICE,), service_data={}, manufacturer_data={}, local_name=name
    )
    return Advert(data=data, address_tag=bytes(8), first_s=0.0, last_s=0.0, rssi_sum=-60, rssi_max=-60)


def test_a_record_of_dp3t_covers_a_second_to_31_days() -> None:
    """The shortest and the longest record are taken, one day more is not."""
    assert derived(dp3t.PROTOCOL, MIDNIGHT, MIDNIGHT + 1) == 96
    assert derived(dp3t.PROTOCOL, MIDNIGHT, MIDNIGHT + 31 * DAY) == 31 * 96
    with pytest.raises(BadDataError):
        derived(dp3t.PROTOCOL, MIDNIGHT, MIDNIGHT + 31 * DAY + 1)


def test_a_record_of_bluezone_may_end_when_it_begins() -> None:
    """The rotation that begins at its end still counts, and the one that begins a second later does not."""
    assert derived(bluezone.PROTOCOL, MIDNIGHT, MIDNIGHT) == 1
    assert derived(bluezone.PROTOCOL, MIDNIGHT, MIDNIGHT + 899) == 1
    assert derived(bluezone.PROTOCOL, MIDNIGHT, MIDNIGHT + 900) == 2
    assert derived(bluezone.PROTOCOL, MIDNIGHT, MIDNIGHT + DAY - 1) == 96
    with pytest.raises(BadDataError):
        derived(bluezone.PROTOCOL, MIDNIGHT, MIDNIGHT - 1)


def test_a_bluezone_day_has_96_identifiers_unless_told_otherwise() -> None:
    """What the phones do when the record does not say."""
    assert len(bluezone.day_identifiers(bytes(32))) == 96 * 12


def test_exposure_intervals_are_unsigned_32_bit_numbers() -> None:
    """The first interval of all and the last ones are taken, what does not fit is not."""
    assert len(gaen.rolling_identifiers(bytes(16), 0, 144)) == 144 * 16
    assert len(gaen.rolling_identifiers(bytes(16), 2**32 - 1 - 144, 144)) == 144 * 16
    for start in (-1, 2**32 - 144):
        with pytest.raises(BadDataError):
            gaen.rolling_identifiers(bytes(16), start, 144)


@pytest.mark.parametrize("name", ["3abcccdef3", "1abcdef12x", "xabcdefg21"])
def test_a_name_whose_digits_do_not_fit_hides_nothing(name: str) -> None:
    """Equal digits, although the decoys would fit, and letters where the digits belong: an iPhone, no identifier."""
    sighting = bluezone.decode(named(name))

    assert sighting is not None
    assert sighting.kind is Kind.PRESENCE
