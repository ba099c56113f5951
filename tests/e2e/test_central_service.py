"""The guide of the centre (docs/central.md) on a clean Debian under its own systemd, its commands as they are written.

The broker is a real mosquitto with the shipped configuration on this machine, whose network the tree shares.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import signed_time
from edge_scanner.mqtt.broker import open_broker
from provisioning.fleet import time_key
from tests.support.booted import booted
from tests.support.box_client import connected
from tests.support.box_lists import FLEET_KEY
from tests.support.collecting import BROKER, NAME, Centre
from tests.support.debian import ROOT, environment, machine
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.publishing import Publisher
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.booted import Booted
    from tests.support.debian import Machine

pytestmark = pytest.mark.system

GUIDE = ROOT / "docs" / "central.md"
HOME, SOURCE, ETC = "/opt/edge-central", "/usr/src/edge-scanner", "/etc/edge-central"
BOX = "K7MP2R9CX4"
UNITS = ("edge-central-collect.service", "edge-central-serve.service")
TIME = "edge-central-time.service"
PASSWORD = "bon tu de nho thoi"
ELSEWHERE = ("edge-provision ", "python3 -m venv ", f"{HOME}/bin/pip ", "cp -r central/", "ln -s ")
"""What the fleet guide's test and test_fresh.py run."""


def _commands() -> list[str]:
    """The lines of the guide's fenced blocks, and the evidence that its text shows, without comments."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    lines = [line.partition("  #")[0].partition("   #")[0].strip() for line in blocks.splitlines()]
    shown = re.search(r"`(edge-central evidence [^`]*)`", text)
    assert shown is not None
    return [line.partition(" #")[0].strip() for line in lines if line] + [shown[1]]


def _install(target: Machine) -> None:
    """The wheels of packaging/locks/central.lock and the package itself, at /opt/edge-central."""
    environment(target, HOME, "central.lock", "edge_scanner")
    program = target.path(f"{HOME}/bin/edge-central")
    program.write_text(f"#!{HOME}/bin/python3\nfrom edge_scanner.central.cli import main\nmain()\n")
    program.chmod(0o755)
    for name in ("systemd", "config"):
        shutil.copytree(ROOT / name, target.path(f"{SOURCE}/{name}"))


def _furnish(target: Machine, centre: Centre, port: int) -> None:
    """/etc/edge-central: settings of the shipped file with this broker, certificates, the signed list, a time key."""
    folder = target.path(ETC)
    folder.mkdir()
    for client in (NAME, "fleet-time"):
        link = centre.broker.settings(client=client)
        for source, name in ((link.ca, "ca.pem"), (link.certificate, f"{client}.crt"), (link.key, f"{client}.key")):
            assert source is not None
            shutil.copyfile(source, folder / name)
            (folder / name).chmod(0o600)
    time_key.make(FLEET_KEY, folder / "time-key", days=400, now_s=time.time())
    for file in (*centre.folder.glob("boxes.csv*"), centre.folder / "fleet.pub"):
        shutil.copy(file, folder)
    text = (ROOT / "config" / "central.toml").read_text(encoding="utf-8")
    text = text.replace('host = ""', 'host = "127.0.0.1"', 1).replace("port = 8883", f"port = {link.port}")
    (folder / "central.toml").write_text(text.replace("port = 8090", f"port = {port}"))


def _follow_the_guide(system: Booted, commands: list[str]) -> None:
    """Run each command as it stands."""
    for command in commands:
        place = SOURCE if command.startswith("cp ") else ETC
        said = f"printf '%s\\n%s\\n' '{PASSWORD}' '{PASSWORD}' | " if " user " in command else ""
        line = f"cd {place} && PATH=$PATH:{HOME}/bin && {said}{command}"
        system.run("sh", "-c", line)


def _until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


def _healthy(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        return bool(answer.read().strip() == b"ok")
    return False


async def _publish(broker: Mosquitto, box: Publisher) -> None:
    async with open_broker(broker.settings(client=BOX), client_id=BOX) as link:
        await connected(link)
        for message in box.said:
            assert await link.publish(message) in {0, 16}


async def _told(broker: Mosquitto) -> int:
    """The signed time that a box finds at the broker."""
    async with open_broker(broker.settings(client=BOX), client_id=BOX) as link:
        await connected(link)
        await link.subscribe(signed_time.topic(BOX))
        async with asyncio.timeout(PATIENCE_S):
            return signed_time.read((await anext(link.messages())).payload, FLEET_KEY.public_key())


def test_the_guide_on_a_machine_of_its_own(tmp_path: Path) -> None:
    """A message arrives, the page answers, a box hears the time; who is killed comes back, who is misconfigured not."""
    now_s = int(time.time()) // 3600 * 3600 - 3 * 3600
    box, port = Publisher(BOX, start_s=now_s), free_port()
    (tmp_path / "broker").mkdir()
    config = (BROKER / "mosquitto.conf").read_text()
    with Mosquitto(tmp_path / "broker", listen="mutual", config=config) as broker, machine(tmp_path) as debian:
        broker.set_acl((BROKER / "acl").read_text())
        centre = Centre(tmp_path / "broker", broker, [box])
        _install(debian)
        _furnish(debian, centre, port)
        ours = [one for one in _commands() if not one.startswith(ELSEWHERE)]
        assert [one.split()[0] for one in ours].count("edge-central") == 3
        before, after = [one for one in ours if "evidence" not in one], [one for one in ours if "evidence" in one]
        with booted(debian, tmp_path) as system:
            _follow_the_guide(system, before)
            for unit in UNITS:
                system.active(unit)
            _until(lambda: _healthy(port), lambda: system.run("journalctl", "--no-pager", "-n", "30"))
            box.hours(2)
            asyncio.run(_publish(broker, box))
            asked = f"cd {ETC} && {HOME}/bin/edge-central database --config central.toml"
            _until(
                lambda: "newest bin" in system.run("runuser", "-u", "edge-central", "--", "sh", "-c", asked),
                lambda: system.run("journalctl", "--no-pager", "-n", "30"),
            )
            _follow_the_guide(system, after)
            before_s = int(time.time())
            system.run("systemctl", "start", TIME)
            told_s = asyncio.run(_told(broker))
            assert before_s <= told_s <= time.time()
            system.active(TIME)
            system.run("systemctl", "stop", TIME)
            stopped = system.result(TIME)
            pid = system.show(UNITS[0], "MainPID")["MainPID"]
            system.run("systemctl", "kill", "--signal=KILL", UNITS[0])
            _until(lambda: system.show(UNITS[0], "MainPID")["MainPID"] not in {"0", pid}, lambda: "not restarted")
            system.active(UNITS[0])
            settings = debian.path(f"{ETC}/central.toml")
            settings.write_text(settings.read_text().replace("[mqtt]", "[mqtt]\nnonsense = 1"))
            system.run("systemctl", "restart", "--no-block", UNITS[0])
            ended = system.result(UNITS[0])
            state = system.run("stat", "-c", "%U %a", "/var/lib/edge-central").split()

    assert stopped["ExecMainStatus"] == "0"
    assert (ended["ActiveState"], ended["ExecMainStatus"]) == ("failed", "78")
    assert state == ["edge-central", "700"]
