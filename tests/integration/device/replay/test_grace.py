"""The grace that a replay measures: right for one receiver and for many."""

from __future__ import annotations

import random
import statistics
from bisect import bisect
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device.replay import replay
from edge_scanner.device.simulation.crowd import CrowdPlan, Planted, simulate
from edge_scanner.device.simulation.phones import Kind
from edge_scanner.protocols import load
from tests.support import captures as make

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Advert

T = make.START_S


def gaen(number: int) -> bytes:
    """An Exposure Notification advert with an identifier of its own."""
    return make.GAEN[:8] + number.to_bytes(16, "big") + bytes(4)


def test_the_grace_follows_the_receiver(tmp_path: Path) -> None:
    """Always listening gives a minute; a scan every 200 s gives two of them; nothing heard gives the minimum."""
    always = [(T + n, gaen(1)) for n in range(600)]
    seldom = [(T + 200 * n, gaen(number)) for n in range(5) for number in range(3)]
    for packets, grace_s in ((always, 60), (seldom, 402), ([], 60), ([(T, gaen(1)), (T + 5000, gaen(1))], 60)):
        log = make.android_log(tmp_path / "log", packets)
        assert replay.replay([log], load(["gaen"])).grace_s == grace_s


def test_after_an_hour_of_silence_the_first_minute_counts(tmp_path: Path) -> None:
    """Three phones, an hour without anybody, three others: each minute in which they spoke has three."""
    began = (T + 20, T + 4220)
    packets = [(start + n, gaen(start + number)) for start in began for n in range(300) for number in range(3)]
    found = replay.replay([make.android_log(tmp_path / "log", packets)], load(["gaen"])).occupancy
    devices = {row.minute_s: row.devices for row in found if row.figure == "gaen"}

    assert [devices[int(start) + minute * 60] for start in began for minute in range(5)] == [3] * 10


@pytest.mark.parametrize(
    ("receivers", "audible", "tolerance"), [(1, 0.9, 0.2), (3, 0.6, 0.1), (18, 0.4, 0.1), (60, 0.03, 0.1)]
)
def test_the_measured_grace_counts_right_for_few_and_many_receivers(
    receivers: int, audible: float, tolerance: float
) -> None:
    """A hall of 37 is told within a fifth by one receiver and within a tenth by several, which scan 4 s every 150 to
    300 s and miss a share of the devices in every scan. Of sixty receivers two in three devices are near (heard in four
    of five scans), the others far.
    """
    heard = _hall(receivers, audible)
    known = load(["gaen"])
    counting = replay.Replay(known, grace_s=replay.measured(heard, known).grace_s)
    for advert in heard:
        counting.add(advert)
    rows = [row.devices for row in counting.finish(replay.Intake()).occupancy if row.figure == "gaen"]
    assert statistics.median(rows[20:-20]) == pytest.approx(37, rel=tolerance)


def _hall(receivers: int, audible: float) -> list[Advert]:
    """What the receivers hear together of 37 phones in 100 minutes, in order of time."""
    rng = random.Random(18)
    begin_s = 1_600_041_600.0
    planted = tuple(
        Planted(
            name=str(number),
            kind=Kind.GAEN_ANDROID if number < 20 else Kind.GAEN_IPHONE,
            key=rng.randbytes(16),
            arrive_s=begin_s,
            leave_s=begin_s + 6000,
        )
        for number in range(37)
    )
    plan = CrowdPlan(devices=0, duration_s=6000, coalesce_s=0, thin=0.2, planted=planted)
    on_air = list(simulate(plan, seed=1, start_s=begin_s))
    times = [advert.last_s for advert in on_air]
    heard: list[Advert] = []
    for _ in range(receivers):
        scan_s = begin_s + rng.uniform(0, 250)
        while scan_s < begin_s + 6000:
            hears: dict[bytes, bool] = {}
            heard += [
                advert
                for advert in on_air[bisect(times, scan_s) : bisect(times, scan_s + 4)]
                if hears.setdefault(advert.address_tag, rng.random() < _audible(advert, receivers, audible))
            ]
            scan_s += rng.uniform(150, 300)
    heard.sort(key=lambda advert: advert.last_s)
    return heard


def _audible(advert: Advert, receivers: int, audible: float) -> float:
    """Tags stand for devices: one in three is far."""
    return audible if receivers < 60 or advert.address_tag[0] % 3 == 0 else 0.8


def test_many_receivers_that_listen_in_turns_listen_all_the_time() -> None:
    """Sixty scanning phones leave no gap for most devices: their classes are counted, those of one phone are not."""
    known = load(["gaen"])
    for receivers, in_turns in ((1, True), (60, False)):
        assert replay.measured(_hall(receivers, 0.9), known).in_turns == in_turns
