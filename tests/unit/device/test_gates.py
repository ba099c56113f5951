"""The settings' lines of the site's other boxes: what is one, and what the mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.gates import MOST, Gate, check_gates, read
from edge_scanner.device.kiosk.settings import KioskSettings, from_arguments, to_arguments

PRINT = ":".join(f"{byte:02X}" for byte in range(32))
GATE = "Cửa 3 http://192.168.1.21:8080"


def test_a_line_is_a_name_and_a_place() -> None:
    """A name with spaces, quotes and signs; IPv6 in brackets; a fingerprint as browsers write it or bare."""
    assert read(GATE) == Gate(name="Cửa 3", address="http://192.168.1.21:8080", fingerprint=None)
    assert read(f"G https://[fd00::21]:8443 {PRINT}").fingerprint == bytes(range(32))
    assert read(f'<b>"7"</b> https://10.0.0.7:8443 {PRINT.replace(":", "").lower()}').name == '<b>"7"</b>'


@pytest.mark.parametrize(
    "line",
    [
        "",
        "http://192.168.1.21:8080",
        "Gate http://192.168.1.21",
        "Gate http://192.168.1.21:0",
        "Gate http://192.168.1.21:65536",
        "Gate http://192.168.1.21:8080/",
        "Gate http://192.168.1.21:8080/api/v1?x=",
        "Gate http://user:secret@192.168.1.21:8080",
        "Gate http://192.168.1.21:8080@evil.example:80",
        "Gate http://evil.example:8080",
        "Gate http://box.local:8080",
        "Gate http://0x7f000001:8080",
        "Gate http://127.1:8080",
        "Gate http://[fe80::1%eth0]:8080",
        "Gate file://192.168.1.21:8080",
        "Gate http://192.168.1.21:8080\r\nX-Evil: 1",
        "Gate\r\nX: 1 http://192.168.1.21:8080",
        "Gate\u202e http://192.168.1.21:8080",
        "Gate\u3164 http://192.168.1.21:8080",
        "Gate http://[192.168.1.21]:8080",
        "Gate http://[fd00::1::2]:8080",
        "Gate http://192.168.1.21:08080",
        "Gate http://192.168.1.21:\u0668\u0668",
        f"{'x' * 41} http://192.168.1.21:8080",
        "Gate https://192.168.1.21:8443",
        f"Gate https://192.168.1.21:8443 {PRINT[:-3]}",
        f"Gate https://192.168.1.21:8443 {PRINT}:00",
        f"Gate http://192.168.1.21:8080 {PRINT}",
    ],
)
def test_what_is_none(line: str) -> None:
    """A name to look up, a path, a password, another scheme, a control character, a fingerprint too many or too few."""
    with pytest.raises(ConfigurationError) as caught:
        read(line)

    assert len(str(caught.value)) < 220
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((GATE, GATE.replace("192.168.1.21", "192.168.1.22")), "twice"),
        ((GATE, GATE.replace("3", "4", 1)), "twice"),
        (tuple(f"Gate {n} http://10.0.0.{n}:80" for n in range(MOST + 1)), "more than 15"),
        (("Gate http://box.local:8080",), "is not a name and an address"),
    ],
)
def test_settings_say_it_with_the_line(others: tuple[str, ...], said: str) -> None:
    """Two of one name or one place, too many, or a wrong one: the settings name key and line."""
    with pytest.raises(ConfigurationError):
        check_gates(others)
    text = "[gates]\nothers = [" + ", ".join(f'"{line}"' for line in others) + "]\n"
    with pytest.raises(ConfigurationError) as caught:
        settings.parse(text.encode(), name="s.toml")

    assert str(caught.value).startswith("s.toml:2: [gates] others: ")
    assert said in str(caught.value)


def test_the_page_gets_them_through_an_exec() -> None:
    """What the settings say reaches the kiosk's process as it was, also where it looks like an option."""
    said = KioskSettings(
        snapshot=Path("/run/s.json"),
        gates=(GATE, f"--pin https://10.0.0.7:8443 {PRINT}"),
        gate_name="--host=0.0.0.0",
        hall_rule="same hall",
    )
    assert from_arguments(to_arguments(said)) == said
