"""The estimator against crowds of known size, and against a real hall."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.counts.device_class import FIGURES
from edge_scanner.device.replay.captures import Losses, merge, read
from tests.support import edge_of_reach
from tests.support.accuracy import from_captures, judge
from tests.support.crowd_truth import KINDS, Scene

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_scanner.device.replay.captures import Report

CONTINUOUS_S = 60.0
HALL_DEVICES = 37
"""exp34: 20 labelled phones and 17 to 18 others that the identifiers of the whole campaign imply."""

HALL_GRACE_S = 600.0
"""A phone that scanned for 4 s every 3.5 to 5 minutes: two scans, so that one may miss a device."""

UNION_GRACE_S = 300.0
"""Three such phones: some scan falls into every such time."""

TEN_DEVICES = 10


@pytest.mark.parametrize("loss", [0.3, 0.8])
@pytest.mark.parametrize("stay_s", [600, 1800, 7200])
@pytest.mark.parametrize("phones", [20, 100])
def test_continuous_listening(phones: int, stay_s: float, loss: float) -> None:
    """Mixed crowds of 20 or more: at most 5 % bias and 10 % mean absolute error of devices per minute."""
    found = judge(Scene(phones=phones, stay_s=stay_s, loss=loss, hours=1.5), CONTINUOUS_S)
    assert abs(found["ours"].bias) <= 5
    assert found["ours"].absolute <= 10
    assert found["ours"].absolute < min(found["identifiers"].absolute, found["addresses"].absolute)


@pytest.mark.parametrize("kind", KINDS)
def test_each_family_by_itself(kind: str) -> None:
    """The bound holds for each family of phones, not only where their errors cancel."""
    found = judge(Scene(phones=60, stay_s=1800, kinds=(kind,), loss=0.5, hours=1.5), CONTINUOUS_S)["ours"]
    assert abs(found.bias) <= 5
    assert found.absolute <= 10


def test_each_class_has_a_figure_of_its_own() -> None:
    """Sixty of every class at once: each figure is that of its class, and nobody stands in another's."""
    found = edge_of_reach.judge_classes(5, 1800)
    assert found.keys() == set(FIGURES)
    assert all(abs(one.bias) <= 5 and one.absolute <= 10 for one in found.values())


def test_passers_by_do_not_count() -> None:
    """Ten people a minute walking past 60 who stay change the figure of those who stay by 5 % at most."""
    found = judge(Scene(phones=60, stay_s=1800, passers=10, hours=1.5), CONTINUOUS_S)
    assert abs(found["ours"].bias) <= 5
    assert found["identifiers"].bias > 10


def test_declared_grace() -> None:
    """A radio that listens 5 s in 4 minutes, grace 300 s: phones that are always on air within 5 %, never doubled."""
    scene = Scene(
        phones=60, stay_s=1800, kinds=("gaen_android", "gaen_iphone"), loss=0.8, hours=1.5, on_s=5, cycle_s=240
    )
    found = judge(scene, 300.0)
    assert abs(found["ours"].bias) <= 5
    assert found["ours"].absolute <= 10
    assert found["identifiers"].bias < -50


def in_the_hall(reports: Iterable[Report], grace_s: float) -> float:
    """Median of the devices in the minutes of the session, known by more than ten being there."""
    alive = [tally.figures["gaen"] for tally in from_captures(reports, grace_s) if tally.listened_s]
    return median(count for count in alive if count > TEN_DEVICES)


@pytest.mark.parametrize("log", ["08", "12", "18"])
def test_one_phone_in_a_real_hall(captures: Path, log: str) -> None:
    """One duty-cycled phone's log gives the hall's devices within 20 %."""
    found = in_the_hall(read(captures / f"dp3t-exp34/{log}.btsnoop", Losses()), HALL_GRACE_S)
    assert found == pytest.approx(HALL_DEVICES, rel=0.2)


def test_three_phones_in_a_real_hall(captures: Path) -> None:
    """The three logs together give them within 10 %."""
    logs = [captures / f"dp3t-exp34/{log}.btsnoop" for log in ("08", "12", "18")]
    assert in_the_hall(merge(logs, Losses()), UNION_GRACE_S) == pytest.approx(HALL_DEVICES, rel=0.1)
