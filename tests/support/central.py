"""Rows for the centre's tables, as boxes would have caused them."""

from __future__ import annotations

import json
from typing import Any

from edge_scanner.central.store.model import Box, Release, Site, State, Statement
from edge_scanner.central.store.store import BoxList
from edge_scanner.core.enrolment.device_id import ENTROPY_BYTES, from_entropy

HOUR_S = 1_795_503_600
"""2026-11-24 07:00 UTC, the start of an hour."""
DEVICES = ("K7MP2R9CX4", "A1B2C3D4E5", "ZYXWVTSRQP")


def device_of(number: int) -> str:
    """The id of a fleet's box of this number."""
    return from_entropy(number.to_bytes(ENTROPY_BYTES))


def release(device: str = DEVICES[0], bin_start: int = HOUR_S, **changes: Any) -> Release:
    """An hour of a box."""
    figures = changes.pop("figures", {"nearby": 600, "bluezone": 120})
    fields: dict[str, Any] = {
        "device": device,
        "ledger": "broker",
        "bin_start": bin_start,
        "bin_s": 3600,
        "site": "ben-xe-mien-dong",
        "boot": 12,
        "minutes_covered": 60,
        "epsilon": 0.25,
        "scale": 264.0,
        "clock": "ntp",
        "figures": figures,
        "at": bin_start + 3603,
        "received": bin_start + 3604,
        "payload": json.dumps({"figures": figures, "bin_start": bin_start}).encode(),
        "segment": 411,
        "link": bytes(32),
    }
    return Release(**(fields | changes))


def statement(device: str = DEVICES[0], kind: str = "audit", number: int = 1, **changes: Any) -> Statement:
    """What a box stated."""
    fields: dict[str, Any] = {
        "device": device,
        "kind": kind,
        "mark": str(number),
        "number": number,
        "at": HOUR_S + number,
        "received": HOUR_S + number + 1,
        "payload": f"{kind} {number}".encode(),
    }
    return Statement(**(fields | changes))


def state(device: str = DEVICES[0], kind: str = "status", boot: int = 12, seq: int = 1, **changes: Any) -> State:
    """A box about itself."""
    fields: dict[str, Any] = {
        "device": device,
        "kind": kind,
        "boot": boot,
        "seq": seq,
        "at": HOUR_S + 60 * seq,
        "received": HOUR_S + 60 * seq + 1,
        "body": {"boot": boot, "seq": seq},
    }
    return State(**(fields | changes))


def box_list(made: int = HOUR_S, devices: tuple[str, ...] = DEVICES) -> BoxList:
    """A signed list as the store takes it."""
    return BoxList(
        made=made,
        digest=f"{made} {devices}".encode(),
        boxes=tuple(
            Box(device=device, site="ben-xe-mien-dong", room=f"Cửa {place}", state="enrolled", identity=bytes(32))
            for place, device in enumerate(devices, 1)
        ),
        sites=(Site(site="ben-xe-mien-dong", name="Bến xe Miền Đông", province="TP. Hồ Chí Minh", kind="station"),),
    )
