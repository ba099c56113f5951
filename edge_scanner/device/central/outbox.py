"""Oldest row -> broker -> delete.

Promises
* A row leaves the outbox only when the broker has accepted it (reason code below 0x80) or its time is up; both are
  counted. At least once: after a crash or a lost connection a row is sent again, unchanged, under the same key.
* In order, at most `WINDOW` unanswered, and never faster than `PER_S` after a burst of one window, so that a fleet that
  comes back after an outage does not drown the collectors. Where the line is the bound, it is left to others for half
  of the time: a month's messages do not fill a venue's uplink for hours.
* A row that the broker refuses stays and is passed over: it neither blocks the others nor is it offered again before
  `RETRY_FIRST_S`, doubling to `RETRY_MAX_S`. While refusals last, one message is tried every `REFUSED_PAUSE_S`.
* Nothing is asked of the database while there is nothing to do: whoever commits sets `changed`.

Accepted without a subscriber (0x10) counts as delivered: the broker had its chance, and a box cannot tell a collector
that is down from one that was never built. It is counted, and an alarm belongs to the centre. Beats keeping the rows,
which would fill the outbox of a whole fleet for one stopped collector.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Protocol

from edge_scanner.core.errors import DiskFullError, UnavailableError
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_scanner.core.model import Message
    from edge_scanner.device.storage.rows import OutboxRow

WINDOW = 20
"""Rows in memory and unanswered at once; the broker's receive maximum bounds them again."""
PER_S = 5.0
"""A week's counts of one box in half a minute; 10,000 boxes together stay within one mosquitto's reach."""
REFUSED_PAUSE_S = 5.0
"""Between two tries while the broker refuses: an operator who mends the ACL sees it work at once."""
RETRY_FIRST_S = 5.0
RETRY_MAX_S = 600.0
"""A refusal that lasts is a matter for people; six tries an hour keep the counter telling it."""
BUSY_S = 1.0
"""Answers to a window that take longer after its last message left mean a line that is full: it gets a rest as long."""
IDLE_S = 60.0
"""Look at least so often, in case a commit was not announced; commits come once a minute."""
REFUSED_FROM = 0x80
"""MQTT 5: reason codes from here on are failures."""
_CODES = {
    0x00: "accepted",
    0x10: "no_subscribers",
    0x87: "not_authorised",
    0x95: "too_large",
    0x97: "quota",
}
_OTHER_REFUSAL = "refused"

_log = journal.get("outbox")


class OutboxStore(Protocol):
    """What is needed of the store."""

    async def oldest(self, limit: int, after_id: int = 0) -> Sequence[OutboxRow]:
        """Rows with an id above `after_id`, oldest first."""

    async def delete(self, ids: Iterable[int]) -> None:
        """Take rows out."""


class Publisher(Protocol):
    """What is needed of the broker."""

    async def connected(self) -> None:
        """Return once there is a connection."""

    async def publish(self, message: Message) -> int:
        """The broker's reason code; raises UnavailableError."""


@dataclass(slots=True, kw_only=True)
class Deliveries:
    """What came of the messages since the process began. `pubacks` counts answers by name; `expired` rows were late.

    `refusing`: some of what is offered was refused, and not taken since.
    """

    pubacks: dict[str, int] = field(default_factory=dict)
    expired: int = 0
    refusing: bool = False
    last_contact_s: float | None = None

    def count(self, code: int, at_s: float) -> None:
        """One answer of the broker."""
        name = _CODES.get(code, _OTHER_REFUSAL if code >= REFUSED_FROM else "accepted")
        self.pubacks[name] = self.pubacks.get(name, 0) + 1
        self.last_contact_s = at_s


async def deliver(
    store: OutboxStore,
    broker: Publisher,
    *,
    changed: asyncio.Event,
    clock: Callable[[], float],
    trusted: Callable[[], float],
    deliveries: Deliveries,
    per_s: float = PER_S,
) -> NoReturn:
    """Deliver until cancelled; `changed` is set by whoever adds rows. Raises what the store raises.

    `clock` and `trusted` give UTC seconds: what a message is told by, and what it is thrown away by.
    """
    pace = _Pace(per_s)
    retry = _Retry()
    while True:
        await broker.connected()
        changed.clear()
        rows = await store.oldest(1 if retry.refused else WINDOW, retry.after_id)
        if not rows:
            deliveries.refusing = retry.kept
            await retry.wait(changed)
            continue
        rows, late = _divide(rows, trusted())
        deliveries.expired += len(late)
        if late:
            _log.warning("messages out of time are thrown away", count=len(late), total=deliveries.expired)
        codes, rest_s = await _publish(broker, rows, pace)
        for code in codes:
            if code is not None:
                deliveries.count(code, clock())
        accepted = [row.id for row, code in zip(rows, codes, strict=True) if code is not None and code < REFUSED_FROM]
        with contextlib.suppress(DiskFullError):
            # The rows stay and are sent once more under the same keys; the commit side tells of the full disk.
            await store.delete([*(row.id for row in late), *accepted])
        deliveries.refusing |= any(code is not None and code >= REFUSED_FROM for code in codes)
        # Only now: what was accepted must not be sent again because the box is switched off meanwhile.
        await asyncio.sleep(rest_s)
        if None in codes:
            retry.start_again()
        else:
            await retry.after(rows, refused=len(accepted) < len(rows))


class _Retry:
    """Where the pass through the outbox stands, and when refused rows are offered again."""

    def __init__(self) -> None:
        self.after_id = 0
        self.refused = False
        self.kept = False
        self._again_at = 0.0
        self._delay_s = RETRY_FIRST_S

    def start_again(self) -> None:
        """From the oldest row: a new connection may be answered otherwise."""
        self.after_id = 0
        self.refused = self.kept = False

    async def after(self, rows: Sequence[OutboxRow], *, refused: bool) -> None:
        """Go on behind `rows`, slowly if the broker refused any of them."""
        if rows:
            self.after_id = rows[-1].id
        self.refused = refused
        if not refused:
            return
        if not self.kept:
            self.kept = True
            self._again_at = asyncio.get_running_loop().time() + self._delay_s
            self._delay_s = min(2 * self._delay_s, RETRY_MAX_S)
        await asyncio.sleep(REFUSED_PAUSE_S)

    async def wait(self, changed: asyncio.Event) -> None:
        """The pass is through: until there are new rows, or it is time to offer the refused ones again."""
        left_s = self._again_at - asyncio.get_running_loop().time() if self.kept else IDLE_S
        if not self.kept:
            self._delay_s = RETRY_FIRST_S
        if left_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await changed.wait()
                    return
        self.start_again()


class _Pace:
    """At most `per_s` a second on average, in bursts of at most one window."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._tokens = float(WINDOW)
        self._at = asyncio.get_running_loop().time()

    async def step(self) -> None:
        """Return when the next message may go."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._tokens = min(float(WINDOW), self._tokens + (now - self._at) * self._per_s)
        self._at = now
        self._tokens -= 1
        if self._tokens < 0:
            await asyncio.sleep(-self._tokens / self._per_s)


def _divide(rows: Sequence[OutboxRow], now_s: float) -> tuple[list[OutboxRow], list[OutboxRow]]:
    """Rows to send, and rows whose time is up by trusted time."""
    late = [row for row in rows if row.message.expires_s is not None and row.message.expires_s <= now_s]
    return [row for row in rows if row not in late], late


async def _publish(broker: Publisher, rows: Sequence[OutboxRow], pace: _Pace) -> tuple[list[int | None], float]:
    """The answers, None where the connection ended first, and for how long the line is owed a rest.

    The tasks start in order, so the packets leave in order.
    """
    loop = asyncio.get_running_loop()
    began_s = sent_s = loop.time()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for row in rows:
            await pace.step()
            sent_s = loop.time()
            tasks.append(group.create_task(_answer(broker, row.message), name=f"publish {row.id}"))
    now_s = loop.time()
    return [task.result() for task in tasks], now_s - began_s if now_s - sent_s > BUSY_S else 0.0


async def _answer(broker: Publisher, message: Message) -> int | None:
    try:
        return await broker.publish(message)
    except UnavailableError:
        return None
