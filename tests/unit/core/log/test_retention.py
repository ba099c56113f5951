"""Which segments go, and when a doubtful clock keeps them all."""

from __future__ import annotations

import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.log import retention

DAY = 86400
NOW = 1_800_000_000.0


def hourly(days: float, end_s: float = NOW) -> list[tuple[int, float]]:
    """One segment an hour up to `end_s`, numbered from 100."""
    count = int(days * 24)
    return [(100 + n, end_s - 3600 * (count - n)) for n in range(count)]


def plan(segments: list[tuple[int, float]], **changes: object) -> int | None:
    """The plan at this moment unless said otherwise."""
    arguments: dict[str, object] = {"now_s": NOW, **changes}
    return retention.plan(segments, **arguments)  # type: ignore[arg-type]


def test_nothing_goes_while_all_is_young() -> None:
    """A log of fourteen days keeps everything, and so does an empty one."""
    assert plan(hourly(14)) is None
    assert plan([]) is None


def test_whole_hours_older_than_the_limit_go() -> None:
    """Of sixteen days the first two go, in whole segments, whatever order the rows come in."""
    segments = hourly(16)
    assert plan(segments[::-1]) == 100 + 48
    kept = [opened for number, opened in segments if number >= 148]
    assert min(kept) + 3600 > NOW - 14 * DAY
    assert plan(segments, days=1) == 100 + 15 * 24


@pytest.mark.parametrize("days", [0, 22])
def test_no_setting_leaves_the_law(days: int) -> None:
    """Less than a day and more than twenty-one are refused; both limits themselves are not."""
    with pytest.raises(ConfigurationError, match="1 to 21"):
        plan([], days=days)
    assert plan(hourly(22), days=21) == 100 + 24


def test_jump_back_deletes_nothing() -> None:
    """A clock behind the log makes nothing older; segments from the future are passed over."""
    assert plan(hourly(14), now_s=NOW - 10 * DAY) is None
    assert plan([(1, NOW + DAY), (2, NOW + 2 * DAY)]) is None


def test_segment_stamped_by_a_dead_clock_is_no_older_than_its_predecessor() -> None:
    """A boot at 1970 between two recent segments is not taken for old; it goes with its neighbours."""
    assert plan([(1, NOW - 7200), (2, 0.0), (3, NOW - 3600)]) is None
    assert plan([(1, NOW - 20 * DAY), (2, 0.0), (3, NOW - 3600)]) == 3


def test_segment_stamped_in_the_future_goes_with_its_neighbours() -> None:
    """A stamp in the future keeps nothing back for ever."""
    assert plan([(1, NOW - 20 * DAY), (2, NOW + 900 * DAY), (3, NOW - 19 * DAY), (4, NOW)]) == 4
    assert plan([(1, NOW + 900 * DAY), (2, NOW - 19 * DAY), (3, NOW)]) == 3


def test_oldest_record() -> None:
    """The oldest opening time, None for an empty log."""
    assert retention.oldest_s(hourly(2)) == NOW - 2 * DAY
    assert retention.oldest_s([]) is None
