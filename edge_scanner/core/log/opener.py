"""Opening a segment: shares, secret, frames. Only those who hold a recipient's private key get anywhere here.

A custodian runs `open_shares` for exactly the segments that were approved and hands over the shares; an authority adds
its own and runs `combine_shares`, which proves the secret against the header's commitment. Each frame then opens on its
own key and place; where one does not, `open_frames` looks for the reason among the segment's other places, so that the
error names the tampering.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from edge_scanner.core.log import errors, hpke
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames as plain
from edge_scanner.core.log.ratchet import KEY_BYTES, Ratchet, combine, commitment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_scanner.core.model import Frame

Place = tuple[int, int]
"""Group and index of a share."""


def open_shares(header: bytes, keys: Mapping[bytes, bytes]) -> dict[Place, bytes]:
    """The shares that these private keys (by 8-byte key id, raw) unwrap; empty when the header names none of them.

    Raises ShareRefusedError for a share that names a key and does not open with it.
    """
    parsed = layout.parse_header(header)
    prefix = header[: layout.PREFIX_BYTES]
    shares: dict[Place, bytes] = {}
    for share in parsed.shares:
        if (key := keys.get(share.key_id)) is not None:
            info = layout.share_info(prefix, share.group, share.index, share.suite, share.key_id)
            suite = hpke.wrap_suite(share.suite)
            shares[share.group, share.index] = bytes(hpke.open_share(suite, share.sealed, key, info))
    return shares


def combine_shares(header: bytes, shares: Mapping[Place, bytes]) -> bytes:
    """The segment's secret from a complete group, whichever is right: one bad share cannot block two good ones.

    Raises SharesMissingError when no group is complete, CommitmentError when none gives the committed secret.
    """
    parsed = layout.parse_header(header)
    groups: dict[int, list[Place]] = {}
    for share in parsed.shares:
        groups.setdefault(share.group, []).append((share.group, share.index))
    complete = [places for places in groups.values() if all(place in shares for place in places)]
    if not complete:
        raise errors.SharesMissingError(
            "no group of recipients is complete",
            where=f"segment {parsed.seq}",
            hint="every party of one group must release its share",
        )
    digest = hashlib.sha256(header[: -layout.HEADER_TAIL_BYTES]).digest()
    for places in complete:
        given = [bytearray(shares[place]) for place in places]
        if all(len(share) == KEY_BYTES for share in given):
            secret = combine(given)
            if commitment(secret, digest) == parsed.commitment:
                return bytes(secret)
    raise errors.CommitmentError("the shares give another secret", where=f"segment {parsed.seq}")


def open_frames(
    header: bytes, secret: bytes, frames: Sequence[Frame], *, unclean: bool | None = None
) -> Iterator[plain.Content]:
    """The content of each frame, in order. `unclean` is what verification found: False demands a proper END.

    Raises FrameAlteredError, FrameRenumberedError, FramesSwappedError, FrameDuplicatedError, FrameMissingError,
    SegmentTruncatedError; frames before the bad one have been given out by then.
    """
    parsed = layout.parse_header(header)
    where = f"segment {parsed.seq}"
    if len(frames) > layout.MAX_FRAMES:
        raise errors.MalformedError(f"more than {layout.MAX_FRAMES} frames", where=where)
    segment = _Segment(header, parsed.cipher, secret)
    content: plain.Content | None = None
    for expected, frame in enumerate(frames):
        if frame.number != expected:
            raise errors.FrameMissingError(f"frame {expected} is not there", where=where)
        if isinstance(content, plain.End):
            raise errors.MalformedError("frames follow the END", where=where)
        plaintext = segment.open(expected, frame.ciphertext)
        if plaintext is None:
            raise _diagnose(segment, frames, expected, f"{where}, frame {expected}")
        content = plain.parse_plaintext(plaintext, parsed.hour)
        yield content
    if isinstance(content, plain.End):
        if content.frames != len(frames) - 1:
            raise errors.MalformedError("END counts other frames", where=where)
    elif unclean is False:
        raise errors.SegmentTruncatedError("the segment was closed, yet has no END", where=where)


class _Segment:
    """All frame keys of a segment at hand, made as far as asked for."""

    def __init__(self, header: bytes, cipher: layout.FrameCipher, secret: bytes) -> None:
        self._digest = hashlib.sha256(header).digest()
        self._cipher = cipher
        self._ratchet = Ratchet(bytearray(secret), self._digest)
        self._keys: list[bytearray] = []

    def open(self, number: int, ciphertext: bytes) -> bytes | None:
        """The plaintext of a ciphertext taken for frame `number`; None when it is not that."""
        while len(self._keys) <= number:
            self._ratchet.advance()
            self._keys.append(bytearray(self._ratchet.key))
        cipher = layout.frame_cipher(self._cipher, self._keys[number])
        try:
            return cipher.decrypt(layout.nonce(number), ciphertext, layout.frame_aad(self._digest, number))
        except (InvalidTag, ValueError):
            return None


def _diagnose(segment: _Segment, frames: Sequence[Frame], bad: int, where: str) -> errors.LogError:
    """Why the frame at place `bad` does not open there."""
    ciphertext = frames[bad].ciphertext
    if sum(frame.ciphertext == ciphertext for frame in frames) > 1:
        return errors.FrameDuplicatedError("one frame stands twice", where=where)
    # A frame dropped from a full segment lets its successors slip by one.
    for home in range(len(frames) + 1):
        if home != bad and segment.open(home, ciphertext) is not None:
            if home < len(frames) and segment.open(bad, frames[home].ciphertext) is not None:
                return errors.FramesSwappedError(f"changed places with frame {home}", where=where)
            return errors.FrameRenumberedError(f"it is frame {home}", where=where)
    return errors.FrameAlteredError("its bits were changed or it comes from elsewhere", where=where)
