"""How busy sites were, the same on SQLite and on PostgreSQL: sums of boxes, the largest of a hall, and their noise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.store.model import Batch
from tests.support.central import DEVICES, HOUR_S, box_list, release

if TYPE_CHECKING:
    from edge_scanner.central.store.store import Store

NOW_S = HOUR_S + 4000.0


def test_sites_are_added_up_by_the_database(store: Store) -> None:
    """Boxes of a site add up to its hour and its day; a figure that no box has is not there."""
    rows = [release(d, HOUR_S + 3600 * hour, scale=3.0, parts=2) for d in DEVICES for hour in range(30)]
    rows[60] = replace(rows[60], tracing_scale=7.0)
    rows.append(release("Q" * 10, HOUR_S, site="cho-ben-thanh", figures={"nearby": -5}, minutes_covered=0))
    store.keep(Batch(releases=tuple(rows)), now_s=NOW_S)

    hours = store.read.bins(HOUR_S, HOUR_S + 3600, figures=("bluezone", "gaen"))
    days = store.read.bins(0, HOUR_S * 2, site="ben-xe-mien-dong", step_s=86_400)

    first = hours[0]
    assert (first.site, first.boxes, first.minutes, first.nearby) == ("ben-xe-mien-dong", 3, 180, 1800)
    assert (dict(first.figures), first.variance, first.shared) == ({"bluezone": 360}, 54.0, 1.0)
    assert first.tracing_variance == 2 * (9.0 + 9.0 + 49.0)
    assert (hours[1].site, hours[1].boxes, hours[1].mean, dict(hours[1].figures)) == ("cho-ben-thanh", 0, None, {})
    assert (first.mean, first.mean_variance) == (30.0, 54.0 / 3600)
    assert [one.minutes for one in days] == [17 * 180, 13 * 180]
    assert [(one.bins, one.parts) for one in days] == [(17, 2), (13, 2)]
    assert store.read.newest_bin() == HOUR_S + 29 * 3600


@pytest.mark.parametrize(
    ("minutes", "nearby", "mean", "boxes"), [(0, 90, 100, 1), (10, 200, 120, 2), (60, 600, 110, 2)]
)
def test_a_box_that_listened_less_is_not_its_neighbour(
    store: Store, minutes: int, nearby: int, mean: int, boxes: int
) -> None:
    """Each box counts with its own mean: a deaf one with none, one that listened for ten minutes with theirs."""
    figures = {"nearby": nearby}
    fuller = release(figures={"nearby": 6000}, scale=3.0)
    other = release(DEVICES[1], minutes_covered=minutes, figures=figures, scale=3.0)
    silent = release(DEVICES[2], figures={}, minutes_covered=60)
    store.keep(Batch(releases=(fuller, other, silent)), now_s=NOW_S)

    for step_s in (3600, 86_400):
        (found,) = store.read.bins(HOUR_S, HOUR_S + 3600, step_s=step_s)
        assert (found.mean, found.boxes, found.minutes) == (mean, boxes, 60 + minutes)
        assert found.mean_variance == pytest.approx(18 / 3600 + (18 / minutes**2 if minutes else 0))


def test_a_box_that_was_restarted_speaks_for_no_other_of_its_hall(store: Store) -> None:
    """The second part of its hour has a start of its own; the hall's hour is its largest box's all the same."""
    listed = box_list()
    store.take_list(replace(listed, sites=tuple(replace(one, rule="same hall") for one in listed.sites)))
    parts = [
        release(DEVICES[1], start, minutes_covered=minutes, figures={"nearby": 20 * minutes})
        for start, minutes in ((HOUR_S, 37), (HOUR_S + 37 * 60, 23))
    ]
    store.keep(Batch(releases=(release(figures={"nearby": 6000}), *parts)), now_s=NOW_S)

    (found,) = store.read.bins(HOUR_S, HOUR_S + 3600)

    assert (found.mean, found.minutes, found.boxes) == (100, 60, 2)


def test_one_step_is_one_row_of_a_site(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span of one step that begins with it has a row for each site, of as many sites as an answer may have."""
    monkeypatch.setattr("edge_scanner.central.store.reading.MAX_ROWS", 3)
    week_s = 7 * 86_400
    rows = [release(d, HOUR_S + day * 86_400, site=d) for d in DEVICES for day in range(7)]
    store.keep(Batch(releases=tuple(rows)), now_s=NOW_S)

    found = store.read.bins(HOUR_S, HOUR_S + week_s, step_s=week_s, origin_s=HOUR_S, figures=("bluezone",))

    assert [(one.site, one.bin_start, one.minutes) for one in found] == [(d, HOUR_S, 420) for d in sorted(DEVICES)]


@pytest.mark.parametrize("step_s", [3600, 86_400])
def test_one_hall_has_its_largest_box(store: Store, step_s: int) -> None:
    """The box with the fullest week counts, also where an hour's noise speaks for another; a deaf one gives way."""
    listed = box_list()
    store.take_list(replace(listed, sites=tuple(replace(one, rule="same hall") for one in listed.sites)))
    monday_s = (HOUR_S - 345_600) // 604_800 * 604_800 + 345_600
    start_s = monday_s + 604_800
    said = {DEVICES[0]: (40, 4, None), DEVICES[1]: (20, 44, 5), DEVICES[2]: (1, 1, 1)}
    store.keep(
        Batch(
            releases=tuple(
                release(
                    device, start_s + 3600 * hour, scale=3.0, figures={"nearby": 60 * (mean or 0), "bluezone": 60},
                    minutes_covered=0 if mean is None else 60,
                )
                for device, means in said.items() for hour, mean in enumerate(means)
            )
        ),
        now_s=NOW_S,
    )  # fmt: skip

    bins = store.read.bins(start_s, start_s + 86_400, figures=("bluezone",), step_s=step_s)
    second = store.read.bins(start_s + 3600, start_s + 7200, site="ben-xe-mien-dong")
    elsewhere = store.read.bins(start_s, start_s + 86_400, site="cho-ben-thanh")

    listening = [3, 3, 2] if step_s == 3600 else [3]
    assert [(one.rule, one.boxes, one.bins) for one in bins] == [("same hall", n, 3 // len(bins)) for n in listening]
    # The second box's week is 23 on average, the first's 22.
    hours = [(20, 60), (44, 60), (5, 60)]
    days = [(69 / 3, 180)]
    assert [((one.nearby or 0) / one.minutes, one.minutes) for one in bins] == (hours if step_s == 3600 else days)
    assert [dict(one.figures) for one in bins] == [{"bluezone": 60 if step_s == 3600 else 180} for _ in bins]
    assert [(one.nearby, one.variance) for one in second] == [(44 * 60, 18.0)]
    assert elsewhere == ()
