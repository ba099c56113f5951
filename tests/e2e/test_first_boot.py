"""A card of `edge-provision card` in a box: Debian 13's own cloud-init runs it, under Debian's own systemd.

The package on the card is the one for this machine, under the Pi's name: dpkg looks inside. No network in any case.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from provisioning.bench import card
from provisioning.inventory import open_inventory
from tests.support.booted import booted
from tests.support.debian import build, machine, source
from tests.support.fleet import workshop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.debian import Machine
    from tests.support.fleet import Workshop

pytestmark = pytest.mark.system

BOOT = "/boot/firmware"
SCRIPT = f"{BOOT}/{card.FOLDER}/first-boot.sh"
RASPBERRY_PI = "datasource_list: [NoCloud, None]\ndatasource: {NoCloud: {seedfrom: 'file:///boot/firmware'}}\n"
"""Where a Raspberry Pi OS (trixie) tells its cloud-init to look."""
ASKED = "/var/lib/asked"
WIZARD = f"""\
[Unit]
After=systemd-user-sessions.service
[Service]
Type=oneshot
ExecStart=/usr/bin/touch {ASKED}
[Install]
WantedBy=multi-user.target
"""
"""Enabled and ordered as Raspberry Pi OS has its wizard for a first account."""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop an@hcm"
"""Made up: nobody has its private half."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A batch with the package of this work tree."""
    folder = tmp_path_factory.mktemp("shop")
    package = build(source(folder / "source"), folder)
    renamed = package.rename(package.with_name(package.name.replace("_amd64", "_arm64")))
    return workshop(folder, software=(renamed,))


def _insert(target: Machine, shop: Workshop) -> str:
    """Write a card into the machine's boot partition; the box's id."""
    boot = target.path(BOOT)
    boot.mkdir(parents=True)
    with open_inventory(shop.folder / "laptop.db") as inventory:
        signer = shop.fleet.signer.public_key()
        row = card.write_card(shop.batch, inventory, boot, signer=signer, now_s=time.time(), ssh_key=KEY)
    target.path("/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg").write_text(RASPBERRY_PI)
    target.path(f"/usr/lib/systemd/system/{card.WIZARD}").write_text(WIZARD)
    target.run("systemctl", "enable", card.WIZARD)
    return row.device_id


def _kept(target: Machine) -> dict[str, tuple[bytes, int]]:
    """Content and owner of what installation leaves; the running scanner's database is not of it."""
    return {
        str(path): (path.read_bytes(), path.stat().st_uid)
        for place in ("/etc/edge-scanner", "/var/lib/edge-scanner")
        for path in target.path(place).iterdir()
        if path.suffix in {".pem", ".pub", ".json", ".toml", ".key", ".crt"}
    }


def test_the_card_makes_the_box_at_its_first_start(shop: Workshop, tmp_path: Path) -> None:
    """Both files are cloud-init's; its final stage installs, enrols and starts; a second run changes nothing."""
    with machine(tmp_path, "trixie") as pi:
        device_id = _insert(pi, shop)
        for kind, name in (("cloud-config", "user-data"), ("network-config", "network-config")):
            pi.offline("cloud-init", "schema", "--schema-type", kind, "--config-file", f"{BOOT}/{name}")

        with booted(pi, tmp_path, network=False) as system:
            system.run("systemctl", "start", "multi-user.target", "cloud-init.target")
            done = json.loads(system.run("cloud-init", "status", "--wait", "--format=json", check=False))
            assert (done["status"], done["errors"], done["detail"][:19]) == ("done", [], "DataSourceNoCloud [")
            assert system.run("hostname").strip() == f"edge-{device_id.lower()}"
            for unit in ("edge-scanner.service", "edge-scanner-kiosk.service", "edge-scanner-renew.timer"):
                system.active(unit)
            # Started by dpkg, it would look for a bench for a minute and hold the scanner back.
            assert system.show("edge-scanner-enrol.service", "ConditionResult", "ActiveState") == {
                "ConditionResult": "no",
                "ActiveState": "inactive",
            }
            assert system.run("systemctl", "is-system-running", "--wait", check=False).strip() == "running"
            examined = json.loads(system.run("edge-scanner", "doctor", "--json", check=False))
            found = {line["check"]: line["code"] or line["verdict"] for line in examined["findings"]}
            assert (found["unit"], found["hardening"], found["certificate"]) == ("PASS", "PASS", "CRT-03")

            first = _kept(pi)
            system.run("sh", SCRIPT)
            assert _kept(pi) == first
            system.active("edge-scanner.service")

        assert KEY in pi.path("/home/fleet/.ssh/authorized_keys").read_text()
        assert "fleet:!" in pi.path("/etc/shadow").read_text()
        assert not pi.path(ASKED).exists()
        state = pi.path("/var/lib/edge-scanner")
        assert f'id = "{device_id}"' in pi.path("/etc/edge-scanner/scanner.toml").read_text()
        assert not pi.path(f"{BOOT}/{card.FOLDER}/mqtt.key").exists()
        assert {"identity.key", "mqtt.key", "mqtt.crt", "assignment.json"} <= {path.name for path in state.iterdir()}
        assert {owner for _content, owner in first.values()} == {state.stat().st_uid} != {0}
        assert {path.stat().st_mode & 0o077 for path in state.iterdir() if path.is_file()} == {0}


def test_the_card_works_where_systemd_does_not_run(shop: Workshop, tmp_path: Path) -> None:
    """In a chroot, as an image builder has it: installed and enrolled twice alike, and nothing is started."""
    with machine(tmp_path, "trixie") as pi:
        _insert(pi, shop)
        pi.offline("sh", SCRIPT)
        first = _kept(pi)
        pi.offline("sh", SCRIPT)

        assert _kept(pi) == first
        assert not pi.path("/var/lib/edge-scanner/log.db").exists()
