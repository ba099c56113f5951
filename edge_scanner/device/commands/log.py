"""COMMANDS edge-scanner log verify | prove | prove-retention: what a technician asks the sealed log.

All read one snapshot of the database, beside a running scanner or from a card in a reader, and need no secret:
what they can check is everything but the contents. Results go to stdout, progress to stderr and only on a terminal.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from edge_scanner import small_files, terminal
from edge_scanner.core.errors import BadDataError, LogError, StorageError
from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import HistoryForkedError
from edge_scanner.core.log.verifier import Verifier
from edge_scanner.core.wording import counted
from edge_scanner.device.commands.when import local
from edge_scanner.device.storage import files
from edge_scanner.device.storage.statements import LOST
from edge_scanner.device.storage.store import audit_digest, open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from edge_scanner.core.model import Leaf
    from edge_scanner.device.storage.rows import Summary
    from edge_scanner.device.storage.store import Store

EXIT_BAD_DATA = BadDataError.exit_code
SEGMENT_S = 3600
MINUTE_S = 60
_DAY_S = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Segments `first` to `last`, whose rows are gone: zero leaves stand in their place."""

    first: int
    last: int


def gaps(leaves: Sequence[Leaf]) -> list[Lost]:
    """The runs of lost segments."""
    found: list[Lost] = []
    for leaf in leaves:
        if leaf.digest != LOST:
            continue
        if found and found[-1].last == leaf.seq - 1:
            found[-1] = Lost(first=found[-1].first, last=leaf.seq)
        else:
            found.append(Lost(first=leaf.seq, last=leaf.seq))
    return found


def run_log_verify(
    path: Path,
    *,
    device: str,
    identity: Ed25519PublicKey,
    checkpoints: Sequence[Path] = (),
    as_json: bool = False,
) -> int:
    """Check everything that can be checked without a secret; print one line; return 0, or 65 when it is not intact.

    `checkpoints` are files with notes that the broker passed on; without them a cut tail or a roll-back cannot show.
    Raises StorageError.
    """
    try:
        notes = [small_files.head(file, merkle.MAX_NOTE_BYTES + 1) for file in checkpoints]
    except OSError as error:
        raise StorageError("a checkpoint cannot be read", where=str(error.filename or "")) from error
    try:
        with progress("verifying") as on_segment:
            verdict = asyncio.run(_verify(path, device, identity, notes, on_segment))
    except LogError as error:
        if as_json:
            print_json(holds=False, code=error.code, where=error.where, what=error.what)
        else:
            fault = f" at {error.where}: {error.what} ({error.code})"
            terminal.console().print(Text.assemble(("not intact", "bold red"), fault), soft_wrap=True)
        return EXIT_BAD_DATA
    if as_json:
        print_json(
            holds=True,
            segments=verdict.segments,
            frames=verdict.frames,
            audit_entries=verdict.audit_entries,
            checkpoints=len(notes),
            lost=[[gap.first, gap.last] for gap in verdict.lost],
        )
        return 0
    known = "".join(f"; segments {gap.first} to {gap.last} are lost, as the chain says" for gap in verdict.lost)
    found = (
        f": {counted(verdict.segments, 'segment')}, {counted(verdict.frames, 'frame')}, "
        f"{counted(verdict.audit_entries, 'audit record')}, {counted(len(notes), 'published checkpoint')}{known}"
    )
    terminal.console().print(Text.assemble(("intact", "bold green"), found), soft_wrap=True)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    segments: int
    frames: int
    audit_entries: int
    lost: list[Lost]


async def _verify(
    path: Path, device: str, identity: Ed25519PublicKey, notes: Sequence[bytes], on_segment: Callable[[int, int], None]
) -> _Verdict:
    async with open_reader(path) as store:
        leaves = [leaf async for leaf in store.leaves()]
        digests = [leaf.digest for leaf in leaves]
        lost = {leaf.seq for leaf in leaves if leaf.digest == LOST}
        boots = [boot.record async for boot in store.boots()]

        def verifier() -> Verifier:
            new = Verifier(device=device, identity=identity, before=merkle.EMPTY, leaves=digests)
            for record in boots:
                new.boot(record)
            return new

        current = verifier()
        for note in notes:
            current.checkpoint(note)
        headers = [header async for header in store.headers(float("-inf"), float("inf"))]
        segments = frames = 0
        for done, header in enumerate(headers, 1):
            if header.seq in lost:
                continue
            if header.seq - 1 in lost:
                # Nothing can be said about what came before a hole, so the segments behind it begin anew.
                current = verifier()
            rows = [frame async for frame in store.frames(header.seq)]
            current.segment(header, rows)
            segments, frames = segments + 1, frames + len(rows)
            on_segment(done, len(headers))
        if headers and len(leaves) - 1 not in lost:
            current.finish()
        return _Verdict(segments=segments, frames=frames, audit_entries=await _verify_audit(store), lost=gaps(leaves))


async def _verify_audit(store: Store) -> int:
    """The number of audit entries, whose chain holds; raises HistoryForkedError."""
    entries, previous = 0, bytes(32)
    async for row in store.audit_rows():
        if row.number != entries or row.digest != audit_digest(previous, row.entry):
            raise HistoryForkedError("its chain is broken", where=f"audit entry {row.number}")
        entries, previous = entries + 1, row.digest
    return entries


def run_log_prove_retention(
    path: Path, *, retention_days: int, zone: tzinfo, now_s: float | None = None, as_json: bool = False
) -> int:
    """Print the oldest record and what was dropped; return 0, or 65 when something is older than `retention_days`.

    A segment goes whole, within an hour of its last minute's time, so the limit is `retention_days` and two hours.
    """
    now_s = time.time() if now_s is None else now_s
    summary, leaves = asyncio.run(_retention(path))
    lost = gaps(leaves)
    first = summary.first_segment if summary.first_segment is not None else summary.leaves
    dropped = sum(1 for leaf in leaves if leaf.seq < first and leaf.digest != LOST)
    age_days = (now_s - summary.oldest_s) / _DAY_S if summary.oldest_s is not None else 0.0
    kept = age_days * _DAY_S <= retention_days * _DAY_S + 2 * SEGMENT_S
    aside = files.aside(path)
    if as_json:
        print_json(
            oldest=utc(summary.oldest_s),
            age_days=round(age_days, 3),
            retention_days=retention_days,
            kept=kept,
            dropped_segments=dropped,
            lost_segments=sum(gap.last - gap.first + 1 for gap in lost),
            set_aside=[str(file) for file in aside],
        )
        return 0 if kept else EXIT_BAD_DATA
    console = terminal.console()
    console.print(
        f"oldest record: {local(summary.oldest_s, zone)}, {age_days:.1f} days old; "
        f"the limit is {counted(retention_days, 'day')}"
    )
    console.print(f"dropped: {counted(dropped, 'segment')}; only the hashes are left")
    for gap in lost:
        console.print(f"lost with a damaged database: segments {gap.first} to {gap.last}")
    for file in aside:
        console.print(f"set aside, outside the retention: {file}; hand it over or delete it by hand", soft_wrap=True)
    if not kept:
        console.print(
            Text.assemble(("too old", "bold red"), ": start the scanner; it deletes once its clock is confirmed")
        )
    return 0 if kept else EXIT_BAD_DATA


def run_log_prove(path: Path, segment: int, *, checkpoint: Path, out: Path) -> None:
    """Write a C2SP tlog-proof: segment `segment` is in the tree of a published checkpoint.

    Raises StorageError; a LogError for a note that is none, or not of this log.
    """
    try:
        note = small_files.head(checkpoint, merkle.MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise StorageError("a checkpoint cannot be read", where=str(checkpoint)) from error
    proof = merkle.tlog_proof(asyncio.run(_leaves(path)), segment, note)
    try:
        with out.open("xb") as file:
            file.write(proof)
    except OSError as error:
        raise files.translate(error, out, what="the proof") from error
    terminal.say(f"{out}: segment {segment} is in the tree of that checkpoint")


async def _leaves(path: Path) -> list[bytes]:
    async with open_reader(path) as store:
        return [leaf.digest async for leaf in store.leaves()]


async def _retention(path: Path) -> tuple[Summary, list[Leaf]]:
    async with open_reader(path) as store:
        return await store.summary(), [leaf async for leaf in store.leaves()]


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is told (done, total) segments."""
    console = terminal.console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("segments"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def utc(at_s: float | None) -> str | None:
    """A moment for programs, in UTC."""
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")


def print_json(**fields: object) -> None:
    """One JSON object on stdout."""
    terminal.say_json(fields)
