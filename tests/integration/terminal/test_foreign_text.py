"""Text of others on the terminals of all programs: shown as it is written, obeyed by nothing."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

import provisioning.cli as provision
from edge_scanner import terminal
from edge_scanner.authority import cli as authority
from edge_scanner.authority.collect import request as requesting
from edge_scanner.authority.collect.boxes import Box
from edge_scanner.central import cli as central
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.pull import request
from edge_scanner.device import cli as device
from edge_scanner.terminal.drawing import Terminal
from provisioning.bench import table
from provisioning.inventory import open_inventory
from tests.support.fleet import workshop
from tests.support.foreign import Shown
from tests.support.office import Office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAYLOAD = "a[/x][red]\x1b[2J\x1b]0;pwned\x07\x9b1A\u202eb"
"""Markup that ends nothing, a cleared screen, a title, an eight-bit escape, and text that runs backwards."""
PROGRAMS: dict[str, typer.Typer] = {
    "edge-scanner": device.app,
    "edge-authority": authority.app,
    "edge-provision": provision.app,
    "edge-central": central.app,
}
NOW_S = 1_795_903_200


def leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
    else:
        for name, child in children.items():
            yield from leaves(child, (*words, name))


COMMANDS = {
    " ".join(words): command
    for program, app in PROGRAMS.items()
    for words, command in leaves(typer.main.get_command(app), (program,))
}


def obeyed(text: str) -> list[str]:
    """What a terminal would have acted on."""
    return [character for character in text if not character.isprintable() and character != "\n"]


def arguments(command: Any, folder: Path) -> list[str]:
    """The payload for everything that must be given, in files and in words; a passphrase where one may be."""
    given: list[str] = []
    for number, parameter in enumerate(command.params):
        option = parameter.param_type_name == "option"
        if option and not parameter.required and "passphrase" not in parameter.name:
            continue
        kind = repr(getattr(parameter, "type_descriptor", None) or parameter.type)
        value = "1" if "'int'" in kind or "'float'" in kind else PAYLOAD
        if "Path" in kind:
            path = folder / f"{number}-[red]"
            path.write_text(f'{{"{PAYLOAD}": 1}}\n', encoding="utf-8")
            value = str(path)
        given += [parameter.opts[0], value] if option else [value]
    return given


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_passes_a_payload_to_the_terminal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and words full of escapes and markup end in a plain line and an exit code, whatever the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*name.split(), *arguments(COMMANDS[name], tmp_path)])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    out, err = Shown(), Shown()
    main = {
        "edge-scanner": device.main,
        "edge-authority": authority.main,
        "edge-provision": provision.main,
        "edge-central": central.main,
    }
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        main[name.partition(" ")[0]]()

    assert obeyed(out.getvalue()) == []
    assert obeyed(err.getvalue()) == []


def drawn(*things: object) -> str:
    """What a terminal of 200 columns gets, colours left out."""
    file = io.StringIO()
    Terminal(markup=False, emoji=False, highlight=False, file=file, width=200).print(*things)
    return file.getvalue()


def test_the_order_that_repainted_the_approver_s_screen_is_no_order() -> None:
    """Escapes in purpose, legal basis or name are refused when the document is read."""
    office = Office(NOW_S)
    good = office.request("K7MP2R9CX4")
    for field in ("purpose", "legal_basis"):
        with pytest.raises(MalformedError, match=r"U\+001B"):
            request.draft(type(good)(**{**{name: getattr(good, name) for name in good.__slots__}, field: PAYLOAD}))
    with pytest.raises(MalformedError, match="U"):
        office.person(request.APPROVER, PAYLOAD)


def test_markup_in_an_order_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets are letters: no traceback, no colour, and the words stand there."""
    office = Office(NOW_S)
    asked = request.read(office.signed(office.request("K7MP2R9CX4", purpose="see [/x] [red]here")))
    box = Box(device="K7MP2R9CX4", site="s", room="[/y]", name="Cửa 3", identity=bytes(32))

    requesting.show(asked, {box.device: box}, "")

    shown = capsys.readouterr().out
    assert "see [/x] [red]here" in shown
    assert "[/y]" in shown


def test_the_bench_table_draws_a_board_s_text_and_lives(tmp_path: Path) -> None:
    """A serial, a refusal and a step full of markup and escapes are one row each."""
    place = workshop(tmp_path)
    with open_inventory(tmp_path / "inventory.db") as inventory:
        inventory.plan(place.batch.manifest)
        with closing(sqlite3.connect(tmp_path / "inventory.db")) as db, db:
            db.execute("INSERT INTO refusal VALUES (?, 'PRV-04', ?, 1)", ("aa[/x]", PAYLOAD))
            (first,) = db.execute("SELECT min(device_id) FROM box").fetchone()
            db.execute(
                "UPDATE box SET state = 'enrolled', enrolled_s = 1, name_vi = ? WHERE device_id = ?", (PAYLOAD, first)
            )
            db.execute("INSERT INTO step VALUES (?, 0, 'clock', 'FAIL', 'CLK-01', ?, 1)", (first, PAYLOAD))
        shown = drawn(table.draw(place.batch, inventory, port=1, now_s=NOW_S))

    assert obeyed(shown) == []
    assert "aa[/x]" in shown
    assert shown.count("a[/x][red]␛[2J") >= 2


def test_json_for_programs_keeps_what_is_not_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """It stands there as an escape, and comes back as it was."""
    document = {"name": "a\u2800b\u3164\x1b\U000e0100", "good": "Bến xe"}

    terminal.say_json(document)

    shown = capsys.readouterr().out
    assert json.loads(shown) == document
    assert "Bến xe" in shown
    assert "\u2800" not in shown
