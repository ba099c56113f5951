"""An authority's desk in a folder: its commands, its people, its weekly keys."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority.collect.boxes import Box
from edge_scanner.core.log import roots as roots_module
from tests.support.authority import Outcome, edge_authority, told
from tests.support.box_lists import write_boxes
from tests.support.office import AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_scanner.core.log.roots import Roots


SECRET = "ngựa đúng pin ghim"


NOW_S = 1_795_903_200


class Desk:
    """A folder with a passphrase in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = float(NOW_S)
        (folder / "secret").write_text(SECRET + "\n")

    def __call__(self, *words: object, code: int = 0, secret: bool = True) -> Outcome:
        """Run a command; paths without a slash lie in the folder."""
        extra = ("--passphrase-file", self.folder / "secret") if secret else ()
        done = edge_authority(*words, *extra, now_s=self.now_s)
        assert done.code == code, done
        return done

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


class Typing(io.StringIO):
    """A keyboard: what is typed when it is asked for, after something was done to a file in the meantime."""

    def __init__(self, typed: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(f"{typed}\n")
        self.meanwhile = meanwhile

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """A line, and first what somebody else does."""
        self.meanwhile()
        return super().readline(size)


def propose(
    desk: Desk, version: int, *changes: object, code: int = 0, custodian: str = "vault/custodian-root.pem"
) -> Outcome:
    """The authority signs."""
    return desk(
        "recipients", "sign", desk / "recipient", desk / "custodian", "--root", desk / "vault" / "root.key",
        "--custodian-root", desk / custodian, "--version", version,
        "--out", desk / f"{version}.proposed", *changes, code=code,
    )  # fmt: skip


def countersign(desk: Desk, version: int, *changes: object, code: int = 0, typed: object = None) -> Outcome:
    """The custodian countersigns, and names the version `typed`, by default the right one."""
    return desk(
        "recipients", "countersign", desk / f"{version}.proposed", desk / "custodian",
        "--root", desk / "vault" / "custodian-root.key", "--authority-root", desk / "vault" / "authority-root.pem",
        "--version", typed or version, "--out", desk / f"{version}.json", *changes, code=code,
    )  # fmt: skip


def two_signatures(desk: Desk, version: int) -> bytes:
    """The set that both signed."""
    propose(desk, version)
    countersign(desk, version)
    return (desk / f"{version}.json").read_bytes()


def both_roots(desk: Desk) -> Roots:
    """As a box pins them."""
    vault_folder = desk / "vault"
    return roots_module.read(
        (vault_folder / "authority-root.pem").read_bytes(), (vault_folder / "custodian-root.pem").read_bytes()
    )


def person(desk: Desk, role: str, name: str) -> None:
    """A signing key and its mandate."""
    made = desk("keys", "new", desk / role, "--role", role, "--name", name)
    desk(
        "keys", "certify", desk / role / f"{role}.pub", "--root", desk / "vault" / "root.key",
        "--authority", AUTHORITY, "--out", desk / f"{role}.mandate", "--words", told(made.stdout),
    )  # fmt: skip


def weekly(desk: Desk, weeks: int, role: str = "custodian", folder: str = "") -> None:
    """Opening keys of the weeks from this one on."""
    desk("keys", "new", desk / (folder or role), "--role", role, "--name", f"the {role}", "--weeks", weeks)


def inventory(desk: Desk) -> None:
    """Two boxes at one site, one elsewhere."""
    write_boxes(
        desk / "boxes.csv",
        [
            Box(
                device=device,
                site=site,
                room="Cửa 3",
                name="Bến xe Miền Đông",
                identity=Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw(),
            )
            for number, (device, site) in enumerate(
                (("K7MP2R9CX4", "ben-xe"), ("7K3M9Q2X4T", "ben-xe"), ("3T5W8Z1B9D", "cho"))
            )
        ],
    )


def new_request(desk: Desk, *changes: object, code: int = 0) -> Outcome:
    """The health officer's command."""
    return desk(
        "request", "new", "--case", "HCM-2026-0417", "--legal-basis", "Luật 114/2025/QH15",
        "--purpose", "Truy vết", "--from", "2026-11-20T08:00", "--to", "2026-11-20T10:30",
        "--boxes", desk / "boxes.csv", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "health-officer" / "health-officer.key",
        "--mandate", desk / "health-officer.mandate", "--out", desk / "request.json", *changes, code=code,
    )  # fmt: skip
