"""Opening segments that a malicious box may have made."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.log import errors, opener
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames as plain
from edge_scanner.core.log.ratchet import Ratchet
from edge_scanner.core.model import Frame
from tests.support.sealed_logs import HOUR_S, Box, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

BOX = Box().minutes(3).stop()
HEADER = BOX.stored.headers[0].header
SECRET = opener.combine_shares(HEADER, opener.open_shares(HEADER, keys_of("authority", "custodian")))


def seal(*contents: plain.Minute | plain.End) -> list[Frame]:
    """Frames that the owner of the segment's secret, the box, could have made."""
    digest = hashlib.sha256(HEADER).digest()
    ratchet = Ratchet(bytearray(SECRET), digest)
    rows = []
    for content in contents:
        number, buffer = ratchet.advance(), bytearray(layout.PLAINTEXT_BYTES)
        if isinstance(content, plain.End):
            plain.pack_end(buffer, content)
        else:
            plain.pack_minute(buffer, content)
        cipher = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, ratchet.key)
        sealed = cipher.encrypt(layout.nonce(number), buffer, layout.frame_aad(digest, number))
        rows.append(Frame(seq=0, number=number, ciphertext=sealed))
    return rows


MINUTE = plain.Minute(minute_s=HOUR_S, listened_s=60, monotonic_ms=1, dropped=0, encounters=())
END = plain.End(monotonic_ms=1, reason=plain.EndReason.STOP, frames=1, utc_ms=1)


def test_the_helper_seals_what_opens() -> None:
    """The control for the tests below."""
    assert list(opener.open_frames(HEADER, SECRET, seal(MINUTE, END), unclean=False)) == [MINUTE, END]


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
    with pytest.raises(errors.MalformedError):
        list(opener.open_frames(HEADER, SECRET, rows))


def test_a_frame_too_short_to_be_one_is_altered() -> None:
    """An empty ciphertext does not open and says so by name."""
    with pytest.raises(errors.FrameAlteredError):
        list(opener.open_frames(HEADER, SECRET, [Frame(seq=0, number=0, ciphertext=b"")]))


def test_one_damaged_frame_costs_one_minute() -> None:
    """Frames before the damage are given out; each later one still opens on its own."""
    rows = list(BOX.stored.frames[0])
    rows[1] = replace(rows[1], ciphertext=bytes(layout.CIPHERTEXT_BYTES))
    seen: list[plain.Content] = []
    with pytest.raises(errors.FrameAlteredError, match="segment 0, frame 1"):
        seen.extend(opener.open_frames(HEADER, SECRET, rows))
    assert len(seen) == 1
    later = BOX.stored.frames[0][2]
    sealed = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, key_of(2))
    aad = layout.frame_aad(hashlib.sha256(HEADER).digest(), 2)
    opened = sealed.decrypt(layout.nonce(2), later.ciphertext, aad)
    assert isinstance(plain.parse_plaintext(opened, HOUR_S // 3600), plain.Minute)


def key_of(number: int) -> bytearray:
    """The key of one frame."""
    ratchet = Ratchet(bytearray(SECRET), hashlib.sha256(HEADER).digest())
    while ratchet.advance() < number:
        pass
    return ratchet.key


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
        list(opener.open_frames(HEADER, SECRET, rows))
