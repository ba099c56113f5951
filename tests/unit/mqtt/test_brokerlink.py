"""Why a broker cannot be reached, and how long to wait: plain functions, without a network."""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.brokerlink import BrokerSettings, Trouble
from edge_scanner.mqtt.uplink import Versions
from provisioning import certificates
from tests.support import schema_check
from tests.support.disks import without_end


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_delay_is_bounded(attempt: int, chance: float) -> None:
    """Whatever the attempt and the chance, the delay lies between one second and five minutes."""
    assert 1.0 <= brokerlink.reconnect_delay(attempt, chance) <= 300.0


def test_delay_spreads_and_grows() -> None:
    """The range begins at one second and doubles until it spans five minutes."""
    ranges = [(brokerlink.reconnect_delay(n, 0.0), round(brokerlink.reconnect_delay(n, 1.0))) for n in range(1, 12)]

    assert ranges == [(1.0, top) for top in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_plain_to_this_machine(host: str) -> None:
    """Without TLS this machine may be spoken to."""
    brokerlink.check(BrokerSettings(host=host, tls=False))


@pytest.mark.parametrize("host", ["192.168.1.5", "broker.example", "0.0.0.0", "localhost.example", "2001:db8::1"])
def test_plain_to_elsewhere(host: str) -> None:
    """Without TLS no other machine may be spoken to."""
    with pytest.raises(ConfigurationError, match="readable on the way"):
        brokerlink.check(BrokerSettings(host=host, tls=False))


def test_settings_that_cannot_work(tmp_path: Path) -> None:
    """No host, no CA, unreadable files: each is named before anything is tried."""
    absent = tmp_path / "absent"
    rubbish = tmp_path / "rubbish"
    rubbish.write_bytes(b"\xff\xfe no PEM")

    for settings, what in (
        (BrokerSettings(host=""), "no broker"),
        (BrokerSettings(host="broker"), "needs the CA"),
        (BrokerSettings(host="broker", ca=absent), "broker's CA"),
        (BrokerSettings(host="broker", ca=rubbish), "broker's CA"),
        (BrokerSettings(host="localhost", tls=False, password_file=absent), "password"),
        (BrokerSettings(host="localhost", tls=False, password_file=rubbish), "password"),
    ):
        with pytest.raises(ConfigurationError, match=what):
            brokerlink.check(settings)


@pytest.mark.parametrize("what", ["endless", "pipe"])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ca", "cannot read the broker's CA"),
        ("certificate", "cannot read our certificate or its key"),
        ("key", "cannot read our certificate or its key"),
        ("password_file", "cannot read the broker password"),
    ],
)
def test_a_file_without_end_is_one_line(tmp_path: Path, name: str, sentence: str, what: str) -> None:
    """A damaged entry of a terabyte, or a pipe that nobody writes to: not read, and not waited for."""
    good = {one: tmp_path / one for one in ("ca", "certificate", "key")}
    holder = certificates.new_ca("ours", now_s=time.time(), days=1)
    good["key"].write_bytes(holder.key_pem)
    good["key"].chmod(0o600)
    for one in ("ca", "certificate"):
        good[one].write_bytes(holder.certificate_pem)
    settings = BrokerSettings(host="broker", ca=good["ca"], certificate=good["certificate"], key=good["key"])
    brokerlink.check(settings)

    bad = without_end(tmp_path / "bad", what)
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        brokerlink.check(_with(settings, name, bad))
    assert "\n" not in str(refused.value)


def _with(settings: BrokerSettings, name: str, path: Path) -> BrokerSettings:
    changed: dict[str, Any] = {name: path}
    return replace(settings, **changed)


def test_password_is_the_first_line(tmp_path: Path) -> None:
    """An editor's line end does not become part of the password."""
    file = tmp_path / "password"
    file.write_text("mat-khau\n")

    assert brokerlink.password(BrokerSettings(host="x", password_file=file)) == "mat-khau"
    assert brokerlink.password(BrokerSettings(host="x")) is None


def _alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "alert")
    error.reason = reason
    return error


def _verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "verify")
    error.verify_code, error.verify_message = code, "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (None, Trouble.NO_ANSWER),
        (ssl.SSLEOFError(8, "EOF"), Trouble.NO_ANSWER),
        (_alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), Trouble.CERTIFICATE_REFUSED),
        (_alert("SSLV3_ALERT_CERTIFICATE_REVOKED"), Trouble.CERTIFICATE_REFUSED),
        (_alert("TLSV1_ALERT_PROTOCOL_VERSION"), Trouble.PROTOCOL),
        (_alert("WRONG_VERSION_NUMBER"), Trouble.FOREIGN),
        (_verification(9), Trouble.CLOCK_BEHIND),
        (_verification(10), Trouble.BROKER_EXPIRED),
        (_verification(18), Trouble.BROKER_UNTRUSTED),
        (_verification(62), Trouble.BROKER_UNTRUSTED),
        (socket.gaierror(-2, "Name or service not known"), Trouble.NAME_UNKNOWN),
        (TimeoutError(), Trouble.UNREACHABLE),
        (ConnectionResetError(), Trouble.LOST),
        (BrokenPipeError(), Trouble.LOST),
        (OSError(113, "No route to host"), Trouble.UNREACHABLE),
        (OSError("odd"), Trouble.UNREACHABLE),
        (ValueError("odd"), Trouble.PROTOCOL),
    ],
)
def test_errors_are_told_apart(error: Exception | None, trouble: Trouble) -> None:
    """Each error of the network has its trouble and a sentence."""
    state = brokerlink.explain_error(error, tls=True)

    assert state.trouble is trouble
    assert state.detail
    assert not state.connected


def test_only_a_foreign_certificate_may_be_a_login_page() -> None:
    """A certificate of our CA for another name (62) is our own server's."""
    told = {code: "login page" in brokerlink.explain_error(_verification(code), tls=True).detail for code in (20, 62)}
    assert told == {20: True, 62: False}


def test_a_port_that_is_open_is_not_called_closed() -> None:
    """TCP works and TLS does not get through: that is another fault, with another cure."""
    assert brokerlink.explain_error(TimeoutError(), tls=True, reached=True).trouble is Trouble.NO_TLS
    assert brokerlink.explain_error(TimeoutError(), tls=False, reached=True).trouble is Trouble.UNREACHABLE


def test_every_code_has_words() -> None:
    """Whatever reason code a broker sends, there is a trouble and the code itself in the sentence."""
    for code in range(0x80, 0x100):
        state = brokerlink.explain_code(code)
        assert state.trouble is not Trouble.NONE
        assert f"0x{code:02x}" in state.detail
    assert brokerlink.explain_code(0x8E).trouble is Trouble.TAKEN_OVER
    assert brokerlink.explain_code(0x87).trouble is Trouble.NOT_AUTHORISED


def test_every_trouble_is_documented() -> None:
    """docs/mqtt.md has one row for each code, and no other."""
    page = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| (BRK-\d\d) \|", page, re.MULTILINE)) == set(Trouble) - {Trouble.NONE}


def test_every_topic_is_documented() -> None:
    """The table of docs/mqtt.md and the AsyncAPI document name the same topics that boxes speak on."""
    page = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text(encoding="utf-8")
    channels = schema_check.asyncapi()["channels"].values()

    told = {
        topic.replace("<device>", "{device}")
        for topic in re.findall(r"^\| `(edge-scanner/v1/d/[^`]+)`", page, re.MULTILINE)
    }

    assert told == {channel["address"] for channel in channels if channel["address"].startswith("edge-scanner/v1/d/")}


def test_auto_turns_to_the_older_version_and_back() -> None:
    """The broker says that it has no 5: 3.1.1 at once, and 5 again after it. An end without a word says nothing."""
    versions = Versions("auto")
    seen = []

    for trouble in (Trouble.UNREACHABLE, Trouble.NO_ANSWER, Trouble.OLD_VERSION, Trouble.LOST, Trouble.OLD_VERSION):
        versions.learn(accepted=False, trouble=trouble)
        seen.append((versions.name, versions.turned))
    versions.learn(accepted=True, trouble=Trouble.NONE)
    seen.append((versions.name, versions.turned))

    assert seen == [
        ("5", False), ("5", False), ("3.1.1", True), ("5", False), ("3.1.1", True), ("3.1.1", False),
    ]  # fmt: skip
    assert versions.fell_back
    versions.again()
    assert (versions.name, versions.fell_back) == ("5", False)


@pytest.mark.parametrize("name", ["5", "3.1.1"])
def test_a_chosen_version_stays(name: str) -> None:
    """Without "auto" there is no other version to turn to."""
    versions = Versions(name)

    versions.learn(accepted=False, trouble=Trouble.OLD_VERSION)
    versions.again()

    assert (versions.name, versions.turned, versions.fell_back) == (name, False, False)
