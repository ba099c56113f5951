"""How many devices BlueZ may remember for us: without a bound a flood of invented addresses is a flood of objects.

BlueZ keeps an object per address for 30 s after its last packet, and bleak mirrors each in some 4 kB: two thousand new
addresses a second would outgrow the unit's memory. What is too many is given back to BlueZ (`RemoveDevice`), the oldest
first: a device that is still there gets a new object with its next packet, and no packet is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_DEVICES = 10_000
"""The design point of live devices; looked at every five seconds, in which a flood brings as many again."""

_KEPT = ("Connected", "Paired", "Bonded", "Trusted")
"""Somebody's who works with it: removing it would end that."""


def surplus(devices: Collection[tuple[Any, Any]]) -> list[str]:
    """The object paths of the first of these that are too many; `devices` are bleak's, in the order they came."""
    many = len(devices) - MAX_DEVICES
    if many <= 0:
        return []
    free = (device.details for device, _ in devices if not any(device.details["props"].get(name) for name in _KEPT))
    return [details["path"] for details, _ in zip(free, range(many), strict=False)]
