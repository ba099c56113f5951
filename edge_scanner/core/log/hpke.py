"""Wrapping a segment's share for one recipient: HPKE base mode (RFC 9180), suites by number.

Both suites are hybrids of a post-quantum and a classical key agreement, because a card imaged today may be opened in
ten years; a classical suite is left out on purpose, so that no header can hold a weaker way in. The code points are
those of draft-ietf-hpke-pq (0x647A is X-Wing). The commitment against a box that shows two recipients two contents
stands in the segment header, since HPKE itself commits to nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_scanner.core import public_keys
from edge_scanner.core.errors import MalformedError, UnavailableError
from edge_scanner.core.log.errors import ShareRefusedError, UnknownSuiteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHARE_BYTES = 32
"""A share is as long as the segment's secret."""

PrivateKey = hpke.MLKEM768X25519PrivateKey | hpke.MLKEM1024P384PrivateKey
PublicKey = hpke.MLKEM768X25519PublicKey | hpke.MLKEM1024P384PublicKey

T = TypeVar("T")

_MLKEM_SEED_BYTES = 64
_P384_PRIVATE_BYTES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapSuite:
    """One way to wrap a share. Keys travel as raw bytes: the post-quantum part, then the classical part.

    Public: ML-KEM encapsulation key ‖ X25519 key or uncompressed P-384 point. Private: 64-byte ML-KEM seed ‖ X25519
    private key or 48-byte big-endian P-384 scalar. `sealed_bytes` is the length of a wrapped share.
    """

    number: int
    name: str
    hpke: hpke.Suite
    public_bytes: int
    private_bytes: int
    sealed_bytes: int
    load_public: Callable[[bytes], PublicKey]
    load_private: Callable[[bytes], PrivateKey]
    public_of: Callable[[bytes], bytes]


def _x25519_public(raw: bytes) -> PublicKey:
    return hpke.MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(raw[:1184]), public_keys.x25519(raw[1184:], "hybrid key")
    )


def _x25519_private(raw: bytes) -> PrivateKey:
    return hpke.MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES]),
        x25519.X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:]),
    )


def _x25519_public_of(raw: bytes) -> bytes:
    kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES]).public_key()
    curve = x25519.X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:]).public_key()
    return kem.public_bytes_raw() + curve.public_bytes_raw()


def _p384_public(raw: bytes) -> PublicKey:
    return hpke.MLKEM1024P384PublicKey(
        mlkem.MLKEM1024PublicKey.from_public_bytes(raw[:1568]),
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), raw[1568:]),
    )


def _p384_private(raw: bytes) -> PrivateKey:
    return hpke.MLKEM1024P384PrivateKey(
        mlkem.MLKEM1024PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES]), _p384_scalar(raw)
    )


def _p384_public_of(raw: bytes) -> bytes:
    kem = mlkem.MLKEM1024PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES]).public_key()
    point = _p384_scalar(raw).public_key()
    return kem.public_bytes_raw() + point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _p384_scalar(raw: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw[_MLKEM_SEED_BYTES:], "big"), ec.SECP384R1())


MLKEM768_X25519 = WrapSuite(
    number=1,
    name="MLKEM768-X25519 / HKDF-SHA256 / ChaCha20-Poly1305",
    hpke=hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305),
    public_bytes=1184 + 32,
    private_bytes=_MLKEM_SEED_BYTES + 32,
    sealed_bytes=1120 + SHARE_BYTES + 16,
    load_public=_x25519_public,
    load_private=_x25519_private,
    public_of=_x25519_public_of,
)
"""The default: 1,168 bytes a share."""

MLKEM1024_P384 = WrapSuite(
    number=2,
    name="MLKEM1024-P384 / HKDF-SHA384 / AES-256-GCM",
    hpke=hpke.Suite(hpke.KEM.MLKEM1024_P384, hpke.KDF.HKDF_SHA384, hpke.AEAD.AES_256_GCM),
    public_bytes=1568 + 97,
    private_bytes=_MLKEM_SEED_BYTES + _P384_PRIVATE_BYTES,
    sealed_bytes=1665 + SHARE_BYTES + 16,
    load_public=_p384_public,
    load_private=_p384_private,
    public_of=_p384_public_of,
)
"""For buyers that demand NIST curves and the CNSA 2.0 sizes: 1,713 bytes a share."""

SUITES = {suite.number: suite for suite in (MLKEM768_X25519, MLKEM1024_P384)}


def wrap_suite(number: int) -> WrapSuite:
    """The suite with this number; raises UnknownSuiteError."""
    try:
        return SUITES[number]
    except KeyError:
        raise UnknownSuiteError(f"wrap suite {number} is not known", hint="upgrade edge_scanner") from None


def key_id(suite: WrapSuite, public_key: bytes) -> bytes:
    """8 bytes that name a recipient's key: SHA-256 of the suite number and the public key, cut."""
    return hashlib.sha256(bytes([suite.number]) + public_key).digest()[:8]


def load_public(suite: WrapSuite, raw: bytes) -> PublicKey:
    """A recipient's public key; raises MalformedError."""
    if len(raw) != suite.public_bytes:
        raise MalformedError(f"a public key has {suite.public_bytes} bytes, not {len(raw)}", where=suite.name)
    try:
        return suite.load_public(raw)
    except ValueError as error:
        raise MalformedError("not a public key", where=suite.name) from error


def new_private_key(suite: WrapSuite, entropy: Callable[[bytearray], object]) -> bytes:
    """A fresh private key as raw bytes, from `entropy`, which fills the buffer it is given."""
    while True:
        raw = bytearray(suite.private_bytes)
        entropy(raw)
        try:
            suite.load_private(bytes(raw))
        except ValueError:  # a P-384 scalar outside the group's order: one draw in 2^190
            continue
        return bytes(raw)


def public_key_of(suite: WrapSuite, private_key: bytes) -> bytes:
    """The raw public key that belongs to a raw private key; raises MalformedError."""
    return _checked(suite, private_key, suite.public_of)


def seal_share(suite: WrapSuite, share: bytearray, public_key: bytes, info: bytes) -> bytes:
    """A 32-byte share wrapped for one recipient, bound to `info`; raises MalformedError for a bad key."""
    return suite.hpke.encrypt(share, load_public(suite, public_key), info=info)


def open_share(suite: WrapSuite, sealed: bytes, private_key: bytes, info: bytes) -> bytearray:
    """The share a recipient's raw private key unwraps; raises ShareRefusedError, MalformedError for a bad key."""
    key = _checked(suite, private_key, suite.load_private)
    try:
        return bytearray(suite.hpke.decrypt(sealed, key, info=info))
    except InvalidTag as error:
        raise ShareRefusedError("the share does not open with this key", where=suite.name) from error


def probe_suites(entropy: Callable[[bytearray], object], suites: Iterable[WrapSuite] = tuple(SUITES.values())) -> None:
    """Seal and open 32 bytes with every suite; raises UnavailableError when the crypto library cannot.

    A distribution's build against an older OpenSSL imports and yet lacks ML-KEM, so only doing it proves it.
    """
    for suite in suites:
        share = bytearray(SHARE_BYTES)
        entropy(share)
        try:
            private = new_private_key(suite, entropy)
            sealed = seal_share(suite, share, public_key_of(suite, private), b"probe")
            opened = open_share(suite, sealed, private, b"probe")
        except UnsupportedAlgorithm as error:
            raise UnavailableError(
                f"the crypto library lacks {suite.name}",
                hint="install cryptography from its wheel, not from the distribution",
            ) from error
        if opened != share or len(sealed) != suite.sealed_bytes:
            raise UnavailableError(f"the crypto library fails at {suite.name}", hint="reinstall cryptography")


def _checked(suite: WrapSuite, private_key: bytes, use: Callable[[bytes], T]) -> T:
    if len(private_key) != suite.private_bytes:
        raise MalformedError(f"a private key has {suite.private_bytes} bytes, not {len(private_key)}", where=suite.name)
    try:
        return use(private_key)
    except ValueError as error:
        raise MalformedError("not a private key", where=suite.name) from error
