"""The centre's signed time: read only with the fleet's key, only by an appointed key, only within its span."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed, signed_time
from edge_scanner.core.errors import DocumentForgedError, LogError, MalformedError

FLEET, KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))
BEGIN_S, END_S = 1_800_000_000, 1_830_000_000
NOW_S = 1_810_000_000


def appointment(fleet: Ed25519PrivateKey = FLEET, key: Ed25519PrivateKey = KEY) -> bytes:
    """An appointment from BEGIN_S to END_S."""
    return signed_time.appoint(key.public_key(), not_before_s=BEGIN_S, not_after_s=END_S, fleet_key=fleet)


@pytest.mark.parametrize("at_s", [BEGIN_S, NOW_S, END_S])
def test_a_signed_time_is_read(at_s: int) -> None:
    """What the appointed key signs is the time, from the first to the last second of its span."""
    message = signed_time.sign(at_s, appointment=appointment(), key=KEY)

    assert signed_time.read(message, FLEET.public_key()) == at_s
    assert len(message) < signed_time.MAX_DOCUMENT_BYTES


@pytest.mark.parametrize("at_s", [BEGIN_S - 1, END_S + 1])
def test_no_time_outside_of_the_span(at_s: int) -> None:
    """Neither does the publisher sign it, nor does a box read it when somebody else did."""
    with pytest.raises(MalformedError, match="outside"):
        signed_time.sign(at_s, appointment=appointment(), key=KEY)
    with pytest.raises(MalformedError, match="outside"):
        signed_time.read(forged(at=at_s), FLEET.public_key())


def forged(*, signer: Ed25519PrivateKey = KEY, **changes: Any) -> bytes:
    """A message with some members changed, signed as a message is."""
    envelope = signed.parse(appointment(), limit=4096)
    body = {"appointment": envelope, "at": NOW_S, "format": "edge-scanner/time/1", **changes}
    return signed.sign(body, label="edge-scanner time v1", keys=[signer])


def appointed(**changes: Any) -> dict[str, Any]:
    """An appointment with some members changed, signed by the fleet."""
    body = {
        "format": "edge-scanner/time-key/1",
        "key": base64.b64encode(KEY.public_key().public_bytes_raw()).decode(),
        "not_before": BEGIN_S,
        "not_after": END_S,
        **changes,
    }
    envelope: dict[str, Any] = signed.parse(
        signed.sign(body, label="edge-scanner time key v1", keys=[FLEET]), limit=4096
    )
    return envelope


def test_the_forgery_is_good_when_nothing_is_changed() -> None:
    """What the other tests change is the only thing that is wrong."""
    assert signed_time.read(forged(), FLEET.public_key()) == NOW_S
    assert signed_time.read(forged(appointment=appointed()), FLEET.public_key()) == NOW_S


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"1810000000", id="a number"),
        pytest.param(b"{" + b" " * 5000 + b"}", id="too long"),
        pytest.param(forged(signer=OTHER), id="signed by another key"),
        pytest.param(forged(signer=FLEET), id="signed by the fleet's own key"),
        pytest.param(forged(at=str(NOW_S)), id="a time that is text"),
        pytest.param(forged(format="edge-scanner/time/2"), id="another format"),
        pytest.param(forged(appointment=signed.parse(appointment(OTHER), limit=4096)), id="another fleet's key"),
        pytest.param(forged(appointment={}), id="no appointment"),
        pytest.param(forged(appointment=appointed(format="x")), id="another document of the fleet"),
        pytest.param(forged(appointment=appointed(key="AAAA")), id="no key"),
        pytest.param(forged(appointment=appointed(not_before=END_S)), id="an empty span"),
        pytest.param(forged(appointment=appointed(not_before=-1)), id="a span before all time"),
        pytest.param(forged(appointment=appointed(not_after=BEGIN_S + 801 * 86_400)), id="too long a span"),
        pytest.param(signed_time.sign(NOW_S, appointment=appointment(), key=KEY).replace(b"181", b"182"), id="changed"),
    ],
)
def test_anything_else_is_refused(message: bytes) -> None:
    """A message that is not exactly what the fleet's key stands for proves no time."""
    with pytest.raises(LogError):
        signed_time.read(message, FLEET.public_key())


def test_the_publisher_notices_a_wrong_key_or_appointment() -> None:
    """A key beside another's appointment, and an appointment for too long, are refused where they are made."""
    with pytest.raises(MalformedError, match="another key"):
        signed_time.sign(NOW_S, appointment=appointment(), key=OTHER)
    with pytest.raises(MalformedError, match="too long"):
        signed_time.appoint(KEY.public_key(), not_before_s=0, not_after_s=801 * 86_400, fleet_key=FLEET)


def test_a_signature_of_another_kind_is_none() -> None:
    """A document that the fleet signed for something else appoints nobody."""
    other = signed.sign(appointed()["body"], label="edge-scanner manifest v1", keys=[FLEET])
    with pytest.raises(DocumentForgedError):
        signed_time.read(forged(appointment=signed.parse(other, limit=4096)), FLEET.public_key())


def test_each_box_has_a_topic_of_its_own() -> None:
    """Below `down`, where a box hears only what is for it."""
    assert signed_time.topic("K7MP2R9CX4") == "edge-scanner/v1/d/K7MP2R9CX4/down/time"
