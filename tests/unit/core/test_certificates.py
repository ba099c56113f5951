"""PEM becomes a certificate that can be asked for everything, or one error."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_scanner.core import certificates
from edge_scanner.core.errors import BadDataError

START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
P256 = bytes.fromhex("2a8648ce3d030107")


def made(*names: str) -> bytes:
    """A certificate with these common names, as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(START).not_valid_after(START + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem(der: bytes) -> bytes:
    """Armoured."""
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n".encode()


@pytest.mark.parametrize(("names", "name"), [((), ""), (("K7MP2R9CX4",), "K7MP2R9CX4"), (("a", "b"), "a")])
def test_the_first_common_name_is_the_name(names: tuple[str, ...], name: str) -> None:
    """As mosquitto takes it."""
    assert certificates.common_name(certificates.read(pem(made(*names)))) == name


@pytest.mark.parametrize("version", [b"\x02\x01\x05", b"\x02\x01\x7f"])
def test_a_version_that_nobody_knows_is_no_certificate(version: bytes) -> None:
    """RFC 5280 has three."""
    with pytest.raises(BadDataError, match="not a certificate"):
        certificates.read(pem(made("a").replace(b"\x02\x01\x02", version, 1)))


def test_what_is_no_certificate_is_one_error() -> None:
    """Other bytes, a curve that nobody knows, a point on no curve."""
    good = made("a")
    point = good.index(b"\x03\x42\x00\x04") + 4
    for bad in (
        b"",
        b"no pem",
        pem(b"\x30\x00"),
        pem(good.replace(P256, P256[:-1] + b"\x7f")),
        pem(good[:point] + bytes(64) + good[point + 64 :]),
    ):
        with pytest.raises(BadDataError, match="not a certificate"):
            certificates.read(bad)
