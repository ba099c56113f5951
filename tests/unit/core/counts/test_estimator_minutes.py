"""Which minute the estimator's tallies speak of: a run's beginning and end, leaps of the clock, minutes left out."""

from __future__ import annotations

import pytest

from edge_scanner.core.counts.estimator import Counter
from tests.support.hearings import ROTATING, START_S, counts, heard, steady


@pytest.mark.parametrize("minutes", [2, 3, 4, 5, 6])
def test_a_run_that_ends_early_counts_its_minutes(minutes: int) -> None:
    """Shorter than what a minute waits for to be decided: each minute is the one in which the phone was heard."""
    assert counts(steady(START_S + 5, START_S + minutes * 60 - 5, identifier=b"a"), minutes) == [1] * minutes


def test_a_run_of_one_minute_counts_it() -> None:
    """All that was heard lies in the minute that the first close closes: 50 s are a passer-by, counted in it."""
    assert counts(steady(START_S + 5, START_S + 55, identifier=b"a"), 1, "passing") == [1]


def test_what_comes_before_a_late_close_is_kept() -> None:
    """Nobody was there in the first minute, which is closed seconds after its end: who came meanwhile is there."""
    counter = Counter((ROTATING,))
    counter.add(*heard(START_S + 61))
    tallies = [counter.close(START_S)]
    for event in steady(START_S + 95, START_S + 295):
        counter.add(*event)
    tallies += [counter.close(START_S + minute * 60) for minute in range(1, 5)]
    tallies += counter.finish()

    assert [tally.figures["unknown"] for tally in tallies if tally.listened_s] == [0, 1, 1, 1, 1]


@pytest.mark.parametrize("step_s", [-7200, 7200])
def test_the_clock_leaps(step_s: int) -> None:
    """Everything starts anew: the minutes after the leap have who is there, the undecided ones before it no tally."""
    counter = Counter((ROTATING,))
    for event in steady(START_S, START_S + 595, identifier=b"a"):
        counter.add(*event)
    for minute in range(10):
        counter.close(START_S + minute * 60)
    leapt_s = START_S + 600 + step_s
    counter.restart(leapt_s)
    # What the radio had still in hand bears the time of before.
    counter.add(*heard(START_S + 599, identifier=b"a"))
    tallies = []
    for minute in range(10):
        for event in steady(leapt_s + minute * 60 + 1, leapt_s + minute * 60 + 59, identifier=b"a"):
            counter.add(*event)
        tallies.append(counter.close(leapt_s + minute * 60))
    tallies += counter.finish()
    listened = [tally for tally in tallies if tally.listened_s]

    assert [tally.minute_s for tally in listened] == [leapt_s + minute * 60 for minute in range(10)]
    assert [tally.figures["rotating"] for tally in listened] == [1] * 10


def test_a_minute_out_of_order_starts_anew() -> None:
    """Also when nobody has said that the clock leapt, nothing of before it is in a minute after it."""
    counter = Counter((ROTATING,))
    for event in steady(START_S, START_S + 595, identifier=b"a"):
        counter.add(*event)
    for minute in range(10):
        counter.close(START_S + minute * 60)
    tallies = [counter.close(START_S - 7200 + minute * 60) for minute in range(10)]
    tallies += counter.finish()

    assert [tally.minute_s for tally in tallies if tally.listened_s] == [
        START_S - 7200 + minute * 60 for minute in range(10)
    ]
    assert not any(sum(tally.figures.values()) for tally in tallies)


def test_clock_leaps_forward() -> None:
    """A year later nothing of the old time is left and memory has not grown with the leap."""
    counter = Counter((ROTATING,))
    for event in steady(START_S, START_S + 300, identifier=b"a"):
        counter.add(*event)
    later_s = START_S + 365 * 86_400
    counter.add(*heard(later_s, identifier=b"a"))
    known = counter._identifiers.get(hash((9, b"a")))
    assert known is not None
    assert known.mask.bit_length() < 16
    tally = counter.close(later_s)
    assert (tally.minute_s, tally.listened_s, sum(tally.figures.values())) == (later_s - 300, 0.0, 0)


def test_skipped_minutes_are_lost_and_nothing_else() -> None:
    """Two minutes that were never closed, and one they would have decided, have no tally; the others have the phone."""
    counter = Counter((ROTATING,))
    tallies = []
    for minute in range(10):
        for event in steady(START_S + minute * 60 + 1, START_S + minute * 60 + 59, identifier=b"a"):
            counter.add(*event)
        if minute not in {4, 5}:
            tallies.append(counter.close(START_S + minute * 60))
    tallies += counter.finish()
    seen = {(tally.minute_s - START_S) // 60: tally.figures["rotating"] for tally in tallies if tally.listened_s}
    assert set(seen) == {1, 2, 3, 6, 7, 8, 9}
    assert set(seen.values()) == {1}


def test_tally_names_its_minute() -> None:
    """The tally is that of five minutes earlier, with that minute's listening; before the run it says listened 0."""
    counter = Counter((ROTATING,))
    assert counter.lag_minutes == 5
    first = counter.close(START_S, listened_s=41.0)
    *_, sixth = (counter.close(START_S + minute * 60) for minute in range(1, 6))
    assert (first.minute_s, first.listened_s) == (START_S - 300, 0.0)
    assert (sixth.minute_s, sixth.listened_s) == (START_S, 41.0)
    assert [(tally.minute_s, tally.listened_s) for tally in counter.finish()] == [
        (START_S + minute * 60, 60.0) for minute in range(1, 6)
    ]
    assert counter.finish() == ()
