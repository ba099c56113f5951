"""The capacity alarm by webhook: a side task that tells one address when the venue is over its limit, and when no more.

Each change is sent at most `TRIES` times, in a thread with a deadline; a newer change takes its place. The body holds
no figure. What the address answers beyond its status is not read, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from edge_scanner.core.counts.capacity import over_limit
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_scanner.core.snapshot import Snapshot

LOOK_S = 5.0
TRIES = 5
FIRST_PAUSE_S = 5.0
"""Before the second try; each later pause is three times as long, seven minutes in all."""
_DEADLINE_S = 10.0

_log = journal.get("alarm")


def watcher(
    webhook: str, *, latest: Callable[[], Snapshot | None], first_pause_s: float = FIRST_PAUSE_S, look_s: float = LOOK_S
) -> Callable[[], Awaitable[None]]:
    """The side task; `latest` is the newest snapshot."""

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
                if await asyncio.to_thread(_send, webhook, body(snapshot, over=over)):
                    told = over
                    _log.info("alarm told", over_limit=over)
                elif tries == TRIES:
                    _log.error("alarm not told: the webhook does not answer", tries=tries)
                    told = over
            wait_s -= look_s
            await asyncio.sleep(look_s)

    return watch


def _over(snapshot: Snapshot) -> bool | None:
    return over_limit(snapshot.venue.limit, snapshot.crowd.level, snapshot.today)


def body(snapshot: Snapshot, *, over: bool) -> bytes:
    """What is sent: which box, whether it is over, since which released bin."""
    at = datetime.fromtimestamp(snapshot.crowd.at_s or snapshot.written_s, UTC).isoformat()
    venue = snapshot.venue
    about = {"device": venue.device, "name_vi": venue.name_vi, "name_en": venue.name_en, "over_limit": over, "at": at}
    return json.dumps(about, ensure_ascii=False).encode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is an error of the address."""


def _send(webhook: str, content: bytes) -> bool:
    """Whether the address took it."""
    request = urllib.request.Request(webhook, data=content, headers={"Content-Type": "application/json"}, method="POST")  # noqa: S310 (the settings allow http and https)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_DEADLINE_S) as answer:
            return bool(answer.status < HTTPStatus.MULTIPLE_CHOICES)
    except (OSError, ValueError) as error:
        # The address may hold a secret: neither it nor an error that quotes it is written down.
        code = error.code if isinstance(error, urllib.error.HTTPError) else None
        _log.warning("the webhook did not take the alarm", status=code, error=type(error).__name__)
        return False
