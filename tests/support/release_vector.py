"""Makes what tests/vectors/releases keeps of the present version: `python -m tests.support.release_vector`.

Twenty minutes across an hour in a hall of six phones and one patient go through the box's own pipeline into a sealed
log. Everything else is done by the programs, as people type it: keys, order, approval, export. The keys are made here,
protect nothing, and are kept in the folder with their passphrase.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from edge_scanner import __version__, protocols
from edge_scanner.authority.collect.boxes import Box
from edge_scanner.core.enrolment import device_id
from edge_scanner.device import settings
from edge_scanner.device.commands.replay_log import sealed_replay
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan, Planted
from edge_scanner.device.storage.store import open_store
from tests.support.box_lists import write_boxes

RELEASES = Path(__file__).parents[1] / "vectors" / "releases"
DEVICE = device_id.from_entropy(b"\x01\x23\x45\x67\x89")
PASSPHRASE = "a throw-away passphrase"
SECRET = ("--passphrase-file", "passphrase")
ROOT = ("--root", "authority-root.pem")
CONFIRM = ("--confirm", "1 0:10")
"""What approver and custodian type: one box, ten minutes."""
DAY_S, HOUR_S, MINUTE_S = 86_400, 3600, 60
LENGTH_S = 20 * MINUTE_S
ARRIVES_S, LEAVES_S = 2 * MINUTE_S, 18 * MINUTE_S
ORDERED_S = (5 * MINUTE_S, 15 * MINUTE_S)
"""The order is for ten minutes on both sides of the hour; the patient is there before and after."""
PHONES = 6.0
CASE = "case-1"
KEPT = (
    "authority-root.pem", "custodian-root.pem", "recipients.json", "fleet.pub", "boxes.csv", "boxes.csv.sig",
    "approved.json", "case-1.json", "passphrase", "scanner.toml", "bundle", "desk", "custodian", "state",
)  # fmt: skip


CLOCK = """
import runpy, sys, time
real, back_s, module = time.time, float(sys.argv.pop(1)), sys.argv.pop(1)
time.time = lambda: real() - back_s
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""Runs a module with the clock put back: an order is judged by the clock, and a vector's is over within a week."""


def program(name: str, *words: str | Path, folder: Path, expect: int = 0, at_s: float | None = None) -> str:
    """Run `device` or `authority` as a program of its own in `folder`, now or at `at_s`, UTC seconds; stdout."""
    module = f"edge_scanner.{name}.cli"
    command = [sys.executable, "-m", module, *map(str, words)]
    if at_s is not None:
        command[1:3] = ["-c", CLOCK, str(time.time() - at_s), module]
    paths = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "TZ": "UTC", "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=paths)
    assert done.returncode == expect, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def evening(now_s: float) -> int:
    """When it begins, UTC seconds: ten minutes before an hour that is over, within one UTC day."""
    start_s = int(now_s - 3 * HOUR_S) // HOUR_S * HOUR_S - LENGTH_S // 2
    return start_s if start_s // DAY_S == (start_s + LENGTH_S) // DAY_S else start_s - HOUR_S


def keys(folder: Path, start_s: int) -> None:
    """Root, both signers with mandates, both openers' keys of that week and the next, and the signed set."""
    (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    week = "{}-W{:02}".format(*datetime.fromtimestamp(start_s, UTC).isocalendar()[:2])

    def authority(*words: str) -> str:
        return program("authority", *words, *SECRET, folder=folder)

    authority("keys", "root", "root", "--name", "Sở Y tế")
    for role in ("health-officer", "approver"):
        made = authority("keys", "new", "signers", "--role", role, "--name", role)
        given = ("--root", "root/root.key", "--authority", "authority-hcm", "--out", f"{role}.mandate")
        authority("keys", "certify", f"signers/{role}.pub", *given, "--words", made.rstrip().rpartition("; ")[2])
    for place, role in (("desk", "recipient"), ("custodian", "custodian")):
        authority("keys", "new", place, "--role", role, "--name", role, "--weeks", "2", "--from-week", week)
    authority("keys", "root", "root", "--custodian", "--name", "Trung tâm giữ khoá")
    for pem in ("authority-root.pem", "custodian-root.pem"):
        shutil.copy(folder / "root" / pem, folder)
    roots = ("--root", "root/root.key", "--custodian-root", "custodian-root.pem")
    authority("recipients", "sign", "desk", "custodian", *roots, "--version", "1", "--out", "recipients.proposed")
    roots = ("--root", "root/custodian-root.key", "--authority-root", "authority-root.pem")
    sets = ("recipients.proposed", "custodian", *roots, "--version", "1", "--out", "recipients.json")
    authority("recipients", "countersign", *sets)


def seal(folder: Path, start_s: int) -> list[int]:
    """The evening into the box's log; the minutes of the order in which the box heard the patient, UTC seconds."""
    (folder / "scanner.toml").write_text(
        f'[device]\nid = "{DEVICE}"\nstate_dir = "state"\n'
        '[log]\nrecipients = "recipients.json"\nauthority_root = "authority-root.pem"\n'
        'custodian_root = "custodian-root.pem"\n'
    )
    state = folder / "state"
    state.mkdir(mode=0o700)
    (state / "device-id").write_text(DEVICE)
    (state / "device-id").chmod(0o600)
    key = bytes(range(32))
    patient = Planted(
        name=CASE, key=key, arrive_s=float(start_s + ARRIVES_S), leave_s=float(start_s + LEAVES_S), rssi=-66
    )
    plan = CrowdPlan(devices=PHONES, duration_s=float(LENGTH_S), planted=(patient,))
    crowd = Crowd(plan, seed=12, start_s=float(start_s))
    theirs = {value for one in crowd.on_air(CASE) for value in one.data.manufacturer_data.values()}
    entry = {"daily_key": key.hex().upper(), "time_start": start_s // DAY_S * DAY_S, "max": 96}
    document = {"data": [entry | {"time_end": start_s + LENGTH_S}]}
    (folder / f"{CASE}.json").write_text(json.dumps(document))
    box = settings.load(folder / "scanner.toml")
    heard = set()
    known = protocols.load(box.radio.protocols)
    with sealed_replay(box.log, state, known) as take:
        for advert in crowd.adverts():
            take(advert)
            if theirs.intersection(advert.data.manufacturer_data.values()):
                heard.add(int(advert.last_s) // MINUTE_S * MINUTE_S)
    asyncio.run(_audit(state / "log.db"))
    return sorted(minute for minute in heard if start_s + ORDERED_S[0] <= minute < start_s + ORDERED_S[1])


async def _audit(path: Path) -> None:
    async with open_store(path) as store:
        for entry in (b'{"event":"request"}', b'{"event":"refusal"}'):
            await store.audit_append(entry)


def order(folder: Path, start_s: int) -> None:
    """Bundle, inventory and the order that both people signed."""
    identity = open_identity(folder / "state", configured_id=DEVICE)
    hung = Box(device=DEVICE, site="ben-xe", room="Cửa 1", name="Bến xe Miền Đông", identity=identity.public_key)
    write_boxes(folder / "boxes.csv", [hung])
    whole = ("--from", _utc(start_s), "--to", _utc(start_s + LENGTH_S), "--config", "scanner.toml")
    program("device", "log", "export", "bundle", *whole, folder=folder)
    asked = ("--from", _utc(start_s + ORDERED_S[0]), "--to", _utc(start_s + ORDERED_S[1]), "--boxes", "boxes.csv")
    words = ("--case", "HCM-2026-0417", "--legal-basis", "Luật 114/2025/QH15", "--purpose", "Truy vết")
    signer = (
        *ROOT,
        "--key",
        "signers/health-officer.key",
        "--mandate",
        "health-officer.mandate",
        "--out",
        "request.json",
    )
    program("authority", "request", "new", *words, "--site", "ben-xe", *asked, *signer, *SECRET, folder=folder)
    second = (*ROOT, "--key", "signers/approver.key", "--mandate", "approver.mandate", "--out", "approved.json")
    program("authority", "request", "approve", "request.json", *second, *CONFIRM, *SECRET, folder=folder)


def _utc(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%MZ}"


def make(target: Path, now_s: float) -> None:
    """The folder of this version. Raises AssertionError with what a program said when it refused."""
    start_s = evening(now_s)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        keys(folder, start_s)
        with contextlib.chdir(folder):  # scanner.toml names its files as they lie beside it
            minutes = seal(folder, start_s)
        order(folder, start_s)
        with contextlib.closing(sqlite3.connect(folder / "state" / "log.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        status = json.loads(program("device", "log", "status", "--config", "scanner.toml", "--json", folder=folder))
        expected = {
            "version": __version__,
            "ordered_s": int(time.time()) + 1,
            "device": DEVICE,
            "segments": status["segments"],
            "frames": status["frames"],
            "audit_entries": status["audit_entries"],
            "outbox_rows": status["outbox"]["rows"],
            "patient_minutes": [_utc(minute) for minute in minutes],
        }
        target.mkdir(parents=True)
        for name in KEPT:
            copy = shutil.copytree if (folder / name).is_dir() else shutil.copy
            copy(folder / name, target / name)
        for left in (*target.glob("state/*.lock"), *target.glob("state/*-wal"), *target.glob("state/*-shm")):
            left.unlink()
        (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def main() -> None:
    """Make it, once: what a release wrote is never written again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--again", action="store_true", help="replace the folder of a version that has no tag yet")
    again = parser.parse_args().again
    target = RELEASES / __version__
    if target.exists() and not again:
        parser.error(f"{target} exists: raise the version in edge_scanner/__init__.py first")
    shutil.rmtree(target, ignore_errors=True)
    make(target, time.time())
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
