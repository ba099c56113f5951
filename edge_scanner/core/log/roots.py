"""Whose word makes a recipient set: the roots of the health authority and of each custodian, pinned on the box.

A root is an Ed25519 key, beside it an ML-DSA-65 key where the party has one; either is a PEM file. Several custodians
stand in one file, one after another, in any order. No key is the root of two parties: what takes two must not be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_scanner.core import signed
from edge_scanner.core.errors import MalformedError

if TYPE_CHECKING:
    from edge_scanner.core.signed import VerifyKey

MAX_PARTIES = 8
"""One authority and its custodians: more are a committee, not a duty of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """The keys of every party: the authority, then the custodians in the order of their names; made by `read`."""

    parties: tuple[tuple[VerifyKey, ...], ...]

    @property
    def authority(self) -> tuple[VerifyKey, ...]:
        """The health authority's keys: they sign mandates, too."""
        return self.parties[0]

    @property
    def keys(self) -> tuple[VerifyKey, ...]:
        """All keys that must have signed a recipient set."""
        return tuple(key for party in self.parties for key in party)

    @property
    def names(self) -> tuple[str, ...]:
        """How a recipient set names each party: its Ed25519 key's name."""
        return tuple(signed.key_name(party[0]) for party in self.parties)


def read(authority_pem: bytes, custodian_pem: bytes) -> Roots:
    """The roots of both files; raises MalformedError unless they are at least two parties with keys of their own."""
    authority = _split(authority_pem, "the authority's root")
    custodians = _split(custodian_pem, "the custodian's root")
    if len(authority) != 1:
        raise MalformedError("there is one authority, with one Ed25519 key", where="the authority's root")
    found = Roots(parties=(*authority, *sorted(custodians, key=lambda party: signed.key_name(party[0]))))
    if len(found.parties) > MAX_PARTIES:
        raise MalformedError(f"more than {MAX_PARTIES} parties", where="the custodian's root")
    if len({key.public_bytes_raw() for key in found.keys}) != len(found.keys):
        raise MalformedError("one key is the root of two parties", where="the custodian's root")
    return found


def _split(pem: bytes, where: str) -> list[tuple[VerifyKey, ...]]:
    """The parties of a file: each begins with its Ed25519 key, which an ML-DSA-65 key may follow."""
    parties: list[tuple[VerifyKey, ...]] = []
    for key in signed.verify_keys(pem):
        if isinstance(key, Ed25519PublicKey):
            parties.append((key,))
        elif parties and len(parties[-1]) == 1:
            parties[-1] = (*parties[-1], key)
        else:
            raise MalformedError("an ML-DSA-65 key must follow its party's Ed25519 key", where=where)
    return parties
