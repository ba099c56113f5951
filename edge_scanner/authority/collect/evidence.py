"""What boxes published while nobody thought of a request: checkpoints, boot records, links. The collector keeps it.

A file is either JSON, one MQTT payload a line (`mosquitto_sub -t 'edge-scanner/v1/d/+/up/#' >> published.jsonl`), or
signed notes as they are, one after the other. Nothing in it is believed for its own sake: notes and records are signed,
and a link that was made up contradicts the log instead of supporting it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.authority import files
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Link

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 1 << 30
"""A year of one box's messages is some 60 MB."""

_ORIGIN = b"edge-scanner/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One published statement of a box: exactly one of `note`, `boot` and `link`; `at_s` None when it has no time."""

    device: str
    at_s: int | None
    note: bytes = b""
    boot: bytes = b""
    link: Link | None = None


def read(path: Path, device: str) -> list[Statement]:
    """The statements of one box; raises BadDataError that names the line, StorageError."""
    text = files.read(path, limit=MAX_BYTES)
    if text.startswith(_ORIGIN):
        return [one for one in _notes(text) if one.device == device]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if device.encode() not in line:
            continue
        try:
            found += [one for one in _message(json.loads(line)) if one.device == device]
        except (ValueError, KeyError, TypeError) as error:
            raise BadDataError("not a message that a box published", where=f"{path}, line {number}") from error
    return found


def _notes(text: bytes) -> Iterator[Statement]:
    """Notes one after the other: each begins with its origin, and its signature line ends it."""
    lines: list[bytes] = []
    for line in text.splitlines(keepends=True):
        if line.startswith(_ORIGIN) and lines:
            yield _note(lines)
            lines = []
        lines.append(line)
    yield _note(lines)


def _note(lines: list[bytes]) -> Statement:
    note = b"".join(lines).rstrip(b"\n") + b"\n"
    return Statement(device=lines[0].strip().removeprefix(_ORIGIN).decode("ascii", "replace"), at_s=None, note=note)


def _message(body: dict[str, Any]) -> Iterator[Statement]:
    kind, device = body.get("kind"), str(body.get("device", ""))
    if kind == "checkpoint":
        yield Statement(device=device, at_s=int(body["at"]), note=str(body["note"]).encode())
    elif kind == "boot":
        yield Statement(device=device, at_s=int(body["at"]), boot=b64decode(body["record"], validate=True))
    elif kind == "counts" and "link" in body:
        link = body["link"]
        yield Statement(
            device=device,
            at_s=int(body["at"]),
            link=Link(seq=int(link["segment"]), frame=int(link["frame"]), digest=bytes.fromhex(link["link"])),
        )
