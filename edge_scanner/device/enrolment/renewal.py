"""Getting the operational certificate at the first contact, and a new one long before it ends; run by a timer.

Asked at the enrolment broker, whose connections are nobody else's: at the central one the request would come under the
scanner's own client id and throw it off. The key stays: what is renewed is the statement about it. The answer is
believed because it chains to the CA that was pinned on installation day, and only for our name and our key.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_scanner import small_files
from edge_scanner.core import certificates
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import CertificateAnswer, CertificateRequest, Manifest
from edge_scanner.core.enrolment.rendezvous import BOOT_PREFIX, ENROL_TOPIC
from edge_scanner.core.errors import BadDataError, LogError, RefusedError, StorageError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.device.enrolment.identity import open_key
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.device.settings import Settings

RENEW_BEFORE_S = 157 * 86400.0
"""A certificate of 397 days is renewed from day 240 on."""
ANSWER_S = 60.0
"""The desk answers in a second; the timer comes again in an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What to ask for: EST's word, and the name of the certificate that we have."""

    operation: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What was done, EST's word or empty when nothing was due; and until when the certificate is good, UTC."""

    operation: str
    until: datetime

    def __str__(self) -> str:
        """For people."""
        until = f"certificate until {self.until:%Y-%m-%d}"
        return f"{self.operation}: {until}" if self.operation else f"{until}: nothing to do"


def due(certificate: x509.Certificate, *, now_s: float) -> Due | None:
    """What is to be asked now, None while the certificate is young."""
    name = certificates.common_name(certificate)
    if name.startswith(BOOT_PREFIX):
        return Due(operation="simpleenroll", name=name)
    if certificate.not_valid_after_utc.timestamp() - now_s < RENEW_BEFORE_S:
        return Due(operation="simplereenroll", name=name)
    return None


async def renew(settings: Settings, *, now: Callable[[], float] = time.time, answer_s: float = ANSWER_S) -> Renewal:
    """Do what is due; raises UnavailableError, RefusedError, BadDataError, StorageError."""
    path, key_path = Path(settings.mqtt.certificate), Path(settings.mqtt.key)
    certificate, key, manifest = _load(settings, path, key_path)
    wanted = due(certificate, now_s=now())
    if wanted is None:
        return Renewal(operation="", until=certificate.not_valid_after_utc)
    broker = BrokerSettings(
        host=manifest.enrol_host,
        port=manifest.enrol_port,
        ca=Path(settings.mqtt.ca),
        certificate=path,
        key=key_path,
    )
    request = _request(wanted, certificate, key, _identity(settings))
    answer = await _ask(broker, wanted, request, now=now, answer_s=answer_s)
    if answer.refused:
        raise RefusedError(answer.what, code=answer.refused, where="enrolment desk", hint="ask the fleet's operator")
    given = _believe(answer.certificate, wanted, key, Path(settings.mqtt.ca), now_s=now())
    _replace(path, answer.certificate.encode())
    return Renewal(operation=wanted.operation, until=given.not_valid_after_utc)


def _load(
    settings: Settings, path: Path, key_path: Path
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, Manifest]:
    """What the box has: certificate, key, and the manifest that says where the enrolment broker is."""
    try:
        certificate = certificates.read(small_files.content(path))
        key = serialization.load_pem_private_key(small_files.content(key_path), password=None)
        fleet = Path(settings.log.authority_root).parent / "fleet.pub"
        signer = documents.public_key(small_files.content(fleet).decode().strip())
        document = small_files.content(Path(settings.device.state_dir) / "manifest.json")
        manifest = documents.verify(Manifest, document, signer)
    except (OSError, *certificates.UNREADABLE, BadDataError, LogError) as error:
        raise StorageError(
            "the box was not enrolled", where=str(path), hint="run edge-scanner enrol at a bench"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadDataError("the MQTT key is not a P-256 key", where=str(key_path), hint="provision the box again")
    return certificate, key, manifest


def _identity(settings: Settings) -> Ed25519PrivateKey | None:
    """The log identity, which headquarters learns so; None where it is lost, for the box goes on counting."""
    try:
        return open_key(Path(settings.device.state_dir))
    except StorageError:
        return None


def _request(
    wanted: Due,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    own: Ed25519PrivateKey | None,
) -> bytes:
    csr = x509.CertificateSigningRequestBuilder().subject_name(certificate.subject).sign(key, hashes.SHA256())
    text = csr.public_bytes(serialization.Encoding.PEM).decode()
    identity, proof = documents.prove_identity(own, wanted.name, text) if own is not None else ("", "")
    return documents.write(
        CertificateRequest(
            operation=wanted.operation,
            csr=text,
            certificate=certificate.public_bytes(serialization.Encoding.PEM).decode(),
            identity=identity,
            proof=proof,
        )
    )


async def _ask(
    settings: BrokerSettings, wanted: Due, payload: bytes, *, now: Callable[[], float], answer_s: float
) -> CertificateAnswer:
    """Subscribe, ask, and wait for the answer to this question."""
    correlation = secrets.token_bytes(8)
    topic = ENROL_TOPIC.format(name=wanted.name, word="cert")
    async with open_broker(settings, client_id=wanted.name) as broker:
        try:
            async with asyncio.timeout(answer_s):
                await broker.subscribe(topic)
                await broker.connected()
                message = Message(
                    kind=MessageKind.ENROL,
                    topic=ENROL_TOPIC.format(name=wanted.name, word="csr"),
                    payload=payload,
                    key="csr",
                    created_s=now(),
                    expires_s=now() + answer_s,
                )
                code = await broker.publish(message, response_topic=topic, correlation=correlation)
                if code >= 0x80:  # noqa: PLR2004 (MQTT 5: failures from here on)
                    raise UnavailableError(f"the enrolment broker refuses our question (0x{code:02x})")
                async for incoming in broker.messages():
                    if incoming.topic == topic and incoming.correlation in {correlation, b""}:
                        return documents.read(CertificateAnswer, incoming.payload)
        except TimeoutError:
            detail = broker.state.detail or "the desk does not answer"
            raise UnavailableError(
                "no certificate yet", where=settings.place, hint=f"{detail}; it is tried again in an hour"
            ) from None
    raise UnavailableError("the enrolment broker hung up", where=settings.place)


def _believe(pem: str, wanted: Due, key: ec.EllipticCurvePrivateKey, ca: Path, *, now_s: float) -> x509.Certificate:
    """The certificate, if it is for our name and key, valid now, and from a pinned CA; raises BadDataError."""
    try:
        given = certificates.read(pem.encode())
        issuers = x509.load_pem_x509_certificates(small_files.content(ca))
    except (OSError, *certificates.UNREADABLE, BadDataError) as error:
        raise BadDataError(
            "the enrolment service's answer is not a certificate", hint="tell the fleet's operator"
        ) from error
    name = certificates.common_name(given)
    ours = given.public_key() == key.public_key() and name == wanted.name.removeprefix(BOOT_PREFIX)
    lives = given.not_valid_before_utc.timestamp() <= now_s < given.not_valid_after_utc.timestamp()
    if not (ours and lives and any(_signed_by(given, issuer) for issuer in issuers)):
        raise BadDataError(
            "the certificate received is not this box's or not from its fleet's CA", hint="tell the fleet's operator"
        )
    return given


def _signed_by(given: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        given.verify_directly_issued_by(issuer)
    except (*certificates.UNREADABLE, InvalidSignature):
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    """Whole or not at all: the scanner reads this file at every connection."""
    try:
        small_files.write(path, content)
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(path), hint="check the card") from error
