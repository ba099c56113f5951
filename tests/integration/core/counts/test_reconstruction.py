"""An adversary who knows everybody but one and sees every release of a day; and one who counts on retries."""

from __future__ import annotations

import random
from math import exp

import pytest

from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.privacy_budget import BUDGET, SENSITIVITY, Budget
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.model import Release, Report, Tally

DAY_S = 1_699_920_000
FIGURES = ("other", "bluezone", "passing")
DAYS = 300


def day(ledger: Ledger, stay: range | None, crowd: list[int]) -> tuple[Report, ...]:
    """A day of releases: the crowd the adversary knows, and the victim in the minutes of `stay`, if any."""
    for minute, others in enumerate(crowd):
        here = others + (1 if stay is not None and minute in stay else 0)
        figures = {"other": 50, "bluezone": here, "passing": 3}
        ledger.add(Tally(minute_s=DAY_S + minute * 60, listened_s=60.0, figures=figures))
    reports = ledger.due(DAY_S + 86_460)
    ledger.forget(reports)
    return reports


def log_likelihood_ratio(reports: tuple[Report, ...], stay: range, crowd: list[int], draw: float) -> float:
    """The best anybody can do (Neyman and Pearson): log of P(reports | victim there) / P(reports | not there).

    The display's figures are all there is: the broker's are their sums. Each draw is twice a figure's noise less the
    noise before it; the victim is not there in the first bin.
    """
    total = 0.0
    noise_before = victim_before = 0
    for report in reports:
        if report.ledger != "display":
            continue
        first = (report.bin_start_s - DAY_S) // 60
        minutes = range(first, first + report.bin_s // 60)
        known = sum(crowd[minute] + 50 for minute in minutes)
        victim = sum(minute in stay for minute in minutes)
        noise = report.figures["nearby"] - known
        drawn, more = 2 * noise - noise_before, 2 * victim - victim_before
        total += (abs(drawn) - abs(drawn - more)) / draw
        noise_before, victim_before = noise, victim
    return total


@pytest.mark.parametrize("hours", [0.5, 2, 8])
def test_reconstruction_wins_no_more_than_epsilon_allows(hours: float) -> None:
    """Over 300 days the optimal test of "was the victim here" is right in at most e^eps / (1 + e^eps) of them.

    eps is the stated one of the stay, of whoever sees both ledgers, for both outcomes equally likely; the margin is
    three deviations. The stay begins in the middle of a bin.
    """
    rng = random.Random(7)
    crowd = [20 + int(10 * rng.random()) for _ in range(1440)]
    stay = range(610, 610 + int(hours * 60))
    right = 0
    worst = 0.0
    for _ in range(DAYS):
        there = rng.random() < 0.5
        ledger = Ledger(figures=FIGURES, randbelow=rng.randrange)
        reports = day(ledger, stay if there else None, crowd)
        assert len(reports) == 72
        evidence = log_likelihood_ratio(reports, stay, crowd, float(BUDGET.draw(SENSITIVITY)))
        worst = max(worst, abs(evidence))
        right += (evidence > 0) == there
    epsilon = BUDGET.stay_epsilon(int(hours * 3600), SENSITIVITY)
    ceiling = exp(epsilon) / (1 + exp(epsilon))
    assert 0.4 * epsilon < worst <= epsilon + 1e-9
    assert right / DAYS <= ceiling + 3 * (0.25 / DAYS) ** 0.5


def test_the_attack_works_without_noise() -> None:
    """The same adversary is never wrong when the reports are almost unnoised, so the test above could fail."""
    rng = random.Random(7)
    crowd = [20] * 1440
    stay = range(600, 720)
    budget = Budget(day_epsilon=1000.0)
    for there in (True, False):
        reports = day(Ledger(budget, figures=FIGURES, randbelow=rng.randrange), stay if there else None, crowd)
        draw = float(budget.draw(SENSITIVITY))
        assert (log_likelihood_ratio(reports, stay, crowd, draw) > 0) == there


def test_killed_at_any_minute_no_bin_is_noised_twice() -> None:
    """Runs die at random minutes, some cleanly, some before, some after the commit: no name is released twice.

    The store is a dictionary whose key is the release's, as the real one's; a second noise for a stored name would be
    a difference. What was never stored was never seen, so drawing again for it is the first draw.
    """
    rng = random.Random(13)
    for _ in range(40):
        stored: dict[tuple[str, int], Release] = {}
        minutes_in: dict[str, int] = {"broker": 0, "display": 0}
        ledger = Ledger(figures=FIGURES)
        lived = 0
        for minute in range(600):
            ledger.add(Tally(minute_s=DAY_S + minute * 60, listened_s=60.0, figures=dict.fromkeys(FIGURES, 5)))
            fate = rng.random()
            clean = fate > 0.99
            reports = ledger.flush(DAY_S + minute * 60 + 60) if clean else ledger.due(DAY_S + minute * 60 + 60)
            lived += 1
            if fate > 0.02:
                for report in reports:
                    release = anonymise.to_release(report)
                    key = (release.ledger, release.bin_start_s)
                    assert key not in stored
                    stored[key] = release
                    minutes_in[report.ledger] += report.minutes_covered
                if rng.random() < 0.1:
                    again = ledger.due(DAY_S + minute * 60 + 60)
                    assert [id(report) for report in again] == [id(report) for report in reports]
                ledger.forget(reports)
            if clean or fate <= 0.02:
                ledger = Ledger(figures=FIGURES)
                ledger.resume(stored.values())
        assert max(minutes_in.values()) <= lived
