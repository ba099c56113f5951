"""Names, options and help of `edge-provision batch`; cli.py adds them to the program."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import __version__
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.wording import counted
from provisioning.options import FLEET, FleetDir, Json, answer
from provisioning.passphrases import NewBatchPassphrase, Passphrase

batch_app = typer.Typer(no_args_is_help=True, help="A batch of boxes.\n\nExample: `edge-provision batch new B-014`")

RootWords = Annotated[
    list[str] | None,
    typer.Option(help="For scripts: the six words of a root, the authority's first; repeat it.", metavar="WORDS"),
]


@batch_app.command("new")
def batch_new(
    name: Annotated[str, typer.Argument(help="e.g. B-014.")],
    sites: Annotated[Path, typer.Option(help="The plan: site, room, name_vi, name_en.", metavar="CSV")],
    count: Annotated[int, typer.Option(help="How many boxes; the rest is spare.", min=1, max=500)],
    authority_root: Annotated[Path, typer.Option(help="The health authority's root keys, PEM.", metavar="FILE")],
    custodian_root: Annotated[Path, typer.Option(help="The custodian's root keys, PEM.", metavar="FILE")],
    recipients: Annotated[Path, typer.Option(help="The recipient set that both signed.", metavar="FILE")],
    passphrase: Passphrase,
    batch_passphrase: NewBatchPassphrase,
    root_words: RootWords = None,
    software: Annotated[list[Path] | None, typer.Option(help="A package to carry along.", metavar="FILE")] = None,
    out: Annotated[Path | None, typer.Option(help="batch-NAME.zip if not given.", metavar="ZIP")] = None,
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Make a batch file: all that a laptop needs to install COUNT boxes within 90 days, without internet.

    Type the six words of the authority's root, then of each custodian's, as that body itself tells them.
    Example: `edge-provision batch new B-014 --sites sites.csv --count 50 --authority-root a.pem
    --custodian-root c.pem --recipients s.json`
    """
    from provisioning import places
    from provisioning.bench.batch import BATCH_DAYS, new_batch
    from provisioning.files import read
    from provisioning.fleet.fleet import open_fleet
    from provisioning.inventory import open_inventory

    if batch_passphrase == passphrase:
        raise BadDataError("a batch has a passphrase of its own", hint="the laptop must not hold the fleet's")
    opened = open_fleet(fleet, passphrase)
    target = out or Path(f"batch-{name}.zip")
    pems = _roots(authority_root, custodian_root, root_words or [])
    manifest = new_batch(
        opened,
        name=name,
        count=count,
        places=places.read(sites),
        authority_root=pems[0],
        custodian_root=pems[1],
        recipient_set=read(recipients, hint="ask the authority"),
        software=software or (),
        software_version=__version__,
        passphrase=batch_passphrase,
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


def _roots(authority: Path, custodian: Path, heard: list[str]) -> tuple[bytes, bytes]:
    """Both files, when what each body told of its root is true; raises RefusedError."""
    from edge_scanner.core.enrolment import fingerprints
    from edge_scanner.core.log import roots
    from provisioning.files import read

    pems = read(authority, hint="ask the authority"), read(custodian, hint="ask the custodian")
    first, *others = [party[0].public_bytes_raw() for party in roots.read(*pems).parties]
    if not heard:
        bodies = [("cơ quan y tế", "authority"), *[("bên giữ khoá", "custodian")] * len(others)]
        words = "Gõ sáu từ của khoá gốc {}, do bên đó đọc / Type the six words of the {}'s root, as they read them"
        heard = [typer.prompt(words.format(*both), err=True) for both in bodies]
    fingerprints.check(heard[:1], [first], where=str(authority))
    fingerprints.check(heard[1:], others, where=str(custodian))
    return pems
