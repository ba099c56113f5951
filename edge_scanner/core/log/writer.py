"""The writer of the sealed log: one segment per UTC hour and process run, one constant-size frame per minute.

What it promises: nothing it hands out can be opened on this box. The seeds of a segment's key exist only until its
header is made; they leave wrapped for the recipients. Keys move forward only and are wiped (ratchet.py), so the minutes
of a segment rise: a clock that was put back begins another. The boot key signs headers and checkpoints, lives in
memory, and is vouched for by the identity key in the boot record, so a thief of the card signs nothing for earlier
runs. Format: docs/log-format.md.

Hand-over is peek, commit, forget: rows stay here until the store has them. The leaf of a segment is in the same rows as
its END frame, and the header in the same rows as its first frame.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames, merkle
from edge_scanner.core.log.errors import SegmentMissingError
from edge_scanner.core.log.header import make_header
from edge_scanner.core.log.ratchet import KEY_BYTES, Ratchet, frame_key, wipe
from edge_scanner.core.model import BootRecord, Extension, Frame, Leaf, Link, LogRows, SealedMinutes, SegmentHeader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_scanner.core.log.ratchet import Entropy
    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.model import ClockReading, Encounter

MAX_PENDING_FRAMES = 240
"""Sealed frames that wait for a failing store: four hours, 1 MB. After that encounters are dropped and counted."""

CLOCK_STEP_S = 1.0
"""UTC that moved this much against the monotonic clock was stepped; NTP slews less in a minute (500 ppm: 0.03 s)."""

# A segment whose clock is stepped back again and again ends early, within what readers accept.
_LAST_MINUTE_NUMBER = layout.MAX_FRAMES - frames.MAX_FRAMES_A_MINUTE - 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """Where the log stood when the last run ended. `recovered` is the leaf of a segment that run left open.

    `stated` is the tree of that run's last checkpoint, None where it is `tree`.

    `unclean`: the last leaf is such a leaf, made now or by a run that ended before it opened a segment of its own.
    """

    tree: merkle.Tree = merkle.EMPTY
    stated: merkle.Tree | None = None
    last_leaf: bytes = layout.ZERO_HASH
    recovered: Leaf | None = None
    unclean: bool = False


def recover(header: SegmentHeader, rows: Iterable[Frame]) -> Leaf:
    """The leaf, flagged unclean, of a segment that a crash left open: the box cannot read it, but can chain it."""
    digest = hashlib.sha256(header.header).digest()
    kept = sorted(rows, key=lambda frame: frame.number)
    return Leaf(
        seq=header.seq,
        digest=layout.leaf_digest(
            seq=header.seq,
            unclean=True,
            frames=len(kept),
            header_digest=digest,
            link=layout.link_of(digest, kept),
        ),
    )


def resume(leaves: Sequence[bytes], header: SegmentHeader | None = None, rows: Iterable[Frame] = ()) -> LogState:
    """The state after a restart, from all leaf digests in order and the newest segment's rows, where there are any.

    Raises SegmentMissingError when that segment lies beyond the one that follows the last leaf.
    """
    tree = merkle.tree_of(leaves)
    if header is None or header.seq < tree.size - 1:
        return LogState(tree=tree, last_leaf=leaves[-1] if leaves else layout.ZERO_HASH)
    if header.seq == tree.size - 1:
        return LogState(tree=tree, last_leaf=leaves[-1], unclean=recover(header, rows).digest == leaves[-1])
    if header.seq != tree.size:
        raise SegmentMissingError("the open segment does not follow the last leaf", where=f"segment {header.seq}")
    leaf = recover(header, rows)
    return LogState(tree=tree.append(leaf.digest), stated=tree, last_leaf=leaf.digest, recovered=leaf, unclean=True)


@dataclass(slots=True, kw_only=True)
class _Open:
    """The segment being written."""

    seq: int
    hour: int
    header_digest: bytes
    link: bytes
    ratchet: Ratchet
    frames: int = 0


class SealedLog:
    """One process run's writer. `entropy` fills the bytearray it is given; `clock` is the moment of construction.

    `stopped` says why nothing is being sealed: "" while it is, "recipients-expired" or "backlog-full".
    """

    def __init__(
        self,
        *,
        device: str,
        identity: Ed25519PrivateKey,
        boot_number: int,
        recipients: RecipientSet,
        state: LogState,
        clock: ClockReading,
        entropy: Entropy,
        cipher: layout.FrameCipher = layout.FrameCipher.CHACHA20_POLY1305,
    ) -> None:
        self.stopped = ""
        self._device = layout.check_device(device)
        self._identity = identity
        self._recipients = recipients
        self._entropy = entropy
        self._cipher = cipher
        self._tree = state.tree
        self._last_leaf = state.last_leaf
        self._previous_unclean = state.unclean
        self._clock = clock
        self._unsealed = 0
        self._open: _Open | None = None
        self._plaintext = bytearray(layout.PLAINTEXT_BYTES)
        self._key = bytearray(KEY_BYTES)
        seed, boot_id = bytearray(KEY_BYTES), bytearray(8)
        entropy(seed)
        entropy(boot_id)
        self._boot_key = Ed25519PrivateKey.from_private_bytes(seed)
        wipe(seed)
        self._boot_id = bytes(boot_id)
        self._boot_number = boot_number
        statement = layout.pack_boot(
            layout.BootStatement(
                device=device,
                number=boot_number,
                boot_id=self._boot_id,
                utc_ms=_ms(clock.utc_s),
                monotonic_ms=_ms(clock.monotonic_s),
                quality=clock.quality,
                public_key=self._boot_key.public_key().public_bytes_raw(),
                tree_size=state.tree.size,
                tree_root=state.tree.root,
            )
        )
        record = statement + identity.sign(layout.BOOT_LABEL + statement)
        self._boots = [BootRecord(number=boot_number, record=record)]
        self._headers: list[SegmentHeader] = []
        self._frames: list[Frame] = []
        self._minutes: dict[int, int] = {}
        self._leaves = [state.recovered] if state.recovered else []
        self._stated = state.tree if state.stated is None else state.stated
        self._since = [leaf.digest for leaf in self._leaves]

    def use(self, recipients: RecipientSet) -> None:
        """Seal to another recipient set, from the next segment on; `recipients.supersede` decides what is newer."""
        self._recipients = recipients

    def seal(
        self,
        minute_s: int,
        encounters: Sequence[Encounter],
        *,
        dropped: int = 0,
        listened_s: float = layout.FRAME_SECONDS,
        clock: ClockReading,
    ) -> None:
        """Seal one UTC minute, also an empty one: its encounters, how many found no room, how long the radio listened.

        A new hour ends the segment and begins the next, and so does a minute that has passed already; a clock that was
        stepped since the last minute is noted first.
        Nothing is sealed while `stopped` says so.
        """
        if len(self._frames) >= MAX_PENDING_FRAMES:
            self.stopped = "backlog-full"
            self._unsealed += len(encounters) + dropped
            return
        self._note(clock)
        hour, minute_number = minute_s // 3600, minute_s // layout.FRAME_SECONDS % 60
        segment = self._open
        if segment and (
            segment.hour != hour or segment.ratchet.passed > minute_number or segment.frames > _LAST_MINUTE_NUMBER
        ):
            self.close(frames.EndReason.HOUR, clock)
        if not self._recipients.usable(minute_s):
            self.stopped = "recipients-expired"
            self.close(frames.EndReason.RECIPIENTS, clock)
            return
        self.stopped = ""
        segment = self._open or self._begin(hour, minute_s, clock)
        room = frames.MAX_RECORDS * frames.MAX_FRAMES_A_MINUTE
        missed = self._unsealed + dropped + max(0, len(encounters) - room)
        self._unsealed = 0
        parts = [
            tuple(encounters[start : start + frames.MAX_RECORDS])
            for start in range(0, min(len(encounters), room), frames.MAX_RECORDS)
        ] or [()]
        heard_s = min(layout.FRAME_SECONDS, max(0, round(listened_s)))
        segment.ratchet.turn(minute_number)
        for part in parts:
            minute = frames.Minute(
                minute_s=minute_s,
                listened_s=heard_s,
                monotonic_ms=_ms(clock.monotonic_s),
                dropped=missed if part is parts[-1] else 0,
                encounters=part,
            )
            frames.pack_minute(self._plaintext, minute)
            self._seal(segment, segment.ratchet.minute)
        wipe(segment.ratchet.minute)
        if heard_s:
            self._minutes[segment.seq] = self._minutes.get(segment.seq, 0) | 1 << minute_number

    def close(self, reason: frames.EndReason, clock: ClockReading) -> None:
        """End the open segment, if any: END frame, leaf, tree; its keys are gone after this."""
        segment = self._open
        if segment is None:
            return
        end = frames.End(
            monotonic_ms=_ms(clock.monotonic_s), reason=reason, frames=segment.frames, utc_ms=_ms(clock.utc_s)
        )
        frames.pack_end(self._plaintext, end)
        self._seal(segment, segment.ratchet.events)
        segment.ratchet.wipe()
        self._open = None
        self._last_leaf = layout.leaf_digest(
            seq=segment.seq,
            unclean=False,
            frames=segment.frames,
            header_digest=segment.header_digest,
            link=segment.link,
        )
        self._tree = self._tree.append(self._last_leaf)
        self._leaves.append(Leaf(seq=segment.seq, digest=self._last_leaf))
        self._since.append(self._last_leaf)

    def peek(self) -> LogRows:
        """Everything not yet forgotten, in the order it was made."""
        return LogRows(
            boots=tuple(self._boots),
            headers=tuple(self._headers),
            frames=tuple(self._frames),
            leaves=tuple(self._leaves),
            minutes=tuple(SealedMinutes(seq=seq, minutes=bits) for seq, bits in self._minutes.items()),
        )

    def forget(self, rows: LogRows) -> None:
        """Let go of rows that the store has committed."""
        kept = {(frame.seq, frame.number) for frame in rows.frames}
        self._boots = [row for row in self._boots if row not in rows.boots]
        self._headers = [row for row in self._headers if row not in rows.headers]
        self._frames = [row for row in self._frames if (row.seq, row.number) not in kept]
        self._leaves = [row for row in self._leaves if row not in rows.leaves]
        kept_minutes = {row.seq: row.minutes for row in rows.minutes}
        left = {seq: bits & ~kept_minutes.get(seq, 0) for seq, bits in self._minutes.items()}
        self._minutes = {seq: bits for seq, bits in left.items() if bits}

    def checkpoint(self) -> bytes | None:
        """The signed tree head that belongs to the leaves of `peek()`; None when these rows finish no segment."""
        if not self._leaves:
            return None
        return merkle.checkpoint(self._device, self._boot_id, self._boot_key, self._tree, self._identity)

    def extension(self) -> Extension:
        """The proof that `checkpoint()` extends the last one that was published; `state` says which that becomes."""
        return Extension(size=self._stated.size, proof=merkle.extension_proof(self._stated, self._since))

    def state(self) -> None:
        """`checkpoint()` is being published: the next one extends it."""
        self._stated, self._since = self._tree, []

    def link(self) -> Link | None:
        """How far the open segment goes; None when none is open."""
        segment = self._open
        return Link(seq=segment.seq, digest=segment.link) if segment else None

    def _note(self, clock: ClockReading) -> None:
        """A step of UTC, or other ground under it, becomes an event frame of the open segment."""
        before, self._clock = self._clock, clock
        expected_s = before.utc_s + clock.monotonic_s - before.monotonic_s
        stepped = abs(clock.utc_s - expected_s) >= CLOCK_STEP_S
        if self._open and (stepped or clock.quality != before.quality):
            event = frames.ClockEvent(
                monotonic_ms=_ms(clock.monotonic_s),
                before=before.quality,
                after=clock.quality,
                expected_ms=_ms(expected_s),
                utc_ms=_ms(clock.utc_s),
            )
            frames.pack_clock(self._plaintext, event)
            self._seal(self._open, self._open.ratchet.events)

    def _begin(self, hour: int, now_s: float, clock: ClockReading) -> _Open:
        fields = layout.Header(
            cipher=self._cipher,
            device=self._device,
            boot_number=self._boot_number,
            boot_id=self._boot_id,
            seq=self._tree.size,
            hour=hour,
            utc_ms=_ms(clock.utc_s),
            monotonic_ms=_ms(clock.monotonic_s),
            quality=clock.quality,
            previous_unclean=self._previous_unclean,
            previous_leaf=self._last_leaf,
            recipients_digest=self._recipients.digest,
            recipients_version=self._recipients.version,
        )
        self._previous_unclean = False
        header, seeds = make_header(fields, self._recipients.at(now_s), self._boot_key, self._entropy)
        digest = hashlib.sha256(header).digest()
        segment = _Open(seq=fields.seq, hour=hour, header_digest=digest, link=digest, ratchet=Ratchet(seeds, digest))
        for seed in seeds:
            wipe(seed)
        self._headers.append(SegmentHeader(seq=fields.seq, opened_s=hour * 3600.0, header=header))
        self._open = segment
        return segment

    def _seal(self, segment: _Open, key: bytearray) -> None:
        """Seal the plaintext buffer as the segment's next frame, under its minute's key or the events'."""
        number = segment.frames
        frame_key(key, number, self._key)
        cipher = layout.frame_cipher(self._cipher, self._key)
        aad = layout.frame_aad(segment.header_digest, number)
        ciphertext = cipher.encrypt(layout.nonce(number), self._plaintext, aad)
        wipe(self._key)
        wipe(self._plaintext)
        segment.link = layout.next_link(segment.link, number, ciphertext)
        segment.frames = number + 1
        self._frames.append(Frame(seq=segment.seq, number=number, ciphertext=ciphertext))


def _ms(seconds: float) -> int:
    """Milliseconds for an unsigned field; a clock before 1970 counts as 1970."""
    return max(0, round(seconds * 1000))
