"""Options and help of `edge-authority boxes`: the fleet's list in words, and the mark of the key that signed it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import Annotated

import typer

from edge_scanner.command_line import Lang, language


def boxes_show(
    file: Annotated[Path, typer.Argument(metavar="CSV", help="The list, with CSV.sig and fleet.pub beside it.")],
    lang: Lang = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """List the fleet's boxes, and who signed the list and when; exit code 77 if it was not the pinned key.

    Compare the key's fingerprint with the fleet's operator by telephone, once.

    Example: `edge-authority boxes boxes.csv`
    """
    from edge_scanner.authority.commands import boxes

    boxes.show(file, language(lang), as_json=as_json)
