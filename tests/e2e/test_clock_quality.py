"""What a box believes of its clock, against a real kernel and a real chrony in a guest with a clock of its own."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.bluez import bed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system


def test_chrony_counts_where_it_keeps_the_clock_and_a_battery_is_less(tmp_path: Path) -> None:
    """NTP only by the kernel's word, whichever program gave it; the clock with a battery is a quality of its own."""
    bed.prepare("trixie", tree="chrony")
    room = tmp_path / "room"
    room.mkdir()

    left = bed.boot("trixie", "clock", room, start_s=time.time(), tree="chrony")

    assert json.loads((left / "truth.json").read_text()) == {
        "at the start": "RTC",
        "beside a chrony that keeps nothing": "RTC",
        "kept by chrony": "NTP",
        "unknown again": "RTC",
        "without a battery": "NONE",
    }
