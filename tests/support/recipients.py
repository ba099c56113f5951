"""A throw-away authority and custodian, so that tests can seal a log and, holding both keys, open it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.log import hpke, recipients
from edge_scanner.core.log.recipients import Recipient, RecipientSet


def fill(buffer: bytearray) -> None:
    """Randomness as `SealedLog` wants it."""
    buffer[:] = secrets.token_bytes(len(buffer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """The root that signs sets, the set in force, and the two private keys that open together."""

    root: Ed25519PrivateKey
    recipients: RecipientSet
    health_authority: bytes
    custodian: bytes

    @property
    def document(self) -> bytes:
        """The signed recipient set as it lies on a box."""
        return recipients.sign(self.recipients, [self.root])

    def keys(self, *roles: str) -> dict[bytes, bytes]:
        """Private keys by id: those of `roles`, or all."""
        private = {"health-authority": self.health_authority, "custodian": self.custodian}
        return {one.key_id: private[one.role] for one in self.recipients.recipients if not roles or one.role in roles}

    @property
    def root_pem(self) -> bytes:
        """The root's public key as it lies on a box."""
        return self.root.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def parties(now_s: float, *, days: int = 84, version: int = 1) -> Parties:
    """Fresh keys and a set "health-authority and custodian" valid from a day ago."""
    suite = hpke.wrap_suite(1)
    authority, custodian = (hpke.new_private_key(suite, fill) for _ in range(2))
    begin_s = int(now_s) - 86400
    return Parties(
        root=Ed25519PrivateKey.generate(),
        recipients=RecipientSet(
            version=version,
            not_before_s=begin_s,
            not_after_s=begin_s + days * 86400,
            parts=(("health-authority",), ("custodian",)),
            recipients=tuple(
                Recipient(
                    role=role,
                    name=role,
                    suite=suite,
                    public_key=hpke.public_key_of(suite, key),
                    not_before_s=begin_s,
                )
                for role, key in (("health-authority", authority), ("custodian", custodian))
            ),
        ),
        health_authority=authority,
        custodian=custodian,
    )
