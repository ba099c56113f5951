"""What published statements say about a bundle: which may condemn a box, and which are only worth a sentence.

Rules: a box is condemned by what it signed itself, a checkpoint by its run's key or a boot record by its identity key,
and by nothing else. A statement about a size that the bundle holds is compared whenever it was made; one about a later
size only when it was published before the bundle was made (by the collector's time, on the box's own topic). A count
message carries an unsigned link: one that agrees is a proof that those frames existed then, one that disagrees is a
finding with its source, for the broker's operator to explain.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_scanner.core import public_keys
from edge_scanner.core.errors import LogError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import merkle
from edge_scanner.core.log.verifier import verify_boot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from edge_scanner.authority.collect.evidence import Published, Statement
    from edge_scanner.core.log.verifier import VerifiedSegment
    from edge_scanner.core.model import Link

FORGED, FOREIGN, DISAGREES, UNREADABLE = "forged", "foreign", "disagrees", "unreadable"
UNANNOUNCED = "unannounced"


@dataclass(slots=True, kw_only=True)
class Witnesses:
    """The statements about one bundle, sorted; `note`s and `boots` are for the verifier, `links` for `look`.

    `compared_s` are the times of what was compared, `findings` are pairs of a kind and its source.
    """

    boots: list[bytes] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)
    links: list[tuple[Link, Statement]] = field(default_factory=list)
    compared_s: list[int] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)
    agreed: int = 0
    later: int = 0
    unvouched: int = 0

    def look(self, segment: VerifiedSegment) -> None:
        """Hold the links of one segment against it."""
        digest = hashlib.sha256(segment.row.header).digest()
        for link, statement in self.links:
            if link.seq != segment.row.seq:
                continue
            if link.digest in layout.links_of(digest, segment.frames):
                self.agreed += 1
                self.compared_s += [] if statement.at_s is None else [statement.at_s]
            else:
                self.findings.append((DISAGREES, statement.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A bundle's box and tree: segments `first` to `size`, made at `made_s` by the box's word."""

    device: str
    identity: Ed25519PublicKey
    made_s: int
    first: int
    size: int


def sort(published: Published, extent: Extent, known: Iterable[bytes]) -> Witnesses:
    """The statements as witnesses of a bundle; `known` are the boot records that it carries itself."""
    found = Witnesses()
    found.findings += [(FOREIGN, topic) for topic in published.foreign]
    found.findings += [(UNREADABLE, "")] * bool(published.unreadable)
    keys: dict[bytes, layout.BootStatement] = {}
    for record in known:
        boot = layout.parse_boot(record)
        keys[boot.boot_id] = boot
    for statement in published.statements:
        if statement.boot:
            try:
                boot = verify_boot(statement.boot, device=extent.device, identity=extent.identity)
            except LogError:
                found.findings.append((FORGED, statement.source))
                continue
            keys[boot.boot_id] = boot
            _place(found, statement, boot.tree_size, extent)
        elif statement.link is not None:
            _link(found, statement, statement.link, extent)
    for statement in published.statements:
        if statement.note:
            _note(found, statement, keys, extent)
    return found


def _key(boot: layout.BootStatement) -> Ed25519PublicKey:
    return public_keys.ed25519(boot.public_key, "boot record")


def _note(found: Witnesses, statement: Statement, keys: dict[bytes, layout.BootStatement], extent: Extent) -> None:
    """A checkpoint: forged ones are found out here, so that the verifier sees only what the box signed."""
    try:
        head = merkle.parse_checkpoint(statement.note)
        if head.boot_id not in keys:
            found.unvouched += 1
            return
        merkle.check_checkpoint(head, _key(keys[head.boot_id]))
    except LogError:
        found.findings.append((FORGED, statement.source))
        return
    _place(found, statement, head.size, extent)


def _place(found: Witnesses, statement: Statement, stated: int, extent: Extent) -> None:
    """Compare a signed statement about the first `stated` segments, or count it as later."""
    if stated > extent.size and statement.at_s is not None and statement.at_s > extent.made_s:
        found.later += 1
        return
    if statement.boot:
        found.boots.append(statement.boot)
    elif stated >= extent.first:
        found.notes.append(statement.note)
    else:
        return
    found.compared_s += [] if statement.at_s is None else [statement.at_s]


def _link(found: Witnesses, statement: Statement, link: Link, extent: Extent) -> None:
    if statement.at_s is not None and statement.at_s > extent.made_s:
        found.later += 1
    elif link.seq > extent.size:
        found.findings.append((DISAGREES, statement.source))
    else:
        found.links.append((link, statement))
