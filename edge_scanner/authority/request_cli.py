"""COMMANDS edge-authority request new | approve | show: options and help; the work is in collect/request.py."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 (typer reads the hints at run time)
from typing import Annotated

import typer

from edge_scanner import terminal
from edge_scanner.authority.commands.options import BoxesFile, Confirm, PassphraseFile, RootPem, figures, passphrase
from edge_scanner.core.wording import counted

request = typer.Typer(
    no_args_is_help=True,
    help="A request that two people sign.\n\n"
    "Example: `edge-authority request show request.json --root authority-root.pem`",
)


@request.command("new")
def request_new(
    case: Annotated[str, typer.Option(help="The case number.")],
    legal_basis: Annotated[str, typer.Option(help="The law and article.")],
    purpose: Annotated[str, typer.Option(help="Why, in one sentence.")],
    start: Annotated[str, typer.Option("--from", help="ISO time in --zone, or with an offset.")],
    end: Annotated[str, typer.Option("--to", help="ISO time in --zone, or with an offset.")],
    boxes: BoxesFile,
    key: Annotated[Path, typer.Option(help="Your key file; the request is signed at once.", metavar="FILE")],
    mandate: Annotated[Path, typer.Option(help="Your mandate.", metavar="FILE")],
    root: RootPem,
    out: Annotated[Path, typer.Option("--out", help="The request.", metavar="FILE")],
    box: Annotated[list[str] | None, typer.Option(help="A box's id; may be repeated.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="All boxes of a site; may be repeated.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of --from and --to.")] = "Asia/Ho_Chi_Minh",
    valid_days: Annotated[int, typer.Option(help="For how many days boxes accept the request.", min=1, max=30)] = 7,
    sealed_days: Annotated[int, typer.Option(help="For how many days the venue is not informed.", min=0, max=30)] = 0,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Draft a request for sealed hours and sign it; another role must approve it on another machine.

    Refused if boxes would refuse it, judged by this machine's clock and the list of revoked mandates beside the root.

    Example: `edge-authority request new --case HCM-2026-0417 --legal-basis "Luật 114/2025/QH15"
    --purpose "Truy vết người tiếp xúc" --site ben-xe --from 2026-11-20T08:00 --to 2026-11-20T12:00 --boxes boxes.csv
    --root authority-root.pem --key health-officer.key --mandate health-officer.mandate --out request.json`
    """
    from edge_scanner.authority import files
    from edge_scanner.authority.collect import boxes as inventory
    from edge_scanner.authority.collect import request as work
    from edge_scanner.authority.keys import mandates

    order = work.Order(
        case=case, legal_basis=legal_basis, purpose=purpose, start=start, end=end, zone=zone,
        valid_days=valid_days, sealed_days=sealed_days,
    )  # fmt: skip
    known = inventory.read(boxes)
    devices = inventory.choose(known, box or [], site or [])
    paper = files.read(mandate).rstrip(b"\n")
    now_s = time.time()
    pinned = mandates.pinned(root)
    draft = work.new(order, devices, paper, pinned, now_s=now_s)
    secret = passphrase(passphrase_file)
    files.write(out, work.approve(draft, key, paper, secret, pinned, now_s=now_s) + b"\n", mode=0o644)
    terminal.say(f"{out}: signed once, {counted(len(devices), 'box')}; send it to the approver")
    for missing in inventory.left_out(known, site or []):
        terminal.say(f"not asked: {missing.device}, {missing.place}: {missing.why_not_asked}", stderr=True)


@request.command("approve")
def request_approve(
    file: Annotated[Path, typer.Argument(metavar="REQUEST", help="The request as the health officer sent it.")],
    key: Annotated[Path, typer.Option(help="Your key file.", metavar="FILE")],
    mandate: Annotated[Path, typer.Option(help="Your mandate.", metavar="FILE")],
    root: RootPem,
    out: Annotated[Path, typer.Option("--out", help="The approved request.", metavar="FILE")],
    confirm: Confirm = "",
    boxes: Annotated[
        Path | None, typer.Option(help="The fleet's signed list of boxes, to show where they are.", metavar="CSV")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Read a request in words, type how many boxes and hours it asks for, and add the second signature.

    Refused if a signature so far is not valid under the root, or if boxes would refuse the order.

    Example: `edge-authority request approve request.json --root authority-root.pem --key approver.key
    --mandate approver.mandate --boxes boxes.csv --out approved.json`
    """
    from edge_scanner.authority import files
    from edge_scanner.authority.collect import boxes as inventory
    from edge_scanner.authority.collect import request as work
    from edge_scanner.authority.keys import mandates

    document, now_s = work.read_document(file), time.time()
    asked = work.parse(document)
    paper, pinned = files.read(mandate).rstrip(b"\n"), mandates.pinned(root)
    work.check(asked, pinned, paper, now_s=now_s)
    work.show(asked, inventory.read(boxes) if boxes else {}, None)
    work.check_figures(asked.request, confirm or figures())
    secret = passphrase(passphrase_file)
    files.write(out, work.approve(document, key, paper, secret, pinned, now_s=now_s) + b"\n", mode=0o644)
    terminal.say(f"{out}: signed")


@request.command("show")
def request_show(
    file: Annotated[Path, typer.Argument(metavar="REQUEST", help="A request.")],
    root: RootPem,
    boxes: Annotated[
        Path | None, typer.Option(help="The fleet's signed list of boxes, to show where they are.", metavar="CSV")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """Show in Vietnamese and English what a request asks for, who signed it, and whether boxes would answer.

    Exit code 77 if they would refuse it now; the reason is shown.

    Example: `edge-authority request show approved.json --root authority-root.pem --boxes boxes.csv`
    """
    from edge_scanner.authority.collect import boxes as inventory
    from edge_scanner.authority.collect import request as work
    from edge_scanner.authority.keys import mandates

    asked = work.read(file)
    verdict = work.state(asked, mandates.pinned(root), now_s=time.time())
    if as_json:
        terminal.say_json(work.as_json(asked, verdict))
    else:
        work.show(asked, inventory.read(boxes) if boxes else {}, verdict)
    if verdict:
        raise typer.Exit(77)
