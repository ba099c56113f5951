"""What others wrote, shown by every command that shows it: the commands succeed, and the terminal obeys nothing.

Where a document takes any printable text, it is full of markup; where a place takes any bytes (names of files and
folders, messages at a broker, rows of an inventory, what a check-up found), it is full of escapes as well.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.collect.boxes import Box
from edge_scanner.authority.keys import vault
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.device import cli as device
from edge_scanner.device.commands import doctor
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.system import journal
from tests.support import captures, release_vector
from tests.support.authority import edge_authority, told
from tests.support.box_lists import write_boxes
from tests.support.cheap_lock import cheap_lock
from tests.support.foreign import ESCAPES, MARK, NAME, obeyed, program
from tests.support.release_vector import DEVICE, LENGTH_S, ORDERED_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.authority import Outcome


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases cost a thousandth."""
    monkeypatch.setattr(vault, "new_lock", cheap_lock)


class Night:
    """The authority's commands in one folder; each must end as it should and print nothing that is obeyed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shown: dict[str, str] = {}
        (folder / "passphrase").write_text("ngựa đúng pin ghim\n")

    def __call__(self, *words: object, code: int = 0, secret: bool = True) -> Outcome:
        """Run one."""
        extra = ("--passphrase-file", "passphrase") if secret else ()
        done = edge_authority(*words, *extra)
        assert done.code == code, done
        assert obeyed(done.stdout + done.stderr) == [], words
        self.shown[" ".join(str(word) for word in words[:2])] = done.stdout + done.stderr
        return done


def keys_and_set(run: Night, start_s: int) -> None:
    """Every key, mandate and set, all of them named in markup."""
    week = time.strftime("%G-W%V", time.gmtime(start_s))
    run("keys", "root", "root", "--name", MARK)
    run("keys", "root", "root", "--custodian", "--name", f"{MARK}2")
    for role in ("health-officer", "approver"):
        made = run("keys", "new", NAME, "--role", role, "--name", f"{MARK} {role}")
        run(
            "keys", "certify", f"{NAME}/{role}.pub", "--root", "root/root.key", "--authority", "authority-hcm", "--out",
            f"{NAME}-{role}.mandate", "--words", told(made.stdout),
        )  # fmt: skip
    for folder, role in ((f"{NAME}-desk", "recipient"), (f"{NAME}-keeper", "custodian")):
        run("keys", "new", folder, "--role", role, "--name", MARK, "--weeks", 2, "--from-week", week)
        run("keys", "list", folder, secret=False)
    run("keys", "split", "root/root.key", "--need", 2, "--of", 3, "--out", f"{NAME}-shares")
    run("keys", "revoke", f"{NAME}/approver.pub", "--root", "root/root.key", "--out", f"{NAME}-revoked")
    pinned = ("--authority-root", "root/authority-root.pem")
    custodian = ("--custodian-root", "root/custodian-root.pem")
    folders = (f"{NAME}-desk", f"{NAME}-keeper")
    run(
        "recipients", "sign", *folders, "--root", "root/root.key", *custodian, "--version", 1, "--out", f"{NAME}-1"
    )  # fmt: skip
    run(
        "recipients", "countersign", f"{NAME}-1", folders[1], "--root", "root/custodian-root.key", *pinned,
        "--version", 1, "--out", "recipients.json",
    )  # fmt: skip
    (run.folder / f"{NAME}-published").write_text(published())
    run(
        "recipients", "list", "recipients.json", *pinned, *custodian, "--published", f"{NAME}-published", secret=False
    )  # fmt: skip
    for name in ("authority-root.pem", "custodian-root.pem"):
        shutil.copy(run.folder / "root" / name, run.folder)


def published() -> str:
    """Lines of a broker to which anybody may write what he likes, and some that a reader takes."""
    audit = {"kind": "audit", "device": NAME, "action": "recipients", "case": ESCAPES, "request": ESCAPES, "at": 1}
    count = {"kind": "counts", "device": DEVICE, "at": 1, "link": {"segment": 9, "frame": 1, "link": ESCAPES}}
    said, counted = (json.dumps(body, ensure_ascii=False).encode().hex() for body in (audit, count))
    return "\n".join(
        [
            f"{ESCAPES} {said}",
            f"edge-scanner/v1/d/{NAME}/up/audit {said}",
            f"{DEVICE}{ESCAPES}",
            f"edge-scanner/v1/d/{NAME}/up/counts {counted}",
        ]
    )


@pytest.mark.slow
def test_no_command_of_the_authority_obeys_what_others_wrote(tmp_path: Path) -> None:
    """The whole night, from keys to the report, under such names and in such files."""
    run = Night(tmp_path)
    with contextlib.chdir(tmp_path):
        start_s = release_vector.evening(time.time())
        keys_and_set(run, start_s)
        release_vector.seal(tmp_path, start_s)
        identity = open_identity(tmp_path / "state", configured_id=DEVICE)
        box = Box(device=DEVICE, site=MARK, room=MARK, name=MARK, identity=identity.public_key)
        gone = Box(device="7K3M9Q2X4T", site=MARK, room="", name="", identity=identity.public_key, state="revoked")
        write_boxes(tmp_path / "boxes.csv", [box, gone])
        run("boxes", "boxes.csv", secret=False)
        run("boxes", "boxes.csv", "--json", secret=False)
        order(run, start_s)
        collect(run, start_s)
        read_the_result(run)

    for command in ("boxes boxes.csv", "request show", "recipients sign", "recipients list", "custodian register"):
        assert "[/x]" in run.shown[command], command
    assert "not asked" in run.shown["request new"]


def order(run: Night, start_s: int) -> None:
    """Drafted, approved, shown."""
    times = [f"{time.strftime('%Y-%m-%dT%H:%M', time.gmtime(start_s + s))}+00:00" for s in ORDERED_S]
    root = ("--root", "authority-root.pem")
    run(
        "request", "new", "--case", "A", "--legal-basis", MARK, "--purpose", MARK, "--site", MARK, "--from", times[0],
        "--to", times[1], "--boxes", "boxes.csv", *root, "--key", f"{NAME}/health-officer.key",
        "--mandate", f"{NAME}-health-officer.mandate", "--out", f"{NAME}-order",
    )  # fmt: skip
    run(
        "request", "approve", f"{NAME}-order", *root, "--key", f"{NAME}/approver.key", "--boxes", "boxes.csv",
        "--mandate", f"{NAME}-approver.mandate", "--out", f"{NAME}-approved", "--confirm", "1 0:10",
    )  # fmt: skip
    run("request", "show", f"{NAME}-approved", *root, "--json", secret=False)
    run("request", "show", f"{NAME}-approved", *root, "--boxes", "boxes.csv", secret=False)


def collect(run: Night, start_s: int) -> None:
    """Exported, taken from the stick, verified, released, opened."""
    times = [f"{time.strftime('%Y-%m-%dT%H:%M', time.gmtime(start_s + s))}Z" for s in (0, LENGTH_S)]
    release_vector.program(
        "device", "log", "export", "stick", "--from", times[0], "--to", times[1], "--config", "scanner.toml",
        folder=run.folder,
    )  # fmt: skip
    boxes = ("--boxes", "boxes.csv")
    run("pull", "--from-usb", "stick", *boxes, "--out", f"{NAME}-usb", secret=False)
    run("pull", "--from-usb", "stick", *boxes, "--out", f"{NAME}-json", "--json", secret=False)
    for more in (("--lang", "vi"), ("--lang", "en"), ("--json",)):
        run("verify", f"{NAME}-usb", *boxes, "--checkpoints", f"{NAME}-published", *more, secret=False)
    judged = ("--request", f"{NAME}-approved", "--root", "authority-root.pem", *boxes, "--not-pulled", MARK)
    for number in range(2):
        run(
            "custodian", "release", f"{NAME}-usb", *judged, "--keys", f"{NAME}-keeper", "--out",
            f"{NAME}-release-{number}", "--confirm", "1 0:10", "--checkpoints", f"{NAME}-published",
        )  # fmt: skip
    run("custodian", "register", f"{NAME}-keeper", "--json", secret=False)
    run("custodian", "register", f"{NAME}-keeper", secret=False)
    run(
        "open", f"{NAME}-usb", *judged, "--keys", f"{NAME}-desk", "--release", f"{NAME}-release-0", "--out",
        f"{NAME}.opened", "--checkpoints", f"{NAME}-published",
    )  # fmt: skip


def read_the_result(run: Night) -> None:
    """Matched, reported, purged; and the case's identifiers."""
    (run.folder / "case-1.json").rename(run.folder / f"{NAME}.json")
    run("derive", f"{NAME}.json", "--csv", f"{NAME}.derived", secret=False)
    run("match", f"{NAME}.opened", "--cases", f"{NAME}.json", "--out", f"{NAME}.sightings", secret=False)
    run("match", f"{NAME}.opened", "--cases", f"{NAME}.json", "--out", f"{NAME}.2", "--json", secret=False)
    run("report", f"{NAME}.sightings", "--html", f"{NAME}.html", "--csv", f"{NAME}.csv", secret=False)
    run("purge", ".", secret=False)
    run("purge", f"{NAME}.opened", "--now", secret=False)


def test_no_command_of_the_box_obeys_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a venue and a card named like that, and what BlueZ or a broker may say in the doctor's lines."""
    folder = tmp_path / NAME
    folder.mkdir()
    run = Night(folder)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    with contextlib.chdir(folder):
        start_s = release_vector.evening(time.time())
        keys_and_set(run, start_s)
        release_vector.seal(folder, start_s)
        text = (folder / "scanner.toml").read_text()
        (folder / "scanner.toml").write_text(text.replace("[log]", f'name_vi = "{MARK}"\nname_en = "{MARK}"\n[log]'))
        times = [f"{time.strftime('%Y-%m-%dT%H:%M', time.gmtime(start_s + s))}Z" for s in (0, LENGTH_S)]
        heard = [(captures.START_S + number, captures.GAEN) for number in range(3)]
        captures.android_log(folder / f"{NAME}.btsnoop", heard)
        (folder / "pin").write_text("123456\n")
        for words in (
            ("check-config", folder / "scanner.toml"),
            ("log", "status", "--config", "scanner.toml"),
            ("log", "verify", "--config", "scanner.toml"),
            ("log", "prove-retention", "--config", "scanner.toml"),
            ("log", "export", f"{NAME}-usb", "--from", times[0], "--to", times[1], "--config", "scanner.toml"),
            ("privacy", "--config", "scanner.toml"),
            ("replay", f"{NAME}.btsnoop"),
            ("replay", f"{NAME}.btsnoop", "--json"),
            ("doctor", "--config", "scanner.toml", "--lang", "en"),
            ("doctor", "--config", "scanner.toml", "--json"),
            ("ops-pin", f"{NAME}-pin", "--pin-file", "pin"),
        ):
            code, shown = program(device.main, *words)
            assert obeyed(shown) == [], words
            assert shown, words
            assert code in ({0, 1, 2} if words[0] in {"doctor", "log"} else {0}), shown


def test_the_doctor_and_the_log_repeat_what_others_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    """A detail from outside in a line for people, in one for programs, and in the journal."""
    findings = (Finding(check="adapter", verdict=Verdict.FAIL, code="RAD-01", detail=f"{MARK} {ESCAPES}"),)

    doctor.show(findings, language="en")
    document = doctor.as_document(findings)
    stream = io.StringIO()
    journal.set_up(stream)
    journal.get("test").warning("a broker said", reason=f"{MARK} {ESCAPES}", detail=ESCAPES)

    shown = capsys.readouterr().out
    assert obeyed(shown + stream.getvalue()) == []
    assert MARK in shown
    assert MARK in stream.getvalue()
    assert json.loads(json.dumps(document))["findings"][0]["detail"] == f"{MARK} {ESCAPES}"
