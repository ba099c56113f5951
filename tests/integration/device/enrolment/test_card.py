"""Installed without a bench: a card's folder makes a box, once, and cloud-init's file is what cloud-init reads."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.commands.enrol import run_enrol
from edge_scanner.device.enrolment.card_client import CardLink
from edge_scanner.device.enrolment.steps import enrol
from provisioning.bench import card
from provisioning.inventory import State, open_inventory
from tests.support.disks import without_end
from tests.support.fleet import Workshop, box_in, workshop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A batch that carries a package."""
    package = tmp_path / "edge-scanner_1.0.0~rc1_arm64.deb"
    package.write_bytes(b"a package")
    return workshop(tmp_path, software=(package,))


def _write(shop: Workshop, target: Path) -> str:
    with open_inventory(shop.folder / "laptop.db") as inventory:
        row = card.write_card(shop.batch, inventory, target, signer=shop.fleet.signer.public_key(), now_s=time.time())
        found = inventory.box(row.device_id)
    assert found is not None
    assert found.state is State.ENROLLED
    return row.device_id


def test_a_card_makes_the_box_that_it_names(shop: Workshop, tmp_path: Path) -> None:
    """Id, site and certificate from the card, a log identity of its own, and the key gone from the card afterwards."""
    device_id = _write(shop, tmp_path / "boot")
    folder, box = tmp_path / "boot" / card.FOLDER, tmp_path / "box"
    key = (folder / "mqtt.key").read_bytes()

    for _ in range(2):
        assert run_enrol(etc=box / "etc", state=box / "state", card=folder, self_test=False, set_clock=False) == 0

    chosen = settings.load(box / "etc" / "scanner.toml")
    assert (chosen.device.id, chosen.device.site) == (device_id, "ben-xe-mien-dong")
    assert (box / "state" / "mqtt.key").read_bytes() == key
    assert (box / "state" / "identity.key").exists()
    assert not (folder / "mqtt.key").exists()


@pytest.mark.parametrize("what", ["endless", "pipe"])
@pytest.mark.parametrize("name", ["fleet.pub", "manifest.json", "assignment.json", "mqtt.key"])
def test_a_file_without_end_is_one_line(shop: Workshop, tmp_path: Path, name: str, what: str) -> None:
    """On a damaged card: neither read whole nor waited for, and no key of a terabyte is overwritten."""
    _write(shop, tmp_path / "boot")
    folder = tmp_path / "boot" / card.FOLDER
    without_end(folder / name, what)

    *_, last = enrol(box_in(tmp_path / "box"), CardLink(folder))

    assert last.verdict == "FAIL"
    assert "\n" not in last.detail
    if what == "endless":
        assert last.detail.startswith(f"the card's folder is incomplete: File too large ({name})")
        CardLink(folder).wipe()
        assert not (folder / "mqtt.key").exists()


def test_two_cards_are_two_boxes(shop: Workshop, tmp_path: Path) -> None:
    """Each card takes the next id; a folder that holds one is not overwritten."""
    first, second = _write(shop, tmp_path / "one"), _write(shop, tmp_path / "two")

    assert first != second
    with pytest.raises(ConfigurationError, match="already"):
        _write(shop, tmp_path / "one")


def test_a_changed_assignment_is_refused(shop: Workshop, tmp_path: Path) -> None:
    """Whoever edits the folder on its way gets no box: the bench's signature covers id, site and certificate."""
    _write(shop, tmp_path / "boot")
    document = tmp_path / "boot" / card.FOLDER / "assignment.json"
    document.write_bytes(document.read_bytes().replace(b"ben-xe-mien-dong", b"ben-xe-mien-tayy"))

    steps = enrol(box_in(tmp_path / "box"), CardLink(tmp_path / "boot" / card.FOLDER))

    assert [step.name for step in steps if step.verdict == "FAIL"] == ["name"]


def test_the_files_are_cloud_inits(shop: Workshop, tmp_path: Path) -> None:
    """Three files at the top, nothing fetched, one command run; the package is the one that was signed."""
    device_id = _write(shop, tmp_path / "boot")
    boot = tmp_path / "boot"
    text = (boot / "user-data").read_text()

    assert {path.name for path in boot.iterdir()} == {"user-data", "meta-data", "network-config", card.FOLDER}
    found = json.loads(text.removeprefix("#cloud-config\n"))
    assert found["hostname"] == f"edge-{device_id.lower()}"
    assert not found["package_update"]
    assert found["runcmd"] == [["sh", "/boot/firmware/edge-scanner/first-boot.sh"]]
    assert found["users"] == []
    assert found["bootcmd"] == [["systemctl", "mask", "userconfig.service"]]
    assert (boot / card.FOLDER / "edge-scanner_1.0.0~rc1_arm64.deb").read_bytes() == b"a package"
    assert "\nswapoff -a || true\n" in (boot / card.FOLDER / "first-boot.sh").read_text()


def test_an_account_is_for_one_key(shop: Workshop, tmp_path: Path) -> None:
    """With a public key the box has one account, without a password, and ssh runs; nothing else passes for a key."""
    private = Ed25519PrivateKey.generate()
    key = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    found = json.loads(card.user_data("K7MP2R9CX4", f"{key} an@hcm").removeprefix("#cloud-config\n"))
    (account,) = found["users"]

    assert (account["name"], account["lock_passwd"], account["ssh_authorized_keys"]) == (
        "fleet",
        True,
        [f"{key} an@hcm"],
    )
    assert found["runcmd"][0] == ["systemctl", "enable", "--now", "ssh.service"]
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    for wrong in (secret, "ssh-ed25519 AAAA", f"{key}\n{key}", "hello"):
        with (
            open_inventory(shop.folder / "laptop.db") as inventory,
            pytest.raises(BadDataError, match="not an ssh public key"),
        ):
            card.write_card(
                shop.batch,
                inventory,
                tmp_path / "boot",
                signer=shop.fleet.signer.public_key(),
                now_s=time.time(),
                ssh_key=wrong,
            )
    assert not (tmp_path / "boot").exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"hostname": "x"}',
        '#cloud-config\n{"hostnmae": "x"}',
        '#cloud-config\n{"ssh_pwauth": "no"}',
        '#cloud-config\n{"runcmd": "sh x"}',
        "#cloud-config\n[]",
        "#cloud-config\nhostname: x",
    ],
)
def test_what_cloud_init_would_ignore_is_refused(text: str) -> None:
    """A missing first line, a misspelt key, a text for a boolean: cloud-init 22 takes all of them in silence."""
    with pytest.raises(BadDataError):
        card.check_user_data(text)


def test_a_batch_without_a_package_makes_no_card(tmp_path: Path) -> None:
    """A box that starts offline needs its package on the card."""
    with pytest.raises(ConfigurationError, match="no package"):
        _write(workshop(tmp_path), tmp_path / "boot")
