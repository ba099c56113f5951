"""What each released version wrote, read by today's programs: a bundle is opened and matched, a database taken over."""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner import __version__, protocols
from edge_scanner.device import settings
from edge_scanner.device.commands.replay_log import sealed_replay
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan
from edge_scanner.device.storage.store import open_store
from tests.support.release_vector import CONFIRM, DAY_S, RELEASES, SECRET, program

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = sorted(path for path in RELEASES.iterdir() if path.is_dir())
ORDER = (
    "--request",
    "approved.json",
    "--root",
    "authority-root.pem",
    "--boxes",
    "boxes.csv",
    "--not-pulled",
    "a stick",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A copy that may be written to, and what its version said is inside."""

    folder: Path
    expected: dict[str, Any]

    def authority(self, *words: str | Path) -> str:
        """`edge-authority` in the night of the order, which must succeed; stdout."""
        return program("authority", *words, folder=self.folder, at_s=self.expected["ordered_s"])

    def log(self, command: str) -> Any:
        """`edge-scanner log COMMAND --json`, which must succeed."""
        return json.loads(program("device", "log", command, "--config", "scanner.toml", "--json", folder=self.folder))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Release:
    """One version's folder. Git keeps no rights of files: what was secret is made so again."""
    folder = tmp_path / "release"
    shutil.copytree(request.param, folder)
    for place in ("state", "desk", "custodian"):
        (folder / place).chmod(0o700)
        for file in (folder / place).iterdir():
            file.chmod(0o600)
    return Release(folder=folder, expected=json.loads((folder / "expected.json").read_text()))


def test_this_version_left_something_to_read() -> None:
    """A version is not released without its folder; `python -m tests.support.release_vector` makes it."""
    assert __version__ in {folder.name for folder in FOLDERS}


def test_its_bundle_is_verified(release: Release) -> None:
    """Every signature and hash, and the recipients that it was sealed to."""
    said = json.loads(
        release.authority(
            "verify", "bundle", "--boxes", "boxes.csv", "--recipients", "recipients.json",
            "--root", "authority-root.pem", "--custodian-root", "custodian-root.pem", "--json",
        )
    )  # fmt: skip

    (box,) = said["boxes"]
    assert (said["holds"], box["device"]) == (True, release.expected["device"])
    assert (box["segments"], box["frames"]) == (release.expected["segments"], release.expected["frames"])


def test_its_bundle_is_opened_by_both_parties_and_the_patient_is_found(release: Release) -> None:
    """The keys of that version, an order of that version; exactly the minutes in which the phone was there."""
    ours = ("--keys", "custodian", "--out", "custodian.release", *CONFIRM, *SECRET)
    release.authority("custodian", "release", "bundle", *ORDER, *ours)
    theirs = ("--keys", "desk", "--release", "custodian.release", "--out", "opened", *SECRET)
    release.authority("open", "bundle", *ORDER, *theirs)
    release.authority("match", "opened", "--cases", "case-1.json", "--out", "matches")
    release.authority("report", "matches", "--csv", "report.csv")

    table = (release.folder / "report.csv").read_text(encoding="utf-8-sig")
    found = sorted({row["minute_utc"] for row in csv.DictReader(table.splitlines())})
    assert found == release.expected["patient_minutes"]
    assert found


def test_its_database_is_whole(release: Release) -> None:
    """The log is intact, and nothing that waited or was audited is lost, before and after today's daemon opened it."""

    async def take_over() -> None:
        async with open_store(release.folder / "state" / "log.db"):
            pass

    for _ in range(2):
        verified, status = release.log("verify"), release.log("status")
        assert (verified["holds"], status["lost"]) == (True, [])
        assert verified["audit_entries"] == release.expected["audit_entries"]
        assert status["outbox"]["rows"] == release.expected["outbox_rows"]
        assert (status["segments"], status["frames"]) == (release.expected["segments"], release.expected["frames"])
        asyncio.run(take_over())


def test_its_log_goes_on(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that was upgraded writes behind what the old version wrote, in one chain; a day later, in new bins."""
    monkeypatch.chdir(release.folder)
    box = settings.load(release.folder / "scanner.toml")
    newest_s = datetime.fromisoformat(release.log("status")["newest"]).timestamp()
    crowd = Crowd(CrowdPlan(devices=3.0, duration_s=300.0), seed=1, start_s=newest_s + DAY_S)
    with sealed_replay(box.log, release.folder / "state", protocols.load(box.radio.protocols)) as take:
        for advert in crowd.adverts():
            take(advert)

    verified = release.log("verify")
    assert verified["holds"]
    assert verified["segments"] > release.expected["segments"]
    assert verified["frames"] > release.expected["frames"]
