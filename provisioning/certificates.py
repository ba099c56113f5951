"""X.509 for the fleet: a root, issuing CAs below it, batch CAs beside it, leaves for boxes, brokers and people, CRLs.

A batch CA is self-signed and stands in nobody's chain: only the enrolment broker trusts it, so a laptop that is stolen
with one can make bootstrap names and nothing that the central broker lets in. Under the fleet's root it could have
named itself a collector, because mosquitto takes any name from any CA that it trusts.

P-256 keys and ECDSA-SHA256, since every TLS 1.3 stack has them. A box's certificate carries its id as the common name,
which mosquitto turns into its user name and client id; nothing else in it names the venue. Specification: RFC 5280.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_scanner.core import certificates as others
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from collections.abc import Iterable

BACKDATED = timedelta(hours=1)
"""Certificates begin an hour early: a box whose clock is a little slow must not find its own one invalid."""
CRL_DAYS = 35
"""Lists are renewed weekly: four may fail before mosquitto, which refuses everybody under an old list, locks us out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The unencrypted key as PKCS #8 PEM; for a file of mode 600."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """One entry of a revocation list."""

    serial: int
    at_s: float


def load_holder(certificate_pem: bytes, key_pem: bytes) -> Holder:
    """A certificate with its key; raises BadDataError for other bytes."""
    certificate = load_certificate(certificate_pem)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except others.UNREADABLE as error:
        raise BadDataError("not a private key in PEM form") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise BadDataError("the key does not belong to the certificate")
    return Holder(certificate=certificate, key=key)


def load_certificate(pem: bytes) -> x509.Certificate:
    """The first certificate of a PEM text; raises BadDataError."""
    return others.read(pem)


def read_csr(pem: bytes) -> ec.EllipticCurvePublicKey:
    """The P-256 key that a certificate request proves to hold; its other wishes count for nothing. BadDataError."""
    try:
        csr = x509.load_pem_x509_csr(pem)
        key, signed = csr.public_key(), csr.is_signature_valid
    except others.UNREADABLE as error:
        raise BadDataError("not a certificate request in PEM form") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadDataError("the certificate request's key is not a P-256 key")
    if not signed:
        raise BadDataError("the certificate request is not signed by its own key")
    return key


def issued_by(certificate: x509.Certificate, ca: x509.Certificate, *, now_s: float) -> bool:
    """Whether `ca` signed a certificate that is valid now."""
    try:
        certificate.verify_directly_issued_by(ca)
    except (*others.UNREADABLE, InvalidSignature):
        return False
    return all(
        c.not_valid_before_utc.timestamp() <= now_s <= c.not_valid_after_utc.timestamp() for c in (certificate, ca)
    )


def common_name(certificate: x509.Certificate) -> str:
    """The name that mosquitto makes the user name."""
    return others.common_name(certificate)


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The certified key; raises BadDataError for one that is not of an elliptic curve."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise BadDataError("the certificate's key is not a P-256 key")
    return key


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo, hex; its first 12 digits stand on the label."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def revocation_list(
    ca: Holder, revoked: Iterable[Revoked], *, number: int, now_s: float, days: int = CRL_DAYS
) -> bytes:
    """A PEM revocation list of `ca`; `number` must grow with every list."""
    now = datetime.fromtimestamp(now_s, UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ca.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False)
    )
    for entry in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(entry.serial)
            .revocation_date(datetime.fromtimestamp(entry.at_s, UTC))
            .build()
        )
    return builder.sign(ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def new_ca(
    name: str,
    *,
    now_s: float,
    days: int,
    issuer: Holder | None = None,
    leaves_only: bool = False,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Holder:
    """A certificate authority: under `issuer` or with `leaves_only` it may issue leaves only, else it is a root.

    `key` is one that exists already, in a token for instance; a fresh one otherwise.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, "ca", key.public_key(), now_s, days, issuer=issuer.certificate if issuer else None)
    certificate = (
        builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0 if issuer or leaves_only else 1), critical=True
        )
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return Holder(certificate=certificate, key=key)


def issue_client(
    ca: Holder, name: str, public_key: ec.EllipticCurvePublicKey, *, unit: str, now_s: float, days: int
) -> x509.Certificate:
    """A client certificate: `name` is the MQTT user, `unit` its class (device, boot, collector, authority).

    The alternative name is the same, for brokers that take the client id from it (RabbitMQ).
    """
    builder = _builder(name, unit, public_key, now_s, days, issuer=ca.certificate)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return _leaf(builder, ca, ExtendedKeyUsageOID.CLIENT_AUTH)


def new_client(ca: Holder, name: str, *, unit: str, now_s: float, days: int) -> Holder:
    """A client certificate with a fresh key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Holder(certificate=issue_client(ca, name, key.public_key(), unit=unit, now_s=now_s, days=days), key=key)


def new_server(ca: Holder, hosts: list[str], *, now_s: float, days: int) -> Holder:
    """A broker's certificate for its host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(hosts[0], "broker", key.public_key(), now_s, days, issuer=ca.certificate)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
    )
    return Holder(certificate=_leaf(builder, ca, ExtendedKeyUsageOID.SERVER_AUTH), key=key)


def _builder(
    name: str,
    unit: str,
    public_key: ec.EllipticCurvePublicKey,
    now_s: float,
    days: int,
    *,
    issuer: x509.Certificate | None,
) -> x509.CertificateBuilder:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)]
    )
    begin = datetime.fromtimestamp(now_s, UTC) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _leaf(builder: x509.CertificateBuilder, ca: Holder, purpose: x509.ObjectIdentifier) -> x509.Certificate:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()),
            critical=False,
        )
        .sign(ca.key, hashes.SHA256())
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
