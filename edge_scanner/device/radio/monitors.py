"""What a passive receiver lets through: BlueZ has no pattern for "everything", so the usual flags stand in for it.

A row is (offset, AD type, first bytes) as BlueZ's advertisement monitor takes it (org.bluez.AdvertisementMonitor.rst);
AD types are those of the Assigned Numbers, section 2.3. Flags alone miss a device that sends none
(bluez/bluez#434), hence our own payloads besides.

bluetoothd 5.66 (Debian 12) keeps the size of one monitor's patterns, 34 bytes each, in eight bits: an eighth pattern
overruns its heap, and it hears nothing or dies. So the patterns are spread over several monitors.

From 5.69 on bluetoothd compares a service-data pattern with the payload without its UUID, and UUID lists with nothing
(bluez/bluez#652, #2110; read in 5.87), so that Exposure Notification, DP-3T and ROBERT of an Android phone, which sends
no flags, are not heard at all; and 5.70 to 5.82 die of one long advert (bluez/bluez#1169). Hence `hears_all`.
"""

from __future__ import annotations

FLAGS = 0x01
SOME_UUID16 = 0x02
ALL_UUID16 = 0x03
SOME_UUID128 = 0x06
ALL_UUID128 = 0x07
SERVICE_DATA16 = 0x16
MANUFACTURER = 0xFF

_USUAL_FLAGS = (0x02, 0x04, 0x05, 0x06, 0x18, 0x1A)
_BLUEZONE_COMPANY = bytes.fromhex("b522")
_UUIDS16 = ("564e", "f6fc")
"""As they are on air: Bluezone's, and Herald's since v2.1."""
_UUIDS128 = (
    "00004e5673f54bc4a12f17d1ad07a667",
    "e20a39f473f54bc4a12f17d1ad07a889",
    "e20a39f473f54bc4a12f17d1ad07a667",
    "b82ab3fc15954f6a80f0fe094cc218f9",
    "17e033d3490e4bc99fe82f567643f4d3",
    "a6ba4286c5504794a8889467ef0b31a8",
    "428132af474642d3801e4572d65bfd9b",
)
"""Bluezone's three, BlueTrace's three, Herald's before v2.1. BlueTrace Lite needs none: its flags are a part of it."""
_SERVICE_DATA = ("6ffd", "68fd", "64fd", "19c0")
"""Exposure Notification, DP-3T, ROBERT, TCN: 0xFD6F, 0xFD68, 0xFD64, 0xC019."""

_APPLE = ("4c0001", "4c000215")
"""Overflow area (background iPhones) and iBeacon."""

PATTERNS: tuple[tuple[int, int, bytes], ...] = (
    *((0, FLAGS, bytes((flags,))) for flags in _USUAL_FLAGS),
    (0, MANUFACTURER, _BLUEZONE_COMPANY),
    *((0, kind, bytes.fromhex(uuid)) for kind in (SOME_UUID16, ALL_UUID16) for uuid in _UUIDS16),
    *((0, kind, bytes.fromhex(uuid)[::-1]) for kind in (SOME_UUID128, ALL_UUID128) for uuid in _UUIDS128),
    *((0, SERVICE_DATA16, bytes.fromhex(uuid)) for uuid in _SERVICE_DATA),
    *((0, MANUFACTURER, bytes.fromhex(head)) for head in _APPLE),
)

MONITOR_SIZE = 7
"""Patterns a monitor may have: 7 times 34 and the head fit into eight bits."""

MONITORS = tuple(PATTERNS[first : first + MONITOR_SIZE] for first in range(0, len(PATTERNS), MONITOR_SIZE))
"""The patterns as they are given to BlueZ."""

FIRST_THAT_MISSES = (5, 69)
"""Of bluetoothd; no newer one that hears all is known."""


STARTS = 3
TRIAL_S = 60.0
"""Passive scanning that has to be started more often within a minute is what kills bluetoothd (bluez/bluez#1169)."""


def hears_all(version: tuple[int, int] | None) -> bool:
    """Whether a bluetoothd of this version lets through what active scanning hears; an unknown one is not trusted."""
    return version is not None and version < FIRST_THAT_MISSES


class Trial:
    """Passive scanning on trial: asked at each of its starts."""

    def __init__(self) -> None:
        self._starts: list[float] = []

    def end(self, version: tuple[int, int] | None, now_s: float) -> str:
        """Why it must end, a sentence for the journal; empty while it may go on. `now_s` is monotonic."""
        if not hears_all(version):
            told = ".".join(map(str, version)) if version else "of unknown version"
            return f"bluetoothd {told} does not hear every protocol passively"
        self._starts = [at_s for at_s in self._starts if now_s - at_s < TRIAL_S] + [now_s]
        return f"passive scanning had to be started {STARTS} times within a minute" * (len(self._starts) > STARTS)
