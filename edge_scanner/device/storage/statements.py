"""The SQL of the box's database: how it is opened, how its schema grows, and a `Batch` as statements.

Text only: nothing here touches a file. `connection.py` runs these statements through aiosqlite on the box; the
power-cut harness in the tests runs the very same ones through a file system that tears writes. What the harness proves
thereby holds for the store: durability is decided by the pragmas, the statements and their grouping into transactions.

Decisions: every key is idempotent (INSERT OR IGNORE) and triggers in the schema refuse another value under a known key,
so a batch may be committed any number of times; deciding this in SQL beat reading back and comparing in Python.
WAL with `synchronous=FULL` beat NORMAL, which lost up to 416 acknowledged frames in simulated power cuts and saves
nothing at one commit a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from edge_scanner.core.counts import hours
from edge_scanner.core.counts.release import DISPLAY
from edge_scanner.core.model import Frame, Message, MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_scanner.core.model import Batch

APPLICATION_ID = 0x45444753
"""What 0001.sql writes into the file's header."""

FRAME_BITS = 20
"""Frame ids are seq << 20 | number: 1,048,576 frames a segment, of which an hour needs at most 60 * 8 + 2."""

BEGIN = "BEGIN IMMEDIATE"
COMMIT = "COMMIT"

FOREVER_S = 1 << 62

LOST = bytes(32)
"""Stands in place of the leaf of a segment that was committed and is gone (database.py)."""

PRAGMAS = (
    # 4,096: one constant-size frame (4,032 B + row overhead) fills one page, and it is the card's and ext4's block.
    "PRAGMA page_size = 4096",
    "PRAGMA journal_mode = WAL",
    # FULL: a commit that returned survives a power cut.
    "PRAGMA synchronous = FULL",
    # 64 pages: an hour of frames. Deleted pages are overwritten in the file soon after, and the WAL stays small.
    "PRAGMA wal_autocheckpoint = 64",
    # 1 MiB: what a long read may leave behind in the WAL's file is cut off at the next checkpoint.
    "PRAGMA journal_size_limit = 1048576",
    "PRAGMA secure_delete = ON",
    # A damaged page is noticed when it is first read, not when it has spread.
    "PRAGMA cell_size_check = ON",
    # A planted schema must not run functions with side effects.
    "PRAGMA trusted_schema = OFF",
    # No temporary file beside the database.
    "PRAGMA temp_store = MEMORY",
    # 5 s: a technician's read-only command may hold the file while it checkpoints.
    "PRAGMA busy_timeout = 5000",
)


NEWEST_SEGMENT = (
    "SELECT coalesce(max(seq), -1) FROM (SELECT max(seq) AS seq FROM segment UNION ALL SELECT max(seq) FROM leaf)"
)
"""The highest segment number in use, -1 in an empty log."""

READER_PRAGMAS = ("PRAGMA query_only = ON", *PRAGMAS[-4:])
"""For a connection that only reads: nothing that would change the file."""

SNAPSHOT = ("BEGIN", "SELECT count(*) FROM sqlite_schema")
"""From here on a reader sees the file as it is now; the first read takes the snapshot, not BEGIN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Where the tables end. All are counts of rows unless the name says bytes."""

    # A month without a broker: 31 days x (288 health + 24 counts + 24 checkpoints) = 10,416, so that only health,
    # which is worthless by then, ever has to give way.
    outbox_rows: int = 10_000
    # 16 MiB: 10,000 messages of 1.6 kB on average; a fifth of the log itself.
    outbox_bytes: int = 16 * 1024 * 1024
    # 138 days of 2 display bins and 1 broker bin an hour, 26 of 12 and 4; the kiosk's curve needs three weeks.
    releases: int = 10_000
    # Two years.
    hours: int = hours.KEPT_HOURS
    # The daemon sets it to ten years of its policy (pull.trail_room), of about 1 kB an entry. Full means: no further
    # request is answered, because an answer without an audit entry must not exist.
    audit_entries: int = 20_000
    # Requests live for days and are counted by quota; the oldest expired ones go first.
    nonces: int = 20_000


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL text and the parameter rows it runs with (`executemany`)."""

    sql: str
    rows: Sequence[tuple[object, ...]] = ((),)


_BOOT = "INSERT OR IGNORE INTO boot(number, record) VALUES (?, ?)"
_SEGMENT = "INSERT OR IGNORE INTO segment(seq, opened_s, header) VALUES (?, ?, ?)"
_FRAME = "INSERT OR IGNORE INTO frame(id, ciphertext) VALUES (?, ?)"
# Minutes of a segment come one by one, and a batch may come again.
_MINUTES = (
    "INSERT INTO recorded(seq, minutes) VALUES (?, ?)"
    " ON CONFLICT(seq) DO UPDATE SET minutes = minutes | excluded.minutes"
)
_LEAF = "INSERT OR IGNORE INTO leaf(seq, digest) VALUES (?, ?)"
_RELEASE = "INSERT OR IGNORE INTO release(ledger, bin_start_s, body) VALUES (?, ?, ?)"
_MESSAGE = (
    "INSERT OR IGNORE INTO outbox(kind, topic, payload, key, qos, retain, created_s, expires_s)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_DROP_FRAMES = "DELETE FROM frame WHERE id < ?"
_DROP_SEGMENTS = "DELETE FROM segment WHERE seq < ?"
_DROP_MINUTES = "DELETE FROM recorded WHERE seq < ?"
_HOURS = """
INSERT {or_ignore} INTO hour(start_s, minutes, nearby, scale, parts)
  SELECT bin_start_s - bin_start_s % 3600, sum(json_extract(text, '$.minutes_covered')),
    sum(json_extract(text, '$.figures.nearby')), max(json_extract(text, '$.scale')), count(*)
  FROM (
    SELECT bin_start_s, CAST(body AS TEXT) AS text FROM release
    WHERE ledger = 'display' AND bin_start_s >= ?1 AND bin_start_s < ?2
  )
  WHERE json_valid(text) AND json_extract(text, '$.figures.nearby') IS NOT NULL
  GROUP BY 1 ORDER BY 1"""
# An hour is added up anew with each bin of it: the same however often a batch comes, and its releases are the newest.
_ADD_HOURS = (
    _HOURS.format(or_ignore="")
    + " ON CONFLICT(start_s) DO UPDATE SET minutes = excluded.minutes, nearby = excluded.nearby,"
    " scale = excluded.scale, parts = excluded.parts"
)
MISSING_HOURS = _HOURS.format(or_ignore="OR IGNORE")
"""Hours between ?1 and ?2 (UTC seconds) that the releases still know and the table does not."""
_BOUND_HOURS = "DELETE FROM hour WHERE id <= (SELECT max(id) FROM hour) - ?"
_BOUND_RELEASES = "DELETE FROM release WHERE id <= (SELECT max(id) FROM release) - ?"

# What goes first when the outbox is full, from the end of this order: the audit trail never, then boot records (needed
# to check every signature), the newest checkpoint, counts, older checkpoints (a newer one supersedes them), status
# (only the newest matters) and health. Within a kind the oldest goes first. Runs only when a limit is passed.
_BOUND_OUTBOX = """
DELETE FROM outbox WHERE kind <> 'audit' AND id IN (
  SELECT id FROM (
    SELECT id, sum(length(payload)) OVER kept AS bytes, row_number() OVER kept AS place FROM outbox
    WINDOW kept AS (ORDER BY CASE
      WHEN kind = 'audit' THEN 0
      WHEN kind = 'boot' THEN 1
      WHEN kind = 'checkpoint' AND id = (SELECT max(id) FROM outbox WHERE kind = 'checkpoint') THEN 2
      WHEN kind = 'counts' THEN 3
      WHEN kind = 'checkpoint' THEN 4
      WHEN kind = 'status' THEN 5
      ELSE 6 END, id DESC)
  ) WHERE place > ?1 OR bytes > ?2
) AND (SELECT count(*) > ?1 OR total(length(payload)) > ?2 FROM outbox)"""
_COUNT_DROPPED = "UPDATE meta SET value = value + changes() WHERE name = 'outbox_dropped' AND changes() > 0"


def migrations() -> tuple[str, ...]:
    """The schema's versions in order; version n is the n-th text (schema/000n.sql)."""
    folder = resources.files("edge_scanner.device.storage") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple((folder / name).read_text(encoding="utf-8") for name in names)


def migration(version: int, text: str) -> str:
    """The script that brings a file to `version` in one transaction, or leaves it as it was."""
    return f"{BEGIN};\n{text}\nPRAGMA user_version = {version};\n{COMMIT};"


def frame_id(seq: int, number: int) -> int:
    """The packed row id of frame `number` of segment `seq`."""
    return seq << FRAME_BITS | number


def frame(row: tuple[int, bytes]) -> Frame:
    """The `Frame` of one row (id, ciphertext)."""
    return Frame(seq=row[0] >> FRAME_BITS, number=row[0] & (1 << FRAME_BITS) - 1, ciphertext=row[1])


def add_messages(messages: Sequence[Message], limits: StoreLimits) -> Iterator[Statement]:
    """Rows for the outbox, then what must make room for them, counted in meta `outbox_dropped`."""
    if not messages:
        return
    yield Statement(
        _MESSAGE,
        [(m.kind.value, m.topic, m.payload, m.key, m.qos, int(m.retain), m.created_s, m.expires_s) for m in messages],
    )
    yield Statement(_BOUND_OUTBOX, [(limits.outbox_rows, limits.outbox_bytes)])
    yield Statement(_COUNT_DROPPED)


def statements(batch: Batch, limits: StoreLimits) -> Iterator[Statement]:
    """What commits `batch`, in order, to be run inside one transaction."""
    rows = batch.rows
    if rows.boots:
        yield Statement(_BOOT, [(b.number, b.record) for b in rows.boots])
    if rows.headers:
        yield Statement(_SEGMENT, [(h.seq, h.opened_s, h.header) for h in rows.headers])
    if rows.frames:
        yield Statement(_FRAME, [(frame_id(f.seq, f.number), f.ciphertext) for f in rows.frames])
    # A segment in which nothing ever listened has its row, too: without one it would be an older version's.
    minutes = [*((h.seq, 0) for h in rows.headers), *((row.seq, row.minutes) for row in rows.minutes)]
    if minutes:
        yield Statement(_MINUTES, minutes)
    if rows.leaves:
        yield Statement(_LEAF, [(leaf.seq, leaf.digest) for leaf in rows.leaves])
    if batch.releases:
        yield Statement(_RELEASE, [(r.ledger, r.bin_start_s, r.body) for r in batch.releases])
        shown = {r.bin_start_s - r.bin_start_s % hours.HOUR_S for r in batch.releases if r.ledger == DISPLAY}
        if shown:
            yield Statement(_ADD_HOURS, [(start_s, start_s + hours.HOUR_S) for start_s in sorted(shown)])
            yield Statement(_BOUND_HOURS, [(limits.hours,)])
        yield Statement(_BOUND_RELEASES, [(limits.releases,)])
    yield from add_messages(batch.messages, limits)
    if batch.drop_segments_before is not None:
        yield Statement(_DROP_FRAMES, [(frame_id(batch.drop_segments_before, 0),)])
        yield Statement(_DROP_SEGMENTS, [(batch.drop_segments_before,)])
        yield Statement(_DROP_MINUTES, [(batch.drop_segments_before,)])


def message(row: tuple[str, str, bytes, str, int, int, float, float | None]) -> Message:
    """The `Message` of one outbox row without its id, in the order of the INSERT above."""
    kind, topic, payload, key, qos, retain, created_s, expires_s = row
    return Message(
        kind=MessageKind(kind), topic=topic, payload=payload, key=key, qos=qos, retain=bool(retain),
        created_s=created_s, expires_s=expires_s,
    )  # fmt: skip
