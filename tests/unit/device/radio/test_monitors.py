"""The patterns of passive scanning let through whatever a protocol recognises, with flags and without."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge_scanner.core.advertising import parse
from edge_scanner.core.model import AddressType, Advert
from edge_scanner.device.radio.monitors import FLAGS, MONITOR_SIZE, MONITORS, PATTERNS
from edge_scanner.protocols import load
from tests.support.bluez_patterns import match

VECTORS = Path(__file__).parents[3] / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.json") if path.stem != "segment")


def structures(data: bytes) -> list[tuple[int, bytes]]:
    """AD type and content of each structure."""
    found = []
    while data and data[0]:
        found.append((data[1], data[2 : 1 + data[0]]))
        data = data[1 + data[0] :]
    return found


def spelt(fields: list[tuple[int, bytes]]) -> bytes:
    """The other way round."""
    return b"".join(bytes([len(content) + 1, kind]) + content for kind, content in fields)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_protocol_recognises_passes(name: str) -> None:
    """Every advert of the vectors that is a sighting, and what is left of it when its flags are taken away."""
    (protocol,) = load([name])
    passed = 0
    for vector in json.loads((VECTORS / f"{name}.json").read_text())["adverts"]:
        whole = structures(bytes.fromhex(vector["advert"]))
        for fields in (whole, [field for field in whole if field[0] != FLAGS]):
            advert = Advert(
                data=parse(spelt(fields)),
                address_tag=bytes(8),
                address_type=AddressType.RESOLVABLE,
                first_s=0.0,
                last_s=0.0,
                rssi_sum=-60,
                rssi_max=-60,
            )
            if protocol.decode(advert) is not None:
                assert match(PATTERNS, fields), vector["why"]
                passed += 1
    assert passed


def test_monitors_are_small_enough_for_bluetoothd() -> None:
    """No monitor has more patterns than bluetoothd 5.66 has room for, and together they have all."""
    assert sum(MONITORS, ()) == PATTERNS
    assert max(map(len, MONITORS)) <= MONITOR_SIZE
    assert len(set(PATTERNS)) == len(PATTERNS)
    assert all(re.fullmatch(rb".{1,31}", head, re.DOTALL) for _, _, head in PATTERNS)
