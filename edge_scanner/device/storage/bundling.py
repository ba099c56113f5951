"""From the store to a bundle (core/log/bundle.py): the one road for `log export`, the USB stick and the pull.

The rows go out in a fixed order, so the same hours give the same bytes whoever asks: boot records of the segments,
then each segment with its frames, from the first that may hold a minute of the window to the last, without leaving one
out in between (a clock that was set back makes their times overlap, their numbers never do).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.log import format as layout
from edge_scanner.core.log.bundle import BundleWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.core.log.bundle import Context
    from edge_scanner.core.model import SegmentHeader
    from edge_scanner.device.storage.store import Store


async def headers_of(store: Store, from_s: float, to_s: float) -> list[SegmentHeader]:
    """The headers of a bundle for [from_s, to_s), UTC seconds: every segment between the first and last that match."""
    matching = [header.seq async for header in store.headers(from_s, to_s)]
    if not matching:
        return []
    first, last = min(matching), max(matching)
    return [header async for header in store.headers(float("-inf"), float("inf")) if first <= header.seq <= last]


async def write_bundle(
    store: Store,
    context: Context,
    identity: Ed25519PrivateKey,
    *,
    write: Callable[[bytes], object],
    on_segment: Callable[[int, int], None] = lambda _done, _total: None,
) -> bytes:
    """Hand the body's bytes to `write`, row by row, and return the signed manifest.

    `on_segment(done, total)` is told of each finished segment. An empty window makes an empty body.
    Raises StorageError.
    """
    headers = await headers_of(store, context.from_s, context.to_s)
    writer = BundleWriter(context, [leaf.digest async for leaf in store.leaves()])
    needed = {layout.parse_header(header.header).boot_id for header in headers}
    async for boot in store.boots():
        if layout.parse_boot(boot.record).boot_id in needed:
            write(writer.boot(boot))
    for done, header in enumerate(headers, 1):
        write(writer.segment(header))
        async for frame in store.frames(header.seq):
            write(writer.frame(frame))
        on_segment(done, len(headers))
    return writer.manifest(identity)
