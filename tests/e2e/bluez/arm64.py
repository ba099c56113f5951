"""PROGRAM `make e2e-arm64`: the arm64 package in a Debian 12 arm64 guest, started by systemd; prints what it saw.

The tree's packages are unpacked, not configured (make-arm64), and so is ours: sysusers and `systemctl enable`, which
its postinst runs, run here with `--root`. Kernel, systemd, Python, the wheels and our units are those of a box; there
is no Bluetooth adapter, so the daemon runs as on a box whose stick was pulled. Exit code 0 when everything held.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.recipients import parties

HERE = Path(__file__).parent
REPO = HERE.parents[2]
FOLDER = REPO / ".cache" / "e2e" / "arm64"
ROOT = FOLDER / "root"
WITHIN_S = 1500.0
"""A boot takes two minutes on an idle machine, and each start of Python under emulation ten seconds."""

REPORT = """[Unit]
Description=What this guest saw
After=edge-scanner.service
[Service]
Type=oneshot
ExecStart=/bin/busybox sh /etc/edge-report.sh
ExecStopPost=/bin/busybox poweroff -f
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""

SCRIPT = """exec > /dev/ttyAMA0 2>&1
say() { echo "REPORT $1 $2"; }
say machine "$(uname -rm)"
say version "$(edge-scanner --version)"
say active "$(systemctl is-active edge-scanner.service)"
say state "$(systemctl show --property=SubState,StatusText,NRestarts edge-scanner.service | tr '\\n' ' ')"
say up_s "$(cut -d' ' -f1 /proc/uptime)"
[ -e /etc/capture.btsnoop ] && say replay "$(edge-scanner replay /etc/capture.btsnoop --json | cut -c1-200)"
systemctl stop edge-scanner.service
say stopped "$(systemctl show --property=Result,ExecMainStatus edge-scanner.service | tr '\\n' ' ')"
say verify "$(edge-scanner log verify --json)"
journalctl -u edge-scanner.service -o cat | sed 's/^/JOURNAL /'
"""

SETTINGS = """[device]
site = "arm64"
"""


def main() -> int:
    """Build what is missing, boot, print the report; the exit code."""
    began = time.monotonic()
    subprocess.run([HERE / "make-arm64", FOLDER], check=True)
    furnish()
    furnished = time.monotonic()
    console = boot()
    told = dict(re.findall(r"REPORT (\S+) (.*?)\s*$", console, re.MULTILINE))
    verdict = {
        "systemd says active": told.get("active") == "active",
        "READY was seen": "listening" in told.get("state", "") or "minutes logged" in told.get("state", ""),
        "no restart": "NRestarts=0" in told.get("state", ""),
        "stopped in order": "Result=success" in told.get("stopped", ""),
        "log verifies": json.loads(told.get("verify") or "{}").get("holds") is True,
    }
    if "replay" in told:
        verdict["replay runs"] = '"adverts": 7902' in told["replay"]
    sys.stdout.write(f"{console}\n\n")
    for what, held in verdict.items():
        sys.stdout.write(f"{'yes' if held else 'NO ':4}{what}\n")
    took = time.monotonic()
    sys.stdout.write(f"\nprepared in {furnished - began:.0f} s, guest {took - furnished:.0f} s\n")
    return 0 if all(verdict.values()) else 1


def furnish() -> None:
    """Our package, users, settings and the report into the tree."""
    with tempfile.TemporaryDirectory() as scratch:
        build: list[str | Path] = [
            sys.executable,
            REPO / "tools" / "make-deb",
            "--arch",
            "arm64",
            "--fast",
            "--out",
            scratch,
        ]
        subprocess.run(build, check=True)
        (package,) = Path(scratch).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, ROOT], check=True)
    etc = ROOT / "etc"
    for folder in (etc / "edge-scanner", ROOT / "proc", ROOT / "sys", ROOT / "run", ROOT / "root"):
        folder.mkdir(exist_ok=True)
    who = parties(time.time())
    (etc / "edge-scanner" / "scanner.toml").write_text(SETTINGS)
    (etc / "edge-scanner" / "recipients.json").write_bytes(who.document)
    (etc / "edge-scanner" / "authority-root.pem").write_bytes(who.root_pem)
    (etc / "edge-report.sh").write_text(SCRIPT)
    (etc / "systemd" / "system" / "edge-report.service").write_text(REPORT)
    (etc / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    capture = Path(os.environ.get("EDGE_SCANNER_DATA", "")) / "dp3t-exp34" / "08.btsnoop"
    if capture.is_file():
        shutil.copy(capture, etc / "capture.btsnoop")
    subprocess.run(["systemd-sysusers", f"--root={ROOT}"], check=True, stderr=subprocess.DEVNULL)
    units = ["edge-scanner.service", "edge-report.service"]
    subprocess.run(["systemctl", f"--root={ROOT}", "enable", "--quiet", *units], check=True)


def boot() -> str:
    """Run the guest to its end; its console."""
    command: list[str | Path] = [
        "qemu-system-aarch64", "-machine", "virt,gic-version=3", "-accel", "tcg,thread=multi", "-cpu", "cortex-a72",
        "-smp", "2", "-m", "1G", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio", "-monitor", "none",
        "-kernel", FOLDER / "vmlinuz", "-initrd", FOLDER / "initrd.gz",
        "-fsdev", f"local,id=root,path={ROOT},security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root", "-device", "virtio-rng-pci",
        "-append", "console=ttyAMA0 quiet loglevel=3 panic=-1 INIT=/lib/systemd/systemd systemd.show_status=0",
    ]  # fmt: skip
    with tempfile.TemporaryFile() as output:
        guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            guest.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            sys.stdout.write(f"the guest did not end within {WITHIN_S} s\n")
        finally:
            guest.kill()
            guest.wait()
        output.seek(0)
        return output.read().decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
