"""Which minutes were recorded, beside the sealed frames: about the box alone."""

from __future__ import annotations

from edge_scanner.core.log import writer
from edge_scanner.core.log.recipients import GRACE_S
from tests.support.sealed_logs import HOUR_S, Box, clock, encounter


def test_the_rows_say_which_minutes_they_hold_whatever_was_heard() -> None:
    """Bit m for minute m of the segment's hour, once, until the store has it; a full minute has one bit, too."""
    box = Box(start_s=HOUR_S + 58 * 60)
    sealed = []
    for heard in (0, 400, 3):
        box.log.seal(box.now_s, [encounter(n) for n in range(heard)], clock=box.clock(60))
        rows = box.log.peek()
        sealed.append({row.seq: row.minutes for row in rows.minutes})
        if heard:
            box.log.forget(rows)
        box.now_s += 60

    assert sealed == [{0: 1 << 58}, {0: 1 << 58 | 1 << 59}, {1: 1}]
    assert box.log.peek().minutes == ()


def test_a_minute_that_is_sealed_while_the_store_writes_is_kept() -> None:
    """What was peeked is forgotten, and no more."""
    box = Box()
    box.log.seal(HOUR_S, [], clock=box.clock(60))
    rows = box.log.peek()
    box.log.seal(HOUR_S + 120, [], clock=box.clock(180))
    box.log.forget(rows)

    assert [(row.seq, row.minutes) for row in box.log.peek().minutes] == [(0, 1 << 2)]


def test_a_minute_without_room_or_keys_is_not_called_recorded() -> None:
    """The backlog's bound, expired recipients and a radio that was down leave no bit."""
    box = Box()
    box.log.seal(HOUR_S - 60, [], listened_s=0.4, clock=box.clock())
    assert box.log.peek().minutes == ()
    for minute in range(writer.MAX_PENDING_FRAMES + 30):
        box.log.seal(HOUR_S + 60 * minute, [], clock=box.clock(60 * minute + 60))
    full = sum(row.minutes.bit_count() for row in box.log.peek().minutes)
    box.log.forget(box.log.peek())
    late_s = box.recipients.not_after_s + GRACE_S + 60
    box.log.seal(late_s - late_s % 60, [], clock=clock(late_s))

    assert writer.MAX_PENDING_FRAMES - 6 <= full <= writer.MAX_PENDING_FRAMES
    assert (box.log.stopped, box.log.peek().minutes) == ("recipients-expired", ())
