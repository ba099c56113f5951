"""How often the screen's word is right, noise included: eight weeks of bins a crowd, written into docs/counting.md.

Run: `python -m tests.benchmarks.words --write`; without it the table is printed. The crowd stands still, so that the
truth of a bin is known; the ledger is the product's with the operating system's randomness.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core.counts import baseline, occupancy
from edge_scanner.core.counts.device_class import FIGURES
from edge_scanner.core.counts.occupancy import Level, Thresholds
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.model import Tally
from edge_scanner.device.settings import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.model import Report

DOCUMENT = Path(__file__).parents[2] / "docs" / "counting.md"
BEGIN, END = "<!-- words: begin -->", "<!-- words: end -->"
START_S = 1_790_000_640 - 1_790_000_640 % 86_400
DAYS = 56
"""Eight weeks: neighbouring bins share noise, and one week says a share within three in a hundred."""
THRESHOLDS = Thresholds(moderate_from=20, busy_from=60)
CROWDS = (0, 5, 12, 20, 35, 60, 80, 200)
FIXED = (0, 3, 43)
DAY_CURVE = (*[0.0] * 7, 0.1, 0.4, 0.7, 0.9, 1.0, 1.0, 0.9, 0.8, 0.8, 0.9, 0.8, 0.6, 0.4, 0.2, 0.1, 0.0, 0.0)
"""How full a venue is by the hour."""
OPEN_CASES = 10
EPSILONS = (1.3, 2.6, 3.9, 5.2, 10.4)
"""Half, as it is set, and more; with the last the mean error of a bin is one phone."""
WANDER = 5.0
"""Phones by which a crowd changes from one bin to the next, as the filter believes."""
CASE_ADDRESSES = 5


def right_words(phones: int, fixed: int, cases: int) -> float:
    """The share of bins whose word is that of `phones`, beside fixed things and open cases of earbuds."""
    ledger = Ledger(replace(Counts().budget, broker_bin_s=0), figures=(*FIGURES, "passing"))
    figures = dict.fromkeys((*FIGURES, "passing"), 0)
    figures |= {"phone": phones, "thing": fixed, "accessory": cases * CASE_ADDRESSES}
    for minute in range(DAYS * 1440):
        ledger.add(Tally(minute_s=START_S + minute * 60, listened_s=60.0, figures=figures))
    reports = ledger.due(START_S + DAYS * 86_400)
    right = looks = 0
    for number in range(6, len(reports)):
        newest = reports[number]
        crowd = occupancy.read(
            reports[max(0, number - 47) : number + 1], THRESHOLDS, newest.bin_start_s + newest.bin_s + 60.0
        )
        looks += 1
        right += crowd.level in words(phones)
    return right / looks


def words(phones: float) -> set[Level]:
    """The right word; on a threshold either neighbour."""
    at_least = {Level.QUIET: 0, Level.MODERATE: THRESHOLDS.moderate_from, Level.BUSY: THRESHOLDS.busy_from}
    reached = [level for level, edge in at_least.items() if phones >= edge]
    found = {reached[-1]}
    if phones == at_least[reached[-1]] and len(reached) > 1:
        found.add(reached[-2])
    return found


def right_words_of_a_week(most: int, fixed: int, day_epsilon: float | None = None) -> tuple[float, float]:
    """Shares of right words in the second week of a venue that fills to `most` phones every day: as seen, and learnt.

    People come and go by a day's curve, by chance; `fixed` things speak like phones day and night. Right is the word of
    the bin's true mean, or of a mean within a tenth of it, which is the hysteresis. The first week teaches the nights.
    """
    rng = random.Random(most * 100 + fixed)
    budget = replace(Counts().budget, broker_bin_s=0)
    if day_epsilon is not None:
        budget = replace(budget, day_epsilon=day_epsilon)
    ledger = Ledger(budget, figures=(*FIGURES, "passing"))
    figures = dict.fromkeys((*FIGURES, "passing"), 0)
    truth: dict[int, float] = {}
    here = 0
    for minute in range(14 * 1440):
        wanted = most * DAY_CURVE[minute // 60 % 24]
        # Half an hour's stay on average.
        here += sum(rng.random() < wanted / 30 / 5 for _ in range(5)) - sum(rng.random() < 1 / 30 for _ in range(here))
        at_s = START_S + minute * 60
        truth[at_s - at_s % 1800] = truth.get(at_s - at_s % 1800, 0.0) + here / 30
        ledger.add(Tally(minute_s=at_s, listened_s=60.0, figures=figures | {"phone": here + fixed}))
    reports = ledger.due(START_S + 14 * 86_400)
    learnt = baseline.learn(reports[: len(reports) // 2], 0, START_S + 7 * 86_400)
    shares = []
    for offset in (0.0, learnt.devices if learnt is not None else 0.0):
        edges = replace(THRESHOLDS, offset=offset)
        right = 0
        for number in range(len(reports) // 2, len(reports)):
            newest = reports[number]
            seen = occupancy.read(reports[number - 47 : number + 1], edges, newest.bin_start_s + newest.bin_s + 60.0)
            true = truth[newest.bin_start_s]
            right += seen.level in words(true / 1.1) | words(true) | words(true * 1.1)
        shares.append(right / (len(reports) - len(reports) // 2))
    return shares[0], shares[1]


def smoothed_words(way: str, *, still: float = 0.0, swing: float = 0.0) -> float:
    """The share of right words when released figures are smoothed first: a crowd of `still`, or a day that swings.

    `way` is as in `smoothed`. A day of the second kind rises and falls by `swing` phones an hour, a quarter more
    or less, for three hours each, four times. Right is as in the week, from the second week on.
    """
    rng = random.Random(3)
    ledger = Ledger(replace(Counts().budget, broker_bin_s=0), figures=(*FIGURES, "passing"))
    figures = dict.fromkeys((*FIGURES, "passing"), 0)
    truth: dict[int, float] = {}
    for minute in range(DAYS * 1440):
        if minute % 360 == 0:
            today = swing * rng.uniform(0.75, 1.25)
        hours = minute % 360 / 60
        here = round(still or today * min(hours, 6 - hours))
        at_s = START_S + minute * 60
        truth[at_s - at_s % 1800] = truth.get(at_s - at_s % 1800, 0.0) + here / 30
        ledger.add(Tally(minute_s=at_s, listened_s=60.0, figures=figures | {"phone": here}))
    reports = smoothed(ledger.due(START_S + DAYS * 86_400), way)
    right = looks = 0
    for number in range(7 * 48, len(reports)):
        newest = reports[number]
        seen = occupancy.read(
            reports[max(0, number - 47) : number + 1], THRESHOLDS, newest.bin_start_s + newest.bin_s + 60.0
        )
        true = truth[newest.bin_start_s]
        looks += 1
        right += seen.level in words(true / 1.1) | words(true) | words(true * 1.1)
    return right / looks


def smoothed(reports: Sequence[Report], way: str) -> list[Report]:
    """The same reports, `nearby` smoothed: "newest" (not), "two" (the mean with the bin before), "filter", "usual".

    The filter is a local level (Kalman) with WANDER phones of change a bin; its noise is that of a bin. Scales, and so
    the hysteresis, stay those of a bin. "usual" filters what differs from the mean of that half hour before.
    """
    found: list[Report] = []
    level, variance, before = 0.0, 1e9, None
    past: dict[int, list[float]] = {}
    for report in reports:
        raw = float(report.figures["nearby"])
        same = past.setdefault(report.bin_start_s % 86_400, [])
        usual = sum(same) / len(same) if same and way == "usual" else 0.0
        same.append(raw)
        seen = raw - usual
        noise = 2 * report.scale**2
        variance += (WANDER * report.bin_s / 60) ** 2
        gain = variance / (variance + noise)
        level += gain * (seen - level)
        variance *= 1 - gain
        value = {
            "newest": raw,
            "two": (raw + (raw if before is None else before)) / 2,
            "filter": level,
            "usual": usual + level,
        }[way]
        before = raw
        found.append(replace(report, figures={**report.figures, "nearby": round(value)}))
    return found


def table() -> str:
    """The shares of right words, in per cent: crowds that stand still, then a week of days."""
    heads = ["phones", *(f"{fixed} fixed things" for fixed in FIXED), f"{OPEN_CASES} open cases of earbuds"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for phones in CROWDS:
        shares = [right_words(phones, fixed, 0) for fixed in FIXED] + [right_words(phones, 0, OPEN_CASES)]
        lines.append("| " + " | ".join([str(phones), *(f"{share:.1%}" for share in shares)]) + " |")
    heads = ["phones at noon", *(f"{fixed} that advertise like phones: as heard, nights learnt" for fixed in FIXED)]
    lines += ["", "A simulated week of days, of which nights are empty (`phones at noon`):", ""]
    lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for most in (0, 5, 20, 60, 200):
        week = [right_words_of_a_week(most, fixed) for fixed in FIXED]
        lines.append("| " + " | ".join([str(most), *(f"{raw:.1%}, {learnt:.1%}" for raw, learnt in week)]) + " |")
    lines += [
        "",
        "The same week with 20 phones at noon (a threshold), by the ε of a stay of eight hours (mean of 20 weeks):",
        "",
    ]
    lines += ["| ε of a day | " + " | ".join(map(str, EPSILONS)) + " |", "|" + " --- |" * (len(EPSILONS) + 1)]
    shares = [sum(right_words_of_a_week(20, 0, one)[0] for _ in range(20)) / 20 for one in EPSILONS]
    lines += ["| correct words | " + " | ".join(f"{share:.1%}" for share in shares) + " |"]
    lines += ["", "If released bins were smoothed first, at the same ε:", ""]
    lines += ["| crowd | newest bin | mean of two | state-space filter | filter around the usual day |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    for name, crowd in (
        ("a constant 12 phones", {"still": 12.0}),
        ("rises from 0 to 90 and falls again, about 30 an hour", {"swing": 30.0}),
    ):
        shares = [smoothed_words(way, **crowd) for way in ("newest", "two", "filter", "usual")]
        lines.append("| " + " | ".join([name, *(f"{share:.1%}" for share in shares)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, then print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="put the table into docs/counting.md")
    options = parser.parse_args()
    text = table()
    if not options.write:
        print(text)  # noqa: T201 (the answer)
        return
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
