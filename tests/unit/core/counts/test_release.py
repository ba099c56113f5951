"""Bins, their names and their one noise, with dice loaded so that the noise is known, and with real ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.privacy_budget import BUDGET, Budget
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Release, Report, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_S = 1_700_002_800
TRACED = dataclasses.replace(BUDGET, tracing_figures=True)
TENS = dataclasses.replace(BUDGET, display_bin_s=600)
FIGURES = ("other", "bluezone", "passing")


def no_noise() -> Callable[[int], int]:
    """Dice under which every draw is 0: part 0, its coin true at once, no whole step, plus."""
    faces = [0, 1, 0, 1, 0]
    position = 0

    def roll(sides: int) -> int:
        nonlocal position
        face = faces[position % 5]
        position += 1
        # The coin exp(-0) asks one die of the scale's sides; any face ends it.
        return min(face, sides - 1)

    return roll


def tally(minute_s: int, count: int = 10, *, listened_s: float = 60.0) -> Tally:
    """A minute with `count` of everything."""
    return Tally(minute_s=minute_s, listened_s=listened_s, figures=dict.fromkeys(FIGURES, count))


def quiet(budget: Budget = TRACED) -> Ledger:
    """A ledger without noise."""
    return Ledger(budget, figures=FIGURES, randbelow=no_noise())


def broker(reports: tuple[Report, ...]) -> list[Report]:
    """The broker's among them."""
    return [report for report in reports if report.ledger == "broker"]


def screen(reports: tuple[Report, ...]) -> list[Report]:
    """The display's among them."""
    return [report for report in reports if report.ledger == "display"]


def test_a_full_hour() -> None:
    """Sixty minutes with ten devices are 600 device-minutes in one report, due as soon as the last minute is in."""
    ledger = quiet()
    for minute in range(59):
        ledger.add(tally(HOUR_S + minute * 60))
    assert broker(ledger.due(HOUR_S + 3600)) == []
    ledger.add(tally(HOUR_S + 59 * 60))
    (report,) = broker(ledger.due(HOUR_S + 3600))
    assert report == Report(
        ledger="broker",
        bin_start_s=HOUR_S,
        bin_s=3600,
        minutes_covered=60,
        epsilon=0.5938,
        scale=458.462,
        tracing_scale=530 / 1.3,
        parts=2,
        figures={"other": 600, "bluezone": 600, "passing": 600, "nearby": 1200},
    )


def test_one_release_feeds_both_readers() -> None:
    """The broker's hour is the sum of the display's two halves, noise and all: who sees both learns no more."""
    ledger = Ledger(figures=FIGURES)
    for minute in range(360):
        ledger.add(tally(HOUR_S + minute * 60, minute))
    reports = ledger.due(HOUR_S + 6 * 3600)
    halves = [report.figures["nearby"] for report in screen(reports)]
    hours = [report.figures["nearby"] for report in broker(reports)]
    assert hours == [sum(halves[number : number + 2]) for number in range(0, 12, 2)]
    assert [report.bin_start_s - HOUR_S for report in screen(reports)] == [1800 * number for number in range(12)]
    # As it is set there is nothing but the total of what stays, here `other` and `bluezone`.
    assert all(set(report.figures) == {"nearby"} for report in reports)
    assert {(report.parts, report.scale, report.tracing_scale) for report in reports} == {
        (1, 132.346, None),
        (2, 229.231, None),
    }


def test_without_a_broker_nothing_is_made_for_it() -> None:
    """A box that only shows has the display's ledger alone."""
    ledger = quiet(dataclasses.replace(TRACED, broker_bin_s=0))
    for minute in range(60):
        ledger.add(tally(HOUR_S + minute * 60))
    assert [report.ledger for report in ledger.flush(HOUR_S + 3600)] == ["display", "display"]


def test_noise_is_drawn_once() -> None:
    """Asked again and again before it is forgotten, a bin is the very same object; afterwards it is gone for good."""
    ledger = Ledger(figures=FIGURES)
    for minute in range(60):
        ledger.add(tally(HOUR_S + minute * 60))
    first = ledger.due(HOUR_S + 3600)
    assert len(first) == 3
    again = ledger.due(HOUR_S + 3700)
    assert all(one is other for one, other in zip(first, again, strict=True))
    ledger.forget(first[:2])
    assert ledger.due(HOUR_S + 3800) == first[2:]
    ledger.forget(first)
    assert ledger.due(HOUR_S + 3800) == ()


def test_noise_differs_between_figures_and_bins() -> None:
    """With the system's randomness the same hour twice gives other numbers, figure by figure.

    Two of six draws are alike once in a hundred runs, three pairs of them once in millions.
    """
    ledger = Ledger(TRACED, figures=FIGURES)
    for minute in range(120):
        ledger.add(tally(HOUR_S + minute * 60))
    reports = broker(ledger.due(HOUR_S + 7200))
    values = [value for report in reports for name, value in report.figures.items() if name != "nearby"]
    assert len(values) == 6
    assert len(set(values)) > 3


def test_nearby_has_a_draw_of_its_own() -> None:
    """The phones that stay have the whole budget alone, and half of it beside tracing figures."""
    figures = {"unknown": 1, "thing": 2, "accessory": 5, "computer": 3, "phone": 10, "bluezone": 4, "passing": 6}
    for budget, names, scale in (
        (TRACED, {"nearby", "bluezone", "passing"}, 458.462),
        (BUDGET, {"nearby"}, 229.231),
    ):
        ledger = Ledger(budget, figures=tuple(figures), randbelow=no_noise())
        for minute in range(60):
            ledger.add(Tally(minute_s=HOUR_S + minute * 60, listened_s=60.0, figures=figures))
        (report,) = broker(ledger.due(HOUR_S + 3600))
        assert report.figures.keys() == names
        assert report.figures["nearby"] == 14 * 60
        assert report.scale == scale


def test_empty_bins_are_published() -> None:
    """A radio that went deaf does not stop the bins: they come with the minutes covered, here 5, then 0, then 0."""
    ledger = quiet(TENS)
    for minute in range(5):
        ledger.add(tally(HOUR_S + minute * 60))
    assert ledger.due(HOUR_S + 600 + anonymise.SETTLE_S - 1) == ()
    reports = ledger.due(HOUR_S + 1800 + anonymise.SETTLE_S)
    assert [report.minutes_covered for report in reports] == [5, 0, 0]
    assert [report.figures["nearby"] for report in reports] == [100, 0, 0]


def test_empty_hours_are_published() -> None:
    """The broker gets them, too; the hour of a run's end without a minute is left to a later run."""
    ledger = quiet()
    ledger.add(tally(HOUR_S))
    reports = broker(ledger.flush(HOUR_S + 3 * 3600 + anonymise.SETTLE_S + 1900))
    assert [(report.bin_start_s - HOUR_S, report.minutes_covered) for report in reports] == [
        (0, 1),
        (3600, 0),
        (7200, 0),
    ]


def test_minutes_listened_to_by_half() -> None:
    """Half a minute of listening covers it, less does not, and then its devices are not summed either."""
    ledger = quiet(TENS)
    ledger.add(tally(HOUR_S, listened_s=30.0))
    ledger.add(tally(HOUR_S + 60, listened_s=29.0))
    for minute in range(2, 10):
        ledger.add(tally(HOUR_S + minute * 60, listened_s=0.0))
    (report,) = ledger.due(HOUR_S + 600)
    assert (report.minutes_covered, report.figures["nearby"]) == (1, 20)


def test_tallies_before_the_run_open_nothing() -> None:
    """The counter's first tallies lie before the run; they neither open a bin nor name one."""
    ledger = quiet(TENS)
    ledger.add(tally(HOUR_S - 120, 0, listened_s=0.0))
    assert ledger.due(HOUR_S + 10_000) == ()
    ledger.add(tally(HOUR_S + 420))
    assert [report.bin_start_s for report in ledger.flush(HOUR_S + 480)] == [HOUR_S, HOUR_S]


def test_a_run_that_stops_and_starts_within_a_bin() -> None:
    """The stop releases 20 minutes under the hour's name; the next run's part is named by its first minute."""
    first = quiet()
    for minute in range(20):
        first.add(tally(HOUR_S + minute * 60))
    released = first.flush(HOUR_S + 1210)
    (before,) = broker(released)
    assert (before.bin_start_s, before.bin_s, before.minutes_covered) == (HOUR_S, 3600, 20)

    second = quiet()
    second.resume([anonymise.to_release(report) for report in released])
    for minute in range(25, 60):
        second.add(tally(HOUR_S + minute * 60))
    later = second.due(HOUR_S + 3600)
    (after,) = broker(later)
    assert [report.bin_start_s - HOUR_S for report in screen((*released, *later))] == [0, 1500, 1800]
    assert (after.bin_start_s, after.bin_s, after.minutes_covered) == (HOUR_S + 1500, 2100, 35)
    assert before.figures["bluezone"] + after.figures["bluezone"] == 550


def test_a_run_killed_within_a_bin() -> None:
    """What died with the process was never released: the next run takes the hour's name and says 22 minutes."""
    ledger = quiet()
    ledger.resume([Release(ledger="broker", bin_start_s=HOUR_S - 3600, body=b"")])
    for minute in range(38, 60):
        ledger.add(tally(HOUR_S + minute * 60))
    (report,) = broker(ledger.due(HOUR_S + 3600))
    assert (report.bin_start_s, report.minutes_covered) == (HOUR_S, 22)


def test_a_bin_released_before_is_never_noised_again() -> None:
    """A restart in the minute that named the last part, too, publishes nothing under a name that is taken."""
    ledger = quiet()
    ledger.resume(
        [
            *(
                Release(ledger=ledger, bin_start_s=HOUR_S + at, body=b"")
                for ledger in ("broker", "display")
                for at in (0, 1500)
            ),
            Release(ledger="unknown", bin_start_s=HOUR_S, body=b""),
        ]
    )
    ledger.add(tally(HOUR_S + 1500))
    assert ledger.flush(HOUR_S + 1560) == ()
    ledger.add(tally(HOUR_S + 1560))
    (report,) = broker(ledger.flush(HOUR_S + 1620))
    assert (report.bin_start_s, report.minutes_covered) == (HOUR_S + 1560, 1)


def test_flush_without_a_minute_keeps_the_name_free() -> None:
    """A run that only began a bin leaves no trace of it."""
    ledger = quiet(TENS)
    for minute in range(10):
        ledger.add(tally(HOUR_S + minute * 60))
    assert [report.bin_start_s for report in screen(ledger.flush(HOUR_S + 610))] == [HOUR_S]


def test_clock_steps_back() -> None:
    """Minutes that come again are other minutes: a new part, with its own noise; no minute is in two."""
    ledger = quiet()
    for minute in range(30):
        ledger.add(tally(HOUR_S + minute * 60))
    for minute in range(10, 60):
        ledger.add(tally(HOUR_S + minute * 60, 1))
    reports = broker(ledger.due(HOUR_S + 3600))
    assert [(r.bin_start_s - HOUR_S, r.minutes_covered, r.figures["bluezone"]) for r in reports] == [
        (0, 30, 300),
        (600, 50, 50),
    ]


def test_clock_leaps_forward() -> None:
    """A leap of a year leaves a day of empty bins, not ten thousand, and the new time is counted."""
    ledger = quiet()
    ledger.add(tally(HOUR_S))
    later = HOUR_S + 365 * 86_400
    ledger.add(tally(later))
    everything = ledger.flush(later + 60)
    assert len(screen(everything)) == anonymise.CATCH_UP_BINS + 1
    reports = broker(everything)
    assert len(reports) == anonymise.CATCH_UP_BINS / 2 + 1
    assert reports[0].figures["bluezone"] == 10
    assert (reports[-1].bin_start_s, reports[-1].figures["bluezone"]) == (later, 10)
    assert all(report.minutes_covered == 0 for report in reports[1:-1])


def test_a_gap_as_long_as_is_caught_up() -> None:
    """After exactly so many bins without a tally the next one goes on as if nothing had been."""
    ledger = quiet()
    ledger.add(tally(HOUR_S))
    ledger.add(tally(HOUR_S + anonymise.CATCH_UP_BINS * 1800))
    reports = broker(ledger.flush(HOUR_S + anonymise.CATCH_UP_BINS * 1800 + 60))
    assert [report.bin_start_s for report in reports] == [HOUR_S + hour * 3600 for hour in range(25)]


def test_empty_bins_stop_at_a_name_that_is_taken() -> None:
    """Rolling through a bin that an earlier run released skips it."""
    ledger = quiet(TENS)
    ledger.resume([Release(ledger="display", bin_start_s=HOUR_S + 600, body=b"")])
    ledger.add(tally(HOUR_S))
    assert [report.bin_start_s for report in ledger.due(HOUR_S + 3000)] == [HOUR_S]
    ledger.add(tally(HOUR_S + 1260))
    assert [report.bin_start_s for report in screen(ledger.flush(HOUR_S + 1320))] == [HOUR_S, HOUR_S + 1200]


def test_a_broker_name_that_is_taken_costs_the_screen_nothing() -> None:
    """Where only the broker's bin was released before, the screen's goes on; the hour's rest has a name of its own."""
    ledger = quiet()
    ledger.resume([Release(ledger="broker", bin_start_s=HOUR_S, body=b"")])
    for minute in range(90):
        ledger.add(tally(HOUR_S + minute * 60))
    reports = ledger.flush(HOUR_S + 5400)
    assert [report.bin_start_s - HOUR_S for report in screen(reports)] == [0, 1800, 3600]
    assert [report.bin_start_s - HOUR_S for report in broker(reports)] == [1800, 3600]


def test_an_hour_that_the_screen_left_is_closed_in_time() -> None:
    """The hour's second half was released before: its first half goes to the broker when the hour is over."""
    for later in (None, 4000):
        ledger = quiet()
        ledger.resume([Release(ledger="display", bin_start_s=HOUR_S + 1800, body=b"")])
        for minute in range(30):
            ledger.add(tally(HOUR_S + minute * 60))
        assert broker(ledger.due(HOUR_S + 3599 + anonymise.SETTLE_S)) == []
        if later is not None:
            ledger.add(tally(HOUR_S + 3660))
        (report,) = broker(ledger.due(HOUR_S + 3600 + anonymise.SETTLE_S))
        assert (report.bin_start_s, report.parts, report.scale) == (HOUR_S, 1, 264.693)


def report(figures: dict[str, int], minutes: int = 10) -> Report:
    """A display report with these device-minutes."""
    return Report(
        ledger="display",
        bin_start_s=HOUR_S,
        bin_s=600,
        minutes_covered=minutes,
        epsilon=1.0,
        scale=66.0,
        figures=figures,
    )


def test_release_round_trip() -> None:
    """What the store keeps gives the report back, figure by figure."""
    for tracing_scale in (None, 12.5):
        original = dataclasses.replace(report({"nearby": -3, "bluezone": 17}), tracing_scale=tracing_scale, parts=3)
        release = anonymise.to_release(original)
        assert (release.ledger, release.bin_start_s) == ("display", HOUR_S)
        assert anonymise.from_release(release) == original


def test_release_of_an_older_version() -> None:
    """Releases from before one release fed both readers have no parts: they were one draw each."""
    old = b'{"bin_s":600,"bin_start_s":1700002800,"epsilon":1.0,"figures":{"nearby":7},"ledger":"display",'
    old += b'"minutes_covered":10,"scale":66.0}'
    found = anonymise.from_release(Release(ledger="display", bin_start_s=HOUR_S, body=old))
    assert found == report({"nearby": 7})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"figures":1}',
        b"\xff",
        b"[" * 8000,
        b" " * (anonymise.MAX_BODY + 1),
        anonymise.to_release(report({"nearby": 1})).body.replace(b'"nearby":1', b'"nearby":null'),
        anonymise.to_release(report({"nearby": 1})).body.replace(b'"figures":{"nearby":1}', b'"figures":[]'),
    ],
)
def test_damaged_release(body: bytes) -> None:
    """A damaged row is named, never shown."""
    with pytest.raises(BadDataError, match="display"):
        anonymise.from_release(Release(ledger="display", bin_start_s=HOUR_S, body=body))


def test_release_of_another_bin() -> None:
    """A row whose body was swapped is refused."""
    release = anonymise.to_release(report({"nearby": 1}))
    with pytest.raises(BadDataError, match="another bin"):
        anonymise.from_release(dataclasses.replace(release, bin_start_s=HOUR_S + 600))
