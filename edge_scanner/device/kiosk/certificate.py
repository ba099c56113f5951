"""The page's own certificate on the venue's network: made on the box, for a key that never leaves it.

It is signed by itself, since nobody vouches for names of a venue's network; whoever opens the page for the first time
compares its fingerprint with the one that `edge-scanner page-certificate` shows. A venue with an authority of its own
puts that one's certificate and key under the same names: what is not ours is never replaced.

Made before the kiosk's process begins (launch.py), which so loads neither this nor cryptography.
"""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_scanner import small_files
from edge_scanner.core import certificates
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.device.kiosk.tls_page import CERTIFICATE, KEY

if TYPE_CHECKING:
    from pathlib import Path

_OURS = "edge-scanner page"
_LIFE = dt.timedelta(days=820)
"""Apple's browsers take none that lives longer than 825 days."""
_RENEWED = dt.timedelta(days=30)
_SKEW = dt.timedelta(days=1)
"""A telephone's clock may be behind ours."""
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Shown:
    """What people compare: the SHA-256 fingerprint, as browsers write it, and the day it ends."""

    fingerprint: str
    until: dt.datetime


def ensure(folder: Path, now: dt.datetime) -> None:
    """A certificate and its key in `folder` that are good for a month at least; raises BadDataError, StorageError."""
    try:
        if (folder / CERTIFICATE).exists():
            there = _read(folder)
            if not _is_ours(there) or there.not_valid_after_utc - now > _RENEWED:
                return
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        small_files.write(folder / KEY, private, mode=0o600)
        small_files.write(folder / CERTIFICATE, _signed(key, now).public_bytes(Encoding.PEM), mode=0o644)
    except OSError as error:
        raise StorageError(
            f"cannot keep the page's certificate: {error.strerror}",
            where=str(folder),
            hint="check owner, mode and disk",
        ) from error


def shown(folder: Path) -> Shown:
    """What `edge-scanner page-certificate` says; raises BadDataError, StorageError."""
    try:
        there = _read(folder)
    except OSError as error:
        raise StorageError(
            "the page has no certificate yet",
            where=str(folder / CERTIFICATE),
            hint="set tls_port under [kiosk] and restart the kiosk",
        ) from error
    digest = there.fingerprint(hashes.SHA256()).hex(":").upper()
    return Shown(digest, there.not_valid_after_utc)


def _read(folder: Path) -> x509.Certificate:
    path = folder / CERTIFICATE
    content = small_files.head(path, _MAX_BYTES)
    try:
        return certificates.read(content)
    except BadDataError as error:
        raise BadDataError(error.what, where=str(path)) from error


def _is_ours(certificate: x509.Certificate) -> bool:
    names = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return certificate.issuer == certificate.subject and [name.value for name in names] == [_OURS]


def _signed(key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    host = socket.gethostname().partition(".")[0][:63] or "box"
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _OURS),
            x509.NameAttribute(NameOID.COMMON_NAME, host),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now - _SKEW + _LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host), x509.DNSName(f"{host}.local")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
