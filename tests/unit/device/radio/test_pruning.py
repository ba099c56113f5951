"""Which devices BlueZ shall forget: the oldest beyond the bound, never one that somebody works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from edge_scanner.device.radio import pruning


@dataclass
class Device:
    """What is needed of bleak's."""

    details: dict[str, Any]


def devices(count: int, **props: bool) -> list[tuple[Any, Any]]:
    """So many, in the order they came; every third has these properties."""
    return [
        (Device({"path": f"/dev{number}", "props": props if number % 3 == 0 else {}}), None) for number in range(count)
    ]


def test_nothing_is_forgotten_within_the_bound() -> None:
    """The design point of live devices stays known."""
    assert pruning.surplus(devices(pruning.MAX_DEVICES)) == []


@pytest.mark.parametrize("used", ["Connected", "Paired", "Bonded", "Trusted"])
def test_the_oldest_go_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch, used: str) -> None:
    """A connection or a pairing is not ended for want of room."""
    monkeypatch.setattr(pruning, "MAX_DEVICES", 4)

    assert pruning.surplus(devices(7)) == ["/dev0", "/dev1", "/dev2"]
    assert pruning.surplus(devices(7, **{used: True})) == ["/dev1", "/dev2", "/dev4"]
    assert pruning.surplus(devices(6, **{used: False})) == ["/dev0", "/dev1"]
