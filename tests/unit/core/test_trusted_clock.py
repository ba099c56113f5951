"""Trusted time goes on evenly: no clock, however it is set, makes a box delete early."""

from __future__ import annotations

from edge_scanner.core.model import ClockQuality, ClockReading
from edge_scanner.core.trusted_clock import Kept, TrustedClock

HOUR = 3600.0
DAY = 86_400.0
NOW = 1_800_000_000.0


class Hands:
    """Both clocks, set by hand; `trusted` reads after some time has passed and UTC was stepped."""

    def __init__(self, *, utc_s: float = NOW, kept: Kept | None = None) -> None:
        self.utc_s, self.monotonic_s = utc_s, 0.0
        self.clock = TrustedClock(kept, self._reading())

    def _reading(self) -> ClockReading:
        return ClockReading(utc_s=self.utc_s, monotonic_s=self.monotonic_s, quality=ClockQuality.NTP)

    def trusted(self, *, after_s: float = 0.0, step_s: float = 0.0) -> float:
        """The trusted time."""
        self.utc_s += after_s + step_s
        self.monotonic_s += after_s
        return self.clock.read(self._reading())

    def told(self, at_s: float) -> float:
        """The trusted time after an authenticated source has spoken."""
        self.clock.tell(at_s, self._reading())
        return self.trusted()

    def hours(self, count: int) -> float:
        """The trusted time after so many hourly readings."""
        for _ in range(count):
            last = self.trusted(after_s=HOUR)
        return last


def test_an_even_clock_is_believed() -> None:
    """A new box believes its clock, and goes on believing it for as long as it goes evenly."""
    box = Hands()

    assert box.trusted() == NOW
    assert box.hours(400) == NOW + 400 * HOUR
    assert not box.clock.doubted


def test_a_leap_forward_moves_trusted_time_by_an_hour_at_most() -> None:
    """Fifteen days ahead, at once or in steps of fifty minutes: an hour is what it gains, and it is doubted."""
    leapt, crept = Hands(), Hands()

    assert leapt.trusted(step_s=15 * DAY) == NOW + HOUR
    assert leapt.clock.doubted
    for _ in range(432):
        last = crept.trusted(step_s=50 * 60.0)
    assert last == NOW + HOUR


def test_a_claim_that_lasts_is_believed() -> None:
    """After 48 hours of running the clock is right: nobody has set it back."""
    box = Hands()
    box.trusted(step_s=15 * DAY)

    assert box.hours(47) == NOW + 48 * HOUR
    assert box.clock.doubted
    assert box.hours(1) == NOW + 15 * DAY + 48 * HOUR
    assert not box.clock.doubted


def test_a_claim_that_leaps_begins_anew() -> None:
    """A second leap within the 48 hours starts them again."""
    box = Hands()
    box.trusted(step_s=2 * DAY)
    box.hours(47)
    box.trusted(step_s=15 * DAY)

    assert box.hours(47) == NOW + 95 * HOUR


def test_a_clock_that_comes_back_ends_the_doubt() -> None:
    """Set right again, the clock is as it was."""
    box = Hands()
    box.trusted(step_s=15 * DAY)
    box.hours(10)

    assert box.trusted(step_s=-15 * DAY) == NOW + 10 * HOUR
    assert not box.clock.doubted


def test_a_clock_that_is_behind_is_followed() -> None:
    """Behind by days it deletes less, and what was trusted goes on meanwhile; by minutes it is simply right."""
    days, minutes = Hands(), Hands()

    assert days.trusted(step_s=-3 * DAY) == NOW - 3 * DAY
    behind = [days.clock.behind]
    assert days.trusted(after_s=HOUR, step_s=3 * DAY) == NOW + HOUR
    behind.append(days.clock.behind)
    assert minutes.trusted(step_s=-600.0) == NOW - 600.0
    behind.append(minutes.clock.behind)
    assert behind == [True, False, False]
    assert minutes.trusted(step_s=HOUR + 300.0) == NOW - 600.0 + HOUR


def test_small_steps_back_add_up() -> None:
    """Fifty minutes are followed; fifty more are further from what was lived through than an hour, so a claim."""
    box, behind = Hands(), []

    assert box.trusted(step_s=-3000.0) == NOW - 3000.0
    behind.append(box.clock.behind)
    assert box.trusted(step_s=-3000.0) == NOW - 6000.0
    behind.append(box.clock.behind)
    assert box.trusted(after_s=60.0, step_s=3000.0) == NOW - 3000.0 + 60.0
    behind.append(box.clock.behind)
    assert behind == [False, True, False]
    assert box.clock.lived_s >= NOW + 59.0


def test_a_clock_that_stays_behind_is_lived_by_after_48_hours() -> None:
    """Then it was the earlier time that was wrong."""
    box = Hands()
    box.trusted(step_s=-5000.0)

    assert box.hours(48) == NOW - 5000.0 + 48 * HOUR
    assert not box.clock.doubted
    assert box.clock.lived_s == box.utc_s


def test_lived_time_is_kept_and_gives_way_to_a_fast_crystal_only() -> None:
    """A minute a day that the box's own clock is fast never becomes a doubt; a run goes on where the last one was."""
    box = Hands()
    for _ in range(200):
        box.trusted(after_s=DAY, step_s=-60.0)

    assert not box.clock.doubted
    assert box.clock.lived_s == box.utc_s
    box.trusted(step_s=-3000.0)
    again = Hands(utc_s=box.utc_s - 3000.0, kept=box.clock.kept)
    assert again.trusted() == again.utc_s
    assert again.clock.behind
    assert not Hands(utc_s=NOW - 3000.0, kept=Kept(known_s=NOW)).clock.behind


def test_a_claim_survives_a_night() -> None:
    """A box that is off at night still comes to its 48 hours, and then has the time that it was off."""
    box = Hands(utc_s=NOW + 12 * HOUR, kept=Kept(known_s=NOW))
    for _ in range(4):
        box.trusted()
        box.hours(12)
        box = Hands(utc_s=box.utc_s + 12 * HOUR, kept=box.clock.kept)

    assert box.trusted(after_s=1.0) == box.utc_s - 12 * HOUR + HOUR
    assert Hands(utc_s=NOW + 90 * DAY, kept=Kept(known_s=NOW, claim_s=NOW + DAY, claimed_s=47 * HOUR)).hours(2) < (
        NOW + DAY
    )


def test_the_centre_ends_the_doubt_about_a_clock_that_says_the_same() -> None:
    """Off for a month: believed at once when a signed time agrees, whether it comes before the clock steps or after."""
    after, before = Hands(), Hands()
    after.trusted(step_s=30 * DAY)
    before.trusted(step_s=-600.0)

    assert after.told(NOW + 30 * DAY - 500.0) == NOW + 30 * DAY
    assert not after.clock.doubted
    assert before.told(NOW + 30 * DAY - 1800.0) == NOW - 600.0
    assert before.trusted(after_s=900.0, step_s=30 * DAY + 600.0) == NOW + 30 * DAY + 900.0
    assert not before.clock.doubted


def test_the_centre_does_not_move_a_clock_that_is_not_ahead() -> None:
    """Its word alone deletes nothing: neither far ahead of an even clock, nor far ahead of one that is behind."""
    even, behind = Hands(), Hands()
    behind.trusted(step_s=-3 * DAY)

    assert even.told(NOW + 90 * DAY) == NOW
    assert even.hours(3) == NOW + 3 * HOUR
    assert behind.told(NOW) == NOW - 3 * DAY
    assert behind.clock.doubted


def test_an_old_word_of_the_centre_does_not_agree_with_a_false_clock() -> None:
    """Held back or repeated, it says that it is at least so late, and a clock that is further ahead stays a claim."""
    box = Hands()
    box.trusted(step_s=15 * DAY)

    assert box.told(NOW) == NOW + HOUR
    assert box.told(NOW + 15 * DAY - 2 * HOUR) == NOW + HOUR
    assert box.told(NOW - 40 * DAY) == NOW + HOUR
    assert box.clock.doubted
    assert box.told(NOW + 15 * DAY - HOUR) == NOW + 15 * DAY
