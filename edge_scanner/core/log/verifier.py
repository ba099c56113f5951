"""Checking a sealed log without any secret: the box's `log verify`, the authority's `verify` and the collector.

What it proves: every segment was sealed by a process run that the box's identity key vouched for, holds the frames
whose chain is in its leaf, stands where the tree has it, and the tree agrees with every checkpoint, boot record and
link that was published. What nothing on a box can prove is that its tail was not cut since the last published
statement, so a caller hands in all it has seen. Opening is opener.py. Every failure is a child of LogError; input is
bounded by the format's own limits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

from edge_scanner.core import public_keys
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import errors, merkle
from edge_scanner.core.log import format as layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.model import Frame, Link, SegmentHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSegment:
    """A segment that passed. `unclean` is None while it has no leaf: the newest one, still being written."""

    row: SegmentHeader
    header: layout.Header
    frames: tuple[Frame, ...]
    unclean: bool | None


def verify_boot(record: bytes, *, device: str, identity: Ed25519PublicKey) -> layout.BootStatement:
    """A boot record that `identity` signed for `device`; raises MalformedError, WrongDeviceError, BootForgedError."""
    boot = layout.parse_boot(record)
    where = f"boot record {boot.number}"
    if boot.device != device:
        raise errors.WrongDeviceError(f"made by box {boot.device}, not {device}", where=where)
    statement, signature = record[: -layout.SIGNATURE_BYTES], record[-layout.SIGNATURE_BYTES :]
    try:
        identity.verify(signature, layout.BOOT_LABEL + statement)
    except InvalidSignature as error:
        raise errors.BootForgedError("not signed by the box's identity key", where=where) from error
    return boot


class Verifier:
    """Holds one box's log against its leaves and everything published about it.

    `before` is the tree in front of the first of `leaves`; `recipients` are known recipient sets (none: keys are not
    compared); `links` come from count messages. Feed boots first, then checkpoints, then segments in order, then call
    `finish` when the whole log was fed.
    """

    def __init__(
        self,
        *,
        device: str,
        identity: Ed25519PublicKey,
        before: merkle.Tree,
        leaves: Sequence[bytes],
        recipients: Iterable[RecipientSet] = (),
        links: Iterable[Link] = (),
    ) -> None:
        self._device = device
        self._identity = identity
        self._first = before.size
        self._leaves = leaves
        self._roots = [before.root]
        tree = before
        for leaf in leaves:
            tree = tree.append(leaf)
            self._roots.append(tree.root)
        self._size = tree.size
        self._recipients = {each.digest: each for each in recipients}
        self._boots: dict[bytes, layout.BootStatement] = {}
        self._links: dict[int, list[Link]] = {}
        for link in links:
            if link.seq > self._size:
                raise errors.RolledBackError(
                    "a count message saw a later segment", where=f"segment {link.seq}, log of {self._size}"
                )
            self._links.setdefault(link.seq, []).append(link)
        self._seen: dict[bytes, int] = {}
        self._previous: VerifiedSegment | None = None

    def boot(self, record: bytes) -> layout.BootStatement:
        """Take in a boot record; it is a statement about the tree as well."""
        boot = verify_boot(record, device=self._device, identity=self._identity)
        known = self._boots.setdefault(boot.boot_id, boot)
        if known != boot:
            raise errors.HistoryForkedError("two boot records for one run", where=f"boot record {boot.number}")
        self._check_head(boot.tree_size, boot.tree_root, f"boot record {boot.number}")
        return boot

    def checkpoint(self, note: bytes) -> bool:
        """Hold the tree against a published checkpoint; False when it is older than the leaves at hand."""
        head = merkle.parse_checkpoint(note)
        where = f"checkpoint of size {head.size}"
        if head.device != self._device:
            raise errors.WrongDeviceError(f"made by box {head.device}, not {self._device}", where=where)
        merkle.check_checkpoint(head, self._boot_key(head.boot_id, where))
        return self._check_head(head.size, head.root, where)

    def segment(self, row: SegmentHeader, frames: Sequence[Frame]) -> VerifiedSegment:
        """Check the next segment; numbers follow one another."""
        if not self._first <= row.seq <= self._size:
            raise errors.SegmentMissingError("the leaf before it is not there", where=f"segment {row.seq}")
        if self._previous and row.seq != self._previous.row.seq + 1:
            raise errors.SegmentMissingError(
                f"segment {row.seq} follows segment {self._previous.row.seq}", where=f"segment {row.seq}"
            )
        header = self._header(row)
        self._check_frames(row.seq, frames)
        digest = hashlib.sha256(row.header).digest()
        self._check_links(row.seq, digest, frames)
        segment = VerifiedSegment(
            row=row, header=header, frames=tuple(frames), unclean=self._unclean(row.seq, digest, frames)
        )
        self._previous = segment
        return segment

    def finish(self) -> None:
        """The whole log was fed: nothing may be missing at its end."""
        last = self._previous.row.seq if self._previous else None
        if last is not None and last < self._size - 1:
            raise errors.SegmentMissingError("the newest segments are not there", where=f"segment {last + 1}")
        if self._size in self._links and last != self._size:
            raise errors.TailCutError("a count message saw a segment that is gone", where=f"segment {self._size}")

    def _header(self, row: SegmentHeader) -> layout.Header:
        where = f"segment {row.seq}"
        header = layout.parse_header(row.header)
        if header.device != self._device:
            raise errors.WrongDeviceError(f"made by box {header.device}, not {self._device}", where=where)
        if header.seq != row.seq:
            raise errors.HeaderMisplacedError(f"its header is that of segment {header.seq}", where=where)
        self._check_recipients(header, where)
        key = self._boot_key(header.boot_id, where)
        try:
            key.verify(header.signature, layout.HEADER_LABEL + row.header[: -layout.SIGNATURE_BYTES])
        except InvalidSignature as error:
            raise errors.HeaderForgedError("not signed by the key of its run", where=where) from error
        if (known := self._leaf(row.seq - 1)) is not None and header.previous_leaf != known:
            raise errors.HistoryForkedError("its header names another predecessor", where=where)
        if self._previous and header.previous_unclean != self._previous.unclean:
            raise errors.HistoryForkedError("its header contradicts how its predecessor ended", where=where)
        return header

    def _check_recipients(self, header: layout.Header, where: str) -> None:
        if not self._recipients:
            return
        known = self._recipients.get(header.recipients_digest)
        if known is None:
            self._refuse_unknown(header.recipients_version, where)
            raise errors.RecipientsMismatchError("sealed to a recipient set nobody signed", where=where)
        allowed = {(recipient.role, recipient.key_id): recipient.suite.number for recipient in known.recipients}
        expected = [(p, i, role) for p, part in enumerate(known.parts) for i, role in enumerate(part)]
        given = [(share.part, share.index) for share in header.shares]
        if given != [(part, index) for part, index, _ in expected]:
            raise errors.RecipientsMismatchError("its shares do not follow the parts of its set", where=where)
        for share, (_, _, role) in zip(header.shares, expected, strict=True):
            if allowed.get((role, share.key_id)) != share.suite:
                raise errors.RecipientsMismatchError(f"a share is for a key that {role} does not have", where=where)

    def _refuse_unknown(self, version: int, where: str) -> None:
        """Raise RecipientsUnknownError when no set of this version is at hand."""
        given = sorted({each.version for each in self._recipients.values()})
        if version not in given:
            raise errors.RecipientsUnknownError(
                f"sealed to recipient set version {version}; given: {', '.join(map(str, given))}",
                where=where,
                hint="give that version as well; if the two parties never signed one, do not trust the box",
            )

    def _check_frames(self, seq: int, frames: Sequence[Frame]) -> None:
        where = f"segment {seq}"
        if len(frames) > layout.MAX_FRAMES:
            raise MalformedError(f"more than {layout.MAX_FRAMES} frames", where=where)
        for expected, frame in enumerate(frames):
            place = f"{where}, frame {frame.number}"
            if frame.seq != seq or len(frame.ciphertext) != layout.CIPHERTEXT_BYTES:
                raise MalformedError("not a frame of this segment", where=place)
            mark = hashlib.sha256(frame.ciphertext).digest()
            other = self._seen.setdefault(mark, seq)
            if other != seq:
                raise errors.FrameReplayedError(f"also a frame of segment {other}", where=place)
            if frame.number > expected:
                raise errors.FrameMissingError(f"frame {expected} is not there", where=where)
            if frame.number < expected:
                raise errors.FrameDuplicatedError("its number is there twice", where=place)
        if len({frame.ciphertext for frame in frames}) != len(frames):
            raise errors.FrameDuplicatedError("one frame is there twice", where=where)

    def _check_links(self, seq: int, digest: bytes, frames: Sequence[Frame]) -> None:
        for link in self._links.get(seq, ()):
            if link.digest not in layout.links_of(digest, frames):
                where = f"segment {seq}, {len(frames)} frames"
                raise errors.LinkMismatchError("these are not the frames that were published", where=where)

    def _unclean(self, seq: int, digest: bytes, frames: Sequence[Frame]) -> bool | None:
        leaf = self._leaf(seq)
        if leaf is None:
            return None
        link = layout.link_of(digest, frames)
        for unclean in (False, True):
            if leaf == layout.leaf_digest(
                seq=seq, unclean=unclean, frames=len(frames), header_digest=digest, link=link
            ):
                return unclean
        raise errors.SegmentAlteredError("header and frames do not add up to its leaf", where=f"segment {seq}")

    def _leaf(self, seq: int) -> bytes | None:
        """The known leaf of a segment; zeros before the first."""
        if seq == -1:
            return layout.ZERO_HASH
        return self._leaves[seq - self._first] if self._first <= seq < self._size else None

    def _boot_key(self, boot_id: bytes, where: str) -> Ed25519PublicKey:
        if boot_id not in self._boots:
            raise errors.UnknownBootError("no boot record vouches for its key", where=where)
        return public_keys.ed25519(self._boots[boot_id].public_key, where)

    def _check_head(self, size: int, root: bytes, where: str) -> bool:
        if size > self._size:
            raise errors.RolledBackError(f"the log has only {self._size} finished segments", where=where)
        if size < self._first:
            return False
        if root != self._roots[size - self._first]:
            raise errors.HistoryForkedError("the tree has another root at this size", where=where)
        return True
