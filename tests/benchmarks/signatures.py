"""What a signature by the run's key on each count, health, status and audit message would cost box, line and collector.

Today these messages are not signed (docs/threat-model.md says what that allows). The least that signing takes is
measured beside what is done for the same message anyway: an Ed25519 signature over the payload on the box, its check by
the collector, 88 characters of base64 and their name on the line. Seconds are of the processor, the best of five
rounds, so a busy machine changes the ratios little.

Run: `python -m tests.benchmarks.signatures --write`, or `--json`.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from edge_scanner.core import health, messages
from edge_scanner.core.messages import AuditAction, AuditEntry
from edge_scanner.device.daemon.parts import HEALTH_S
from tests.benchmarks import document
from tests.benchmarks.seal import DAY_MINUTES, HALL, seal_times
from tests.support import snapshots
from tests.support.publishing import Publisher, heard, judge
from tests.support.sealed_logs import HOUR_S, Box, encounter

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.core.model import Message

ROUNDS = 5
FIELD = ',"signature":""'
SIGNATURE_CHARACTERS = 88
DAY_S = 86_400


def cost(act: Callable[[], object], count: int) -> float:
    """Microseconds of the processor for one."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(count):
            act()
        best = min(best, time.process_time() - begin)
    return best / count * 1e6


def kinds(box: Publisher) -> dict[str, tuple[Callable[[], Message], float]]:
    """How each message that is not signed is made, and how many a box sends in a day."""
    at_s = box.log.now_s
    entry = AuditEntry(
        number=3, action=AuditAction.ANSWER, authority="authority-hcm", case="HCM-2026-0417", request=bytes(32),
        from_s=at_s - 4 * 3600, to_s=at_s, head=bytes(32),
    )  # fmt: skip
    return {
        "counts": (lambda: box.counts(at_s - 3600), DAY_S / 3600),
        "health": (lambda: health.to_message(snapshots.healthy(at_s), sender=box.sender, seq=7), DAY_S / HEALTH_S),
        "status": (box.status, 1),
        "audit": (lambda: messages.audit(entry, sender=box.sender, created_s=at_s), 1),
    }


def measure(count: int) -> dict[str, dict[str, float]]:
    """By kind of message; `day` is a box's whole day beside the sealing of its log."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    box = Publisher()
    box.hours(2)
    reader = judge(box)
    found: dict[str, dict[str, float]] = {}
    signed_us = 0.0
    for kind, (make, a_day) in kinds(box).items():
        message = make()
        payload, signature = message.payload, key.sign(message.payload)
        made, sign = cost(make, count), cost(partial(key.sign, payload), count)
        judged = cost(partial(reader.judge, heard(message)), count)
        check = cost(partial(public.verify, signature, payload), count)
        more = len(FIELD) + SIGNATURE_CHARACTERS
        signed_us += sign * a_day
        found[kind] = {
            "a_day": a_day, "bytes": len(payload), "more_bytes": more, "made_us": made, "sign_us": sign,
            "judged_us": judged, "check_us": check,
        }  # fmt: skip
    sealer = Box(start_s=HOUR_S)
    begin = time.process_time()
    seal_times(sealer, [encounter(number) for number in range(HALL)], DAY_MINUTES)
    sealed_us = (time.process_time() - begin) * 1e6
    found["day"] = {"signed_ms": signed_us / 1e3, "sealed_ms": sealed_us / 1e3, "ratio": signed_us / sealed_us}
    return found


def rows(found: dict[str, dict[str, float]]) -> list[tuple[str, ...]]:
    """The table of the document: one row a kind."""
    return [
        (
            kind,
            f"{one['a_day']:.0f}",
            f"{one['made_us']:.0f}, {one['sign_us']:.0f}, {one['sign_us'] / one['made_us']:.1f}",
            f"{one['judged_us']:.0f}, {one['check_us']:.0f}, {one['check_us'] / one['judged_us']:.1f}",
            f"{one['bytes']:.0f}, {one['more_bytes']:.0f}, {one['more_bytes'] / one['bytes']:.2f}",
        )
        for kind, one in found.items()
        if kind != "day"
    ]


def main() -> None:
    """Measure, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=2000, help="messages of each kind a round (2000)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    found = measure(options.count)
    if options.json:
        print(json.dumps(found))  # noqa: T201 (the result is the output)
        return
    heads = (
        "message", "a day", "box, µs: made, signed, ratio", "collector, µs: judged, checked, ratio",
        "bytes: now, more, ratio",
    )  # fmt: skip
    day = found["day"]
    whole = (
        f"A box's day: {day['signed_ms']:.0f} ms of signatures beside {day['sealed_ms']:,.0f} ms for sealing the log "
        f"of a hall of {HALL}, {day['ratio']:.3f} of it."
    )
    if options.write:
        text = f"{document.table(heads, rows(found))}\n\n{whole}"
        document.write("signatures", "python -m tests.benchmarks.signatures --write", text)
    table = Table(*heads, box=None, header_style="bold")
    for row in rows(found):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(whole)


if __name__ == "__main__":
    main()
