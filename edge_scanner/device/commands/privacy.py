"""`edge-scanner privacy`: what this site releases, what a stay costs, how wrong the numbers are, how long data lives.

The same statement as text, as JSON and as a notice for the wall, from the configuration alone, so that what is printed
is what the box does.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from edge_scanner import terminal
from edge_scanner.core.counts.privacy_budget import STAYS_S
from edge_scanner.core.counts.release import BROKER, DISPLAY, NEARBY
from edge_scanner.core.errors import ConfigurationError, StorageError
from edge_scanner.core.wording import counted
from edge_scanner.device.commands import notice
from edge_scanner.device.commands.statement import PrivacySettings, Statement, state

if TYPE_CHECKING:
    from pathlib import Path

_READERS = {BROKER: "central broker", DISPLAY: "the venue's screen"}


def run_privacy(
    settings: PrivacySettings, *, as_json: bool = False, notice_file: Path | None = None, page_file: Path | None = None
) -> None:
    """Print the statement, or write the notice to `notice_file`, and the page behind its code to `page_file`.

    Raises ConfigurationError when the notice has no address, StorageError when it cannot be written.
    """
    statement = state(settings)
    if notice_file is not None:
        if not settings.notice_url:
            raise ConfigurationError(
                "the notice needs an address for its QR code", where="[kiosk] notice_url", hint="set it and try again"
            )
        _write(notice_file, notice.page(settings))
    if page_file is not None:
        _write(page_file, notice.numbers(settings, statement))
    if as_json:
        terminal.say_json(asdict(statement))
    elif notice_file is not None or page_file is not None:
        if notice_file is not None:
            terminal.say(f"{notice_file}: print it on A5 and hang it where people come in")
        if page_file is not None:
            terminal.say(f"{page_file}: publish it under [kiosk] notice_url, where the notice's code leads")
    else:
        _show(statement)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError("the notice cannot be written", where=str(path)) from error


def _show(statement: Statement) -> None:
    console = terminal.console()
    console.print(
        f"Released: noised device-minutes of {', '.join(statement.figures)}. "
        f"{NEARBY} is the phones that stay. One release feeds both readers: "
        "the broker's figure is made of the screen's."
    )
    console.print("Never released, nor written in the clear: identifiers, addresses, names, unnoised counts.\n")
    stays = Table(title="What a stay costs: ε of whoever sees everything")
    for stay_s in STAYS_S:
        stays.add_column(_span(stay_s), justify="right")
    stays.add_row(*(f"{cost:.3g}" for cost in statement.epsilons))
    console.print(stays)
    table = Table(title="How wrong a full bin is")
    table.add_column("ledger")
    for ledger in statement.ledgers:
        table.add_column(ledger.ledger, justify="right")
    table.add_row("read by", *(_READERS.get(ledger.ledger, "") for ledger in statement.ledgers))
    table.add_row("bin", *(f"{ledger.bin_s // 60} min" for ledger in statement.ledgers))
    table.add_row("mean error, phones", *(f"{ledger.error:.1f}" for ledger in statement.ledgers))
    table.add_row("within, 95 %", *(f"{ledger.error_95:.1f}" for ledger in statement.ledgers))
    tracing = [ledger.tracing_error for ledger in statement.ledgers]
    if any(tracing):
        table.add_row("mean error, a tracing figure", *("" if error is None else f"{error:.1f}" for error in tracing))
    console.print(table)
    console.print(
        f"The stays are unbroken ones, their ends included. Each further coming and going, or a restart of the box "
        f"meanwhile, adds {statement.again:.2f}; an hour of presence never costs more than {statement.hour:.2f}.\n"
        f"ε bounds what anybody can learn about one presence: its odds change by e^ε at most. Unit: {statement.unit}.\n"
        f"A device adds at most {statement.sensitivity} device-minutes an hour. "
        + (
            f"The sealed log is kept for {counted(statement.retention_days, 'day')}."
            if statement.retention_days
            else "The box keeps no log."
        )
    )


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"  # noqa: PLR2004 (an hour)
