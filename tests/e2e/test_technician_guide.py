"""The technician's guide and the fleet's card image, command by command as they are written, on machines of their own.

Headquarters has its keys in a token (SoftHSM). The image is a file with two partitions, its card another file; the box
is Debian 13 under its own systemd, with ssh and sudo; the laptop has a home and a cable of its own. Nothing else stands
in for anything. What needs a browser, fifty boxes or an enrolment service runs in test_large_batch.py.
"""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from provisioning.bench import card as cards_of_the_bench
from provisioning.inventory import State, open_inventory
from tests.support import cards
from tests.support.booted import booted
from tests.support.debian import Machine, base, build, machine, source
from tests.support.guides import DOCS, block
from tests.support.installed import program
from tests.support.laptop import THEIRS, Laptop
from tests.support.provision_cli import root_words
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.booted import Booted

pytestmark = pytest.mark.system

GUIDE = (DOCS / "technician.md").read_text(encoding="utf-8").partition("## 9.")[0]
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
SECRET = "mat-khau-thu"
PACKAGE = "edge-scanner_1.0.0~rc1_arm64.deb"
HOME = ".local/share/edge-provision"
ENROL = "edge-scanner-enrol.service"
RADIO = "/var/lib/NetworkManager/NetworkManager.state"
"""Where a stock image says that Wi-Fi is off: no country was chosen."""
WIFI, WIFI_SECRET = "Quán Cà Phê", "cafe-sua-da-2026"
ELSEWHERE = re.compile(r"edge-provision (label|slips) |sudo apt install ")
"""What test_large_batch.py runs; and Debian's own command for Chromium, which needs a network."""


def _commands() -> list[str]:
    """Every command of the guide, in both languages: lines of their own, and those within a sentence."""
    blocks = re.findall(r"^\s{4,}((?:edge-provision|sudo|ssh) .*?)(?:\s+#.*)?$", GUIDE, re.MULTILINE)
    sentences = re.findall(r"`((?:edge-provision [a-z]+|sudo|ssh|systemctl) [^`]+)`", " ".join(GUIDE.split()))
    return list(dict.fromkeys([*blocks, *sentences]))


class Story:
    """Runs commands of the guide and keeps which."""

    def __init__(self, headquarters: Laptop, laptop: Laptop) -> None:
        self.headquarters, self.laptop = headquarters, laptop
        self.ran: list[str] = []

    def written(self, command: str) -> str:
        """The command, which must stand in the guide."""
        assert command in _commands()
        self.ran.append(command)
        return command

    def on_the_box(self, command: str, *, expect: int = 0, typed: str = "") -> str:
        """Over ssh, as the guide has it."""
        login = self.written("ssh fleet@…").replace("…", THEIRS)
        return self.laptop.run(f"{login} {shlex.quote(self.written(command))}", expect=expect, typed=typed)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of this work tree and for this machine, under the Pi's name: dpkg looks inside."""
    folder = tmp_path_factory.mktemp("package")
    return build(source(folder / "source"), folder).rename(folder / PACKAGE)


@pytest.fixture
def story(tmp_path: Path, package: Path) -> Iterator[Story]:
    """Headquarters with a fleet in a token and a batch, and a technician with that batch."""
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    variables = {"SOFTHSM2_CONF": str(conf)}
    with Laptop(tmp_path / "hq", variables=variables) as hq, Laptop(tmp_path / "an") as an:
        hq.run(f"{program('softhsm2-util')} --init-token --free --label hq --so-pin 12345678 --pin {SECRET}")
        hq.run(
            'edge-provision fleet new hcm --broker mqtt.example.vn --hotline "1900 1234" '
            f"--label-address HTTPS://Q.EXAMPLE.VN/D/ --pkcs11-module {SOFTHSM} --pkcs11-token hq"
        )
        assert [path.name for path in (hq.home / HOME).rglob("*.key")] == ["root.key"]
        who = parties(time.time())
        for name, content in (("a.pem", who.root_pem), ("c.pem", who.custodian_pem), ("r.json", who.document)):
            (hq.home / name).write_bytes(content)
        shutil.copy(DOCS.parent / "config" / "sites.example.csv", hq.home / "sites.csv")
        hq.put(package)
        words = " ".join(map(shlex.quote, root_words(hq.home / "a.pem", hq.home / "c.pem")))
        hq.run(
            "edge-provision batch new B-014 --sites sites.csv --count 4 --authority-root a.pem --custodian-root c.pem "
            f"--recipients r.json --software {PACKAGE} {words}"
        )
        an.put(hq.home / "batch-B-014.zip")
        keys = [(laptop.home / ".ssh" / "id_ed25519.pub").read_text() for laptop in (an, hq)]
        (hq.home / "technicians.pub").write_text("".join(keys))
        yield Story(hq, an)


def _write_cards(hq: Laptop, folder: Path) -> Path:
    """The fleet's guide: a stock image becomes the batch's, with a venue's Wi-Fi, the image a card."""
    boot, card = folder / "bootfs", folder / "card.img"
    boot.mkdir()
    (boot / "cmdline.txt").write_text("console=tty1 root=PARTUUID=0 rootwait\n")
    cards.image(base("raspios"), boot, hq.home / "raspios-lite-arm64.img", {RADIO: "[main]\nWirelessEnabled=false\n"})
    losetup = hq.programs / "losetup"
    losetup.write_text(cards.LOSETUP)
    losetup.chmod(0o755)
    before, unmounted, after = block("fleet.md", "loop=").partition("umount --recursive /mnt")
    assert "/dev/sdX" in after
    lines = before + block("fleet.md", "install -D -m 600 /dev/stdin") + unmounted + after
    try:
        hq.run(lines.replace("/dev/sdX", str(card)))
    finally:
        cards.free(hq.home / "raspios-lite-arm64.img")
    (hq.home / "raspios-lite-arm64.img").unlink()
    return card


def _wifi_of_the_image(pi: Machine) -> None:
    """Root's alone, which NetworkManager asks for; read by its own reader; and its radio is no longer off."""
    profile = pi.path("/etc/NetworkManager/system-connections/wifi.nmconnection")
    stat = profile.stat()
    assert (stat.st_mode & 0o777, stat.st_uid, stat.st_gid) == (0o600, 0, 0)
    # Offline, nmcli reads a profile, changes it, checks it, and writes it.
    read = f"nmcli --offline connection modify connection.autoconnect yes < /{profile.relative_to(pi.root)}"
    taken = configparser.ConfigParser(interpolation=None)
    taken.read_string(pi.run("sh", "-c", read))
    given = configparser.ConfigParser(interpolation=None)
    given.read_string(profile.read_text())
    for section in ("connection", "wifi-security"):
        assert dict(given[section]).items() <= dict(taken[section]).items()
    # A name that is not ASCII comes back as its bytes.
    ssid = bytes(int(byte) for byte in taken["wifi"]["ssid"].split(";") if byte)
    assert (ssid.decode(), taken["ipv4"]["method"]) == (given["wifi"]["ssid"], "auto")
    assert not pi.path(RADIO).exists()


def _until(log: Path, text: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while text not in (found := log.read_text()):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    return found


@contextmanager
def _bench(story: Story, log: Path) -> Iterator[None]:
    process = story.laptop.start(story.written("edge-provision bench start batch-B-014.zip"), log)
    try:
        _until(log, " port ")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _boxes(story: Story) -> dict[str, State]:
    with open_inventory(story.laptop.home / HOME / "inventory.db") as inventory:
        return {row.device_id: row.state for row in inventory.boxes()}


def _in(story: Story, state: State) -> list[str]:
    return [device_id for device_id, found in _boxes(story).items() if found is state]


def _start(system: Booted) -> None:
    """The rest of a start; whoever logs in must have a session."""
    system.run("systemctl", "start", "--no-block", "multi-user.target")
    for unit in ("systemd-user-sessions.service", "ssh.service"):
        system.active(unit)


def _at_the_bench(story: Story, system: Booted, log: Path) -> None:
    """A wave: the box finds the bench by itself; again by hand; with a card that was written again."""
    laptop = story.laptop
    ended = system.result(ENROL)
    # There is no adapter in this box: a fault that the bench shows, which is a good end for the unit.
    assert (ended["Result"], ended["ExecMainStatus"]) == ("success", "20")
    (first,) = _in(story, State.ENROLLED)
    assert "RAD-" in story.on_the_box("sudo edge-scanner enrol", expect=20)
    assert _in(story, State.ENROLLED) == [first]

    system.run("systemctl", "stop", "edge-scanner", "edge-scanner-kiosk")
    system.run("sh", "-c", "rm -r /var/lib/edge-scanner/*; find /etc/edge-scanner -type f ! -name fleet.pub -delete")
    system.run("systemctl", "start", "--no-block", ENROL)
    words = re.search(r"PRV-06 ([a-z-]+) ", _until(log, "PRV-06 "))
    assert words
    for language in ("SÁU-TỪ", "WORDS"):
        laptop.run(story.written(f"edge-provision bench confirm {language}").replace(language, words[1]))
    assert system.result(ENROL)["Result"] == "success"
    assert "PRV-02" in story.on_the_box("sudo edge-scanner enrol", expect=20)
    laptop.run(story.written("edge-provision bench retire OLD-ID").replace("OLD-ID", first))
    # The other language's line: the same command, for a board that is free already.
    story.written("edge-provision bench retire MÃ-CŨ")
    assert "PRV-02" not in story.on_the_box("sudo edge-scanner enrol", expect=20)
    (second,) = _in(story, State.ENROLLED)
    assert _boxes(story)[first] is State.RETIRED
    assert second != first


def _moves(story: Story, system: Booted) -> str:
    """The evening without internet; then one command of headquarters moves the box. Its settings."""
    hq, laptop = story.headquarters, story.laptop
    (device_id,) = _in(story, State.ENROLLED)
    sync = story.written("edge-provision bench sync batch-B-014.zip")
    assert "sync-B-014.json" in laptop.run(sync, expect=69)
    hq.put(laptop.home / "sync-B-014.json")
    hq.run("edge-provision fleet adopt sync-B-014.json")
    hq.cable(system, socket="eth1")
    hq.call(f"edge-{device_id.lower()}", socket="eth1")
    fleet = " ".join((DOCS / "fleet.md").read_text(encoding="utf-8").split())
    (line,) = re.findall(r"`(edge-provision fleet move [^`]+ enrol --move -)`", fleet)
    # No adapter is in this box: its self-test finds that here, too.
    told = hq.run(re.sub("(?i)k7mp-?2r9c-?x4", device_id.lower(), line), expect=20)
    assert "moved to cho-ben-thanh" in told, told
    return system.run("cat", "/etc/edge-scanner/scanner.toml")


def test_a_box_of_the_guide(story: Story, tmp_path: Path) -> None:
    """From the image to the removed software: sections 1, 2, 5 without internet, 6 and 7; a move to another site."""
    card, log = _write_cards(story.headquarters, tmp_path), tmp_path / "bench.log"
    pi = Machine(root=tmp_path / "box")
    with cards.inserted(card, pi.root):
        (kernel,) = pi.path("/boot/firmware/cmdline.txt").read_text().splitlines()
        assert kernel.split()[3:] == ["cgroup_enable=memory", "cfg80211.ieee80211_regdom=VN"]
        _wifi_of_the_image(pi)
        with booted(pi, tmp_path, network=False) as system:
            story.laptop.cable(system)
            with _bench(story, log):
                _start(system)
                fleet = story.headquarters.run(story.written("edge-provision fleet key")).strip()
                assert fleet in _until(log, fleet)
                _at_the_bench(story, system, log)

            assert 'site = "cho-ben-thanh"' in _moves(story, system)
            told = story.on_the_box("sudo -u edge-scanner edge-scanner doctor", expect=2)
            assert ("RAD-" in told, "CRT-03" in told) == (True, True)
            story.on_the_box("sudo systemctl stop edge-scanner")
            assert "UNT-01" in story.on_the_box("sudo -u edge-scanner edge-scanner doctor", expect=2)
            story.laptop.run(f"ssh fleet@{THEIRS} sudo systemctl start edge-scanner")
            story.laptop.run(f"ssh -o IdentitiesOnly=yes -i /dev/null -o BatchMode=yes fleet@{THEIRS} true", expect=255)
            system.active("edge-scanner.service")
            assert system.run("systemctl", "is-enabled", "userconfig.service", check=False).strip() == "masked"
            story.on_the_box("sudo apt purge edge-scanner", typed="y\n")
        assert not pi.path("/opt/edge-scanner").exists()
        assert pi.path("/var/lib/edge-scanner/log.db").exists()
    assert set(_commands()) - set(story.ran) - set(_CARD) == set(filter(ELSEWHERE.match, _commands()))


_CARD = (
    "edge-provision card batch-B-014.zip /media/bootfs --ssh-key ~/.ssh/id_ed25519.pub",
    "ssh fleet@edge-<mã hộp>",
    "ssh fleet@edge-<id>",
    "sudo sh /boot/firmware/edge-scanner/first-boot.sh",
    "sudo EDGE_SCANNER_ERASE_LOG=yes apt-get purge edge-scanner",
)


def test_a_card_of_the_guide(story: Story, tmp_path: Path) -> None:
    """Section 8, with a venue's Wi-Fi; then its log is erased. cloud-init and Debian's netplan read the network."""
    assert set(_CARD) <= set(_commands())
    laptop = story.laptop
    with machine(tmp_path, "raspios") as pi:
        boot = pi.path("/boot/firmware")
        boot.mkdir(parents=True)
        laptop.media("bootfs", boot)
        (laptop.home / "wifi").write_text(f"{WIFI_SECRET}\n")
        line = story.written(_CARD[0])
        laptop.run(f'{line} --wifi "{WIFI}" --wifi-passphrase-file wifi')
        (device_id,) = _in(story, State.ENROLLED)
        name = f"edge-{device_id.lower()}"
        laptop.call(name)
        seed = "datasource_list: [NoCloud, None]\ndatasource: {NoCloud: {seedfrom: 'file:///boot/firmware'}}\n"
        pi.path("/etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg").write_text(seed)
        pi.path("/usr/lib/netplan").mkdir(exist_ok=True)
        manager = pi.path("/usr/lib/netplan/00-network-manager-all.yaml")
        manager.write_text("network: {version: 2, renderer: NetworkManager}\n")
        manager.chmod(0o600)

        with booted(pi, tmp_path, network=False) as system:
            laptop.cable(system)
            system.run("systemctl", "start", "multi-user.target", "cloud-init.target")
            system.run("cloud-init", "status", "--wait", check=False)
            system.active("ssh.service")
            for written in _CARD[1:3]:
                login = re.sub("<.*>", device_id.lower(), story.written(written))
                assert laptop.run(f"{login} hostname").strip() == name
            laptop.run(f"{login} {shlex.quote(story.written(_CARD[3]))}")
            system.active("edge-scanner.service")
            assert f'id = "{device_id}"' in pi.path("/etc/edge-scanner/scanner.toml").read_text()
            system.run("netplan", "generate")
            networks = list(pi.path("/etc/netplan").iterdir())
            assert "wlan0" in "".join(path.read_text() for path in networks)
            kept = system.run("sh", "-c", "cat /run/NetworkManager/system-connections/*")
            laptop.run(f"{login} {shlex.quote(story.written(_CARD[4]))}", typed="y\n")
        assert ("mode=infrastructure" in kept, f"ssid={WIFI}" in kept, f"psk={WIFI_SECRET}" in kept) == (True,) * 3
        assert {path.stat().st_mode & 0o077 for path in networks} == {0}
        assert not pi.path("/var/lib/edge-scanner").exists()
        assert (boot / cards_of_the_bench.FOLDER / "manifest.json").exists()
