"""What every user of the store may rely on: nothing grows without end, and what goes first is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import StorageError
from edge_scanner.core.model import Batch, MessageKind, Release
from edge_scanner.device.storage.rows import OutboxRow
from edge_scanner.device.storage.store import Store, StoreLimits, open_store
from tests.support.batches import batch, message
from tests.support.stored import database, frames

if TYPE_CHECKING:
    from pathlib import Path

path = pytest.fixture(database)


async def test_outbox_gives_rows_oldest_first_in_pages(path: Path) -> None:
    """`oldest` pages with after_id; a deleted row is gone and its id is never given again."""
    async with open_store(path) as store:
        await store.commit(Batch(messages=tuple(message(MessageKind.COUNTS, n) for n in range(10))))
        first = await store.oldest(4)
        second = await store.oldest(100, after_id=first[-1].id)
        await store.delete(row.id for row in second)
        await store.delete([12345])
        await store.commit(Batch(messages=(message(MessageKind.COUNTS, 10),)))
        last = await store.oldest(100, after_id=first[-1].id)

        assert [row.message.key for row in first + second] == [f"counts-{n}" for n in range(10)]
        assert last == [OutboxRow(id=second[-1].id + 1, message=message(MessageKind.COUNTS, 10))]
        assert await store.outbox_size() == 5


async def test_full_outbox_drops_the_least_worth_first(path: Path) -> None:
    """Health goes first, then status, superseded checkpoints, counts; audit, boot and the newest checkpoint stay."""
    kinds = [MessageKind(kind) for kind in ("audit", "boot", "checkpoint", "counts", "status", "health")]
    kept = []
    async with open_store(path, limits=StoreLimits(outbox_rows=18)) as store:
        await store.commit(Batch(messages=tuple(message(kind, n) for n in range(3) for kind in kinds)))
        for size in (15, 12, 10, 7, 3):
            async with _smaller(store, StoreLimits(outbox_rows=size)):
                await store.commit(Batch(messages=(message(MessageKind.AUDIT, 0),)))
            kept.append({row.message.key for row in await store.oldest(100)})
        dropped = await store.outbox_dropped()

    audit, boot = {f"audit-{n}" for n in range(3)}, {f"boot-{n}" for n in range(3)}
    counts, checkpoints = {f"counts-{n}" for n in range(3)}, {f"checkpoint-{n}" for n in range(3)}
    assert kept == [
        audit | boot | checkpoints | counts | {f"status-{n}" for n in range(3)},
        audit | boot | checkpoints | counts,
        audit | boot | counts | {"checkpoint-2"},
        audit | boot | {"checkpoint-2"},
        audit,
    ]
    assert dropped == 15


class _smaller:  # noqa: N801 [reads as a verb in `async with`]
    """The same store under other limits for a while."""

    def __init__(self, store: Store, limits: StoreLimits) -> None:
        self.store, self.limits = store, limits

    async def __aenter__(self) -> None:
        self.store._limits, self.limits = self.limits, self.store._limits

    async def __aexit__(self, *_: object) -> None:
        self.store._limits = self.limits


async def test_outbox_is_bounded_in_bytes_and_drops_the_oldest(path: Path) -> None:
    """Twenty messages of 1 kB under a limit of 10 kB leave the ten newest, and the ten others are counted for ever."""
    async with open_store(path, limits=StoreLimits(outbox_bytes=10_000)) as store:
        for n in range(20):
            await store.commit(Batch(messages=(message(MessageKind.HEALTH, n, size=1000),)))
        kept = [row.message.key for row in await store.oldest(100)]
    async with open_store(path) as store:
        dropped = await store.outbox_dropped()

    assert kept == [f"health-{n}" for n in range(10, 20)]
    assert dropped == 10


async def test_audit_messages_are_never_dropped(path: Path) -> None:
    """An outbox full of audit messages alone stays above its limit rather than lose one."""
    async with open_store(path, limits=StoreLimits(outbox_rows=2)) as store:
        await store.commit(Batch(messages=tuple(message(MessageKind.AUDIT, n) for n in range(5))))

        assert await store.outbox_size() == 5
        assert await store.outbox_dropped() == 0


async def test_releases_are_bounded_by_age_of_insertion(path: Path) -> None:
    """The oldest releases go by number, so a clock that jumps purges nothing."""
    async with open_store(path, limits=StoreLimits(releases=3)) as store:
        for start in (0, 3600, 7200, 2**40, 10800):
            await store.commit(Batch(releases=(Release(ledger="broker", bin_start_s=start, body=b"{}"),)))

        assert [release.bin_start_s for release in await store.releases(0.0)] == [7200, 10800, 2**40]
        assert [release.bin_start_s for release in await store.releases(10000.0)] == [10800, 2**40]


async def test_retention_drops_whole_segments_and_keeps_leaves(path: Path) -> None:
    """A batch that brings a frame and drops removes headers and frames below the number, and nothing else."""
    async with open_store(path) as store:
        await store.commit(batch(range(180)))
        await store.commit(batch([180], drop_segments_before=2))

        assert [header.seq async for header in store.headers(0.0, 1e9)] == [2, 3]
        assert await frames(store, 1) == []
        assert len(await frames(store, 2)) == 60
        assert [leaf.seq async for leaf in store.leaves()] == [0, 1, 2]
        assert [(span.hour_s, span.minutes) for span in await store.spans()] == [
            (7200.0, (1 << 60) - 1),
            (10800.0, 1),
        ]
        assert await store._read("SELECT seq FROM recorded ORDER BY seq") == [(2,), (3,)]


async def test_full_audit_trail_refuses_more(path: Path) -> None:
    """No audit entry, no answer: past its limit the trail says so instead of forgetting."""
    async with open_store(path, limits=StoreLimits(audit_entries=2)) as store:
        full = []
        for entry in (b"1", b"2"):
            await store.audit_append(entry)
            full.append(store.audit_full)

        assert full == [False, True]
        with pytest.raises(StorageError, match="audit trail is full"):
            await store.audit_append(b"3")
    async with open_store(path, limits=StoreLimits(audit_entries=2)) as store:
        assert store.audit_full


async def test_nonces_are_bounded_by_expiry(path: Path) -> None:
    """The nonces that expire first are forgotten first."""
    async with open_store(path, limits=StoreLimits(nonces=2)) as store:
        for number in range(4):
            await store.audit_append(b"{}", nonce=(bytes([number]), float(number)))

        assert [await store.nonce_seen(bytes([number])) for number in range(4)] == [False, False, True, True]
