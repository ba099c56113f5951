"""A clean Debian tree to install the package into: made once with debootstrap, used through an overlay by each test.

And the package itself, built from a copy of this work tree.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-scanner"
PACKAGES = {
    "bookworm": "python3,systemd,dbus,bluez",
    # Raspberry Pi OS boots and has cloud-init. debootstrap does not follow a virtual package: cffi's is named.
    "trixie": "python3,systemd,systemd-sysv,udev,dbus,bluez,cloud-init,python3-cffi-backend",
    "raspios": "python3,systemd,systemd-sysv,udev,dbus,bluez,cloud-init,python3-cffi-backend,openssh-server,sudo,"
    "netplan.io,network-manager,iproute2",
    "rabbitmq": "rabbitmq-server",
    "chrony": "dbus,bluez,chrony",
    "broker": "python3,systemd,dbus,procps,mosquitto,mosquitto-clients",
}
"""What a box's system has besides the package: no pip, no venv, no compiler.

`raspios` is Debian 13 with what the guides use of a Raspberry Pi OS Lite: ssh, sudo, NetworkManager;
`broker` and `rabbitmq` are hosts of brokers, `chrony` a machine that keeps its clock by it.
"""
SUITES = {"raspios": "trixie", "chrony": "trixie", "rabbitmq": "trixie", "broker": "bookworm"}
"""Where a tree's name is not its release."""
ROOT = Path(__file__).parents[2]
WHEELS = ROOT / ".cache" / "wheels"
MIRROR = "http://deb.debian.org/debian"


def base(release: str, arch: str = "amd64") -> Path:
    """The pristine tree, made at the first call (a minute and a network). Raises CalledProcessError."""
    tree = CACHE / f"{release}-{arch}"
    tree.parent.mkdir(parents=True, exist_ok=True)
    # One process makes it, and the others wait.
    with (CACHE / f"{release}-{arch}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = tree / ".complete"
        if not complete.exists() or complete.read_text() != PACKAGES[release]:
            _make(tree, release, arch)
            complete.write_text(PACKAGES[release])
    return tree


def _make(tree: Path, release: str, arch: str) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    foreign = ["--foreign", "--arch", arch] if arch != "amd64" else []
    include = f"--include={PACKAGES[release]}"
    suite = SUITES.get(release, release)
    subprocess.run(["debootstrap", "--variant=minbase", include, *foreign, suite, str(tree), MIRROR], check=True)
    for package in (tree / "var/cache/apt/archives").glob("*.deb") if foreign else ():
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
    shutil.rmtree(tree / "var/cache/apt/archives", ignore_errors=True)


def source(folder: Path) -> Path:
    """What the package is made of, copied into `folder`: nobody edits it while it is built."""
    for name in ("edge_scanner", "systemd", "packaging", "docs", "config", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(tree: Path, out: Path, *options: str) -> Path:
    """The package of a copy of the source, in `out`."""
    command = [sys.executable, str(tree / "tools" / "make-deb"), "--fast", "--out", str(out), "--cache", str(WHEELS)]
    command += ["--maintainer", "A test <test@localhost>"]
    done = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1795500000"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Path(done.stdout.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A Debian of the test's own."""

    root: Path

    def run(self, *command: str, expect: int = 0, **environment: str) -> str:
        """Run inside; stdout."""
        given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["chroot", str(self.root), *command],
            capture_output=True,
            text=True,
            check=False,
            env=given | environment,
        )
        assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def offline(self, *command: str, expect: int = 0, **environment: str) -> str:
        """Run inside without a network interface at all, so that nothing can be fetched; stdout."""
        return self.run("/usr/bin/unshare", "--net", *command, expect=expect, **environment)

    def install(self, package: Path) -> None:
        """By dpkg alone."""
        shutil.copy(package, self.path("/tmp"))
        self.offline("dpkg", "--install", f"/tmp/{package.name}")

    def path(self, place: str) -> Path:
        """A file inside."""
        return self.root / place.lstrip("/")


def environment(target: Machine, home: str, lock: str, *rooms: str) -> None:
    """A virtual environment in a Debian 12: the wheels of packaging/locks/`lock`, and `rooms` of this work tree."""
    target.run("python3", "-m", "venv", "--without-pip", home)
    (packages,) = target.path(f"{home}/lib").glob("python3*/site-packages")
    words = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(packages), "--requirement"]
    subprocess.run([sys.executable, "-m", "pip", *words, str(ROOT / "packaging" / "locks" / lock)], check=True)
    for room in rooms:
        shutil.copytree(ROOT / room, packages / room, ignore=shutil.ignore_patterns("__pycache__"))


@contextmanager
def machine(folder: Path, release: str = "bookworm", size: str = "700m") -> Iterator[Machine]:
    """A machine on top of the pristine tree; what it writes, `size` at most, lies in `folder`."""
    lower = base(release)
    disk, root = folder / "disk", folder / "root"
    disk.mkdir()
    root.mkdir()
    # On a file system of its own: an overlay cannot lie on an overlay, as it would in a container.
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
    try:
        (disk / "upper").mkdir()
        (disk / "work").mkdir()
        layers = f"lowerdir={lower},upperdir={disk / 'upper'},workdir={disk / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(root)], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        yield Machine(root=root)
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(root)], check=False)
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
