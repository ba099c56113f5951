"""The pinned vectors of the log format: today's reader and the second reader both read yesterday's bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_scanner.core.log import bundle, frames, opener, recipients
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.ratchet import Ratchet
from edge_scanner.core.log.roots import Roots
from tests.support import second_reader

FILE = Path(__file__).parents[3] / "vectors" / "segment.json"


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    """The vectors."""
    value: dict[str, Any] = json.loads(FILE.read_text())
    return value


def raw(text: str) -> bytes:
    """Bytes of the file."""
    return base64.b64decode(text)


def as_json(content: frames.Content) -> dict[str, Any]:
    """A content in the second reader's words."""
    if isinstance(content, frames.End):
        return {
            "end": content.reason,
            "frames": content.frames,
            "utc": content.utc_ms,
            "monotonic": content.monotonic_ms,
        }
    if isinstance(content, frames.ClockEvent):
        return {
            "before": content.before,
            "after": content.after,
            "expected": content.expected_ms,
            "utc": content.utc_ms,
            "monotonic": content.monotonic_ms,
        }
    return {
        "minute": content.minute_s,
        "listened": content.listened_s,
        "dropped": content.dropped,
        "monotonic": content.monotonic_ms,
        "records": [
            [
                found.protocol_tag,
                found.payload.hex(),
                found.adverts,
                found.rssi_mean,
                found.rssi_max,
                found.first_second,
                found.last_second,
            ]
            for found in content.encounters
        ],
    }


def test_the_product_reads_the_vectors(pinned: dict[str, Any]) -> None:
    """Recipient set, bundle, checkpoint, shares, keys, links, leaf and contents are what the file says."""
    identity = Ed25519PublicKey.from_public_bytes(raw(pinned["identity_key"]))
    pinned_roots = Roots(parties=tuple((Ed25519PublicKey.from_public_bytes(raw(key)),) for key in pinned["root_keys"]))
    known = recipients.verify(pinned["recipient_set"].encode(), pinned_roots)
    claim = bundle.read_manifest(pinned["manifest"].encode(), device=pinned["device"], identity=identity)
    [segment] = bundle.verify_bundle(
        claim,
        [raw(pinned["body"])],
        identity=identity,
        checkpoints=[pinned["checkpoint"].encode()],
        recipients=[known],
    )
    derived = pinned["derived"]
    keys = {bytes.fromhex(key_id): raw(key) for key_id, key in pinned["private_keys"].items()}
    header = segment.row.header
    seeds = opener.open_shares(header, keys)
    assert [seeds[part].hex() for part in sorted(seeds)] == derived["seeds"]
    digest = hashlib.sha256(header).digest()
    parts = opener.part_keys(header, keys)
    for part, pinned_keys in enumerate(derived["part_keys"]):
        assert parts[part].events.hex() == pinned_keys["events"]
        assert {str(minute): key.hex() for minute, key in parts[part].minutes.items()} == {
            place: key for place, key in pinned_keys.items() if place != "events"
        }
    live = Ratchet([bytearray(seeds[part]) for part in sorted(seeds)], digest)
    assert live.events.hex() == derived["keys"]["events"]
    for minute in (0, 1, 59):
        live.turn(minute)
        assert live.minute.hex() == derived["keys"][str(minute)]
    assert layout.link_of(digest, segment.frames).hex() == derived["links"][-1]
    assert claim.leaves[0].hex() == derived["leaf"]
    contents = list(opener.open_frames(header, parts, segment.frames, unclean=segment.unclean))
    assert [as_json(content) for content in contents] == derived["contents"]


def test_the_second_reader_reads_the_vectors(pinned: dict[str, Any]) -> None:
    """The reader written from the specification agrees, contents and all."""
    identity = raw(pinned["identity_key"])
    keys = {bytes.fromhex(key_id): raw(key) for key_id, key in pinned["private_keys"].items()}
    opened = second_reader.read_bundle(pinned["manifest"].encode(), raw(pinned["body"]), identity, keys)
    assert opened == {0: pinned["derived"]["contents"]}
    body = second_reader.read_recipients(pinned["recipient_set"].encode(), list(map(raw, pinned["root_keys"])))
    assert {entry["key_id"] for entry in body["recipients"]} == set(pinned["private_keys"])
    boot_key = bytes.fromhex(pinned["derived"]["boot"]["key"])
    device, size, root = second_reader.read_checkpoint(pinned["checkpoint"].encode(), boot_key)
    assert (device, size, root.hex()) == (pinned["device"], 1, pinned["derived"]["leaf"])


def test_the_vectors_hold_what_was_sealed(pinned: dict[str, Any]) -> None:
    """A full minute, the clock event, an empty minute with drops, END: as the maker fed them."""
    full, event, empty, end = pinned["derived"]["contents"]
    assert [len(full["records"]), full["listened"], full["dropped"]] == [153, 58, 0]
    payload = hashlib.sha256(b"phone 9 0").digest()[:12].hex() + "00" * 8
    assert full["records"][9] == [1, payload, 10, -81, -71, 9, 39]
    assert (event["before"], event["after"], event["utc"] - event["expected"]) == (2, 1, -25_000)
    assert (empty["records"], empty["dropped"]) == ([], 3)
    assert (end["end"], end["frames"]) == (2, 3)
