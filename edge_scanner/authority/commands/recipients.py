"""COMMANDS edge-authority recipients sign | renew | countersign | list: the sets that boxes seal to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from edge_scanner import terminal
from edge_scanner.authority import files
from edge_scanner.authority.commands.options import passphrase
from edge_scanner.authority.keys import keys as work
from edge_scanner.authority.keys import recipients as sets
from edge_scanner.core.log import recipients as documents
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_TYPE_VERSION = "Gõ số phiên bản để ký / Type the version to sign it"


def run_sign(
    folders: Sequence[Path],
    root: Path,
    custodian_roots: Sequence[Path],
    out: Path,
    *,
    version: int,
    any_custodian: bool,
    passphrase_file: Path | None,
) -> None:
    """Write the first set, signed by the authority."""
    found = sets.collect(
        folders,
        version=version,
        root=root,
        custodian_roots=custodian_roots,
        now_s=time.time(),
        any_custodian=any_custodian,
    )
    _sign(found, root, out, passphrase_file)


def run_renew(
    before: Path,
    folders: Sequence[Path],
    root: Path,
    out: Path,
    *,
    authority_root: Path,
    custodian_roots: Sequence[Path],
    passphrase_file: Path | None,
) -> None:
    """Write the set that follows `before`, signed by the authority."""
    old = sets.read(before, sets.read_roots(authority_root, custodian_roots))
    found = sets.collect(
        folders,
        version=old.version + 1,
        root=root,
        custodian_roots=custodian_roots,
        now_s=time.time(),
        any_custodian=len(old.parts) < len(old.parties),
    )
    sets.check_renewal(found, old, time.time())
    _sign(found, root, out, passphrase_file)


def run_countersign(
    proposed: Path,
    folders: Sequence[Path],
    root: Path,
    out: Path,
    *,
    authority_root: Path,
    version: int | None,
    passphrase_file: Path | None,
) -> None:
    """Show the set, compare the version that was typed, and write it with this custodian's signature."""
    offered = files.read(proposed)
    found = sets.proposal(offered, authority_root)
    sets.check_own(found, folders, root)
    sets.show(found)
    sets.confirm(found, str(version or typer.prompt(_TYPE_VERSION, err=True)))
    own = work.open_root(root, passphrase(passphrase_file), work.CUSTODIAN_ROOT)
    document, missing = sets.add_countersignature(offered, found, own)
    files.write(out, document, mode=0o644)
    state = f"{missing} more must sign it" if missing else "boxes take it from now on"
    terminal.say(f"{out}: version {found.version}, signed by {len(found.parties) - missing} parties; {state}")


def run_list(
    sets_files: Sequence[Path], authority_root: Path, custodian_roots: Sequence[Path], published: Path | None
) -> None:
    """Print the sets in the order of their versions, and the one that each box uses."""
    pinned = sets.read_roots(authority_root, custodian_roots)
    for found in sorted((sets.read(path, pinned) for path in sets_files), key=lambda one: one.version):
        sets.show(found)
    if published is not None:
        sets.show_published(published)


def _sign(found: documents.RecipientSet, root: Path, out: Path, passphrase_file: Path | None) -> None:
    """Show the set before the passphrase is asked for."""
    sets.show(found)
    files.write(out, documents.sign(found, work.open_root(root, passphrase(passphrase_file))), mode=0o644)
    terminal.say(
        f"{out}: version {found.version}, {counted(len(found.recipients), 'key')}; now each custodian countersigns it"
    )
