"""The capacity alarm, by webhook or mail: a side task that tells when the venue is over its limit, and when no more.

Each change is sent at most `TRIES` times, each with a deadline for all of it; a newer change takes its place. The body
holds no figure. What the address answers beyond its status is not read, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from edge_scanner.core.counts.capacity import over_limit
from edge_scanner.device.system import journal, supervise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import tzinfo

    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.device.settings import Alarm

    Send = Callable[[Snapshot, bool, float], Awaitable[bool]]
    """Tell somebody about a snapshot, over its limit or not, before a deadline; whether it was taken."""

LOOK_S = 5.0
TRIES = 5
FIRST_PAUSE_S = 5.0
"""Before the second try; each later pause is three times as long, seven minutes in all."""
DEADLINE_S = 10.0

_log = journal.get("alarm")


def watchers(
    alarm: Alarm, *, zone: tzinfo, latest: Callable[[], Snapshot | None]
) -> dict[str, Callable[[], Awaitable[None]]]:
    """The side tasks that these settings ask for; neither waits for the other."""
    found = {}
    if alarm.webhook:
        found["alarm"] = watcher(by_webhook(alarm.webhook), latest=latest)
    if alarm.mail_relay:
        found["alarm_mail"] = watcher(by_mail(alarm, zone), latest=latest)
    return found


def watcher(
    send: Send,
    *,
    latest: Callable[[], Snapshot | None],
    first_pause_s: float = FIRST_PAUSE_S,
    look_s: float = LOOK_S,
    deadline_s: float = DEADLINE_S,
) -> Callable[[], Awaitable[None]]:
    """The side task; `latest` is the newest snapshot, `send` says whether somebody took it."""

    async def watch() -> None:
        told, tries, wait_s = False, 0, 0.0
        while True:
            snapshot = latest()
            over = _over(snapshot) if snapshot is not None else None
            if snapshot is None or over is None or over is told:
                tries, wait_s = 0, 0.0
            elif tries < TRIES and wait_s <= 0:
                tries += 1
                wait_s = first_pause_s * 3 ** (tries - 1)
                taken = await send(snapshot, over, deadline_s)
                supervise.obey_stop()
                if taken:
                    told = over
                    _log.info("alarm told", over_limit=over)
                elif tries == TRIES:
                    _log.error("alarm not told: nobody took it", tries=tries)
                    told = over
            wait_s -= look_s
            await asyncio.sleep(look_s)

    return watch


def _over(snapshot: Snapshot) -> bool | None:
    return over_limit(snapshot.venue.limit, snapshot.crowd.level, snapshot.today)


def by_webhook(webhook: str) -> Send:
    """POSTs to this address."""

    async def send(snapshot: Snapshot, over: bool, deadline_s: float) -> bool:
        return await _post(webhook, body(snapshot, over=over), deadline_s=deadline_s)

    return send


def by_mail(alarm: Alarm, zone: tzinfo) -> Send:
    """Mails through the venue's relay."""
    from edge_scanner.device.daemon import alarm_mail  # noqa: PLC0415 (most boxes send none)

    async def send(snapshot: Snapshot, over: bool, deadline_s: float) -> bool:
        return await alarm_mail.send(
            alarm, alarm_mail.message(alarm, snapshot, over=over, zone=zone), deadline_s=deadline_s
        )

    return send


def body(snapshot: Snapshot, *, over: bool) -> bytes:
    """What is sent: which box, whether it is over, since which released bin."""
    at = datetime.fromtimestamp(snapshot.crowd.at_s or snapshot.written_s, UTC).isoformat()
    venue = snapshot.venue
    about = {"device": venue.device, "name_vi": venue.name_vi, "name_en": venue.name_en, "over_limit": over, "at": at}
    return json.dumps(about, ensure_ascii=False).encode()


async def _post(webhook: str, content: bytes, *, deadline_s: float) -> bool:
    """Whether the address took it."""
    import aiohttp  # noqa: PLC0415 (a box without a webhook needs no client)

    try:
        async with (
            asyncio.timeout(deadline_s),
            aiohttp.ClientSession() as session,
            session.post(
                webhook, data=content, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as answer,
        ):
            if answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return True
            status, error = answer.status, ""
    except (aiohttp.ClientError, OSError, ValueError) as failed:
        # The address may hold a secret: neither it nor an error that quotes it is written down.
        status, error = None, type(failed).__name__
    _log.warning("the webhook did not take the alarm", status=status, error=error)
    return False
