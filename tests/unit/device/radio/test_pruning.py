"""Which devices BlueZ shall forget: the oldest beyond the bound, never one that somebody works with."""

from __future__ import annotations

import pytest

from edge_scanner.device.radio import pruning


def paths(count: int) -> list[str]:
    """So many, in the order they came."""
    return [f"/dev{number}" for number in range(count)]


def test_nothing_is_forgotten_within_the_bound() -> None:
    """The design point of live devices stays known."""
    assert pruning.surplus(paths(pruning.MAX_DEVICES), ()) == []


def test_the_oldest_go_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection or a pairing is not ended for want of room."""
    monkeypatch.setattr(pruning, "MAX_DEVICES", 4)

    assert pruning.surplus(paths(7), ()) == ["/dev0", "/dev1", "/dev2"]
    assert pruning.surplus(paths(7), {"/dev0", "/dev3", "/dev6"}) == ["/dev1", "/dev2", "/dev4"]


@pytest.mark.parametrize("used", ["Connected", "Paired", "Bonded", "Trusted"])
def test_what_bluez_says_of_a_device_in_use(used: str) -> None:
    """Each of its four words for it, said and true."""
    assert pruning.in_use({used: True, "RSSI": -50})
    assert not pruning.in_use({used: False, "RSSI": -50})
