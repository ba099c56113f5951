"""The custodian's register where a disk is full, or two releases come at once."""

from __future__ import annotations

import json
import resource
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_scanner.authority.open import register
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, StorageError
from tests.support.answered import NOW_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cheap")


def entry(number: int) -> register.Entry:
    """One release of an order of its own."""
    return register.Entry(
        at_s=int(NOW_S), request=f"{number:064x}", case="HCM-1", from_s=0, to_s=60,
        sources={f"BOX{place:07}": "pull" for place in range(300)}, reason="", release="00" * 32,
    )  # fmt: skip


@pytest.mark.parametrize("room", [0, 100, 4096])
def test_a_register_on_a_full_disk_is_whole_when_there_is_room_again(tmp_path: Path, room: int) -> None:
    """Whichever file there is no room for, nothing is entered by halves, and the next release goes on."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(StorageError):
            register.add(register.read(tmp_path), entry(1), "a passphrase of six words")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / register.REGISTER_NAME).exists() == (room == 4096)
    assert register.read(tmp_path).entries == ()

    one = register.add(register.read(tmp_path), entry(1), "a passphrase of six words")
    two = register.add(one, entry(2), "a passphrase of six words")

    assert register.read(tmp_path) == two


def test_two_releases_at_once_do_not_write_over_one_another(tmp_path: Path) -> None:
    """The second finds the register longer than it read it, and says so."""
    before = register.read(tmp_path)
    first = register.add(before, entry(1), "a passphrase of six words")

    with pytest.raises(StorageError, match="changed meanwhile"):
        register.add(before, entry(2), "a passphrase of six words")

    assert register.read(tmp_path) == first


def test_a_register_under_another_key_is_found_before_anything_is_entered(tmp_path: Path) -> None:
    """Who can write the folder and has no passphrase puts a register of as many lines there, signed by a key of his."""
    kept, forged = tmp_path / "kept", tmp_path / "forged"
    kept.mkdir()
    forged.mkdir()
    register.add(register.read(kept), entry(1), "a passphrase of six words")
    register.add(register.read(forged), entry(2), "another passphrase")
    for name in (register.REGISTER_NAME, register.PUBLIC_NAME):
        (kept / name).write_bytes((forged / name).read_bytes())

    with pytest.raises(BadDataError, match="another key"):
        register.add(register.read(kept), entry(3), "a passphrase of six words")

    assert register.read(kept).entries == (entry(2),)


def test_a_register_s_key_of_small_order_is_none(tmp_path: Path) -> None:
    """Under such a key one constant signature is valid for every line: whoever can write the folder would sign it."""
    register.add(register.read(tmp_path), entry(1), "a passphrase of six words")
    small = (1).to_bytes(32, "little")
    (tmp_path / register.PUBLIC_NAME).write_text(small.hex())
    path = tmp_path / register.REGISTER_NAME
    line = json.loads(path.read_bytes())
    line["body"]["case"] = "another"
    (signature,) = line["signatures"]
    signature["key"] = signed.key_name(Ed25519PublicKey.from_public_bytes(small))
    signature["value"] = b64encode(small + bytes(32)).decode()
    path.write_bytes(signed.canonical(line) + b"\n")

    with pytest.raises(BadDataError, match="not a register's public key"):
        register.read(tmp_path)
