"""Times that a technician types and reads: the venue's zone, named wherever a time is printed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from datetime import tzinfo


def parse_time(text: str, zone: tzinfo) -> int:
    """UTC seconds of an ISO 8601 time; without an offset it is the venue's. Raises BadDataError."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError) as error:
        raise BadDataError(
            "not a time", where=text, hint="write 2026-11-24T08:00 (the venue's zone) or 2026-11-24T01:00Z"
        ) from error


def local(at_s: float | None, zone: tzinfo) -> str:
    """A moment at the venue with the zone's name: 2026-11-24 08:00 +07; "none" for no moment."""
    return "none" if at_s is None else f"{datetime.fromtimestamp(at_s, UTC).astimezone(zone):%Y-%m-%d %H:%M %Z}"
