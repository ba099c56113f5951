"""COMMAND edge-central evidence: what boxes published, topic and payload in hex a line, for `edge-authority verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edge_scanner.core import messages
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.model import MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_scanner.central.store.reading import Reading


def lines(reading: Reading, device: str, from_s: int, to_s: int) -> Iterator[bytes]:
    """A box's statements of a span in the order of their time, and all boot records: they vouch for later keys."""
    for row in reading.statements(device):
        if row.kind == MessageKind.BOOT or from_s <= row.at < to_s:
            yield _line(device, MessageKind(row.kind), row.payload)
    for at, segment, link in reading.links(device, from_s, to_s):
        body = {
            "kind": "counts",
            "device": device,
            "at": at,
            "link": {"segment": segment, "link": link.hex()},
        }
        yield _line(device, MessageKind.COUNTS, json.dumps(body).encode())


def _line(device: str, kind: MessageKind, payload: bytes) -> bytes:
    return f"{messages.topic(device, kind)} {payload.hex()}\n".encode()


def write(reading: Reading, devices: Sequence[str], from_s: int, to_s: int, *, out: Path) -> dict[str, int]:
    """Write the lines to a new file; how many of each box. Raises BadDataError when there are none, StorageError."""
    if from_s >= to_s:
        raise BadDataError("--from must lie before --to")
    counts = dict.fromkeys(devices, 0)
    try:
        with out.open("xb") as file:
            for device in counts:
                for line in lines(reading, device, from_s, to_s):
                    file.write(line)
                    counts[device] += 1
    except OSError as error:
        raise StorageError("cannot be written", where=str(out), hint=error.strerror or "") from error
    if not any(counts.values()):
        out.unlink()
        raise BadDataError("no box of these published anything then", where=", ".join(devices))
    return counts
