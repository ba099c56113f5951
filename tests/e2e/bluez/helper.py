"""The package's unit that unblocks and resets adapters, under the release's own systemd, in its own sandbox.

systemd runs in namespaces of the guest (tests/support/booted.py) with the guest's rfkill switch and USB devices: the
device rights are a real kernel's. The unit is started as on a box: by its path unit, which another unit wants.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.device.radio import reset
from tests.e2e.bluez.stage import DEBIAN
from tests.support.booted import booted
from tests.support.debian import Machine
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.booted import Booted

REPO = Path(__file__).parents[3]
PLACE = Path("/run/helper")
SERVICE = "edge-scanner-adapter.service"
STAND_IN = "/opt/stand-in"
SCANNER = f"""\
[Unit]
Wants={SERVICE.replace("service", "path")}
[Service]
RuntimeDirectory=edge-scanner
ExecStart=/bin/sleep infinity
"""
ROOMS = ("core", "language", "terminal", "device/radio")
"""What the unit's program imports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """The running system with the unit."""

    system: Booted
    tree: Path

    def ask(self, name: str) -> None:
        """What the radio does."""
        reset.ask(Path(f"/proc/{self.system.pid}/root/run/edge-scanner"), name)

    def said(self) -> list[str]:
        """All that the unit's program has said."""
        return self.system.run("journalctl", "--unit", SERVICE, "--output", "cat", "--quiet").splitlines()

    def asked(self, name: str, changed: str = "") -> str:
        """Ask, with this change to the unit: what its program answers, and how systemd says that it ended."""
        folder = self.tree / "etc/systemd/system" / f"{SERVICE}.d"
        folder.mkdir(exist_ok=True)
        (folder / "changed.conf").write_text(f"[Service]\n{changed}\n")
        self.system.run("systemctl", "daemon-reload")
        before = len(self.said())
        self.ask(name)
        deadline = time.monotonic() + PATIENCE_S
        while len(self.said()) == before and time.monotonic() < deadline:
            time.sleep(0.5)
        result = self.system.result(SERVICE)["Result"]
        return f"{' '.join(self.said()[before:])} ({result})"

    def usb_only(self) -> str:
        """A change that shows the unit the guest's one USB device, a tablet, as hci0: no emulated stick can be had."""
        device = next(
            path for path in Path("/sys/bus/usb/devices").iterdir() if path.name[:1].isdigit() and ":" not in path.name
        )
        adapter = self.tree / STAND_IN.lstrip("/") / "hci0"
        adapter.mkdir(parents=True)
        (adapter / "device").symlink_to(device.resolve())
        return f"BindReadOnlyPaths={STAND_IN}:/sys/class/bluetooth"


@contextmanager
def helper() -> Iterator[Helper]:
    """The release's systemd with the unit, and with a unit that wants it as the scanner does."""
    tree = PLACE / "tree"
    tree.mkdir(parents=True)
    # Without what `init` mounted in it.
    subprocess.run(["mount", "--bind", DEBIAN, tree], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", tree / "proc"], check=True)
    try:
        install(tree)
        with booted(Machine(root=tree), PLACE, devices=("rfkill", "bus")) as system:
            system.run("systemctl", "start", "scanner.service")
            yield Helper(system=system, tree=tree)
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", tree], check=False)


def install(tree: Path) -> None:
    """What of the package the unit needs, where the package has it."""
    units = tree / "etc/systemd/system"
    for name in (SERVICE, SERVICE.replace("service", "path")):
        shutil.copy(REPO / "systemd" / name, units)
    (units / "scanner.service").write_text(SCANNER)
    home = tree / "opt/edge-scanner"
    (home / "bin").mkdir(parents=True)
    (home / "bin/python3").symlink_to("/usr/bin/python3")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\n")
    python = (tree / "usr/bin/python3").readlink().name
    packages = home / "lib" / python / "site-packages" / "edge_scanner"
    for place in ("", "device", *ROOMS):
        shutil.copytree(
            REPO / "edge_scanner" / place,
            packages / place,
            ignore=None if place in ROOMS else lambda folder, names: [n for n in names if (Path(folder) / n).is_dir()],
            dirs_exist_ok=True,
        )
