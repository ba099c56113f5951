"""COMMANDS edge-authority recipients …: the weekly public keys as the set that boxes seal to, signed by both parties.

The authority collects the keys and signs, the custodian looks at what would be in force and countersigns; a box takes
the set with the signatures of both and not before. Published weeks ahead, so that a venue without a connection keeps
changing keys. The format is core/log/recipients.py's.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.authority import files
from edge_scanner.authority.keys import keys, vault
from edge_scanner.authority.keys.weeks import WEEK_S, week_of, week_start
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.log import hpke, roots
from edge_scanner.core.log import recipients as documents
from edge_scanner.core.log.recipients import Party, Recipient, RecipientSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.authority.keys.vault import Label
    from edge_scanner.core.log.roots import Roots

_MAX_PUBLISHED_BYTES = 1 << 30


def collect(folders: Sequence[Path], *, version: int, root: Path, custodian_root: Path) -> RecipientSet:
    """The set of all opening keys' public parts in these folders: recipient and custodian open together.

    `root` is the authority's key file, `custodian_root` the custodian's public part. Raises BadDataError when a role
    has no key, or not for every week from the first to the last; StorageError.
    """
    labels = _labels(folders)
    weeks = {role: sorted({label.week for label in labels if label.role == role}) for role in keys.OPENING_ROLES}
    if not all(weeks.values()) or weeks[keys.RECIPIENT] != weeks[keys.CUSTODIAN]:
        raise BadDataError(
            "recipient and custodian need keys for the same weeks",
            where=", ".join(map(str, folders)),
            hint="; ".join(f"{role}: {' '.join(found) or 'none'}" for role, found in weeks.items()),
        )
    entries = tuple(map(_recipient, labels))
    authority = vault.read(root).label
    custodian = next(label.name for label in labels if label.role == keys.CUSTODIAN)
    return RecipientSet(
        version=version,
        not_before_s=min(entry.not_before_s for entry in entries),
        not_after_s=max(entry.not_before_s for entry in entries) + WEEK_S,
        parties=(
            Party(name=authority.name, root=signed.raw_key_name(authority.public), roles=(keys.RECIPIENT,)),
            Party(name=custodian, root=_root_name(custodian_root), roles=(keys.CUSTODIAN,)),
        ),
        parts=((keys.RECIPIENT,), (keys.CUSTODIAN,)),
        recipients=entries,
    )


def read(path: Path, pinned: Roots) -> RecipientSet:
    """A set that both parties signed; raises MalformedError, DocumentForgedError, StorageError."""
    return documents.verify(files.read(path), pinned)


def read_roots(authority: Path, custodian: Path) -> Roots:
    """The roots of both parties, from their PEM files; raises MalformedError, StorageError."""
    return roots.read(files.read(authority), files.read(custodian))


def proposal(path: Path, authority_root: Path) -> RecipientSet:
    """A set that the authority signed, for the custodian to look at; raises as `read`."""
    return documents.proposed(files.read(path), signed.verify_keys(files.read(authority_root)))


def check_own(found: RecipientSet, folders: Sequence[Path], root: Path) -> None:
    """Raise BadDataError unless exactly the keys in these folders stand for the party whose root's key file this is."""
    label = vault.read(root).label
    if label.role != keys.CUSTODIAN_ROOT:
        raise BadDataError(f"a {label.role}'s key, not the {keys.CUSTODIAN_ROOT}", where=str(root))
    name = signed.raw_key_name(label.public)
    party = next((party for party in found.parties if party.root == name), None)
    if party is None:
        raise BadDataError("the set does not name this root as a party", where=str(root))
    named = Counter((one.public_key, one.not_before_s) for one in found.recipients if one.role in party.roles)
    held = Counter((label.public, week_start(label.week)) for label in _labels(folders) if label.role in party.roles)
    if strange := named - held:
        weeks = " ".join(sorted(week_of(at_s) for _, at_s in strange))
        raise BadDataError(
            f"the set names keys as {party.name}'s that are not here: {weeks}",
            where=", ".join(map(str, folders)),
            hint="do not sign it; ask the authority where these keys come from",
        )


def check_renewal(found: RecipientSet, before: RecipientSet, now_s: float) -> None:
    """Raise BadDataError unless the new set goes on from the old one: later end, and a key for this week."""
    if found.not_after_s <= before.not_after_s:
        raise BadDataError(
            f"the new set ends on {_day(found.not_after_s)}, no later than the old one",
            hint="make keys for the weeks that follow: edge-authority keys new",
        )
    if found.not_before_s > now_s:
        raise BadDataError(
            f"the new set begins on {_day(found.not_before_s)}",
            hint="a box uses it at once: put the keys of this week into it, too",
        )


def show(found: RecipientSet) -> None:
    """Who could open what, as a person can check it before signing."""
    lines = [
        f"Danh sách khoá, phiên bản {found.version} / Recipient set, version {found.version}",
        f"  {_day(found.not_before_s)} → {_day(found.not_after_s)} (UTC), mã / digest {found.digest.hex()[:16]}",
    ]
    for party in found.parties:
        own = [one for one in found.recipients if one.role in party.roles]
        weeks = sorted({week_of(one.not_before_s) for one in own})
        lines.append(f"  {party.name}: {', '.join(party.roles)}; gốc / root {party.root}")
        lines.append(f"    {len(own)} khoá / keys, {weeks[0]} … {weeks[-1]}")
    needs = [" hoặc / or ".join(part) for part in found.parts]
    lines.append("  Mở được khi có đủ / opens only with all of: " + "; ".join(needs))
    for line in lines:
        terminal.say(line)


def show_published(path: Path) -> None:
    """Which set each box said last that it has in force, and every change it published; raises StorageError.

    A collector's file may hold anything, so a line that is no message is passed over.
    """
    said: dict[str, str] = {}
    for line in files.read(path, limit=_MAX_PUBLISHED_BYTES).splitlines():
        try:
            body = json.loads(line[line.index(b"{") :])
            device, kind = str(body["device"]), body["kind"]
            if kind == "status" and body.get("recipients_version") is not None:
                said[device] = f"phiên bản / version {int(body['recipients_version'])}"
            elif kind == "audit" and body["action"] == "recipients":
                said[device] = f"{body['case']}, mã / digest {str(body['request'])[:16]}, {_day(int(body['at']))}"
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    for device, what in sorted(said.items()):
        terminal.say(f"{device}: {what}")


def confirm(found: RecipientSet, typed: str) -> None:
    """Raise RefusedError unless the version was typed."""
    if typed.strip() != str(found.version):
        raise RefusedError("the version was not typed: nothing was signed", code="not_confirmed")


def _labels(folders: Sequence[Path]) -> list[Label]:
    return [
        label
        for folder in folders
        for path in sorted(folder.glob("*-W*.pub"))
        if (label := keys.read_public(path)).role in keys.OPENING_ROLES
    ]


def _recipient(label: Label) -> Recipient:
    return Recipient(
        role=label.role,
        name=label.name,
        suite=hpke.wrap_suite(label.suite),
        public_key=label.public,
        not_before_s=week_start(label.week),
    )


def _root_name(path: Path) -> str:
    return signed.key_name(signed.verify_keys(files.read(path))[0])


def _day(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"
