"""The fleet's guide at headquarters (docs/fleet.md): its blocks as they are written, under Debian 12's own systemd.

The first commands, both brokers with their units, a batch, the services that watch and renew the revocation list, what
the authority signed on its way to a box, and that box's revocation. Only the way to the programs differs:
tests/e2e/test_fresh.py runs the guide's own from `make laptop`.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.enrolment.device_id import spelled
from provisioning import certificates
from provisioning.fleet.fleet import open_fleet
from provisioning.inventory import State, open_inventory
from tests.support.booted import booted
from tests.support.debian import ROOT, environment, machine
from tests.support.guides import DOCS, block
from tests.support.provision_cli import root_words
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.booted import Booted
    from tests.support.debian import Machine

pytestmark = pytest.mark.system

HOST = "mqtt.example.vn"
PASSPHRASES = {"EDGE_PROVISION_PASSPHRASE": "mat-khau-thu", "EDGE_PROVISION_BATCH_PASSPHRASE": "mat-khau-cua-lo"}
BROKERS = {"mosquitto.service": 16384, "mosquitto-enrolment.service": 4096}
TEXTFILE = "/var/lib/prometheus/node-exporter/edge.prom"


def _headquarters(target: Machine) -> None:
    """The programs, the fleet's name in the network, the brokers' files of this repository, and a batch's papers."""
    environment(target, "/opt/edge", "laptop.lock", "edge_scanner", "provisioning")
    program = target.path("/usr/local/bin/edge-provision")
    program.write_text("#!/opt/edge/bin/python3\nfrom provisioning.cli import main\nmain()\n")
    program.chmod(0o755)
    target.path("/etc/hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
    home = target.path("/root")
    shutil.copytree(ROOT / "config" / "broker", home / "broker")
    shutil.copy(ROOT / "config" / "sites.example.csv", home / "sites.csv")
    who = parties(time.time())
    for name, content in (
        ("authority-root.pem", who.root_pem),
        ("custodian-root.pem", who.custodian_pem),
        ("recipients-1.json", who.document),
        ("recipients-2.json", replace(who, recipients=replace(who.recipients, version=2)).document),
        ("edge-scanner_1.0.0~rc1_arm64.deb", b"a package"),
    ):
        (home / name).write_bytes(content)
    # A safe is there, and on the broker's host a node exporter that reads a folder.
    target.path("/media/safe").mkdir(parents=True)
    target.path(TEXTFILE).parent.mkdir(parents=True)


def _write_units(target: Machine, begins: str) -> None:
    """The files of a block: each begins with its path as a remark."""
    _, *parts = re.split(r"^# (/etc/systemd/system/\S+)\n", block("fleet.md", begins), flags=re.MULTILINE)
    assert parts
    for place, text in zip(parts[::2], parts[1::2], strict=True):
        target.path(place).write_text(text)


def _run(system: Booted, lines: str, *, place: str = "/root", typed: str = "") -> str:
    """The lines as root types them in a folder, with the passphrases that a script gives."""
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in PASSPHRASES.items())
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    script = f"set -e\nexport HOME=/root PATH={path} LC_ALL=C.UTF-8 COLUMNS=200 {given}\ncd {place}\n{lines}"
    return system.run("sh", "-c", f"printf %s {shlex.quote(typed)} | sh -c {shlex.quote(script)}")


def _say(system: Booted, port: int, folder: str, name: str, topic: str) -> str:
    """A client with the files that `fleet issue` wrote; what the broker answers, "" when it took the message."""
    files = f"--cafile {folder}/ca.pem" + (f" --cert {folder}/{name}.crt --key {folder}/{name}.key" if name else "")
    words = f"mosquitto_pub -V mqttv5 -h {HOST} -p {port} {files} -q 1 -t {topic} -m x"
    return _run(system, f"{words} 2>&1 || echo refused")


def _both_brokers_answer(system: Booted) -> None:
    for unit, files in BROKERS.items():
        system.active(unit)
        assert system.show(unit, "LimitNOFILE")["LimitNOFILE"] == str(files)
    for port, folder, name, topic in (
        (8883, "collector", "fleet-collector", "edge-scanner/v1/w/fleet-collector/day"),
        (8884, "desk", "fleet-enrol", "edge-scanner/v1/enrol/K7MP2R9CX4/cert"),
    ):
        assert _say(system, port, folder, name, topic) == "", system.run("journalctl", "--no-pager", "-n", "30")
        assert "refused" in _say(system, port, folder, "", topic)


def _box(target: Machine) -> str:
    """A box in service, as if its bench had been synced: its id; its files of the broker are in /root/box."""
    fleet = open_fleet(target.path("/root/.local/share/edge-provision/fleet"), PASSPHRASES["EDGE_PROVISION_PASSPHRASE"])
    with open_inventory(fleet.inventory) as inventory:
        device = inventory.boxes()[0].device_id
        holder = certificates.new_client(fleet.issuing, device, unit="device", now_s=time.time(), days=30)
        inventory.keep_certificate(device, holder.certificate_pem, now_s=time.time())
        inventory._db.execute("UPDATE box SET state = ? WHERE device_id = ?", (State.ENROLLED, device))
        inventory._db.commit()
    home = target.path("/root/box")
    home.mkdir()
    shutil.copy(target.path("/root/collector/ca.pem"), home)
    (home / f"{device}.crt").write_bytes(holder.certificate_pem)
    (home / f"{device}.key").write_bytes(holder.key_pem)
    return device


def _hears(system: Booted, device: str) -> None:
    """The box says that it is online with the first set, and listens until its session is ended."""
    topic = f"edge-scanner/v1/d/{device}"
    files = (
        f"--cafile box/ca.pem --cert box/{device}.crt --key box/{device}.key -V mqttv5 -h {HOST} -p 8883 -i {device}"
    )
    says = shlex.quote(json.dumps({"state": "online", "recipients_version": 1}))
    _run(system, f"mosquitto_pub {files} -q 1 -r -t {topic}/up/status -m {says}")
    words = f"exec mosquitto_sub {files} -q 1 -t {topic}/down/cfg > /root/heard"
    _run(system, f"systemd-run --quiet --unit=box --working-directory=/root sh -c {shlex.quote(words)}")
    system.active("box.service")


def _heard(target: Machine, what: bytes) -> None:
    """The listening box has taken it."""
    deadline = time.monotonic() + PATIENCE_S
    while target.path("/root/heard").read_bytes().strip() != what:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _send_and_revoke(system: Booted, target: Machine) -> None:
    """A new set reaches the box, the list shows it behind, and once revoked it is out: what the guide says of it."""
    device = _box(target)
    _hears(system, device)
    lists = _run(system, block("fleet.md", "edge-provision fleet issue fleet-config "))
    _heard(target, target.path("/root/recipients-2.json").read_bytes().strip())
    (row,) = (line for line in lists.splitlines() if spelled(device) in line)
    assert row.rstrip().endswith("1, old")

    example = re.compile("K7MP-2R9C-X4")
    command, said = example.sub(spelled(device), block("fleet.md", "edge-provision fleet revoke ")).splitlines()
    assert _run(system, command) == f"{said}\n"
    assert system.result("box.service")["ActiveState"] != "active"
    assert _say(system, 8883, "box", device, f"edge-scanner/v1/d/{device}/up/status") != ""


def test_headquarters_by_the_guide(tmp_path: Path) -> None:
    """A fleet is begun, brokers take its clients only, a batch is trusted, the lists renew themselves."""
    with machine(tmp_path, "broker") as debian:
        _headquarters(debian)
        _write_units(debian, "# /etc/systemd/system/mosquitto-enrolment.service")
        trusted = debian.path("/etc/mosquitto/enrolment/ca.pem")
        with booted(debian, tmp_path, network=False) as system:
            _run(system, block("fleet.md", "edge-provision fleet new "))
            assert list(debian.path("/media/safe/offline").iterdir())
            _run(system, block("fleet.md", "install -d /etc/mosquitto/edge "), place="/root/broker")
            _both_brokers_answer(system)

            before = trusted.read_text().count("BEGIN CERTIFICATE")
            _, authority, _, custodian = root_words(
                *(debian.path(f"/root/{of}-root.pem") for of in ("authority", "custodian"))
            )
            _run(system, block("fleet.md", "edge-provision batch new "), typed=f"{authority}\n{custodian}\n")
            assert trusted.read_text().count("BEGIN CERTIFICATE") == before + 1
            _both_brokers_answer(system)

            _write_units(debian, "# /etc/systemd/system/edge-fleet-status.service")
            secret = debian.path("/etc/edge-fleet.env")
            secret.touch(mode=0o600)
            secret.write_text(f"EDGE_PROVISION_PASSPHRASE={PASSPHRASES['EDGE_PROVISION_PASSPHRASE']}\n")
            (line,) = re.findall(r"`(systemctl enable --now edge-fleet[^`]*)`", (DOCS / "fleet.md").read_text())
            _run(system, f"systemctl daemon-reload\n{line}")
            for service in ("edge-fleet-status.service", "edge-fleet-publish.service"):
                system.active(service.replace(".service", ".timer"))
                system.run("systemctl", "start", service, check=False)
                said = system.run("journalctl", "--no-pager", "-o", "cat", "-u", service)
                assert system.result(service)["Result"] == "success", said
            assert debian.path(TEXTFILE).read_text()
            _both_brokers_answer(system)

            _send_and_revoke(system, debian)
            _both_brokers_answer(system)
