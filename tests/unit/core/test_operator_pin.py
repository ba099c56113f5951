"""The operator's PIN: its hash against OpenSSL's scrypt and what is refused."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from edge_scanner.core import operator_pin as pin
from edge_scanner.core.errors import BadDataError, ConfigurationError

SALT = bytes(range(16))
LINE = pin.hash_pin("246810", SALT)


def test_line_is_scrypt() -> None:
    """The stored line is the scrypt of the PIN as another implementation computes it."""
    expected = Scrypt(salt=SALT, length=32, n=16384, r=8, p=1).derive(b"246810")
    assert f"scrypt$16384$8$1${base64.b64encode(SALT).decode()}${base64.b64encode(expected).decode()}" == LINE


def test_matches() -> None:
    """The right PIN matches, a newline at the end of the file or not; another, an empty and a huge one do not."""
    assert pin.matches("246810", LINE + "\n")
    assert not any(pin.matches(guess, LINE) for guess in ("246811", "", "2468100", "9" * 10_000, "２４６８１０"))  # noqa: RUF001 (full-width digits are the point)


@pytest.mark.parametrize("weak", ["", "12345", "1234567890123", "abcdef", "12 456"])
def test_bad_pins_are_not_stored(weak: str) -> None:
    """A PIN is six to twelve digits."""
    with pytest.raises(ConfigurationError):
        pin.hash_pin(weak, SALT)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "246810",
        LINE.replace("scrypt", "plain"),
        LINE.replace("16384", "x"),
        LINE.replace("16384", "1024"),
        LINE.replace("16384", "16385"),
        LINE.replace("16384", str(2**20)),
        LINE.replace("$8$", "$9$"),
        LINE[:-8],
        LINE + "$",
        LINE.replace("=", "*"),
    ],
)
def test_foreign_lines(line: str) -> None:
    """A line of another kind, cost or length is refused before any work is done."""
    with pytest.raises(BadDataError):
        pin.check(line)


def test_good_line_passes_the_check() -> None:
    """A line with a higher cost than ours is a line of ours."""
    digest = hashlib.scrypt(b"246810", salt=SALT, n=2**15, r=8, p=1, maxmem=2**27, dklen=32)
    dearer = f"scrypt${2**15}$8$1${base64.b64encode(SALT).decode()}${base64.b64encode(digest).decode()}"
    pin.check(dearer)
    assert pin.matches("246810", dearer)
