"""The log commands on real files: what they print, what they find, and their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sqlite3
from contextlib import closing
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError, RefusedError, StorageError
from edge_scanner.core.log import writer as segment
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME, read_manifest, verify_bundle
from edge_scanner.core.log.errors import ProofError
from edge_scanner.core.model import Batch
from edge_scanner.core.pull import answer
from edge_scanner.device.commands.log import (
    run_log_prove,
    run_log_prove_retention,
    run_log_verify,
)
from edge_scanner.device.commands.log_export import run_log_export
from edge_scanner.device.commands.log_status import run_log_status
from edge_scanner.device.commands.when import local, parse_time
from edge_scanner.device.enrolment.identity import Identity
from edge_scanner.device.storage.files import only_writer
from edge_scanner.device.storage.store import open_store
from tests.support.log_files import VIET_NAM, edit, put, store_rows, utc
from tests.support.pulling import FixedClock
from tests.support.sealed_logs import HOUR_S, Box, clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


LATER = FixedClock(HOUR_S + 12 * 3600.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "state" / "log.db"


@pytest.fixture
def box() -> Box:
    """Two and a half hours of a box."""
    return Box().minutes(150)


@pytest.fixture
def verify(path: Path, box: Box, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, object]]]:
    """`log verify --json` on the box's database: exit code and answer."""

    def run(*checkpoints: Path) -> tuple[int, dict[str, object]]:
        code = run_log_verify(
            path, device=box.device, identity=box.identity.public_key(), checkpoints=checkpoints, as_json=True
        )
        return code, json.loads(capsys.readouterr().out)

    return run


def test_verify_holds_for_an_untouched_log(
    path: Path, box: Box, verify: Callable[..., tuple[int, dict[str, object]]]
) -> None:
    """Closed and open segments, boots and the audit trail hold: exit code 0."""
    put(path, box)

    assert verify() == (
        0,
        {"holds": True, "segments": 3, "frames": 152, "audit_entries": 2, "checkpoints": 0, "lost": []},
    )


@pytest.mark.parametrize(
    "found",
    [
        ("UPDATE frame SET ciphertext = zeroblob(4032) WHERE id = 1048576 + 7", "segment-altered", "segment 1"),
        ("DELETE FROM frame WHERE id = 1048576 + 7", "frame-missing", "segment 1"),
        ("DELETE FROM frame WHERE id = 1048576 + 60", "segment-altered", "segment 1"),
        ("DELETE FROM segment WHERE seq = 1", "segment-missing", "segment 2"),
        ("UPDATE segment SET header = zeroblob(300) WHERE seq = 1", "malformed", "header"),
        ("UPDATE audit SET entry = x'7b7d' WHERE number = 0", "history-forked", "audit entry 0"),
    ],
)
def test_verify_names_segment_and_code(
    path: Path,
    box: Box,
    verify: Callable[..., tuple[int, dict[str, object]]],
    found: tuple[str, str, str],
) -> None:
    """Each edit of the file is found at its place, with exit code 65."""
    statement, code, where = found
    put(path, box)
    edit(path, statement)

    exit_code, answer = verify()

    assert (exit_code, answer["holds"], answer["code"]) == (65, False, code)
    assert where in str(answer["where"])


def test_verify_sees_a_roll_back_only_through_a_published_checkpoint(
    path: Path, tmp_path: Path, verify: Callable[..., tuple[int, dict[str, object]]]
) -> None:
    """An older copy of the database is consistent in itself; the checkpoint the broker kept gives it away."""
    older = Box().minutes(70)
    put(path, older)
    newer = Box().minutes(130)
    note = tmp_path / "checkpoint"
    note.write_bytes(newer.checkpoints[-1])

    alone = verify()
    held_against = verify(note)

    assert alone[0] == 0
    assert (held_against[0], held_against[1]["code"]) == (65, "rolled-back")


def test_lost_segments_are_named_and_the_log_behind_them_holds(
    path: Path, box: Box, verify: Callable[..., tuple[int, dict[str, object]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged database was replaced: the next run seals behind the hole, and status, verify and retention name it."""
    put(path, box)
    path.write_bytes(b"not a database " * 1000)

    async def next_run() -> None:
        async with open_store(path) as store:
            state = await store.log_state()
            log = box.start(segment.resume([leaf.digest for leaf in state.leaves], state.newest, state.frames))
            for minute in range(130):
                log.seal(box.now_s + 60 * minute, [], clock=clock(box.now_s + 60 * minute + 60))
            await store.commit(Batch(rows=log.peek()))

    asyncio.run(next_run())
    code, answer = verify()
    run_log_status(path, zone=UTC)
    status = capsys.readouterr().out
    run_log_verify(path, device=box.device, identity=box.identity.public_key())
    verdict = capsys.readouterr().out
    run_log_prove_retention(path, zone=UTC, retention_days=14, now_s=box.now_s)
    retention = capsys.readouterr().out

    assert (code, answer["holds"], answer["lost"]) == (0, True, [[0, 2]])
    assert answer["segments"] == 3
    assert "segments 0 to 2 are lost" in status
    assert "log.db.damaged-" in status
    assert verdict.endswith("segments 0 to 2 are lost, as the chain says\n")
    assert "lost with a damaged database: segments 0 to 2" in retention
    assert "dropped: 0 segments" in retention
    assert "set aside, outside the retention" in retention


def test_verify_for_people_is_one_line(path: Path, box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict fits one line, good or bad."""
    put(path, box)
    key = box.identity.public_key()
    run_log_verify(path, device=box.device, identity=key)
    good = capsys.readouterr().out
    edit(path, "DELETE FROM frame WHERE id = 7")
    run_log_verify(path, device=box.device, identity=key)
    bad = capsys.readouterr().out

    assert good == "intact: 3 segments, 152 frames, 2 audit records, 0 published checkpoints\n"
    assert bad == "not intact at segment 0: frame 7 is not there (frame-missing)\n"


def test_export_makes_the_bundle_an_authority_verifies(path: Path, box: Box, tmp_path: Path) -> None:
    """Manifest and body of the window's segments, checked with nothing but the box's public key."""
    put(path, box)
    target = tmp_path / "usb" / "bundle"
    who = Identity(device_id=box.device, key=box.identity)

    run_log_export(path, target, identity=who, start=utc(3600), end=utc(3660), zone=UTC, clock=LATER)

    manifest = read_manifest(
        (target / MANIFEST_NAME).read_bytes(), device=box.device, identity=box.identity.public_key()
    )
    segments = list(verify_bundle(manifest, [(target / BODY_NAME).read_bytes()], identity=box.identity.public_key()))
    assert [segment.row for segment in segments] == [box.stored.headers[1]]
    assert list(segments[0].frames) == box.stored.frames[1]
    assert (manifest.context.from_s, manifest.context.to_s) == (HOUR_S + 3600, HOUR_S + 3660)
    assert manifest.context.audit_entries == 3


def test_export_twice_gives_the_same_body(path: Path, box: Box, tmp_path: Path) -> None:
    """A pull can answer any chunk again without remembering the first answer."""
    put(path, box)
    who = Identity(device_id=box.device, key=box.identity)

    for name in ("a", "b"):
        run_log_export(path, tmp_path / name, identity=who, start=utc(0), end=utc(7200), zone=UTC, clock=LATER)

    assert (tmp_path / "a" / BODY_NAME).read_bytes() == (tmp_path / "b" / BODY_NAME).read_bytes() != b""


def test_export_refuses_an_existing_directory_and_an_empty_window(path: Path, box: Box, tmp_path: Path) -> None:
    """Nothing is overwritten, and a window that ends before it begins is the operator's mistake."""
    put(path, box)
    who = Identity(device_id=box.device, key=box.identity)

    with pytest.raises(StorageError, match="file exists"):
        run_log_export(path, tmp_path, identity=who, start=utc(0), end=utc(3600), zone=UTC, clock=LATER)
    with pytest.raises(BadDataError, match="window is empty"):
        run_log_export(path, tmp_path / "x", identity=who, start=utc(0), end=utc(0), zone=UTC, clock=LATER)


def test_an_export_that_the_stick_cannot_hold_leaves_nothing_on_it(path: Path, box: Box, tmp_path: Path) -> None:
    """Its body ends in the middle: one error, no half bundle, and the same command works on a stick with room."""
    put(path, box)
    who, target = Identity(device_id=box.device, key=box.identity), tmp_path / "usb" / "bundle"

    def export() -> None:
        run_log_export(
            path, target, identity=who, start=utc(0), end=utc(7200), zone=UTC, clock=LATER, read_only=True
        )  # fmt: skip

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(StorageError, match="cannot use the export's folder"):
            export()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not target.exists()

    export()

    assert (target / BODY_NAME).stat().st_size > 40_000


def trail(path: Path) -> list[str]:
    """What the audit trail and the outbox say was done."""
    with closing(sqlite3.connect(path)) as db:
        entries = [json.loads(entry) for (entry,) in db.execute("SELECT entry FROM audit ORDER BY number")]
        told = [json.loads(payload) for (payload,) in db.execute("SELECT payload FROM outbox WHERE kind = 'audit'")]
    return [f"{one.get('action', '')} {one.get('number', '')}".strip() for one in (*entries[2:], *told)]


async def test_an_export_is_in_the_trail_of_a_running_box(path: Path, box: Box, tmp_path: Path) -> None:
    """Beside the daemon's connection: an entry, its announcement, the head in the manifest, and the export's name."""
    await store_rows(path, box, None)
    who = Identity(device_id=box.device, key=box.identity)
    async with open_store(path) as daemon:
        await asyncio.to_thread(
            run_log_export, path, tmp_path / "usb", identity=who, start=utc(0), end=utc(3600), zone=UTC, clock=LATER
        )
        rows = [row async for row in daemon.audit_rows()]
        await daemon.audit_append(b"{}")

    manifest = read_manifest(
        (tmp_path / "usb" / MANIFEST_NAME).read_bytes(), device=box.device, identity=who.key.public_key()
    )
    assert len(rows) == 3
    made = manifest.context
    assert made.audit_head == rows[-1].digest.hex()
    named = answer.export_name(box.device, made.from_s, made.to_s, made.made_s)
    assert answer.parse_audit(rows[-1].entry).request == named
    assert trail(path)[::2] == ["export", "export 3"]


def test_a_card_that_must_not_be_touched_stays_as_it_is(
    path: Path, box: Box, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By --read-only the trail gets nothing, and the technician reads it; a box that runs refuses."""
    put(path, box)
    who = Identity(device_id=box.device, key=box.identity)
    export = partial(run_log_export, path, identity=who, start=utc(0), end=utc(3600), zone=UTC, clock=LATER)

    with only_writer(path), pytest.raises(RefusedError, match="this box runs"):
        export(tmp_path / "usb", read_only=True)
    assert not (tmp_path / "usb").exists()
    export(tmp_path / "usb", read_only=True)

    assert trail(path) == []
    assert "NOT in the box's trail" in capsys.readouterr().out
    lock = path.with_name(path.name + ".lock")
    lock.unlink()
    os.mkfifo(lock)
    export(tmp_path / "other", read_only=True)


@pytest.mark.parametrize(
    ("times_s", "what"), [((0, 1800), "not over"), ((20 * 3600, 40 * 3600), "no record of these hours")]
)
def test_an_export_of_nothing_or_of_the_future_is_refused(
    path: Path, box: Box, tmp_path: Path, times_s: tuple[int, int], what: str
) -> None:
    """One sentence, no folder, no entry in the trail."""
    put(path, box)
    begin_s, clock_s = times_s
    who = Identity(device_id=box.device, key=box.identity)

    with pytest.raises(BadDataError, match=what):
        run_log_export(
            path, tmp_path / "usb", identity=who, start=utc(begin_s), end=utc(begin_s + 3600), zone=UTC,
            clock=FixedClock(HOUR_S + clock_s),
        )  # fmt: skip

    assert not (tmp_path / "usb").exists()
    assert trail(path) == []


def test_a_segment_s_place_is_proven_to_anybody(path: Path, box: Box, tmp_path: Path) -> None:
    """A tlog-proof against the newest checkpoint; a note of another log, or an existing file, is refused."""
    put(path, box)
    note = tmp_path / "newest.note"
    note.write_bytes(box.checkpoints[-1])

    run_log_prove(path, 1, checkpoint=note, out=tmp_path / "1.tlog-proof")

    head, _, rest = (tmp_path / "1.tlog-proof").read_bytes().partition(b"\n\n")
    assert head.startswith(b"c2sp.org/tlog-proof@v1\nindex 1\n")
    assert rest == box.checkpoints[-1]
    with pytest.raises(StorageError, match="file exists"):
        run_log_prove(path, 1, checkpoint=note, out=tmp_path / "1.tlog-proof")
    with pytest.raises(ProofError):
        run_log_prove(path, 7, checkpoint=note, out=tmp_path / "7.tlog-proof")
    with pytest.raises(StorageError, match="cannot be read"):
        run_log_prove(path, 1, checkpoint=tmp_path / "none", out=tmp_path / "x")


def test_prove_retention_prints_oldest_and_dropped(path: Path, box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    """After a prune the oldest record and the number of dropped segments; too old a record gives 65."""
    put(path, box, drop_segments_before=1)
    now_s = HOUR_S + 3600 + 14 * 86400.0

    code = run_log_prove_retention(path, zone=UTC, retention_days=14, now_s=now_s, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    late = run_log_prove_retention(path, zone=UTC, retention_days=14, now_s=now_s + 7300)
    text = capsys.readouterr().out

    assert code == 0
    assert answer == {
        "oldest": utc(3600), "age_days": 14.0, "retention_days": 14, "kept": True,
        "dropped_segments": 1, "lost_segments": 0, "set_aside": [],
    }  # fmt: skip
    assert late == 65
    assert "dropped: 1 segment;" in text
    assert "too old" in text


def test_status_shows_what_is_there(path: Path, box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    """Segments, frames, first and last record, gaps, outbox: as JSON and as a table."""
    put(path, box)
    run_log_status(path, zone=UTC, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    run_log_status(path, zone=UTC)
    table = capsys.readouterr().out

    assert (answer["segments"], answer["frames"], answer["finished"], answer["runs"]) == (3, 152, 2, 1)
    assert (answer["oldest"], answer["first_segment"], answer["last_segment"]) == (utc(0), 0, 2)
    assert answer["lost"] == []
    assert "number 0 to 2" in table
    assert f"recorded      {local(HOUR_S, UTC)} to {local(HOUR_S + 9000.0, UTC)}" in table


def test_there_is_no_log(path: Path) -> None:
    """A wrong path is said to be wrong, and no database is made there."""
    with pytest.raises(StorageError, match="there is no log"):
        run_log_status(path, zone=UTC)

    assert not path.exists()


def test_times_are_the_venue_s_or_carry_an_offset() -> None:
    """Whatever the machine's own zone: the same text names the same minute, and what is printed names its zone."""
    assert parse_time("2026-11-20T08:00", VIET_NAM) == parse_time("2026-11-20T01:00Z", VIET_NAM)
    assert parse_time("2026-11-20T08:00+09:00", VIET_NAM) == parse_time("2026-11-19T23:00Z", UTC)
    assert local(parse_time("2026-11-20T01:00Z", UTC), VIET_NAM) == "2026-11-20 08:00 ICT"
    for text in ("", "tomorrow", "2026-13-01T00:00"):
        with pytest.raises(BadDataError, match="not a time"):
            parse_time(text, UTC)
