"""Invented identifiers at the rate that fits on air: memory stays bounded, the loss is told, real phones count on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RATE = 2_000
GROWTH_MB = 40.0
"""Three tables of 20,000 and what waits outside them, with room for another allocator's habits."""


def flood(kind: str, minutes: int) -> dict[str, Any]:
    """The figures of one flood, in a process of its own so that the peak of its memory is its own."""
    told = subprocess.run(
        [
            sys.executable, "-m", "tests.benchmarks.flood", "--kinds", kind, "--rate", str(RATE),
            "--minutes", str(minutes), "--json",
        ],
        cwd=Path(__file__).parents[4],
        check=True,
        capture_output=True,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(told.stdout)[0]
    return figures


@pytest.mark.slow
def test_identifiers_invented_once_each() -> None:
    """Over the change of identifiers at the quarter hour, phones count and are logged as without the flood."""
    figures = flood("once", 4)

    assert figures["counted_before"] >= 0.9
    assert 0.8 <= figures["counted_least"] <= figures["counted_most"] <= 1.2
    assert figures["logged_mean"] >= 0.8
    assert figures["dropped_counting"] > RATE * 4 * 60 * 0.8
    assert figures["dropped_log"] > RATE * 4 * 60 * 0.8
    assert figures["rss_peak_mb"] - figures["rss_before_mb"] < GROWTH_MB


@pytest.mark.slow
def test_identifiers_repeated_like_a_phone_that_passes() -> None:
    """Each invented identifier is sent three times in ten seconds: what stays is counted on, and most of it logged."""
    figures = flood("repeated", 4)

    assert 0.8 <= figures["counted_least"] <= figures["counted_most"] <= 1.2
    assert figures["logged_mean"] >= 0.7
    assert figures["dropped_counting"] > RATE * 4 * 60 * 0.3
    assert figures["rss_peak_mb"] - figures["rss_before_mb"] < GROWTH_MB


@pytest.mark.slow
def test_addresses_invented_without_an_identifier() -> None:
    """Devices that nobody recognises take no place from phones that show an identifier."""
    figures = flood("bare", 3)

    assert 0.8 <= figures["counted_least"] <= figures["counted_most"] <= 1.2
    assert figures["logged_mean"] >= 0.8
    assert (figures["dropped_log"], figures["dropped_counting"] > 0) == (0, True)
    assert figures["rss_peak_mb"] - figures["rss_before_mb"] < GROWTH_MB
