"""Protocols are found by their files' names, and each looks at every advert."""

from __future__ import annotations

import pytest

from edge_scanner.core.advertising import AdvertisingData, parse
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.model import Advert, Kind
from edge_scanner.protocols import load, recognise

BLUEZONE = "0FFFB522130CEA6472130C185D8643DF0303564E"
EXPOSURE_NOTIFICATION = "17166FFD8BE6CD371C5C891604BFBE49DF84509672033874"


def heard(data: AdvertisingData) -> Advert:
    """An advert heard once."""
    return Advert(data=data, address_tag=bytes(8), first_s=0.0, last_s=0.0, rssi_sum=-60, rssi_max=-60)


def test_loads_in_the_order_asked_for() -> None:
    """The configuration decides which protocols are on and in which order they look."""
    assert [protocol.name for protocol in load(["gaen", "bluezone"])] == ["gaen", "bluezone"]


@pytest.mark.parametrize("name", ["bluezon", "", "../gaen", "gaen.decode", "os"])
def test_refuses_a_name_without_a_file(name: str) -> None:
    """A misspelt or outlandish name is the operator's mistake, told with the name."""
    with pytest.raises(ConfigurationError) as refusal:
        load([name])

    assert repr(name) in refusal.value.what


def test_two_apps_on_one_phone_are_two_sightings() -> None:
    """A receiver may merge a phone's adverts of two apps; both protocols recognise their own."""
    advert = heard(parse(bytes.fromhex(BLUEZONE + EXPOSURE_NOTIFICATION)))

    sightings = recognise(load(["bluezone", "gaen"]), advert)

    assert [(sighting.protocol.name, sighting.kind) for sighting in sightings] == [
        ("bluezone", Kind.IDENTIFIED),
        ("gaen", Kind.IDENTIFIED),
    ]


def test_a_foreign_advert_is_no_sighting() -> None:
    """An advert nobody recognises gives an empty list."""
    assert recognise(load(["bluezone", "gaen"]), heard(parse(bytes.fromhex("020106")))) == []
