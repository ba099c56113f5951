"""COMMANDS edge-authority recipients: options and help; the work is in commands/recipients.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_scanner.authority.commands.options import PassphraseFile  # noqa: TC001 (typer reads it)

recipients = typer.Typer(
    no_args_is_help=True,
    help="The recipient set, to which boxes seal their logs: the authority signs, each custodian countersigns.\n\n"
    "Example: `edge-authority recipients sign --help`",
)

Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders with weekly public keys.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result is written.", metavar="FILE")]
RootKey = Annotated[Path, typer.Option("--root", help="The authority's root key file.", metavar="FILE")]
CustodianKey = Annotated[Path, typer.Option("--root", help="The custodian's root key file.", metavar="FILE")]
AuthorityRoot = Annotated[
    Path, typer.Option("--authority-root", help="The authority's root, public part.", metavar="PEM")
]
CustodianRoots = Annotated[
    list[Path],
    typer.Option("--custodian-root", help="A custodian's root, public part; repeat it for several.", metavar="PEM"),
]
AnyCustodian = Annotated[
    bool, typer.Option("--any-custodian", help="One of several custodians is enough; by default each must release.")
]


@recipients.command("sign")
def recipients_sign(
    folders: Folders,
    root: RootKey,
    custodian_roots: CustodianRoots,
    version: Annotated[int, typer.Option(help="Higher than in every earlier set.", min=1)],
    out: Out,
    any_custodian: AnyCustodian = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign the first set that boxes seal to: recipient and custodian together, week by week.

    Boxes accept it once each custodian has countersigned it. If there are several custodians, each has a folder with
    its root and its weekly keys: `--custodian-root a/custodian-root.pem --custodian-root b/custodian-root.pem`.

    Example: `edge-authority recipients sign desk/ custodian/ --root root.key --custodian-root custodian-root.pem
    --version 1 --out recipients-1.proposed`
    """
    from edge_scanner.authority.commands import recipients as work

    work.run_sign(
        folders,
        root,
        custodian_roots,
        out,
        version=version,
        any_custodian=any_custodian,
        passphrase_file=passphrase_file,
    )


@recipients.command("renew")
def recipients_renew(
    before: Annotated[Path, typer.Argument(metavar="SET", help="The set in force, signed by all.")],
    folders: Folders,
    root: RootKey,
    authority_root: AuthorityRoot,
    custodian_roots: CustodianRoots,
    out: Out,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign the set that follows SET: the same parties, the next version, with the keys of the coming weeks.

    Example: `edge-authority recipients renew recipients-1.json desk/ custodian/ --root root.key
    --authority-root authority-root.pem --custodian-root custodian-root.pem --out recipients-2.proposed`
    """
    from edge_scanner.authority.commands import recipients as work

    work.run_renew(
        before,
        folders,
        root,
        out,
        authority_root=authority_root,
        custodian_roots=custodian_roots,
        passphrase_file=passphrase_file,
    )


@recipients.command("countersign")
def recipients_countersign(
    proposed: Annotated[Path, typer.Argument(metavar="SET", help="The set that the authority signed.")],
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="The custodian's folders with public keys.")],
    root: CustodianKey,
    authority_root: AuthorityRoot,
    out: Out,
    version: Annotated[
        int | None, typer.Option(help="The version that you countersign; asked for if not given.", min=1)
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Countersign a set as a custodian, after checking who could open what.

    Refused if the set attributes keys to this custodian that are not in DIR. Several custodians sign one after another.

    Example: `edge-authority recipients countersign recipients-1.proposed custodian/ --root custodian-root.key
    --authority-root authority-root.pem --out recipients-1.json`
    """
    from edge_scanner.authority.commands import recipients as work

    work.run_countersign(
        proposed,
        folders,
        root,
        out,
        authority_root=authority_root,
        version=version,
        passphrase_file=passphrase_file,
    )


@recipients.command("list")
def recipients_list(
    sets_files: Annotated[list[Path], typer.Argument(metavar="SET...", help="Signed sets.")],
    authority_root: AuthorityRoot,
    custodian_roots: CustodianRoots,
    published: Annotated[
        Path | None, typer.Option(help="What the boxes published, to show which set each of them uses.", metavar="FILE")
    ] = None,
) -> None:
    """List the sets that all parties signed: versions, dates, who opens with whom, and which set each box uses.

    Example: `edge-authority recipients list recipients-1.json --authority-root authority-root.pem
    --custodian-root custodian-root.pem --published published.txt`
    """
    from edge_scanner.authority.commands import recipients as work

    work.run_list(sets_files, authority_root, custodian_roots, published)
