"""Options that several commands of edge-authority share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_scanner.authority import files
from edge_scanner.authority.keys import vault
from edge_scanner.command_line import secret

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="A file with the passphrase, instead of typing it.")
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
Language = Annotated[str, typer.Option("--lang", help="vi or en.")]


def passphrase(path: Path | None, *, new: bool = False) -> str:
    """From a file's first line, or typed without an echo; a new one is asked for twice. Raises BadDataError."""
    if path is not None:
        text = files.read(path, limit=4096).decode("utf-8", "replace").partition("\n")[0]
    else:
        text = secret("Mật khẩu / Passphrase", twice=new, check=vault.check_passphrase if new else None)
    return vault.check_passphrase(text) if new else text


def figures() -> str:
    """Boxes and hours, typed by whoever has read the order."""
    question = "Để đồng ý, gõ số thiết bị và số giờ ghi ở trên / To agree, type the number of boxes and the hours above"
    return str(typer.prompt(question, err=True))


def language(text: str) -> str:
    """The language, when it is vi or en; raises typer.BadParameter."""
    if text not in ("vi", "en"):
        raise typer.BadParameter("vi or en", param_hint="--lang")
    return text
