"""Which segments must go: whole segments, oldest first, 14 days by default and 21 at most.

A clock that is wrong must not delete evidence, so `plan` is asked with trusted time (core/trusted_clock.py). A jump
back deletes nothing: segment numbers tell the true order, so a segment counts as no older than its predecessors,
whatever its own stamp says. Whole segments beat single frames: the tree stays checkable and pages are rewritten once an
hour. The limit is a law's, so no setting lifts it above 21 days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_DAYS = 14
"""How long contact tracing looks back."""

MAX_DAYS = 21
"""The longest a venue may keep a sighting."""

_DAY_S = 86400
_SEGMENT_S = 3600


def plan(
    segments: Iterable[tuple[int, float]],
    *,
    now_s: float,
    days: int = DEFAULT_DAYS,
) -> int | None:
    """The segment number below which everything goes, None when nothing does: the `drop_segments_before` of a Batch.

    `segments` are (number, opening time in UTC seconds) of those still stored, in any order; `now_s` is trusted time. A
    segment goes once the hour it began in is older than `days`; it began no earlier than any
    before it, and a stamp in the future says nothing.

    Raises ConfigurationError for `days` outside 1..21.
    """
    if not 1 <= days <= MAX_DAYS:
        raise ConfigurationError(f"retention must be 1 to {MAX_DAYS} days, not {days}")
    limit_s = now_s - days * _DAY_S
    drop_before = began_s = None
    for number, opened_s in sorted(segments):
        if opened_s <= now_s:
            began_s = opened_s if began_s is None else max(began_s, opened_s)
        if began_s is None:
            continue
        if began_s + _SEGMENT_S > limit_s:
            break
        drop_before = number + 1
    return drop_before


def oldest_s(segments: Iterable[tuple[int, float]]) -> float | None:
    """When the oldest stored segment began, UTC seconds; None for an empty log."""
    return min((opened_s for _, opened_s in segments), default=None)
