"""Options and help of `edge-authority boxes`: the fleet's list in words, and the mark of the key that signed it."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import Annotated

import typer

from edge_scanner import terminal
from edge_scanner.authority.commands.options import Language, language


def boxes_show(
    file: Annotated[Path, typer.Argument(metavar="CSV", help="The list; CSV.sig and fleet.pub lie beside it.")],
    lang: Language = "vi",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """List the fleet's boxes, who signed the list and when; exit code 77 when the pinned key did not.

    Compare the key's fingerprint with the fleet's operator by telephone, once.

    Example: `edge-authority boxes boxes.csv`
    """
    from rich.table import Table
    from rich.text import Text

    from edge_scanner.authority import translations
    from edge_scanner.authority.collect import boxes as lists
    from edge_scanner.core.enrolment import fingerprints

    source, known = lists.source(file), lists.read(file)
    mark = fingerprints.words(source.key)
    if as_json:
        found = [
            {"device": box.device, "site": box.site, "place": box.place, "not_asked": box.why_not_asked}
            for box in known.values()
        ]
        terminal.say_json({"fleet": source.fleet, "made_s": source.made_s, "key": mark, "boxes": found})
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for box in known.values():
        state = translations.say(language(lang), f"box_{box.why_not_asked or 'in_service'}")
        table.add_row(*map(Text, (translations.device_name(box.device), box.site, box.place, state)))
    console = terminal.console()
    console.print(table, soft_wrap=True)
    console.print(
        Text(
            translations.say(lang, "boxes_source", fleet=source.fleet, made=translations.local(source.made_s), key=mark)
        ),
        soft_wrap=True,
    )
