"""COMMAND edge-scanner log export: sealed hours for a stick, by the explicit road.

The same manifest and body that a pull delivers. What a pull does, this does too: an entry of the audit trail before
anything is given out, its head announced and in the manifest, a line on the venue's screen. `read_only` is for a card
that must not be touched (a seizure): nothing is written to it, and everybody who opens the bundle is told so. A
box that runs refuses it: what is taken from it is in its trail.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner import small_files, terminal
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME, Context
from edge_scanner.core.messages import AuditAction, Sender
from edge_scanner.core.pull.answer import AuditRecord, export_name
from edge_scanner.device.central import trail
from edge_scanner.device.commands.log import print_json, progress
from edge_scanner.device.commands.when import local, parse_time
from edge_scanner.device.storage import files
from edge_scanner.device.storage.bundling import headers_of, write_bundle
from edge_scanner.device.storage.store import open_appender, open_reader
from edge_scanner.device.system.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path
    from typing import BinaryIO

    from edge_scanner.core.model import ClockReading
    from edge_scanner.device.enrolment.identity import Identity
    from edge_scanner.device.system.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is exported, and whether the box's trail hears of it."""

    database: Path
    identity: Identity
    from_s: int
    to_s: int
    site: str = ""
    read_only: bool = False


def run_log_export(
    path: Path,
    target: Path,
    *,
    identity: Identity,
    start: str,
    end: str,
    zone: tzinfo,
    site: str = "",
    read_only: bool = False,
    clock: Clock | None = None,
    as_json: bool = False,
) -> None:
    """Write the bundle of [`start`, `end`), ISO times of the venue's `zone` or with an offset, into a new `target`.

    Raises StorageError; BadDataError for a time that is none, hours that are not over, and hours without a record;
    RefusedError for `read_only` of a box that runs.
    """
    export = Export(
        database=path,
        identity=identity,
        from_s=parse_time(start, zone),
        to_s=parse_time(end, zone),
        site=site,
        read_only=read_only,
    )
    reading = (clock or SystemClock()).reading()
    _check(export, f"{start} to {end}", reading, zone)
    body = target / BODY_NAME
    try:
        target.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise files.translate(error, target, what="the export's folder") from error
    try:
        digest = _write(export, reading, target)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise files.translate(error, target, what="the export's folder") from error
        raise
    if as_json:
        print_json(
            manifest=str(target / MANIFEST_NAME),
            body=str(body),
            bytes=body.stat().st_size,
            sha256=digest,
            in_trail=not read_only,
        )
        return
    told = "the box's trail and screen say so" if not read_only else "NOT in the box's trail: taken from a card"
    terminal.say(f"{target}: {body.stat().st_size / 1e6:,.1f} MB of sealed segments and their manifest; {told}")


def _write(export: Export, reading: ClockReading, target: Path) -> str:
    """Body and manifest in the new folder `target`; the body's SHA-256 in hex. Raises OSError and as `_export`."""
    total = hashlib.sha256()
    with (target / BODY_NAME).open("xb") as file, progress("exporting") as on_segment:

        def write(data: bytes) -> None:
            file.write(data)
            total.update(data)

        manifest = asyncio.run(_export(export, reading, write, on_segment))
        _keep(file)
    with (target / MANIFEST_NAME).open("xb") as file:
        file.write(manifest)
        _keep(file)
    small_files.sync_folder(target)
    return total.hexdigest()


def _keep(file: BinaryIO) -> None:
    """On the stick before anybody is told to pull it out; raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def _check(export: Export, window: str, reading: ClockReading, zone: tzinfo) -> None:
    """Raise BadDataError for a window that cannot hold a whole answer, RefusedError for a trail that is passed by."""
    if export.read_only and files.is_written(export.database):
        raise RefusedError(
            "this box runs: what is taken from it is in its audit trail",
            code="running",
            where=str(export.database),
            hint="leave out --read-only; it is for a card that must not be changed",
        )
    if export.from_s >= export.to_s:
        raise BadDataError("the window is empty", where=window, hint="--from must lie before --to")
    if export.to_s > reading.utc_s:
        raise BadDataError(
            "these hours are not over", where=window, hint=f"it is {local(reading.utc_s, zone)}; export them later"
        )


async def _export(
    export: Export,
    reading: ClockReading,
    write: Callable[[bytes], object],
    on_segment: Callable[[int, int], None],
) -> bytes:
    async with open_reader(export.database) as store:
        if not await headers_of(store, export.from_s, export.to_s):
            raise BadDataError(
                "the box has no record of these hours",
                where=str(export.database),
                hint="edge-scanner log status says from when to when there is one",
            )
    if not export.read_only:
        await _enter(export, reading)
    async with open_reader(export.database) as store:
        entries = [row async for row in store.audit_rows()]
        context = Context(
            device=export.identity.device_id,
            from_s=export.from_s,
            to_s=export.to_s,
            made_s=int(reading.utc_s),
            quality=reading.quality,
            audit_entries=len(entries),
            audit_head=entries[-1].digest.hex() if entries else "",
        )
        return await write_bundle(store, context, export.identity.key, write=write, on_segment=on_segment)


async def _enter(export: Export, reading: ClockReading) -> None:
    """The entry of the trail, and its announcement in the outbox; raises StorageError."""
    device, now_s = export.identity.device_id, int(reading.utc_s)
    name = export_name(device, export.from_s, export.to_s, now_s)
    record = AuditRecord(
        action=AuditAction.EXPORT, at_s=now_s, device=device, request=name, from_s=export.from_s, to_s=export.to_s
    )
    async with open_appender(export.database) as store:
        boots = [boot.number async for boot in store.boots()]
        sender = Sender(device=device, site=export.site, boot=max(boots, default=0))
        await trail.append(store, record, sender=sender)
