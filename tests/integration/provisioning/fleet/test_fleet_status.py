"""`edge-provision fleet status` as a timer runs it: what it says and ends with, and that its alarm is a true one."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import Trouble
from provisioning import certificates
from tests.support import centre
from tests.support.fleet import PASSPHRASE, Workshop, workshop
from tests.support.installed import program
from tests.support.mosquitto import read_again
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.centre import ShippedBroker

DAY = 86400
HOUR = 3600
LIFE_DAYS = 35
"""docs/fleet.md: so long a list lives."""
GUIDE = Path(__file__).parents[4] / "docs" / "fleet.md"
INSTALLED = "/usr/local/bin/edge-provision"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A fleet with a batch of five."""
    return workshop(tmp_path)


def _command(shop: Workshop, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """As the timer runs it: without a terminal, and for `status` without a passphrase."""
    passphrase = {} if command[0] == "status" else {"EDGE_PROVISION_PASSPHRASE": PASSPHRASE}
    return subprocess.run(
        [sys.executable, "-m", "provisioning.cli", "fleet", *map(str, command), "--fleet", str(shop.fleet.folder)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "EDGE_PROVISION_PASSPHRASE"} | passphrase,
    )


def _files(shop: Workshop, folder: Path, *, made_s_ago: float, revoked: int = 0) -> Path:
    """The broker's folder with a list of that age."""
    folder.mkdir(exist_ok=True)
    (folder / "acl").write_text((centre.CONFIG / "acl").read_text())
    made_s = time.time() - made_s_ago
    entries = [certificates.Revoked(serial=number + 1, at_s=made_s) for number in range(revoked)]
    (folder / "crl.pem").write_bytes(certificates.revocation_list(shop.fleet.issuing, entries, number=7, now_s=made_s))
    return folder


@pytest.mark.parametrize(
    ("age_s", "code", "word"),
    [
        (0, 0, "35.0 days left\n"),
        ((LIFE_DAYS - 14) * DAY - HOUR, 0, "14.0 days left\n"),
        ((LIFE_DAYS - 14) * DAY + HOUR, 1, "14.0 days left; run edge-provision fleet publish\n"),
        (LIFE_DAYS * DAY - HOUR, 1, "0.0 days left; run edge-provision fleet publish\n"),
        (LIFE_DAYS * DAY + HOUR, 2, "-0.0 days left: ENDED, the broker lets no box in; "),
        (90 * DAY, 2, "-55.0 days left: ENDED, "),
    ],
)
def test_exit_code_and_sentence(shop: Workshop, tmp_path: Path, age_s: float, code: int, word: str) -> None:
    """0 well, 1 from less than fourteen days on, 2 once the list has ended; the sentence says what to do."""
    folder = _files(shop, tmp_path / "edge", made_s_ago=age_s, revoked=3)

    done = _command(shop, "status", "--broker-dir", folder)

    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("revocation list: 3 revoked, 0 silenced, ")
    assert word in done.stdout


def _json(shop: Workshop, folder: Path, *options: str | Path) -> tuple[int, dict[str, Any]]:
    done = _command(shop, "status", "--broker-dir", folder, "--json", *options)
    return done.returncode, json.loads(done.stdout)


def test_json_and_metrics_say_the_same(shop: Workshop, tmp_path: Path) -> None:
    """For programs: one document whose `exit` is the exit code, and the gauge that the alarm rules watch."""
    folder = _files(shop, tmp_path / "edge", made_s_ago=30 * DAY, revoked=2)

    code, document = _json(shop, folder, "--textfile", tmp_path / "edge.prom")

    metrics = dict(line.rsplit(" ", 1) for line in (tmp_path / "edge.prom").read_text().splitlines())
    assert (code, document["exit"], document["revoked"], document["silenced"]) == (1, 1, 2, 0)
    assert abs(document["crl_expires_s"] - 5 * DAY) < 120
    assert abs(int(metrics["edge_scanner_fleet_crl_expiry_seconds"]) - document["crl_expires_s"]) <= 1
    assert abs(int(metrics["edge_scanner_fleet_status_time_seconds"]) - time.time()) < 120
    assert metrics["edge_scanner_fleet_revoked_certificates"] == "2"


def test_files_that_cannot_be_read_are_no_good_news(shop: Workshop, tmp_path: Path) -> None:
    """Without a list, and with one that is none, the command fails with a code of its own and one line."""
    folder = _files(shop, tmp_path / "edge", made_s_ago=0)
    (folder / "crl.pem").write_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    broken = _command(shop, "status", "--broker-dir", folder)
    absent = _command(shop, "status", "--broker-dir", tmp_path / "nowhere", "--json")

    assert (broken.returncode, broken.stderr.count("\n")) == (65, 1)
    assert (absent.returncode, absent.stderr.count("\n"), absent.stdout) == (74, 1, "")


def _guide_units() -> dict[str, str]:
    """The units of publish and status that the guide prints, by file name."""
    printed = re.findall(
        r"^# /etc/systemd/system/(edge-fleet-\S+)\n(.*?)(?=^# /|^```)", GUIDE.read_text(), re.DOTALL | re.MULTILINE
    )
    return dict(printed)


def test_systemd_understands_the_units_of_the_guide(tmp_path: Path) -> None:
    """Typed in as they are printed, two services and their timers give no warning."""
    units = _guide_units()
    for name, text in units.items():
        (tmp_path / name).write_text(text.replace(INSTALLED, sys.executable))

    done = subprocess.run(
        [program("systemd-analyze"), "verify", *(str(tmp_path / name) for name in units)],
        capture_output=True,
        text=True,
        check=False,
    )

    wanted = {f"edge-fleet-{what}.{kind}" for what in ("status", "publish") for kind in ("service", "timer")}
    assert set(units) == wanted
    assert [line for line in done.stderr.splitlines() if "edge-fleet" in line] == []


def test_commands_of_the_guide_do_what_it_says(shop: Workshop, tmp_path: Path) -> None:
    """The two services' own lines, with the places of this test: a list is written, and its age told to Prometheus."""
    folder = _files(shop, tmp_path / "edge", made_s_ago=36 * DAY)
    textfile = tmp_path / "edge.prom"
    told = []
    for what, more in (("publish", ["--reload", "true"]), ("status", ["--textfile", str(textfile)])):
        (line,) = re.findall(r"^ExecStart=(.+)$", _guide_units()[f"edge-fleet-{what}.service"], re.MULTILINE)
        program, fleet, *command = shlex.split(line)
        assert (program, fleet) == (INSTALLED, "fleet")
        told.append(_command(shop, *command, *more, "--broker-dir", folder))

    assert [(done.returncode, done.stderr) for done in told] == [(0, ""), (0, "")]
    assert "edge_scanner_fleet_crl_expiry_seconds 30" in textfile.read_text()


async def _comes_in(middle: ShippedBroker, name: str) -> Trouble:
    """Whether a box gets in: NONE, or why not."""
    async with open_broker(middle.client(name), client_id=name) as broker:
        # A machine that is too busy to shake hands says nothing about the broker.
        busy = {Trouble.NONE, Trouble.UNREACHABLE}
        await eventually(lambda: broker.is_connected or broker.state.trouble not in busy)
        return Trouble.NONE if broker.is_connected else broker.state.trouble


async def test_the_alarm_is_true_and_mended_by_publish(shop: Workshop, tmp_path: Path) -> None:
    """Real mosquitto refuses every box under an ended list and `status` ends with 2; `publish` lets them in again."""
    box = shop.batch.manifest.ids[0]
    with centre.central(tmp_path / "centre", shop.fleet) as middle:
        assert _json(shop, middle.folder)[0] == 0
        assert await _comes_in(middle, box) is Trouble.NONE

        _files(shop, middle.folder, made_s_ago=36 * DAY)
        middle.restart()
        code, document = _json(shop, middle.folder)
        refused = await _comes_in(middle, box)
        assert (code, document["exit"], refused) == (2, 2, Trouble.CERTIFICATE_REFUSED)
        assert document["crl_expires_s"] < 0

        (tmp_path / "pid").write_text(str(middle.pid))
        with read_again(middle.log):
            published = _command(shop, "publish", "--broker-dir", middle.folder, "--pid-file", tmp_path / "pid")
            assert published.returncode == 0, published.stderr
        assert (await _comes_in(middle, box), _json(shop, middle.folder)[0]) == (Trouble.NONE, 0)
