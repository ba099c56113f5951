"""A mandate can end today: the list of keys that the root signs, which only grows."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, MalformedError, RefusedError
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.pull import policy, request, revocations
from edge_scanner.core.pull.policy import Circumstances, Policy
from edge_scanner.core.pull.revocations import NONE, Revocations
from tests.support.office import Office

NOW_S = 1_795_903_200
OFFICE = Office(NOW_S)
ROOT = [OFFICE.root.public_key()]
BOX = "K7MP2R9CX4"
KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key().public_bytes_raw() for n in range(1, 4)]


def listed(version: int, *keys: bytes) -> Revocations:
    """A list."""
    return Revocations(version=version, keys=frozenset(keys))


def test_a_signed_list_comes_back_whole() -> None:
    """Under the root and no other key; its digest is that of the body."""
    document = revocations.sign(listed(2, *KEYS), [OFFICE.root])
    assert revocations.verify(document, ROOT) == listed(2, *KEYS)
    with pytest.raises(DocumentForgedError):
        revocations.verify(document, [Ed25519PrivateKey.generate().public_key()])
    assert listed(2, *KEYS).digest != listed(3, *KEYS).digest


def test_a_list_only_grows() -> None:
    """A higher version with all former keys; an older one, another of that number, one that forgives: refused."""
    old, new = listed(1, KEYS[0]), listed(2, KEYS[0], KEYS[1])
    assert revocations.supersede(NONE, old) == old
    assert revocations.supersede(old, new) == new
    assert revocations.supersede(new, new) == new
    for candidate in (old, listed(2, KEYS[0]), listed(3, KEYS[1])):
        with pytest.raises(MalformedError):
            revocations.supersede(new, candidate)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x"},
        {"version": 0},
        {"keys": []},
        {"keys": [7]},
        {"keys": ["?"]},
        {"keys": ["AAAA"]},
        {"keys": [base64.b64encode(bytes(32)).decode()]},
        {"keys": [base64.b64encode(KEYS[0]).decode()] * 2},
        {"keys": [base64.b64encode(key).decode() for key in sorted(KEYS, reverse=True)]},
        {"keys": [base64.b64encode(KEYS[0]).decode()] * (revocations.MAX_KEYS + 1)},
    ],
)
def test_a_list_that_makes_no_sense_is_malformed_even_when_signed(change: dict[str, Any]) -> None:
    """Wrong version, no key, no keys at all, small order, twice, out of order, too many."""
    body = {"format": "edge-scanner/revocations/1", "version": 1, "keys": [base64.b64encode(KEYS[0]).decode()]}
    document = signed.sign(body | change, label=revocations.LABEL, keys=[OFFICE.root])
    with pytest.raises(MalformedError):
        revocations.verify(document, ROOT)
    with pytest.raises(MalformedError):
        revocations.sign(NONE, [OFFICE.root])


@pytest.mark.parametrize("person", [OFFICE.officer, OFFICE.approver])
def test_a_box_refuses_an_order_under_a_revoked_mandate(person: Any) -> None:
    """Good signatures, good dates, and a name on the list: refused by name; the control is the same order before."""
    asked = request.read(OFFICE.signed(OFFICE.request(BOX)))
    limits = Policy(enabled=True, max_hours=24, requests_per_day=4, retention_days=14)

    def box(*revoked: bytes) -> Circumstances:
        return Circumstances(
            device=BOX,
            now_s=NOW_S,
            clock=ClockQuality.NTP,
            nonce_seen=False,
            answered_today=0,
            revoked=frozenset(revoked),
        )

    policy.check(asked, ROOT, limits, box(KEYS[0]))
    with pytest.raises(RefusedError) as refusal:
        policy.check(asked, ROOT, limits, box(person.key.public_key().public_bytes_raw()))
    assert refusal.value.code == "mandate_revoked"
