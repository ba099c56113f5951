"""The witness's own statement of a day: which heads it holds, under one root, signed with its key.

The root is that of a Merkle tree (RFC 9162) over the heads in the order of the devices; a leaf is
`device SP size SP root-in-hex SP (proven|unproven) LF`. So a box's owner can be shown the line of his box and its place
in the statement, and nobody can later say that the witness had held another head.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

from edge_scanner.core import signed
from edge_scanner.core.log import merkle
from edge_scanner.core.model import Message, MessageKind

if TYPE_CHECKING:
    from edge_scanner.central.store.model import Head
    from edge_scanner.central.store.store import Store
    from edge_scanner.central.witness.cosignature import Cosigner

LABEL = "edge-scanner witness day v1"
MAX_BYTES = 4096
_DAY_S = 86_400


def leaf(head: Head) -> bytes:
    """The digest of a head's line."""
    word = "proven" if head.proven else "unproven"
    line = f"{head.device} {head.size} {head.root.hex()} {word}\n".encode()
    return hashlib.sha256(b"\x00" + line).digest()


def of_day(store: Store, cosigner: Cosigner, *, now_s: float) -> bytes | None:
    """The signed statement about today's heads; None when the day has one."""
    day = int(now_s) // _DAY_S * _DAY_S
    if store.read.testimony(day) is not None:
        return None
    heads = [head for _, head in sorted(store.read.heads().items())]
    body = {
        "witness": cosigner.name,
        "day": dt.datetime.fromtimestamp(day, dt.UTC).date().isoformat(),
        "made": int(now_s),
        "boxes": len(heads),
        "proven": sum(head.proven for head in heads),
        "alarms": store.read.open_alarms(),
        "root": merkle.tree_of([leaf(head) for head in heads]).root.hex(),
    }
    document = signed.sign(body, label=LABEL, keys=[cosigner.key])
    return document if store.testify(day, document) else None


def message(document: bytes, *, client: str, now_s: float) -> Message:
    """The statement for whoever wants to keep it, on the witness's own topic."""
    topic = f"edge-scanner/v1/w/{client}/day"
    return Message(
        kind=MessageKind.STATUS, topic=topic, payload=document, key=topic, qos=1, retain=True, created_s=now_s,
        expires_s=None,
    )  # fmt: skip
