"""A night at the health authority, told with the real programs: from keys to a printed report.

Three boxes hear a simulated crowd in which two phones are later confirmed as cases. A health officer asks, an approver
agrees, two boxes answer, the third is away, the broker is killed, the third comes back; the bundles are verified,
opened with the custodian, matched and reported. Exactly the planted sightings come out, minute by minute, none else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.collect.boxes import Box as Listed
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.simulation.crowd import Planted
from edge_scanner.device.simulation.phones import Kind
from tests.support import exports
from tests.support.authority import told
from tests.support.box import Box, Collector
from tests.support.box_lists import write_boxes
from tests.support.halls import hall
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

ACL = Path(__file__).parents[2] / "config" / "broker" / "acl"
AUTHORITY = "authority-hcm"
DAY_S, MINUTE_S = 86400, 60
DURATION_S = 80 * MINUTE_S
FIGURES = "3 1:20"
GAEN_A_DAY = 144
"""Rolling identifiers of one Exposure Notification key, ten minutes each."""
VIET_NAM = timezone(timedelta(hours=7))
BINH_KEY, CHI_KEY = bytes(range(32)), bytes(range(16))
PLACES = ("Bến xe Miền Đông", "Siêu thị Gò Vấp", "Bệnh viện Quận 7")


def quiet_hours() -> int:
    """A full hour some hours ago whose next eighty minutes lie in one UTC day."""
    start = int(time.time() - 4 * 3600) // 3600 * 3600
    return start if start // DAY_S == (start + DURATION_S) // DAY_S else start - 2 * 3600


class Desk:
    """A folder of the authority and its program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "passphrase").write_text("ngựa đúng pin ghim\n")

    def command(self, *words: object) -> list[str]:
        """edge-authority as a command line."""
        return [sys.executable, "-m", "edge_scanner.authority.cli", *map(str, words)]

    def run(self, *words: object, code: int = 0) -> str:
        """Run a command in the folder; its stdout."""
        done = subprocess.run(self.command(*words), cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def secretly(self, *words: object) -> str:
        """Run a command that needs the passphrase."""
        return self.run(*words, "--passphrase-file", "passphrase")


def provision(desk: Desk) -> None:
    """Root, two people with mandates, weekly keys of both parties, and the signed set."""
    week = datetime.now(VIET_NAM) - timedelta(weeks=1)
    first = f"{week.isocalendar().year}-W{week.isocalendar().week:02d}"
    desk.secretly("keys", "root", "vault", "--name", "Sở Y tế TP.HCM")
    desk.secretly("keys", "root", "vault", "--custodian", "--name", "Trung tâm giữ khoá")
    for role, name in (("health-officer", "BS. Nguyễn Thị An"), ("approver", "Trần Văn Bình")):
        made = desk.secretly("keys", "new", role, "--role", role, "--name", name)
        desk.secretly(
            "keys", "certify", f"{role}/{role}.pub", "--root", "vault/root.key", "--authority", AUTHORITY,
            "--out", f"{role}/{role}.mandate", "--words", told(made),
        )  # fmt: skip
    for role in ("recipient", "custodian"):
        desk.secretly("keys", "new", role, "--role", role, "--name", role, "--weeks", "3", "--from-week", first)
    desk.secretly(
        "recipients", "sign", "recipient", "custodian", "--root", "vault/root.key",
        "--custodian-root", "vault/custodian-root.pem", "--version", "1", "--out", "recipients.proposed",
    )  # fmt: skip
    desk.secretly(
        "recipients", "countersign", "recipients.proposed", "custodian", "--root", "vault/custodian-root.key",
        "--authority-root", "vault/authority-root.pem", "--version", "1", "--out", "recipients.json",
    )  # fmt: skip


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with the fleet's permissions."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, listen="mutual", acl=ACL.read_text()) as broker:
        yield broker


def install(tmp_path: Path, mosquitto: Mosquitto, desk: Desk) -> list[Box]:
    """Three boxes with the authority's root and recipients on them."""
    boxes = []
    for number in range(3):
        box = Box(tmp_path / f"box{number}", broker=mosquitto)
        (box.folder / "recipients.json").write_bytes((desk.folder / "recipients.json").read_bytes())
        for name in ("authority-root.pem", "custodian-root.pem"):
            (box.folder / name).write_bytes((desk.folder / "vault" / name).read_bytes())
        box.state.mkdir(mode=0o700)
        (box.state / "device-id").write_text(box.device_id)
        (box.state / "device-id").chmod(0o600)
        boxes.append(box)
    return boxes


def hear(boxes: list[Box], start_s: int) -> dict[tuple[str, str], set[int]]:
    """Each hall's capture through the box's own pipeline; the truth by phone and box."""

    def stay(name: str, key: bytes, kind: Kind, since: int, until: int) -> Planted:
        return Planted(
            name=name, kind=kind, key=key, arrive_s=start_s + since * 60.0, leave_s=start_s + until * 60.0, rssi=-66
        )

    halls = (
        (stay("binh", BINH_KEY, Kind.BLUEZONE_ANDROID, 5, 30),),
        (stay("binh", BINH_KEY, Kind.BLUEZONE_ANDROID, 41, 70),),
        (stay("chi", CHI_KEY, Kind.GAEN_ANDROID, 20, 55),),
    )
    truth: dict[tuple[str, str], set[int]] = {}
    for number, (box, planted) in enumerate(zip(boxes, halls, strict=True)):
        capture, heard = hall(start_s, DURATION_S, *planted, seed=number)
        (box.folder / "hall.btsnoop").write_bytes(capture)
        done = box.command("replay", str(box.folder / "hall.btsnoop"), "--state-dir", str(box.state), "--grace", "60")
        assert done.returncode == 0, done.stderr
        truth |= {(name, box.device_id): minutes for name, minutes in heard.items()}
    return truth


def write_inventory(desk: Desk, boxes: list[Box]) -> None:
    """The list that the fleet's operator hands over."""
    write_boxes(
        desk.folder / "boxes.csv",
        [
            Listed(
                device=box.device_id,
                site="hcm",
                room="Cửa 1",
                name=place,
                identity=open_identity(box.state, configured_id=box.device_id).public_key,
            )
            for box, place in zip(boxes, PLACES, strict=True)
        ],
    )


def write_cases(desk: Desk, start_s: int) -> None:
    """Binh's Bluezone record and Chi's signed export."""
    day_s = start_s // DAY_S * DAY_S
    record = {"daily_key": BINH_KEY.hex().upper(), "time_start": day_s, "max": 96, "time_end": start_s + DURATION_S}
    (desk.folder / "binh.json").write_text(json.dumps({"data": [record]}))
    publisher = exports.publisher()
    (desk.folder / "chi.zip").write_bytes(publisher.archive(exports.body([exports.key(CHI_KEY, day_s // 600)])))
    (desk.folder / "publisher.pem").write_bytes(publisher.pem)


def pull(desk: Desk, mosquitto: Mosquitto, boxes: list[Box]) -> None:
    """Two boxes answer, the broker dies, the third box comes back: one command from beginning to end."""
    files = mosquitto.authority.issue(AUTHORITY)
    command = desk.command(
        "pull", "approved.json", "--boxes", "boxes.csv", "--out", "bundles", "--lang", "en", "--json",
        "--broker", f"127.0.0.1:{mosquitto.port}", "--ca", mosquitto.authority.file,
        "--certificate", files.certificate, "--certificate-key", files.key,
    )  # fmt: skip
    progress = desk.folder / "progress.txt"
    with progress.open("w") as stderr:
        running = subprocess.Popen(command, cwd=desk.folder, stdout=subprocess.PIPE, stderr=stderr, text=True)
        deadline = time.monotonic() + PATIENCE_S
        while progress.read_text().count("complete") < 2:
            assert time.monotonic() < deadline, progress.read_text()
            time.sleep(0.05)
        assert "has not answered yet" in progress.read_text()
        mosquitto.restart()
        boxes[2].start("--simulate", "1")
        output, _ = running.communicate()
    assert running.returncode == 0, progress.read_text()
    assert {one["state"] for one in json.loads(output)["boxes"]} == {"done"}


@pytest.mark.slow
def test_a_night_at_the_authority(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """From keys to report; what comes out is what was planted."""
    desk, start_s = Desk(tmp_path / "desk"), quiet_hours()
    provision(desk)
    boxes = install(tmp_path, mosquitto, desk)
    truth = hear(boxes, start_s)
    write_inventory(desk, boxes)
    write_cases(desk, start_s)
    assert all(len(minutes) > 15 for minutes in truth.values())

    with Collector(mosquitto, tmp_path) as collector, boxes[0], boxes[1], boxes[2]:
        for box in boxes:
            box.start("--simulate", "1")
        # Each box has two finished hours to tell of.
        collector.until("checkpoint", times=6)
        assert boxes[2].stop() == 0

        local = [f"{datetime.fromtimestamp(at_s, VIET_NAM):%Y-%m-%dT%H:%M}" for at_s in (start_s, start_s + DURATION_S)]
        desk.secretly(
            "request", "new", "--case", "HCM-2026-0417", "--legal-basis", "Luật 114/2025/QH15",
            "--purpose", "Truy vết người tiếp xúc", "--site", "hcm", "--from", local[0], "--to", local[1],
            "--boxes", "boxes.csv", "--root", "vault/authority-root.pem", "--key", "health-officer/health-officer.key",
            "--mandate", "health-officer/health-officer.mandate", "--out", "request.json",
        )  # fmt: skip
        once = desk.run("request", "show", "request.json", "--root", "vault/authority-root.pem", code=77)
        assert "thiếu chữ ký" in once
        desk.secretly(
            "request", "approve", "request.json", "--root", "vault/authority-root.pem",
            "--key", "approver/approver.key",
            "--mandate", "approver/approver.mandate", "--out", "approved.json", "--confirm", FIGURES,
        )  # fmt: skip
        shown = desk.run(
            "request", "show", "approved.json", "--root", "vault/authority-root.pem", "--boxes", "boxes.csv"
        )
        assert "both signatures are valid" in shown
        assert "cả hai chữ ký hợp lệ" in shown

        pull(desk, mosquitto, boxes)
        answered = [box.rows("SELECT entry FROM audit ORDER BY number") for box in boxes]
        published = desk.folder / "published.txt"
        published.write_bytes(b"\n".join(f"{topic} {payload.hex()}".encode() for topic, payload in collector.messages))

    assert [len(entries) for entries in answered] == [2, 2, 2]
    judge_and_open(desk)
    result = match_and_report(desk)

    found = {(one["case"], one["device"], one["minute_s"]) for one in result["sightings"]}
    names = {"binh": "binh/1", "chi": "chi/1"}
    planted = {(names[name], device, minute) for (name, device), minutes in truth.items() for minute in minutes}
    assert found == planted
    assert all(one["strict"] for one in result["sightings"])
    leaves_no_identifier(desk)


def judge_and_open(desk: Desk) -> None:
    """Verify, release, open."""
    verdict = json.loads(
        desk.run(
            "verify", "bundles", "--boxes", "boxes.csv", "--checkpoints", "published.txt",
            "--recipients", "recipients.json", "--root", "vault/authority-root.pem",
            "--custodian-root", "vault/custodian-root.pem", "--json",
        )
    )  # fmt: skip
    assert verdict["holds"]
    assert [one["checkpoints"] > 0 and one["recipients_checked"] for one in verdict["boxes"]] == [True] * 3
    order = ("--request", "approved.json", "--root", "vault/authority-root.pem", "--boxes", "boxes.csv")
    desk.secretly(
        "custodian", "release", "bundles", *order, "--keys", "custodian", "--out", "hcm.release", "--confirm", FIGURES
    )
    desk.secretly("open", "bundles", *order, "--keys", "recipient", "--release", "hcm.release", "--out", "hcm.opened",
        "--checkpoints", "published.txt",
    )  # fmt: skip
    assert (desk.folder / "hcm.opened").stat().st_mode & 0o777 == 0o600


def match_and_report(desk: Desk) -> dict[str, list[dict[str, object]]]:
    """Match both cases, write the report; the result as JSON."""
    desk.run(
        "match", "hcm.opened", "--cases", "binh.json", "--cases", "chi.zip", "--public-key", "publisher.pem",
        "--out", "hcm.sightings",
    )  # fmt: skip
    desk.run("report", "hcm.sightings", "--html", "hcm.html", "--csv", "hcm.csv", "--parquet", "hcm.parquet")
    result: dict[str, list[dict[str, object]]] = json.loads((desk.folder / "hcm.sightings").read_text())
    return result


def leaves_no_identifier(desk: Desk) -> None:
    """Neither keys nor identifiers are in what is kept; after purge the opened records are gone, too."""
    listed = desk.run("derive", "binh.json", "chi.zip", "--public-key", "publisher.pem", "--csv", "-").splitlines()
    identifiers = {line.split(",")[1] for line in listed[1:]}
    assert len(identifiers) > GAEN_A_DAY, "Chi's whole day, and Binh's until the hall closed"
    for name in ("hcm.sightings", "hcm.html", "hcm.csv"):
        words = set(re.findall(r"[0-9a-f]{24,}", (desk.folder / name).read_text().lower()))
        assert not words & (identifiers | {BINH_KEY.hex(), CHI_KEY.hex()})
    desk.run("purge", ".", "--now")
    assert not (desk.folder / "hcm.opened").exists()
