"""One advert seen by every protocol: a phone may run two apps, so there may be several sightings of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.model import Advert, BeaconProtocol, Sighting


def recognise(protocols: Iterable[BeaconProtocol], advert: Advert) -> list[Sighting]:
    """Every protocol's view of one advert; empty for a foreign one."""
    return [sighting for protocol in protocols if (sighting := protocol.decode(advert)) is not None]
