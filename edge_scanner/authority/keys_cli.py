"""COMMANDS edge-authority keys: options and help; the work is in commands/keys.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_scanner.authority.commands.options import PassphraseFile  # noqa: TC001 (typer reads it)

keys = typer.Typer(
    no_args_is_help=True,
    help="Keys that sign or open: make, certify, revoke, destroy.\n\nExample: `edge-authority keys list desk/`",
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the keys.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result is written.", metavar="FILE")]
RootKey = Annotated[Path, typer.Option("--root", help="The root's key file.", metavar="FILE")]


@keys.command("root")
def keys_root(
    folder: Folder,
    name: Annotated[str, typer.Option(help="The party's name, as people will read it.")],
    custodian: Annotated[
        bool, typer.Option("--custodian", help="Make a custodian's root, not the authority's.")
    ] = False,
    post_quantum: Annotated[
        bool, typer.Option("--post-quantum", help="Sign with ML-DSA-65 as well as Ed25519.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a party's root key: the authority's signs mandates and recipient sets, a custodian's countersigns the sets.

    Boxes pin the public parts of both. Keep a root offline; it is needed only a few times a year.

    Example: `edge-authority keys root vault/ --name "Sở Y tế TP.HCM"`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_root(folder, name, custodian=custodian, post_quantum=post_quantum, passphrase_file=passphrase_file)


@keys.command("new")
def keys_new(
    folder: Folder,
    role: Annotated[str, typer.Option(help="health-officer, approver, recipient or custodian.")],
    name: Annotated[str, typer.Option(help="The person's or office's name.")],
    weeks: Annotated[
        int, typer.Option(help="How many weekly keys to make for a recipient or custodian.", min=1, max=52)
    ] = 12,
    from_week: Annotated[str, typer.Option(help="The first week, e.g. 2026-W48; by default this one.")] = "",
    suite: Annotated[int, typer.Option(help="1: MLKEM768-X25519, 2: MLKEM1024-P384.")] = 1,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a signing key, or the opening keys for several weeks.

    Example: `edge-authority keys new desk/ --role health-officer --name "BS. Nguyễn Thị An"`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_new(
        folder, role=role, name=name, weeks=weeks, from_week=from_week, suite=suite, passphrase_file=passphrase_file
    )


@keys.command("certify")
def keys_certify(
    public: Annotated[Path, typer.Argument(metavar="PUB", help="The person's public key.")],
    root: RootKey,
    authority: Annotated[str, typer.Option(help="The authority's name at the broker, e.g. authority-hcm.")],
    out: Out,
    days: Annotated[int, typer.Option(help="How long the mandate is valid.", min=1, max=800)] = 365,
    words: Annotated[
        str, typer.Option(help="For scripts: the key's six words, as the person read them to you.", metavar="WORDS")
    ] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Give a person a mandate to sign requests, signed by the root.

    Role and name are shown. Type the key's six words as the person reads them to you by telephone, from `keys new`.
    If one person held the keys of two roles, a single official would be enough.

    Example: `edge-authority keys certify approver.pub --root root.key --authority authority-hcm --out approver.mandate`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_certify(public, root, out, authority=authority, days=days, words=words, passphrase_file=passphrase_file)


@keys.command("revoke")
def keys_revoke(
    people: Annotated[
        list[Path], typer.Argument(metavar="PUB...", help="Public keys of those who may no longer sign.")
    ],
    root: RootKey,
    out: Out,
    before: Annotated[Path | None, typer.Option(help="The list in force, if there is one.", metavar="FILE")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Revoke people's mandates at once: write the list that boxes, authority and custodian obey.

    Keep it beside authority-root.pem as revocations.json; `edge-provision fleet send` brings it to the boxes.

    Example: `edge-authority keys revoke approver.pub --root root.key --before revocations.json
    --out revocations-2.json`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_revoke(people, root, out, before=before, passphrase_file=passphrase_file)


@keys.command("list")
def keys_list(folder: Folder) -> None:
    """List the keys in a folder, and the weeks whose keys are due for destruction.

    Example: `edge-authority keys list desk/`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_list(folder)


@keys.command("destroy")
def keys_destroy(
    folder: Folder,
    role: Annotated[str, typer.Option(help="recipient or custodian.")],
    week: Annotated[str, typer.Option(help="The week whose key is destroyed, e.g. 2026-W44.")],
    by: Annotated[str, typer.Option(help="Who destroys it.")],
    why: Annotated[str, typer.Option(help="Why, for the record.")] = "Hết hạn lưu giữ / Retention is over",
    early: Annotated[bool, typer.Option("--early", help="Even if its segments may still be requested.")] = False,
) -> None:
    """Destroy a week's opening key and write the record, to be signed by hand.

    Example: `edge-authority keys destroy desk/ --role recipient --week 2026-W44 --by "Trần Văn Bình"`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_destroy(folder, role=role, week=week, by=by, why=why, early=early)


@keys.command("split")
def keys_split(
    file: Annotated[Path, typer.Argument(metavar="KEY", help="A key file.")],
    need: Annotated[int, typer.Option(help="How many shares restore the key.", min=2, max=16)],
    of: Annotated[int, typer.Option(help="How many shares there are.", min=2, max=16)],
    out: Annotated[Path, typer.Option("--out", help="A folder for the shares.", metavar="DIR")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Back up a key as SLIP-39 words: any NEED of OF people, with the key file, can open it without the passphrase.

    Example: `edge-authority keys split root.key --need 2 --of 3 --out shares/`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_split(file, out, need=need, of=of, passphrase_file=passphrase_file)


@keys.command("recover")
def keys_recover(
    file: Annotated[Path, typer.Argument(metavar="KEY", help="The key file.")],
    shares: Annotated[list[Path], typer.Argument(metavar="SHARES...", help="Files with the shares' words.")],
    out: Out,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Set a new passphrase for a key, using enough shares.

    Example: `edge-authority keys recover root.key share-1.txt share-3.txt --out root-new.key`
    """
    from edge_scanner.authority.commands import keys as work

    work.run_recover(file, shares, out, passphrase_file=passphrase_file)
