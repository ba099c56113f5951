"""Exposure Notification export files written by hand, right and wrong; nothing here imports `edge_scanner`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER = b"EK Export v1    "


def varint(value: int) -> bytes:
    """Base 128, least significant group first."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    """A varint field; negative numbers as 64-bit two's complement."""
    return varint(field << 3) + varint(value % 2**64)


def data(field: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def fixed64(field: int, value: int) -> bytes:
    """A fixed64 field."""
    return varint(field << 3 | 1) + value.to_bytes(8, "little")


def key(secret: bytes, start: int, period: int | None = 144, report: int | None = None) -> bytes:
    """A TemporaryExposureKey; the period may be left out."""
    return (
        data(1, secret)
        + number(3, start)
        + (b"" if period is None else number(4, period))
        + (b"" if report is None else number(5, report))
    )


def body(
    keys: Iterable[bytes], *, batch: int = 1, batches: int = 1, header: bytes = HEADER, revised: Iterable[bytes] = ()
) -> bytes:
    """An export.bin."""
    return (
        header
        + fixed64(1, 1_600_000_000)
        + fixed64(2, 1_600_086_400)
        + data(3, b"VN")
        + number(4, batch)
        + number(5, batches)
        + data(6, data(4, b"452"))
        + b"".join(data(7, one) for one in keys)
        + b"".join(data(8, one) for one in revised)
    )


@dataclass(frozen=True, slots=True)
class Publisher:
    """Signs exports."""

    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The public key."""
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def archive(
        self, content: bytes, *, batch: int = 1, batches: int = 1, raw: bool = False, signature: bytes | None = None
    ) -> bytes:
        """export.zip; `raw` writes r ‖ s instead of DER, `signature` another one."""
        if signature is None:
            signature = self.key.sign(content, ec.ECDSA(hashes.SHA256()))
        if raw:
            r, s = decode_dss_signature(signature)
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        entry = data(1, data(4, b"452")) + number(2, batch) + number(3, batches) + data(4, signature)
        return archive(content, data(1, entry))


def publisher() -> Publisher:
    """With a fresh key."""
    return Publisher(ec.generate_private_key(ec.SECP256R1()))


def archive(content: bytes, signatures: bytes | None, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of export.bin and, if given, export.sig."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as target:
        target.writestr("export.bin", content)
        if signatures is not None:
            target.writestr("export.sig", signatures)
    return out.getvalue()
