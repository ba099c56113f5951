"""COMMANDS edge-authority keys split | recover: k of n people can bring back a key whose passphrase is lost.

The words are SLIP-39 shares (Trezor's shamir-mnemonic) of the master key that seals the file, not of the private key:
33 words whatever the key's kind, one set for all weekly keys made together, and of no use to anybody who does not have
the file as well. So files go to the backup, words go to people.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edge_scanner.authority import files
from edge_scanner.authority.keys import vault
from edge_scanner.core.errors import BadDataError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def split(path: Path, passphrase: str, *, need: int, of: int) -> list[str]:
    """`of` mnemonics, any `need` of which bring the key back; raises RefusedError for a wrong passphrase."""
    slip39 = _library()
    key = vault.read(path)
    master = key.lock.master(passphrase)
    key.open(master)
    if not 1 < need <= of <= _MAX_SHARES:
        raise BadDataError(f"2 to {_MAX_SHARES} shares, of which at least 2 are needed", hint="--need 2 --of 3")
    mnemonics: list[str] = slip39.generate_mnemonics(1, [(need, of)], master)[0]
    return mnemonics


def recover(path: Path, mnemonics: Sequence[str], passphrase: str) -> bytes:
    """The key file under a new passphrase; raises BadDataError for words that do not fit, RefusedError."""
    slip39 = _library()
    key = vault.read(path)
    try:
        master = slip39.combine_mnemonics(list(map(_words, mnemonics)))
    except slip39.MnemonicError as error:
        raise BadDataError("the words do not fit together", hint=str(error)) from error
    lock = vault.new_lock()
    return vault.reseal(key, master, lock, lock.master(passphrase))


def write_shares(folder: Path, mnemonics: Sequence[str], key: Path, *, need: int, now_s: float) -> list[Path]:
    """One private file a share, to be printed and handed over; its head says what it is, in both languages."""
    label = vault.read(key).label
    name = f"{label.role} {label.week}".strip()
    made = f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d}"
    paths = []
    for number, words in enumerate(mnemonics, 1):
        path = folder / f"{key.stem}-share-{number}-of-{len(mnemonics)}.txt"
        head = (
            f"# edge_scanner, SLIP-39, {made}: {label.name}, khoá / key {name}\n"
            f"# Mảnh {number} trên {len(mnemonics)}; cần {need} mảnh và tệp khoá. Không để chung với tệp khoá.\n"
            f"# Share {number} of {len(mnemonics)}; {need} of them and the key file are needed. "
            "Keep it away from that file.\n"
        )
        files.write(path, f"{head}{words}\n".encode())
        paths.append(path)
    return paths


_MAX_SHARES = 16


def _words(text: str) -> str:
    """The words of a share, without the lines that say what it is."""
    return " ".join(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _library() -> Any:
    """The module, where it is installed."""
    try:
        import shamir_mnemonic  # noqa: PLC0415 (an extra that only this command needs)
    except ImportError as error:
        raise UnavailableError(
            "SLIP-39 is not installed", hint="install all wheels of laptop.lock: docs/authority.md, Install"
        ) from error
    return shamir_mnemonic
