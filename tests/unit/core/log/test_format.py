"""The bytes of boot records, headers and frames: what is not exactly them is refused by name."""

from __future__ import annotations

import contextlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.errors import LogError, MalformedError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames
from edge_scanner.core.log.errors import UnknownSuiteError
from edge_scanner.core.model import ClockQuality, Encounter
from tests.support import second_reader
from tests.support.sealed_logs import HOUR_S, Box

BOX = Box().minutes(1)
BOOT = BOX.stored.boots[0].record
HEADER = BOX.stored.headers[0].header


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """The data with some bytes replaced."""
    return data[:offset] + value + data[offset + len(value) :]


def share(place: int, part: int, index: int, source: int) -> bytes:
    """The header with share `place` replaced by a copy of share `source` under another part and index."""
    entry = HEADER[143 + 1181 * source : 143 + 1181 * (source + 1)]
    return patched(HEADER, 143 + 1181 * place, bytes([part, index]) + entry[2:])


def with_parts(parts: int, *sources: int) -> bytes:
    """A header with so many parts whose shares, part by part, are copies of the given ones."""
    entries = [HEADER[143 + 1181 * source : 143 + 1181 * (source + 1)] for source in sources]
    body = HEADER[:143] + b"".join(bytes([part, 0]) + entry[2:] for part, entry in enumerate(entries))
    body = patched(body, 141, bytes([parts, len(entries)])) + bytes(32 * parts + 64)
    return patched(body, 8, struct.pack(">H", len(body)))


MISPLACED = [
    share(1, 0, 0, 1),  # place (0, 0) twice
    share(1, 7, 0, 1),  # part 7 of two
    share(1, 1, 1, 1),  # part 1 begins with its second holder
    share(0, 1, 0, 0),  # part 0 has no holder
    share(1, 0, 1, 1),  # part 1 has no holder
    share(1, 1, 0, 0),  # one key in both parts
    with_parts(1, 0),
    with_parts(0),
    with_parts(2),
    with_parts(3, 0, 1),
    with_parts(33, *range(2), *[0] * 31),
]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        BOOT + b"\0",
        patched(BOOT, 0, b"XXXX"),
        patched(BOOT, 4, b"\2"),
        patched(BOOT, 6, b"ILOU"),
        patched(BOOT, 48, b"\3"),
    ],
)
def test_a_boot_record_of_another_shape_is_malformed(record: bytes) -> None:
    """Length, magic, version, device id and clock quality are checked."""
    with pytest.raises(MalformedError):
        layout.parse_boot(record)


def test_an_unknown_signature_algorithm_is_refused() -> None:
    """In boot records as in headers."""
    with pytest.raises(UnknownSuiteError):
        layout.parse_boot(patched(BOOT, 5, b"\2"))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        HEADER[:200],
        HEADER + b"\0",
        patched(HEADER, 0, b"XXXX"),
        patched(HEADER, 4, b"\1"),
        patched(HEADER, 10, b"ilou"),
        patched(HEADER, 64, b"\3"),
        patched(HEADER, 65, b"\x3b"),
        patched(HEADER, 66, b"\0\0"),
        patched(HEADER, 68, b"\2"),
        patched(HEADER, 141, b"\1"),
        patched(HEADER, 141, b"\3"),
        patched(HEADER, 142, b"\1"),
        patched(HEADER, 142, b"\3"),
        patched(HEADER, 143 + 11, b"\0\0"),
        *MISPLACED,
    ],
)
def test_a_header_of_another_shape_is_malformed(header: bytes) -> None:
    """Every fixed field and every length is checked."""
    with pytest.raises(MalformedError):
        layout.parse_header(header)


BOOT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def readers_agree(header: bytes) -> bool:
    """Whether both readers take the header, signed anew as the box's own run could; fails when they differ."""
    body = header[:-64]
    resigned = body + BOOT_KEY.sign(layout.HEADER_LABEL + body)
    try:
        ours: layout.Header | None = layout.parse_header(resigned)
    except LogError:
        ours = None
    try:
        theirs = second_reader.read_header(resigned, BOOT_KEY.public_key().public_bytes_raw())
    except (AssertionError, KeyError, IndexError):
        theirs = None
    assert (ours is None) == (theirs is None)
    if ours and theirs:
        assert [(one.part, one.index, one.key_id) for one in ours.shares] == [
            (one["part"], one["index"], one["key_id"]) for one in theirs["shares"]
        ]
        assert (ours.seq, ours.hour, ours.previous_unclean) == (theirs["seq"], theirs["hour"], theirs["unclean"] == 1)
    return ours is not None


@pytest.mark.parametrize("header", [*MISPLACED, patched(HEADER, 68, b"\2"), patched(HEADER, 10, b"ilou")])
def test_both_readers_refuse_shares_out_of_place_and_unknown_flags(header: bytes) -> None:
    """A box that signs such a header is believed by nobody: what one reader opens the other opens."""
    assert not readers_agree(header)
    assert readers_agree(HEADER)


@given(
    st.lists(st.tuples(st.integers(0, 160) | st.integers(1310, 1340), st.integers(0, 255)), max_size=4),
    st.binary(max_size=3),
)
def test_both_readers_agree_on_any_damaged_header(changes: list[tuple[int, int]], tail: bytes) -> None:
    """Whatever bytes of the fixed fields or the share entries are others, both take it or both refuse it."""
    header = HEADER
    for offset, value in changes:
        header = patched(header, offset, bytes([value]))
    readers_agree(header[:-64] + tail + header[-64:])


@pytest.mark.parametrize("offset", [5, 6, 7, 143 + 2])
def test_an_unknown_suite_in_a_header_is_refused(offset: int) -> None:
    """Frame cipher, key derivation, signature, wrap suite."""
    with pytest.raises(UnknownSuiteError):
        layout.parse_header(patched(HEADER, offset, b"\xee"))


def plaintext(head: bytes, body: bytes = b"") -> bytes:
    """A frame's plaintext from its first bytes."""
    return (bytes(26) + head + bytes(6) + body).ljust(layout.PLAINTEXT_BYTES, b"\0")


RECORD = bytes([1]) + bytes(20) + bytes([1, 200, 210, 5, 10])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1" + plaintext(b"\0\0\0\0\0\0")[1:],
        plaintext(b"\0\0\0\0\0\0")[:25] + b"\1" + plaintext(b"\0\0\0\0\0\0")[26:],
        plaintext(b"\0\x3c\0\0\0\0"),
        plaintext(b"\0\0\x3d\0\0\0"),
        plaintext(b"\0\0\0\x9a\0\0"),
        plaintext(b"\0\0\0\1\0\0", RECORD + b"\1"),
        plaintext(b"\0\0\0\1\0\0", RECORD[:24] + b"\x0b\x0a"),
        plaintext(b"\0\0\0\1\0\0", RECORD[:24] + b"\x0a\x3c"),
        plaintext(b"\1\1\0\0\0\0", b"\1"),
        plaintext(b"\1\0\0\0\0\0", b"\0"),
        plaintext(b"\1\0\0\0\0\0", b"\1" + bytes(12) + b"\1"),
        plaintext(b"\2\0\0\0\0\0", b"\3\0"),
        plaintext(b"\2\0\0\0\0\1", b"\0\0"),
        plaintext(b"\3\0\0\0\0\0"),
    ],
)
def test_a_plaintext_of_another_shape_is_malformed(data: bytes) -> None:
    """Kind, counts, seconds and padding are checked."""
    with pytest.raises(MalformedError):
        frames.parse_plaintext(data, 0)


def test_a_record_is_read_field_by_field() -> None:
    """The bytes written by hand here are the encounter they should be."""
    minute = frames.parse_plaintext(plaintext(b"\0\x05\x3c\1\0\7", RECORD), HOUR_S // 3600)
    assert minute == frames.Minute(
        minute_s=HOUR_S + 300,
        listened_s=60,
        monotonic_ms=0,
        dropped=7,
        encounters=(
            Encounter(
                protocol_tag=1,
                payload=bytes(20),
                adverts=1,
                rssi_mean=-56,
                rssi_max=-46,
                first_second=5,
                last_second=10,
            ),
        ),
    )


def test_fixed_sizes_are_those_of_the_specification() -> None:
    """185, 143, 4,016 and 4,032 bytes; a full frame has no padding."""
    assert (layout.BOOT_RECORD_BYTES, layout.PREFIX_BYTES) == (185, 143)
    assert (layout.PLAINTEXT_BYTES, layout.CIPHERTEXT_BYTES) == (4016, 4032)
    assert 38 + frames.MAX_RECORDS * frames.RECORD_BYTES == layout.PLAINTEXT_BYTES
    assert struct.calcsize(">B20sBbbBB") == frames.RECORD_BYTES
    assert layout.clock_quality(2) is ClockQuality.NTP


@given(
    st.binary(max_size=300) | st.builds(lambda n, v: patched(HEADER, n, v), st.integers(0, 2599), st.binary(max_size=9))
)
def test_arbitrary_bytes_raise_only_named_errors(data: bytes) -> None:
    """Random bytes and headers with random damage parse or raise a LogError, nothing else."""
    for parse in (layout.parse_boot, layout.parse_header):
        with contextlib.suppress(LogError):
            parse(data)


@given(st.binary(min_size=24, max_size=200), st.integers(0, 2**32 - 1))
def test_arbitrary_plaintexts_raise_only_named_errors(data: bytes, hour: int) -> None:
    """What a malicious box sealed parses or raises a LogError."""
    with contextlib.suppress(LogError):
        frames.parse_plaintext(data.ljust(layout.PLAINTEXT_BYTES, b"\0"), hour)
