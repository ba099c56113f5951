"""edge-provision and edge-scanner as a technician types them: two machines on one cable, and no internet at all."""

from __future__ import annotations

import io
import json
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import provisioning.cli as provision
from edge_scanner.device import settings
from provisioning.inventory import State, open_inventory
from provisioning.passphrases import BATCH_VARIABLE, FLEET_VARIABLE
from tests.support.authority import edge_authority
from tests.support.foreign import program
from tests.support.provision_cli import ENVIRONMENT, PROVISION, bench, card_image, enrol, make_batch, root_words, run

if TYPE_CHECKING:
    from pathlib import Path


def pinned(folder: Path) -> tuple[Path, Path]:
    """The roots of both parties that `make_batch` wrote."""
    return folder / "root.pem", folder / "custodian.pem"


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A fleet and a batch of four."""
    return make_batch(tmp_path)


def test_a_day_at_the_bench(batch: Path, tmp_path: Path) -> None:
    """Batch, bench, box, table, the evening's file, headquarters' list: each command with what the last made."""
    home = tmp_path / "laptop"
    for name in ("box", "again"):
        card_image(batch, tmp_path / name)
    with bench(batch, "--port", "0", "--host", "127.0.0.1") as port:
        text = enrol(tmp_path / "box", "--bench", f"http://127.0.0.1:{port}")
        # The same board again, as another card: the table tells it apart.
        enrol(tmp_path / "again", "--bench", f"http://127.0.0.1:{port}", expect=20)
    device_id = settings.load(tmp_path / "box" / "etc" / "scanner.toml").device.id

    assert "Mã hộp / Box id" in text
    assert "ĐẠT: hộp đã sẵn sàng." in text
    fleet_key = run(*PROVISION, "fleet", "key", "--fleet", tmp_path / "fleet").strip()
    (words,) = set(re.findall(r"(?:[a-z]{5}-){5}[a-z]{5}", text)) - {fleet_key}
    table = run(*PROVISION, "bench", "show", batch, "--home", home)
    assert "đạt / ready 1/4" in table
    assert f"{device_id[:4]}-{device_id[4:8]}-{device_id[8:]}" in table
    assert "ĐẠT / READY" in table
    assert "PRV-02" in table

    _shown(device_id, batch, home)
    sync = tmp_path / "sync.json"
    assert "1 box\n" in run(*PROVISION, "bench", "sync", batch, "--home", home, "--out", sync)
    told = json.loads(run(*PROVISION, "bench", "sync", batch, "--home", home, "--out", sync, "--json"))
    assert told == {"file": str(sync), "boxes": 1, "exit": 0}
    assert "1 box\n" in run(*PROVISION, "fleet", "adopt", sync, "--fleet", tmp_path / "fleet")
    adopted = json.loads(run(*PROVISION, "fleet", "adopt", sync, "--fleet", tmp_path / "fleet", "--json"))
    assert adopted == {"file": str(sync), "boxes": 1}
    sheet = tmp_path / "labels.html"
    made = json.loads(run(*PROVISION, "label", batch, "--home", home, "--out", sheet, "--json"))
    assert made == {"file": str(sheet), "labels": 1, "left_out": 0}
    rows = [
        json.loads(line)
        for line in run(*PROVISION, "fleet", "list", "--json", "--fleet", tmp_path / "fleet").splitlines()
    ]
    assert [row["state"] for row in rows] == ["enrolled", "free", "free", "free"]
    assert rows[0] == {
        "id": device_id,
        "batch": "B-014",
        "site": "ben-xe-mien-dong",
        "room": "Cửa 3",
        "hall_rule": "",
        "key": words,
        "state": "enrolled",
        "certificate_until": "",
        "reason": "",
    }
    _known_on_both_sides(device_id, home, tmp_path / "fleet")
    _retired(device_id, home)


def _shown(device_id: str, batch: Path, home: Path) -> None:
    """The bench's table as JSON: one box of four, every step passed, one refusal."""
    shown = json.loads(run(*PROVISION, "bench", "show", batch, "--home", home, "--json"))
    assert (shown["batch"], shown["days_left"]) == ("B-014", 89)
    assert [box["state"] for box in shown["boxes"]] == ["enrolled", "free", "free", "free"]
    assert [box["verdict"] for box in shown["boxes"]] == ["PASS", "", "", ""]
    assert (shown["boxes"][0]["id"], shown["boxes"][0]["site"]) == (device_id, "ben-xe-mien-dong")
    assert {step["verdict"] for step in shown["boxes"][0]["steps"]} == {"PASS"}
    assert [refusal["code"] for refusal in shown["refusals"]] == ["PRV-02"]


def _known_on_both_sides(device_id: str, home: Path, headquarters: Path) -> None:
    """The same keys at the laptop and at headquarters; the board's serial stays on the laptop."""
    with open_inventory(home / "inventory.db") as laptop, open_inventory(headquarters / "inventory.db") as fleet:
        ours, theirs = laptop.box(device_id), fleet.box(device_id)
        assert ours is not None
        assert theirs is not None
        assert (ours.identity, ours.mqtt_key) == (theirs.identity, theirs.mqtt_key)
        assert (ours.serial != "", theirs.serial) == (True, "")


def _retired(device_id: str, home: Path) -> None:
    """`bench retire` with the id as it stands on the label."""
    run(*PROVISION, "bench", "retire", f"{device_id[:4]}-{device_id[4:8]}-{device_id[8:]}", "--home", home)
    with open_inventory(home / "inventory.db") as laptop:
        gone = laptop.box(device_id)
        assert gone is not None
        assert gone.state is State.RETIRED


def test_a_paper_that_nobody_has_is_refused(batch: Path, tmp_path: Path) -> None:
    """`--paper foo` is a slip of the pen: exit 2, and no sheet in another size. No box is ready: no sheet at all."""
    sheet = tmp_path / "labels.html"

    run(*PROVISION, "label", batch, "--home", tmp_path / "laptop", "--out", sheet, "--paper", "foo", expect=2)
    run(*PROVISION, "label", batch, "--home", tmp_path / "laptop", "--out", sheet, "--paper", "a4", expect=65)
    assert not sheet.exists()


@pytest.mark.usefixtures("batch")
def test_batch_and_card_answer_programs(tmp_path: Path) -> None:
    """`batch new --json` and `card --json`: one object each, which says what was made and where."""
    package = tmp_path / "edge-scanner_1.0.0_arm64.deb"
    package.write_bytes(b"a package")
    target = tmp_path / "batch-B-015.zip"
    made = json.loads(
        run(
            *PROVISION, "batch", "new", "B-015", "--sites", tmp_path / "sites.csv", "--count", "3",
            "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json",
            "--software", package, "--fleet", tmp_path / "fleet", "--out", target, "--json",
            *root_words(*pinned(tmp_path)),
        )
    )  # fmt: skip
    ends_s = made.pop("not_after_s")
    assert made == {"file": str(target), "batch": "B-015", "ids": 3, "places": 2, "packages": 1}
    assert abs(ends_s - time.time() - 90 * 86400) < 600

    folder = tmp_path / "bootfs"
    card = json.loads(run(*PROVISION, "card", target, folder, "--home", tmp_path / "laptop", "--json"))
    assert card["folder"] == str(folder)
    assert f"edge-{card['id'].lower()}" in (folder / "user-data").read_text()
    assert card["account"] is None


@pytest.mark.usefixtures("batch")
def test_a_batch_pins_the_roots_that_their_bodies_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A custodian's root that the authority exchanged for one of its own is found out before anything is signed."""
    (tmp_path / "secret").write_text("ngựa đúng pin ghim\n")
    made = edge_authority(
        "keys", "root", tmp_path / "own", "--custodian", "--name", "C", "--passphrase-file", tmp_path / "secret"
    )
    _, own = root_words(tmp_path / "own" / "custodian-root.pem")
    assert made.stdout.splitlines()[-1] == f"custodian-root: C; {own}"

    for name in (FLEET_VARIABLE, BATCH_VARIABLE):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    _, authority, _, custodian = root_words(*pinned(tmp_path))
    command = (
        "batch", "new", "B-016", "--sites", tmp_path / "sites.csv", "--count", 3,
        "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json", "--fleet", tmp_path / "fleet", "--out", tmp_path / "b.zip",
    )  # fmt: skip
    for heard in ((authority, own), (custodian, authority), (authority,), (authority, custodian, own), ("yes", "yes")):
        given = [word for words in heard for word in ("--root-words", words)]
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{words}\n" for words in (own, *heard))))
        for code, shown in (program(provision.main, *command, *given), program(provision.main, *command)):
            assert code == 77, shown
            assert authority not in shown
            assert custodian not in shown
    assert not (tmp_path / "b.zip").exists()

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{authority.replace('-', ' ').upper()}\n{custodian}\n"))
    code, shown = program(provision.main, *command)
    assert code == 0, shown


@pytest.mark.usefixtures("batch")
def test_a_card_says_who_can_log_in(tmp_path: Path) -> None:
    """Without --ssh-key it says that nobody can; with one the key is on the card; a private key is refused, exit 65."""
    package = tmp_path / "edge-scanner_1.0.0_arm64.deb"
    package.write_bytes(b"a package")
    target, key = tmp_path / "batch-B-015.zip", tmp_path / "id"
    run(
        *PROVISION, "batch", "new", "B-015", "--sites", tmp_path / "sites.csv", "--count", "3",
        "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json",
        "--software", package, "--fleet", tmp_path / "fleet", "--out", target, *root_words(*pinned(tmp_path)),
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

    alone = run(*PROVISION, "card", target, tmp_path / "one", *home)
    entered = run(*PROVISION, "card", target, tmp_path / "two", *home, "--ssh-key", key.with_suffix(".pub"))
    run(*PROVISION, "card", target, tmp_path / "three", *home, "--ssh-key", key, expect=65)

    assert ("nobody can log in" in alone, "nobody can log in" in entered) == (True, False)
    assert public in (tmp_path / "two" / "user-data").read_text()
    assert not (tmp_path / "three").exists()


def test_a_forged_sync_file_is_not_adopted(batch: Path, tmp_path: Path) -> None:
    """One changed byte, and headquarters takes nothing over."""
    sync = tmp_path / "sync.json"
    card_image(batch, tmp_path / "box")
    with bench(batch, "--port", "0", "--host", "127.0.0.1") as port:
        enrol(tmp_path / "box", "--bench", f"http://127.0.0.1:{port}")
    run(*PROVISION, "bench", "sync", batch, "--home", tmp_path / "laptop", "--out", sync)
    sync.write_bytes(sync.read_bytes().replace(b'"retired":[]', b'"retired":["x"]'))

    run(*PROVISION, "fleet", "adopt", sync, "--fleet", tmp_path / "fleet", expect=65)


def test_wrong_passphrase_and_missing_bench(batch: Path, tmp_path: Path) -> None:
    """A wrong passphrase is refused with 77; a box that hears no bench ends with 69 and one line."""
    done = subprocess.run(
        [*PROVISION, "bench", "show", str(batch), "--home", str(tmp_path / "laptop")],
        capture_output=True, text=True, check=False, env=ENVIRONMENT | {"EDGE_PROVISION_BATCH_PASSPHRASE": "sai"},
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (77, 2)
    assert "mật khẩu của hệ thống hoặc lô này có đúng không?" in done.stderr
    slip = subprocess.run(
        [*PROVISION, "bench", "retire", "K7MP-2R9C-X5", "--home", str(tmp_path / "laptop")],
        capture_output=True, text=True, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert (slip.returncode, slip.stderr.count("\n")) == (78, 1)
    assert "đọc lại nhãn" in slip.stderr
    enrol(tmp_path / "box", "--wait", "0.2", expect=69)
    enrol(tmp_path / "box", "--bench", "ftp://x", expect=78)
