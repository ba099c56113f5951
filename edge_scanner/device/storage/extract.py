"""The bundle of an answered request as a view of the stored rows: made once, given out piece by piece, kept nowhere.

An `Extent` (core/pull/answer.py) and the rows give the same bytes again after a restart, because rows never change:
nothing is copied to the card, and what retention takes away is gone from an answered request, too.

The order of reading matters, since the scanner goes on writing: headers, then leaves, then frames. A segment that gets
its leaf in between is complete by the time its frames are read; one that has none is the newest, and its frames so far
are counted into the extent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.log import format as layout
from edge_scanner.core.log.bundle import BundleWriter, Context
from edge_scanner.core.pull import policy
from edge_scanner.core.pull.answer import PIECE_BYTES, Extent, Part
from edge_scanner.device.storage.bundling import headers_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.core.model import SegmentHeader
    from edge_scanner.core.pull.answer import AuditRecord
    from edge_scanner.device.storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A stretch of the body: the boot records (`header` None, bytes in `data`) or one segment's header and frames."""

    start: int
    size: int
    header: SegmentHeader | None = None
    frames: int = 0
    data: bytes = b""


class Extract:
    """A bundle ready to be given out. `extent` and the signed `manifest` describe it; made by `extract`."""

    def __init__(self, store: Store, extent: Extent, manifest: bytes, runs: list[_Run]) -> None:
        self.extent = extent
        self.manifest = manifest
        self.manifest_sha256 = hashlib.sha256(manifest).digest()
        self.body_bytes = runs[-1].start + runs[-1].size
        self.pieces = -(-len(manifest) // PIECE_BYTES) + -(-self.body_bytes // PIECE_BYTES)
        self._store = store
        self._runs = runs
        self._cached: tuple[int, bytes] = (-1, b"")

    async def piece(self, part: Part, number: int) -> bytes:
        """Piece `number` of the manifest or the body, empty past its end.

        Raises RefusedError (`gone`) when retention has taken its rows, StorageError.
        """
        start = number * PIECE_BYTES
        if part is not Part.BODY:
            return self.manifest[start : start + PIECE_BYTES]
        end = min(start + PIECE_BYTES, self.body_bytes)
        piece = b""
        for index, run in enumerate(self._runs):
            if run.start < end and run.start + run.size > start:
                data = await self._bytes(index)
                piece += data[max(0, start - run.start) : end - run.start]
        return piece

    async def _bytes(self, index: int) -> bytes:
        """A whole stretch; the latest one is kept, because pieces are asked for in order."""
        run = self._runs[index]
        if run.header is None:
            return run.data
        if self._cached[0] != index:
            writer = BundleWriter(_NOBODY, ())
            rows = [writer.segment(run.header)]
            async for frame in self._store.frames(run.header.seq):
                if len(rows) <= run.frames:
                    rows.append(writer.frame(frame))
            data = b"".join(rows)
            if len(data) != run.size:
                policy.refuse(policy.Code.GONE, "the hours asked for were deleted since")
            self._cached = (index, data)
        return self._cached[1]


_NOBODY = Context(device="", from_s=0, to_s=0, made_s=0, quality=layout.clock_quality(0))
"""For rows whose manifest is not wanted."""


async def extract(
    store: Store, identity: Ed25519PrivateKey, request: AuditRecord, extent: Extent, *, again: bool = False
) -> Extract:
    """The bundle for the hours of `request`; `extent` says when it was made and where the audit trail stood.

    With `again` it is the bundle that `extent` describes, else its segments and sizes are found here.
    Raises RefusedError (`gone`) when rows of that extent are no longer there, StorageError.
    """
    if again:
        headers = [
            header
            async for header in store.headers(float("-inf"), float("inf"))
            if extent.first <= header.seq <= extent.last
        ]
        if extent.first >= 0 and len(headers) != extent.last - extent.first + 1:
            policy.refuse(policy.Code.GONE, "the hours asked for were deleted since")
    else:
        headers = await headers_of(store, request.from_s, request.to_s)
    leaves = [leaf.digest async for leaf in store.leaves()]
    if again:
        leaves = leaves[: extent.tree_size]
    context = Context(
        device=request.device,
        from_s=request.from_s,
        to_s=request.to_s,
        made_s=extent.made_s,
        quality=extent.quality,
        request=request.request.hex(),
        audit_entries=extent.audit_entries,
        audit_head=extent.audit_head,
    )
    writer = BundleWriter(context, leaves)
    needed = {layout.parse_header(header.header).boot_id for header in headers}
    boots = [writer.boot(boot) async for boot in store.boots() if layout.parse_boot(boot.record).boot_id in needed]
    runs = [_Run(start=0, size=sum(map(len, boots)), data=b"".join(boots))]
    for header in headers:
        size, frames = len(writer.segment(header)), 0
        async for frame in store.frames(header.seq):
            if again and header.seq == extent.last and frames == extent.last_frames:
                break
            size += len(writer.frame(frame))
            frames += 1
        runs.append(_Run(start=runs[-1].start + runs[-1].size, size=size, header=header, frames=frames))
    found = Extent(
        made_s=extent.made_s,
        quality=extent.quality,
        audit_entries=extent.audit_entries,
        audit_head=extent.audit_head,
        tree_size=len(leaves),
        first=headers[0].seq if headers else -1,
        last=headers[-1].seq if headers else -1,
        last_frames=runs[-1].frames,
    )
    return Extract(store, found, writer.manifest(identity), runs)
