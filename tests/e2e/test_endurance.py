"""Two days of a box within half a minute: cuts, clocks, outages, retention; nothing is lost, all is verified.

The same code lives through the fortnight of docs/measurements.md: `python -m tests.benchmarks.endurance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import endurance

if TYPE_CHECKING:
    from pathlib import Path

GROWTH_MB = 6.0
"""The simulated crowd of a day is made anew each day; the fortnight's figure is in the document."""


@pytest.mark.slow
def test_two_days_of_a_box(tmp_path: Path) -> None:
    """Two power cuts, steps of the clock and a broker that was away cost the minutes of the cuts and nothing else."""
    (result,) = endurance.run(tmp_path, venues=1, days=2, retention_days=1, jobs=1, quiet=True)

    assert result.sound
    assert (result.frames_lost, result.messages_lost, result.minutes_missing) == (0, 0, 0)
    assert result.cuts == 2
    assert result.minutes > 2 * 1440 - 2 * 300 - 5
    assert result.minutes_opened > 1200
    assert result.segments_deleted > 15
    assert 1.0 <= result.oldest_days < 1.1
    assert result.checkpoints_verified > 30
    assert result.links_verified > 30
    assert result.messages_waiting < 10
    assert result.memory_growth_mb < GROWTH_MB
    assert result.database_mb < 10
