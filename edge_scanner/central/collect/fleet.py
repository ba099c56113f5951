"""The fleet's signed list as the collector uses it: read from its files, taken into the store, looked up by device."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edge_scanner.central.store.model import Box, Site
from edge_scanner.central.store.store import BoxList
from edge_scanner.core.counts.site_total import SEPARATE
from edge_scanner.core.enrolment import box_list
from edge_scanner.core.errors import RefusedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_BYTES = 16 << 20
"""100,000 boxes."""


def read(path: Path) -> BoxList:
    """The list at `path`, which the key beside it must have signed; raises RefusedError, BadDataError, StorageError."""
    pinned = path.with_name(box_list.FLEET_KEY_NAME)
    content, signature, key = (_read(one) for one in (path, path.with_name(f"{path.name}.sig"), pinned))
    source = box_list.source(content, signature, key, str(path))
    listed = box_list.boxes(content, str(path)).values()
    return BoxList(
        made=source.made_s,
        digest=hashlib.sha256(content).digest(),
        boxes=tuple(
            Box(device=box.device, site=box.site, room=box.room, state=box.state, identity=box.identity)
            for box in listed
        ),
        sites=tuple(_sites(listed).values()),
    )


def changed(path: Path) -> tuple[int, ...]:
    """When the list and its signature were written: another answer, another list; raises OSError."""
    return tuple(one.stat().st_mtime_ns for one in (path, path.with_name(f"{path.name}.sig")))


def _sites(listed: Iterable[box_list.Box]) -> Mapping[str, Site]:
    """Each venue once, as its first box has it; its rule is that of the first box that has one."""
    rules: dict[str, str] = {}
    for box in listed:
        rules[box.site] = rules.get(box.site) or box.hall_rule
    found: dict[str, Site] = {}
    for box in listed:
        found.setdefault(
            box.site,
            Site(
                site=box.site,
                name=box.name,
                province=box.province,
                district=box.district,
                kind=box.kind,
                rule=rules[box.site] or SEPARATE,
            ),
        )
    return found


def _read(path: Path) -> bytes:
    if not path.exists():
        raise RefusedError(
            "a list of boxes without it is not trusted",
            code="unsigned",
            where=str(path),
            hint=box_list.NEW_LIST,
        )
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StorageError("cannot be read", where=str(path), hint=error.strerror or "") from error
    if len(content) > MAX_BYTES:
        raise StorageError(f"larger than {MAX_BYTES} bytes", where=str(path))
    return content
