"""Canonical JSON and signed envelopes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, LogError, MalformedError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz_"), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_canonical_text_has_one_spelling(value: Any) -> None:
    """What is written is read back, and no other spelling of it is."""
    text = signed.canonical(value)
    assert signed.parse(text, limit=10_000) == value
    with pytest.raises(MalformedError):
        signed.parse(text + b" ", limit=10_000)


@pytest.mark.parametrize(
    "value", [1.5, 2**53, -(2**53), {"\u00e9": 1}, {1: 1}, b"x", "\ud800", [object()], float("nan")]
)
def test_values_two_readers_could_disagree_about_are_refused(value: Any) -> None:
    """Fractions, huge integers, odd keys and broken text have no canonical form."""
    with pytest.raises(MalformedError):
        signed.canonical(value)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"1.0", b"NaN", b"\xff", b"[" * 100_000, b"[" * 18 + b"]" * 18],
)
def test_bytes_that_are_not_canonical_are_malformed(text: bytes) -> None:
    """Wrong order, repeated keys, fractions and deep nesting are refused."""
    with pytest.raises(MalformedError):
        signed.parse(text, limit=1_000_000)


def test_a_document_longer_than_its_limit_is_malformed() -> None:
    """The limit holds before anything is parsed."""
    with pytest.raises(MalformedError, match="longer than 3"):
        signed.parse(b"[1,2]", limit=3)


def test_limits_themselves_are_allowed() -> None:
    """A document as long, as deep and signed as often as may be is read; one more of anything is not."""
    assert signed.parse(b"[1,2]", limit=5) == [1, 2]
    lists: Any = 1
    objects: Any = 1
    for _ in range(16):
        lists, objects = [lists], {"a": objects}
    for deep in (lists, objects):
        assert signed.parse(signed.canonical(deep), limit=999) == deep
        with pytest.raises(MalformedError, match="deeper than 16"):
            signed.canonical([deep])
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(17)]
    for number in (16, 17):
        document = signed.sign({"a": 1}, label="one", keys=keys[:number])
        if number == 16:
            assert signed.verify(document, label="one", keys=[keys[7].public_key()], limit=4000) == {"a": 1}
        else:
            with pytest.raises(MalformedError, match="more than 16"):
                signed.verify(document, label="one", keys=[keys[0].public_key()], limit=4000)


def test_signatures_say_their_algorithm() -> None:
    """The names are part of the format."""
    post_quantum = MLDSA65PrivateKey.from_seed_bytes(b"\2" * 32)
    document = json.loads(signed.sign({"a": 1}, label="one", keys=[KEY, post_quantum]))

    assert [entry["algorithm"] for entry in document["signatures"]] == ["ed25519", "ml-dsa-65"]


def test_a_signature_for_one_kind_of_document_is_none_for_another() -> None:
    """The label is signed first."""
    document = signed.sign({"a": 1}, label="one", keys=[KEY])
    assert signed.verify(document, label="one", keys=[KEY.public_key()], limit=999) == {"a": 1}
    with pytest.raises(DocumentForgedError):
        signed.verify(document, label="two", keys=[KEY.public_key()], limit=999)


def test_a_signature_covers_the_body() -> None:
    """Another body under the same signature is forged, and the key's name has sixteen digits."""
    document = json.loads(signed.sign({"a": 1}, label="one", keys=[KEY]))
    assert len(document["signatures"][0]["key"]) == 16
    with pytest.raises(DocumentForgedError):
        signed.verify(signed.canonical({**document, "body": {"a": 2}}), label="one", keys=[KEY.public_key()], limit=999)


def envelope(**change: object) -> bytes:
    """A signed document whose envelope was changed."""
    document = json.loads(signed.sign({"a": 1}, label="one", keys=[KEY]))
    return signed.canonical({**document, **change})


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        envelope(body=[]),
        envelope(signatures={}),
        envelope(signatures=["x"]),
        envelope(signatures=[{"algorithm": "ed25519", "key": "x"}]),
        envelope(signatures=[{"algorithm": "ed25519", "key": "x", "value": "?"}]),
        envelope(signatures=[{"algorithm": "ed25519", "key": str(n), "value": ""} for n in range(17)]),
        envelope(signatures=[{"algorithm": "ed25519", "key": "x", "value": ""}] * 2),
    ],
)
def test_an_envelope_of_another_shape_is_malformed(document: bytes) -> None:
    """Missing members and wrong types are named."""
    with pytest.raises(MalformedError):
        signed.verify(document, label="one", keys=[KEY.public_key()], limit=9999)


def test_an_absent_signature_is_a_forged_document() -> None:
    """No signature and a wrong one are the same to the reader."""
    name = signed.key_name(KEY.public_key())
    wrong = base64.b64encode(bytes(64)).decode()
    for signatures in ([], [{"algorithm": "ed25519", "key": name, "value": wrong}]):
        with pytest.raises(DocumentForgedError):
            signed.verify(envelope(signatures=signatures), label="one", keys=[KEY.public_key()], limit=9999)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_named_errors(data: bytes) -> None:
    """No byte string gets past as a signed document."""
    with pytest.raises(LogError):
        signed.verify(data, label="one", keys=[KEY.public_key()], limit=999)


def _pem(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public


def test_a_pem_file_holds_root_keys() -> None:
    """One or both algorithms, in one file."""
    post_quantum = MLDSA65PrivateKey.generate()

    assert signed.verify_keys(_pem(KEY)) == [KEY.public_key()]
    assert len(signed.verify_keys(_pem(KEY) + b"\n" + _pem(post_quantum))) == 2


@pytest.mark.parametrize("pem", [b"", b"no PEM", _pem(ec.generate_private_key(ec.SECP256R1()))])
def test_other_files_hold_none(pem: bytes) -> None:
    """Nothing, not PEM, another algorithm."""
    with pytest.raises(MalformedError):
        signed.verify_keys(pem)


def test_without_a_key_nothing_is_signed() -> None:
    """A box with no pinned root takes no document for genuine, however it is signed."""
    document = signed.sign({"a": 1}, label="one", keys=[KEY])

    with pytest.raises(DocumentForgedError):
        signed.verify(document, label="one", keys=[], limit=999)


def test_signatures_are_added_once() -> None:
    """A second party's signature joins the first; both hold, and adding one that is there changes nothing."""
    other = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    once = signed.sign({"a": 1}, label="one", keys=[KEY])
    twice = signed.add_signatures(once, label="one", keys=[other], limit=9999)
    assert signed.verify(twice, label="one", keys=[KEY.public_key(), other.public_key()], limit=9999) == {"a": 1}
    assert signed.add_signatures(twice, label="one", keys=[KEY, other], limit=9999) == twice
    with pytest.raises(DocumentForgedError):
        signed.verify(once, label="one", keys=[KEY.public_key(), other.public_key()], limit=9999)
