"""Debian's own systemd as process 1 of a test's machine, in namespaces: units run in their real sandboxes.

No virtual machine: process, mount, IPC and host-name namespaces and a control group of its own, which takes everything
with it at the end. The clock is this machine's, so a test must leave it as it is; so is the network, unless a test
wants none. /sys and /proc/sys are read-only, as in systemd-nspawn.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.debian import Machine

_INSIDE = """
set -e
echo $$ > "$1/cgroup.procs"
exec unshare --pid --mount --cgroup --ipc --uts $3 --fork --kill-child /bin/sh -e -c '
mount --make-rprivate /
cd "$1"
mkdir -p mnt/old
pivot_root . mnt/old
cd /
umount /proc
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t sysfs -o ro sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t tmpfs -o mode=0755 tmpfs /dev
mkdir /dev/shm /dev/pts /dev/mqueue /dev/hugepages
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -s pts/ptmx /dev/ptmx
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "/dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 666 /dev/tty c 5 0
for device in $2; do cp -a "/mnt/old/dev/$device" /dev; done
umount -l /mnt/old
mount --make-rshared /
export container=test
exec /lib/systemd/systemd --system --unit=basic.target --log-target=null --show-status=0
' sh "$2" "$4"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A running system; `pid` is its process 1 as we see it."""

    pid: int

    def run(self, *command: str, check: bool = True) -> str:
        """Run inside as root; stdout."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--all", *command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """What systemd says of the unit."""
        text = self.run("systemctl", "show", unit, f"--property={','.join(properties)}")
        return dict(line.split("=", 1) for line in text.splitlines())

    def active(self, unit: str) -> None:
        """Wait until the unit is active; fails with its last words."""
        deadline = time.monotonic() + PATIENCE_S
        while self.show(unit, "ActiveState")["ActiveState"] != "active":
            if time.monotonic() > deadline:
                pytest.fail(self.run("systemctl", "status", "--no-pager", unit, check=False))
            time.sleep(0.2)

    def result(self, unit: str) -> dict[str, str]:
        """How the unit ended, once it has."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self.show(unit, "ActiveState", "Result", "ExecMainStatus", "NRestarts")
            if found["ActiveState"] in {"inactive", "failed"} or time.monotonic() > deadline:
                return found
            time.sleep(0.2)


@contextmanager
def booted(machine: Machine, folder: Path, *, network: bool = True, devices: Sequence[str] = ()) -> Iterator[Booted]:
    """Start the machine's systemd and wait until it takes commands; without `network` there is a loopback only.

    `devices` of this machine's /dev, beside the harmless ones, are the system's, too.
    """
    groups = folder / "groups"
    groups.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(groups)], check=True)
    ours = groups / f"edge-scanner-test-{secrets.token_hex(4)}"
    ours.mkdir()
    words = [str(ours), str(machine.root), "" if network else "--net", " ".join(devices)]
    try:
        with (folder / "boot.log").open("wb") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _INSIDE, "sh", *words],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            yield _wait(process, folder)
        finally:
            (ours / "cgroup.kill").write_text("1")
            process.wait()
    finally:
        _remove(ours)
        subprocess.run(["umount", "--lazy", str(groups)], check=False)


def _wait(process: subprocess.Popen[bytes], folder: Path) -> Booted:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            system = Booted(pid=int(children[0]))
            if system.run("systemctl", "is-active", "basic.target", check=False).strip() == "active":
                return system
        time.sleep(0.2)
    pytest.fail(f"systemd did not start: {(folder / 'boot.log').read_text()[-2000:]}")


def _remove(group: Path) -> None:
    """A control group goes when its last process is gone, from the leaves up."""
    deadline = time.monotonic() + PATIENCE_S
    while group.exists() and time.monotonic() < deadline:
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(0.05)
