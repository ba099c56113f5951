"""A throw-away authority and custodian, so that tests can seal a log and, holding both keys, open it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.log import hpke, recipients, roots
from edge_scanner.core.log.recipients import Party, Recipient, RecipientSet

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.log.roots import Roots


WEEK_S = 7 * 86400


def fill(buffer: bytearray) -> None:
    """Randomness as `SealedLog` wants it."""
    buffer[:] = secrets.token_bytes(len(buffer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """The roots that sign sets, the set in force, and the two private keys that open together."""

    root: Ed25519PrivateKey
    custodian_root: Ed25519PrivateKey
    recipients: RecipientSet
    health_authority: bytes
    custodian: bytes

    @property
    def document(self) -> bytes:
        """The signed recipient set as it lies on a box."""
        return recipients.countersign(recipients.sign(self.recipients, [self.root]), [self.custodian_root])

    @property
    def roots(self) -> Roots:
        """Both roots as a box pins them."""
        return roots.read(self.root_pem, self.custodian_pem)

    def keys(self, *roles: str) -> dict[bytes, bytes]:
        """Private keys by id: those of `roles`, or all."""
        private = {"health-authority": self.health_authority, "custodian": self.custodian}
        return {one.key_id: private[one.role] for one in self.recipients.recipients if not roles or one.role in roles}

    @property
    def root_pem(self) -> bytes:
        """The authority's root as it lies on a box."""
        return pem(self.root)

    @property
    def custodian_pem(self) -> bytes:
        """The custodian's root as it lies on a box."""
        return pem(self.custodian_root)

    def install(self, folder: Path) -> None:
        """The set and both roots, under the names they have on a box."""
        (folder / "recipients.json").write_bytes(self.document)
        (folder / "authority-root.pem").write_bytes(self.root_pem)
        (folder / "custodian-root.pem").write_bytes(self.custodian_pem)


def pem(key: Ed25519PrivateKey) -> bytes:
    """The public part of a root."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def party(name: str, root: Ed25519PrivateKey, *roles: str) -> Party:
    """A party as a set names it."""
    return Party(name=name, root=signed.key_name(root.public_key()), roles=roles)


def weekly(given: RecipientSet, weeks: int) -> RecipientSet:
    """The set with so many weekly keys of each role in the place of its one."""
    return replace(
        given,
        recipients=tuple(
            replace(
                one,
                public_key=hpke.public_key_of(one.suite, hpke.new_private_key(one.suite, fill)),
                not_before_s=one.not_before_s + week * WEEK_S,
            )
            for one in given.recipients
            for week in range(weeks)
        ),
    )


def parties(now_s: float, *, days: int = 84, version: int = 1) -> Parties:
    """Fresh keys and a set "health-authority and custodian" valid from a day ago."""
    suite = hpke.wrap_suite(1)
    authority, custodian = (hpke.new_private_key(suite, fill) for _ in range(2))
    begin_s = int(now_s) - 86400
    root, custodian_root = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    return Parties(
        root=root,
        custodian_root=custodian_root,
        recipients=RecipientSet(
            version=version,
            not_before_s=begin_s,
            not_after_s=begin_s + days * 86400,
            parties=(
                party("health-authority", root, "health-authority"),
                party("custodian", custodian_root, "custodian"),
            ),
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
