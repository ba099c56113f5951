"""Phones that are heard seldom: they show no identifier and change their address about every quarter hour."""

from __future__ import annotations

import random
from operator import itemgetter
from typing import TYPE_CHECKING

from edge_scanner.core.advertising import parse
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Advert
from tests.support.accuracy import PROTOCOLS, Errors, errors
from tests.support.crowd_truth import START_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.advertising import AdvertisingData

PHONE = parse(bytes.fromhex("02011a0aff4c001005031c2f3a4b"))
"""Apple's Nearby Info."""
PHONES = 60
HOURS = 3
EDGE_S = 1200


SAYS = {
    "phone": PHONE,
    "computer": parse(bytes.fromhex("06ff0600010920")),
    "accessory": parse(bytes.fromhex("06ff4c00120100")),
    "thing": parse(bytes.fromhex("020106030395fe")),
    "unknown": parse(bytes.fromhex("020106")),
}
"""What one of each class sends: Nearby Info, a Windows machine, Find My, a sensor's service, and nothing but flags."""


def judge(gap_s: float, stay_s: float) -> dict[str, Errors]:
    """Errors with sixty phones present on average, each heard every `gap_s` on average, by chance."""
    heard, present = _crowd(random.Random(int(gap_s * 1000 + stay_s)), gap_s, stay_s)
    return {"ours": errors(_counted((at_s, tag, PHONE) for at_s, tag in heard)["phone"], present)}


def judge_classes(gap_s: float, stay_s: float) -> dict[str, Errors]:
    """Errors of each class's figure with sixty of each class present on average, all of them at once."""
    crowds = {name: _crowd(random.Random(f"{name} {gap_s} {stay_s}"), gap_s, stay_s) for name in SAYS}
    found = _counted((at_s, tag, SAYS[name]) for name, (heard, _) in crowds.items() for at_s, tag in heard)
    return {name: errors(found[name], present) for name, (_, present) in crowds.items()}


def _crowd(rng: random.Random, gap_s: float, stay_s: float) -> tuple[list[tuple[float, bytes]], dict[int, float]]:
    """When each of sixty on average is heard and under which tag, and how many are present in each minute."""
    end_s = START_S + HOURS * 3600
    heard: list[tuple[float, bytes]] = []
    present = dict.fromkeys(range(START_S + EDGE_S, end_s - EDGE_S, 60), 0.0)
    comes_s = START_S - 2 * stay_s
    while comes_s < end_s:
        comes_s += rng.expovariate(PHONES / stay_s)
        goes_s = comes_s + stay_s * rng.uniform(0.5, 1.5)
        heard += _hearings(rng, comes_s, goes_s, gap_s)
        for minute in range(int(max(comes_s, START_S)) // 60 * 60, int(goes_s) + 1, 60):
            if minute in present:
                present[minute] += max(min(goes_s, minute + 60) - max(comes_s, minute), 0) / 60
    return heard, present


def _counted(heard: Iterable[tuple[float, bytes, AdvertisingData]]) -> dict[str, dict[int, float]]:
    """Each figure of the classes by minute."""
    counter = Counter(PROTOCOLS)
    minute, tallies = START_S, []
    for at_s, tag, data in sorted(heard, key=itemgetter(0, 1)):
        while at_s >= minute + 60:
            tallies.append(counter.close(minute))
            minute += 60
        counter.add(Advert(data=data, address_tag=tag, first_s=at_s, last_s=at_s, rssi_sum=-95, rssi_max=-95), ())
    tallies += [counter.close(minute), *counter.finish()]
    return {name: {tally.minute_s: tally.figures[name] for tally in tallies} for name in SAYS}


def _hearings(rng: random.Random, comes_s: float, goes_s: float, gap_s: float) -> list[tuple[float, bytes]]:
    """When a phone is heard, and under which tag: of its address and the quarter hour."""
    address, changes_s = rng.randbytes(4), comes_s + rng.uniform(0, 900)
    found = []
    at_s = comes_s + rng.expovariate(1 / gap_s)
    while at_s < goes_s:
        while at_s > changes_s:
            address, changes_s = rng.randbytes(4), changes_s + rng.uniform(810, 990)
        if at_s >= START_S:
            found.append((at_s, address + int(at_s // 900).to_bytes(4, "big")))
        at_s += rng.expovariate(1 / gap_s)
    return found
