"""A standstill makes what is read after it undatable, for half as long as it lasted; nothing else does."""

from __future__ import annotations

from edge_scanner.device.radio.punctuality import BEAT_S, LONGEST_S, STALL_S, Punctuality


def beaten(until_s: int) -> Punctuality:
    """A timer that was right every second."""
    kept = Punctuality(0.0)
    for second in range(1, until_s + 1):
        kept.beat(float(second))
    return kept


def test_a_timer_that_is_a_little_late_changes_nothing() -> None:
    """Up to the lateness that the pipeline allows for, everything counts."""
    kept = beaten(5)

    kept.beat(5 + BEAT_S + STALL_S)

    assert kept.kept(5 + BEAT_S + STALL_S)
    assert not kept.doubted(5 + 2 * (BEAT_S + STALL_S))


def test_what_is_read_before_the_timer_can_go_off_is_doubted() -> None:
    """The first signals after a standstill are read before any timer runs."""
    kept = beaten(5)

    assert not kept.doubted(5 + BEAT_S + STALL_S)
    assert kept.doubted(5.1 + BEAT_S + STALL_S)
    assert not kept.kept(5.1 + BEAT_S + STALL_S)


def test_the_backlog_of_a_standstill_is_doubted_and_then_over() -> None:
    """After 20 s of standing still it takes a second and half of that to read what came meanwhile."""
    kept = beaten(5)
    for second in range(26, 38):
        kept.beat(float(second))

    assert kept.doubted(36.9)
    assert not kept.doubted(37.1)


def test_a_machine_that_slept_is_not_deaf_for_long() -> None:
    """Of a day's standstill a minute counts."""
    kept = beaten(5)
    for second in range(86_400, 86_435):
        kept.beat(float(second))

    over_s = 86_400 + BEAT_S + LONGEST_S / 2
    assert kept.doubted(over_s - 0.1)
    assert not kept.doubted(over_s + 4)


def test_a_queue_that_never_empties_is_late() -> None:
    """What was read in time and is handed on late does not count either; an idle queue is never late."""
    kept = beaten(5)
    kept.busy(5.0)
    kept.busy(6.5)
    kept.beat(6.0)
    kept.beat(7.0)

    assert kept.kept(7.0)
    assert not kept.kept(7.5)
    kept.idle()
    assert kept.kept(7.5)
    kept.busy(7.5)
    assert kept.kept(8.0)
