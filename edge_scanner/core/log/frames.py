"""Inside a frame: one minute's encounters, the END of a segment, or a change of the clock; always 4,016 bytes.

The size never depends on what was heard, so ciphertexts are no occupancy curve. Records are not compressed: identifiers
are random, so it gains nothing, and a size that follows content is an oracle. The zeros in front make the ciphers
commit to their key, so that no ciphertext opens to two contents. Specification: docs/log-format.md, "Frame".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log.format import FRAME_SECONDS, PLAINTEXT_BYTES, clock_quality
from edge_scanner.core.model import ClockQuality, Encounter

RECORD_BYTES = 26
MAX_RECORDS = 153
"""Encounters in one frame; more make further frames of the same minute."""

MAX_FRAMES_A_MINUTE = 11
"""1,683 encounters: more identifiers than the air lets through in a minute, however many are sent
(docs/measurements.md, "What the air can carry"). A hall flooded with forged ones fills 44 kB a minute; what does not
fit is counted as dropped."""

_MINUTES = 60
_COMMITTING_ZEROS = bytes(26)
_HEAD = struct.Struct(f">{len(_COMMITTING_ZEROS)}x B B B B H 6s")
_RECORD = struct.Struct(">B 20s B b b B B")
_END = struct.Struct(">B I Q")
_CLOCK = struct.Struct(">B B Q Q")


class FrameKind(IntEnum):
    """What a frame holds."""

    MINUTE = 0
    END = 1
    CLOCK = 2


class EndReason(IntEnum):
    """Why a segment ended."""

    HOUR = 1
    STOP = 2
    RECIPIENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """A frame of encounters. `monotonic_ms` counts from the host's boot; `dropped` encounters found no room."""

    minute_s: int
    listened_s: int
    monotonic_ms: int
    dropped: int
    encounters: tuple[Encounter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The last frame of a segment that was closed; `frames` counts those before it."""

    monotonic_ms: int
    reason: EndReason
    frames: int
    utc_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvent:
    """UTC was stepped, or what it rests on changed: at `monotonic_ms` it went from `expected_ms` to `utc_ms`."""

    monotonic_ms: int
    before: ClockQuality
    after: ClockQuality
    expected_ms: int
    utc_ms: int


Content = Minute | End | ClockEvent


def pack_minute(out: bytearray, minute: Minute) -> None:
    """Write a minute with at most MAX_RECORDS encounters into a zeroed plaintext buffer."""
    _HEAD.pack_into(
        out,
        0,
        FrameKind.MINUTE,
        minute.minute_s // FRAME_SECONDS % _MINUTES,
        minute.listened_s,
        len(minute.encounters),
        min(minute.dropped, 0xFFFF),
        minute.monotonic_ms.to_bytes(6, "big"),
    )
    position = _HEAD.size
    for encounter in minute.encounters:
        _RECORD.pack_into(
            out,
            position,
            encounter.protocol_tag,
            encounter.payload,
            encounter.adverts,
            encounter.rssi_mean,
            encounter.rssi_max,
            encounter.first_second,
            encounter.last_second,
        )
        position += RECORD_BYTES


def pack_end(out: bytearray, end: End) -> None:
    """Write an END frame into a zeroed plaintext buffer."""
    _HEAD.pack_into(out, 0, FrameKind.END, 0, 0, 0, 0, end.monotonic_ms.to_bytes(6, "big"))
    _END.pack_into(out, _HEAD.size, end.reason, end.frames, end.utc_ms)


def pack_clock(out: bytearray, event: ClockEvent) -> None:
    """Write a clock event into a zeroed plaintext buffer."""
    _HEAD.pack_into(out, 0, FrameKind.CLOCK, 0, 0, 0, 0, event.monotonic_ms.to_bytes(6, "big"))
    _CLOCK.pack_into(out, _HEAD.size, event.before, event.after, event.expected_ms, event.utc_ms)


def parse_plaintext(plaintext: bytes, hour: int) -> Content:
    """A frame's content; payloads come 20 bytes wide, zero-padded. Raises MalformedError."""
    where = "frame plaintext"
    if len(plaintext) != PLAINTEXT_BYTES:
        raise MalformedError(f"{PLAINTEXT_BYTES} bytes are needed, not {len(plaintext)}", where=where)
    if not plaintext.startswith(_COMMITTING_ZEROS):
        raise MalformedError("it does not begin with zeros", where=where)
    kind, minute, listened, records, dropped, stamp = _HEAD.unpack_from(plaintext)
    monotonic = int.from_bytes(stamp, "big")
    if kind == FrameKind.MINUTE:
        used = _HEAD.size + records * RECORD_BYTES
        if records > MAX_RECORDS or minute >= _MINUTES or listened > FRAME_SECONDS:
            raise MalformedError("minute, listening time or record count out of range", where=where)
        content: Content = Minute(
            minute_s=hour * 3600 + minute * FRAME_SECONDS,
            listened_s=listened,
            monotonic_ms=monotonic,
            dropped=dropped,
            encounters=_records(plaintext[_HEAD.size : used]),
        )
    elif (minute, listened, records, dropped) != (0, 0, 0, 0):
        raise MalformedError("a frame without records counts some", where=where)
    elif kind == FrameKind.END:
        used = _HEAD.size + _END.size
        reason, frames, utc = _END.unpack_from(plaintext, _HEAD.size)
        if reason not in tuple(EndReason):
            raise MalformedError(f"end reason {reason} is not known", where=where)
        content = End(monotonic_ms=monotonic, reason=EndReason(reason), frames=frames, utc_ms=utc)
    elif kind == FrameKind.CLOCK:
        used = _HEAD.size + _CLOCK.size
        before, after, expected, utc = _CLOCK.unpack_from(plaintext, _HEAD.size)
        content = ClockEvent(
            monotonic_ms=monotonic,
            before=clock_quality(before),
            after=clock_quality(after),
            expected_ms=expected,
            utc_ms=utc,
        )
    else:
        raise MalformedError(f"frame kind {kind} is not known", where=where)
    if any(plaintext[used:]):
        raise MalformedError("the padding is not zero", where=where)
    return content


def _records(data: bytes) -> tuple[Encounter, ...]:
    encounters = []
    for tag, payload, adverts, mean, peak, first, last in _RECORD.iter_unpack(data):
        if first > last or last >= FRAME_SECONDS:
            raise MalformedError("a record's seconds are out of range", where="frame plaintext")
        encounters.append(
            Encounter(
                protocol_tag=tag,
                payload=payload,
                adverts=adverts,
                rssi_mean=mean,
                rssi_max=peak,
                first_second=first,
                last_second=last,
            )
        )
    return tuple(encounters)
