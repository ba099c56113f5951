"""The rows of the centre's tables as the rest of the room sees them: frozen, in whole UTC seconds.

`digest` is the first 16 bytes of the payload's SHA-256: a repeat has the same, and another one under the same key is a
contradiction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from edge_scanner.core import messages
from edge_scanner.core.model import MessageKind

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGEST_BYTES = 16
MAX_SET = (1 << 63) - 1
"""Versions of recipient sets above it are nonsense: no database counts so far."""


def digest(payload: bytes) -> bytes:
    """What tells a repeat from a contradiction."""
    return hashlib.sha256(payload).digest()[:DIGEST_BYTES]


class Reason(StrEnum):
    """Why a message was set aside."""

    TOPIC = "topic"
    """No topic of a box, or one that the payload denies."""
    SIZE = "size"
    SCHEMA = "schema"
    """Not JSON, or not the document that its topic promises."""
    KEY = "key"
    """Its key is not the one that its content has."""
    UNLISTED = "unlisted"
    """The signed list has no such box; heard again when the list changes."""
    OUT_OF_SERVICE = "out-of-service"
    SIGNATURE = "signature"
    """A checkpoint or boot record that the box did not sign."""
    CLOCK = "clock"
    """About a time too far from now."""
    CONTRADICTION = "contradiction"
    """Another content under a key that is kept already."""
    REFUSED = "refused"
    """The database did not take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One noised bin of a box. `site` is the signed list's; `segment` and `link` tie it to the sealed log.

    `scale` is of the noise of `nearby`, a sum of `parts` of the screen's figures; `tracing_scale` of each other figure,
    where it differs. Of `payload` the table keeps the digest.
    """

    device: str
    ledger: str
    bin_start: int
    bin_s: int
    site: str
    boot: int
    minutes_covered: int
    epsilon: float
    scale: float
    clock: str
    figures: Mapping[str, int]
    at: int
    received: int
    payload: bytes
    tracing_scale: float | None = None
    parts: int = 1
    segment: int | None = None
    link: bytes | None = None

    kind = MessageKind.COUNTS

    @property
    def topic(self) -> str:
        """Where it came."""
        return messages.topic(self.device, self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A checkpoint, boot record or audit entry as it came. `number` is its size or its number."""

    device: str
    kind: str
    mark: str
    number: int
    at: int
    received: int
    payload: bytes

    @property
    def topic(self) -> str:
        """Where it came."""
        return messages.topic(self.device, MessageKind(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A box's word about itself: its status or its health; the newest of each kind is kept, and one health an hour."""

    device: str
    kind: str
    boot: int
    seq: int
    at: int
    received: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A message that was not believed, for a week."""

    received: int
    reason: Reason
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something for a person. `device` is empty for the centre itself; `mark` tells alarms of one kind apart.

    `evidence` is what proves it, as JSON: payloads in base64 with their topics.
    """

    device: str
    kind: str
    mark: str
    raised: int
    what: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How far the witness followed a box's log: the newest tree head that it holds to be consistent with all before.

    `boot` is the newest boot record's number and `boot_id` its run's, empty until one came. `proven` is False from the
    first contact with a log that is not empty until the end: what was before it nobody saw.
    """

    device: str
    size: int
    root: bytes
    boot: int
    boot_id: bytes
    note: bytes
    at: int
    received: int
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box of the fleet's signed list; `identity` is its raw Ed25519 key, empty while nobody has it."""

    device: str
    site: str
    room: str
    state: str
    identity: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A venue of the signed list. `province`, `district` and `kind` are empty where the list does not say.

    `rule` says what its total is: the sum of its boxes (`separate`) or the largest of them (`same hall`).
    """

    site: str
    name: str
    province: str = ""
    district: str = ""
    kind: str = ""
    rule: str = "separate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one commit keeps."""

    releases: tuple[Release, ...] = ()
    statements: tuple[Statement, ...] = ()
    states: tuple[State, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    heads: tuple[Head, ...] = ()
    beyond: int = 0
    """Messages that were more than a box may say in a day: counted, and not kept."""

    def __len__(self) -> int:
        return len(self.releases) + len(self.statements) + len(self.states) + len(self.set_aside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of a batch: rows that are new, repeats, and rows that contradict one that was kept before."""

    new: int = 0
    repeats: int = 0
    contradictions: tuple[Release | Statement, ...] = ()
