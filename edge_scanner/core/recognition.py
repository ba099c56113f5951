"""One advert seen by every protocol: a phone may run two apps, so there may be several sightings of it.

Most adverts are of headphones, watches and beacons. So nobody is asked about an advert that has none of the UUIDs and
company numbers by which a protocol's adverts are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.model import Advert, BeaconProtocol, Sighting


class Recogniser:
    """Asks the `protocols` of which an advert has a mark, in their order."""

    def __init__(self, protocols: Iterable[BeaconProtocol]) -> None:
        self._protocols = tuple(protocols)
        marks = frozenset[str | int]().union(*(protocol.marks for protocol in self._protocols))
        self._asked = {
            mark: tuple(protocol for protocol in self._protocols if mark in protocol.marks) for mark in marks
        }

    def recognise(self, advert: Advert) -> list[Sighting]:
        """Every protocol's view of one advert; empty for a foreign one."""
        data, asked = advert.data, self._asked
        found: tuple[BeaconProtocol, ...] = ()
        for marks in (data.service_data, data.manufacturer_data, data.service_uuids):
            for mark in marks:
                if mark in asked and (more := asked[mark]) != found:
                    found = tuple(one for one in self._protocols if one in found or one in more) if found else more
        return [sighting for protocol in found if (sighting := protocol.decode(advert)) is not None]


def recognise(protocols: Iterable[BeaconProtocol], advert: Advert) -> list[Sighting]:
    """The same for one advert."""
    return Recogniser(protocols).recognise(advert)
