"""Batches as the pipeline makes them, from a counter: minute n is frame n % 60 of segment n // 60."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edge_scanner.core.model import (
    Batch,
    BootRecord,
    Frame,
    Leaf,
    LogRows,
    Message,
    MessageKind,
    Release,
    SealedMinutes,
    SegmentHeader,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAME_BYTES = 4032
SEGMENT_FRAMES = 60
HEADER_BYTES = 2583
"""Of a header with two hybrid shares."""


def random_bytes(label: str, size: int) -> bytes:
    """Bytes that look like ciphertext and can be made again from `label`."""
    return hashlib.shake_256(label.encode()).digest(size)


def message(kind: MessageKind, number: int, *, size: int = 400) -> Message:
    """Message `number` of its kind."""
    return Message(
        kind=kind,
        topic=f"edge-scanner/v1/d/box/up/{kind.value}",
        payload=random_bytes(f"{kind.value} {number}", size),
        key=f"{kind.value}-{number}",
        retain=kind in {MessageKind.STATUS, MessageKind.CHECKPOINT},
        created_s=60.0 * number,
    )


def frame(minute: int) -> Frame:
    """The frame of a minute, as large as the real ones."""
    return Frame(
        seq=minute // SEGMENT_FRAMES,
        number=minute % SEGMENT_FRAMES,
        ciphertext=random_bytes(f"frame {minute}", FRAME_BYTES),
    )


def batch(
    minutes: Sequence[int], *, messages: Sequence[Message] = (), drop_segments_before: int | None = None
) -> Batch:
    """What is committed after `minutes`: frames, headers, leaves, hourly messages."""
    begins = [n // SEGMENT_FRAMES for n in minutes if n % SEGMENT_FRAMES == 0]
    ends = [n // SEGMENT_FRAMES for n in minutes if n % SEGMENT_FRAMES == SEGMENT_FRAMES - 1]
    counts = [message(MessageKind.COUNTS, seq) for seq in ends]
    checkpoints = [message(MessageKind.CHECKPOINT, seq, size=260) for seq in ends]
    return Batch(
        rows=LogRows(
            boots=(BootRecord(number=0, record=b"boot"),) if 0 in minutes else (),
            headers=tuple(
                SegmentHeader(seq=seq, opened_s=3600.0 * seq, header=random_bytes(f"header {seq}", HEADER_BYTES))
                for seq in begins
            ),
            frames=tuple(frame(n) for n in minutes),
            leaves=tuple(Leaf(seq=seq, digest=random_bytes(f"leaf {seq}", 32)) for seq in ends),
            minutes=tuple(SealedMinutes(seq=n // SEGMENT_FRAMES, minutes=1 << n % SEGMENT_FRAMES) for n in minutes),
        ),
        releases=tuple(Release(ledger="broker", bin_start_s=3600 * seq, body=b"{}") for seq in ends),
        messages=(*counts, *checkpoints, *messages),
        drop_segments_before=drop_segments_before,
    )
