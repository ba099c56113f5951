"""What boxes published while nobody thought of a request: checkpoints, boot records, links, audit entries.

A file is either what the collector heard, topic and payload a line (published.py), or signed notes as they are, one
after the other. A statement is kept with the topic it came on, as the broker lets only the box itself speak there: a
message about one box on another's topic is passed over and counted. Only what a box signed can speak against it
(verify.py); `at` is the message's word, and a file of notes has no time.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_scanner.authority import files
from edge_scanner.authority import published as collected
from edge_scanner.core import json_documents
from edge_scanner.core.model import Link, MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 1 << 30
"""A year of one box's messages is some 60 MB."""

_ORIGIN = b"edge-scanner/"
_KINDS = (MessageKind.CHECKPOINT, MessageKind.BOOT, MessageKind.COUNTS, MessageKind.AUDIT)


class Announced(NamedTuple):
    """An entry of the audit trail: what was done, for which order (or an export's name), the head it made."""

    action: str
    request: str
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One published statement of a box: exactly one of `note`, `boot`, `link` and `entry`.

    `source` is the topic; for a file of notes it is empty, and `at_s` is None.
    """

    device: str
    at_s: int | None
    source: str = ""
    note: bytes = b""
    boot: bytes = b""
    link: Link | None = None
    entry: Announced | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The statements of one box, and how many lines about it were passed over: foreign topics, and unreadable ones."""

    statements: tuple[Statement, ...] = ()
    foreign: tuple[str, ...] = ()
    unreadable: int = 0


NOTHING = Published()


def read(path: Path, device: str) -> Published:
    """What a file holds about one box; raises StorageError, BadDataError for a file that is too large."""
    text = files.read(path, limit=MAX_BYTES)
    if text.startswith(_ORIGIN) and not text.startswith(collected.TOPICS):
        return Published(statements=tuple(one for one in _notes(text) if one.device == device))
    found: list[Statement] = []
    foreign: dict[str, None] = {}
    unreadable = 0
    for line in collected.lines(text, device):
        own = line.topic.split("/")[3:4] == [device]
        if own and line.payload is not None and not line.of(device, *_KINDS):
            continue
        try:
            body = json_documents.value(line.payload or b"")
            if str(body["device"]) == device and own:
                found += _message(body, device, line.topic)
            elif str(body["device"]) == device:
                foreign[line.topic] = None
        except (ValueError, KeyError, TypeError):
            unreadable += 1
    return Published(statements=tuple(found), foreign=tuple(foreign), unreadable=unreadable)


def _notes(text: bytes) -> Iterator[Statement]:
    """Notes one after the other: each begins with its origin, and its signature lines end it."""
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


def _time(at: Any) -> int:
    """UTC seconds of a message; raises ValueError for none."""
    if type(at) is not int or not 0 <= at <= json_documents.MAX_NUMBER:
        raise ValueError("not a time")
    return at


def _message(body: dict[str, Any], device: str, source: str) -> Iterator[Statement]:
    kind = body["kind"]
    at_s = _time(body["at"])
    if kind == MessageKind.CHECKPOINT:
        yield Statement(device=device, at_s=at_s, source=source, note=str(body["note"]).encode())
    elif kind == MessageKind.BOOT:
        yield Statement(device=device, at_s=at_s, source=source, boot=b64decode(body["record"], validate=True))
    elif kind == MessageKind.COUNTS and "link" in body:
        link = body["link"]
        link = Link(seq=int(link["segment"]), digest=bytes.fromhex(link["link"]))
        yield Statement(device=device, at_s=at_s, source=source, link=link)
    elif kind == MessageKind.AUDIT:
        entry = Announced(str(body["action"]), str(body["request"]), str(body["head"]))
        yield Statement(device=device, at_s=at_s, source=source, entry=entry)
