"""PROGRAM `make e2e-arm64`: the arm64 package's own wheels on Debian's arm64 Python, under qemu-user; prints verdicts.

A capture goes through the daemon's functions into a sealed log, which then must verify: every native wheel of the box
(cryptography with its post-quantum suite, msgspec, aiohttp, dbus-fast) is loaded and used. No kernel and no systemd:
that a unit starts on arm64 is not shown by this. Needs EDGE_SCANNER_DATA for the capture.
"""

from __future__ import annotations

import json
import os
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
PREFIX = ROOT / "opt" / "edge-scanner" / "lib"
WITHIN_S = 600.0
ADVERTS = 7902
"""In dp3t-exp34/08.btsnoop, as on any other machine."""


def main() -> int:
    """Build what is missing, run, print; the exit code."""
    began = time.monotonic()
    subprocess.run([HERE / "make-arm64", FOLDER], check=True)
    capture = Path(os.environ.get("EDGE_SCANNER_DATA", "")) / "dp3t-exp34" / "08.btsnoop"
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch)
        build: list[str | Path] = [sys.executable, REPO / "tools" / "make-deb", "--arch", "arm64", "--fast"]
        subprocess.run([*build, "--out", room], check=True, stdout=subprocess.DEVNULL)
        (package,) = room.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, ROOT], check=True)
        settings = furnish(room)
        prepared = time.monotonic()
        replayed = json.loads(
            scanner("replay", capture, "--json", "--config", settings, "--state-dir", room / "state") or "{}"
        )
        verified = json.loads(scanner("log", "verify", "--json", "--config", settings) or "{}")
    verdict = {
        f"{ADVERTS} adverts of a capture": replayed.get("adverts") == ADVERTS,
        f"a sealed log of {verified.get('frames')} minutes verifies": verified.get("holds") is True,
    }
    for what, held in verdict.items():
        sys.stdout.write(f"{'yes' if held else 'NO ':4}{what}\n")
    sys.stdout.write(f"prepared in {prepared - began:.0f} s, ran {time.monotonic() - prepared:.0f} s\n")
    return 0 if all(verdict.values()) else 1


def furnish(room: Path) -> Path:
    """Settings and recipients for a box in `room`."""
    who = parties(time.time())
    (room / "recipients.json").write_bytes(who.document)
    (room / "root.pem").write_bytes(who.root_pem)
    settings = room / "scanner.toml"
    settings.write_text(
        f'[device]\nstate_dir = "{room / "state"}"\nruntime_dir = "{room}"\n'
        f'[log]\nrecipients = "{room / "recipients.json"}"\nauthority_root = "{room / "root.pem"}"\n'
    )
    return settings


def scanner(*words: str | Path) -> str:
    """What the arm64 `edge-scanner` prints."""
    program = "import sys; from edge_scanner.device.cli import main; sys.argv[0] = 'edge-scanner'; main()"
    python = ROOT / "usr" / "bin" / "python3.11"
    paths = f"{PREFIX / 'python3.11' / 'site-packages'}:{PREFIX / 'shared'}"
    done = subprocess.run(
        ["qemu-aarch64-static", "-L", ROOT, python, "-c", program, *words],
        env=os.environ | {"PYTHONHOME": str(ROOT / "usr"), "PYTHONPATH": paths},
        stdout=subprocess.PIPE, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
