"""Names, options and help of `edge-provision batch`; cli.py adds them to the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.options import FLEET, FleetDir, Json
from provisioning.passphrases import NewBatchPassphrase, Passphrase

batch_app = typer.Typer(no_args_is_help=True, help="A batch of boxes.\n\nExample: `edge-provision batch new B-014`")

RootWords = Annotated[
    list[str] | None,
    typer.Option(help="For scripts: the six words of a root, the authority's first; may be repeated.", metavar="WORDS"),
]


@batch_app.command("new")
def batch_new(
    name: Annotated[str, typer.Argument(help="e.g. B-014.")],
    sites: Annotated[Path, typer.Option(help="The plan: site, room, name_vi, name_en.", metavar="CSV")],
    count: Annotated[int, typer.Option(help="How many boxes; those beyond the plan are spares.", min=1, max=500)],
    authority_root: Annotated[Path, typer.Option(help="The health authority's root keys, PEM.", metavar="FILE")],
    custodian_root: Annotated[Path, typer.Option(help="The custodian's root keys, PEM.", metavar="FILE")],
    recipients: Annotated[Path, typer.Option(help="The recipient set that both signed.", metavar="FILE")],
    passphrase: Passphrase,
    batch_passphrase: NewBatchPassphrase,
    root_words: RootWords = None,
    software: Annotated[list[Path] | None, typer.Option(help="A package to include.", metavar="FILE")] = None,
    out: Annotated[Path | None, typer.Option(help="batch-NAME.zip if not given.", metavar="ZIP")] = None,
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Make a batch file: everything a laptop needs to install COUNT boxes within 90 days, without internet.

    Type the six words of the authority's root, then of each custodian's root, as each of them reads them to you.
    Example: `edge-provision batch new B-014 --sites sites.csv --count 50 --authority-root a.pem
    --custodian-root c.pem --recipients s.json`
    """
    from provisioning.bench.commands import batch

    batch.new(
        fleet,
        name,
        count,
        sites=sites,
        pinned=(authority_root, custodian_root),
        heard=root_words or [],
        recipients=recipients,
        software=software or [],
        passphrases=(passphrase, batch_passphrase),
        target=out or Path(f"batch-{name}.zip"),
        as_json=as_json,
    )
