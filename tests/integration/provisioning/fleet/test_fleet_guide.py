"""The fleet operator's guide: its commands of edge-provision run as they stand, in their order, on one machine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from provisioning.inventory import open_inventory
from tests.support.provision_cli import ENVIRONMENT, PROVISION, root_words
from tests.support.recipients import parties

ROOT = Path(__file__).parents[4]
GUIDE = ROOT / "docs" / "fleet.md"
AT_A_BROKER = ("fleet revoke", "fleet send", "fleet list --files")
"""What asks a running broker: tests/e2e/test_fleet_brokers.py runs these as they are written."""


def _commands() -> list[str]:
    """Each command of the fenced blocks, its continued lines joined, without what is not ours."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    return re.findall(r"^(edge-provision .*)$", re.sub(r"\\\n\s*", "", blocks), re.MULTILINE)


def _words(command: str, machine: Path) -> list[str]:
    """The words of one command, its paths below `machine`; test_fleet_brokers.py runs the brokers' under systemd."""
    words = shlex.split(command.partition(" && ")[0], comments=True)[1:]
    words = [str(machine) + word if word.startswith(("/etc/", "/mnt/")) else word for word in words]
    if words[:2] == ["fleet", "publish"]:
        words[words.index("--reload") + 1] = "true"
        words += ["--broker-dir", str(machine / "etc/mosquitto/edge")]
    return words


def test_the_guide_s_commands_run_as_they_are_written(tmp_path: Path) -> None:
    """From `fleet new` to the list for an authority: every command of the guide that needs no broker ends with 0."""
    who = parties(time.time())
    for name, content in (
        ("authority-root.pem", who.root_pem),
        ("custodian-root.pem", who.custodian_pem),
        ("recipients-1.json", who.document),
        ("edge-scanner_1.0.0~rc1_arm64.deb", b"a package"),
    ):
        (tmp_path / name).write_bytes(content)
    shutil.copy(ROOT / "config" / "sites.example.csv", tmp_path / "sites.csv")
    for folder in ("etc/mosquitto/edge", "etc/mosquitto/enrolment", "mnt/etc/edge-scanner"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "config" / "broker" / "acl", tmp_path / "etc/mosquitto/edge/acl")
    commands = _commands()
    ran = [command for command in commands if not command.removeprefix("edge-provision ").startswith(AT_A_BROKER)]
    assert len(ran) >= 10

    _, authority, _, custodian = root_words(tmp_path / "authority-root.pem", tmp_path / "custodian-root.pem")

    for command in ran:
        told = f"{authority}\n{custodian}\n" if command.startswith("edge-provision batch new") else ""
        done = subprocess.run(
            [*PROVISION, *_words(command, tmp_path)],
            input=told, capture_output=True, text=True, check=False, cwd=tmp_path,
            env=ENVIRONMENT | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    fleet = tmp_path / ".local/share/edge-provision/fleet"
    with open_inventory(fleet / "inventory.db") as inventory:
        assert len(inventory.boxes()) == 50
    assert (tmp_path / "mnt/etc/edge-scanner/enrol.secret").exists()
    assert (tmp_path / "etc/mosquitto/edge/crl.pem").exists()
    assert (tmp_path / "boxes.csv.sig").exists()


@pytest.mark.parametrize(
    ("settings", "unit"), [("mosquitto.conf", "mosquitto.service.d"), ("enrolment.conf", "mosquitto-enrolment.service")]
)
def test_each_broker_may_open_a_file_for_every_box(settings: str, unit: str) -> None:
    """The guide's units allow more files than their broker takes connections: systemd's limit is 1,024."""
    connections = re.search(
        r"^max_connections (\d+)", (ROOT / "config" / "broker" / settings).read_text(), re.MULTILINE
    )
    guide = GUIDE.read_text(encoding="utf-8")
    files = re.search(r"LimitNOFILE=(\d+)", guide[guide.index(f"{unit}\n") :])

    assert connections
    assert files
    assert int(files[1]) > int(connections[1])
