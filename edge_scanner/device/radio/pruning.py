"""How many devices BlueZ may remember for us: without a bound a flood of invented addresses is a flood of objects.

BlueZ keeps an object per address for 30 s after its last packet, and bleak mirrors each in some 2 kB: two thousand new
addresses a second would outgrow the unit's memory. What is too many is given back to BlueZ (`RemoveDevice`), the oldest
first: a device that is still there gets a new object with its next packet, and no packet is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_DEVICES = 10_000
"""The design point of live devices; looked at every five seconds, in which a flood brings as many again."""

_KEPT = ("Connected", "Paired", "Bonded", "Trusted")
"""Somebody's who works with it: removing it would end that."""


def in_use(properties: Mapping[str, Any]) -> bool:
    """Whether somebody works with the device of these properties of BlueZ."""
    return any(properties.get(name) for name in _KEPT)


def surplus(paths: Collection[str], used: Collection[str]) -> list[str]:
    """The first of the object paths that are too many, in the order the devices came, without those in use."""
    many = len(paths) - MAX_DEVICES
    if many <= 0:
        return []
    return [path for path, _ in zip((path for path in paths if path not in used), range(many), strict=False)]
