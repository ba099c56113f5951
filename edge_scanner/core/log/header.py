"""Making a segment's header: a fresh secret, its shares wrapped for the recipients, the commitment, the signature.

The secret is handed back in a bytearray for the ratchet, whose owner wipes it; every share is wiped here as soon as it
is wrapped. Reading a header is log_format.py, opening its shares opener.py.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edge_scanner.core.log import format as layout
from edge_scanner.core.log import hpke
from edge_scanner.core.log.ratchet import KEY_BYTES, commitment, split, wipe

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.core.log.ratchet import Entropy
    from edge_scanner.core.log.recipients import Recipient


def make_header(
    fields: layout.Header, groups: tuple[tuple[Recipient, ...], ...], key: Ed25519PrivateKey, entropy: Entropy
) -> tuple[bytes, bytearray]:
    """The signed header with the given fixed fields, and the segment's secret."""
    members = [recipient for group in groups for recipient in group]
    total = layout.PREFIX_BYTES + layout.HEADER_TAIL_BYTES
    total += sum(layout.share_entry_bytes(recipient.suite.sealed_bytes) for recipient in members)
    prefix = layout.pack_prefix(fields, len(members), total)
    secret = bytearray(KEY_BYTES)
    entropy(secret)
    body = prefix + b"".join(_wrap_group(secret, prefix, number, group, entropy) for number, group in enumerate(groups))
    body += commitment(secret, hashlib.sha256(body).digest())
    return body + key.sign(layout.HEADER_LABEL + body), secret


def _wrap_group(
    secret: bytearray, prefix: bytes, number: int, members: tuple[Recipient, ...], entropy: Entropy
) -> bytes:
    """The share entries of one group."""
    entries = b""
    for index, (share, recipient) in enumerate(zip(split(secret, len(members), entropy), members, strict=True)):
        suite, key_id = recipient.suite, recipient.key_id
        info = layout.share_info(prefix, number, index, suite.number, key_id)
        sealed = hpke.seal_share(suite, share, recipient.public_key, info)
        wipe(share)
        entries += layout.pack_share(
            layout.Share(group=number, index=index, suite=suite.number, key_id=key_id, sealed=sealed)
        )
    return entries
