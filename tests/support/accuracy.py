"""How far an estimate of devices per minute is from the truth, for ours and for what others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.advertising import parse
from edge_scanner.core.counts import device_class
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Advert, Kind, Tally
from edge_scanner.protocols import load, recognise
from tests.support.crowd_truth import START_S, hear, hear_passively, population, truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_scanner.device.replay.captures import Report
    from tests.support.crowd_truth import Scene

PROTOCOLS = load(["bluezone", "gaen"])
EDGE_S = 600
"""Left out at both ends of a run: no table should be about how a run begins."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Per cent of the mean truth: signed mean, mean absolute and the 95th percentile of the absolute error."""

    mean_truth: float
    bias: float
    absolute: float
    worst: float


def phones(tally: Tally) -> int:
    """Recognised phones that stay."""
    return sum(count for name, count in tally.figures.items() if name not in {*device_class.FIGURES, "passing"})


def judge(scene: Scene, grace_s: float) -> dict[str, Errors]:
    """Our errors and those of counting the identifiers and the addresses heard in each minute."""
    people = population(scene)
    counter = Counter(PROTOCOLS, grace_s=grace_s)
    ours: dict[int, float] = {}
    identifiers: dict[int, set[bytes]] = {}
    addresses: dict[int, set[bytes]] = {}
    minute = START_S
    for phone, advert in (hear_passively if scene.passive else hear)(scene, people):
        while advert.first_s >= minute + 60:
            tally = counter.close(minute)
            ours[tally.minute_s] = phones(tally)
            minute += 60
        sightings = recognise(PROTOCOLS, advert)
        counter.add(advert, sightings)
        identified = [s.identifier for s in sightings if s.kind is Kind.IDENTIFIED]
        identifiers.setdefault(minute, set()).update(identified or [phone.address])
        addresses.setdefault(minute, set()).add(phone.address)
    for tally in (counter.close(minute), *counter.finish()):
        ours[tally.minute_s] = phones(tally)
    minutes = range(START_S + EDGE_S, int(START_S + scene.hours * 3600) - EDGE_S, 60)
    present = truth(people, minutes)
    return {
        "ours": errors(ours, present),
        "identifiers": errors({m: len(identifiers.get(m, ())) for m in minutes}, present),
        "addresses": errors({m: len(addresses.get(m, ())) for m in minutes}, present),
    }


def errors(estimate: Mapping[int, float], present: Mapping[int, float]) -> Errors:
    """The errors over the minutes whose truth is known."""
    mean = sum(present.values()) / len(present)
    differences = [estimate.get(minute, 0) - count for minute, count in present.items()]
    sizes = sorted(abs(difference) for difference in differences)
    return Errors(
        mean_truth=mean,
        bias=100 * sum(differences) / len(differences) / mean,
        absolute=100 * sum(sizes) / len(sizes) / mean,
        worst=100 * sizes[int(0.95 * len(sizes))] / mean,
    )


def from_captures(reports: Iterable[Report], grace_s: float) -> Sequence[Tally]:
    """The tallies of captured traffic, every packet an advert of its own."""
    counter = Counter(PROTOCOLS, grace_s=grace_s)
    minute: int | None = None
    tallies = []
    for report in reports:
        data = parse(report.data)
        if minute is None:
            minute = int(report.at_s // 60) * 60
        while report.at_s >= minute + 60:
            tallies.append(counter.close(minute))
            minute += 60
        rssi = 0 if report.rssi is None else report.rssi
        advert = Advert(
            data=data,
            address_tag=(report.address + str(int(report.at_s // 900))).encode(),
            address_type=report.address_type,
            first_s=report.at_s,
            last_s=report.at_s,
            rssi_count=0 if report.rssi is None else 1,
            rssi_sum=rssi,
            rssi_max=rssi,
        )
        counter.add(advert, recognise(PROTOCOLS, advert))
    if minute is not None:
        tallies.append(counter.close(minute))
    return [*tallies, *counter.finish()]
