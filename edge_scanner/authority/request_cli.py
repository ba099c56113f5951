"""COMMANDS edge-authority request new | approve | show: options and help; the work is in commands/request.py."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the hints at run time)
from typing import Annotated

import typer

from edge_scanner.authority.commands.options import (  # noqa: TC001 (as above)
    BoxesFile,
    Confirm,
    PassphraseFile,
    RootPem,
)

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
    from edge_scanner.authority.collect.request import Order
    from edge_scanner.authority.commands import request as work

    order = Order(
        case=case, legal_basis=legal_basis, purpose=purpose, start=start, end=end, zone=zone,
        valid_days=valid_days, sealed_days=sealed_days,
    )  # fmt: skip
    work.run_new(
        order, boxes, box=box or [], site=site or [], key=key, mandate=mandate, root=root, out=out,
        passphrase_file=passphrase_file,
    )  # fmt: skip


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
    from edge_scanner.authority.commands import request as work

    work.run_approve(
        file, key=key, mandate=mandate, root=root, out=out, typed=confirm, boxes=boxes, passphrase_file=passphrase_file
    )


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
    from edge_scanner.authority.commands import request as work

    work.run_show(file, root, boxes, as_json=as_json)
