"""A batch: one zip file that lets a laptop without internet install its boxes, for 90 days and `count` ids.

    manifest.json     signed by the fleet: ids, places, trust anchors, brokers, recipient set, software by hash
    signer.pub        the fleet's key, which a laptop pins at its first batch
    batch-ca.crt/key  signs bootstrap certificates; the key lies under the batch's own passphrase (vault.py)
    bench.key         signs assignments and the time; under the same passphrase
    enrol.secret      what the batch's card images hold, so that the bench knows its boxes; under the same passphrase
    software/…        the packages that the manifest lists

The ids are drawn here, so that a stolen laptop can name no box beyond its list, and the enrolment desk knows the list.
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_scanner import passphrases
from edge_scanner.core.enrolment import device_id, documents, proofs
from edge_scanner.core.enrolment.documents import Manifest, Place, SoftwareFile, public_text
from edge_scanner.core.errors import BadDataError, ConfigurationError, LogError, RefusedError
from edge_scanner.core.log import recipients, roots
from provisioning import certificates, files
from provisioning.vault import Ring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provisioning.certificates import Holder
    from provisioning.fleet.fleet import Fleet

BATCH_DAYS = 90
"""Long enough for a campaign, short enough that a lost laptop is forgotten in a season."""
MAX_COUNT = 500
"""Ten days of fifty boxes: more in one laptop's hands is not a batch."""
MAX_MEMBER_BYTES = 256 * 1024 * 1024
"""A package with all its wheels has 30 MB."""
# What zipfile lets out: the file, bad structure or checksum, an end too early, encryption, a place before the start.
_NO_BATCH = (OSError, zipfile.BadZipFile, EOFError, RuntimeError, ValueError)
_NAME = re.compile(r"[A-Z0-9][A-Z0-9-]{0,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """An opened batch: `document` is the manifest as it is handed to boxes."""

    path: Path
    manifest: Manifest
    document: bytes
    ca: Holder
    bench_key: Ed25519PrivateKey
    enrol_secret: bytes

    def software(self, name: str) -> bytes | None:
        """A file of the software set, None for a name that the manifest does not list; BadDataError if altered."""
        wanted = next((file for file in self.manifest.software if file.name == name), None)
        if wanted is None:
            return None
        (content,) = _members(self.path, f"software/{name}")
        if hashlib.sha256(content).hexdigest() != wanted.sha256:
            raise BadDataError(
                "a software file is not the one that was signed",
                where=name,
                hint="fetch the batch again from headquarters",
            )
        return content


def new_batch(
    fleet: Fleet,
    *,
    name: str,
    count: int,
    places: Sequence[Place],
    authority_root: bytes,
    custodian_root: bytes,
    recipient_set: bytes,
    software: Sequence[Path],
    software_version: str,
    passphrase: str,
    now_s: float,
    target: Path,
) -> Manifest:
    """Write the zip; raises ConfigurationError for a count or recipient set that would not work in the field."""
    passphrases.check(passphrase)
    _check_plan(name, count, len(places))
    _check_recipients(recipient_set, authority_root, custodian_root, now_s)
    ca = certificates.new_ca(f"{fleet.name} {name}", now_s=now_s, days=BATCH_DAYS, leaves_only=True)
    bench_key = Ed25519PrivateKey.generate()
    contents = {path.name: files.read(path, hint="name files that exist", limit=MAX_MEMBER_BYTES) for path in software}
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    manifest = Manifest(
        fleet=fleet.name,
        batch=name,
        not_before_s=int(now_s),
        not_after_s=int(now_s) + BATCH_DAYS * 86400,
        ids=_draw_ids(count),
        places=tuple(places),
        bench_key=public_text(bench_key.public_key()),
        batch_ca=ca.certificate_pem.decode(),
        broker_ca=fleet.trust_pem.decode(),
        broker_host=fleet.broker.host,
        broker_port=fleet.broker.port,
        enrol_host=fleet.enrol.host,
        enrol_port=fleet.enrol.port,
        authority_root=authority_root.decode("ascii", "replace"),
        custodian_root=custodian_root.decode("ascii", "replace"),
        recipients=recipient_set.decode("utf-8", "replace"),
        hotline=fleet.hotline,
        label_address=fleet.label_address,
        software_version=software_version,
        software=tuple(SoftwareFile(name=file, sha256=digest) for file, digest in hashes.items()),
    )
    keys = {
        "batch-ca.key": (f"{name} CA", ca.key_pem),
        "bench.key": (f"{name} bench", bench_key.private_bytes_raw()),
        proofs.FILE: (f"{name} enrolment", secrets.token_bytes(proofs.SECRET_BYTES)),
    }
    ring = Ring(passphrase)
    sealed = {member: ring.seal(secret, what) for member, (what, secret) in keys.items()}
    plain = {
        "manifest.json": documents.sign(manifest, fleet.signer),
        "signer.pub": public_text(fleet.signer.public_key()).encode(),
        "batch-ca.crt": ca.certificate_pem,
        **{f"software/{file}": content for file, content in contents.items()},
    }
    _pack({**plain, **sealed}, target)
    return manifest


def _check_plan(name: str, count: int, places: int) -> None:
    if not 1 <= count <= MAX_COUNT or places > count:
        raise ConfigurationError(
            f"a batch has 1 to {MAX_COUNT} boxes and not more places than boxes",
            hint=f"{places} places are listed",
        )
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not a batch name", hint="1 to 16 of A-Z, 0-9 and -, for example B-014")


def _pack(members: Mapping[str, bytes], target: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    files.write(target, packed.getvalue())


def open_batch(path: Path, *, passphrase: str, signer: Ed25519PublicKey, now_s: float) -> Batch:
    """Check and open a batch; raises BadDataError, DocumentForgedError, RefusedError (passphrase, time)."""
    document, certificate, ca_key, bench_key, secret = _members(
        path, "manifest.json", "batch-ca.crt", "batch-ca.key", "bench.key", proofs.FILE
    )
    manifest = documents.verify(Manifest, document, signer)
    if not manifest.not_before_s - 86400 <= now_s <= manifest.not_after_s:
        raise RefusedError(
            f"batch {manifest.batch} is not valid at this laptop's time",
            code="batch-time",
            where=str(path),
            hint="set the laptop's clock, or ask for a new batch",
        )
    ring, name = Ring(passphrase), manifest.batch
    batch = Batch(
        path=path,
        manifest=manifest,
        document=document,
        ca=certificates.load_holder(certificate, ring.open(ca_key, f"{name} CA")),
        bench_key=Ed25519PrivateKey.from_private_bytes(ring.open(bench_key, f"{name} bench")),
        enrol_secret=ring.open(secret, f"{name} enrolment"),
    )
    ours = (batch.ca.certificate_pem.decode(), public_text(batch.bench_key.public_key()))
    if ours != (manifest.batch_ca, manifest.bench_key):
        raise BadDataError(
            "the keys are not those of the manifest", where=str(path), hint="fetch the batch again from headquarters"
        )
    return batch


def signer_of(path: Path) -> Ed25519PublicKey:
    """The key that a batch file says the fleet has; to be pinned at a first batch only. Raises BadDataError."""
    (key,) = _members(path, "signer.pub")
    return documents.public_key(key.decode("ascii", "replace").strip())


def _members(path: Path, *names: str) -> list[bytes]:
    """What files of a batch hold, which `_pack` stored without compression; raises BadDataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [_member(archive, name) for name in names]
    except _NO_BATCH as error:
        raise BadDataError(
            "not a batch file", where=str(path), hint="fetch the batch again from headquarters"
        ) from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        member = archive.getinfo(name)
    except KeyError as error:
        raise BadDataError(
            "a file is missing in the batch", where=name, hint="fetch the batch again from headquarters"
        ) from error
    if member.compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(name)
    with archive.open(member) as file:
        content = file.read(MAX_MEMBER_BYTES + 1)
    if len(content) > MAX_MEMBER_BYTES:
        raise BadDataError(
            "a file in the batch is too large", where=name, hint="fetch the batch again from headquarters"
        )
    return content


def _draw_ids(count: int) -> tuple[str, ...]:
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        drawn[device_id.from_entropy(secrets.token_bytes(device_id.ENTROPY_BYTES))] = None
    return tuple(drawn)


def _check_recipients(document: bytes, authority_pem: bytes, custodian_pem: bytes, now_s: float) -> None:
    """Fifty boxes with a set that they refuse would be fifty trips: it is tried here."""
    try:
        found = recipients.verify(document, roots.read(authority_pem, custodian_pem))
    except LogError as error:
        raise ConfigurationError(
            f"boxes would refuse the recipient set: {error}", hint="ask the authority and the custodian"
        ) from error
    if not found.usable(now_s):
        raise ConfigurationError("the recipient set is not valid now", hint="ask the authority for the current one")
