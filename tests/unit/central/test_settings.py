"""The centre's settings: the shipped file is the defaults, and every mistake is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_scanner.central import settings
from edge_scanner.central.settings import Settings, Witness
from edge_scanner.core.errors import ConfigurationError, StorageError
from edge_scanner.core.messages import KINDS

SHIPPED = Path(__file__).parents[3] / "config" / "central.toml"


def test_the_shipped_file_has_every_key_at_its_default() -> None:
    """config/central.toml is the documentation of the settings."""
    assert settings.read(SHIPPED) == Settings()
    text = SHIPPED.read_text()
    for table in Settings.__dataclass_fields__:
        for key in getattr(Settings(), table).__dataclass_fields__:
            assert f"\n{key} = " in text, key


def test_every_mistake_is_named() -> None:
    """Unknown tables and keys, wrong values and kinds that no box has: each with its line, as a box says it."""
    text = b'nonsense = 1\n[mqtt]\nport = 0\nhots = "x"\nkinds = ["answers"]\n[collect]\nsilence_s = "long"\n'

    with pytest.raises(ConfigurationError) as caught:
        settings.parse(text, where="c.toml")

    assert caught.value.mistakes == (
        "c.toml: [nonsense]: unknown table; known are database, mqtt, fleet, witness, collect, serve, time",
        "c.toml:3: [mqtt] port: expected int >= 1; the default is 8883",
        "c.toml:4: [mqtt] hots: unknown key; did you mean host?",
        "c.toml:7: [collect] silence_s: expected int, got str; the default is 900",
        f"c.toml:5: [mqtt] kinds: some of {', '.join(KINDS)}",
    )


@pytest.mark.parametrize("text", [b"[mqtt", b"\xff", b"mqtt = 3", b"a = " + b"[" * 20_000, b"a = " + b"9" * 5000])
def test_no_toml_is_said_so(text: bytes) -> None:
    """One line, no traceback."""
    with pytest.raises(ConfigurationError):
        settings.parse(text, where="c.toml")


def test_the_environment_gives_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL with a password need not stand in the file."""
    file = tmp_path / "central.toml"
    file.write_text('[mqtt]\nhost = "broker"\n')
    monkeypatch.setenv("EDGE_CENTRAL_DATABASE", "postgresql://u:p@h/d")

    assert settings.read(file).database.url == "postgresql://u:p@h/d"
    with pytest.raises(StorageError, match="cannot be read"):
        settings.read(tmp_path / "none.toml")
    file.write_text("#" * settings.MAX_FILE_BYTES + '\n[mqtt]\nhots = "x"\n')
    with pytest.raises(ConfigurationError, match="larger than 64 KiB"):
        settings.read(file)


def test_a_recipient_set_is_given_with_both_roots() -> None:
    """The set alone proves nothing."""
    for text in (b'[fleet]\nrecipients = "r.json"\n', b'[fleet]\nauthority_root = "a"\ncustodian_root = "c"\n'):
        with pytest.raises(ConfigurationError, match="belong together"):
            settings.parse(text, where="c.toml")


def test_a_witness_has_a_key_and_a_name() -> None:
    """No name is made up for it: a key without one, or a name without a key, is a mistake; so is what is no name."""
    for text in (b'[witness]\nkey = "w.key"\n', b'[witness]\nname = "w.moh.example/edge"\n'):
        with pytest.raises(ConfigurationError, match="name and key belong together"):
            settings.parse(text, where="c.toml")
    with pytest.raises(ConfigurationError, match="name"):
        settings.parse(b'[witness]\nkey = "w.key"\nname = "two words"\n', where="c.toml")

    both = settings.parse(b'[witness]\nkey = "w.key"\nname = "w.moh.example/edge"\n', where="c.toml")

    assert both.witness == Witness(key="w.key", name="w.moh.example/edge")
