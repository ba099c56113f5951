"""COMMAND edge-provision batch new: what a batch is made of is read, the roots are compared with what was told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from edge_scanner import __version__
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.log import roots
from edge_scanner.core.wording import counted
from provisioning import places
from provisioning.bench.batch import BATCH_DAYS, new_batch
from provisioning.files import read
from provisioning.fleet.fleet import open_fleet
from provisioning.inventory import open_inventory
from provisioning.options import answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def new(
    fleet: Path,
    name: str,
    count: int,
    *,
    sites: Path,
    pinned: tuple[Path, Path],
    heard: Sequence[str],
    recipients: Path,
    software: Sequence[Path],
    passphrases: tuple[str, str],
    target: Path,
    as_json: bool,
) -> None:
    """Write the batch and enter it in the inventory. `pinned` are the authority's and the custodian's root files,
    `heard` their six words, asked for where it is empty; `passphrases` are the fleet's and the batch's.
    """
    if passphrases[0] == passphrases[1]:
        raise BadDataError("a batch has a passphrase of its own", hint="the laptop must not have the fleet's")
    opened = open_fleet(fleet, passphrases[0])
    authority_root, custodian_root = _roots(*pinned, heard)
    manifest = new_batch(
        opened,
        name=name,
        count=count,
        places=places.read(sites),
        authority_root=authority_root,
        custodian_root=custodian_root,
        recipient_set=read(recipients, hint="ask the authority"),
        software=software,
        software_version=__version__,
        passphrase=passphrases[1],
        now_s=time.time(),
        target=target,
    )
    with open_inventory(opened.inventory) as inventory:
        inventory.plan(manifest)
    answer(
        f"{target}: {counted(count, 'id')}, {counted(len(manifest.places), 'place')}, "
        f"{count - len(manifest.places)} spare without a place, "
        f"{counted(len(manifest.software), 'package')}, {BATCH_DAYS} days",
        as_json=as_json,
        file=str(target),
        batch=name,
        ids=count,
        places=len(manifest.places),
        packages=len(manifest.software),
        not_after_s=manifest.not_after_s,
    )


def _roots(authority: Path, custodian: Path, heard: Sequence[str]) -> tuple[bytes, bytes]:
    """Both files, when what each body told of its root is true; raises RefusedError."""
    pems = read(authority, hint="ask the authority"), read(custodian, hint="ask the custodian")
    first, *others = [party[0].public_bytes_raw() for party in roots.read(*pems).parties]
    if not heard:
        bodies = [("cơ quan y tế", "authority"), *[("bên giữ khoá", "custodian")] * len(others)]
        words = "Gõ sáu từ của khoá gốc {}, do bên đó đọc / Type the six words of the {}'s root, as they read them"
        heard = [typer.prompt(words.format(*both), err=True) for both in bodies]
    fingerprints.check(heard[:1], [first], where=str(authority))
    fingerprints.check(heard[1:], others, where=str(custodian))
    return pems
