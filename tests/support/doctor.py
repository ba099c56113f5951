"""A box under the doctor: where it is, and one line of what was found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_scanner.core.model import ClockQuality
from edge_scanner.device import settings
from edge_scanner.device.doctor.location import Place

if TYPE_CHECKING:
    from edge_scanner.core.diagnostics.advice import Finding
    from tests.support.box import Box


def place_of(box: Box, **changes: Any) -> Place:
    """Where the doctor looks: an ordinary box, by an NTP clock, with some `changes`."""
    box.state.mkdir(mode=0o700, exist_ok=True)
    place = Place(settings=settings.load(box.config), run=box.runtime, listen_s=1.0, quality=lambda: ClockQuality.NTP)
    return replace(place, **changes)


def one(findings: tuple[Finding, ...], check: str) -> tuple[str, str]:
    """Verdict and code of one check's only line."""
    found = [finding for finding in findings if finding.check == check]
    assert len(found) == 1, findings
    return str(found[0].verdict), found[0].code
