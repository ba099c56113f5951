"""edge-provision and edge-scanner as a technician types them: two machines on one cable, and no internet at all."""

from __future__ import annotations

import csv
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.device import settings
from provisioning.inventory import State, open_inventory
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROVISION = [sys.executable, "-m", "provisioning.cli"]
BOX = [sys.executable, "-m", "edge_scanner.device.cli"]
ENVIRONMENT = os.environ | {
    "EDGE_PROVISION_PASSPHRASE": "mat-khau-thu",
    "EDGE_PROVISION_BATCH_PASSPHRASE": "mat-khau-cua-lo",
    "COLUMNS": "160",
    "LANG": "vi_VN.UTF-8",
}


def _run(*command: str | Path, expect: int = 0, prefix: tuple[str, ...] = ()) -> str:
    done = subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A fleet and a batch of four, made by the commands."""
    who = parties(time.time())
    (tmp_path / "root.pem").write_bytes(who.root_pem)
    (tmp_path / "custodian.pem").write_bytes(who.custodian_pem)
    (tmp_path / "recipients.json").write_bytes(who.document)
    with (tmp_path / "sites.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("site", "room", "name_vi", "name_en"))
        rows.writerow(("ben-xe-mien-dong", "Cửa 3", "Bến xe Miền Đông", "Eastern Bus Station"))
        rows.writerow(("cho-ben-thanh", "", "Chợ Bến Thành", "Ben Thanh Market"))
    fleet = tmp_path / "fleet"
    _run(*PROVISION, "fleet", "new", "thu", "--broker", "127.0.0.1:8883", "--fleet", fleet)
    target = tmp_path / "batch-B-014.zip"
    _run(
        *PROVISION, "batch", "new", "B-014", "--sites", tmp_path / "sites.csv", "--count", "4",
        "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json",
        "--fleet", fleet, "--out", target,
    )  # fmt: skip
    return target


@contextmanager
def _bench(batch: Path, *options: str, prefix: tuple[str, ...] = ()) -> Iterator[int]:
    """`bench start` as a process; its port."""
    process = subprocess.Popen(
        [*prefix, *PROVISION, "bench", "start", str(batch), "--home", str(batch.parent / "laptop"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"port (\d+)", line)
        assert match, line + (process.stderr.read() if process.stderr else "")
        yield int(match[1])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def _card_image(batch: Path, folder: Path) -> None:
    """What the batch's card image has in it: the secret, as `bench secret` writes it."""
    (folder / "etc").mkdir(parents=True)
    _run(*PROVISION, "bench", "secret", batch, "--home", batch.parent / "laptop", "--out", folder / "etc/enrol.secret")


def _enrol(folder: Path, *options: str, expect: int = 0, prefix: tuple[str, ...] = ()) -> str:
    places = ("--etc", folder / "etc", "--state", folder / "state")
    return _run(*BOX, "enrol", *places, "--no-self-test", "--no-set-clock", *options, expect=expect, prefix=prefix)


def test_a_day_at_the_bench(batch: Path, tmp_path: Path) -> None:
    """Batch, bench, box, table, the evening's file, headquarters' list: each command with what the last made."""
    home = tmp_path / "laptop"
    for name in ("box", "again"):
        _card_image(batch, tmp_path / name)
    with _bench(batch, "--port", "0", "--host", "127.0.0.1") as port:
        text = _enrol(tmp_path / "box", "--bench", f"http://127.0.0.1:{port}")
        # The same board again, as another card: the table tells it apart.
        _enrol(tmp_path / "again", "--bench", f"http://127.0.0.1:{port}", expect=2)
    device_id = settings.load(tmp_path / "box" / "etc" / "scanner.toml").device.id

    assert "Mã máy / Box id" in text
    assert "ĐẠT: máy sẵn sàng." in text
    table = _run(*PROVISION, "bench", "show", batch, "--home", home)
    assert "đạt / ready 1/4" in table
    assert f"{device_id[:4]}-{device_id[4:8]}-{device_id[8:]}" in table
    assert "ĐẠT / READY" in table
    assert "PRV-02" in table

    shown = json.loads(_run(*PROVISION, "bench", "show", batch, "--home", home, "--json"))
    assert (shown["batch"], shown["days_left"]) == ("B-014", 89)
    assert [box["state"] for box in shown["boxes"]] == ["enrolled", "free", "free", "free"]
    assert [box["verdict"] for box in shown["boxes"]] == ["PASS", "", "", ""]
    assert (shown["boxes"][0]["id"], shown["boxes"][0]["site"]) == (device_id, "ben-xe-mien-dong")
    assert {step["verdict"] for step in shown["boxes"][0]["steps"]} == {"PASS"}
    assert [refusal["code"] for refusal in shown["refusals"]] == ["PRV-02"]

    sync = tmp_path / "sync.json"
    assert "1 box\n" in _run(*PROVISION, "bench", "sync", batch, "--home", home, "--out", sync)
    told = json.loads(_run(*PROVISION, "bench", "sync", batch, "--home", home, "--out", sync, "--json"))
    assert told == {"file": str(sync), "boxes": 1, "exit": 0}
    assert "1 box\n" in _run(*PROVISION, "fleet", "adopt", sync, "--fleet", tmp_path / "fleet")
    adopted = json.loads(_run(*PROVISION, "fleet", "adopt", sync, "--fleet", tmp_path / "fleet", "--json"))
    assert adopted == {"file": str(sync), "boxes": 1}
    sheet = tmp_path / "labels.html"
    made = json.loads(_run(*PROVISION, "label", batch, "--home", home, "--out", sheet, "--json"))
    assert made == {"file": str(sheet), "labels": 1}
    rows = [
        json.loads(line)
        for line in _run(*PROVISION, "fleet", "list", "--json", "--fleet", tmp_path / "fleet").splitlines()
    ]
    assert [row["state"] for row in rows] == ["enrolled", "free", "free", "free"]
    assert rows[0] == {
        "id": device_id,
        "batch": "B-014",
        "site": "ben-xe-mien-dong",
        "state": "enrolled",
        "certificate_until": "",
        "reason": "",
    }
    with open_inventory(home / "inventory.db") as laptop, open_inventory(tmp_path / "fleet" / "inventory.db") as fleet:
        ours, theirs = laptop.box(device_id), fleet.box(device_id)
        assert ours is not None
        assert theirs is not None
        assert (ours.identity, ours.mqtt_key) == (theirs.identity, theirs.mqtt_key)
        assert (ours.serial != "", theirs.serial) == (True, "")

    _retired(device_id, home)


def _retired(device_id: str, home: Path) -> None:
    """`bench retire` with the id as it stands on the label."""
    _run(*PROVISION, "bench", "retire", f"{device_id[:4]}-{device_id[4:8]}-{device_id[8:]}", "--home", home)
    with open_inventory(home / "inventory.db") as laptop:
        gone = laptop.box(device_id)
        assert gone is not None
        assert gone.state is State.RETIRED


def test_a_paper_that_nobody_has_is_refused(batch: Path, tmp_path: Path) -> None:
    """`--paper foo` is a slip of the pen: exit 2, and no sheet in another size. No box is ready: no sheet at all."""
    sheet = tmp_path / "labels.html"

    _run(*PROVISION, "label", batch, "--home", tmp_path / "laptop", "--out", sheet, "--paper", "foo", expect=2)
    _run(*PROVISION, "label", batch, "--home", tmp_path / "laptop", "--out", sheet, "--paper", "a4", expect=65)
    assert not sheet.exists()


@pytest.mark.usefixtures("batch")
def test_batch_and_card_answer_programs(tmp_path: Path) -> None:
    """`batch new --json` and `card --json`: one object each, which says what was made and where."""
    package = tmp_path / "edge-scanner_1.0.0_arm64.deb"
    package.write_bytes(b"a package")
    target = tmp_path / "batch-B-015.zip"
    made = json.loads(
        _run(
            *PROVISION, "batch", "new", "B-015", "--sites", tmp_path / "sites.csv", "--count", "3",
            "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json",
            "--software", package, "--fleet", tmp_path / "fleet", "--out", target, "--json",
        )
    )  # fmt: skip
    ends_s = made.pop("not_after_s")
    assert made == {"file": str(target), "batch": "B-015", "ids": 3, "places": 2, "packages": 1}
    assert abs(ends_s - time.time() - 90 * 86400) < 600

    folder = tmp_path / "bootfs"
    card = json.loads(_run(*PROVISION, "card", target, folder, "--home", tmp_path / "laptop", "--json"))
    assert card["folder"] == str(folder)
    assert f"edge-{card['id'].lower()}" in (folder / "user-data").read_text()
    assert card["account"] is None


@pytest.mark.usefixtures("batch")
def test_a_card_says_who_can_log_in(tmp_path: Path) -> None:
    """Without --ssh-key it says that nobody can; with one the key is on the card; a private key is refused, exit 65."""
    package = tmp_path / "edge-scanner_1.0.0_arm64.deb"
    package.write_bytes(b"a package")
    target, key = tmp_path / "batch-B-015.zip", tmp_path / "id"
    _run(
        *PROVISION, "batch", "new", "B-015", "--sites", tmp_path / "sites.csv", "--count", "3",
        "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json",
        "--software", package, "--fleet", tmp_path / "fleet", "--out", target,
    )  # fmt: skip
    private = Ed25519PrivateKey.generate()
    openssh = serialization.PublicFormat.OpenSSH
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, openssh).decode() + " an@hcm"
    key.with_suffix(".pub").write_text(f"{public}\n")
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    home = ("--home", tmp_path / "laptop")

    alone = _run(*PROVISION, "card", target, tmp_path / "one", *home)
    entered = _run(*PROVISION, "card", target, tmp_path / "two", *home, "--ssh-key", key.with_suffix(".pub"))
    _run(*PROVISION, "card", target, tmp_path / "three", *home, "--ssh-key", key, expect=65)

    assert ("nobody can log in" in alone, "nobody can log in" in entered) == (True, False)
    assert public in (tmp_path / "two" / "user-data").read_text()
    assert not (tmp_path / "three").exists()


def test_a_forged_sync_file_is_not_adopted(batch: Path, tmp_path: Path) -> None:
    """One changed byte, and headquarters takes nothing over."""
    sync = tmp_path / "sync.json"
    _card_image(batch, tmp_path / "box")
    with _bench(batch, "--port", "0", "--host", "127.0.0.1") as port:
        _enrol(tmp_path / "box", "--bench", f"http://127.0.0.1:{port}")
    _run(*PROVISION, "bench", "sync", batch, "--home", tmp_path / "laptop", "--out", sync)
    sync.write_bytes(sync.read_bytes().replace(b'"retired":[]', b'"retired":["x"]'))

    _run(*PROVISION, "fleet", "adopt", sync, "--fleet", tmp_path / "fleet", expect=65)


def test_wrong_passphrase_and_missing_bench(batch: Path, tmp_path: Path) -> None:
    """A wrong passphrase is refused with 77; a box that hears no bench ends with 69 and one line."""
    done = subprocess.run(
        [*PROVISION, "bench", "show", str(batch), "--home", str(tmp_path / "laptop")],
        capture_output=True, text=True, check=False, env=ENVIRONMENT | {"EDGE_PROVISION_BATCH_PASSPHRASE": "sai"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (77, 2)
    assert "mật khẩu của đội hộp hoặc lô này có đúng không?" in done.stderr
    slip = subprocess.run(
        [*PROVISION, "bench", "retire", "K7MP-2R9C-X5", "--home", str(tmp_path / "laptop")],
        capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert (slip.returncode, slip.stderr.count("\n")) == (78, 1)
    assert "đọc lại nhãn" in slip.stderr
    _enrol(tmp_path / "box", "--wait", "0.2", expect=69)
    _enrol(tmp_path / "box", "--bench", "ftp://x", expect=78)


Prefix = tuple[str, ...]


@contextmanager
def _machines(count: int) -> Iterator[tuple[Prefix, ...]]:
    """Command prefixes for machines on one switch, with link-local addresses and nothing else."""
    tag = secrets.token_hex(3)
    names = [f"{tag}{number}" for number in range(count)]
    switch = f"sw{tag}"
    try:
        for name in (switch, *names):
            subprocess.run(["ip", "netns", "add", name], check=True)
        inside = ["ip", "netns", "exec", switch, "ip", "link"]
        subprocess.run([*inside, "add", "name", "cable", "type", "bridge", "mcast_snooping", "0"], check=True)
        subprocess.run([*inside, "set", "cable", "up"], check=True)
        for name in names:
            subprocess.run(
                ["ip", "link", "add", f"l{name}", "netns", name, "type", "veth", "peer", f"p{name}", "netns", switch],
                check=True,
            )
            subprocess.run([*inside, "set", f"p{name}", "master", "cable", "up"], check=True)
            subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", f"l{name}", "up"], check=True)
        yield tuple(("ip", "netns", "exec", name) for name in names)
    finally:
        for name in (switch, *names):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.system
def test_enrolment_without_any_internet(batch: Path, tmp_path: Path) -> None:
    """Laptop and box share one cable, without route, DHCP or DNS: the box hears the bench and is named, three times."""
    with _machines(2) as (laptop, box):
        for namespace in (laptop, box):
            assert _run("ip", "-4", "route", prefix=namespace) == ""
            assert "default" not in _run("ip", "-6", "route", prefix=namespace)
        _card_image(batch, tmp_path / "box")
        with _bench(batch, prefix=laptop):
            for _ in range(3):
                began = time.monotonic()
                text = _enrol(tmp_path / "box", "--wait", "30", "--json", prefix=box)
                sys.stdout.write(f"found and enrolled in {time.monotonic() - began:.1f} s\n")
                assert json.loads(text)["exit"] == 0

    chosen = settings.load(tmp_path / "box" / "etc" / "scanner.toml")
    assert chosen.device.site == "ben-xe-mien-dong"
    with open_inventory(tmp_path / "laptop" / "inventory.db") as inventory:
        assert [row.state for row in inventory.boxes()].count(State.ENROLLED) == 1
        assert {step.verdict for step in inventory.steps(chosen.device.id)} == {"PASS"}


def _until(file: Path, text: str) -> str:
    """What stands in a growing file once `text` does."""
    deadline = time.monotonic() + PATIENCE_S
    while text not in (found := file.read_text() if file.exists() else ""):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


@contextmanager
def _logged_bench(batch: Path, log: Path, *options: str, prefix: Prefix) -> Iterator[None]:
    """`bench start` without a screen; what it says goes into a file."""
    home = log.with_suffix(".home")
    with log.open("w") as out:
        command = [*prefix, *PROVISION, "bench", "start", str(batch), "--home", str(home), *options]
        process = subprocess.Popen(command, stdout=out, stderr=out, text=True, env=ENVIRONMENT)
    try:
        _until(log, " port ")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


@pytest.mark.system
def test_two_benches_on_one_switch(batch: Path, tmp_path: Path) -> None:
    """Ours and a stranger's: both say that there is another, and so does the box, which takes nothing from either."""
    ours, theirs = tmp_path / "ours.log", tmp_path / "theirs.log"
    with _machines(3) as (laptop, stranger, box):
        _card_image(batch, tmp_path / "box")
        with _logged_bench(batch, ours, prefix=laptop), _logged_bench(batch, theirs, prefix=stranger):
            _until(ours, "PRV-07")
            _until(theirs, "PRV-07")
            places = ("--etc", tmp_path / "box/etc", "--state", tmp_path / "box/state")
            done = subprocess.run(
                [*box, *BOX, "enrol", *map(str, places), "--no-self-test", "--no-set-clock", "--wait", "30"],
                capture_output=True, text=True, check=False, env=ENVIRONMENT,
            )  # fmt: skip
        assert (done.returncode, "hai bàn" in done.stderr) == (77, True), done.stderr
        assert done.stderr.count("fe80::") == 2
        assert not (tmp_path / "box/state").exists()
        # Alone again, our bench names the box.
        with _logged_bench(batch, ours, prefix=laptop):
            _enrol(tmp_path / "box", "--wait", "30", prefix=box)


@pytest.mark.system
def test_a_bench_answers_on_its_own_cable_only(batch: Path, tmp_path: Path) -> None:
    """An address that routers would carry is on the same laptop and cable, and nothing answers there."""
    with _machines(2) as (laptop, box):
        for machine, address in ((laptop, "192.0.2.1/24"), (box, "192.0.2.2/24")):
            interface = f"l{machine[-1]}"
            subprocess.run([*machine, "ip", "address", "add", address, "dev", interface], check=True)
        with _logged_bench(batch, tmp_path / "bench.log", prefix=laptop):
            listening = _run("ss", "-Hltn", prefix=laptop)
            _enrol(tmp_path / "box", "--bench", "http://192.0.2.1:47111", expect=2, prefix=box)
    assert listening.count("LISTEN") == 1
    assert re.search(r"\[fe80::[0-9a-f:]+\]%l\w+:47111", listening), listening


@pytest.mark.system
def test_a_box_without_the_secret_waits_for_the_technician(batch: Path, tmp_path: Path) -> None:
    """Box and bench show the same six words; typed at the laptop, the box goes on by itself. Others do nothing."""
    home, log = tmp_path / "bench.home", tmp_path / "bench.log"
    with _machines(2) as (laptop, box), _logged_bench(batch, log, prefix=laptop):
        _enrol(tmp_path / "box", "--wait", "8", expect=69, prefix=box)
        console = (tmp_path / "box.txt").open("w+")
        places = ("--etc", tmp_path / "box/etc", "--state", tmp_path / "box/state")
        process = subprocess.Popen(
            [*box, *BOX, "enrol", *map(str, places), "--no-self-test", "--no-set-clock", "--wait", "300"],
            stdout=console, stderr=console, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        shown = _until(tmp_path / "box.txt", "bench confirm")
        (words,) = set(re.findall(r"edge-scanner: ((?:[a-z]{5}-){5}[a-z]{5})\n", shown))
        assert f"PRV-06 {words}" in _until(log, words)
        _run(*PROVISION, "bench", "confirm", "lusab-babad", "--home", home, expect=78)
        assert process.poll() is None
        _run(*PROVISION, "bench", "confirm", *words.split("-"), "--home", home)
        assert process.wait(PATIENCE_S) == 0, _until(tmp_path / "box.txt", "")
        console.close()
    fleet = _run(*PROVISION, "fleet", "key", "--fleet", tmp_path / "fleet").strip()
    assert fleet in shown
    assert fleet in log.read_text()
