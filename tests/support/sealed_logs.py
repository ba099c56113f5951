"""A box's sealed log for tests: deterministic secrets, two recipients, any number of minutes, and its stored rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.log import hpke, writer
from edge_scanner.core.log.frames import EndReason
from edge_scanner.core.log.recipients import Party, Recipient, RecipientSet
from edge_scanner.core.log.roots import Roots
from edge_scanner.core.model import (
    BootRecord,
    ClockQuality,
    ClockReading,
    Encounter,
    Frame,
    Leaf,
    SegmentHeader,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.log.ratchet import Entropy

DEVICE = "7K3M9Q2X4T"
HOUR_S = 1_795_903_200
"""2026-11-28 22:00 UTC, an hour's beginning."""


class Seeded:
    """Entropy that can be computed again: SHA-256 of a seed and a counter."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, buffer: bytearray) -> None:
        """Fill the buffer."""
        stream = b""
        while len(stream) < len(buffer):
            stream += hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
            self._count += 1
        buffer[:] = stream[: len(buffer)]


def clock(utc_s: float, monotonic_s: float | None = None, quality: ClockQuality = ClockQuality.NTP) -> ClockReading:
    """A reading whose monotonic clock began a day before HOUR_S unless said otherwise."""
    boot_s = HOUR_S - 86400
    return ClockReading(
        utc_s=utc_s, monotonic_s=utc_s - boot_s if monotonic_s is None else monotonic_s, quality=quality
    )


def private_key(role: str, suite: hpke.WrapSuite = hpke.MLKEM768_X25519) -> bytes:
    """A role's private key, the same in every test."""
    return hpke.new_private_key(suite, Seeded(f"recipient {role}"))


def recipient(role: str, suite: hpke.WrapSuite = hpke.MLKEM768_X25519, not_before_s: int = 0) -> Recipient:
    """The public entry of `private_key(role)`."""
    public = hpke.public_key_of(suite, private_key(role, suite))
    return Recipient(role=role, name=role.title(), suite=suite, public_key=public, not_before_s=not_before_s)


def root(role: str) -> Ed25519PrivateKey:
    """The root of a role's party, the same in every test; each role is a party of its own."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"root {role}".encode()).digest())


def pinned(*roles: str) -> Roots:
    """The roots of these roles' parties as a box pins them, by default authority and custodian."""
    return Roots(parties=tuple((root(role).public_key(),) for role in roles or ("authority", "custodian")))


def recipient_set(
    *parts: tuple[str, ...], version: int = 1, suite: hpke.WrapSuite = hpke.MLKEM768_X25519
) -> RecipientSet:
    """A set whose key has these `parts`, by default one of the authority and one of the custodian; around HOUR_S."""
    parts = parts or (("authority",), ("custodian",))
    roles = sorted({role for part in parts for role in part})
    return RecipientSet(
        version=version,
        not_before_s=HOUR_S - 86400,
        not_after_s=HOUR_S + 84 * 86400,
        parties=tuple(
            Party(name=role.title(), root=signed.key_name(root(role).public_key()), roles=(role,)) for role in roles
        ),
        parts=parts,
        recipients=tuple(recipient(role, suite) for role in roles),
    )


def keys_of(*roles: str) -> dict[bytes, bytes]:
    """Private keys by key id."""
    return {recipient(role).key_id: private_key(role) for role in roles}


def encounter(number: int, minute: int = 0) -> Encounter:
    """A distinct Bluezone encounter."""
    return Encounter(
        protocol_tag=1,
        payload=hashlib.sha256(f"phone {number} {minute}".encode()).digest()[:12],
        adverts=number % 255 + 1,
        rssi_mean=-90 + number % 40,
        rssi_max=-80 + number % 40,
        first_second=number % 30,
        last_second=30 + number % 30,
    )


@dataclass
class Stored:
    """What the store would hold, as plain lists that a test may tamper with."""

    boots: list[BootRecord] = field(default_factory=list)
    headers: list[SegmentHeader] = field(default_factory=list)
    frames: dict[int, list[Frame]] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    minutes: dict[int, int] = field(default_factory=dict)

    def digests(self) -> list[bytes]:
        """All leaf digests in order."""
        return [leaf.digest for leaf in self.leaves]


class Box:
    """One venue's box: a writer, what its store holds, and what it published."""

    def __init__(
        self,
        device: str = DEVICE,
        recipients: RecipientSet | None = None,
        start_s: int = HOUR_S,
        entropy: Entropy | None = None,
    ) -> None:
        self.device = device
        self.entropy = entropy
        self.identity = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(device.encode()).digest())
        self.recipients = recipients or recipient_set()
        self.stored = Stored()
        self.checkpoints: list[bytes] = []
        self.now_s = start_s
        self.boots = 0
        self.log = self.start(writer.LogState())

    def start(self, state: writer.LogState) -> writer.SealedLog:
        """Begin another process run."""
        self.boots += 1
        self.log = writer.SealedLog(
            device=self.device,
            identity=self.identity,
            boot_number=self.boots,
            recipients=self.recipients,
            state=state,
            clock=clock(self.now_s),
            entropy=self.entropy or Seeded(f"{self.device} boot {self.boots}"),
        )
        return self.log

    def clock(self, later_s: float = 0) -> ClockReading:
        """The box's clock, `later_s` from now."""
        return clock(self.now_s + later_s)

    def minutes(self, count: int, encounters: int = 3) -> Box:
        """Seal and commit `count` minutes."""
        for _ in range(count):
            found: Sequence[Encounter] = [encounter(n, self.now_s) for n in range(encounters)]
            self.log.seal(self.now_s, found, clock=clock(self.now_s + 60))
            self.now_s += 60
            self.commit()
        return self

    def commit(self) -> None:
        """Peek, commit, forget."""
        rows = self.log.peek()
        self.stored.boots += rows.boots
        self.stored.headers += rows.headers
        for frame in rows.frames:
            self.stored.frames.setdefault(frame.seq, []).append(frame)
        self.stored.leaves += rows.leaves
        for row in rows.minutes:
            self.stored.minutes[row.seq] = self.stored.minutes.get(row.seq, 0) | row.minutes
        if (note := self.log.checkpoint()) is not None:
            self.checkpoints.append(note)
        self.log.forget(rows)

    def stop(self) -> Box:
        """End the run in order."""
        self.log.close(EndReason.STOP, clock(self.now_s))
        self.commit()
        return self

    def restart(self) -> Box:
        """Begin a new run on what is stored, as after a crash when the last segment is open."""
        header = self.stored.headers[-1] if self.stored.headers else None
        rows = self.stored.frames[header.seq] if header else []
        self.start(writer.resume(self.stored.digests(), header, rows))
        self.commit()
        return self
