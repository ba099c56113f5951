"""What a reader sees of noised sums."""

from __future__ import annotations

import random
from math import sqrt
from typing import Any

import pytest

from edge_scanner.central.serve.figures import Level, level, share
from edge_scanner.central.store.reading import SiteBin


def _bin(**changes: Any) -> SiteBin:
    fields: dict[str, Any] = {
        "site": "a",
        "bin_start": 0,
        "boxes": 1,
        "minutes": 60,
        "nearby": 2400,
        "figures": {},
        "variance": 2 * 130.0**2,
        "tracing_variance": 2 * 20.0**2,
    }
    return SiteBin(**(fields | changes))


def test_a_site_is_the_sum_of_its_boxes() -> None:
    """Two boxes with 40 phones each are 80 phones."""
    one, two = level([_bin()]), level([_bin(boxes=2, minutes=120, nearby=4800, variance=4 * 130.0**2)])

    assert one is not None
    assert two is not None
    assert (one.mean, two.mean) == (40, 80)
    assert two.high - two.mean == pytest.approx((one.high - one.mean) * sqrt(2))


def test_one_hall_is_its_largest_box() -> None:
    """Three boxes that hear the same people are no three halls: the one that counts is the figure."""
    assert level([_bin(boxes=3, rule="same hall")]) == level([_bin()])
    assert _bin(boxes=3, rule="same hall").error == _bin().error


def test_where_noise_could_be_all_it_says_none() -> None:
    """A figure below its own interval is shown as a range from none; a negative one never."""
    small, negative = level([_bin(nearby=200)]), level([_bin(nearby=-300)])

    assert (str(small), str(negative)) == ("0-9", "0-6")
    assert str(level([_bin()])) == "40 ± 6"


def test_nobody_listened_is_no_figure() -> None:
    """No minute and no message are not a quiet place."""
    assert level([]) is None
    assert level([_bin(minutes=0, nearby=0)]) is None
    assert level([_bin(nearby=None)]) is None


def test_a_longer_step_has_the_wider_interval_of_correlated_noise() -> None:
    """A day of one box is no day of independent hours."""
    hour, day = level([_bin()], step_s=3600), level([_bin()], step_s=86_400)

    assert hour is not None
    assert day is not None
    assert day.high - day.mean == pytest.approx((hour.high - hour.mean) * sqrt(3))


def test_95_percent_covers_95_percent() -> None:
    """Drawn 20,000 times with the noise that is stated, for two boxes."""
    draw = random.Random(7)
    inside = 0
    for _ in range(20_000):
        noise = sum(draw.choice((-1, 1)) * draw.expovariate(1 / 130.0) for _ in range(2))
        found = level([_bin(boxes=2, minutes=120, nearby=round(4800 + noise), variance=4 * 130.0**2)])
        assert found is not None
        inside += found.low <= 80 <= found.high

    assert 0.94 <= inside / 20_000 <= 0.96


def test_a_share_says_nothing_where_noise_hides_it() -> None:
    """The share of the app among the phones, with its interval, or none."""
    bins = [_bin(bin_start=n, figures={"bluezone": 900, "bluezone_presence": 120}) for n in range(100)]
    found = share(bins)

    assert found is not None
    assert found.share == pytest.approx(0.425)
    assert found.low < 0.425 < found.high
    assert share([_bin(nearby=10, figures={"bluezone": 5})]) is None
    assert share([_bin()]) is None
    assert share([_bin(nearby=None, figures={"bluezone": 5})]) is None


def test_a_level_reads_as_a_person_writes_it() -> None:
    """Rounded to whole phones."""
    assert str(Level(mean=41.2, low=30.0, high=52.4)) == "41 ± 11"
