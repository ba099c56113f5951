"""Making a segment's header: a fresh seed for each part of its key, wrapped for the holders, commitments, signature.

The seeds are handed back in bytearrays for the ratchet, whose owner wipes them. Reading a header is format.py, opening
its shares opener.py.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edge_scanner.core.log import format as layout
from edge_scanner.core.log import hpke
from edge_scanner.core.log.ratchet import KEY_BYTES, commitment

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.core.log.ratchet import Entropy
    from edge_scanner.core.log.recipients import Recipient


def make_header(
    fields: layout.Header, parts: tuple[tuple[Recipient, ...], ...], key: Ed25519PrivateKey, entropy: Entropy
) -> tuple[bytes, list[bytearray]]:
    """The signed header with the given fixed fields, and the seed of each part; `parts` lists the holders of each."""
    holders = [recipient for part in parts for recipient in part]
    total = layout.PREFIX_BYTES + layout.header_tail_bytes(len(parts))
    total += sum(layout.share_entry_bytes(recipient.suite.sealed_bytes) for recipient in holders)
    prefix = layout.pack_prefix(fields, len(parts), len(holders), total)
    seeds = [bytearray(KEY_BYTES) for _ in parts]
    for seed in seeds:
        entropy(seed)
    body = prefix + b"".join(
        _wrap(seed, prefix, part, members) for part, (seed, members) in enumerate(zip(seeds, parts, strict=True))
    )
    digest = hashlib.sha256(body).digest()
    body += b"".join(commitment(seed, part, digest) for part, seed in enumerate(seeds))
    return body + key.sign(layout.HEADER_LABEL + body), seeds


def _wrap(seed: bytearray, prefix: bytes, part: int, members: tuple[Recipient, ...]) -> bytes:
    """The share entries of one part."""
    entries = b""
    for index, recipient in enumerate(members):
        suite, key_id = recipient.suite, recipient.key_id
        info = layout.share_info(prefix, part, index, suite.number, key_id)
        sealed = hpke.seal_share(suite, seed, recipient.public_key, info)
        entries += layout.pack_share(
            layout.Share(part=part, index=index, suite=suite.number, key_id=key_id, sealed=sealed)
        )
    return entries
