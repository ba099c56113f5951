"""Settings are parsed once, every mistake is named with its line, and the shipped file is the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings

SHIPPED = Path(__file__).parents[3] / "config" / "scanner.toml"


def test_shipped_file_is_the_defaults() -> None:
    """config/scanner.toml, read as it is, gives the defaults."""
    assert settings.load(SHIPPED) == settings.Settings()


def test_shipped_file_names_and_explains_every_key() -> None:
    """Each key of each table stands in config/scanner.toml below a comment."""
    lines = SHIPPED.read_text().splitlines()

    for table in fields(settings.Settings):
        start = lines.index(f"[{table.name}]")
        section = lines[start + 1 : next((n for n in range(start + 1, len(lines)) if lines[n].startswith("[")), None)]
        assert section[0].startswith("#")
        for key in fields(getattr(settings.Settings(), table.name)):
            assert any(line.startswith(f"{key.name} = ") for line in section), f"[{table.name}] {key.name}"


def test_the_units_credentials_take_the_files_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that has been given one reads that one; one with others, none, or an empty one reads the file's."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("mqtt.key", "ops-pin"):
        (tmp_path / name).touch()
        assert settings.load(SHIPPED) == settings.Settings()
    (tmp_path / "mqtt.key").write_text("key")
    assert settings.load(SHIPPED) == settings.Settings(mqtt=settings.Mqtt(key=str(tmp_path / "mqtt.key")))
    (tmp_path / "ops-pin").write_text("hash")

    assert settings.load(SHIPPED).kiosk == settings.Kiosk(ops_pin_file=str(tmp_path / "ops-pin"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "")
    assert settings.load(SHIPPED) == settings.Settings()


def test_all_mistakes_are_listed_at_once_with_their_lines() -> None:
    """Four mistakes give four lines, each with the file, the line and a hint."""
    text = b'[radio]\nadaptr = "x"\nmode = "loud"\n\n[kiosk]\nport = 99999\n[foo]\na = 1\n'

    with pytest.raises(ConfigurationError) as caught:
        settings.parse(text, name="s.toml")

    lines = str(caught.value).splitlines()
    assert lines[0] == "s.toml:2: [radio] adaptr: unknown key; did you mean adapter?"
    assert lines[1] == "s.toml:3: [radio] mode: 'loud' is not one of active, passive; the default is 'active'"
    assert lines[2].startswith("s.toml:6: [kiosk] port: expected int <= 65535")
    assert lines[3].startswith("s.toml:7: [foo]: unknown table")
    assert caught.value.exit_code == 78


def test_contradictions_are_listed_beside_other_mistakes() -> None:
    """A misspelt key hides no contradiction elsewhere, and a wrong value is not complained of twice."""
    text = b"[radio]\nadaptr = 1\n[kiosk]\nlan = 3\nhost = '0.0.0.0'\n[counts]\ndisplay_bin_minutes = 30\n"
    text += b"broker_bin_minutes = 15\n"

    with pytest.raises(ConfigurationError) as caught:
        settings.parse(text, name="s.toml")

    assert [line.partition(" ")[0] for line in str(caught.value).splitlines()] == [
        "s.toml:2:",
        "s.toml:4:",
        "s.toml:7:",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[radio]\nprotocols = ["nosuch"]', "s.toml:2: [radio] protocols: unknown protocol 'nosuch'"),
        ("[radio]\nprotocols = []", "s.toml:2: [radio] protocols: empty"),
        ('[mqtt]\nhost = "broker.example"\ntls = false', "s.toml:3: [mqtt] tls: false is for a broker on this machine"),
        ('[kiosk]\nhost = "0.0.0.0"', "s.toml:2: [kiosk] host: shows the page beyond this box"),
        ("[kiosk]\nbusy_from = 5", "s.toml:2: [kiosk] busy_from: must be larger"),
        ("[kiosk]\nmoderate_from = 70", "s.toml:2: [kiosk] busy_from: must be larger"),
        ('[radio]\nprotocols = ["gaen", "gaen"]', "s.toml:2: [radio] protocols: names one twice"),
        ("[counts]\nbroker_bin_minutes = 15\ndisplay_bin_minutes = 30", "s.toml:3: [counts] display_bin_minutes"),
        ("[counts]\ndisplay_bin_minutes = 5", "s.toml:2: [counts] display_bin_minutes"),
        ('[kiosk]\nnotice_url = "http://q.vn/n"', "s.toml:2: [kiosk] notice_url: no address that the page can show"),
        ('[kiosk]\napp_url = "https://q.vn/\\u00a0n"', "s.toml:2: [kiosk] app_url: no address that the page can show"),
        ("device = 3", "s.toml: [device]: must be a table"),
        ("[device", "not TOML"),
        ("a = " + "[" * 8000, "not TOML"),
        ("[counts]\ndisplay_bin_minutes = 0x" + "f" * 16_000, "s.toml:2: [counts] display_bin_minutes"),
        ("[counts]\ndisplay_bin_minutes = 7", "s.toml:2: [counts] display_bin_minutes: 7 is not one of 5, 10, 15, 30"),
    ],
)
def test_contradictions_and_broken_files_are_named(text: str, complaint: str) -> None:
    """Keys that do not fit together, and files that are no TOML, give a line that says so."""
    with pytest.raises(ConfigurationError) as caught:
        settings.parse(text.encode(), name="s.toml")

    assert str(caught.value).startswith(complaint)


def test_unreadable_oversized_and_binary_files_are_refused(tmp_path: Path) -> None:
    """A missing file, one beyond 64 KiB and one that is not UTF-8 are each a configuration error."""
    large, binary = tmp_path / "large.toml", tmp_path / "binary.toml"
    large.write_bytes(b"#" * 70_000)
    binary.write_bytes(b"\xff")

    for path, complaint in (
        (tmp_path / "none.toml", "No such file"),
        (large, "larger than 64 KiB"),
        (binary, "not UTF-8 at byte 0"),
    ):
        with pytest.raises(ConfigurationError, match=complaint):
            settings.load(path)


def test_loopback_host_may_go_without_tls() -> None:
    """A broker on this machine may be plain."""
    parsed = settings.parse(b'[mqtt]\nhost = "localhost"\ntls = false', name="s.toml")

    assert not parsed.mqtt.tls


def test_unknown_time_zone_is_named_with_the_nearest() -> None:
    """A zone that does not exist is refused with its line and the name that was probably meant."""
    with pytest.raises(ConfigurationError) as caught:
        settings.parse(b'[device]\ntime_zone = "Asia/Ho_Chi_Min"\n', name="s.toml")

    assert str(caught.value) == (
        "s.toml:2: [device] time_zone: 'Asia/Ho_Chi_Min' is not a time zone; did you mean Asia/Ho_Chi_Minh?"
    )


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "Asia", "UTC\x00", "/etc/localtime"])
def test_time_zone_is_never_a_path(name: str) -> None:
    """Whatever is no zone's name is refused in one short line, folders and paths too."""
    with pytest.raises(ConfigurationError) as caught:
        settings.zone(name)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_offset_is_the_zones_at_the_moment() -> None:
    """Viet Nam has one offset all year; a zone with summer time has two."""
    january_s, july_s = 1_768_435_200, 1_784_073_600

    assert [settings.utc_offset_s(settings.VIET_NAM, at_s) for at_s in (january_s, july_s)] == [25_200, 25_200]
    assert [settings.utc_offset_s("Europe/Paris", at_s) for at_s in (january_s, july_s)] == [3_600, 7_200]


def test_default_zone_needs_no_package(tmp_path: Path) -> None:
    """On a machine without time zones the default works, and another one says what to install."""
    code = (
        "import sys\n"
        "sys.modules['tzdata'] = None  # the developer's libraries bring that package, a box has none\n"
        "from edge_scanner.device import settings\n"
        "print(settings.utc_offset_s(settings.VIET_NAM, 0))\n"
        "try:\n    settings.zone('Europe/Paris')\n"
        "except Exception as error:\n    print(error)\n"
    )
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert done.stdout.splitlines() == ["25200", "no time zones are installed; run: apt-get install tzdata"]


@pytest.mark.parametrize("host", ["mqtts://broker", "broker:8883", " broker", "a..b", "b roker", "-", "x" * 64])
def test_a_broker_that_is_no_host_is_refused(host: str) -> None:
    """What could never be connected to is said with its line, before a box is sent out with it."""
    with pytest.raises(ConfigurationError, match=r"box.toml:2: \[mqtt\] host: .* is not a name or address"):
        settings.parse(f'[mqtt]\nhost = "{host}"\n'.encode(), name="box.toml")


@pytest.mark.parametrize(
    "host", ["broker", "broker.example.", "xn--bch-hna.vn", "10.0.0.7", "2001:db8::1", "_mqtt.lan"]
)
def test_names_and_addresses_are_taken(host: str) -> None:
    """Single labels, full names and both kinds of address."""
    assert settings.parse(f'[mqtt]\nhost = "{host}"\n'.encode(), name="box.toml").mqtt.host == host


def test_an_id_with_a_wrong_check_is_refused() -> None:
    """`check-config` refuses what `run` would refuse."""
    with pytest.raises(ConfigurationError, match=r"\[device\] id: K7MP2R9CX5 has a wrong check character"):
        settings.parse(b'[device]\nid = "K7MP2R9CX5"\n', name="box.toml")


def test_a_bin_of_five_minutes_is_accepted_by_its_price() -> None:
    """Who names what it costs may have it; the price stands in `edge-scanner privacy`."""
    text = b'[counts]\ndisplay_bin_minutes = 5\naccepted = "word-is-a-coin-toss"\n'
    assert settings.parse(text, name="s.toml").counts.budget.display_bin_s == 300
    with pytest.raises(ConfigurationError, match="coin toss"):
        settings.parse(text.split(b"accepted")[0], name="s.toml")
