"""The centre's signed word on the time, which ends the doubt about a clock that leapt (core/trusted_clock.py).

Only a key that the fleet's key, pinned at the enrolment, appointed is believed; connection and topic prove nothing. A
box without such a key, as one that stands on its own, waits out the 48 hours.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core import public_keys, signed, signed_time
from edge_scanner.core.errors import LogError
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from edge_scanner.device.settings import Settings
    from edge_scanner.mqtt.uplink import Incoming

_log = journal.get("time")


def fleet_key(settings: Settings) -> Ed25519PublicKey | None:
    """The fleet's key as it was pinned, None where there is none."""
    path = Path(settings.log.authority_root).parent / "fleet.pub"
    try:
        return public_keys.ed25519(signed.unbase64(small_files.content(path).decode().strip()), path.name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LogError) as error:
        _log.warning("the fleet's key cannot be read: no time of the centre is believed", reason=str(error))
        return None


class Receiver:
    """Takes messages of `signed_time.topic` and tells what they prove."""

    def __init__(self, key: Ed25519PublicKey, tell: Callable[[float], None]) -> None:
        self._key = key
        self._tell = tell

    async def take(self, incoming: Incoming) -> None:
        """One message, retained or not: an old one says less, not wrong. Raises LogError."""
        self._tell(signed_time.read(incoming.payload, self._key))
