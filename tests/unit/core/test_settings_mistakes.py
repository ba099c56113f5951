"""A settings file and what is wrong with it: the sentence, its line, and what was probably meant."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.settings_mistakes import Mistake, convert, line, nearest, plain, refuse

FILE = ["# a comment", "first = 1", "[mqtt]", 'host = "x"', "[ serve ]", "'key' = 1"]


@dataclass(frozen=True, kw_only=True)
class Mqtt:
    """A table."""

    host: str = "localhost"
    port: int = 8883
    version: Literal["auto", "5"] = "auto"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All tables."""

    mqtt: Mqtt = field(default_factory=Mqtt)


def test_a_document_stands_above_what_held() -> None:
    """Where it is silent the rest holds; where it is wrong, too, and the hint names the default."""
    usual = Settings(mqtt=Mqtt(host="here", port=1))

    assert convert({"mqtt": {"port": 2}}, usual) == (Settings(mqtt=Mqtt(host="here", port=2)), [])
    found, mistakes = convert({"mqtt": {"port": "x", "hots": "y", "version": "4"}, "matt": {}}, usual)
    assert found == usual
    assert list(map(str, mistakes)) == [
        "[mqtt] port: expected int, got str; the default is 8883",
        "[mqtt] hots: unknown key; did you mean host?",
        "[mqtt] version: '4' is not one of auto, 5; the default is 'auto'",
        "[matt]: unknown table; did you mean mqtt?",
    ]
    assert convert({"mqtt": 3}, usual) == (
        usual,
        [Mistake(table="mqtt", what="must be a table", hint="write [mqtt] on a line of its own")],
    )


def test_what_is_wrong_contradicts_nothing() -> None:
    """Every mistake in one error; a key that is wrong anyway is no contradiction as well."""
    text = "\n".join(FILE).encode()
    wrong = Mistake(table="mqtt", key="host", what="wrong")
    contradiction = Mistake(table="serve", key="key", beside=("certificate",), what="belong together")
    refuse([], [], text, where="f")

    with pytest.raises(ConfigurationError) as caught:
        refuse([wrong], [contradiction, replace(contradiction, table="mqtt", beside=("host",))], text, where="f")

    assert caught.value.mistakes == ("f:4: [mqtt] host: wrong", "f:6: [serve] key: belong together")

    with pytest.raises(ConfigurationError, match="f:4: "):  # as after a line that a web page broke
        refuse([wrong], [], text.replace(b"\n", " # \x85 \u2028\r\n".encode(), 1), where="f")


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
