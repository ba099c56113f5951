"""COMMAND edge-authority boxes: the fleet's list in words, and the mark of the key that signed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import translations
from edge_scanner.authority.collect import boxes as lists
from edge_scanner.core.enrolment import fingerprints

if TYPE_CHECKING:
    from pathlib import Path


def show(file: Path, lang: str, *, as_json: bool) -> None:
    """Print the boxes of the list, who signed it and when; raises RefusedError when the pinned key did not."""
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
        state = translations.say(lang, f"box_{box.why_not_asked or 'in_service'}")
        table.add_row(*map(Text, (translations.device_name(box.device), box.site, box.place, state)))
    console = terminal.console()
    console.print(table, soft_wrap=True)
    console.print(
        Text(
            translations.say(lang, "boxes_source", fleet=source.fleet, made=translations.local(source.made_s), key=mark)
        ),
        soft_wrap=True,
    )
