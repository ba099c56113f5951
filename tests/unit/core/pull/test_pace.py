"""What a line's own pace says: how many pieces, how long to wait, how long it will take."""

from __future__ import annotations

import pytest

from edge_scanner.core.pull import pace
from edge_scanner.core.pull.pace import Pace

PIECE = 48 * 1024


def steady(every_s: float, count: int, most: int = 24) -> Pace:
    """A line that brought `count` pieces, the last at `every_s * count`."""
    line = Pace(most)
    line.begin(0.0)
    for number in range(1, count + 1):
        line.came(number * every_s, PIECE)
    return line


def test_nothing_is_known_at_first() -> None:
    """One piece, a long wait, no promise."""
    line = Pace(24)
    assert (line.window(0.0), line.patience_s(), line.remaining_s(PIECE, 0.0)) == (1, pace.FIRST_S, None)
    line.begin(5.0)
    assert line.remaining_s(PIECE, 6.0) is None


@pytest.mark.parametrize(("every_s", "window"), [(6.0, 3), (0.7, 7), (0.05, 24)])
def test_the_window_is_what_the_line_brings_in_three_seconds(every_s: float, window: int) -> None:
    """8 kB/s, 70 kB/s, 1 MB/s."""
    assert steady(every_s, 64).window(64 * every_s) == window


def test_a_silence_narrows_the_window_and_lengthens_the_wait() -> None:
    """To the least, then to one; the next piece ends that."""
    line = steady(0.05, 64)
    assert line.window(64 * 0.05 + 4) == pace.LEAST
    assert line.patience_s() == pace.SHORTEST_S
    line.late()
    line.late()
    assert (line.window(10.0), line.patience_s()) == (1, 4 * pace.SHORTEST_S)
    line.came(10.0, PIECE)
    assert line.window(10.0) > 1


def test_patience_is_in_the_line_s_own_pauses_and_has_an_end() -> None:
    """Four pauses; five minutes at most."""
    assert steady(6.0, 10).patience_s() == pytest.approx(24.0)
    assert steady(600.0, 3).patience_s() == pace.LONGEST_S


def test_old_pieces_are_forgotten() -> None:
    """After a slow hour a fast line is fast again."""
    line = steady(60.0, 10)
    for number in range(64):
        line.came(600.0 + number, PIECE)
    line.came(664.0, PIECE)
    assert line.patience_s() == pytest.approx(pace.SLACK, abs=0.1)
    assert line.remaining_s(100 * PIECE, 664.0) == pytest.approx(100.0, rel=0.05)


def test_the_remaining_time_grows_while_nothing_comes() -> None:
    """Half the pace over twice the time."""
    line = steady(6.0, 10)
    assert line.remaining_s(10 * PIECE, 60.0) == pytest.approx(60.0)
    assert line.remaining_s(10 * PIECE, 120.0) == pytest.approx(120.0)
