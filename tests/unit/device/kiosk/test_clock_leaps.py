"""A clock that leaps, ahead or back, opens no door of the page: its bounds are of lived time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import operator_pin as pin
from edge_scanner.device.kiosk.connections import ASKED_A_MINUTE, Connections, TurnedAway
from edge_scanner.device.kiosk.guard import PinGuard

if TYPE_CHECKING:
    from collections.abc import Callable

PIN = "246810"
ADDRESS = "192.0.2.7"


@pytest.fixture(params=[3 * 365 * 86400.0, -3 * 365 * 86400.0], ids=["ahead", "back"])
def leap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has the clock, as every program reads it, leap by three years; the lived bounds are longer than a test."""
    monkeypatch.setattr("edge_scanner.device.kiosk.connections.TOLD_S", 86400.0)
    monkeypatch.setattr("edge_scanner.device.kiosk.guard._FIRST_PAUSE_S", 900.0)
    real, real_ns = time.time, time.time_ns

    def now() -> None:
        monkeypatch.setattr(time, "time", lambda: real() + request.param)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + int(request.param) * 10**9)

    return now


async def test_the_brake_on_guesses_holds(leap: Callable[[], None]) -> None:
    """Whoever guessed too often waits as long as before, also with the right PIN."""
    guard = PinGuard(pin.hash_pin(PIN, bytes(16)))
    while not guard.wait_s():
        assert await guard.admit("000000") is None
    before_s = guard.wait_s()

    leap()

    assert 0 < guard.wait_s() <= before_s
    assert await guard.admit(PIN) is None


def test_who_asked_too_often_is_refused(leap: Callable[[], None]) -> None:
    """The minute's requests of an address stay used up."""
    turned_away = TurnedAway()
    connections = Connections(lambda: pytest.fail("no connection is made"), turned_away)
    assert [connections.may_ask(ADDRESS) for _ in range(ASKED_A_MINUTE + 1)] == [True] * ASKED_A_MINUTE + [False]

    leap()

    assert not connections.may_ask(ADDRESS)


def test_what_is_turned_away_is_one_line_a_minute(leap: Callable[[], None]) -> None:
    """The second line waits for its minute: what it would say is kept."""
    turned_away = TurnedAway()
    turned_away.note("no_place")
    turned_away.tell(time.monotonic())
    assert not turned_away._counts

    leap()
    turned_away.note("no_place")
    turned_away.tell(time.monotonic())

    assert turned_away._counts == {"no_place": 1}
