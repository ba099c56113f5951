"""Passphrases of edge-provision: a file, the environment, or asked for; never on the command line, where `ps` shows it.

A new one is asked twice and must be worth its name (vault.py). Headquarters' opens the fleet, a batch has its own: the
laptop it travels with must not be an oracle for the fleet's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_scanner.command_line import secret
from edge_scanner.core.errors import BadDataError
from provisioning import files
from provisioning.vault import check_passphrase

if TYPE_CHECKING:
    from collections.abc import Callable

FLEET_VARIABLE = "EDGE_PROVISION_PASSPHRASE"
BATCH_VARIABLE = "EDGE_PROVISION_BATCH_PASSPHRASE"
NEW_VARIABLE = "EDGE_PROVISION_NEW_PASSPHRASE"
_HINT = "a file of one line"


class Given(str):
    """A passphrase that is known already; any other text of the option is the name of a file."""

    __slots__ = ()


def _read(value: str) -> str:
    if isinstance(value, Given):
        return value
    text = files.read(Path(value), hint=_HINT).decode(errors="replace").rstrip("\r\n")
    if not text or "\n" in text:
        raise BadDataError("not a passphrase", where=value, hint=_HINT)
    return Given(text)


def _ask(words: str, variable: str) -> Callable[[], str]:
    """The one that opens something."""

    def ask() -> str:
        return Given(os.environ.get(variable) or secret(words))

    return ask


def _ask_new(words: str, variable: str) -> Callable[[], str]:
    """A new one: asked twice, and again while it is too weak."""

    def ask() -> str:
        return Given(os.environ.get(variable) or secret(words, twice=True, check=check_passphrase))

    return ask


def _option(name: str, ask: Callable[[], str], help_text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        name, parser=_read, default_factory=ask, metavar="FILE", help=help_text, show_default=False
    )
    return option


_BATCH = "Mật khẩu của lô / Passphrase of the batch"
_NEW = "Mật khẩu mới của hệ thống / New passphrase of the fleet"
_OPENS = "A file with the passphrase, instead of typing it."
Passphrase = Annotated[
    str, _option("--passphrase-file", _ask("Mật khẩu của hệ thống / Passphrase of the fleet", FLEET_VARIABLE), _OPENS)
]
BatchPassphrase = Annotated[str, _option("--passphrase-file", _ask(_BATCH, BATCH_VARIABLE), _OPENS)]
FirstPassphrase = Annotated[str, _option("--passphrase-file", _ask_new(_NEW, FLEET_VARIABLE), _OPENS)]
NewPassphrase = Annotated[
    str,
    _option("--new-passphrase-file", _ask_new(_NEW, NEW_VARIABLE), "The new passphrase's file."),
]
NewBatchPassphrase = Annotated[
    str,
    _option(
        "--batch-passphrase-file",
        _ask_new("Mật khẩu mới của lô / New passphrase of the batch", BATCH_VARIABLE),
        "The batch's own passphrase, for the technician; never the fleet's.",
    ),
]
