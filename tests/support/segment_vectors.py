"""Makes tests/vectors/segment.json: `python -m tests.support.segment_vectors > tests/vectors/segment.json`.

The product seals; every derived value in the file (seeds, keys, links, leaf, contents) is computed by the second
reader. HPKE draws fresh randomness, so a new file holds other bytes that must give the same contents.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from edge_scanner.core.log import bundle, recipients
from edge_scanner.core.model import ClockQuality
from tests.support import second_reader
from tests.support.sealed_logs import HOUR_S, Box, clock, encounter, keys_of, root


def text(data: bytes) -> str:
    """Bytes in the file."""
    return base64.b64encode(data).decode()


def vectors() -> dict[str, Any]:
    """A segment with a full minute, an empty one, a clock event and END."""
    box = Box()
    box.log.seal(HOUR_S, [encounter(n) for n in range(153)], listened_s=58.4, clock=clock(HOUR_S + 60))
    box.log.seal(HOUR_S + 60, [], dropped=3, clock=clock(HOUR_S + 95, monotonic_s=86520, quality=ClockQuality.RTC))
    box.now_s = HOUR_S + 95
    box.stop()
    privates = keys_of("authority", "custodian")
    [boot], [header], rows = box.stored.boots, box.stored.headers, box.stored.frames[0]
    writer = bundle.BundleWriter(
        bundle.Context(
            device=box.device, from_s=HOUR_S, to_s=HOUR_S + 3600, made_s=box.now_s, quality=ClockQuality.NTP
        ),
        box.stored.digests(),
    )
    body = writer.boot(boot) + writer.segment(header) + b"".join(map(writer.frame, rows))
    ciphertexts = [frame.ciphertext for frame in rows]
    seeds = second_reader.open_seeds(header.header, privates)
    keys = second_reader.combine(header.header, seeds)
    public = box.identity.public_key().public_bytes_raw()
    return {
        "device": box.device,
        "identity_key": text(public),
        "root_keys": [text(root(role).public_key().public_bytes_raw()) for role in ("authority", "custodian")],
        "private_keys": {key_id.hex(): text(key) for key_id, key in privates.items()},
        "recipient_set": recipients.sign(box.recipients, [root("authority"), root("custodian")]).decode(),
        "manifest": writer.manifest(box.identity).decode(),
        "body": text(body),
        "checkpoint": box.checkpoints[0].decode(),
        "derived": {
            "boot": second_reader.read_boot(boot.record, public),
            "seeds": [seeds[part].hex() for part in sorted(seeds)],
            "part_keys": [
                {"events" if place is None else str(place): key.hex() for place, key in part.items()}
                for part in (second_reader.part_keys(header.header, each, seeds[each]) for each in sorted(seeds))
            ],
            "keys": {"events" if place is None else str(place): key.hex() for place, key in keys.items()},
            "links": [link.hex() for link in second_reader.links(header.header, ciphertexts)],
            "leaf": second_reader.leaf(header.header, ciphertexts, unclean=False).hex(),
            "contents": second_reader.open_frames(header.header, keys, ciphertexts),
        },
    }


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
