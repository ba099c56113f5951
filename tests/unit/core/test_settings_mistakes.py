"""What is wrong with a settings file: the sentence, its line, and what was probably meant."""

from __future__ import annotations

import pytest

from edge_scanner.core.settings_mistakes import Mistake, line, nearest, plain

FILE = ["# a comment", "first = 1", "[mqtt]", 'host = "x"', "[ serve ]", "'key' = 1"]


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (Mistake(table="mqtt", key="host", what="wrong"), "4: [mqtt] host: wrong"),
        (Mistake(table="mqtt", what="must be a table", hint="write it"), "3: [mqtt]: must be a table; write it"),
        (Mistake(table="serve", key="certificate", beside=("key",), what="x"), "6: [serve] certificate: x"),
        (Mistake(table="serve", key="certificate", what="x"), " [serve] certificate: x"),
    ],
)
def test_a_mistake_has_its_line(mistake: Mistake, said: str) -> None:
    """Of the key, else of one beside it, else of the table where the whole table is meant; else none."""
    assert f"{line(FILE, mistake)} {mistake}" == said


def test_what_was_meant() -> None:
    """The nearest name, or all names where none is near; msgspec's sentence without its quotes."""
    unknown = Mistake(table="mqtt", key="prot", what="unknown key")

    assert nearest(unknown, "prot", ("host", "port")).hint == "did you mean port?"
    assert nearest(unknown, "zzz", ("host", "port")).hint == "known are host, port"
    assert plain("Expected `int`, got `str`") == "expected int, got str"
