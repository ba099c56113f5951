"""What the store hands out: rows with their numbers, where the log stands, figures for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_scanner.core.model import Frame, Leaf, Message, SegmentHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A message waiting for the broker; ids grow with age order and are never given twice."""

    id: int
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What a new process run needs to go on with the log.

    `next_segment` and `next_boot` are above every number this box ever committed; `leaves` has one for every number
    below `next_segment`, but for that of a segment which the last run left open. `newest` is the last segment stored,
    finished or not, with its `frames` in order; None when none is. `gap`: some leaves are 32 zero bytes, because their
    segments are lost.
    """

    next_segment: int
    next_boot: int
    leaves: tuple[Leaf, ...]
    newest: SegmentHeader | None
    frames: tuple[Frame, ...]
    gap: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One entry (canonical JSON) of the audit trail; `digest` = SHA-256(0x02 | previous digest | entry)."""

    number: int
    entry: bytes
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stored segment: its hour's beginning (UTC s), its frames, and the minutes in which the radio listened.

    Bit m of `minutes` stands for minute m of the hour; None for a segment that an older version wrote.
    """

    hour_s: float
    frames: int
    minutes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures for people: rows, times in UTC seconds, bytes on the disk with side files."""

    segments: int
    frames: int
    leaves: int
    boots: int
    oldest_s: float | None
    newest_s: float | None
    first_segment: int | None
    last_segment: int | None
    outbox_rows: int
    outbox_bytes: int
    outbox_dropped: int
    audit_entries: int
    bytes_on_disk: int
