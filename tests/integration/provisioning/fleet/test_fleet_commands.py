"""`edge-provision fleet` as headquarters types it: a broker that is not told, and what programs read."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.enrolment.documents import Assignment
from edge_scanner.core.errors import UnavailableError
from provisioning import certificates
from provisioning.fleet import commands
from provisioning.inventory import State, open_inventory
from tests.support import centre
from tests.support.fleet import PASSPHRASE, Workshop
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A broker's folder before the first `publish`."""
    folder = tmp_path / "edge"
    folder.mkdir()
    (folder / "acl").write_text((centre.CONFIG / "acl").read_text())
    return folder


def _fleet(shop: Workshop, *command: str | Path, fleet: bool = True) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "provisioning.cli", *map(str, command)]
    return subprocess.run(
        [*words, *(("--fleet", str(shop.fleet.folder)) if fleet else ())],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"EDGE_PROVISION_PASSPHRASE": PASSPHRASE},
    )


@pytest.mark.parametrize(
    ("reload", "code", "word"),
    [
        ("/nowhere/systemctl reload mosquitto", 78, "No such file or directory"),
        ("sh -c 'echo no bus >&2; exit 1'", 69, "no bus"),
    ],
)
def test_a_broker_that_is_not_told_is_one_line(shop: Workshop, lists: Path, reload: str, code: int, word: str) -> None:
    """Without systemctl, or when it fails: one line that says that the lists are written, and what to run."""
    done = _fleet(shop, "fleet", "publish", "--broker-dir", lists, "--reload", reload)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    assert word in done.stderr
    assert f"the lists are written; make the broker read them: {reload}" in done.stderr
    assert (lists / "crl.pem").exists()


@pytest.mark.parametrize("reload", ["systemctl 'reload mosquitto", "", "  "])
def test_a_command_that_is_none_is_refused_before_anything_is_written(shop: Workshop, lists: Path, reload: str) -> None:
    """An open quote, or nothing: exit 78, and the box is not revoked halfway."""
    box = shop.batch.manifest.ids[0]

    done = _fleet(shop, "fleet", "revoke", box, "--reason", "lost", "--broker-dir", lists, "--reload", reload)

    assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
    assert not (lists / "crl.pem").exists()
    with open_inventory(shop.fleet.inventory) as inventory:
        row = inventory.box(box)
        assert row is not None
        assert row.state is State.FREE


def test_a_revocation_whose_broker_is_not_told_stays_written(shop: Workshop, tmp_path: Path) -> None:
    """`fleet revoke` beside a running broker and without systemctl: the lists name the box, the exit code says it."""
    box = shop.batch.manifest.ids[0]
    with centre.central(tmp_path / "centre", shop.fleet) as middle:
        done = _fleet(
            shop, "fleet", "revoke", box, "--reason", "stolen", "--broker-dir", middle.folder,
            "--reload", "/nowhere/systemctl reload mosquitto", "--probe", f"127.0.0.1:{middle.port}",
        )  # fmt: skip

        assert (done.returncode, done.stderr.count("\n")) == (78, 1), done.stderr
        assert "the lists are written" in done.stderr
        assert f"user {box}\ntopic deny #\n" in (middle.folder / "acl").read_text()


def test_revoke_publish_and_list_answer_programs(shop: Workshop, tmp_path: Path) -> None:
    """One JSON object on stdout: the proof of a revocation, the lists, and the box with its reason in the list."""
    box = shop.batch.manifest.ids[0]
    with centre.central(tmp_path / "centre", shop.fleet) as middle:
        told = ("--broker-dir", middle.folder, "--reload", f"kill -HUP {middle.pid}", "--json")
        at = ("--probe", f"127.0.0.1:{middle.port}")
        revoked = _fleet(shop, "fleet", "revoke", box, "--reason", "stolen", *told, *at)
        published = _fleet(shop, "fleet", "publish", *told)
    listed = _fleet(shop, "fleet", "list", "--json")

    proof, lists = (json.loads(done.stdout) for done in (revoked, published))
    assert "revoked" in proof.pop("handshake")
    assert proof.pop("ended") is True
    assert proof == {"id": box, "reason": "stolen", "live_code": 0x87, "cleared": True, "proven": True, "exit": 0}
    assert 34 * 86400 < lists["crl_expires_s"] <= 35 * 86400
    assert (lists["revoked"], lists["silenced"]) == (3, 3)  # two probes and a take-over; the probes and the box
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (rows[0]["id"], rows[0]["state"], rows[0]["reason"]) == (box, "revoked", "stolen")


@pytest.mark.slow
def test_what_is_not_proven_is_said_to_programs(shop: Workshop, lists: Path) -> None:
    """No broker where the probe looks: the same object without a proof, exit 69, and one line on stderr."""
    box = shop.batch.manifest.ids[0]
    told = ("--broker-dir", lists, "--reload", "true", "--probe", f"127.0.0.1:{free_port()}", "--json")

    done = _fleet(shop, "fleet", "revoke", box, "--reason", "lost", *told)

    proof = json.loads(done.stdout)
    assert (proof["live_code"], proof["proven"], proof["exit"]) == (None, False, 69)
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)


def test_a_reload_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for a password, say: after the limit it is an error with what to run."""
    monkeypatch.setattr(commands, "RELOAD_S", 0.2)

    with pytest.raises(UnavailableError, match=r"no end after 0 s \(sleep 30\); the lists are written"):
        commands.reloader("sleep 30", None)()


@contextmanager
def _listening(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until Ctrl-C, whose stderr is read line by line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "provisioning.cli", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"EDGE_PROVISION_PASSPHRASE": PASSPHRASE},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_tail_says_why_it_hears_nothing(shop: Workshop, tmp_path: Path) -> None:
    """No broker there, then one that admits us: `fleet tail` says each in a line, with the code and its advice."""
    port = free_port()
    done = _fleet(shop, "fleet", "issue", "fleet-tail", "--out", tmp_path / "tail")
    assert done.returncode == 0, done.stderr
    with _listening("fleet", "tail", "--files", tmp_path / "tail", "--broker", f"127.0.0.1:{port}") as tail:
        absent = _line(tail)
        with centre.central(tmp_path / "centre", shop.fleet, port=port):
            present = _line(tail)
        lost = _line(tail)

    assert absent.startswith(f"edge-provision: BRK-02 127.0.0.1:{port}: ")
    assert "Không tới được máy chủ" in absent
    assert "The server cannot be reached" in absent
    assert present == f"edge-provision: 127.0.0.1:{port}: đã kết nối / connected\n"
    assert lost.startswith("edge-provision: BRK-")


def test_desk_and_tail_say_that_their_certificate_is_refused(shop: Workshop, tmp_path: Path) -> None:
    """A real mosquitto whose list names our certificate: BRK-06 and its advice on stderr, and nothing on stdout."""
    with centre.central(tmp_path / "centre", shop.fleet) as middle:
        for name in ("fleet-tail", "fleet-enrol"):
            _fleet(shop, "fleet", "issue", name, "--out", tmp_path / name)
            revoked = _fleet(
                shop, "fleet", "revoke", name, "--reason", "lost", "--broker-dir", middle.folder,
                "--reload", f"kill -HUP {middle.pid}", "--probe", f"127.0.0.1:{middle.port}",
            )  # fmt: skip
            assert revoked.returncode == 0, revoked.stdout + revoked.stderr
        at = ("--broker", f"127.0.0.1:{middle.port}")
        with _listening("fleet", "tail", "--files", tmp_path / "fleet-tail", *at) as tail:
            tailed = _line(tail)
        with _listening("desk", "--files", tmp_path / "fleet-enrol", *at, "--fleet", shop.fleet.folder) as desk:
            answered = _line(desk)

    for text in (tailed, answered):
        assert text.startswith(f"edge-provision: BRK-06 127.0.0.1:{middle.port}: the broker refuses our certificate: ")
        assert "Máy chủ từ chối chứng chỉ của hộp" in text
        assert "The server refuses the box's certificate" in text


def test_the_passphrase_is_asked_on_stderr(shop: Workshop) -> None:
    """Typed at a terminal with stdout in a pipe: the question is seen once, and stdout holds JSON only."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "provisioning.cli", "fleet", "list", "--json", "--fleet", str(shop.fleet.folder)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "EDGE_PROVISION_PASSPHRASE"},
    )
    try:
        asked = b""
        while b"Passphrase of the fleet: " not in asked:
            asked += os.read(ours, 1000)
        os.write(ours, f"{PASSPHRASE}\n".encode())
        out, _ = process.communicate()
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)

    assert process.returncode == 0
    assert asked.count(b"Passphrase") == 1
    assert len([json.loads(line) for line in out.splitlines()]) == len(shop.batch.manifest.ids)


def test_the_list_for_an_authority_is_signed_and_says_who_is_asked(shop: Workshop, tmp_path: Path) -> None:
    """Boxes with their keys and states, without spare ids; the authority's own reader believes it and no other."""
    installed, carded, stolen = shop.batch.manifest.ids[:3]
    key = b64encode(bytes(range(32))).decode()
    certificate = certificates.new_client(shop.fleet.issuing, installed, unit="boot", now_s=time.time(), days=1)
    assignment = Assignment(
        batch="B-014", device_id=installed, identity=key, certificate=certificate.certificate_pem.decode(),
        site="", room="", name_vi="", name_en="", issued_s=1,
    )  # fmt: skip
    with open_inventory(shop.fleet.inventory) as inventory:
        inventory.adopt(assignment)
        inventory.claim(carded, "00" * 32, now_s=1)
        inventory.retire(stolen, State.REVOKED, "stolen")

    done = _fleet(shop, "fleet", "boxes", tmp_path / "boxes.csv")

    assert done.returncode == 0, done.stderr
    assert "2 boxes in service; 1 of them without a key yet" in done.stdout
    assert "1 taken out" in done.stdout
    lines = (tmp_path / "boxes.csv").read_text("utf-8-sig").splitlines()
    assert lines == [
        "device_id,site,room,name_vi,identity,state,province,district,kind,hall_rule",
        f"{installed},ben-xe-mien-dong,Cửa 3,Bến xe Miền Đông,{key},enrolled,,,,",
        f"{carded},cho-ben-thanh,,Chợ Bến Thành,,enrolled,,,,",
        f"{stolen},,,,,revoked,,,,",
    ]
    shutil.copy(shop.fleet.folder / "signer.pub", tmp_path / "fleet.pub")
    shown = subprocess.run(
        [sys.executable, "-m", "edge_scanner.authority.cli", "boxes", tmp_path / "boxes.csv", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    listed = json.loads(shown.stdout)
    assert listed["fleet"] == "thu"
    assert listed["key"] in done.stdout
    assert [box["not_asked"] for box in listed["boxes"]] == ["", "no_key", "revoked"]
