"""The bytes of boot records, headers and frames: what is not exactly them is refused by name."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames
from edge_scanner.core.log.errors import LogError, MalformedError, UnknownSuiteError
from edge_scanner.core.model import ClockQuality, Encounter
from tests.support.sealed_logs import HOUR_S, Box

BOX = Box().minutes(1)
BOOT = BOX.stored.boots[0].record
HEADER = BOX.stored.headers[0].header


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """The data with some bytes replaced."""
    return data[:offset] + value + data[offset + len(value) :]


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
        patched(HEADER, 4, b"\2"),
        patched(HEADER, 10, b"ilou"),
        patched(HEADER, 64, b"\3"),
        patched(HEADER, 65, b"\x3b"),
        patched(HEADER, 66, b"\0\0"),
        patched(HEADER, 68, b"\2"),
        patched(HEADER, 141, b"\1"),
        patched(HEADER, 141, b"\3"),
        patched(HEADER, 142 + 11, b"\0\0"),
    ],
)
def test_a_header_of_another_shape_is_malformed(header: bytes) -> None:
    """Every fixed field and every length is checked."""
    with pytest.raises(MalformedError):
        layout.parse_header(header)


@pytest.mark.parametrize("offset", [5, 6, 7, 142 + 2])
def test_an_unknown_suite_in_a_header_is_refused(offset: int) -> None:
    """Frame cipher, key derivation, signature, wrap suite."""
    with pytest.raises(UnknownSuiteError):
        layout.parse_header(patched(HEADER, offset, b"\xee"))


def plaintext(head: bytes, body: bytes = b"") -> bytes:
    """A frame's plaintext from its first bytes."""
    return (head + bytes(6) + body).ljust(layout.PLAINTEXT_BYTES, b"\0")


RECORD = bytes([1]) + bytes(20) + bytes([1, 200, 210, 5, 10])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        plaintext(b"\0\x3c\0\0\0\0"),
        plaintext(b"\0\0\x3d\0\0\0"),
        plaintext(b"\0\0\0\x9b\0\0"),
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
    """185, 142, 4,016 and 4,032 bytes; a full frame has no padding."""
    assert (layout.BOOT_RECORD_BYTES, layout.PREFIX_BYTES) == (185, 142)
    assert (layout.PLAINTEXT_BYTES, layout.CIPHERTEXT_BYTES) == (4016, 4032)
    assert 12 + frames.MAX_RECORDS * frames.RECORD_BYTES == layout.PLAINTEXT_BYTES
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
