"""What must hold of what the arm64 programs said and the guest left. Pure but for reading the log's database.

The keys that open the log are here and never were in the guest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.arm64.story import MINUTES
from tests.support.opened_log import minutes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.bluez.air import Air
    from tests.e2e.verdict import Verdicts
    from tests.support.recipients import Parties

ADVERTS, FRAMES = 7902, 239
"""Of the capture dp3t-exp34/08.btsnoop, as on any other machine."""
WELL = (
    *("settings", "storage", "secrets", "unit", "hardening"),
    *("bluetoothd", "adapter", "adverts", "recipients", "retention"),
)
"""The lines of `doctor` that must pass; the guest has no broker, no certificate and no NTP."""


def of_version(said: str, expected: str) -> Verdicts:
    """The program that dpkg installed runs."""
    return {f"edge-scanner --version says {said}": said == expected}


def of_replay(replayed: dict[str, Any], verified: dict[str, Any]) -> Verdicts:
    """A capture of 8.5 hours through it."""
    return {
        f"replay hears {replayed['adverts']:,} adverts": replayed["adverts"] == ADVERTS,
        f"its sealed log of {verified['frames']} minutes verifies": verified["holds"] and verified["frames"] == FRAMES,
    }


def of_units(facts: dict[str, Any]) -> Verdicts:
    """What systemd did with the units."""
    started, process, stopped, revived = facts["started"], facts["process"], facts["stopped"], facts["revived"]
    ready_s = took_s(started, "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    own = started["User"], process["CapEff"], process["NoNewPrivs"], process["Seccomp"]
    fed = facts["fed"]["WatchdogTimestampMonotonic"] != started["WatchdogTimestampMonotonic"]
    doctor = {line["check"]: line["verdict"].upper() for line in facts["doctor"]["findings"]}
    unwell = sorted(check for check in WELL if doctor.get(check) != "PASS")
    kiosk, pages = facts["kiosk"]["ActiveState"], facts["pages"]
    fresh = json.loads(pages["/healthz"]) == {"alive": True, "snapshot": "fresh"}
    logs = [facts[f"verified {when}"]["holds"] for when in ("running", "stopped", "at last")]
    return {
        f"the guest is {', '.join(facts['machine'])}": facts["machine"][0] == "aarch64",
        f"the daemon tells systemd that it is ready, after {ready_s:.0f} s": (
            (started["ActiveState"], started["Type"]) == ("active", "notify")
        ),
        "it has a user of its own, no capability, a system call filter": own == ("edge-scanner", "0" * 16, "1", "2"),
        f"{facts['status']['frames']} minutes are sealed before it is stopped": facts["status"]["frames"] >= MINUTES,
        "systemd's watchdog is fed": fed and started["WatchdogUSec"] == "4min",
        f"doctor is content {f'but for {unwell}' if unwell else ''}": not unwell,
        "the kiosk is active and its snapshot fresh": kiosk == "active" and fresh and "<html" in pages["/"],
        "the screen stays off": facts["screen"] == "disabled",
        "systemctl stop ends the daemon in good order": (
            (stopped["ActiveState"], stopped["Result"], stopped["ExecMainStatus"]) == ("inactive", "success", "0")
        ),
        "killed, it is started again": (revived["ActiveState"], revived["NRestarts"]) == ("active", "1"),
        "its log verifies running, stopped, and after the kill": all(logs),
        f"no unit has failed {facts['failed']}": not facts["failed"],
    }


def took_s(shown: dict[str, str], begin: str, end: str) -> float:
    """Seconds between two of systemd's timestamps, which are in microseconds."""
    return (int(shown[end]) - int(shown[begin])) / 1e6


def of_log(left: Path, who: Parties, air: Air) -> Verdicts:
    """What was on the air is in the log that the guest sealed, and nothing else; and none of it is in the clear."""
    planted = {payload for _adapter, _minute, payload in air.sent if payload}
    opened = set(payloads(left / "log.db", who))
    secrets = planted | air.addresses
    spelt = secrets | {text.encode() for secret in secrets for text in (secret.hex(), secret.hex().upper())}
    spelt |= {address.hex(":").upper().encode() for address in air.addresses}
    clear = sorted({path.name for path in left.iterdir() for text in spelt if text in path.read_bytes()})
    return {
        f"the {len(planted)} identifiers on the air, and no other, are in the opened log": bool(planted)
        and opened == planted,
        f"none of them, and no address, is in the clear in what the guest left {clear or ''}": not clear,
    }


def payloads(database: Path, who: Parties) -> Iterator[bytes]:
    """The payload of each record, opened with both keys."""
    for minute in minutes(database, who):
        for record in minute.encounters:
            # The log pads Bluezone's 12 bytes to 20.
            yield record.payload[:12] if not any(record.payload[12:]) else record.payload
