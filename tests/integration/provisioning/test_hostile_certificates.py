"""Certificates and requests that no library reads: an answer with a code, at the bench and at headquarters."""

from __future__ import annotations

import base64
import random
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import certificates as others
from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import CertificateAnswer, CertificateRequest, Request, public_text
from edge_scanner.core.errors import BadDataError, MalformedError, RefusedError
from provisioning import certificates
from provisioning.bench.bench import Bench
from provisioning.fleet.enrolment_service import Desk
from provisioning.inventory import open_inventory
from tests.support.fleet import workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

P256, EC_KEY, POINT = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d0201"), b"\x03\x42\x00\x04"
MUTANTS = 1_000
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
"""The library warns of names and serials that it reads nevertheless."""


def spoilt(pem: bytes) -> Iterator[bytes]:
    """A curve and a kind of key that nobody knows, a point on no curve, and bytes changed at random."""
    first, *body, last = pem.decode().splitlines()
    der = base64.b64decode("".join(body))

    def armoured(content: bytes) -> bytes:
        return f"{first}\n{base64.encodebytes(content).decode()}{last}\n".encode()

    for good in (P256, EC_KEY, POINT):
        assert good in der
        yield armoured(der.replace(good, good[:-1] + bytes([good[-1] ^ 1])))
    chance = random.Random(7)
    for _ in range(MUTANTS):
        touched = bytearray(der)
        for place in chance.sample(range(len(touched)), chance.choice((1, 1, 2, 3))):
            touched[place] ^= chance.randrange(1, 256)
        yield armoured(bytes(touched))


def csr_of(holder: certificates.Holder) -> bytes:
    """A good request for a certificate."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(holder.certificate.subject)
    return builder.sign(holder.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_whatever_a_box_sends_headquarters_answers(tmp_path: Path) -> None:
    """Whoever has a bootstrap certificate asks with a certificate or a CSR that is none: a refusal, and no end."""
    shop, now_s = workshop(tmp_path), time.time()
    name = f"boot-{shop.batch.manifest.ids[0]}"
    holder = certificates.new_client(shop.batch.ca, name, unit="boot", now_s=now_s, days=1)
    good, csr = holder.certificate_pem, csr_of(holder)
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        desk = Desk(issuing=shop.fleet.issuing, inventory=inventory)

        def ask(certificate: bytes, request: bytes) -> str:
            asked = CertificateRequest(
                operation="simpleenroll", csr=request.decode("latin-1"), certificate=certificate.decode("latin-1")
            )
            return documents.read(CertificateAnswer, desk.answer(name, documents.write(asked))).refused

        assert {ask(bad, csr) for bad in spoilt(good)} <= {"PRV-03", "PRV-05"}
        assert {ask(good, bad) for bad in spoilt(csr)} <= {"PRV-03", "PRV-05"}
        assert ask(good, csr) == ""


def test_one_key_under_two_names_is_a_copy(tmp_path: Path) -> None:
    """Whoever has the batch's CA certifies one key for two ids: the second is refused, and headquarters goes on."""
    shop, now_s = workshop(tmp_path), time.time()
    first, second = (f"boot-{one}" for one in shop.batch.manifest.ids[:2])
    holder = certificates.new_client(shop.batch.ca, first, unit="boot", now_s=now_s, days=1)
    again = certificates.issue_client(shop.batch.ca, second, holder.key.public_key(), unit="boot", now_s=now_s, days=1)
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.plan(shop.batch.manifest)
        desk = Desk(issuing=shop.fleet.issuing, inventory=inventory)

        def ask(name: str, certificate: x509.Certificate) -> str:
            asked = CertificateRequest(
                operation="simpleenroll",
                csr=csr_of(holder).decode(),
                certificate=certificates.pem(certificate).decode(),
            )
            return documents.read(CertificateAnswer, desk.answer(name, documents.write(asked))).refused

        assert [ask(first, holder.certificate), ask(second, again), ask(first, holder.certificate)] == [
            "",
            "PRV-01",
            "",
        ]


def test_whatever_a_board_sends_the_bench_answers(tmp_path: Path) -> None:
    """A stranger's board signs a request with a CSR that is none: bad data, never anything else."""
    shop = workshop(tmp_path)
    holder = certificates.new_client(shop.batch.ca, "box", unit="boot", now_s=time.time(), days=1)
    key = Ed25519PrivateKey.generate()
    with open_inventory(tmp_path / "inventory.db") as inventory:
        bench = Bench(shop.batch, inventory, signer=shop.fleet.signer.public_key())
        for bad in list(spoilt(csr_of(holder)))[:300]:
            asked = Request(
                serial="1000", device_id="", identity=public_text(key.public_key()), csr=bad.decode("latin-1"),
                proof="", software_version="1",
            )  # fmt: skip
            with pytest.raises((BadDataError, MalformedError, RefusedError)):
                bench.enrol(documents.sign(asked, key))


def test_a_key_of_a_kind_that_nobody_knows_is_no_root() -> None:
    """A PEM file from a stick."""
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = base64.b64decode(pem.splitlines()[1])
    odd = base64.b64encode(der.replace(bytes.fromhex("2b6570"), bytes.fromhex("2b657f")))

    with pytest.raises(MalformedError, match="not a public key"):
        signed.verify_keys(pem.replace(pem.splitlines()[1], odd))


def test_a_certificate_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where it is read, its names, dates and key can be asked for."""
    holder = certificates.new_client(workshop(tmp_path).batch.ca, "box", unit="boot", now_s=time.time(), days=1)

    read = 0
    for bad in spoilt(holder.certificate_pem):
        try:
            found = others.read(bad)
        except BadDataError:
            continue
        read += 1
        assert isinstance(others.common_name(found), str)
        assert found.not_valid_after_utc.timestamp() > 0 or found.not_valid_before_utc
    assert 0 < read < MUTANTS
