"""The package on a clean Debian without any network tool: installed, examined, upgraded, removed, purged.

On Debian 12 every case; on Debian 13, with its Python 3.13 and systemd 257, one life from installation to purge.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import typer

from edge_scanner import __version__
from edge_scanner.core.enrolment import device_id, proofs
from edge_scanner.device.cli import app
from tests.support.debian import base, build, machine, source
from tests.support.fleet import open_bench, workshop
from tests.support.installed import program
from tests.support.mosquitto import Mosquitto
from tests.support.recipients import parties
from tools import manuals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.debian import Machine
    from tests.support.fleet import Workshop

BOX = device_id.from_entropy(b"\x01\x23\x45\x67\x89")
DAY = dt.timedelta(days=1)
ADVERTS = 7902
"""In dp3t-exp34/08.btsnoop, as on any other machine."""
NOW, LATER = "1.0.0~rc1", "1.0.0"
"""Two versions of the package, as dpkg sorts them: a candidate comes before its release."""
UNITS = (
    "edge-scanner.service",
    "edge-scanner-kiosk.service",
    "edge-scanner-pin.service",
    "edge-scanner-enrol.service",
    "edge-scanner-clock.service",
    "edge-scanner-adapter.service",
    "edge-scanner-renew.service",
    "edge-scanner-screen.service",
)
SUGGESTED = "Command /usr/bin/cage is not executable"
"""Of the packages that a box with a screen has besides; `make e2e-screen` has them."""

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source as it is now."""
    return source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def packages(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The package of this tree, and one of a later version."""
    folder = tmp_path_factory.mktemp("deb")
    return {version: build(tree, folder, "--version", version) for version in (NOW, LATER)}


@pytest.fixture
def debian(tmp_path: Path, packages: dict[str, Path]) -> Iterator[Machine]:
    """A clean Debian 12 with the package installed by dpkg alone."""
    with machine(tmp_path) as fresh:
        fresh.install(packages[NOW])
        yield fresh


def card_image(shop: Workshop, target: Machine) -> None:
    """The batch's secret where the guide's recipe of the card image puts it, for the service's user."""
    shutil.copy(shop.folder / proofs.FILE, target.path("/etc/edge-scanner") / proofs.FILE)
    target.run("chown", "edge-scanner:", f"/etc/edge-scanner/{proofs.FILE}")


def _enrolled(target: Machine, broker: Mosquitto | None = None, **mqtt: Any) -> None:
    """Settings, recipients and certificate as installation day leaves them."""
    who = parties(dt.datetime.now(dt.UTC).timestamp())
    etc, state = target.path("/etc/edge-scanner"), target.path("/var/lib/edge-scanner")
    who.install(etc)
    lines = [f'[device]\nid = "{BOX}"\n']
    if broker is not None:
        files = broker.authority.issue(BOX)
        for file, name in (
            (broker.authority.file, etc / "broker-ca.pem"),
            (files.certificate, state / "mqtt.crt"),
            (files.key, state / "mqtt.key"),
        ):
            shutil.copy(file, name)
        settings = {"host": "127.0.0.1", "port": broker.port} | mqtt
        lines.append("[mqtt]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    (etc / "scanner.toml").write_text("".join(lines))


def _complaints(target: Machine, unit: str) -> list[str]:
    """What `systemd-analyze verify` says about our units."""
    command = ["chroot", str(target.root), "systemd-analyze", "verify", unit]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in verified.stderr.splitlines() if "edge-scanner" in line and SUGGESTED not in line]


def _doctor(target: Machine, *, expect: int = 2) -> dict[str, str]:
    """Code (or verdict where there is none) of each line."""
    document = json.loads(target.run("edge-scanner", "doctor", "--json", expect=expect))
    assert document["exit"] == expect
    return {line["check"]: line["code"] or line["verdict"] for line in document["findings"]}


def test_it_installs_offline_and_is_whole(debian: Machine) -> None:
    """No pip, no venv, no network: users, folders and rights are there, and every file is as it was packed."""
    for tool in ("pip3", "gcc", "curl"):
        assert not list(debian.root.glob(f"usr/bin/{tool}"))
    assert debian.run("edge-scanner", "--version").strip() == __version__
    assert debian.run("dpkg", "--verify", "edge-scanner") == ""
    for path in ("systemd/system/edge-scanner-clock.path", "systemd/system/edge-scanner-adapter.path"):
        assert debian.path(f"/usr/lib/{path}").exists()
    assert debian.path("/usr/lib/udev/rules.d/60-edge-scanner.rules").exists()
    assert debian.path("/etc/rpi/swap.conf.d/edge-scanner.conf").read_text().endswith("\n[Main]\nMechanism=none\n")
    state, etc = debian.path("/var/lib/edge-scanner"), debian.path("/etc/edge-scanner")
    user = next(
        line for line in debian.path("/etc/passwd").read_text().splitlines() if line.startswith("edge-scanner:")
    )
    assert state.stat().st_mode & 0o777 == 0o700
    assert {state.stat().st_uid, etc.stat().st_uid} == {int(user.split(":")[2])}
    assert not list(debian.root.glob("opt/edge-scanner/lib/shared/edge_scanner/authority"))
    assert list(debian.root.glob("opt/edge-scanner/lib/shared/edge_scanner/core/__pycache__/*.pyc"))
    enabled = {path.name for path in debian.root.glob("etc/systemd/system/*.wants/edge-scanner*")}
    assert enabled == {
        "edge-scanner.service",
        "edge-scanner-enrol.service",
        "edge-scanner-kiosk.service",
        "edge-scanner-renew.timer",
    }


@pytest.mark.parametrize("unit", UNITS)
def test_units_verify_and_are_closed(debian: Machine, unit: str) -> None:
    """Systemd of Debian 12 understands every line, and counts an exposure of 1.5 at most."""
    place = f"/usr/lib/systemd/system/{unit}"
    assert _complaints(debian, place) == []
    debian.run("systemd-analyze", "security", "--offline=true", "--threshold=15", place)


def test_doctor_tells_a_slow_clock_from_a_fast_one(debian: Machine, tmp_path: Path) -> None:
    """A broker whose certificate begins tomorrow and one whose ended yesterday; and no adapter anywhere."""
    (tmp_path / "behind").mkdir()
    (tmp_path / "ahead").mkdir()
    with Mosquitto(tmp_path / "behind", listen="mutual", server={"valid_from": DAY, "valid_to": 2 * DAY}) as broker:
        _enrolled(debian, broker)
        behind = _doctor(debian)
    with Mosquitto(tmp_path / "ahead", listen="mutual", server={"valid_from": -2 * DAY, "valid_to": -DAY}) as broker:
        _enrolled(debian, broker)
        ahead = _doctor(debian)

    assert (behind["clock"], behind["tls"]) == ("CLK-03", "BRK-04")
    assert (ahead["clock"], ahead["tls"]) == ("CLK-04", "BRK-05")
    assert (behind["bluetoothd"], behind["adapter"]) == ("RAD-04", "RAD-06")
    assert (behind["dns"], behind["tcp"], behind["recipients"]) == ("PASS", "PASS", "PASS")


def test_doctor_knows_a_refusing_broker_and_a_full_disk(debian: Machine, tmp_path: Path) -> None:
    """A certificate that the broker does not know, a port where nobody listens, a card without room."""
    (tmp_path / "broker").mkdir()
    (tmp_path / "other").mkdir()
    with Mosquitto(tmp_path / "broker", listen="mutual") as broker:
        _enrolled(debian, broker)
        stranger = Mosquitto(tmp_path / "other", listen="mutual", start=False).authority.issue(BOX)
        shutil.copy(stranger.certificate, debian.path("/var/lib/edge-scanner/mqtt.crt"))
        shutil.copy(stranger.key, debian.path("/var/lib/edge-scanner/mqtt.key"))
        assert _doctor(debian)["tls"] == "BRK-06"
    assert _doctor(debian)["tcp"] == "BRK-02"

    state = debian.path("/var/lib/edge-scanner")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m,mode=0700", "tmpfs", str(state)], check=True)
    try:
        assert _doctor(debian)["storage"] == "STO-02"
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_installation_day_as_the_services_user(debian: Machine, tmp_path: Path) -> None:
    """Without root, as the unit runs it: the box is named, and everything private is the service's alone."""
    (tmp_path / "shop").mkdir()
    shop = workshop(tmp_path / "shop")
    card_image(shop, debian)
    with open_bench(shop) as bench:
        command = ("runuser", "-u", "edge-scanner", "--", "edge-scanner", "enrol", "--no-self-test", "--json")
        for _ in range(2):
            text = debian.run(*command, "--bench", f"http://127.0.0.1:{bench.port}")
            assert json.loads(text)["exit"] == 0

    state = debian.path("/var/lib/edge-scanner")
    assert {path.stat().st_uid for path in state.iterdir()} == {state.stat().st_uid}
    assert {path.stat().st_mode & 0o077 for path in state.glob("*.key")} == {0}
    assert f'id = "{shop.batch.manifest.ids[0]}"' in debian.path("/etc/edge-scanner/scanner.toml").read_text()
    assert _doctor(debian)["certificate"] == "CRT-03"


def test_a_box_on_its_own_is_set_up_by_root(debian: Machine) -> None:
    """After `dpkg -i`, `edge-scanner setup` leaves every file to the service's users, and the settings are good."""
    made = json.loads(debian.run("edge-scanner", "setup", "--yes", "--json", "--name-vi", "Chợ Bến Thành"))

    users = debian.path("/etc/passwd").read_text()
    (scanner,) = [int(line.split(":")[2]) for line in users.splitlines() if line.startswith("edge-scanner:")]
    for name in ("scanner.toml", "ops-pin"):
        assert debian.path(f"/etc/edge-scanner/{name}").stat().st_uid == scanner
    assert debian.path("/etc/edge-scanner/ops-pin").stat().st_mode & 0o777 == 0o600
    state = debian.path("/var/lib/edge-scanner")
    assert {path.stat().st_uid for path in (state, *state.iterdir())} == {scanner}
    assert "good" in debian.run("runuser", "-u", "edge-kiosk", "--", "edge-scanner", "check-config")
    assert made["next"][0] == "sudo systemctl disable --now edge-scanner-enrol.service"


def test_the_daemon_runs_as_its_user(debian: Machine) -> None:
    """The installed program listens to a simulated crowd, keeps a log, and stops when told."""
    _enrolled(debian)
    debian.run(
        "/bin/sh", "-c",
        "mkdir -p /run/edge-scanner && chown edge-scanner /run/edge-scanner && mount -t tmpfs tmpfs /dev"
        " && mknod -m 666 /dev/urandom c 1 9 && mknod -m 666 /dev/null c 1 3"
        " && runuser -u edge-scanner -- timeout --preserve-status 12 edge-scanner run --simulate 30 --speed 60;"
        " umount /dev",
    )  # fmt: skip
    status = json.loads(debian.run("edge-scanner", "log", "status", "--json"))

    assert status["frames"] > 0
    assert debian.path("/run/edge-scanner/snapshot.json").exists()


def test_upgrade_keeps_what_is_the_boxs(debian: Machine, packages: dict[str, Path]) -> None:
    """Keys, log, settings and a changed conffile are the same bytes after an upgrade, and no question is asked."""
    _enrolled(debian)
    state = debian.path("/var/lib/edge-scanner")
    (state / "identity.key").write_bytes(b"key")
    (state / "log.db").write_bytes(b"log")
    conffile = debian.path("/etc/systemd/journald.conf.d/edge-scanner.conf")
    conffile.write_text("[Journal]\nStorage=persistent\n")
    kept = {
        path: path.read_bytes() for path in (*state.iterdir(), *debian.path("/etc/edge-scanner").iterdir(), conffile)
    }

    debian.install(packages[LATER])

    assert {path: path.read_bytes() for path in kept} == kept
    assert LATER in debian.run("dpkg-query", "--show", "edge-scanner")


def test_remove_keeps_and_purge_leaves_the_log(debian: Machine) -> None:
    """`remove` touches nothing of the box's; `purge` takes the settings and leaves the log, without a question."""
    _enrolled(debian)
    debian.run("systemctl", "enable", "edge-scanner-screen.service")
    log = debian.path("/var/lib/edge-scanner/log.db")
    log.write_bytes(b"log")

    debian.run("dpkg", "--remove", "edge-scanner")
    assert debian.path("/etc/edge-scanner/scanner.toml").exists()
    assert not debian.path("/opt/edge-scanner").exists()
    debian.run("dpkg", "--purge", "edge-scanner")

    assert not debian.path("/etc/edge-scanner").exists()
    assert not debian.path("/etc/systemd/journald.conf.d/edge-scanner.conf").exists()
    assert not list(debian.root.glob("etc/systemd/system/*.wants/edge-scanner*"))
    assert log.read_bytes() == b"log"


def test_purge_erases_the_log_when_told(debian: Machine) -> None:
    """One variable, and nothing of the box is left."""
    debian.path("/var/lib/edge-scanner/log.db").write_bytes(b"log")

    debian.run("dpkg", "--purge", "edge-scanner", EDGE_SCANNER_ERASE_LOG="yes")

    assert not debian.path("/var/lib/edge-scanner").exists()


def test_debian_13_takes_the_same_package(packages: dict[str, Path], tmp_path: Path, captures: Path) -> None:
    """Installed, examined, a capture replayed on Python 3.13, upgraded, purged: the file that Debian 12 takes."""
    capture = captures / "dp3t-exp34" / "08.btsnoop"
    with machine(tmp_path, "trixie") as trixie:
        trixie.install(packages[NOW])
        assert trixie.run("edge-scanner", "--version").strip() == __version__
        assert trixie.run("/opt/edge-scanner/bin/python3", "--version").startswith("Python 3.13.")
        assert trixie.run("dpkg", "--verify", "edge-scanner") == ""
        compiled = trixie.root.glob("opt/edge-scanner/lib/shared/edge_scanner/core/__pycache__/*.cpython-313.pyc")
        assert list(compiled)
        for unit in UNITS:
            place = f"/usr/lib/systemd/system/{unit}"
            assert _complaints(trixie, place) == []
            trixie.run("systemd-analyze", "security", "--offline=true", "--threshold=15", place)

        _enrolled(trixie)
        found = _doctor(trixie)
        assert (found["settings"], found["recipients"], found["secrets"]) == ("PASS", "PASS", "PASS")
        assert (found["bluetoothd"], found["adapter"], found["mqtt"]) == ("RAD-04", "RAD-06", "BRK-00")
        shutil.copy(capture, trixie.path("/tmp"))
        replayed = json.loads(trixie.offline("edge-scanner", "replay", f"/tmp/{capture.name}", "--json"))
        assert replayed["adverts"] == ADVERTS

        trixie.install(packages[LATER])
        assert LATER in trixie.run("dpkg-query", "--show", "edge-scanner")
        assert BOX in trixie.path("/etc/edge-scanner/scanner.toml").read_text()
        trixie.run("dpkg", "--purge", "edge-scanner")
        assert not trixie.path("/etc/edge-scanner").exists()
        assert not trixie.path("/opt/edge-scanner").exists()


def test_man_and_the_shells_read_what_the_package_brings(packages: dict[str, Path], tmp_path: Path) -> None:
    """Unpacked by dpkg-deb: a page for each command and no other, which man shows without a warning; completions."""
    subprocess.run(["dpkg-deb", "-x", str(packages[NOW]), str(tmp_path)], check=True)
    pages = sorted((tmp_path / "usr/share/man/man1").iterdir())
    commands = manuals.commands("edge-scanner", typer.main.get_group(app))
    expected = {f"{words.replace(' ', '-')}.1.gz" for words, _ in commands} | {"edge-scanner.1.gz"}

    assert {page.name for page in pages} == expected
    for page in pages:
        shown = subprocess.run(
            [program("man"), "--warnings=w", "-l", str(page)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
        )
        assert (page.name, shown.stderr) == (page.name, "")
        assert page.name.removesuffix(".1.gz").upper() in shown.stdout.split("\n")[0].upper()
    for shell in manuals.SHELLS.values():
        assert "edge-scanner" in (tmp_path / "usr/share" / shell.format(program="edge-scanner")).read_text()


def test_two_builds_are_the_same_bytes(tree: Path, packages: dict[str, Path], tmp_path: Path) -> None:
    """Who builds the same commit gets the same package."""
    assert build(tree, tmp_path, "--version", NOW).read_bytes() == packages[NOW].read_bytes()


def test_the_bill_of_materials_lists_what_is_inside(packages: dict[str, Path], tmp_path: Path) -> None:
    """Each environment's packages by name and version, and no other; bound to the package by its hash."""
    package = packages[NOW]
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)
    bill = json.loads(package.with_suffix(".cdx.json").read_text())

    inside = {path.name.removesuffix(".dist-info") for path in tmp_path.rglob("*.dist-info")}
    wheels = {part["bom-ref"] for part in bill["components"] if part["bom-ref"].endswith(".whl")}
    assert {"-".join(name.split("-")[:2]) for name in wheels} == inside
    assert bill["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(package.read_bytes()).hexdigest()


def test_the_arm64_package_runs_a_replay(tree: Path, tmp_path: Path, captures: Path) -> None:
    """The Pi's package under qemu: every compiled dependency loads, and a real capture is replayed."""
    debian_arm = base("bookworm", "arm64")
    package = build(tree, tmp_path, "--arch", "arm64")
    unpacked = tmp_path / "arm"
    subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)
    lib = unpacked / "opt" / "edge-scanner" / "lib"
    environment = {
        "PYTHONPATH": f"{lib / 'python3.11' / 'site-packages'}:{lib / 'shared'}",
        "PYTHONHOME": str(debian_arm / "usr"),
        "PATH": "/usr/bin",
    }
    qemu = ["qemu-aarch64-static", "-L", str(debian_arm), str(debian_arm / "usr/bin/python3.11"), "-S"]
    names = "aiohttp, aiosqlite, bleak, cryptography, dbus_fast, msgspec, paho.mqtt.client, prometheus_client, segno"
    probe = f"import platform, {names}, edge_scanner.device.daemon.daemon; print(platform.machine())"
    done = subprocess.run([*qemu, "-c", probe], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "aarch64", done.stderr[-2000:]

    capture = captures / "dp3t-exp34" / "08.btsnoop"
    replayed = subprocess.run(
        [*qemu, "-m", "edge_scanner.device.cli", "replay", str(capture), "--json"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert replayed.returncode == 0, replayed.stderr[-2000:]
    assert json.loads(replayed.stdout)["adverts"] == ADVERTS
