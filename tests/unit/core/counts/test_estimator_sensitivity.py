"""The estimator's sensitivity, on phones placed by a machine that wants to break it."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Kind
from tests.support.hearings import FIGURES, PLAIN, ROTATING, START_S, Heard, changing, heard

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(("grace_s", "sensitivity"), [(60, 66), (30, 66), (120, 72), (300, 90), (600, 120)])
def test_sensitivity_follows_the_grace(grace_s: float, sensitivity: int) -> None:
    """60 instants an hour, and at six changes those that two pads of half the grace cover: 66 at a minute's grace."""
    assert Counter((ROTATING,), grace_s=grace_s).sensitivity == sensitivity


def one_device(seed: int, spacing: float, *, regular: bool, shuffled: bool) -> list[Heard]:
    """What one device can be heard to do in two hours: identifiers of ten minutes or more and any
    addresses, one at a time.

    It may be silent as long as it likes, or be heard exactly when an identifier begins and ends and as rarely as the
    grace allows between; change its address at any hearing; be heard twice; hide its identifier.
    """
    dice = random.Random(seed)
    events: list[Heard] = []
    at_s = START_S + dice.uniform(0, 900)
    shortest = dice.choice([True, False])
    while at_s < START_S + 7200:
        end_s = at_s + (600.0 if shortest else dice.uniform(600, 1500))
        name = dice.randbytes(8) if dice.random() < 0.8 else b""
        tag = dice.randbytes(8)
        times = [*_hearings(dice, at_s, end_s, spacing, regular=regular), end_s]
        for hearing, following in pairwise(times):
            if dice.random() < 0.3:
                tag = dice.randbytes(8)
            until = hearing if regular else min(hearing + dice.choice([0.0, 4.0]), following)
            rssi = dice.randint(-90, -40)
            event = heard(hearing, until_s=until, identifier=name, kind=Kind.PRESENCE, tag=tag, rssi=rssi)
            events += [event] * dice.choice([1, 1, 1, 2])
        at_s = end_s
    if shuffled:
        dice.shuffle(events)
    return events


def _hearings(dice: random.Random, begin: float, end: float, spacing: float, *, regular: bool) -> Iterator[float]:
    """Times in [begin, end], both ends themselves when regular."""
    at_s = begin
    while at_s < end:
        yield at_s
        at_s += spacing if regular else dice.expovariate(1 / spacing)
    if regular:
        yield end


CROWD = changing(5, 120, 600)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    spacing=st.sampled_from([1.0, 7.0, 30.0, 60.0, 120.0, 300.0]),
    regular=st.booleans(),
    shuffled=st.booleans(),
    grace_s=st.sampled_from([60.0, 120.0, 300.0]),
)
@example(seed=2310455184, spacing=60.0, regular=True, shuffled=False, grace_s=60.0)
@example(seed=3456029646, spacing=120.0, regular=True, shuffled=True, grace_s=120.0)
@example(seed=3400357922, spacing=300.0, regular=True, shuffled=False, grace_s=300.0)
def test_one_device_moves_an_hour_by_the_sensitivity_at_most(
    *, seed: int, spacing: float, regular: bool, shuffled: bool, grace_s: float
) -> None:
    """With and without the device, any sixty successive tallies differ by the sensitivity at most, over all figures.

    The device's hearings come in any order, repeated, under any addresses; the others' come as they do.
    """
    device = one_device(seed, spacing, regular=regular, shuffled=shuffled)
    without = crowd_alone(grace_s)
    with_it = run([*CROWD, *device], grace_s)
    differences = [sum(abs(a[f] - b[f]) for f in FIGURES) for a, b in zip(without, with_it, strict=True)]
    allowed = Counter((ROTATING, PLAIN), grace_s=grace_s).sensitivity
    assert max(sum(differences[start : start + 60]) for start in range(len(differences) - 59)) <= allowed


@cache
def crowd_alone(grace_s: float) -> list[dict[str, int]]:
    """What is counted without the device."""
    return run(CROWD, grace_s)


def run(events: list[Heard], grace_s: float) -> list[dict[str, int]]:
    """Minute by minute: what arrives in a minute arrives in the order given."""
    counter = Counter((ROTATING, PLAIN), grace_s=grace_s)
    by_minute: dict[int, list[Heard]] = {}
    for event in events:
        by_minute.setdefault(int(event[0].first_s - START_S) // 60, []).append(event)
    counter.close(START_S - 60)
    figures = []
    for minute in range(125):
        for event in by_minute.get(minute, ()):
            counter.add(*event)
        figures.append(dict(counter.close(START_S + minute * 60).figures))
    return figures
