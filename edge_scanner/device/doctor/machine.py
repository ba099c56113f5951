"""Storage, secret files, power, and the unit with its sandbox: what the machine itself may have wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core import json_documents
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.core.enrolment.documents import public_text
from edge_scanner.core.errors import StorageError
from edge_scanner.core.wording import counted
from edge_scanner.device.enrolment.identity import lived, open_key
from edge_scanner.device.health import LOW_BYTES
from edge_scanner.device.settings import DATABASE
from edge_scanner.device.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_scanner.device.doctor.location import Place

FULL_BYTES = 20 * 1024 * 1024
"""Below this a day of log and outbox may not fit."""
UNIT = "edge-scanner.service"
_HARDENING = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProtectKernelModules": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "CapabilityBoundingSet": "",
    "LimitCORE": "0",
    "LimitMEMLOCK": "infinity",
}
"""What systemd must say of the running unit; the rest of the sandbox is held by a test of the unit file."""
_UNDER_VOLTAGE = 1 << 0
_WAS_UNDER_VOLTAGE = 1 << 16


def storage(place: Place) -> Finding:
    """Room, owner, and whether what is written here is still there after a restart."""
    state = place.state
    if not state.is_dir():
        return _fail("storage", Code.STORAGE_NOT_OURS, f"{state} is not there")
    if (state / f"{DATABASE}.damaged").exists() or len(files.aside(state / DATABASE)) >= files.MAX_SET_ASIDE:
        return _fail("storage", Code.STORAGE_FAILING, "damaged databases were set aside")
    system = files.file_system(state)
    room = _room(state, system)
    if room.verdict is not Verdict.FAIL and (system in files.PASSING or _per_slot(place)):
        return _fail("storage", Code.STORAGE_PASSING, f"{state} is on {system}, or in one slot of two")
    return room


def _room(state: Path, system: str) -> Finding:
    disk = os.statvfs(state)
    free = disk.f_bavail * disk.f_frsize
    detail = f"{free / 1e9:.1f} GB free"
    if free < FULL_BYTES:
        return _fail("storage", Code.STORAGE_FULL, detail)
    if free < LOW_BYTES:
        return Finding(check="storage", verdict=Verdict.WARN, code=Code.STORAGE_LOW, detail=detail)
    return Finding(check="storage", verdict=Verdict.PASS, detail=f"{detail}, {system or 'file system unknown'}")


def secrets(place: Place) -> Finding:
    """No key is readable by others.

    One outside the state directory may have group bits, as one of systemd's credentials does: its access list for the
    service's user shows there.
    """
    keys = [path for path in sorted(place.state.glob("*.key")) if path.is_file()]
    ours = Path(place.settings.mqtt.key)
    if ours not in keys and ours.exists():
        keys.append(ours)
    for path in keys:
        mode = path.stat().st_mode & 0o777
        if mode & (0o077 if path.parent == place.state else 0o007):
            return _fail("secrets", DoctorCode.KEY_READABLE, f"{path} has mode {mode:04o}")
    if place.state.is_dir() and place.state.stat().st_mode & 0o007:
        return _fail("secrets", DoctorCode.FOLDER_OPEN, f"others may enter {place.state}")
    return Finding(check="secrets", verdict=Verdict.PASS, detail=f"{counted(len(keys), 'key')}, closed to others")


def identity(place: Place) -> Finding:
    """Whether the identity key is there, and is the one that the bench named."""
    if not lived(place.state) and not (place.state / "identity.key").exists():
        return Finding(check="identity", verdict=Verdict.SKIP, detail="none yet: the first start makes it")
    try:
        key = open_key(place.state)
    except StorageError as error:
        return _fail("identity", Code.IDENTITY_LOST, error.what)
    named = _named(place.state / "assignment.json")
    ours = public_text(key.public_key())
    if named and named != ours:
        return _fail("identity", Code.IDENTITY_LOST, "the bench named another key")
    return Finding(check="identity", verdict=Verdict.PASS, detail="the one that the bench named" if named else "there")


def _named(path: Path) -> str:
    """The identity key that the assignment names, empty where it names none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return str(json_documents.value(small_files.content(path))["body"].get("identity", ""))
    return ""


def power(place: Place) -> Finding:
    """The firmware's under-voltage flag, which a Raspberry Pi keeps until the next start."""
    for path in sorted(place.sys.glob("devices/platform/soc*/*firmware/get_throttled")):
        with contextlib.suppress(OSError, ValueError):
            flags = int(path.read_text(), 16)
            if flags & _UNDER_VOLTAGE:
                return _fail("power", DoctorCode.POWER_LOW, f"flags {flags:#x}")
            if flags & _WAS_UNDER_VOLTAGE:
                return Finding(
                    check="power", verdict=Verdict.WARN, code=DoctorCode.POWER_WAS_LOW, detail=f"flags {flags:#x}"
                )
            return Finding(check="power", verdict=Verdict.PASS, detail="no under-voltage since the start")
    return Finding(check="power", verdict=Verdict.SKIP, detail="this machine does not tell")


def swap(place: Place) -> Finding:
    """Whether the kernel may write memory to a disk: the scanner's is locked, bluetoothd's and the bus's are not."""
    try:
        lines = (place.proc / "swaps").read_text().splitlines()[1:]
    except OSError:
        return Finding(check="swap", verdict=Verdict.SKIP, detail="this kernel has none")
    areas = [line.split()[0] for line in lines]
    if written := [area for area in areas if not _in_memory(place, area)]:
        return Finding(check="swap", verdict=Verdict.WARN, code=DoctorCode.SWAP, detail=f"on {', '.join(written)}")
    return Finding(check="swap", verdict=Verdict.PASS, detail="in memory only" if areas else "none")


def _in_memory(place: Place, area: str) -> bool:
    """Whether a swap area is compressed memory that is written back nowhere (zram without a backing device)."""
    device = Path(area).name
    try:
        return (
            device.startswith("zram") and (place.sys / "block" / device / "backing_dev").read_text().strip() == "none"
        )
    except FileNotFoundError:
        # A kernel without write-back.
        return True


def limits(place: Place) -> Finding:
    """Whether the kernel can bound the unit's memory: a Raspberry Pi's firmware switches the controller off."""
    try:
        controllers = (place.sys / "fs/cgroup/cgroup.controllers").read_text().split()
    except OSError:
        return Finding(check="limits", verdict=Verdict.SKIP, detail="no unified control groups here")
    if "memory" not in controllers:
        return Finding(
            check="limits", verdict=Verdict.WARN, code=DoctorCode.NO_MEMORY_CONTROLLER, detail="no memory controller"
        )
    return Finding(check="limits", verdict=Verdict.PASS, detail="memory is bounded")


CHECKS: Mapping[str, Callable[[Place], Finding]] = {
    "storage": storage,
    "secrets": secrets,
    "identity": identity,
    "swap": swap,
    "limits": limits,
    "power": power,
}
"""In the order in which a technician mends them; `unit` comes last of all."""


def unit(place: Place) -> tuple[Finding, Finding]:
    """Whether systemd runs the scanner with a watchdog, and whether a drop-in has weakened its sandbox."""
    if shutil.which("systemctl") is None or not (place.run / "systemd" / "system").is_dir():
        return tuple(
            Finding(check=name, verdict=Verdict.SKIP, detail="no systemd here") for name in ("unit", "hardening")
        )  # type: ignore[return-value]
    shown = _show(("ActiveState", "WatchdogUSec", *_HARDENING))
    active, watchdog = shown.get("ActiveState", "unknown"), shown.get("WatchdogUSec", "0")
    detail = f"{active}, watchdog {watchdog}"
    running = (
        Finding(check="unit", verdict=Verdict.PASS, detail=detail)
        if active in {"active", "activating", "reloading"} and watchdog not in {"0", "infinity"}
        else _fail("unit", DoctorCode.UNIT_NOT_RUNNING, detail)
    )
    weak = sorted(name for name, wanted in _HARDENING.items() if shown.get(name, "") != wanted)
    whole = (
        _fail("hardening", DoctorCode.UNIT_WEAKENED, f"changed: {', '.join(weak)}")
        if weak
        else Finding(check="hardening", verdict=Verdict.PASS, detail=f"{len(_HARDENING)} directives in force")
    )
    return running, whole


def _show(properties: tuple[str, ...]) -> dict[str, str]:
    command = ["systemctl", "show", UNIT, *(f"--property={name}" for name in properties)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 (constant)
    return dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)


def _per_slot(place: Place) -> bool:
    """An image with two system slots keeps /var apart in each, unless an entry shares the state (rpi-image-gen)."""
    if not Path("/persistent").is_mount():
        return False
    entries = Path("/etc/rpi-image-gen/slot-shared.d").glob("*.conf")
    shared = f"Path={place.state}".encode()
    return not any(shared in small_files.content(path).splitlines() for path in entries)


def _fail(check: str, code: str, detail: str) -> Finding:
    return Finding(check=check, verdict=Verdict.FAIL, code=code, detail=detail)
