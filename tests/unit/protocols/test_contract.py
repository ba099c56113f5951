"""What every file in `protocols/` keeps; a new file is found by itself."""

from __future__ import annotations

import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner import protocols
from edge_scanner.core.advertising import AdvertisingData, parse
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import (
    PAYLOAD_BYTES,
    AddressType,
    Advert,
    BeaconProtocol,
    DayKey,
    Kind,
    PhoneClass,
    Sighting,
)

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

VECTORS = Path(__file__).parents[2] / "vectors"
NAMES = [module.name for module in pkgutil.iter_modules(protocols.__path__)]
LOADED = protocols.load(NAMES)

FOREIGN = {
    "nothing": "",
    "flags only": "020106",
    "Apple nearby": "02011A020A0C0BFF4C001006331A1F2A5B6C",
    "AirPods": "1EFF4C000719010E202B668F01000400000000000000000000000000000000",
    "Find My tag": "1EFF4C001219000102030405060708090A0B0C0D0E0F101112131415161718",
    "Microsoft Swift Pair": "0201061BFF0600030080536F6D65206D6F75736520776974682061206E616D",
    "Eddystone": "0201060303AAFE1516AAFE00E700010203040506070809000000000000",
    "Fast Pair": "03032CFE06162CFE000102",
    "a watch with a heart rate and a name": "02010603030D1809094D79205761746368",
    "Withings scales": "02010609FFFF03000102030405",
}


def advert(data: AdvertisingData, address_type: AddressType = AddressType.UNKNOWN) -> Advert:
    """An advert heard once."""
    return Advert(
        data=data,
        address_tag=bytes(8),
        address_type=address_type,
        first_s=1596844800.0,
        last_s=1596844800.0,
        rssi_sum=-60,
        rssi_max=-60,
    )


def vectors(name: str, part: str) -> list[dict[str, Any]]:
    """One part of a protocol's vector file: `adverts` or `derivations`."""
    items: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())[part]
    return items


def cases(part: str) -> list[ParameterSet]:
    """Every protocol with every one of its vectors."""
    return [
        pytest.param(protocol, item, id=f"{protocol.name}: {item['why']}")
        for protocol in LOADED
        for item in vectors(protocol.name, part)
    ]


RECOGNISED = [
    (protocol.name, bytes.fromhex(item["advert"]))
    for protocol in LOADED
    for item in vectors(protocol.name, "adverts")
    if item["kind"]
]


def assert_sound(protocol: BeaconProtocol, sighting: Sighting | None) -> None:
    """A sighting, if any, keeps the promises of the model."""
    if sighting is None:
        return
    assert sighting.protocol is protocol
    assert sighting.payload.startswith(sighting.identifier)
    assert len(sighting.payload) <= PAYLOAD_BYTES
    assert bool(sighting.identifier) == bool(sighting.payload) == (sighting.kind is Kind.IDENTIFIED)


@pytest.mark.parametrize("protocol", LOADED, ids=NAMES)
def test_describes_itself(protocol: BeaconProtocol) -> None:
    """A protocol is named as its file, has a log tag of one byte, and says which specification it follows."""
    assert protocol.name == NAMES[LOADED.index(protocol)]
    assert 1 <= protocol.tag <= 255
    assert protocol.specification


def test_tags_are_unique() -> None:
    """No two protocols share a log tag."""
    assert len({protocol.tag for protocol in LOADED}) == len(LOADED)


def test_published_tags_stay() -> None:
    """The log's tags mean for ever what they meant in the first release."""
    published = {
        "bluezone": 1,
        "gaen": 2,
        "dp3t": 3,
        "robert": 4,
        "bluetrace_lite": 5,
        "bluetrace": 6,
        "herald": 7,
        "tcn": 8,
    }

    assert published.items() <= {protocol.name: protocol.tag for protocol in LOADED}.items()


@pytest.mark.parametrize("protocol", LOADED, ids=NAMES)
def test_lifetimes_exist_where_identifiers_do(protocol: BeaconProtocol) -> None:
    """A protocol that identifies tells for every phone class how long an identifier lives: minutes, not hours."""
    identifies = Kind.IDENTIFIED in protocol.kinds

    assert set(protocol.lifetime_s) == (set(PhoneClass) if identifies else set())
    assert all(600 <= lifetime_s <= 1800 for lifetime_s in protocol.lifetime_s.values())


@pytest.mark.parametrize("protocol", LOADED, ids=NAMES)
def test_has_vectors_of_both_kinds(protocol: BeaconProtocol) -> None:
    """The vector file holds every kind the protocol gives and foreign adverts, and derivations for a `derive`."""
    kinds = {item["kind"] for item in vectors(protocol.name, "adverts")}

    assert kinds == {None, *protocol.kinds}
    assert protocol.kinds
    assert bool(vectors(protocol.name, "derivations")) == (protocol.derive is not None)


@pytest.mark.parametrize(("protocol", "item"), cases("adverts"))
def test_recognises_its_vectors(protocol: BeaconProtocol, item: dict[str, Any]) -> None:
    """Every advert of the vector file gives exactly the expected sighting, or none."""
    heard = advert(parse(bytes.fromhex(item["advert"])), AddressType[item.get("address_type", "unknown").upper()])

    sighting = protocol.decode(heard)

    expected = item["kind"] and Sighting(
        protocol=protocol,
        kind=Kind(item["kind"]),
        phone_class=PhoneClass(item["phone_class"]),
        identifier=bytes.fromhex(item.get("identifier", "")),
        payload=bytes.fromhex(item.get("payload", "")),
        advert=heard,
    )
    assert sighting == expected


@pytest.mark.parametrize(("protocol", "item"), cases("derivations"))
def test_derives_its_vectors(protocol: BeaconProtocol, item: dict[str, Any]) -> None:
    """Every day key of the vector file gives the expected identifiers and times, or is refused at once."""
    assert protocol.derive is not None
    key = DayKey(
        key=bytes.fromhex(item["key"]),
        start_s=item["start_s"],
        end_s=item["end_s"],
        rotations=item.get("rotations", 96),
        chain_lag=item.get("chain_lag", 0),
    )
    if "refused" in item:
        with pytest.raises(BadDataError) as refusal:
            protocol.derive(key)
        assert refusal.value.where == item["refused"]
        assert item["key"].lower() not in str(refusal.value).lower()
        return

    derived = list(protocol.derive(key))

    assert len(derived) == item["count"]
    assert len({one.identifier for one in derived}) == item["count"]
    for expected in item["identifiers"]:
        one = derived[expected["index"]]
        assert one.identifier == bytes.fromhex(expected["identifier"])
        assert (one.start_s, one.end_s) == (expected["start_s"], expected["end_s"])


@pytest.mark.parametrize("protocol", LOADED, ids=NAMES)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_passes_over_foreign_adverts(protocol: BeaconProtocol, foreign: str) -> None:
    """An advert of another product is not a sighting."""
    assert protocol.decode(advert(parse(bytes.fromhex(FOREIGN[foreign])))) is None


@pytest.mark.parametrize("protocol", LOADED, ids=NAMES)
def test_passes_over_the_other_protocols(protocol: BeaconProtocol) -> None:
    """An advert that another protocol recognises is not a sighting of this one."""
    for name, data in RECOGNISED:
        if name != protocol.name:
            assert protocol.decode(advert(parse(data))) is None


@given(data=st.binary(max_size=300))
def test_survives_arbitrary_bytes(data: bytes) -> None:
    """Whatever is on air decodes without raising."""
    parsed = parse(data)
    for protocol in LOADED:
        assert_sound(protocol, protocol.decode(advert(parsed)))


@given(
    data=st.sampled_from([data for _, data in RECOGNISED]),
    changes=st.lists(st.tuples(st.integers(min_value=0), st.integers(min_value=0, max_value=255)), max_size=4),
    cut=st.integers(min_value=0, max_value=12),
    address_type=st.sampled_from(AddressType),
)
def test_survives_damaged_adverts(
    data: bytes, changes: list[tuple[int, int]], cut: int, address_type: AddressType
) -> None:
    """A recognisable advert with bytes changed and its end cut off never makes a decoder raise."""
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    parsed = parse(bytes(damaged[: len(damaged) - cut]))
    for protocol in LOADED:
        assert_sound(protocol, protocol.decode(advert(parsed, address_type)))


@given(
    uuids=st.lists(st.sampled_from(sorted({uuid for _, data in RECOGNISED for uuid in parse(data).service_uuids}))),
    service_data=st.dictionaries(
        st.sampled_from(sorted({uuid for _, data in RECOGNISED for uuid in parse(data).service_data})),
        st.binary(max_size=24),
    ),
    manufacturer_data=st.dictionaries(
        st.sampled_from(sorted({company for _, data in RECOGNISED for company in parse(data).manufacturer_data})),
        st.binary(max_size=24),
    ),
    name=st.none() | st.text(max_size=12) | st.from_regex(r"[0-6][A-Za-z0-9]{8}[0-6]", fullmatch=True),
    flags=st.none() | st.integers(min_value=0, max_value=255),
)
def test_survives_any_content_under_known_names(
    uuids: list[str],
    service_data: dict[str, bytes],
    manufacturer_data: dict[int, bytes],
    name: str | None,
    flags: int | None,
) -> None:
    """Known UUIDs and companies with any content, merged in any way, never make a decoder raise."""
    data = AdvertisingData(
        flags=flags,
        service_uuids=tuple(uuids),
        service_data=service_data,
        manufacturer_data=manufacturer_data,
        local_name=name,
    )
    for protocol in LOADED:
        assert_sound(protocol, protocol.decode(advert(data)))


MARKS = sorted({mark for protocol in LOADED for mark in protocol.marks}, key=str)


@given(
    st.sets(st.sampled_from(MARKS)),
    st.sets(st.sampled_from(MARKS)),
    st.lists(st.binary(max_size=24), min_size=len(MARKS), max_size=len(MARKS)),
    st.text(max_size=12),
)
def test_an_advert_is_asked_about_by_its_marks(
    shown: set[str | int], held: set[str | int], values: list[bytes], name: str
) -> None:
    """What has none of a protocol's marks is never its own, so that not asking loses nothing."""
    heard = advert(
        AdvertisingData(
            service_uuids=tuple(mark for mark in shown if isinstance(mark, str)),
            service_data={
                mark: value for mark, value in zip(MARKS, values, strict=True) if mark in held and isinstance(mark, str)
            },
            manufacturer_data={
                mark: value for mark, value in zip(MARKS, values, strict=True) if mark in held and isinstance(mark, int)
            },
            local_name=name,
        )
    )
    asked = [sighting for protocol in LOADED if (sighting := protocol.decode(heard)) is not None]
    assert protocols.recognise(LOADED, heard) == asked
    for protocol in LOADED:
        if protocol.marks.isdisjoint(shown | held):
            assert protocol.decode(heard) is None


@pytest.mark.parametrize("protocol", LOADED, ids=lambda protocol: protocol.name)
def test_every_vector_has_a_mark(protocol: BeaconProtocol) -> None:
    """A protocol without marks would never be asked."""
    for item in vectors(protocol.name, "adverts"):
        heard = advert(parse(bytes.fromhex(item["advert"])))
        assert protocols.recognise([protocol], heard) == list(filter(None, [protocol.decode(heard)]))
