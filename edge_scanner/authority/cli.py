"""PROGRAM edge-authority: names, options and help; each command's work stands in the file it imports when called.

Results go to stdout, progress and warnings to stderr, errors as one line with an exit code (core/errors.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import command_line, program
from edge_scanner.authority.boxes_cli import boxes_show
from edge_scanner.authority.commands.options import (  # noqa: TC001 (typer reads the hints at run time)
    BoxesFile,
    Checkpoints,
    KeysFolder,
    NotPulled,
    PassphraseFile,
    RequestFile,
    RootPem,
)
from edge_scanner.authority.custodian_cli import custodian
from edge_scanner.authority.keys_cli import keys
from edge_scanner.authority.recipients_cli import recipients as recipients_app
from edge_scanner.authority.request_cli import request

app = command_line.application(
    "The health authority's program: request sealed hours from boxes, check them, open them together with the "
    "custodian, match them with confirmed cases, and report.\n\nThe guide is docs/authority.md.\n\n"
    "Example: `edge-authority request show request.json --root authority-root.pem`",
)

app.command("boxes")(boxes_show)
app.add_typer(keys, name="keys")
app.add_typer(recipients_app, name="recipients")
app.add_typer(request, name="request")
app.add_typer(custodian, name="custodian")

Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
PublicKey = Annotated[
    Path | None, typer.Option("--public-key", help="The export publisher's P-256 key, PEM.", metavar="PEM")
]
UnsignedOk = Annotated[bool, typer.Option("--unsigned-ok", help="Accept exports that are not signed.")]
Rotations = Annotated[
    int | None, typer.Option("--max", help="Bluezone identifiers per day, 96 or 144; by default what each record says.")
]
ChainLag = Annotated[
    bool,
    typer.Option("--chain-lag", help="For Bluezone 2.0.0 to 2.0.2 on Android, whose day chain lags one link behind."),
]
Cases = Annotated[list[Path], typer.Argument(metavar="CASES...", help="Bluezone JSON, export.zip or export.bin.")]


def main() -> None:
    """Run the command; an error of ours becomes one line and its exit code."""
    program.run("edge-authority", app)


@app.callback()
def _options(
    version: command_line.Version = False,
    lang: command_line.Lang = None,
    zone: Annotated[
        str,
        typer.Option(
            "--time-zone", envvar="EDGE_AUTHORITY_ZONE", help="The venues' time zone, in which times are printed."
        ),
    ] = "Asia/Ho_Chi_Minh",
) -> None:
    """`--lang` is read from the command line itself, because an error may come before it is parsed."""
    del version, lang
    from edge_scanner.authority import translations

    translations.use_zone(zone)


@app.command()
def derive(
    files: Cases,
    csv: Annotated[Path, typer.Option("--csv", help="Where the CSV goes; - is stdout.", metavar="FILE")],
    public_key: PublicKey = None,
    unsigned_ok: UnsignedOk = False,
    rotations: Rotations = None,
    chain_lag: ChainLag = False,
) -> None:
    """Print every identifier that the cases' phones broadcast, for inspection: `protocol,identifier,start,end`.

    Identifiers in hex, times in unix seconds.

    Example: `edge-authority derive case.json export.zip --public-key publisher.pem --csv -`
    """
    from edge_scanner.authority.commands import cases
    from edge_scanner.authority.match.derive import run_derive

    trust = cases.trust_of(public_key, rotations, unsigned_ok=unsigned_ok, chain_lag=chain_lag)
    run_derive(files, csv, trust)


@app.command()
def pull(
    file: Annotated[
        Path | None, typer.Argument(metavar="[REQUEST]", help="The approved request; omit it with --from-usb.")
    ] = None,
    boxes: BoxesFile = Path("boxes.csv"),
    out: Annotated[Path, typer.Option("--out", help="A folder, with a subfolder for each box.", metavar="DIR")] = Path(
        "bundles"
    ),
    broker: Annotated[str, typer.Option(help="HOST or HOST:PORT.", metavar="HOST[:PORT]")] = "",
    ca: Annotated[Path | None, typer.Option(help="The broker's CA.", metavar="PEM")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Your certificate.", metavar="PEM")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key.", metavar="PEM")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Without TLS; only for a broker on this machine.")] = False,
    wait: Annotated[float | None, typer.Option(help="Stop after this many seconds; run it again to continue.")] = None,
    from_usb: Annotated[
        Path | None, typer.Option("--from-usb", help="Import bundles that `edge-scanner log export` wrote.")
    ] = None,
    lang: command_line.Lang = None,
    as_json: Json = False,
) -> None:
    """Send a request to its boxes and collect the sealed hours; stop it at any time and run it again to continue.

    Exit code 0 when all boxes answered, 77 when one refused, 69 when one has not answered yet.

    Example: `edge-authority pull approved.json --boxes boxes.csv --broker mqtt.example.vn --ca ca.pem
    --certificate hcm.crt --certificate-key hcm.key --out hcm-0417`
    """
    from edge_scanner.authority.commands import pull as work

    place = work.Place(broker=broker, ca=ca, certificate=certificate, key=certificate_key, plain=plain)
    raise typer.Exit(
        work.run(
            file, out, boxes, place, from_usb=from_usb, wait_s=wait, lang=command_line.language(lang), as_json=as_json
        )
    )


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle, or a folder of bundles.")],
    boxes: BoxesFile,
    checkpoints: Checkpoints = None,
    recipients: Annotated[
        list[Path] | None, typer.Option(help="A recipient set in force at that time; may be repeated.", metavar="FILE")
    ] = None,
    custodian_roots: Annotated[
        list[Path] | None,
        typer.Option("--custodian-root", help="A custodian's root, with --recipients; may be repeated.", metavar="PEM"),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="The authority's root, with --recipients.", metavar="PEM")] = None,
    lang: command_line.Lang = None,
    as_json: Json = False,
) -> None:
    """Show on one page what a bundle proves, what it does not, and since when; exit code 65 if it is not intact.

    Example: `edge-authority verify hcm-0417/K7MP2R9CX4 --boxes boxes.csv --checkpoints published.txt`
    """
    from edge_scanner.authority.commands import unseal

    if len({bool(recipients), root is not None, bool(custodian_roots)}) > 1:
        raise typer.BadParameter("--recipients, --root and --custodian-root go together")
    roots = (root, custodian_roots) if root and custodian_roots else None
    raise typer.Exit(
        unseal.run_verify(
            folder, boxes, checkpoints, recipients or (), roots, lang=command_line.language(lang), as_json=as_json
        )
    )


@app.command("open")
def open_(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLES...", help="Bundles, or folders of them.")],
    request_file: RequestFile,
    root: RootPem,
    boxes: BoxesFile,
    keys_folder: KeysFolder,
    release: Annotated[list[Path], typer.Option(help="The custodian's release; may be repeated.", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", help="The file of opened records, SQLite.", metavar="FILE")],
    checkpoints: Checkpoints = None,
    not_pulled: NotPulled = "",
    days: Annotated[int, typer.Option(help="The opened file expires after this many days.", min=1, max=30)] = 14,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Open the requested hours with the custodian's release, and write them to one file that expires.

    Example: `edge-authority open hcm-0417/ --request approved.json --root authority-root.pem --boxes boxes.csv
    --keys desk/ --release hcm-0417.release --out hcm-0417.opened`
    """
    from edge_scanner.authority.commands import unseal

    desk = unseal.Desk(
        request=request_file, root=root, boxes=boxes, keys=keys_folder, passphrase_file=passphrase_file,
        checkpoints=checkpoints, not_pulled=not_pulled,
    )  # fmt: skip
    unseal.run_open(bundles, desk, release, out, days=days)


@app.command()
def match(
    opened: Annotated[list[Path], typer.Argument(metavar="OPENED...", help="Files that `open` made.")],
    case_files: Annotated[
        list[Path], typer.Option("--cases", help="Bluezone JSON, export.zip or export.bin; may be repeated.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write, for `report`.", metavar="FILE")],
    public_key: PublicKey = None,
    unsigned_ok: UnsignedOk = False,
    rotations: Rotations = None,
    chain_lag: ChainLag = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Apply only the protocols' own rules, without tolerance.")
    ] = False,
    near: Annotated[
        int, typer.Option(help="A minute counts as near at or above this RSSI, in dBm.", min=-100, max=0)
    ] = -74,
    as_json: Json = False,
) -> None:
    """Find out which cases' phones were heard where, minute by minute. Keys and identifiers are not kept.

    Example: `edge-authority match hcm-0417.opened --cases f0.json --out hcm-0417.sightings`
    """
    from edge_scanner.authority.commands import cases

    cases.need_extra()
    from edge_scanner.authority.commands import match as work

    trust = cases.trust_of(public_key, rotations, unsigned_ok=unsigned_ok, chain_lag=chain_lag)
    work.run_match(opened, case_files, out, trust, tolerant=not strict, near_dbm=near, as_json=as_json)


@app.command()
def report(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="What `match` wrote.")],
    html: Annotated[Path | None, typer.Option(help="The page to read and print.", metavar="FILE")] = None,
    csv: Annotated[Path | None, typer.Option(help="One row per minute.", metavar="FILE")] = None,
    parquet: Annotated[Path | None, typer.Option(help="The same rows as Parquet.", metavar="FILE")] = None,
) -> None:
    """Write the result for people and for other programs.

    Example: `edge-authority report hcm-0417.sightings --html hcm-0417.html --csv hcm-0417.csv`
    """
    from edge_scanner.authority.commands import cases

    cases.need_extra()
    from edge_scanner.authority.commands.report import run_report

    run_report(result, html=html, csv=csv, parquet=parquet)


@app.command()
def purge(
    opened: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Files of opened records, or folders.")],
    now: Annotated[bool, typer.Option("--now", help="Also shred what has not expired.")] = False,
) -> None:
    """Shred opened records that have expired, and show when the others will.

    Example: `edge-authority purge .`
    """
    from edge_scanner.authority.commands import unseal

    unseal.run_purge(opened, everything=now)


if __name__ == "__main__":
    main()
