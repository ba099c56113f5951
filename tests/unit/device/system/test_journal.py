"""The log never identifies anybody, whoever writes the line."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from edge_scanner.device.system import journal

ADDRESS = "4A:3B:2C:1D:0E:FF"
IDENTIFIER = "130cea6472130c185d8643df"


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What journald would receive."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    output = io.StringIO()
    journal.set_up(output)
    return output


def test_line_is_json_with_a_syslog_priority(stream: io.StringIO) -> None:
    """An event is one JSON object behind `<6>`, with level and time."""
    journal.get("test").info("minute committed", frames=1)

    line = stream.getvalue()
    assert line.startswith("<6>{")
    assert json.loads(line[3:])["frames"] == 1
    assert json.loads(line[3:])["event"] == "minute committed"


@pytest.mark.parametrize(
    "value", [bytes.fromhex(IDENTIFIER), bytearray(12), ADDRESS, ADDRESS.replace(":", "_"), IDENTIFIER, [b"\x13\x0c"]]
)
def test_bytes_addresses_and_data_do_not_reach_the_log(stream: io.StringIO, value: object) -> None:
    """Whatever the key, bytes, Bluetooth addresses and long hex are replaced."""
    journal.get("test").warning("something happened", detail=value)

    assert journal.REDACTED in stream.getvalue()
    assert "130c" not in stream.getvalue().lower()
    assert "3b" not in stream.getvalue().lower()


@pytest.mark.parametrize("key", ["id", "rpi", "addr", "mac", "payload", "key", "identifier", "name"])
def test_denied_keys_lose_their_values(stream: io.StringIO, key: str) -> None:
    """A value under a name of the deny list is replaced, even when it looks harmless."""
    journal.get("test").warning("something happened", **{key: "harmless"})

    assert "harmless" not in stream.getvalue()


def test_foreign_libraries_pass_the_same_redaction(stream: io.StringIO) -> None:
    """A library's warning keeps its words and loses the address in them."""
    logging.getLogger("bleak.backends").warning("device /org/bluez/hci0/dev_%s lost", ADDRESS.replace(":", "_"))

    entry = json.loads(stream.getvalue()[3:])
    assert entry["library"] == "bleak.backends"
    assert "3B" not in entry["event"]
    assert stream.getvalue().startswith("<4>")


def test_foreign_traceback_is_reduced_to_places(stream: io.StringIO) -> None:
    """A library that logs an exception whose text quotes data gives its type and places only."""
    try:
        bytes.fromhex(IDENTIFIER + "no hex")
    except ValueError:
        logging.getLogger("dbus_fast").exception("handler failed")

    assert "ValueError at test_journal.py:" in stream.getvalue()
    assert "130c" not in stream.getvalue()


def test_a_logger_keeps_nothing_of_an_ended_journal(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """What one test's program set up does not decide where the next one's lines go."""
    log = journal.get("test")
    log.warning("one")
    structlog.reset_defaults()
    log.warning("two")

    assert "one" in stream.getvalue()
    assert "two" not in stream.getvalue()
    assert "two" in capsys.readouterr().out


def test_crash_names_types_and_places_never_texts() -> None:
    """A crash line of nested exceptions holds no text of theirs."""
    line = journal.crash(ExceptionGroup("two", [ValueError(IDENTIFIER), KeyError(ADDRESS)]))

    assert line == "ValueError at unknown place + KeyError at unknown place"
