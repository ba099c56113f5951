"""COMMANDS edge-authority request new | approve | show: draft an order, sign it as the second, read it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from edge_scanner import terminal
from edge_scanner.authority import files
from edge_scanner.authority.collect import boxes as inventory
from edge_scanner.authority.collect import request as work
from edge_scanner.authority.commands.options import figures, passphrase
from edge_scanner.authority.keys import mandates
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run_new(
    order: work.Order,
    boxes: Path,
    *,
    box: Sequence[str],
    site: Sequence[str],
    key: Path,
    mandate: Path,
    root: Path,
    out: Path,
    passphrase_file: Path | None,
) -> None:
    """Write the order for these boxes and sites, signed once; say which boxes of a site are left out."""
    known = inventory.read(boxes)
    devices = inventory.choose(known, box, site)
    paper = files.read(mandate).rstrip(b"\n")
    now_s = time.time()
    pinned = mandates.pinned(root)
    draft = work.new(order, devices, paper, pinned, now_s=now_s)
    secret = passphrase(passphrase_file)
    files.write(out, work.approve(draft, key, paper, secret, pinned, now_s=now_s) + b"\n", mode=0o644)
    terminal.say(f"{out}: signed once, {counted(len(devices), 'box')}; send it to the approver")
    for missing in inventory.left_out(known, site):
        terminal.say(f"not asked: {missing.device}, {missing.place}: {missing.why_not_asked}", stderr=True)


def run_approve(
    file: Path,
    *,
    key: Path,
    mandate: Path,
    root: Path,
    out: Path,
    typed: str,
    boxes: Path | None,
    passphrase_file: Path | None,
) -> None:
    """Show the order, compare the figures that were typed, and write it with one more signature."""
    document, now_s = work.read_document(file), time.time()
    asked = work.parse(document)
    paper, pinned = files.read(mandate).rstrip(b"\n"), mandates.pinned(root)
    work.check(asked, pinned, paper, now_s=now_s)
    work.show(asked, inventory.read(boxes) if boxes else {}, None)
    work.check_figures(asked.request, typed or figures())
    secret = passphrase(passphrase_file)
    files.write(out, work.approve(document, key, paper, secret, pinned, now_s=now_s) + b"\n", mode=0o644)
    terminal.say(f"{out}: signed")


def run_show(file: Path, root: Path, boxes: Path | None, *, as_json: bool) -> None:
    """Print the order and whether boxes would answer it now; exit code 77 if not."""
    asked = work.read(file)
    verdict = work.state(asked, mandates.pinned(root), now_s=time.time())
    if as_json:
        terminal.say_json(work.as_json(asked, verdict))
    else:
        work.show(asked, inventory.read(boxes) if boxes else {}, verdict)
    if verdict:
        raise typer.Exit(77)
