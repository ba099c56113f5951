"""A boot-partition folder for a stock Raspberry Pi OS (trixie): the box installs itself offline at its first start.

    user-data  meta-data  network-config      cloud-init's three files
    edge-scanner/…                            package, first-boot.sh, fleet.pub, manifest, assignment, mqtt.key

cloud-init 22 accepts a misspelt key in silence, so its file is checked here against a list of the few keys that we use,
with their types. It is written as JSON, which is YAML: no quoting can go wrong and no YAML library is needed.

A box has one account at most: for whoever holds the private half of the ssh key that the card was written with. Stock
Raspberry Pi OS asks whoever sits at a keyboard for a first account; that wizard is masked before it can start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_scanner.core.enrolment import documents as enrolment
from edge_scanner.core.enrolment.documents import public_text
from edge_scanner.core.enrolment.rendezvous import BOOT_PREFIX
from edge_scanner.core.errors import BadDataError, ConfigurationError
from provisioning import certificates, files
from provisioning.bench import pins
from provisioning.bench.bench import BOOT_DAYS, Bench

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from provisioning.bench.batch import Batch
    from provisioning.inventory import BoxRow, Inventory

HEADER = "#cloud-config\n"
FOLDER = "edge-scanner"
USER_DATA_KEYS: dict[str, type] = {
    "hostname": str,
    "manage_etc_hosts": bool,
    "timezone": str,
    "ssh_pwauth": bool,
    "disable_root": bool,
    "package_update": bool,
    "package_upgrade": bool,
    "users": list,
    "bootcmd": list,
    "runcmd": list,
}
"""Every key of cloud-init that we write; another one is a mistake."""

ACCOUNT = "fleet"
WIZARD = "userconfig.service"
_MAX_SSID, _MIN_PSK, _MAX_PSK = 32, 8, 63
"""IEEE 802.11: bytes of a network's name, characters of a WPA passphrase."""

_FIRST_BOOT = """\
#!/bin/sh
# Written by edge-provision card; run once by cloud-init, without any network.
set -e
folder=/boot/firmware/edge-scanner
dpkg --install "$folder"/edge-scanner_*.deb
# What is heard must not reach the card by way of swap: off now, and by the package's setting from the next start on.
# The memory controller, which the firmware switches off, bounds the scanner from the next start on.
swapoff -a || true
if [ -e /boot/firmware/cmdline.txt ] && ! grep -q cgroup_enable=memory /boot/firmware/cmdline.txt; then
    sed -i '1s/$/ cgroup_enable=memory/' /boot/firmware/cmdline.txt
fi
# The key is taken off the card by the command itself.
/opt/edge-scanner/bin/edge-scanner enrol --card "$folder" --no-self-test
chown -R edge-scanner:edge-scanner /var/lib/edge-scanner /etc/edge-scanner
if [ -d /run/systemd/system ]; then
    systemctl --no-block restart edge-scanner.service edge-scanner-kiosk.service edge-scanner-renew.timer
fi
"""


def write_card(
    batch: Batch,
    inventory: Inventory,
    target: Path,
    *,
    signer: Ed25519PublicKey,
    now_s: float,
    ssh_key: str = "",
    wifi: Wifi | None = None,
) -> BoxRow:
    """Write the folder for the batch's next id; `ssh_key` is a line of `id_ed25519.pub`, "" for a box without account.

    Raises ConfigurationError for a batch without a package for the box, BadDataError for what is no ssh public key.
    """
    if ssh_key:
        check_ssh_key(ssh_key)
    package = _package(batch)
    if (target / FOLDER).exists():
        raise ConfigurationError("there is a card's folder already", where=str(target), hint="name an empty folder")
    key = ec.generate_private_key(ec.SECP256R1())
    documents: list[bytes] = []

    def answer(row: BoxRow) -> bytes:
        certificate = certificates.issue_client(
            batch.ca, BOOT_PREFIX + row.device_id, key.public_key(), unit="boot", now_s=now_s, days=BOOT_DAYS
        )
        assignment = enrolment.assign(
            row.place,
            batch=row.batch,
            device_id=row.device_id,
            identity="",
            certificate=certificates.pem(certificate).decode(),
            ops_pin=pins.hashed(batch.bench_key, row.device_id),
            now_s=now_s,
        )
        documents.append(enrolment.sign(assignment, batch.bench_key))
        return documents[0]

    Bench(batch, inventory, signer=signer).check_open()
    row = inventory.hand_out(certificates.fingerprint(key.public_key()), batch.manifest.batch, answer, now_s=now_s)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    content = {
        f"{FOLDER}/fleet.pub": public_text(signer).encode() + b"\n",
        f"{FOLDER}/manifest.json": batch.document,
        f"{FOLDER}/assignment.json": documents[0],
        f"{FOLDER}/mqtt.key": private,
        f"{FOLDER}/first-boot.sh": _FIRST_BOOT.encode(),
        f"{FOLDER}/{package}": batch.software(package) or b"",
        "meta-data": f"instance-id: edge-{row.device_id.lower()}-{int(now_s)}\n".encode(),
        "network-config": network_config(wifi).encode(),
        "user-data": user_data(row.device_id, ssh_key, row.place.time_zone).encode(),
    }
    check_user_data(content["user-data"].decode())
    for name, text in content.items():
        files.write(target / name, text)
    return row


def _package(batch: Batch) -> str:
    """The name of the batch's package for the box; raises ConfigurationError."""
    packages = [file.name for file in batch.manifest.software if file.name.endswith("_arm64.deb")]
    if len(packages) != 1:
        raise ConfigurationError(
            "the batch contains no package for a Raspberry Pi",
            hint="ask for a batch made with --software edge-scanner_…_arm64.deb",
        )
    return packages[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wifi:
    """A venue's network. Its passphrase lies on the card, and on the box as the system keeps it.

    `country` is its two letters: without them Linux uses no channel that is not allowed everywhere.
    """

    name: str
    passphrase: str
    country: str

    def __post_init__(self) -> None:
        if not 0 < len(self.name.encode()) <= _MAX_SSID or not self.name.isprintable():
            raise ConfigurationError("a Wi-Fi network's name has 1 to 32 bytes", where="--wifi")
        if not _MIN_PSK <= len(self.passphrase) <= _MAX_PSK or not self.passphrase.isascii():
            raise ConfigurationError("a Wi-Fi passphrase has 8 to 63 characters", where="--wifi-passphrase-file")
        if len(self.country) != 2 or not (self.country.isascii() and self.country.isupper()):  # noqa: PLR2004 (ISO 3166)
            raise ConfigurationError("a country is two capital letters", where="--wifi-country", hint="for example VN")


def network_config(wifi: Wifi | None) -> str:
    """cloud-init's file of networks (version 2, netplan's words), as JSON."""
    networks: dict[str, Any] = {
        "version": 2,
        "ethernets": {"eth0": {"dhcp4": True, "optional": True}},
    }
    if wifi is not None:
        networks["wifis"] = {
            "wlan0": {
                "dhcp4": True,
                "optional": True,
                "regulatory-domain": wifi.country,
                "access-points": {wifi.name: {"password": wifi.passphrase}},
            }
        }
    return json.dumps(networks) + "\n"


def user_data(device_id: str, ssh_key: str = "", time_zone: str = "") -> str:
    """cloud-init's file for one box."""
    account = {
        "name": ACCOUNT,
        "shell": "/bin/bash",
        "lock_passwd": True,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "ssh_authorized_keys": [ssh_key],
    }
    settings = {
        "hostname": f"edge-{device_id.lower()}",
        "manage_etc_hosts": True,
        "timezone": time_zone or "Asia/Ho_Chi_Minh",
        "ssh_pwauth": False,
        "disable_root": True,
        "package_update": False,
        "package_upgrade": False,
        "users": [account] if ssh_key else [],
        "bootcmd": [["systemctl", "mask", WIZARD]],
        "runcmd": [
            *([["systemctl", "enable", "--now", "ssh.service"]] if ssh_key else []),
            ["sh", f"/boot/firmware/{FOLDER}/first-boot.sh"],
        ],
    }
    return HEADER + json.dumps(settings, indent=2) + "\n"


def check_ssh_key(line: str) -> None:
    """Raises BadDataError for what sshd would not take: a private key, several lines, another format."""
    try:
        serialization.load_ssh_public_key(line.encode())
        known = "\n" not in line
    except (ValueError, UnsupportedAlgorithm):
        known = False
    if not known:
        raise BadDataError("this is not an ssh public key", where="--ssh-key", hint="name the .pub file, of one line")


def check_user_data(text: str) -> None:
    """Raises BadDataError for a file that cloud-init would half ignore: header, unknown keys, wrong types."""
    if not text.startswith(HEADER):
        raise BadDataError("cloud-init reads nothing without its first line", where="user-data", hint=HEADER.strip())
    try:
        settings: Any = json.loads(text[len(HEADER) :])
    except ValueError as error:
        raise BadDataError("user-data is not JSON", where="user-data") from error
    if not isinstance(settings, dict):
        raise BadDataError("user-data is not a mapping", where="user-data")
    for key, value in settings.items():
        if key not in USER_DATA_KEYS:
            raise BadDataError(f"cloud-init would ignore the key {key}", where="user-data", hint="is it misspelt?")
        if type(value) is not USER_DATA_KEYS[key]:
            raise BadDataError(f"{key} must be {USER_DATA_KEYS[key].__name__}", where="user-data")
