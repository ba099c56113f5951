"""Two independent ways to the number of identified devices, and the light that says whether they agree."""

from __future__ import annotations

import pytest

from edge_scanner.core.counts import estimator
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Light
from tests.support.hearings import ROTATING, START_S, Heard, changing


def check(events: list[Heard], minutes: int) -> estimator.CrossCheck:
    """The cross-check after so many minutes."""
    counter = Counter((ROTATING,))
    waiting = sorted(events, key=lambda event: event[0].first_s)
    position = 0
    for minute in range(minutes):
        while position < len(waiting) and waiting[position][0].first_s < START_S + (minute + 1) * 60:
            counter.add(*waiting[position])
            position += 1
        counter.close(START_S + minute * 60)
    return counter.cross_check()


def test_cross_check_agrees() -> None:
    """Twenty phones of ten-minute identifiers: new identifiers times lifetime give twenty as well."""
    result = check(changing(20, 100, 600), 100)
    assert result.light is Light.OK
    assert result.alive == pytest.approx(20, abs=1)
    assert result.by_rate == pytest.approx(20, abs=2)


def test_cross_check_warns() -> None:
    """Identifiers that live three minutes where ten are declared: the rate says three times as many."""
    assert check(changing(20, 100, 180), 100).light is Light.WARN


def test_cross_check_knows_when_it_does_not_know() -> None:
    """Before a full hour, and below ten devices, there is no verdict."""
    events = changing(5, 100, 600)
    assert check(events, 80) == estimator.CrossCheck(light=Light.UNKNOWN, alive=None, by_rate=None)
    assert check(events, 100).light is Light.UNKNOWN
