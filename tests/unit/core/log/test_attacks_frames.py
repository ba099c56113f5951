"""What an attacker can do to a log's frames and to the shares that open them, and the error that shows it.

The attacker has the box's storage and the recipients' public keys. Where two names are given the first is what a check
without any secret finds, the second what opening finds.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidTag

from edge_scanner.core.errors import LogError, MalformedError
from edge_scanner.core.log import errors, opener
from edge_scanner.core.log import format as layout
from tests.support.attacked import BOTH, Case, three_hours
from tests.support.sealed_logs import Box, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.core.model import Frame

case = pytest.fixture(three_hours)


def test_the_untouched_log_verifies_and_opens(case: Case) -> None:
    """The control: nothing is found where nothing was done."""
    case.verify()
    assert [case.open(0), case.open(1), case.open(2, unclean=True), case.open(3, unclean=None)] == [61, 61, 30, 10]


def flip(case: Case) -> None:
    """One bit of a frame."""
    frame = case.stored.frames[1][5]
    changed = frame.ciphertext[:100] + bytes([frame.ciphertext[100] ^ 1]) + frame.ciphertext[101:]
    case.stored.frames[1][5] = replace(frame, ciphertext=changed)


def drop(case: Case) -> None:
    """One frame is deleted."""
    del case.stored.frames[1][5]


def renumber(frames: list[Frame]) -> list[Frame]:
    """Numbers without a gap again."""
    return [replace(frame, number=number) for number, frame in enumerate(frames)]


def drop_and_renumber(case: Case) -> None:
    """One frame is deleted and its successors move up."""
    drop(case)
    case.stored.frames[1] = renumber(case.stored.frames[1])


def swap(case: Case) -> None:
    """Two frames change places."""
    rows = case.stored.frames[1]
    rows[5], rows[9] = rows[9], rows[5]
    case.stored.frames[1] = renumber(rows)


def duplicate(case: Case) -> None:
    """One frame is put in twice."""
    rows = case.stored.frames[1]
    rows.insert(6, rows[5])
    case.stored.frames[1] = renumber(rows)


def replay_from_another_segment(case: Case) -> None:
    """A frame of an earlier hour replaces one of this."""
    case.stored.frames[1][5] = replace(case.stored.frames[0][5], seq=1)


def replay_from_another_box(case: Case) -> None:
    """A frame of another venue replaces one of this."""
    other = Box(device="0000000001").minutes(10)
    case.stored.frames[1][5] = replace(other.stored.frames[0][5], seq=1)


def truncate(case: Case) -> None:
    """The last ten frames of a closed segment go."""
    del case.stored.frames[1][-10:]


@pytest.mark.parametrize(
    ("attack", "checked", "opened"),
    [
        (flip, errors.SegmentAlteredError, errors.FrameAlteredError),
        (drop, errors.FrameMissingError, errors.FrameMissingError),
        (drop_and_renumber, errors.SegmentAlteredError, errors.FrameRenumberedError),
        (swap, errors.SegmentAlteredError, errors.FramesSwappedError),
        (duplicate, errors.FrameDuplicatedError, errors.FrameDuplicatedError),
        (replay_from_another_segment, errors.FrameReplayedError, errors.FrameAlteredError),
        (replay_from_another_box, errors.SegmentAlteredError, errors.FrameAlteredError),
        (truncate, errors.SegmentAlteredError, errors.SegmentTruncatedError),
    ],
)
def test_tampering_with_frames_is_found_with_and_without_secrets(
    case: Case, attack: Callable[[Case], None], checked: type[LogError], opened: type[LogError]
) -> None:
    """Each attack on the frames of a closed segment has its name, twice."""
    attack(case)
    with pytest.raises(checked):
        case.verify()
    with pytest.raises(opened):
        case.open(1)


def test_one_share_alone_opens_nothing(case: Case) -> None:
    """Neither party gets anywhere without the other, nor with two copies of its own share."""
    header = case.stored.headers[0].header
    rows = case.stored.frames[0]
    for role, part in (("authority", 0), ("custodian", 1)):
        keys = opener.part_keys(header, keys_of(role))
        assert set(keys) == {part}
        with pytest.raises(errors.SharesMissingError):
            list(opener.open_frames(header, keys, rows))
        with pytest.raises(errors.FrameAlteredError):
            list(opener.open_frames(header, {0: keys[part], 1: keys[part]}, rows))


def test_a_release_does_not_serve_in_another_segment(case: Case) -> None:
    """The custodian's keys for one hour open no other."""
    first, second = (row.header for row in case.stored.headers[:2])
    released = opener.part_keys(first, keys_of("custodian"))
    with pytest.raises(errors.FrameAlteredError):
        list(opener.open_frames(second, {**opener.part_keys(second, BOTH), **released}, case.stored.frames[1]))


def test_a_share_moved_to_another_header_is_refused(case: Case) -> None:
    """HPKE is bound to the segment: the same bytes under another prefix do not open."""
    first, second = (row.header for row in case.stored.headers[:2])
    moved = second[: layout.PREFIX_BYTES] + first[layout.PREFIX_BYTES :]
    with pytest.raises(errors.ShareRefusedError):
        opener.open_shares(moved, BOTH)


def test_a_box_that_shows_two_faces_is_caught_by_the_commitment(case: Case) -> None:
    """A header with somebody else's commitments does not open."""
    first, second = (row.header for row in case.stored.headers[:2])
    tail = layout.header_tail_bytes(2)
    with pytest.raises(errors.CommitmentError):
        opener.open_shares(first[:-tail] + second[-tail:], BOTH)


def test_the_thief_of_a_card_has_nothing_that_opens(case: Case) -> None:
    """Identity key and everything stored: no share opens, and no stored byte string is a frame key."""
    header = case.stored.headers[0].header
    assert opener.open_shares(header, {}) == {}
    raw = b"".join([header, *(frame.ciphertext for frame in case.stored.frames[0])])
    frame = case.stored.frames[0][0]
    digest = hashlib.sha256(header).digest()
    for start in range(0, len(raw) - 32, 997):
        cipher = layout.frame_cipher(layout.FrameCipher.CHACHA20_POLY1305, bytearray(raw[start : start + 32]))
        with pytest.raises(InvalidTag):
            cipher.decrypt(layout.nonce(0), frame.ciphertext, layout.frame_aad(digest, 0))


def test_a_frame_of_another_segments_row_is_malformed(case: Case) -> None:
    """A row with the number of one segment and a frame of another is refused."""
    case.stored.frames[1][5] = replace(case.stored.frames[1][5], seq=7)
    with pytest.raises(MalformedError):
        case.verify()
