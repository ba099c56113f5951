"""What a reader sees of noised sums."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from math import sqrt
from typing import Any

import pytest

from edge_scanner.central.serve.figures import level, share
from edge_scanner.central.store.site_bins import SiteBin
from edge_scanner.core.counts.difference_noise import Chain
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.privacy_budget import equivalent_scale

DRAW = Fraction("229.231")


def _bin(**changes: Any) -> SiteBin:
    """A site's bin whose boxes all listened for as long as one another."""
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
    fields |= changes
    counted = 1 if fields.get("rule") == "same hall" else fields["boxes"]
    if fields["minutes"] and fields["nearby"] is not None:
        fields["mean"] = fields["nearby"] / fields["minutes"] * counted
        fields["mean_variance"] = fields["variance"] / fields["minutes"] ** 2 * counted**2
    return SiteBin(**fields)


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


@pytest.mark.parametrize(
    ("boxes", "bins", "parts"), [(1, 1, 2), (2, 1, 2), (1, 4, 1), (1, 24, 2), (3, 24, 2), (1, 96, 1)]
)
def test_95_percent_covers_95_percent(boxes: int, bins: int, parts: int) -> None:
    """Drawn as boxes draw it: hours and days of one box and of several, of bins of an hour and of a quarter."""
    chain = Chain(Laplace(DRAW, randbelow=random.Random(7).randrange))
    variance = 2 * boxes * bins * equivalent_scale(float(DRAW), parts) ** 2
    tries = max(1500, 100_000 // (boxes * bins * parts))
    inside = 0
    for _ in range(tries):
        noise = 0
        for _box in range(boxes):
            noise += sum(chain.figure(0) for _ in range(bins * parts))
            # Other boxes and other days: nothing of this one's noise is left.
            for _bin_between in range(12):
                chain.figure(0)
        minutes = 60 * bins
        one = _bin(boxes=boxes, minutes=boxes * minutes, nearby=boxes * 400 * minutes + noise, variance=variance)
        found = level([replace(one, bins=bins, parts=parts)])
        assert found is not None
        inside += found.low <= 400 * boxes <= found.high

    assert inside / tries == pytest.approx(0.95, abs=max(0.01, 3 * sqrt(0.95 * 0.05 / tries)))


def test_a_share_says_nothing_where_noise_hides_it() -> None:
    """The share of the app among the phones, with its interval, or none."""
    bins = [_bin(bin_start=n, figures={"bluezone": 900, "bluezone_presence": 120}) for n in range(100)]
    found = share(bins)

    assert found is not None
    assert found.share == pytest.approx(0.425)
    assert found.low < 0.425 < found.high
    narrower = share(
        [_bin(bin_start=n, parts=4, figures={"bluezone": 900, "bluezone_presence": 120}) for n in range(100)]
    )
    assert narrower is not None
    assert narrower.high - narrower.low < found.high - found.low
    assert share([_bin(nearby=10, figures={"bluezone": 5})]) is None
    assert share([_bin()]) is None
    assert share([_bin(nearby=None, figures={"bluezone": 5})]) is None
