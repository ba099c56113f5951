"""COMMANDS edge-authority keys: make, certify, revoke, list, destroy, split, recover."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from edge_scanner import terminal
from edge_scanner.authority import files
from edge_scanner.authority.commands.options import passphrase
from edge_scanner.authority.keys import backup, mandates, vault
from edge_scanner.authority.keys import keys as work
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TYPE_WORDS = "Gõ sáu từ người đó đọc qua điện thoại / Type the six words that this person reads to you"


def run_root(folder: Path, name: str, *, custodian: bool, post_quantum: bool, passphrase_file: Path | None) -> None:
    """Make a party's root and say what to pin and its six words."""
    role = work.CUSTODIAN_ROOT if custodian else work.ROOT
    secret = passphrase(passphrase_file, new=True)
    pem = work.new_root(folder, secret, name=name, role=role, post_quantum=post_quantum)
    terminal.say(f"{pem}: pin this on every box; keep {work.ROOT_FILES[role][0]} off line")
    terminal.say(work.named(vault.read(folder / work.ROOT_FILES[role][0]).label))


def run_new(
    folder: Path, *, role: str, name: str, weeks: int, from_week: str, suite: int, passphrase_file: Path | None
) -> None:
    """Make a signing key, or opening keys week by week. Raises BadParameter for a role that does not exist."""
    if role not in work.ROLES:
        raise typer.BadParameter(", ".join(work.ROLES), param_hint="--role")
    secret = passphrase(passphrase_file, new=True)
    if role in work.SIGNING_ROLES:
        made = [work.new_signer(folder, secret, role=role, name=name)]
    else:
        week = from_week or work.this_week()
        made = work.new_openers(folder, secret, role=role, name=name, first_week=week, weeks=weeks, suite=suite)
    for path in made:
        terminal.say(path)
    if role in work.SIGNING_ROLES:
        terminal.say(work.named(work.read_public(made[0])))


def run_certify(
    public: Path, root: Path, out: Path, *, authority: str, days: int, words: str, passphrase_file: Path | None
) -> None:
    """Show whose key it is, compare its words, and write the mandate."""
    label = work.read_public(public)
    terminal.say(f"{label.role}: {label.name}")
    fingerprints.check([words or typer.prompt(_TYPE_WORDS, err=True)], [label.public], where=str(public))
    secret = passphrase(passphrase_file)
    mandate = work.certify(label, root, secret, where=public, authority=authority, days=days, now_s=time.time())
    files.write(out, mandate + b"\n", mode=0o644)
    terminal.say(out)


def run_revoke(
    people: Sequence[Path], root: Path, out: Path, *, before: Path | None, passphrase_file: Path | None
) -> None:
    """Write the list that follows `before`, with these people's keys."""
    found, document = mandates.extend(before, people, root, passphrase(passphrase_file))
    files.write(out, document + b"\n", mode=0o644)
    terminal.say(
        f"{out}: version {found.version}, {counted(len(found.keys), 'key')}; boxes, desks and the custodian need it"
    )


def run_list(folder: Path) -> None:
    """Print the folder's keys, and what is due for destruction today."""
    work.show(folder, time.time())


def run_destroy(folder: Path, *, role: str, week: str, by: str, why: str, early: bool) -> None:
    """Destroy a week's key and say where its record is."""
    record = work.destroy(folder, role=role, week=week, by=by, why=why, now_s=time.time(), early=early)
    terminal.say(f"{record}: destroyed; print the record and sign it")


def run_split(file: Path, out: Path, *, need: int, of: int, passphrase_file: Path | None) -> None:
    """Write the shares and say where they are."""
    mnemonics = backup.split(file, passphrase(passphrase_file), need=need, of=of)
    for path in backup.write_shares(out, mnemonics, file, need=need, now_s=time.time()):
        terminal.say(path)


def run_recover(file: Path, shares: Sequence[Path], out: Path, *, passphrase_file: Path | None) -> None:
    """Write the key under a new passphrase."""
    mnemonics = [files.read(path).decode("utf-8", "replace") for path in shares]
    files.write(out, backup.recover(file, mnemonics, passphrase(passphrase_file, new=True)))
    terminal.say(out)
