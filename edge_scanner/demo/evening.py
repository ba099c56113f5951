"""The evening before the rehearsal: two hours of a hall, sealed by the box's own pipeline, and the truth about them.

The hours lie in the past of every clock, the box's and the authority's, so that no rule of either has to give way: an
order may ask for hours that are over, and these are. A patient's phone is planted in the crowd; a second case was
elsewhere that evening, and that phone must not be found.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from edge_scanner import protocols
from edge_scanner.device import settings
from edge_scanner.device.commands.replay_log import sealed_replay
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan, Planted
from edge_scanner.protocols import bluezone

VIET_NAM = timezone(timedelta(hours=7))
DEVICES = 30.0
"""In the hall at any time, beside the patient."""
DAY_S, HOUR_S, MINUTE_S = 86_400, 3600, 60
LENGTH_S = 2 * HOUR_S
ARRIVES_S, LEAVES_S = 20 * MINUTE_S, 80 * MINUTE_S
ORDERED_S = (30 * MINUTE_S, 90 * MINUTE_S)
"""The order begins after the patient came and ends after they left: one edge is the order's, one the patient's."""
PATIENT, ELSEWHERE = "case-1", "case-2"
_RSSI_DBM = -66


@dataclass(frozen=True, slots=True, kw_only=True)
class Evening:
    """When it was (UTC seconds), who was there, and the case who was not."""

    start_s: int
    patient: Planted
    elsewhere: Planted

    @property
    def ordered_s(self) -> tuple[int, int]:
        """The hours that the authority asks for, UTC seconds."""
        return self.start_s + ORDERED_S[0], self.start_s + ORDERED_S[1]

    @property
    def cases(self) -> dict[str, bytes]:
        """Both case documents, as the ministry's files have them, by name."""
        return {one.name: self._document(one) for one in (self.patient, self.elsewhere)}

    def _document(self, one: Planted) -> bytes:
        """The key of the day, until the hall closed."""
        entry = {
            "daily_key": one.key.hex().upper(),
            "time_start": self.start_s // DAY_S * DAY_S,
            "max": 96,
            "time_end": self.start_s + LENGTH_S,
        }
        return json.dumps({"data": [entry]}).encode()


def plan(now_s: float) -> Evening:
    """An evening about four hours before `now_s`, within one UTC day, because a case's key is a day's key."""
    start_s = int(now_s - 4 * HOUR_S) // HOUR_S * HOUR_S
    if start_s // DAY_S != (start_s + LENGTH_S - 1) // DAY_S:
        start_s -= LENGTH_S
    patient, elsewhere = (
        Planted(
            name=name,
            key=secrets.token_bytes(32),
            arrive_s=float(start_s + ARRIVES_S),
            leave_s=float(start_s + LEAVES_S),
            rssi=_RSSI_DBM,
        )
        for name in (PATIENT, ELSEWHERE)
    )
    return Evening(start_s=start_s, patient=patient, elsewhere=elsewhere)


def seal(config: Path, device_id: str, evening: Evening) -> frozenset[int]:
    """Let the evening happen at the box, which is not running yet; the minutes in which it heard the patient's phone.

    `config` names the box's settings; minutes are UTC seconds. Raises EdgeScannerError.
    """
    crowd = Crowd(
        CrowdPlan(devices=DEVICES, duration_s=float(LENGTH_S), planted=(evening.patient,)),
        seed=secrets.randbits(32),
        start_s=float(evening.start_s),
    )
    shown = {
        value
        for one in crowd.on_air(PATIENT)
        for value in one.data.manufacturer_data.values()
        if len(value) == bluezone.IDENTIFIER_BYTES
    }
    box = settings.load(config)
    state_dir = Path(box.device.state_dir)
    (state_dir / "device-id").write_text(device_id)
    (state_dir / "device-id").chmod(0o600)
    heard = set()
    with sealed_replay(box.log, state_dir, protocols.load(box.radio.protocols)) as take:
        for advert in crowd.adverts():
            take(advert)
            if shown.intersection(advert.data.manufacturer_data.values()):
                heard.add(int(advert.last_s) // MINUTE_S * MINUTE_S)
    return frozenset(heard)


def local(at_s: float) -> str:
    """A moment as an officer types it."""
    return f"{datetime.fromtimestamp(at_s, VIET_NAM):%Y-%m-%dT%H:%M}"


def utc(at_s: float) -> str:
    """A moment as the report's table has it."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%MZ}"
