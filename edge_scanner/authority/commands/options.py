"""Options that several commands of edge-authority share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import passphrases

_OPENS = passphrases.Secret(
    question="Mật khẩu / Passphrase", variable="EDGE_AUTHORITY_PASSPHRASE", credential="passphrase"
)
_NEW = replace(_OPENS, new=True, check=passphrases.check)
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help=_OPENS.help("A file with the passphrase."), metavar="FILE"),
]
BoxesFile = Annotated[Path, typer.Option("--boxes", help="The fleet's signed list of boxes.", metavar="CSV")]
RootPem = Annotated[Path, typer.Option("--root", help="The authority's root, public part.", metavar="PEM")]
RequestFile = Annotated[Path, typer.Option("--request", help="The signed request.", metavar="FILE")]
KeysFolder = Annotated[Path, typer.Option("--keys", help="The folder with the opening keys.", metavar="DIR")]
Checkpoints = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        help="What the boxes published: topic and payload on each line, or signed notes.",
        metavar="FILE",
    ),
]
NotPulled = Annotated[
    str,
    typer.Option(
        help="Why you open a bundle that no box sent as its answer; kept in the register and the report.",
        metavar="REASON",
    ),
]
Confirm = Annotated[
    str,
    typer.Option(
        help="For scripts: the number of boxes and hours that the program shows, as `21 24` or `1 1:40`.",
        metavar="FIGURES",
    ),
]


def passphrase(path: Path | None, *, new: bool = False) -> str:
    """As every program is given one; raises BadDataError, StorageError."""
    return (_NEW if new else _OPENS).take(path)


def figures() -> str:
    """Boxes and hours, typed by whoever has read the order."""
    question = "Để đồng ý, gõ số thiết bị và số giờ ghi ở trên / To agree, type the number of boxes and the hours above"
    return str(typer.prompt(question, err=True))
