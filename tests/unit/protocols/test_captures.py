"""Real adverts and the official vectors, whole; they stand outside the repository (EDGE_SCANNER_DATA)."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core.advertising import AdvertisingData, parse, uuid16
from edge_scanner.core.model import AddressType, Advert, DayKey, Kind, PhoneClass, Sighting
from edge_scanner.protocols import dp3t, gaen, load, recognise

if TYPE_CHECKING:
    from pathlib import Path

EVERY = load(["bluezone", "gaen", "dp3t", "robert", "bluetrace_lite", "bluetrace", "herald", "tcn"])


@pytest.fixture(scope="module")
def captured(captures: Path) -> dict[str, dict[str, Any]]:
    """The single captured adverts by id."""
    items = json.loads((captures / "captured-adverts/captured_adverts.json").read_text())
    return {item["id"]: item for item in items}


def sightings(item: dict[str, Any]) -> list[Sighting]:
    """What all protocols see in a captured item, whole or as the part that was kept of it."""
    if "adv_hex" in item:
        data = parse(bytes.fromhex(item["adv_hex"]))
    else:
        service_data = (
            {uuid16(int(item["service_uuid"], 16)): bytes.fromhex(item["service_data_hex"])}
            if "service_uuid" in item
            else {}
        )
        field = bytes.fromhex(item.get("manufacturer_field_hex", "0000"))
        data = AdvertisingData(
            service_data=service_data, manufacturer_data={int.from_bytes(field[:2], "little"): field[2:]}
        )
    mac = item.get("mac")
    classes = (AddressType.NON_RESOLVABLE, AddressType.RESOLVABLE, AddressType.UNKNOWN, AddressType.STATIC)
    advert = Advert(
        data=data,
        address_tag=bytes(8),
        address_type=classes[int(mac[:2], 16) >> 6] if mac else AddressType.UNKNOWN,
        first_s=0.0,
        last_s=0.0,
        rssi_sum=-60,
        rssi_max=-60,
    )
    return recognise(EVERY, advert)


@pytest.mark.parametrize(
    ("name", "phone_class"),
    [
        ("gaen-ios-scapy", PhoneClass.IPHONE),
        ("gaen-servicedata-only-scapy", PhoneClass.ANDROID),
        ("gaen-servicedata-theengs", PhoneClass.ANDROID),
        ("gaen-scanner-log-1", PhoneClass.IPHONE),
        ("gaen-scanner-log-2", PhoneClass.IPHONE),
        ("gaen-scanner-log-3", PhoneClass.IPHONE),
        ("gaen-android-noflags-1", PhoneClass.ANDROID),
        ("gaen-ios-exp25", PhoneClass.IPHONE),
    ],
)
def test_captured_exposure_notification(
    captured: dict[str, dict[str, Any]], name: str, phone_class: PhoneClass
) -> None:
    """Every captured Exposure Notification advert is recognised, by that protocol alone, with its phone's family."""
    item = captured[name]

    (sighting,) = sightings(item)

    payload = bytes.fromhex(item.get("adv_hex") or item["service_data_hex"])[-20:]
    assert (sighting.protocol.name, sighting.kind, sighting.phone_class) == ("gaen", Kind.IDENTIFIED, phone_class)
    assert sighting.payload == payload
    assert sighting.identifier == payload[:16]
    if "expect" in item:
        assert sighting.identifier.hex() == item["expect"]["rpi"]


def test_captured_bluetrace(captured: dict[str, dict[str, Any]]) -> None:
    """A captured BlueTrace Android shows presence and nothing that identifies it."""
    (sighting,) = sightings(captured["bluetrace-simmel"])

    assert (sighting.protocol.name, sighting.kind) == ("bluetrace", Kind.PRESENCE)
    assert (sighting.phone_class, sighting.payload) == (PhoneClass.ANDROID, b"")


def test_captured_company_field_alone_is_nothing(captured: dict[str, dict[str, Any]]) -> None:
    """A company field without the service UUID could come from anybody, so it is no sighting."""
    assert sightings(captured["bluetrace-blog"]) == []


def test_live_phone_matches_its_key(captured: dict[str, dict[str, Any]]) -> None:
    """The identifier received from a live phone is the one its key yields for that interval."""
    item = captured["gaen-live-android-tek"]

    assert gaen.rolling_identifiers(bytes.fromhex(item["tek"]), item["enin"], 1).hex() == item["rpi"]


def test_official_exposure_notification_vectors(captures: Path) -> None:
    """All 144 identifiers of the official key, in order and at their times, in bulk and one by one."""
    official = json.loads((captures / "gaen-vectors/gaen_v1_2_test_vectors.json").read_text())
    key = bytes.fromhex(official["tek"])
    start_interval = official["rolling_start_interval_number"]
    expected = [(vector["rpi"], vector["enin"] * 600) for vector in official["vectors"]]

    derived = list(gaen.derive(DayKey(key=key, start_s=start_interval * 600, end_s=(start_interval + 144) * 600)))
    bulk = gaen.rolling_identifiers(key, start_interval, official["rolling_period"])

    assert len(expected) == 144
    assert [(one.identifier.hex(), one.start_s) for one in derived] == expected
    assert bulk.hex() == "".join(identifier for identifier, _ in expected)


def test_official_dp3t_vectors(captures: Path) -> None:
    """The official key chain and EphIDs of three days."""
    official = json.loads((captures / "dp3t-vectors/dp3t_test_vectors.json").read_text())["lowcost"]
    first = bytes.fromhex(official["official_key0"])
    derived = list(dp3t.derive(DayKey(key=first, start_s=0, end_s=3 * 86_400)))

    assert sha256(first).hexdigest() == official["official_key1_sha256_of_key0"]
    for index, identifier in enumerate(official["official_ephids_key1_unshuffled_first3"]):
        assert derived[96 + index].identifier.hex() == identifier
    for day in official["recomputed_here_unshuffled"]:
        for index, identifier in day["ephids_unshuffled"].items():
            one = derived[96 * day["day"] + int(index)]
            assert one.identifier.hex() == identifier
            assert (one.start_s, one.end_s) == (86_400 * day["day"], 86_400 * (day["day"] + 1))
