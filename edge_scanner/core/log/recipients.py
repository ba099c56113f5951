"""The recipient set: who can open the log, as a document signed by the authority *and* by each custodian.

The roots of both (roots.py) are pinned on the box at enrolment, and a set is valid only with the signature of every one
of them, so nobody can change alone who opens. Keys are weekly and published weeks ahead, so that an offline venue keeps
changing keys: an entry takes over at its `not_before`. The key of a segment has parts, and `parts` lists the roles that
hold each: [[a], [b]] is "a and b", [[b, c], [a, c], [a, b]] is "two of a, b and c". Each role belongs to one party, and
no party may hold every part. Parts were chosen over a threshold and Shamir's scheme: each has a ratchet of its own, so
that its holder can hand over single minutes (ratchet.py). Format: docs/log-format.md, "Recipient set".
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.core import signed, text
from edge_scanner.core.errors import DocumentForgedError, MalformedError
from edge_scanner.core.log import hpke
from edge_scanner.core.log.errors import RecipientsRolledBackError
from edge_scanner.core.log.format import MAX_SHARES
from edge_scanner.core.log.roots import MAX_PARTIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.log.roots import Roots

LABEL = "edge-scanner recipient set v2"
"""What a signature on a recipient set covers first."""

GRACE_S = 14 * 86400
"""How long past its end a set still seals: a fortnight without any contact to the authority."""

MAX_DOCUMENT_BYTES = 240_000
"""It travels in one packet to boxes (mqtt/connection.py); sixteen weekly keys of eight roles fit, 1.8 kB a key."""

_MAX_RECIPIENTS = 128
_FORMAT = "edge-scanner/recipients/2"
MIN_PARTIES = 2
_ROOT = re.compile(r"[0-9a-f]{16}")
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_MAX_NAME = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One key of one role, used from `not_before_s` until the role's next key; `name` is for people."""

    role: str
    name: str
    suite: hpke.WrapSuite
    public_key: bytes
    not_before_s: int

    @property
    def key_id(self) -> bytes:
        """8 bytes; a segment's header names the key by it."""
        return hpke.key_id(self.suite, self.public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One party: `root` is the name of its Ed25519 root (16 hex digits), `roles` is the one role that is its own."""

    name: str
    root: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientSet:
    """A verified set; `digest` is SHA-256 of its canonical body and stands in every segment header."""

    version: int
    not_before_s: int
    not_after_s: int
    parties: tuple[Party, ...]
    parts: tuple[tuple[str, ...], ...]
    recipients: tuple[Recipient, ...]

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical body, 32 bytes."""
        return hashlib.sha256(signed.canonical(_body(self))).digest()

    def usable(self, now_s: float) -> bool:
        """Whether the log may be sealed to this set: past its end and grace logging stops, counting goes on.

        A moment before its beginning is fine: a Pi without a clock wakes in the past, and what it hears must not be
        lost; the first key serves, and the clock event sets the minutes right.
        """
        return now_s <= self.not_after_s + GRACE_S

    def at(self, now_s: float) -> tuple[tuple[Recipient, ...], ...]:
        """The holders of each part with their keys of the moment: the last that began, or the first that will."""
        current: dict[str, Recipient] = {}
        for recipient in sorted(self.recipients, key=lambda recipient: recipient.not_before_s):
            if recipient.role not in current or recipient.not_before_s <= now_s:
                current[recipient.role] = recipient
        return tuple(tuple(current[role] for role in part) for part in self.parts)


def sign(recipients: RecipientSet, keys: Sequence[signed.SigningKey]) -> bytes:
    """The document, signed by these keys: one party's, each Ed25519, then ML-DSA-65 where it has one.

    Raises MalformedError for a set that no box would accept.
    """
    body = _body(recipients)
    _parse(body)
    document = signed.sign(body, label=LABEL, keys=keys)
    _require(len(document) <= MAX_DOCUMENT_BYTES, f"it is larger than {MAX_DOCUMENT_BYTES} bytes: name fewer weeks")
    return document


def countersign(document: bytes, keys: Sequence[signed.SigningKey]) -> bytes:
    """The document with another party's signatures; raises MalformedError."""
    return signed.add_signatures(document, label=LABEL, keys=keys, limit=MAX_DOCUMENT_BYTES)


def verify(document: bytes, roots: Roots) -> RecipientSet:
    """The set, when every root of every party signed it and it names these parties, the authority first.

    Raises MalformedError, DocumentForgedError, UnknownSuiteError.
    """
    found = proposed(document, roots.keys)
    if tuple(party.root for party in found.parties) != roots.names:
        raise DocumentForgedError("its parties are not those whose roots are pinned", where="recipient set")
    return found


def proposed(document: bytes, keys: Sequence[signed.VerifyKey]) -> RecipientSet:
    """A set that these keys signed; others may have to sign as well before a box takes it. Raises as `verify`."""
    return _parse(signed.verify(document, label=LABEL, keys=keys, limit=MAX_DOCUMENT_BYTES))


def supersede(current: RecipientSet | None, candidate: RecipientSet) -> RecipientSet:
    """The set in force after `candidate` arrived: the higher version; raises RecipientsRolledBackError for a lower one.

    The same version with other content is refused too: nobody may swap recipients without a new number.
    """
    if current is not None and (
        candidate.version < current.version
        or (candidate.version == current.version and candidate.digest != current.digest)
    ):
        raise RecipientsRolledBackError(
            f"recipient set version {candidate.version} cannot replace version {current.version}",
            hint="publish it under a higher version",
        )
    return candidate


def _body(recipients: RecipientSet) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": recipients.version,
        "not_before": recipients.not_before_s,
        "not_after": recipients.not_after_s,
        "parties": [
            {"name": party.name, "root": party.root, "roles": list(party.roles)} for party in recipients.parties
        ],
        "parts": [list(part) for part in recipients.parts],
        "recipients": [
            {
                "role": recipient.role,
                "name": recipient.name,
                "suite": recipient.suite.number,
                "key_id": recipient.key_id.hex(),
                "public_key": base64.b64encode(recipient.public_key).decode(),
                "not_before": recipient.not_before_s,
            }
            for recipient in recipients.recipients
        ],
    }


def _parse(body: dict[str, Any]) -> RecipientSet:
    kind, version, not_before, not_after, parties, parts, entries = signed.fields(
        body, format=str, version=int, not_before=int, not_after=int, parties=list, parts=list, recipients=list
    )
    _require(kind == _FORMAT, "not a recipient set of format 2")
    _require(version >= 1, "version must be at least 1")
    _require(0 <= not_before < not_after, "not_before must precede not_after")
    _require(1 <= len(entries) <= _MAX_RECIPIENTS, f"1 to {_MAX_RECIPIENTS} recipients are allowed")
    recipients = tuple(_parse_recipient(entry) for entry in entries)
    roles = {recipient.role for recipient in recipients}
    slots = {(recipient.role, recipient.not_before_s) for recipient in recipients}
    _require(len(slots) == len(recipients), "a role has two keys for one moment")
    owners = {recipient.public_key: recipient.role for recipient in recipients}
    _require(all(owners[one.public_key] == one.role for one in recipients), "one key is in two roles")
    for part in parts:
        _require(isinstance(part, list) and bool(part), "a part must be a list of roles")
        _require(all(isinstance(role, str) and role in roles for role in part), "a part names an unknown role")
        _require(len(set(part)) == len(part), "a part names a role twice")
    _require(sum(map(len, parts)) <= MAX_SHARES, f"the parts need more than {MAX_SHARES} shares")
    members = _parse_parties(parties, roles)
    for party in members:
        _require(any(not set(party.roles) & set(part) for part in parts), f"{party.name} alone holds every part")
    return RecipientSet(
        version=version,
        not_before_s=not_before,
        not_after_s=not_after,
        parties=members,
        parts=tuple(tuple(part) for part in parts),
        recipients=recipients,
    )


def _parse_parties(entries: list[Any], roles: set[str]) -> tuple[Party, ...]:
    """At least two parties with roots of their own, each with one role that is its own; no role is left over."""
    _require(MIN_PARTIES <= len(entries) <= MAX_PARTIES, f"{MIN_PARTIES} to {MAX_PARTIES} parties are needed")
    parties = []
    for entry in entries:
        name, root, own = signed.fields(entry, name=str, root=str, roles=list)
        text.parse(name, limit=_MAX_NAME, name="a party's name", where="recipient set")
        _require(bool(_ROOT.fullmatch(root)), "a party's root is named by 16 hex digits")
        _require(all(isinstance(role, str) for role in own), "a party's roles are texts")
        _require(len(own) == 1, "a party has one role")
        parties.append(Party(name=name, root=root, roles=tuple(own)))
    _require(len({party.root for party in parties}) == len(parties), "one root is that of two parties")
    shared_out = [role for party in parties for role in party.roles]
    _require(sorted(shared_out) == sorted(roles), "every role must belong to one party")
    return tuple(parties)


def _parse_recipient(entry: Any) -> Recipient:
    role, name, number, key_id, public_key, not_before = signed.fields(
        entry, role=str, name=str, suite=int, key_id=str, public_key=str, not_before=int
    )
    _require(bool(_ROLE.fullmatch(role)), "a role is 1 to 32 of a-z, 0-9 and -")
    text.parse(name, limit=_MAX_NAME, name="a key's name", where="recipient set")
    _require(not_before >= 0, "a key's not_before is negative")
    recipient = Recipient(
        role=role,
        name=name,
        suite=hpke.wrap_suite(number),
        public_key=signed.unbase64(public_key),
        not_before_s=not_before,
    )
    hpke.load_public(recipient.suite, recipient.public_key)
    _require(recipient.key_id.hex() == key_id, "a key_id does not belong to its key")
    return recipient


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise MalformedError(sentence, where="recipient set")
