"""Points of small order are no keys, wherever a key is read."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from edge_scanner.core import public_keys, signed
from edge_scanner.core.enrolment import box_list, documents
from edge_scanner.core.errors import BadDataError, MalformedError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import hpke
from edge_scanner.core.pull import request
from edge_scanner.core.pull.request import Mandate
from tests.support import second_reader
from tests.support.sealed_logs import Box, private_key

if TYPE_CHECKING:
    from collections.abc import Callable

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
# Montgomery curve v^2 = u^3 + A u^2 + u.
A = 486662


def small_ed25519() -> list[int]:
    """The y of every point whose order divides 8, found from the curve's equation: 8 P is the identity."""

    def double(x: int, y: int) -> tuple[int, int]:
        k = D * x * x * y * y
        return 2 * x * y * pow(1 + k, -1, P) % P, (y * y + x * x) * pow(1 - k, -1, P) % P

    # Order 8 doubles to order 4, (x, 0) with x^2 = -1: there 2 y^2 = 1 + d y^4 y^2 / y^2, i.e. d y^4 - 2 y^2 + 1 = 0
    # with x^2 = -y^2; of the roots those count that doubling thrice confirms.
    half = pow(4 - 4 * -D % P, 1, P)
    root = pow(half, (P + 3) // 8, P)
    root = root if root * root % P == half else root * pow(2, (P - 1) // 4, P) % P
    found = {0, 1, P - 1}
    for square in ((-2 + sign * root) * pow(2 * D, -1, P) % P for sign in (1, -1)):
        for y in (pow(square, (P + 3) // 8, P), pow(square, (P + 3) // 8, P) * pow(2, (P - 1) // 4, P) % P):
            if y * y % P == square:
                found |= {y, P - y}
    confirmed = []
    for y in found:
        square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
        point = (x, y)
        for _ in range(3):
            point = double(*point)
        if x * x % P == square and point == (0, 1):
            confirmed.append(y)
    return confirmed


def le(value: int) -> bytes:
    """32 bytes, little-endian."""
    return value.to_bytes(32, "little")


SMALL = small_ed25519()
SPELLINGS = [le(y | sign << 255) for y in SMALL for sign in (0, 1)] + [le(P), le(P + 1), le(2**255 - 1)]
CONSTANT_SIGNATURE = le(1) + bytes(32)


def test_there_are_five_such_coordinates() -> None:
    """Eight points of order 1, 2, 4 and 8 share five y coordinates."""
    assert len(SMALL) == 5


def test_one_signature_for_every_message_is_why() -> None:
    """The library itself accepts a constant signature under the identity, for whatever text."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 (shown here only)

    key = Ed25519PublicKey.from_public_bytes(le(1))
    for message in (b"", b"I never said this", b"nor this"):
        key.verify(CONSTANT_SIGNATURE, message)


@pytest.mark.parametrize("raw", SPELLINGS)
def test_an_ed25519_key_of_small_order_is_refused_in_every_spelling(raw: bytes) -> None:
    """Both readers refuse it; with the sign bit and as y + p, too."""
    with pytest.raises(MalformedError):
        public_keys.ed25519(raw, "here")
    with pytest.raises(AssertionError):
        second_reader.strong(raw)


def test_keys_that_are_keys_are_taken() -> None:
    """A hundred honest keys of either kind."""
    for number in range(100):
        seed = bytes([number]) * 32
        raw = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert public_keys.ed25519(raw, "here").public_bytes_raw() == raw
        assert second_reader.strong(raw).public_bytes_raw() == raw
        raw = X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        assert public_keys.x25519(raw, "here").public_bytes_raw() == raw


def small_x25519() -> list[bytes]:
    """U of the small points: 0, 1, -1, and the images (1 + y) / (1 - y) of the Edwards points of order 8."""
    eighth = [y for y in SMALL if y not in (0, 1, P - 1)]
    values = [0, 1, P - 1, *((1 + y) * pow(1 - y, -1, P) % P for y in eighth)]
    return [le(u) for u in values] + [le(P), le(P + 1), le(1 << 255)]


@pytest.mark.parametrize("raw", small_x25519())
def test_an_x25519_key_of_small_order_is_refused(raw: bytes) -> None:
    """It is also refused inside a hybrid opening key."""
    with pytest.raises(MalformedError):
        public_keys.x25519(raw, "here")
    suite = hpke.MLKEM768_X25519
    honest = hpke.public_key_of(suite, private_key("authority"))
    with pytest.raises(MalformedError):
        hpke.load_public(suite, honest[:-32] + raw)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_other_lengths_are_no_keys(length: int) -> None:
    """32 bytes."""
    for read in (public_keys.ed25519, public_keys.x25519):
        with pytest.raises(MalformedError, match="32 bytes"):
            read(bytes([7]) * length, "here")


def _root(raw: bytes) -> None:
    der = bytes.fromhex("302a300506032b6570032100") + raw
    signed.verify_keys(b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der) + b"\n-----END PUBLIC KEY-----\n")


def _mandate(raw: bytes) -> None:
    mandate = Mandate(authority="authority-x", role=request.APPROVER, name="B", key=raw, not_before_s=0, not_after_s=1)
    request.sign_mandate(mandate, [Ed25519PrivateKey.generate()])


def _identity(raw: bytes) -> None:
    table = f"device_id,site,room,name_vi,identity,state\nK7MP2R9CX4,s,,A,{base64.b64encode(raw).decode()},enrolled\n"
    try:
        box_list.boxes(table.encode(), "boxes.csv")
    except BadDataError as error:
        raise MalformedError(error.what, where="boxes.csv") from error


def _boot(raw: bytes) -> None:
    record = Box().minutes(1).stored.boots[0].record
    layout.parse_boot(record[:49] + raw + record[81:])


def _bench(raw: bytes) -> None:
    documents.public_key(base64.b64encode(raw).decode())


@pytest.mark.parametrize("read", [_root, _mandate, _identity, _boot, _bench])
def test_root_mandate_boot_and_bench_keys_of_small_order_are_refused(read: Callable[[bytes], None]) -> None:
    """Each place where a key comes in; the control is that an honest key passes there."""
    read(Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    for raw in SPELLINGS:
        with pytest.raises(MalformedError):
            read(raw)


def test_the_field_of_a_boot_record_is_where_the_specification_says() -> None:
    """Offset 49, 32 bytes: the test above changes the key and nothing else."""
    record = Box().minutes(1).stored.boots[0].record
    assert layout.parse_boot(record).public_key == struct.unpack_from(">32s", record, 49)[0]
