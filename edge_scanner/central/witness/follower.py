"""The witness beside the collector: rows on their way into the store, with the heads and alarms that follow from them.

Heads are kept in memory and move with what was judged; another collector's are read again before anybody is accused.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edge_scanner.central.store.model import Batch, Release, SetAside, State, Statement
from edge_scanner.central.witness import follow
from edge_scanner.central.witness.follow import Seen
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import merkle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.central.store.model import Alarm, Head
    from edge_scanner.central.store.reading import Reading
    from edge_scanner.central.witness.cosignature import Cosigner

MAX_PROOF = 64
"""Hashes: a tree of 2^63 leaves has no more."""
MAX_CLAIMS = 64
"""Roots of a box that are remembered by size, and its runs by number: its last boot records and checkpoints."""


@dataclass(slots=True)
class _Claims:
    """What a box has signed: roots by size, ids of runs by number."""

    roots: dict[int, bytes] = field(default_factory=dict)
    runs: dict[int, bytes] = field(default_factory=dict)

    def add(self, seen: Seen) -> None:
        """The first word about a size or a run stays."""
        _remember(self.roots, seen.size, seen.root)

    def add_run(self, number: int, boot_id: bytes) -> None:
        """A boot record's."""
        _remember(self.runs, number, boot_id)


def _remember(known: dict[int, bytes], number: int, what: bytes) -> None:
    known.setdefault(number, what)
    if len(known) > MAX_CLAIMS:
        del known[min(known)]


class Follower:
    """Follows every box. `cosigner` signs a note that provably extends everything that it signed of this log."""

    def __init__(self, reading: Reading, cosigner: Cosigner | None = None) -> None:
        self._reading = reading
        self._cosigner = cosigner
        self._heads = reading.heads()
        self._claims: dict[str, _Claims] = {}

    def follow(self, rows: Iterable[Release | Statement | State | SetAside]) -> Batch:
        """The rows as a batch, with heads and alarms."""
        given = list(rows)
        heads: dict[str, Head] = {}
        alarms: list[Alarm] = []
        for row in given:
            if isinstance(row, SetAside):
                continue
            before = self._heads.get(row.device)
            head, found = self._step(row, before)
            if found and (fresh := self._reading.heads([row.device]).get(row.device)) and fresh != before:
                head, found = self._step(row, fresh)
            alarms += found
            if head is not None and head != before:
                self._heads[row.device] = heads[row.device] = head
        return Batch(
            releases=tuple(row for row in given if isinstance(row, Release)),
            statements=tuple(row for row in given if isinstance(row, Statement)),
            states=tuple(row for row in given if isinstance(row, State)),
            set_aside=tuple(row for row in given if isinstance(row, SetAside)),
            heads=tuple(heads.values()),
            alarms=tuple(alarms),
        )

    def _step(self, row: Release | Statement | State, head: Head | None) -> tuple[Head | None, list[Alarm]]:
        if isinstance(row, Release):
            return head, follow.link(head, row)
        if isinstance(row, State):
            payload = json.dumps(dict(row.body), sort_keys=True).encode()
            silent = row.kind != "status" or row.received <= row.at or row.body.get("state") == "offline"
            return head, [] if silent else follow.run(head, row, payload)
        if row.kind == "checkpoint":
            return self._checkpoint(row, head)
        if row.kind == "boot":
            return self._boot(row, head)
        return head, []

    def _checkpoint(self, row: Statement, head: Head | None) -> tuple[Head | None, list[Alarm]]:
        seen = read_checkpoint(row)
        claims = self._claims_of(row.device)
        new, alarms = follow.checkpoint(head, seen, claims.roots)
        claims.add(seen)
        cosigner = self._cosigner
        if cosigner is not None and new is not None and new.note == seen.note and _linked(cosigner, head, new, alarms):
            new = replace(new, note=cosigner.cosign(seen.note, row.received))
        return new, alarms

    def _boot(self, row: Statement, head: Head | None) -> tuple[Head | None, list[Alarm]]:
        record, seen = read_boot(row)
        claims = self._claims_of(row.device)
        known = claims.roots.get(seen.size, seen.root)
        new, alarms = follow.boot(head, record, seen, claims.runs)
        if known != seen.root and not alarms:
            alarms = [follow.forked(seen, head)]
        claims.add(seen)
        claims.add_run(record.number, record.boot_id)
        return new, alarms

    def _claims_of(self, device: str) -> _Claims:
        """What a box signed, the newest of what the store has of it at first."""
        if device not in self._claims:
            found = _Claims()
            for row in self._reading.statements(device, kinds=["boot", "checkpoint"]):
                if row.kind == "checkpoint":
                    found.add(read_checkpoint(row))
                else:
                    record, seen = read_boot(row)
                    found.add(seen)
                    found.add_run(record.number, record.boot_id)
            self._claims[device] = found
        return self._claims[device]


def _linked(cosigner: Cosigner, head: Head | None, new: Head, alarms: Iterable[Alarm]) -> bool:
    """Whether a checkpoint that became the head extends all that we signed: nothing so far, or the head before it."""
    if new.proven or head is None or not head.note:
        return True
    return cosigner.has_signed(head.note) and all(alarm.kind != follow.GAP for alarm in alarms)


def read_checkpoint(row: Statement) -> Seen:
    """A checkpoint message that was judged."""
    body = json.loads(row.payload)
    note = str(body["note"]).encode()
    parsed = merkle.parse_checkpoint(note)
    old_size, proof = _extension(body.get("extends"))
    return Seen(
        device=row.device,
        boot=int(body["boot"]),
        at=row.at,
        received=row.received,
        size=parsed.size,
        root=parsed.root,
        boot_id=parsed.boot_id,
        note=note,
        payload=row.payload,
        old_size=old_size,
        proof=proof,
    )


def read_boot(row: Statement) -> tuple[layout.BootStatement, Seen]:
    """A boot message that was judged."""
    record = layout.parse_boot(base64.b64decode(json.loads(row.payload)["record"]))
    seen = Seen(
        device=row.device,
        boot=record.number,
        at=row.at,
        received=row.received,
        size=record.tree_size,
        root=record.tree_root,
        boot_id=record.boot_id,
        note=b"",
        payload=row.payload,
    )
    return record, seen


def _extension(given: Any) -> tuple[int | None, tuple[bytes, ...]]:
    """The proof in a checkpoint message: `{"size": old size, "proof": [base64, …]}`; its schema was checked."""
    if given is None:
        return None, ()
    return int(given["size"]), tuple(base64.b64decode(one) for one in given["proof"][:MAX_PROOF])
