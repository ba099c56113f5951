"""A bounded table lets those in who are heard again, and says how many it turned away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.counts import admission
from edge_scanner.core.counts.admission import BoundedTable

if TYPE_CHECKING:
    import pytest


def full(*keys: str) -> BoundedTable[str, str]:
    """A table in which `keys` have entered and no place is left."""
    guests: BoundedTable[str, str] = BoundedTable(len(keys))
    for key in keys:
        assert guests.enter(key, key.upper())
    return guests


def test_whoever_comes_while_there_is_room_enters_at_once() -> None:
    """On a quiet day nobody waits and nobody is refused."""
    guests = full("a", "b")

    assert guests.get("a") == "A"
    assert guests.get("c") is None
    assert (len(guests), guests.refused) == (2, 0)
    assert list(guests) == [("a", "A"), ("b", "B")]


def test_a_full_table_asks_for_a_second_hearing() -> None:
    """The second hearing takes the place of who was heard once and longest ago; the first is refused."""
    guests = full("a", "b", "c")
    guests.get("a")

    assert not guests.enter("d", "D")
    assert guests.enter("d", "D")

    assert list(guests) == [("a", "A"), ("d", "D"), ("c", "C")]
    assert guests.refused == 2


def test_who_was_heard_again_never_makes_room() -> None:
    """When all were heard twice, a newcomer stays outside however often it is heard."""
    guests = full("a", "b")
    guests.get("a")
    guests.get("b")

    assert not any(guests.enter("c", "C") for _ in range(5))
    assert guests.refused == 5
    assert guests.get("b") == "B"


def test_who_has_fallen_silent_makes_room() -> None:
    """The one heard longest ago goes if the owner of the table says that it is gone, and nobody else does."""
    guests = full("a", "b")
    for key in ("b", "a", "b"):
        guests.get(key)
    asked: list[str] = []

    def gone(value: str) -> bool:
        asked.append(value)
        return len(asked) > 1

    assert [guests.enter("c", "C", gone) for _ in range(3)] == [False, False, True]

    assert asked == ["A", "A"]
    assert [key for key, _ in guests] == ["b", "c"]


def test_a_regular_need_not_be_heard_twice() -> None:
    """Its first hearing takes a place, if its owner lets somebody go; who stays steps back for the next one's sake."""
    guests = full("a", "b")
    for key in ("a", "b"):
        guests.get(key)

    def brief(value: str) -> bool:
        return value == "B"

    assert [guests.enter("c", "C", brief, regular=True) for _ in range(2)] == [False, True]
    assert [key for key, _ in guests] == ["a", "c"]


def test_a_newcomer_that_waited_too_long_is_new_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of those turned away are kept for two generations of WAITING, so memory is bounded in any flood."""
    monkeypatch.setattr(admission, "WAITING", 3)
    for between, enters in ((5, True), (6, False)):
        guests = full("a", "b")
        guests.enter("early", "")
        for number in range(between):
            assert not guests.enter(f"flood {number}", "")
        assert guests.enter("early", "") is enters


def test_places_are_given_back() -> None:
    """Who leaves, heard once or more, makes room; `clear` empties the table and forgets who waits."""
    guests = full("a", "b")
    guests.get("a")
    guests.leave("a")
    guests.leave("b")
    assert len(guests) == 0
    assert guests.enter("c", "C")
    assert guests.enter("d", "D")
    guests.enter("e", "E")

    guests.clear()

    assert (len(guests), guests.refused) == (0, 1)
    assert guests.enter("a", "A")
    assert guests.enter("b", "B")
    assert not guests.enter("e", "E")
