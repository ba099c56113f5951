"""Opening segments that a malicious box may have made."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidTag

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import errors, opener, ratchet
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames as plain
from edge_scanner.core.model import Frame
from tests.support.sealed_logs import HOUR_S, Box, keys_of
from tests.support.second_reader import expand

if TYPE_CHECKING:
    from collections.abc import Callable

BOX = Box().minutes(3).stop()
HEADER = BOX.stored.headers[0].header
BOTH = keys_of("authority", "custodian")
PARTS = opener.part_keys(HEADER, BOTH)


def seal(*contents: plain.Minute | plain.End) -> list[Frame]:
    """Frames that the owner of the segment's keys, the box, could have made."""
    digest = hashlib.sha256(HEADER).digest()
    rows = []
    for number, content in enumerate(contents):
        buffer = bytearray(layout.PLAINTEXT_BYTES)
        if isinstance(content, plain.End):
            plain.pack_end(buffer, content)
            key = key_of(None, number)
        else:
            plain.pack_minute(buffer, content)
            key = key_of(content.minute_s // 60 % 60, number)
        cipher = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, key)
        sealed = cipher.encrypt(layout.nonce(number), buffer, layout.frame_aad(digest, number))
        rows.append(Frame(seq=0, number=number, ciphertext=sealed))
    return rows


def key_of(minute: int | None, number: int) -> bytearray:
    """The key of a frame, in a minute or, without one, among the events."""
    out = bytearray(32)
    parts = [PARTS[part].events if minute is None else PARTS[part].minutes[minute] for part in (0, 1)]
    ratchet.frame_key(ratchet.combine(parts), number, out)
    return out


MINUTE = plain.Minute(minute_s=HOUR_S, listened_s=60, monotonic_ms=1, dropped=0, encounters=())
END = plain.End(monotonic_ms=1, reason=plain.EndReason.STOP, frames=1, utc_ms=1)


def test_the_helper_seals_what_opens() -> None:
    """The control for the tests below."""
    assert list(opener.open_frames(HEADER, PARTS, seal(MINUTE, END), unclean=False)) == [MINUTE, END]


@pytest.mark.parametrize(
    "rows",
    [
        seal(MINUTE, END, MINUTE),
        seal(MINUTE, replace(END, frames=7)),
        [Frame(seq=0, number=n, ciphertext=b"") for n in range(layout.MAX_FRAMES + 1)],
    ],
)
def test_a_box_that_does_not_keep_the_format_is_caught(rows: list[Frame]) -> None:
    """Frames after END, an END that miscounts, more frames than a segment can have."""
    with pytest.raises(MalformedError):
        list(opener.open_frames(HEADER, PARTS, rows))


def test_a_frame_too_short_to_be_one_is_altered() -> None:
    """An empty ciphertext does not open and says so by name."""
    with pytest.raises(errors.FrameAlteredError):
        list(opener.open_frames(HEADER, PARTS, [Frame(seq=0, number=0, ciphertext=b"")]))


def test_one_damaged_frame_costs_one_minute() -> None:
    """Frames before the damage are given out; each later one still opens on its own."""
    rows = list(BOX.stored.frames[0])
    rows[1] = replace(rows[1], ciphertext=bytes(layout.CIPHERTEXT_BYTES))
    seen: list[plain.Content] = []
    with pytest.raises(errors.FrameAlteredError, match="segment 0, frame 1"):
        seen.extend(opener.open_frames(HEADER, PARTS, rows))
    assert len(seen) == 1
    later = BOX.stored.frames[0][2]
    sealed = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, key_of(2, 2))
    aad = layout.frame_aad(hashlib.sha256(HEADER).digest(), 2)
    opened = sealed.decrypt(layout.nonce(2), later.ciphertext, aad)
    assert isinstance(plain.parse_plaintext(opened, HOUR_S // 3600), plain.Minute)


def moved_to_the_end(rows: list[Frame]) -> list[Frame]:
    """The first frame behind all others."""
    return [*rows[1:], rows[0]]


def without_the_first(rows: list[Frame]) -> list[Frame]:
    """All but the first frame."""
    return rows[1:]


def without_the_last_minute(rows: list[Frame]) -> list[Frame]:
    """END moves up to where a minute was."""
    return [*rows[:-2], rows[-1]]


@pytest.mark.parametrize("shuffle", [moved_to_the_end, without_the_first, without_the_last_minute])
def test_moved_frames_are_named_renumbered(shuffle: Callable[[list[Frame]], list[Frame]]) -> None:
    """A frame under a foreign number is told from an altered one."""
    rows = [replace(frame, number=n) for n, frame in enumerate(shuffle(BOX.stored.frames[0]))]
    with pytest.raises(errors.FrameRenumberedError):
        list(opener.open_frames(HEADER, PARTS, rows))


def some(minutes: range) -> dict[int, ratchet.PartKeys]:
    """What both parties hand over for these minutes."""
    return opener.part_keys(HEADER, BOTH, minutes)


def test_an_order_for_a_minute_opens_that_minute_alone() -> None:
    """Ten minutes asked for out of an hour are ten minutes opened, and END with what it says of the clock."""
    rows = BOX.stored.frames[0]
    seen = list(opener.open_frames(HEADER, some(range(1, 2)), rows, unclean=False))
    assert [type(content) for content in seen] == [plain.Minute, plain.End]
    assert isinstance(seen[0], plain.Minute)
    assert seen[0].minute_s == HOUR_S + 60
    assert [type(content) for content in opener.open_frames(HEADER, some(range(0)), rows)] == [plain.End]


def test_one_party_cannot_widen_what_the_other_released() -> None:
    """The custodian gave minute 1 and the authority has all of its own part: only minute 1 opens, by any road."""
    ours = opener.part_keys(HEADER, keys_of("authority"))
    theirs = opener.part_keys(HEADER, keys_of("custodian"), [1])
    rows = BOX.stored.frames[0]
    opened = [one for one in opener.open_frames(HEADER, {**ours, **theirs}, rows) if isinstance(one, plain.Minute)]
    assert [one.minute_s for one in opened] == [HOUR_S + 60]
    known = [*ours[0].minutes.values(), ours[0].events, *theirs[1].minutes.values(), theirs[1].events]
    digest = hashlib.sha256(HEADER).digest()
    for pair in [[one] for one in known] + [[one, other] for one in known for other in known]:
        for label in (b"", b"minute", b"next"):
            key, guess = bytearray(32), bytearray(ratchet.combine(pair))
            if label:
                guess = bytearray(expand(bytes(guess), label + b"\2"))
            ratchet.frame_key(guess, 2, key)
            cipher = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, key)
            with pytest.raises(InvalidTag):
                cipher.decrypt(layout.nonce(2), rows[2].ciphertext, layout.frame_aad(digest, 2))


def test_damage_inside_the_minutes_asked_for_is_seen() -> None:
    """A frame that must be of a released minute and does not open is altered; of another minute nothing is said."""
    rows = list(BOX.stored.frames[0])
    rows[1] = replace(rows[1], ciphertext=bytes(layout.CIPHERTEXT_BYTES))
    with pytest.raises(errors.FrameAlteredError, match="frame 1"):
        list(opener.open_frames(HEADER, some(range(3)), rows))
    assert len(list(opener.open_frames(HEADER, some(range(1)), rows))) == 2
    without_end = rows[:2]
    assert len(list(opener.open_frames(HEADER, some(range(1)), without_end))) == 1
    with pytest.raises(errors.FrameAlteredError, match="frame 1"):
        list(opener.open_frames(HEADER, some(range(1)), without_end, unclean=False))


def test_keys_that_are_none_are_refused() -> None:
    """A part that is absent, and keys of a wrong length."""
    with pytest.raises(errors.SharesMissingError):
        list(opener.open_frames(HEADER, {0: PARTS[0]}, BOX.stored.frames[0]))
    short = replace(PARTS[1], events=b"short")
    with pytest.raises(errors.CommitmentError):
        list(opener.open_frames(HEADER, {0: PARTS[0], 1: short}, BOX.stored.frames[0]))


def test_a_minute_under_another_minutes_key_is_malformed() -> None:
    """A box cannot hide minute 2 under the key of minute 1, nor an event under a minute's or the other way round."""
    digest = hashlib.sha256(HEADER).digest()
    for minute, pack in ((1, plain.pack_minute), (None, plain.pack_minute), (1, plain.pack_end)):
        buffer = bytearray(layout.PLAINTEXT_BYTES)
        pack(buffer, END if pack is plain.pack_end else MINUTE)  # type: ignore[arg-type]
        cipher = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, key_of(minute, 0))
        sealed = cipher.encrypt(layout.nonce(0), bytes(buffer), layout.frame_aad(digest, 0))
        with pytest.raises(MalformedError, match="another minute"):
            list(opener.open_frames(HEADER, PARTS, [Frame(seq=0, number=0, ciphertext=sealed)]))
