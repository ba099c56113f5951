"""The fleet's signed list of boxes as an authority has it: boxes.csv, boxes.csv.sig and the pinned fleet.pub."""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import b64encode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.box_list import COLUMNS, FLEET_KEY_NAME, PLACE_COLUMNS
from edge_scanner.core.enrolment.documents import BoxList

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_scanner.core.enrolment.box_list import Box

FLEET_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def write_boxes(path: Path, boxes: Iterable[Box]) -> Path:
    """A list of these boxes at `path`, signed by FLEET_KEY, which is pinned beside it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, *PLACE_COLUMNS])
    for box in boxes:
        writer.writerow(
            [
                box.device,
                box.site,
                box.room,
                box.name,
                b64encode(box.identity).decode(),
                box.state,
                *(getattr(box, name) for name in PLACE_COLUMNS),
            ]
        )
    return sign_boxes(path, out.getvalue().encode())


def sign_boxes(path: Path, content: bytes, *, key: Ed25519PrivateKey = FLEET_KEY, made_s: int = 0) -> Path:
    """These bytes as a signed list."""
    path.write_bytes(content)
    word = BoxList(fleet="thu", made_s=made_s, sha256=hashlib.sha256(content).hexdigest())
    path.with_name(f"{path.name}.sig").write_bytes(documents.sign(word, key) + b"\n")
    pinned = path.with_name(FLEET_KEY_NAME)
    if not pinned.exists():
        pinned.write_text(documents.public_text(FLEET_KEY.public_key()) + "\n")
    return path
