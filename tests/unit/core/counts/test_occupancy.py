"""The word, the trend, the bar and the curves, against values worked out by hand."""

from __future__ import annotations

import pytest

from edge_scanner.core.counts import occupancy
from edge_scanner.core.counts.occupancy import DAY_S, WEEK_S, Level, Thresholds, Trend
from tests.support.snapshots import BIN_S, TUESDAY_S, display, steps

EDGES = Thresholds(moderate_from=40, busy_from=120)
NOW_S = TUESDAY_S - TUESDAY_S % BIN_S
MIDNIGHT_S = NOW_S - (14 * 3600 + 20 * 60)


def level(*values: float) -> Level:
    """The word after bins with these devices."""
    return occupancy.read(steps(NOW_S, values), EDGES, NOW_S).level


@pytest.mark.parametrize(
    ("devices", "word"),
    [(0, Level.QUIET), (39, Level.QUIET), (40, Level.MODERATE), (119, Level.MODERATE), (120, Level.BUSY)],
)
def test_first_word(devices: int, word: Level) -> None:
    """The first bin of a day is judged by the bare thresholds."""
    assert level(devices) is word


def test_hysteresis_upwards() -> None:
    """A quiet place becomes moderate only a tenth above the threshold: 44 of 40."""
    assert level(30, 43, 43) is Level.QUIET
    assert level(30, 44, 44) is Level.MODERATE


def test_hysteresis_downwards() -> None:
    """A busy place stays busy down to a tenth below the threshold: 108 of 120."""
    assert level(130, 109, 109) is Level.BUSY
    assert level(130, 107, 107) is Level.MODERATE


def test_word_jumps_over_the_middle() -> None:
    """A train that empties into a quiet hall makes it busy at once, and the hall empties in one step too."""
    assert level(10, 300, 300) is Level.BUSY
    assert level(300, 10, 10) is Level.QUIET


def test_word_does_not_flicker_at_a_threshold() -> None:
    """A crowd that swings by seven devices around the threshold keeps its word for the whole day."""
    values = [36, *([43, 37] * 60)]
    reports = steps(NOW_S, values)
    words = {
        occupancy.read([r for r in reports if r.bin_start_s < at], EDGES, at).level
        for at in range(NOW_S - len(values) * BIN_S + BIN_S, NOW_S + 1, BIN_S)
    }
    assert words == {Level.QUIET}


def test_noise_widens_hysteresis() -> None:
    """With a noise of 18 devices (scale 150 in two bins of 10 that share a half) 57 of 40 is not enough."""
    bins = [display(NOW_S - (3 - i) * BIN_S, v, scale=150.0) for i, v in enumerate((30, 57, 57))]
    assert occupancy.read(bins, EDGES, NOW_S).level is Level.QUIET
    bins = [display(NOW_S - (3 - i) * BIN_S, v, scale=150.0) for i, v in enumerate((30, 59, 59))]
    assert occupancy.read(bins, EDGES, NOW_S).level is Level.MODERATE


def test_word_survives_three_bins_and_no_more() -> None:
    """Half an hour after the newest bin the word is unknown rather than frozen."""
    bins = steps(NOW_S, (50, 50))
    assert occupancy.read(bins, EDGES, NOW_S + 3 * BIN_S).level is Level.MODERATE
    assert occupancy.read(bins, EDGES, NOW_S + 3 * BIN_S + 1) == occupancy.Crowd()


def test_bins_that_do_not_count() -> None:
    """No bins, a bin half covered at most, an unfinished bin, and yesterday's: nothing to say."""
    assert occupancy.read([], EDGES, NOW_S) == occupancy.Crowd()
    assert occupancy.read([display(NOW_S - BIN_S, 50, minutes=4)], EDGES, NOW_S) == occupancy.Crowd()
    assert occupancy.read([display(NOW_S - 60, 50)], EDGES, NOW_S) == occupancy.Crowd()
    assert occupancy.read([display(NOW_S - DAY_S, 50)], EDGES, NOW_S) == occupancy.Crowd()


def test_half_covered_bin_counts_by_its_minutes() -> None:
    """Five covered minutes with 50 devices present are 50 devices, not 25."""
    got = occupancy.read([display(NOW_S - BIN_S, 50, minutes=5)], EDGES, NOW_S)
    assert (got.level, got.at_s) == (Level.MODERATE, NOW_S)


def test_order_of_bins_is_free() -> None:
    """The store may hand out the bins in any order."""
    bins = steps(NOW_S, (130, 109, 109))
    assert occupancy.read(bins[::-1], EDGES, NOW_S) == occupancy.read(bins, EDGES, NOW_S)


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        ((50, 50, 50, 50, 50, 50), Trend.FLAT),
        ((50, 50, 50, 60, 60, 60), Trend.UP),
        ((60, 60, 60, 50, 50, 50), Trend.DOWN),
        ((50, 50, 50, 57, 57, 57), Trend.FLAT),
        ((50, 60, 70, 80, 90), Trend.UNKNOWN),
    ],
)
def test_trend(values: tuple[int, ...], trend: Trend) -> None:
    """Half an hour against the half hour before, from 15 per cent on; an hour of bins is needed."""
    assert occupancy.read(steps(NOW_S, values), EDGES, NOW_S).trend is trend


def test_trend_drowns_in_noise() -> None:
    """A change of ten devices is no trend while the noise alone makes seven and a half (scale 66 in 10 minutes)."""
    bins = [display(NOW_S - (6 - i) * BIN_S, v, scale=66.0) for i, v in enumerate((20, 20, 20, 30, 30, 30))]
    assert occupancy.read(bins, EDGES, NOW_S).trend is Trend.FLAT


def test_no_trend_across_a_long_gap() -> None:
    """Three bins of the morning and three of the afternoon are no trend."""
    morning = [display(NOW_S - 5 * 3600 + i * BIN_S, 20) for i in range(3)]
    assert occupancy.read([*morning, *steps(NOW_S, (60, 60, 60))], EDGES, NOW_S).trend is Trend.UNKNOWN


@pytest.mark.parametrize(
    ("devices", "place"), [(0, 0), (20, 17), (40, 33), (80, 50), (120, 67), (180, 83), (240, 100), (9999, 100)]
)
def test_bar(devices: int, place: int) -> None:
    """Three equal parts: up to 40, up to 120, up to twice 120."""
    assert occupancy.position(devices, EDGES) == place


def test_marker_stays_in_the_part_of_the_word() -> None:
    """While hysteresis holds the word, the marker does not contradict it."""
    assert occupancy.position(43, EDGES, Level.QUIET) == 32
    assert occupancy.position(110, EDGES, Level.BUSY) == 68
    assert occupancy.position(80, EDGES, Level.MODERATE) == 50


def test_today_is_the_local_day() -> None:
    """The curve begins at midnight in Viet Nam, 17:00 UTC of the day before, and ends now."""
    bins = [display(at, 50) for at in (MIDNIGHT_S - BIN_S, MIDNIGHT_S, NOW_S, NOW_S + BIN_S)]
    got = occupancy.today(bins[::-1], EDGES, 7 * 3600, NOW_S)
    assert [point.at_s for point in got] == [MIDNIGHT_S, NOW_S]


@pytest.mark.parametrize(
    ("devices", "shown"), [(-12, 0), (9.9, 0), (10, 10), (12.4, 10), (13, 15), (97, 95), (104, 100), (1234, 1200)]
)
def test_curve_is_rounded_after_the_noise(devices: float, shown: int) -> None:
    """Fewer than ten is 0, then steps of five, then two significant digits; a negative noised figure is no surprise."""
    assert occupancy.today([display(NOW_S, devices)], EDGES, 7 * 3600, NOW_S)[0].devices == shown


def test_gap_in_the_curve() -> None:
    """A bin that was hardly covered is shown as not known, never as empty."""
    assert occupancy.today([display(NOW_S, 50, minutes=4)], EDGES, 7 * 3600, NOW_S)[0].devices is None


def test_figures_are_added_up() -> None:
    """A site may call identified and presence-only phones its crowd."""
    both = Thresholds(moderate_from=40, busy_from=120, figures=("nearby", "bluezone"))
    assert occupancy.today([display(NOW_S, 50)], both, 7 * 3600, NOW_S)[0].devices == 50


def test_usual_day_is_the_same_weekday() -> None:
    """Two earlier Tuesdays average; Monday and today do not enter; the points stand on today's clock."""
    bins = [
        display(MIDNIGHT_S - WEEK_S, 20),
        display(MIDNIGHT_S - 2 * WEEK_S, 40),
        display(MIDNIGHT_S - DAY_S, 500),
        display(MIDNIGHT_S, 500),
    ]
    got = occupancy.usual_day(bins, EDGES, 7 * 3600, NOW_S)
    assert [(point.at_s, point.devices) for point in got] == [(MIDNIGHT_S, 30)]


def test_usual_day_is_smoothed_by_its_neighbours() -> None:
    """20, 50 and 80 devices in three neighbouring bins give 35, 50 and 65."""
    bins = [display(MIDNIGHT_S - WEEK_S + i * BIN_S, v) for i, v in enumerate((20, 50, 80))]
    assert [point.devices for point in occupancy.usual_day(bins, EDGES, 7 * 3600, NOW_S)] == [35, 50, 65]


def test_no_usual_day_yet() -> None:
    """A box in its first week, or one whose last Tuesday was hardly covered, has no usual day."""
    assert occupancy.usual_day([], EDGES, 7 * 3600, NOW_S) == ()
    assert occupancy.usual_day([display(MIDNIGHT_S - WEEK_S, 20, minutes=1)], EDGES, 7 * 3600, NOW_S) == ()
