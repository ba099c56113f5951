"""What the usual day says about the rest of this one."""

from __future__ import annotations

from dataclasses import replace

from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.health import HealthLight, Light
from edge_scanner.device.kiosk import outlook
from edge_scanner.device.kiosk.public import Spot, public_document
from edge_scanner.device.kiosk.translations import say
from edge_scanner.device.kiosk.watch import State, View
from tests.support import snapshots
from tests.support.snapshots import TUESDAY_S, VENUE

USUAL = tuple(Spot(minute=hour * 60, place=90 if 15 <= hour < 18 else 20) for hour in range(24))
"""Busy from three to six."""


def shown(now_s: int, state: State = State.FRESH, **changes: str) -> View:
    """The bus station at this moment."""
    snapshot = snapshots.snapshot(now_s, venue=replace(VENUE, **changes))  # type: ignore[arg-type]
    return View(state=state, snapshot=snapshot, age_s=0.0, now_s=float(now_s))


def test_while_it_is_usually_busy_the_hint_says_until_when() -> None:
    """In the peak the next quiet hour; before and after it the peak; nothing for half a day or a quiet place."""
    for minute, told in (
        (15 * 60, say("chart.quieter", hour=18)),
        (17 * 60 + 59, say("chart.quieter", hour=18)),
        (9 * 60, say("chart.hint", first=15, last=18)),
        (20 * 60, say("chart.hint", first=15, last=18)),
    ):
        assert outlook.hint(USUAL, minute) == told
    assert outlook.hint(USUAL[12:], 15 * 60) == say("chart.quieter", hour=18)
    assert outlook.hint(USUAL[13:], 15 * 60) == Words()
    assert outlook.hint([replace(spot, place=10) for spot in USUAL], 15 * 60) == Words()


def test_a_place_that_stays_busy_promises_nothing() -> None:
    """A little fewer, or fewer under the same word, is not quieter."""
    evening = [replace(spot, place=70) if spot.minute >= 18 * 60 else spot for spot in USUAL]
    assert outlook.hint(evening, 15 * 60) == say("chart.hint", first=15, last=18)


def test_forecast_begins_at_the_day_and_ends_at_the_usual() -> None:
    """The first point is the day's last, two hours later it is the usual curve, and nothing leaves the bar."""
    today = (Spot(minute=15 * 60, place=60), Spot(minute=15 * 60 + 30, place=50))
    ahead = outlook.forecast(today, USUAL, 16 * 60)
    assert ahead[0] == (15 * 60 + 30, 50)
    assert 50 < ahead[1][1] < 90
    assert ahead[-1] == (23 * 60, 20)
    assert dict(ahead)[18 * 60] == 20
    full = outlook.forecast((Spot(minute=15 * 60, place=100),), USUAL, 15 * 60)
    assert max(place for _, place in full) <= 100


def test_no_forecast_from_an_old_point_or_without_a_usual_day() -> None:
    """A curve that ended two hours ago, an empty day, the first week, the day's end."""
    spot = (Spot(minute=600, place=50),)
    assert outlook.forecast(spot, USUAL, 720) == ()
    assert outlook.forecast((), USUAL, 720) == ()
    assert outlook.forecast(spot, (), 610) == ()
    assert outlook.forecast((Spot(minute=600, place=None),), USUAL, 610) == ()
    assert outlook.forecast((Spot(minute=1430, place=50),), USUAL, 1439) == ()


def test_page_has_a_forecast_only_while_it_has_a_word() -> None:
    """A page that knows nothing of now does not draw how it goes on."""
    fresh = public_document(shown(TUESDAY_S), "auto")
    assert fresh.chart_forecast == say("chart.forecast")
    assert fresh.forecast[0].minute == fresh.today[-1].minute
    stale = public_document(shown(TUESDAY_S, State.STALE), "auto")
    assert (stale.forecast, stale.chart_forecast) == ((), Words())


def test_staffs_number_is_the_settings() -> None:
    """Said with a fault, where a page that loses its box has it too; empty without."""
    assert public_document(shown(TUESDAY_S), "auto").help == Words()
    assert public_document(shown(TUESDAY_S, help="028 3899 1234"), "auto").help.en == "Ask the staff: 028 3899 1234"
    deaf = snapshots.healthy(TUESDAY_S, radio=HealthLight(light=Light.FAIL))
    snapshot = snapshots.snapshot(venue=replace(VENUE, help="028"), health=deaf)
    seen = View(state=State.DEAF, snapshot=snapshot, age_s=0.0, now_s=float(TUESDAY_S))
    assert public_document(seen, "auto").help.vi == "Xin hỏi nhân viên: 028"
