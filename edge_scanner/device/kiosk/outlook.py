"""What the usual day says about the rest of this one: busiest hours, when it gets quieter, and how the curve may go on.

Functions of released figures, and of the places on the bar that the page shows anyway.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics.words import Words
from edge_scanner.device.kiosk.translations import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.device.kiosk.public import Spot

# "Usually busiest" needs most of a day, a peak that is worth a word, and hours within a seventh of the peak.
_MIN_USUAL_HOURS = 12
_PEAK_FROM = 40
_PEAK_SHARE = 6 / 7
# "Quieter" is said where it is usually more than quiet now, of an hour with three quarters of that and a lower word.
_MODERATE_FROM = 100 / 3
_QUIETER_SHARE = 0.75
# The forecast begins where the day stands and is the usual one two hours later; a curve that ended earlier has none.
_EASES_MINUTES = 120
_MAX_GAP_MINUTES = 90


def hint(usual: Sequence[Spot], minute: int) -> Words:
    """The hour from which it is usually quieter than at this minute of the day, else the usually busiest hours."""
    means = _hours(usual)
    if len(means) < _MIN_USUAL_HOURS or max(means.values()) < _PEAK_FROM:
        return Words()
    hour = _quieter_from(means, minute // 60)
    if hour is not None:
        return say("chart.quieter", hour=hour)
    peak = max(means, key=lambda hour: means[hour])
    high = sorted(hour for hour, mean in means.items() if mean >= _PEAK_SHARE * means[peak])
    first = last = peak
    for before, after in pairwise(high):
        last = after if before == last and after == before + 1 else last
    for before, after in pairwise(high[::-1]):
        first = after if before == first and after == before - 1 else first
    return say("chart.hint", first=first, last=last + 1)


def forecast(today: Sequence[Spot], usual: Sequence[Spot], minute: int) -> tuple[tuple[int, int], ...]:
    """Minutes and places from the day's last point on: the usual curve, eased in from where the day stands.

    Empty where the day's last point is old, or no usual one lies behind it.
    """
    known = [(spot.minute, spot.place) for spot in today if spot.place is not None]
    places = {spot.minute: spot.place for spot in usual if spot.place is not None}
    if not known or not places or minute - known[-1][0] > _MAX_GAP_MINUTES:
        return ()
    from_minute, place = known[-1]
    nearest = min(places, key=lambda at: abs(at - from_minute))
    off = place - places[nearest]
    ahead = []
    for at, expected in sorted(places.items()):
        if at > from_minute:
            share = max(0.0, 1 - (at - from_minute) / _EASES_MINUTES)
            ahead.append((at, round(min(100.0, max(0.0, expected + share * off)))))
    return ((from_minute, place), *ahead) if ahead else ()


def _hours(usual: Sequence[Spot]) -> dict[int, float]:
    """Mean places by the hour."""
    hours: dict[int, list[int]] = {}
    for spot in usual:
        if spot.place is not None:
            hours.setdefault(spot.minute // 60, []).append(spot.place)
    return {hour: sum(places) / len(places) for hour, places in hours.items()}


def _quieter_from(means: dict[int, float], now: int) -> int | None:
    """The next hour with a lower word and clearly fewer than this one, None when it is usually quiet or stays so."""
    here = means.get(now, 0.0)
    if here < _MODERATE_FROM:
        return None
    word = here // _MODERATE_FROM
    later = (hour for hour in sorted(means) if hour > now)
    return next((h for h in later if means[h] <= _QUIETER_SHARE * here and means[h] // _MODERATE_FROM < word), None)
