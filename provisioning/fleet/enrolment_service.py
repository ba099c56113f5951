"""The enrolment desk: gives boxes their operational certificate at the first contact, and renews it before it ends.

The words are those of EST (RFC 7030): `simpleenroll` with a bootstrap certificate, `simplereenroll` with an operational
one. MQTT carries them instead of HTTPS, because 8883 and 8884 are the ports that venues already let out. The desk
believes signatures only, never the broker: the request's CSR proves the key, the certificate in it proves who had that
key named. A box that asks twice gets the certificate that it already has.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import CertificateAnswer, CertificateRequest
from edge_scanner.core.enrolment.rendezvous import BOOT_PREFIX, ENROL_TOPIC, SYNC_TOPIC
from edge_scanner.core.errors import BadDataError, LogError, RefusedError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from provisioning import certificates
from provisioning.fleet import watch
from provisioning.inventory import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from edge_scanner.mqtt.brokerlink import BrokerSettings
    from provisioning.certificates import Holder
    from provisioning.fleet.sync_service import SyncDesk
    from provisioning.inventory import Inventory

DESK = "fleet-enrol"
"""The desk's name at the broker."""
DEVICE_DAYS = 397
"""A box is renewed from day 240 (device/enrolment/renewal.py), so that it may be offline for five months and still come
back."""
KEEP_DAYS = 300
"""A certificate with more left than this is handed out again rather than replaced."""
ANSWER_LIFE_S = 3600.0
"""A box that is gone for longer asks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Decides; `issuing` signs."""

    issuing: Holder
    inventory: Inventory
    now: Callable[[], float] = time.time

    def answer(self, name: str, payload: bytes) -> bytes:
        """The answer to a request on `name`'s topic; never raises for what a box may send."""
        operation = ""
        try:
            request = documents.read(CertificateRequest, payload)
            operation = request.operation
            pem = self._certify(name, request)
            answer = CertificateAnswer(operation=operation, certificate=pem.decode(), refused="", what="")
        except RefusedError as error:
            answer = CertificateAnswer(operation=operation, certificate="", refused=error.code, what=error.what)
        except (BadDataError, LogError):
            answer = CertificateAnswer(operation="", certificate="", refused="PRV-05", what="the request is malformed")
        return documents.write(answer)

    def _certify(self, name: str, request: CertificateRequest) -> bytes:
        key = certificates.read_csr(request.csr.encode())
        held = certificates.load_certificate(request.certificate.encode())
        if certificates.common_name(held) != name or certificates.public_key(held) != key:
            raise _refused("PRV-03", "the certificate is another's, or for another key")
        identity = documents.proven_identity(request, name)
        device_id = self._entitled(name, held, key)
        self.inventory.learn(device_id, identity)
        kept = self.inventory.newest_certificate(device_id)
        if kept is None or not self._good(certificates.load_certificate(kept), key):
            now_s = self.now()
            certificate = certificates.issue_client(
                self.issuing, device_id, key, unit="device", now_s=now_s, days=DEVICE_DAYS
            )
            kept = certificates.pem(certificate)
            self.inventory.keep_certificate(device_id, kept, now_s=now_s)
        return kept + self.issuing.certificate_pem

    def _entitled(self, name: str, held: x509.Certificate, key: ec.EllipticCurvePublicKey) -> str:
        """The id that this certificate entitles to; raises RefusedError."""
        device_id = name.removeprefix(BOOT_PREFIX)
        row = self.inventory.box(device_id)
        if row is None or row.state in {State.REVOKED, State.RETIRED}:
            raise _refused("PRV-03", f"box {device_id} is not of this fleet or was taken out of it")
        if row.mqtt_key not in {"", certificates.fingerprint(key)}:
            raise _refused("PRV-01", f"box {device_id} has another key: one of the two is a copy")
        issuers = [self.issuing.certificate]
        if name.startswith(BOOT_PREFIX):
            ca = self.inventory.batch_cas(now_s=self.now()).get(row.batch)
            issuers = [certificates.load_certificate(ca)] if ca else []
        if not any(certificates.issued_by(held, ca, now_s=self.now()) for ca in issuers):
            raise _refused("PRV-03", "the certificate is not from this fleet, or it has expired")
        if not row.mqtt_key:
            self.inventory.claim(device_id, certificates.fingerprint(key), now_s=self.now())
        return device_id

    def _good(self, kept: x509.Certificate, key: ec.EllipticCurvePublicKey) -> bool:
        left_s = kept.not_valid_after_utc.timestamp() - self.now()
        return certificates.public_key(kept) == key and left_s > KEEP_DAYS * 86400


async def serve(
    desk: Desk,
    settings: BrokerSettings,
    *,
    told: Callable[[str, bytes], None],
    say: Callable[[str], None] = lambda _line: None,
    evening: SyncDesk | None = None,
) -> None:
    """Answer boxes, and benches where there is an `evening`, until cancelled.

    `told` hears each name and answer, `say` a line when the connection changes.
    """
    async with open_broker(settings, client_id=DESK) as broker, watch.told(broker, settings.place, say):
        await broker.subscribe(ENROL_TOPIC.format(name="+", word="csr"))
        if evening is not None:
            await broker.subscribe(SYNC_TOPIC.format(name="+", word="sync"))
        async for incoming in broker.messages():
            name, word = incoming.topic.split("/")[3:5]
            if word == "sync" and evening is not None:
                topic, answer = SYNC_TOPIC.format(name=name, word="result"), evening.answer(name, incoming.payload)
            else:
                topic, answer = ENROL_TOPIC.format(name=name, word="cert"), desk.answer(name, incoming.payload)
            now_s = desk.now()
            message = Message(
                kind=MessageKind.ENROL,
                topic=topic,
                payload=answer,
                key=f"enrol-{name}",
                created_s=now_s,
                expires_s=now_s + ANSWER_LIFE_S,
            )
            try:
                await broker.publish(message, correlation=incoming.correlation)
            except UnavailableError:
                continue  # the connection broke: the box asks again
            told(name, answer)


def _refused(code: str, what: str) -> RefusedError:
    return RefusedError(what, code=code)
