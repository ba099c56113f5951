"""Public keys of others: the one place where bytes become an Ed25519 or X25519 key.

A point of small order is no key: under such an Ed25519 key one constant signature is valid for every message, and an
X25519 agreement with one gives the same secret to everybody. Neither OpenSSL nor `cryptography` refuses them when it
parses. Encodings that are not canonical (RFC 8032 5.1.3, RFC 7748 5) are refused with them, so that a key has one
spelling and one name.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from edge_scanner.core.errors import MalformedError

KEY_BYTES = 32
"""Of an Ed25519 or X25519 public key."""

_P = 2**255 - 19
_SIGN = 2**255
# y coordinates of the eight points whose order divides 8: orders 4 (y = 0), 1, 2 and 8.
_SMALL_ED25519 = {
    0,
    1,
    _P - 1,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
}
# u coordinates of the points of small order on Curve25519 and on its twist.
_SMALL_X25519 = {
    0,
    1,
    _P - 1,
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
}


def ed25519(raw: bytes, where: str) -> Ed25519PublicKey:
    """The key of these 32 bytes; raises MalformedError, naming `where` they stood."""
    return Ed25519PublicKey.from_public_bytes(
        _checked(raw, int.from_bytes(raw, "little") % _SIGN, _SMALL_ED25519, where)
    )


def x25519(raw: bytes, where: str) -> X25519PublicKey:
    """The key of these 32 bytes; raises MalformedError, naming `where` they stood."""
    return X25519PublicKey.from_public_bytes(_checked(raw, int.from_bytes(raw, "little"), _SMALL_X25519, where))


def _checked(raw: bytes, coordinate: int, small: set[int], where: str) -> bytes:
    if len(raw) != KEY_BYTES:
        raise MalformedError(f"a public key has {KEY_BYTES} bytes, not {len(raw)}", where=where)
    if coordinate >= _P:
        raise MalformedError("a public key is not in canonical form", where=where)
    if coordinate in small:
        raise MalformedError("a public key is a point of small order: it proves nothing", where=where)
    return raw
