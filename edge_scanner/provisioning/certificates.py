"""X.509 for the fleet: a root, issuing CAs below it, and leaves for boxes, brokers and people.

P-256 keys and ECDSA-SHA256, since every TLS 1.3 stack has them. A box's certificate carries its id as the common name,
which mosquitto turns into its user name and client id; nothing else in it names the venue. Specification: RFC 5280.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(hours=1)
"""Certificates begin an hour early: a box whose clock is a little slow must not find its own one invalid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The unencrypted key as PKCS #8 PEM; for a file of mode 600."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def new_ca(name: str, *, now_s: float, days: int, issuer: Holder | None = None) -> Holder:
    """A certificate authority; self-signed (a root) without `issuer`, else one that may issue leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, "ca", key.public_key(), now_s, days, issuer=issuer.certificate if issuer else None)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return Holder(certificate=certificate, key=key)


def issue_client(
    ca: Holder, name: str, public_key: ec.EllipticCurvePublicKey, *, unit: str, now_s: float, days: int
) -> x509.Certificate:
    """A client certificate: `name` is the MQTT user, `unit` its class (device, boot, collector, authority)."""
    builder = _builder(name, unit, public_key, now_s, days, issuer=ca.certificate)
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
