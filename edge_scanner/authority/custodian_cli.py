"""COMMANDS edge-authority custodian release | register: options and help; the work is in commands/release.py."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the hints at run time)
from typing import Annotated

import typer

from edge_scanner.authority.commands.options import (  # noqa: TC001 (as above)
    BoxesFile,
    Checkpoints,
    Confirm,
    KeysFolder,
    NotPulled,
    PassphraseFile,
    RequestFile,
    RootPem,
)

custodian = typer.Typer(
    no_args_is_help=True,
    help="The custodian's commands: release keys, check the register.\n\n"
    "Example: `edge-authority custodian release --help`",
)


@custodian.command("release")
def custodian_release(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLES...", help="Bundles, or folders of them.")],
    request_file: RequestFile,
    root: RootPem,
    boxes: BoxesFile,
    keys_folder: KeysFolder,
    out: Annotated[Path, typer.Option("--out", help="The release, for the authority.", metavar="FILE")],
    checkpoints: Checkpoints = None,
    not_pulled: NotPulled = "",
    confirm: Confirm = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Release the custodian's key shares for exactly the minutes that were approved.

    The order is judged by the box's policy and this machine's clock; what is released is entered in the register.

    Example: `edge-authority custodian release hcm-0417/ --request approved.json --root authority-root.pem
    --boxes boxes.csv --keys custodian/ --out hcm-0417.release`
    """
    from edge_scanner.authority.commands import release, unseal

    desk = unseal.Desk(
        request=request_file, root=root, boxes=boxes, keys=keys_folder, passphrase_file=passphrase_file,
        checkpoints=checkpoints, not_pulled=not_pulled,
    )  # fmt: skip
    release.run_release(bundles, desk, out, typed=confirm)


@custodian.command("register")
def custodian_register(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The custodian's folder of keys.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """Check the register of releases line by line and print it; exit code 65 if it was altered.

    Example: `edge-authority custodian register custodian/`
    """
    from edge_scanner.authority.commands import release

    release.run_register(folder, as_json=as_json)
