"""Opening a segment: shares, keys of minutes, frames. Only those who hold a recipient's private key get anywhere here.

A custodian runs `part_keys` for exactly the minutes that were approved and hands over the keys it gives; an authority
adds those of its own part and runs `open_frames`. A frame opens on the key of its minute and on its place; where one
does not though its minute was handed over, `open_frames` looks for the reason among the segment's other places, so that
the error names the tampering.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from edge_scanner.core.errors import LogError, MalformedError
from edge_scanner.core.log import errors, hpke, ratchet
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames as plain
from edge_scanner.core.log.ratchet import KEY_BYTES, MINUTES, PartKeys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from edge_scanner.core.model import Frame


def open_shares(header: bytes, keys: Mapping[bytes, bytes]) -> dict[int, bytes]:
    """The seeds, by part, that these private keys (by 8-byte key id, raw) unwrap; empty when the header names none.

    Raises ShareRefusedError for a share that names a key and does not open with it, CommitmentError for a seed that is
    not the one the header commits to.
    """
    parsed = layout.parse_header(header)
    prefix = header[: layout.PREFIX_BYTES]
    digest = hashlib.sha256(header[: -layout.header_tail_bytes(len(parsed.commitments))]).digest()
    seeds: dict[int, bytes] = {}
    for share in parsed.shares:
        if (key := keys.get(share.key_id)) is not None:
            info = layout.share_info(prefix, share.part, share.index, share.suite, share.key_id)
            seed = bytes(hpke.open_share(hpke.wrap_suite(share.suite), share.sealed, key, info))
            if ratchet.commitment(seed, share.part, digest) != parsed.commitments[share.part]:
                raise errors.CommitmentError("the share holds another seed", where=f"segment {parsed.seq}")
            seeds[share.part] = seed
    return seeds


def part_keys(header: bytes, keys: Mapping[bytes, bytes], minutes: Collection[int] = MINUTES) -> dict[int, PartKeys]:
    """What these private keys yield of each part they hold, for the given minutes of the hour and no other.

    Raises ShareRefusedError, CommitmentError, MalformedError.
    """
    digest = hashlib.sha256(header).digest()
    return {part: ratchet.part_keys(seed, part, digest, minutes) for part, seed in open_shares(header, keys).items()}


def open_frames(
    header: bytes, parts: Mapping[int, PartKeys], frames: Sequence[Frame], *, unclean: bool | None = None
) -> Iterator[plain.Content]:
    """The content of each frame whose minute every part has a key for, in order, and of every event.

    `unclean` is what verification found: False demands a proper END. Raises SharesMissingError when a part is absent,
    FrameAlteredError, FrameRenumberedError, FramesSwappedError, FrameDuplicatedError, FrameMissingError,
    SegmentTruncatedError; frames before the bad one have been given out by then. A frame that does not open is passed
    over where it may belong to a minute that was not handed over; the last one of a closed segment, END, may not.
    """
    parsed = layout.parse_header(header)
    where = f"segment {parsed.seq}"
    if len(frames) > layout.MAX_FRAMES:
        raise MalformedError(f"more than {layout.MAX_FRAMES} frames", where=where)
    segment = _Segment(header, parsed, parts)
    found: list[plain.Content | None] = []
    for expected, frame in enumerate(frames):
        if frame.number != expected:
            yield from filter(None, found)
            raise errors.FrameMissingError(f"frame {expected} is not there", where=where)
        found.append(segment.open(expected, frame.ciphertext))
    for number, content in enumerate(found):
        if content is not None:
            yield content
        elif segment.had_to_open(found, number) or (unclean is False and number == len(found) - 1):
            raise _diagnose(segment, frames, number, f"{where}, frame {number}")
    _check_end(found, where, unclean=unclean)


def _check_end(found: Sequence[plain.Content | None], where: str, *, unclean: bool | None) -> None:
    """Raise MalformedError, SegmentTruncatedError unless END stands last and counts the frames before it."""
    ends = [(number, content) for number, content in enumerate(found) if isinstance(content, plain.End)]
    if any((number, content.frames) != (len(found) - 1, len(found) - 1) for number, content in ends):
        raise MalformedError("END is not the last frame, or counts other frames", where=where)
    if unclean is False and not ends:
        raise errors.SegmentTruncatedError("the segment was closed, yet has no END", where=where)


class _Segment:
    """A segment's combined keys: of its events, and of the minutes that every part has a key for."""

    def __init__(self, header: bytes, parsed: layout.Header, parts: Mapping[int, PartKeys]) -> None:
        given = [parts.get(part) for part in range(len(parsed.commitments))]
        complete = [one for one in given if one is not None]
        if len(complete) < len(given):
            raise errors.SharesMissingError(
                "not every part of the key is there",
                where=f"segment {parsed.seq}",
                hint="every party must release its part",
            )
        handed_over = set(MINUTES).intersection(*(one.minutes for one in complete))
        keys = [one.events for one in complete] + [one.minutes[minute] for one in complete for minute in handed_over]
        if any(len(key) != KEY_BYTES for key in keys):
            raise errors.CommitmentError(f"a key does not have {KEY_BYTES} bytes", where=f"segment {parsed.seq}")
        self._digest = hashlib.sha256(header).digest()
        self._cipher = parsed.cipher
        self._hour = parsed.hour
        self._events = ratchet.combine([one.events for one in complete])
        self._minutes = {
            minute: ratchet.combine([one.minutes[minute] for one in complete]) for minute in sorted(handed_over)
        }
        self._position = 0

    def open(self, number: int, ciphertext: bytes) -> plain.Content | None:
        """The content of frame `number`; None when no key at hand opens it. Raises MalformedError.

        Minutes stand in order, so the last one that opened a frame and those after it are tried first.
        """
        later = [minute for minute in self._minutes if minute >= self._position]
        for minute in [*later, None, *(minute for minute in self._minutes if minute < self._position)]:
            key = self._events if minute is None else self._minutes[minute]
            if (plaintext := self._decrypt(key, number, ciphertext)) is not None:
                content = plain.parse_plaintext(plaintext, self._hour)
                told = content.minute_s // layout.FRAME_SECONDS % 60 if isinstance(content, plain.Minute) else None
                if told != minute:
                    raise MalformedError("sealed under another minute's key", where=f"frame {number}")
                self._position = self._position if minute is None else minute
                return content
        return None

    def had_to_open(self, found: Sequence[plain.Content | None], number: int) -> bool:
        """Whether every minute that frame `number` can belong to was handed over: its neighbours say which."""
        before = [_minute(content) for content in found[:number] if isinstance(content, plain.Minute)]
        after = [_minute(content) for content in found[number + 1 :] if isinstance(content, plain.Minute)]
        possible = range(before[-1] if before else MINUTES[0], (after[0] if after else MINUTES[-1]) + 1)
        return all(minute in self._minutes for minute in possible)

    def _decrypt(self, key: bytes, number: int, ciphertext: bytes) -> bytes | None:
        frame_key = bytearray(KEY_BYTES)
        ratchet.frame_key(key, number, frame_key)
        cipher = layout.frame_cipher(self._cipher, frame_key)
        try:
            return cipher.decrypt(layout.nonce(number), ciphertext, layout.frame_aad(self._digest, number))
        except (InvalidTag, ValueError):
            return None


def _minute(content: plain.Minute) -> int:
    return content.minute_s // layout.FRAME_SECONDS % len(MINUTES)


def _diagnose(segment: _Segment, frames: Sequence[Frame], bad: int, where: str) -> LogError:
    """Why the frame at place `bad` does not open there."""
    ciphertext = frames[bad].ciphertext
    if sum(frame.ciphertext == ciphertext for frame in frames) > 1:
        return errors.FrameDuplicatedError("one frame is there twice", where=where)
    # A frame dropped from a full segment lets its successors slip by one.
    for home in range(len(frames) + 1):
        if home != bad and segment.open(home, ciphertext) is not None:
            if home < len(frames) and segment.open(bad, frames[home].ciphertext) is not None:
                return errors.FramesSwappedError(f"changed places with frame {home}", where=where)
            return errors.FrameRenumberedError(f"it is frame {home}", where=where)
    return errors.FrameAlteredError(
        "its bits were changed or it comes from elsewhere",
        where=where,
        hint="or a party released other keys than the segment's",
    )
