"""What kind of thing an advertisement comes from: vectors written by hand from the specifications and captures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.advertising import AdvertisingData, parse
from edge_scanner.core.counts.device_class import FIGURES, DeviceClass, classify
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Advert
from tests.support.hearings import START_S

VECTORS = {
    "iPhone: Nearby Info": ("01 1A, 0A 0C, FF 4C001005031C2F3A4B", "phone"),
    "iPhone: Handoff before Nearby Info": ("FF 4C000C0E00112233445566778899AABBCCDD10050318A1B2C3", "phone"),
    "iPhone: AirDrop": ("FF 4C000512000000000000000001AABBCCDDEEFF001100", "phone"),
    "iPhone: apps in the background": ("FF 4C000100000000000000000000000000000080", "phone"),
    "Android: Nearby Share": ("03 F3FE, 16 F3FE4A17320000000000", "phone"),
    "Android: Exposure Notification": ("03 6FFD, 16 6FFD00112233445566778899AABBCCDDEEFF11223344", "phone"),
    "Windows laptop": ("FF 06000109200299AABBCCDDEEFF00112233445566778899AABBCCDDEEFF", "computer"),
    "AirPods: case open": ("FF 4C00071901142055AAB631000900112233445566778899AABBCCDDEE", "accessory"),
    "AirPods: case closed": ("FF 4C0012020003", "accessory"),
    "AirTag": ("FF 4C0012191000112233445566778899AABBCCDDEEFF001122334455660100", "accessory"),
    "Galaxy Buds: service": ("16 69FD0011223344556677", "accessory"),
    "Galaxy Buds: company": ("FF 750042098102141503210109EF0C", "accessory"),
    "Swift Pair": ("FF 060003008042756473", "accessory"),
    "Fast Pair": ("16 2CFE001122", "accessory"),
    "keyboard": ("01 06, 03 1218, 19 C103", "accessory"),
    "iBeacon": ("FF 4C00021500112233445566778899AABBCCDDEEFF00010002C5", "thing"),
    "AltBeacon": ("FF 1801BEAC00112233445566778899AABBCCDDEEFF00010002C500", "thing"),
    "Eddystone URL": ("03 AAFE, 16 AAFE10EB0061626307", "thing"),
    "AirPlay target": ("FF 4C0009081302C0A80001581B", "thing"),
    "lamp": ("FF 0F060102", "thing"),
    "sensor": ("16 D2FC4002C40903BF13", "thing"),
    "Samsung, not earbuds": ("FF 75000001", "unknown"),
    "Samsung, nothing": ("FF 7500", "unknown"),
    "Microsoft, another type": ("FF 060009", "unknown"),
    "Microsoft, nothing": ("FF 0600", "unknown"),
    "Apple, a type of tomorrow": ("FF 4C00550100", "unknown"),
    "Apple, cut off": ("FF 4C0010", "unknown"),
    "a company of no table": ("FF FEFF0102", "unknown"),
    "nothing": ("01 06", "unknown"),
}
"""Type and content of each structure, in hexadecimal, as on air; the lengths are set before them."""


def on_air(name: str) -> AdvertisingData:
    """The vector as a radio has it."""
    structures = [bytes.fromhex(part) for part in VECTORS[name][0].split(",")]
    return parse(b"".join(bytes([len(structure)]) + structure for structure in structures))


@pytest.mark.parametrize("name", VECTORS)
def test_class_of_what_is_on_air(name: str) -> None:
    """Each advertisement is of the class that its specification gives."""
    assert classify(on_air(name)).figure == VECTORS[name][1]


def test_classes_by_name() -> None:
    """The names that `edge-scanner replay --json` gives them."""
    assert set(FIGURES) == {"phone", "computer", "accessory", "thing", "unknown"}
    assert DeviceClass.PHONE.figure == "phone"


@given(
    st.dictionaries(st.integers(0, 0xFFFF) | st.sampled_from([6, 0x4C, 0x75]), st.binary(max_size=30), max_size=3),
    st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=2),
)
def test_any_payload_has_one_class(manufacturer_data: dict[int, bytes], service_data: dict[str, bytes]) -> None:
    """Whatever a stranger sends is of some class, and nothing is raised."""
    data = AdvertisingData(service_uuids=("?",), service_data=service_data, manufacturer_data=manufacturer_data)
    assert classify(data) in DeviceClass


def test_open_earbuds_leave_the_phones_alone() -> None:
    """A phone and one open case of earbuds, five addresses: one phone, five accessories, nothing else."""
    shown = ["iPhone: Nearby Info", *["AirPods: case closed"] * 3, *["AirPods: case open"] * 2]
    counter = Counter(())
    figures = []
    for minute in range(8):
        for second in range(0, 60, 10):
            at_s = START_S + minute * 60 + second + 0.5
            for number, name in enumerate(shown):
                advert = Advert(
                    data=on_air(name),
                    address_tag=b"address%d" % number,
                    first_s=at_s,
                    last_s=at_s,
                    rssi_sum=-60,
                    rssi_max=-60,
                )
                counter.add(advert, [])
        figures.append(counter.close(START_S + minute * 60).figures)
    nobody = dict.fromkeys(FIGURES, 0)
    assert figures[-1] == nobody | {"phone": 1, "accessory": 5, "passing": 0}
