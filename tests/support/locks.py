"""Reading packaging/locks: what a machine takes from a lock."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = Path(__file__).parents[2] / "packaging" / "locks"


def pins(lock: str) -> list[Requirement]:
    """Each `name==version ; marker` of a lock."""
    text = (LOCKS / f"{lock}.lock").read_text()
    return [Requirement(line) for line in re.findall(r"^([A-Za-z0-9].*?) \\$", text, re.MULTILINE)]


def taken(lock: str, machine: dict[str, str] | None = None) -> dict[str, str]:
    """Name and version of what a machine, else this one, takes from a lock; AssertionError for two versions of one."""
    chosen: dict[str, str] = {}
    for pin in pins(lock):
        if pin.marker is None or pin.marker.evaluate(machine):
            assert canonicalize_name(pin.name) not in chosen, pin.name
            chosen[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return chosen
