"""The operator's PIN as one line of text that does not reveal it: scrypt (RFC 7914) with a salt per box.

A PIN is short, so the cost per guess is the whole defence: 2**14 blocks of 1 kB take 16 MB and about a fifth of a
second on a Raspberry Pi, and the page lets through a handful of guesses an hour. Provisioning writes the line, the
kiosk compares. The salt is an argument because randomness is not ours to draw here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from edge_scanner.core.errors import BadDataError, ConfigurationError

SALT_BYTES = 16
# Six digits withstand the page's rate limit for years; a person still remembers them.
_PIN = re.compile(r"[0-9]{6,12}")
_N, _R, _P = 2**14, 8, 1
# What a file may ask of us: more memory than this would be an attack on the kiosk.
_MAX_N = 2**16
_HASH_BYTES = 32


def hash_pin(pin: str, salt: bytes) -> str:
    """The line to store, `scrypt$n$r$p$salt$hash` (base64); raises ConfigurationError for other than 6..12 digits."""
    if not _PIN.fullmatch(pin):
        raise ConfigurationError("the operator's PIN is not six to twelve digits")
    digest = _scrypt(pin, salt, _N)
    return f"scrypt${_N}${_R}${_P}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def matches(pin: str, line: str) -> bool:
    """Whether `pin` is the one of `line`; raises BadDataError when the line is not one of `hash_pin`'s."""
    n, salt, digest = _parse(line)
    return bool(_PIN.fullmatch(pin)) and hmac.compare_digest(_scrypt(pin, salt, n), digest)


def check(line: str) -> None:
    """Raises BadDataError when the line is not one of `hash_pin`'s."""
    _parse(line)


def _parse(line: str) -> tuple[int, bytes, bytes]:
    try:
        name, n, r, p, salt, digest = line.strip().split("$")
        parsed = int(n), base64.b64decode(salt, validate=True), base64.b64decode(digest, validate=True)
    except (ValueError, binascii.Error):
        raise BadDataError("not a PIN hash") from None
    shape = (name, r, p, len(parsed[1]), len(parsed[2]))
    if shape != ("scrypt", str(_R), str(_P), SALT_BYTES, _HASH_BYTES) or not _N <= parsed[0] <= _MAX_N:
        raise BadDataError("not a PIN hash of a kind this version knows")
    if parsed[0] & (parsed[0] - 1):
        raise BadDataError("the PIN hash's cost is not a power of two")
    return parsed


def _scrypt(pin: str, salt: bytes, n: int) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=n, r=_R, p=_P, maxmem=2 * 128 * _R * n, dklen=_HASH_BYTES)
