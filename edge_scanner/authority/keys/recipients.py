"""COMMANDS edge-authority recipients …: the weekly public keys as the set that boxes seal to, signed by both parties.

The authority collects the keys and signs, each custodian looks at what would be in force and countersigns; a box takes
the set with the signatures of all and not before. Published weeks ahead, so that a venue without a connection keeps
changing keys. The format is core/log/recipients.py's.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.authority import files, published
from edge_scanner.authority.keys import keys, vault
from edge_scanner.authority.keys.weeks import WEEK_S, week_of, week_start
from edge_scanner.core import json_documents, signed
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.log import hpke, roots
from edge_scanner.core.log import recipients as documents
from edge_scanner.core.log.recipients import Party, Recipient, RecipientSet
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import MessageKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.authority.keys.vault import Label
    from edge_scanner.core.log.roots import Roots
    from edge_scanner.core.signed import SigningKey

_MAX_PUBLISHED_BYTES = 1 << 30


def collect(
    folders: Sequence[Path],
    *,
    version: int,
    root: Path,
    custodian_roots: Sequence[Path],
    now_s: float,
    any_custodian: bool = False,
) -> RecipientSet:
    """The set of all opening keys' public parts: the recipient and every custodian open together, or any custodian.

    `root` is the authority's key file, `custodian_roots` are public parts. The recipient's keys lie in `folders`, one
    custodian's there or beside its root, those of several each beside its root. Keys of weeks that are over are left
    out: no box needs them, and a set travels in one message. Raises BadDataError when keys are missing, are not for the
    same weeks, or belong to nobody; StorageError.
    """
    labels = _labels(folders)
    theirs = _by_custodian(labels, custodian_roots)
    own = [label for label in labels if label.role == keys.RECIPIENT]
    held = {keys.RECIPIENT: own, **{role: found for role, _, found in theirs}}
    by_role = {
        role: [label for label in found if week_start(label.week) + WEEK_S > now_s] for role, found in held.items()
    }
    weeks = {role: sorted({label.week for label in found}) for role, found in by_role.items()}
    if not all(weeks.values()) or any(found != weeks[keys.RECIPIENT] for found in weeks.values()):
        raise BadDataError(
            "recipient and custodian need keys for the same weeks",
            where=", ".join(map(str, folders)),
            hint="; ".join(f"{role}: {' '.join(found) or 'none'}" for role, found in weeks.items()),
        )
    entries = tuple(_recipient(label, role) for role, found in by_role.items() for label in found)
    authority = vault.read(root).label
    names = tuple((role,) for role, _, _ in theirs)
    custodians = (tuple(role for name in names for role in name),) if any_custodian else names
    return RecipientSet(
        version=version,
        not_before_s=min(entry.not_before_s for entry in entries),
        not_after_s=max(entry.not_before_s for entry in entries) + WEEK_S,
        parties=(
            Party(name=authority.name, root=signed.raw_key_name(authority.public), roles=(keys.RECIPIENT,)),
            *(Party(name=found[0].name, root=name, roles=(role,)) for role, name, found in theirs),
        ),
        parts=((keys.RECIPIENT,), *custodians),
        recipients=entries,
    )


def _by_custodian(labels: Sequence[Label], custodian_roots: Sequence[Path]) -> list[tuple[str, str, list[Label]]]:
    """Each custodian's role, root's name and weekly keys, in the order in which a set names them."""
    named = sorted((_root_name(path), path) for path in custodian_roots)
    loose = [label for label in labels if label.role == keys.CUSTODIAN]
    found = []
    for number, (name, path) in enumerate(named, 1):
        beside = [label for label in _labels([path.parent]) if label.role == keys.CUSTODIAN]
        found.append((f"{keys.CUSTODIAN}-{number}" if len(named) > 1 else keys.CUSTODIAN, name, beside))
    if len(found) == 1:
        role, name, beside = found[0]
        return [(role, name, list({label.public: label for label in (*loose, *beside)}.values()))]
    owned = {label.public for _, _, beside in found for label in beside}
    if strange := [label.name for label in loose if label.public not in owned]:
        raise BadDataError(
            f"it is not clear which custodian's keys these are: {', '.join(sorted(set(strange)))}",
            where=", ".join(map(str, custodian_roots)),
            hint="put each custodian's weekly keys beside its root",
        )
    return found


def add_countersignature(proposed: bytes, found: RecipientSet, own: Sequence[SigningKey]) -> tuple[bytes, int]:
    """The set with one custodian's signatures, and how many parties have not signed it yet; raises MalformedError."""
    document = documents.countersign(proposed, own)
    signers = {signature["key"] for signature in json.loads(document)["signatures"]}
    return document, sum(party.root not in signers for party in found.parties)


def read(path: Path, pinned: Roots) -> RecipientSet:
    """A set that both parties signed; raises MalformedError, DocumentForgedError, StorageError."""
    return documents.verify(files.read(path), pinned)


def read_roots(authority: Path, custodians: Sequence[Path]) -> Roots:
    """The roots of all parties, from their PEM files; raises MalformedError, StorageError."""
    return roots.read(files.read(authority), b"".join(map(files.read, custodians)))


def proposal(offered: bytes, authority_root: Path) -> RecipientSet:
    """A set that the authority signed, for the custodian to look at; raises as `read`.

    It takes bytes, read once: what the custodian looked at is what he signs, whoever has a hand on the file meanwhile.
    """
    return documents.proposed(offered, signed.verify_keys(files.read(authority_root)))


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
    mine = [label for label in _labels(folders) if label.role == keys.CUSTODIAN]
    held = Counter((label.public, week_start(label.week)) for label in mine)
    if strange := named - held:
        weeks = " ".join(sorted(week_of(at_s) for _, at_s in strange))
        raise BadDataError(
            f"the set names keys as {party.name}'s that are not here: {weeks}",
            where=", ".join(map(str, folders)),
            hint="do not sign it; ask the authority where these keys come from",
        )


def check_renewal(found: RecipientSet, before: RecipientSet, now_s: float) -> None:
    """Raise BadDataError unless the new set goes on from the old one: same holders, later end, a key for this week."""
    if found.parts != before.parts:
        raise BadDataError(
            "the new set is opened by others than the old one",
            hint="changing who can open is not a renewal: edge-authority recipients sign",
        )
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
        f"Danh sách bên nhận, phiên bản {found.version} / Recipient set, version {found.version}",
        f"  {_day(found.not_before_s)} → {_day(found.not_after_s)} (UTC), mã / digest {found.digest.hex()[:16]}",
    ]
    for party in found.parties:
        own = [one for one in found.recipients if one.role in party.roles]
        weeks = sorted({week_of(one.not_before_s) for one in own})
        lines.append(f"  {party.name}: {', '.join(party.roles)}; gốc / root {party.root}")
        lines.append(f"    khoá / keys: {len(own)}, {weeks[0]} … {weeks[-1]}")
    needs = [" hoặc / or ".join(part) for part in found.parts]
    lines.append("  Chỉ mở được khi có đủ / opens only with all of: " + "; ".join(needs))
    for line in lines:
        terminal.say(line)


def show_published(path: Path) -> None:
    """Which set each box said last that it has in force, and every change it published; raises StorageError.

    Each box speaks on its own topics alone. A line that is no message of one is passed over.
    """
    said: dict[str, str] = {}
    for line in published.lines(files.read(path, limit=_MAX_PUBLISHED_BYTES)):
        try:
            body = json_documents.value(line.payload or b"")
            device = str(body["device"])
            if line.of(device, MessageKind.STATUS) and body.get("recipients_version") is not None:
                said[device] = f"phiên bản / version {int(body['recipients_version'])}"
            elif line.of(device, MessageKind.AUDIT) and body["action"] == AuditAction.RECIPIENTS:
                said[device] = f"{body['case']}, mã / digest {str(body['request'])[:16]}, {_day(int(body['at']))}"
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
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


def _recipient(label: Label, role: str) -> Recipient:
    return Recipient(
        role=role,
        name=label.name,
        suite=hpke.wrap_suite(label.suite),
        public_key=label.public,
        not_before_s=week_start(label.week),
    )


def _root_name(path: Path) -> str:
    return signed.key_name(signed.verify_keys(files.read(path))[0])


def _day(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"
