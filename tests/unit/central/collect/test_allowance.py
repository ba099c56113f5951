"""How much one name may say in a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.central.collect import allowance
from edge_scanner.central.collect.allowance import DAY_S, Allowance, name_of

if TYPE_CHECKING:
    import pytest

TOPIC = "edge-scanner/v1/d/K7MP2R9CX4/up/counts"


def test_each_name_has_a_measure_of_its_own_each_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has said enough is not heard until the day is over; its neighbour is."""
    monkeypatch.setattr(allowance, "A_DAY", 2)
    said = Allowance()
    other = TOPIC.replace("K7MP2R9CX4", "AAAAAAAA01")

    assert [said.admits(TOPIC, 10.0) for _ in range(4)] == [True, True, False, False]
    assert said.admits(TOPIC.replace("counts", "health"), 20.0) is False
    assert said.admits(other, 20.0)
    assert said.admits(TOPIC, DAY_S + 1.0)


def test_names_without_end_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that invents names: what was counted is forgotten."""
    monkeypatch.setattr(allowance, "MAX_NAMES", 5)
    said = Allowance()
    for number in range(100):
        assert said.admits(TOPIC.replace("K7MP2R9CX4", str(number)), 0.0)
    assert len(said._said) <= 6


def test_a_topic_of_nobody_has_an_empty_name() -> None:
    """It is counted like a name."""
    assert (name_of(TOPIC), name_of("x/y"), name_of("")) == ("K7MP2R9CX4", "", "")
