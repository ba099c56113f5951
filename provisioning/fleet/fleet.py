"""The fleet's folder at headquarters: root, issuing CA, the key that signs batches, and where the brokers are.

    fleet.toml  signer.key  signer.pub  issuing.crt  issuing.key  offline/root.crt  offline/root.key  inventory.db

Keys lie under one passphrase (vault.py). `offline/` is for a safe: nothing here reads it again once the issuing CA
exists. The signer is Ed25519 and separate from the CA, because what it signs (whom boxes trust) outlives any
certificate.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import passphrases
from edge_scanner.core.enrolment.documents import public_text
from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError
from provisioning import certificates, files, hsm
from provisioning.vault import Ring

if TYPE_CHECKING:
    from provisioning.certificates import Holder

ROOT_DAYS = 20 * 365
ISSUING_DAYS = 5 * 365
"""Its successor is made in year three: a box's certificate lives 397 days and must not outlive its issuer."""
ROOT, ISSUING, SIGNER = "fleet root", "fleet issuing CA", "fleet signer"
"""What each sealed key is."""
_MAX_PORT = 65535
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_INVENTORY = "inventory.db"
_NO_FLEET = "edge-provision fleet new makes a fleet; --fleet names its folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and a TCP port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """An opened fleet. `broker` is the central one, `enrol` the one that bootstrap certificates may enter."""

    folder: Path
    name: str
    broker: Endpoint
    enrol: Endpoint
    root_pem: bytes
    issuing: Holder
    signer: Ed25519PrivateKey
    hotline: str = ""
    label_address: str = ""

    @property
    def trust_pem(self) -> bytes:
        """Root and issuing CA: what boxes and the central broker trust."""
        return self.root_pem + self.issuing.certificate_pem

    @property
    def inventory(self) -> Path:
        """The database of boxes and certificates."""
        return self.folder / _INVENTORY


def endpoint(text: str, *, default_port: int) -> Endpoint:
    """`host` or `host:port`; raises ConfigurationError."""
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(default_port))
    if not host or not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise ConfigurationError(f"{text!r} is not host:port", hint="write for example mqtt.example.vn:8883")
    return Endpoint(host=host, port=int(port))


def new_fleet(
    folder: Path,
    *,
    name: str,
    broker: Endpoint,
    enrol: Endpoint,
    passphrase: str,
    now_s: float,
    token: hsm.Token | None = None,
    hotline: str = "",
    label_address: str = "",
) -> Fleet:
    """Make a fleet in an empty folder; raises RefusedError where one is already, BadDataError for a weak passphrase."""
    passphrases.check(passphrase)
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} is not a fleet's name", hint="1 to 32 of a-z, 0-9 and -, for example hcm")
    if (folder / "fleet.toml").exists():
        raise RefusedError("there is a fleet already", code="exists", where=str(folder), hint="name another folder")
    root = certificates.new_ca(f"{name} root", now_s=now_s, days=ROOT_DAYS)
    made = token.make(passphrase) if token else None
    issuing = certificates.new_ca(
        f"{name} issuing CA", now_s=now_s, days=ISSUING_DAYS, issuer=root, key=made[0] if made else None
    )
    signer, ring = made[1] if made else Ed25519PrivateKey.generate(), Ring(passphrase)
    files.write(folder / "offline" / "root.key", ring.seal(root.key_pem, ROOT))
    files.write(folder / "offline" / "root.crt", root.certificate_pem, mode=0o644)
    files.write(folder / "root.crt", root.certificate_pem, mode=0o644)
    if token is None:
        files.write(folder / "issuing.key", ring.seal(issuing.key_pem, ISSUING))
        files.write(folder / "signer.key", ring.seal(signer.private_bytes_raw(), SIGNER))
    files.write(folder / "issuing.crt", issuing.certificate_pem, mode=0o644)
    files.write(folder / "signer.pub", public_text(signer.public_key()).encode() + b"\n", mode=0o644)
    # The last file written makes the fleet: a folder without it is begun again.
    lines = [
        f'name = "{name}"',
        f'broker = "{broker.host}:{broker.port}"',
        f'enrol = "{enrol.host}:{enrol.port}"',
        f"hotline = {json.dumps(hotline, ensure_ascii=False)}",
        f"label_address = {json.dumps(label_address)}",
    ]
    if token is not None:
        lines += [f"pkcs11_module = {json.dumps(str(token.module))}", f"pkcs11_token = {json.dumps(token.label)}"]
    files.write(folder / "fleet.toml", "\n".join([*lines, ""]).encode(), mode=0o644)
    return Fleet(
        folder=folder,
        name=name,
        broker=broker,
        enrol=enrol,
        root_pem=root.certificate_pem,
        issuing=issuing,
        signer=signer,
        hotline=hotline,
        label_address=label_address,
    )


def write_words(folder: Path, *, hotline: str, label_address: str) -> None:
    """Change what the fleet prints on labels, in the batches that are made from now on. Raises StorageError."""
    path = folder / "fleet.toml"
    lines = files.read(path, hint=_NO_FLEET).splitlines()
    kept = [line for line in lines if not line.startswith((b"hotline", b"label_address"))]
    words = [f"hotline = {json.dumps(hotline, ensure_ascii=False)}", f"label_address = {json.dumps(label_address)}"]
    files.write(path, b"\n".join([*kept, *(word.encode() for word in words), b""]), mode=0o644)


def inventory_of(folder: Path) -> Path:
    """The fleet's list of boxes, for whoever needs no key. Raises StorageError without a fleet there."""
    files.read(folder / "fleet.toml", hint=_NO_FLEET)
    return folder / _INVENTORY


def signer_of(folder: Path) -> str:
    """The public key that signs batches and lists, base64, for whoever needs no secret. Raises StorageError."""
    return files.read(folder / "signer.pub", hint=_NO_FLEET).decode("ascii", "replace").strip()


def reseal(folder: Path, passphrase: str, new: str) -> list[Path]:
    """Put every key under a new passphrase, and the root's where `offline/` is here; the files written."""
    passphrases.check(new)
    old, ring = Ring(passphrase), Ring(new)
    kinds = {"issuing.key": ISSUING, "signer.key": SIGNER, "offline/root.key": ROOT}
    present = {folder / name: what for name, what in kinds.items() if (folder / name).exists()}
    # All are opened before one is written: no fleet lies under two passphrases because of a typing error.
    opened = {path: old.open(files.read(path, hint=_NO_FLEET), what) for path, what in present.items()}
    for path, secret in opened.items():
        files.write(path, ring.seal(secret, present[path]))
    return list(opened)


def open_fleet(folder: Path, passphrase: str) -> Fleet:
    """Raises StorageError without a fleet there, RefusedError for a wrong passphrase."""
    try:
        described = tomllib.loads(files.read(folder / "fleet.toml", hint=_NO_FLEET).decode())
        name, broker, enrol = (str(described[key]) for key in ("name", "broker", "enrol"))
    except (ValueError, KeyError, RecursionError) as error:
        raise BadDataError(
            "fleet.toml is damaged", where=str(folder), hint="name, broker and enrol are texts"
        ) from error
    issuing, signer = _keys(folder, described, passphrase)
    return Fleet(
        folder=folder,
        name=name,
        broker=endpoint(broker, default_port=8883),
        enrol=endpoint(enrol, default_port=8884),
        root_pem=files.read(folder / "root.crt", hint=_NO_FLEET),
        issuing=issuing,
        signer=signer,
        hotline=str(described.get("hotline", "")),
        label_address=str(described.get("label_address", "")),
    )


def _keys(folder: Path, described: dict[str, Any], passphrase: str) -> tuple[Holder, Ed25519PrivateKey]:
    """Issuing CA and signer, from the token that fleet.toml names or from their files."""
    certificate = files.read(folder / "issuing.crt", hint=_NO_FLEET)
    if "pkcs11_module" in described:
        token = hsm.Token(module=Path(described["pkcs11_module"]), label=str(described.get("pkcs11_token", "")))
        key, inside = token.open(passphrase)
        holder = certificates.Holder(certificate=certificates.load_certificate(certificate), key=key)
        if key.public_key() != holder.certificate.public_key():
            raise BadDataError("the token is another fleet's", where=token.label, hint="is it the right token?")
        return holder, inside
    ring = Ring(passphrase)
    issuing = ring.open(files.read(folder / "issuing.key", hint=_NO_FLEET), ISSUING)
    signer = ring.open(files.read(folder / "signer.key", hint=_NO_FLEET), SIGNER)
    return certificates.load_holder(certificate, issuing), Ed25519PrivateKey.from_private_bytes(signer)
