"""The installed box under Debian's own systemd: ready, examined, weakened, killed, upgraded, stopped.

Its MQTT key is one of systemd's encrypted credentials, as docs/fleet.md has it; real mosquitto with client certificates
says whether the daemon has it. Memory and processor limits need a control group of version 2 and may not be in force on
the machine that runs this; everything else of the units is.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from provisioning.bench import card
from provisioning.inventory import open_inventory
from tests.support.booted import booted
from tests.support.debian import build, machine, source
from tests.support.fleet import workshop
from tests.support.guides import block
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.booted import Booted
    from tests.support.debian import Machine

pytestmark = pytest.mark.system

SCANNER = "edge-scanner.service"
KIOSK = "edge-scanner-kiosk.service"
STATE = "/var/lib/edge-scanner"
PIN = "/etc/edge-scanner/ops-pin"
SETTINGS = "/etc/edge-scanner/scanner.toml"
SEALED = "/etc/credstore.encrypted/edge-scanner.mqtt.key"
SEALING = block("fleet.md", "install -d -m 700 /etc/credstore.encrypted")
(CREDENTIAL,) = re.findall(r'^# scanner.toml.*: \[mqtt\] key = "(.*)"$', SEALING, re.MULTILINE)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Lets in whoever has a certificate of its authority and the key to it."""
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker", listen="mutual") as running:
        yield running


def _furnish(target: Machine, folder: Path, broker: Mosquitto) -> str:
    """Enrol the box from a card, then give it `broker` and a certificate that is not yet due; its id."""
    (folder / "shop").mkdir()
    package = folder / "edge-scanner_1.0.0~rc1_arm64.deb"
    package.write_bytes(b"installed already")
    shop = workshop(folder / "shop", software=(package,))
    with open_inventory(folder / "laptop.db") as inventory:
        row = card.write_card(
            shop.batch, inventory, target.path("/card"), signer=shop.fleet.signer.public_key(), now_s=time.time()
        )
    target.run("edge-scanner", "enrol", "--card", f"/card/{card.FOLDER}", "--no-self-test")
    target.run("chown", "-R", "edge-scanner:", "/etc/edge-scanner", STATE)
    files = broker.authority.issue(row.device_id, valid_to=dt.timedelta(days=300))
    # Over the box's own files, whose owners and modes stay.
    for file, place in (
        (broker.authority.file, "/etc/edge-scanner/broker-ca.pem"),
        (files.certificate, f"{STATE}/mqtt.crt"),
        (files.key, f"{STATE}/mqtt.key"),
    ):
        shutil.copyfile(file, target.path(place))
    settings = target.path(SETTINGS)
    text = settings.read_text().replace('host = "mqtt.example.vn"', 'host = "127.0.0.1"')
    text = text.replace("port = 8883", f"port = {broker.port}").replace(f"{STATE}/mqtt.key", CREDENTIAL)
    settings.write_text(text)
    return row.device_id


def _seal(target: Machine, system: Booted) -> None:
    """What docs/fleet.md tells an operator to do with the key, line by line; its remark is what `_furnish` set."""
    for line in SEALING.splitlines():
        examined = line.endswith("edge-scanner doctor")
        # There is no adapter: a fault, which is exit code 2.
        said = system.run("sh", "-c", line, check=not examined)
        assert "RAD-" in said or not examined, said
    assert not target.path(f"{STATE}/mqtt.key").exists()
    assert target.path(SEALED).parent.stat().st_mode & 0o777 == 0o700


def _findings(told: str) -> dict[str, str]:
    """Code (or verdict where there is none) of each line of the doctor's JSON."""
    return {line["check"]: line["code"] or line["verdict"] for line in json.loads(told)["findings"]}


def _doctor(system: Booted, *before: str) -> dict[str, str]:
    """What the doctor finds; `before` is whose eyes it has."""
    return _findings(system.run(*before, "edge-scanner", "doctor", "--json", check=False))


def _probing_doctor(system: Booted) -> dict[str, str]:
    """As docs/fleet.md has it for a stopped scanner, with which the sealed key has gone."""
    command = block("fleet.md", "systemd-run --pipe").rstrip()
    return _findings(system.run("sh", "-c", f"{command} --json", check=False))


def _confined_doctor(target: Machine, system: Booted) -> dict[str, str]:
    """The doctor in the sandbox of installation day's unit, which runs it on a new box."""
    lines = target.path("/usr/lib/systemd/system/edge-scanner-enrol.service").read_text().splitlines()
    out = "/var/lib/edge-scanner/doctor.json"
    unit = [line for line in lines if not line.startswith(("ExecStart", "Condition", "Wants=", "Restart", "Standard"))]
    place = unit.index("[Service]") + 1
    unit[place:place] = [
        "ExecStart=/opt/edge-scanner/bin/edge-scanner doctor --json",
        "SuccessExitStatus=1 2",  # the doctor's own codes for a warning and a fault
        f"StandardOutput=truncate:{out}",
    ]
    target.path("/etc/systemd/system/confined-doctor.service").write_text("\n".join(unit))
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", "confined-doctor.service")
    return _findings(target.path(out).read_text())


def _weakened_doctor(target: Machine, system: Booted) -> dict[str, str]:
    """The doctor while a drop-in takes a wall out of the scanner's sandbox."""
    weak = target.path(f"/etc/systemd/system/{SCANNER}.d/weak.conf")
    weak.parent.mkdir()
    weak.write_text("[Service]\nPrivateDevices=no\n")
    system.run("systemctl", "daemon-reload")
    found = _doctor(system)
    weak.unlink()
    system.run("systemctl", "daemon-reload")
    return found


def _filesystem_of_bluetoothd(target: Machine, system: Booted) -> str:
    """Where Debian's bluetooth.service with our drop-in writes; without an adapter the unit would not start."""
    folder = target.path("/etc/systemd/system/bluetooth.service.d")
    folder.mkdir()
    kept = "cp /proc/self/mountinfo /var/lib/bluetooth/noted && cat /var/lib/bluetooth/noted"
    (folder / "shown.conf").write_text(
        "[Unit]\nConditionPathIsDirectory=\n[Service]\nType=oneshot\nBusName=\nNotifyAccess=none\nLimitNPROC=infinity\n"
        f"ExecStart=\nExecStart=/bin/sh -c '{kept}'\n"
    )
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", "bluetooth.service")
    noted = system.run("journalctl", "-u", "bluetooth.service", "-o", "cat")
    assert not target.path("/var/lib/bluetooth/noted").exists()
    mounted = [line.split() for line in noted.splitlines() if " /var/lib/bluetooth " in line]
    return mounted[-1][mounted[-1].index("-") + 1]


def _asked_for_operators(system: Booted) -> int:
    """What the page answers at /ops: 401 asks for the PIN, 503 has none."""
    asked = "import sys,urllib.error,urllib.request as u\ntry: u.urlopen('http://127.0.0.1:8080/ops')\n"
    return int(system.run("python3", "-c", f"{asked}except urllib.error.HTTPError as error: print(error.code)"))


def _restart_kiosk(system: Booted) -> None:
    """Again and again: systemd allows five starts in ten seconds, and a quick machine makes six."""
    system.run("systemctl", "reset-failed", KIOSK)
    system.run("systemctl", "restart", KIOSK)


def _pin_is_a_credential(target: Machine, system: Booted) -> None:
    """The page has the hash without a right to its file, and goes on without one; nobody follows a link as root."""
    pin, given = target.path(PIN), f"/run/credentials/{KIOSK}/ops-pin"
    assert pin.stat().st_mode & 0o777 == 0o600
    assert system.run("cat", given) == pin.read_text()
    assert system.run("stat", "--format=%a %U", given).split()[1] in {"edge-kiosk", "root"}
    system.run("runuser", "-u", "edge-kiosk", "--", "test", "!", "-r", PIN)
    assert _asked_for_operators(system) == 401

    kept = pin.read_text()
    pin.unlink()
    for instead in ("true", f"ln -s /etc/shadow {PIN}", f"rm {PIN}; mkfifo {PIN}", f"rm {PIN}; echo rubbish > {PIN}"):
        system.run("/bin/sh", "-c", instead)
        _restart_kiosk(system)
        system.active(KIOSK)
        assert _asked_for_operators(system) == 503, instead
        assert system.run("cat", "/run/credstore/edge-scanner.ops-pin") == "", instead
    pin.write_text(kept)
    system.run("chown", "edge-scanner:", PIN)
    system.run("chmod", "600", PIN)
    _restart_kiosk(system)
    assert _asked_for_operators(system) == 401


def _remembers_nothing(system: Booted) -> None:
    """What the scanner hears cannot go to swap, and what it frees is overwritten."""
    pid = system.run("systemctl", "show", "--value", "--property=MainPID", SCANNER).strip()
    locked = re.search(r"^VmLck:\s+[1-9]\d{4,} kB$", system.run("cat", f"/proc/{pid}/status"), re.MULTILINE)
    # In a container systemd may not raise the limit, which its process 1 has too, and the kernel locks nothing.
    limit = re.search(r"^Max locked memory +(\S+)", system.run("cat", f"/proc/{pid}/limits"), re.MULTILINE)
    assert limit
    assert bool(locked) == (limit[1] == "unlimited")
    # glibc ends each setting in place while it reads them.
    told = system.run("cat", f"/proc/{pid}/environ").replace("\0", ":")
    assert "PYTHONMALLOC=malloc:" in told
    assert "GLIBC_TUNABLES=glibc.malloc.perturb=165:glibc.malloc.tcache_count=0:" in told


def _reached(broker: Mosquitto, device_id: str, times: int) -> None:
    """Wait until the broker has let the box in so often, by the name in its certificate."""
    deadline, words = time.monotonic() + PATIENCE_S, f"as {device_id} ("
    while sum(words in line and "connected" in line for line in broker.log.read_text().splitlines()) < times:
        assert time.monotonic() < deadline, broker.log.read_text()[-2000:]
        time.sleep(0.2)


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_the_box_under_systemd(tmp_path: Path, broker: Mosquitto, release: str) -> None:
    """One life: key sealed, ready, examined by three, weakened, killed, upgraded with the kiosk off, stopped."""
    package = build(source(tmp_path / "source"), tmp_path)
    with machine(tmp_path, release) as debian:
        debian.install(package)
        shutil.copy(package, debian.path("/root"))
        device_id = _furnish(debian, tmp_path, broker)
        with booted(debian, tmp_path) as system:
            _seal(debian, system)
            # Returns when the daemon has said READY: the unit is Type=notify. There is no adapter; it waits for one.
            system.run("systemctl", "start", SCANNER, KIOSK, "edge-scanner-renew.timer")
            for unit in (SCANNER, KIOSK, "edge-scanner-renew.timer"):
                system.active(unit)
            _remembers_nothing(system)
            _pin_is_a_credential(debian, system)
            _reached(broker, device_id, 1)
            system.run("systemctl", "start", "edge-scanner-renew.service")
            assert system.result("edge-scanner-renew.service")["ExecMainStatus"] == "0"
            assert "nothing to do" in system.run("journalctl", "-u", "edge-scanner-renew.service", "-o", "cat")

            for found in (
                _doctor(system),
                _doctor(system, "runuser", "-u", "edge-scanner", "--"),
            ):
                wanted = ("unit", "hardening", "secrets", "certificate", "tls", "mqtt")
                assert [found[check] for check in wanted] == ["PASS"] * len(wanted), found
                # Not probed: that would have thrown the scanner off, and the broker would have seen it twice.
                assert (found["acl"], found["adapter"]) == ("SKIP", "RAD-06")
            # No other unit sees the scanner's credential: from there the key is missing, the rest is as it is.
            found = _confined_doctor(debian, system)
            assert (found["unit"], found["hardening"], found["storage"]) == ("PASS", "PASS", "STO-04"), found

            found = _weakened_doctor(debian, system)
            assert (found["hardening"], found["unit"]) == ("UNT-02", "PASS")

            assert _filesystem_of_bluetoothd(debian, system) == "tmpfs"

            said = system.run("journalctl", "-u", SCANNER, "-o", "cat")
            assert ("bluetoothd absent" in said, "D-Bus unreachable" in said) == (True, False)
            first = system.show(SCANNER, "MainPID")["MainPID"]
            system.run("systemctl", "kill", "--signal=KILL", SCANNER)
            _reached(broker, device_id, 2)
            system.active(SCANNER)
            second = system.show(SCANNER, "MainPID")["MainPID"]
            assert second != first

            system.run("systemctl", "disable", "--now", KIOSK)
            system.run("dpkg", "--install", f"/root/{package.name}")
            _reached(broker, device_id, 3)
            system.active(SCANNER)
            assert system.show(SCANNER, "MainPID")["MainPID"] not in {second, "0"}
            assert system.show(KIOSK, "ActiveState")["ActiveState"] == "inactive"

            # A service that systemd had to kill after TimeoutStopSec would have another result.
            system.run("systemctl", "stop", SCANNER)
            assert system.show(SCANNER, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
            without, given = _doctor(system), _probing_doctor(system)
            assert (without["unit"], without["tls"]) == ("UNT-01", "BRK-13")
            assert (given["tls"], given["mqtt"], given["acl"]) == ("PASS", "PASS", "BRK-21"), given
            assert json.loads(system.run("edge-scanner", "log", "verify", "--json"))["holds"]
