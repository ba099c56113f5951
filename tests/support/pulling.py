"""A box with a sealed log in a real store, and its answering task over any broker: the box's half of a pull."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority.collect.boxes import Box
from edge_scanner.core.log.frames import EndReason
from edge_scanner.core.log.writer import SealedLog, resume
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import Batch, ClockQuality, ClockReading, Encounter
from edge_scanner.core.pull.policy import Policy
from edge_scanner.device.central.downlink import follow
from edge_scanner.device.central.pull import Answerer
from edge_scanner.device.enrolment.identity import Identity
from edge_scanner.device.storage.store import open_store
from tests.support.recipients import Parties, fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from edge_scanner.device.storage.store import Store
    from tests.support.office import Office

LIMITS = Policy(enabled=True, max_hours=24, requests_per_day=4, retention_days=14)


class FixedClock:
    """A clock that stands where a test puts it; `lead_s` is how far it leapt ahead of the monotonic one."""

    speed = 1.0

    def __init__(self, utc_s: float, quality: ClockQuality = ClockQuality.NTP) -> None:
        self.utc_s = utc_s
        self.quality = quality
        self.lead_s = 0.0

    def now(self) -> float:
        """UTC seconds."""
        return self.utc_s

    def monotonic(self) -> float:
        """The same seconds, without the leaps."""
        return self.utc_s - self.lead_s

    def reading(self) -> ClockReading:
        """Both."""
        return ClockReading(utc_s=self.utc_s, monotonic_s=self.monotonic(), quality=self.quality)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullBox:
    """Everything a test may look at or change."""

    identity: Identity
    store: Store
    clock: FixedClock
    changed: asyncio.Event
    office: Office
    limits: Policy = LIMITS

    @property
    def box(self) -> Box:
        """The inventory's line."""
        device = self.identity.device_id
        return Box(
            device=device,
            site="ben-xe",
            room=f"Cửa {device[0]}",
            name="Bến xe Miền Đông",
            identity=self.identity.public_key,
        )

    def answerer(self, broker: object, limits: Policy | None = None) -> Answerer:
        """The box's side, message by message."""
        return Answerer(
            self.store,
            broker,  # type: ignore[arg-type]
            device_id=self.identity.device_id,
            key=self.identity.key,
            roots=[self.office.root.public_key()],
            limits=limits or self.limits,
            sender=Sender(device=self.identity.device_id, site="ben-xe", boot=0),
            clock=self.clock.reading,
            changed=self.changed,
            lived=self.clock.monotonic,
        )

    async def answer(self, broker: object) -> None:
        """The task as the daemon runs it."""
        answerer = self.answerer(broker)
        await answerer.begin()
        await follow(broker, {answerer.topic: answerer.take})  # type: ignore[arg-type]


@asynccontextmanager
async def pull_box(
    folder: Path,
    office: Office,
    parties: Parties,
    *,
    device: str = "K7MP2R9CX4",
    start_s: int,
    end_s: int,
    heard: Mapping[int, Iterable[Encounter]] | None = None,
    key: Ed25519PrivateKey | None = None,
    closed: bool = True,
) -> AsyncIterator[PullBox]:
    """A box that sealed the minutes [start_s, end_s), `heard` by minute; its clock stands at the office's now."""
    heard = heard or {}
    identity = Identity(device_id=device, key=key or Ed25519PrivateKey.generate())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(folder / "log.db"))
        log = SealedLog(
            device=device,
            identity=identity.key,
            boot_number=0,
            recipients=parties.recipients,
            state=resume(()),
            clock=reading(start_s),
            entropy=fill,
        )

        async def commit() -> None:
            rows = log.peek()
            await store.commit(Batch(rows=rows))
            log.forget(rows)

        for minute_s in range(start_s, end_s, 60):
            log.seal(minute_s, list(heard.get(minute_s, ())), clock=reading(minute_s + 60))
            if minute_s % 3600 == 0:
                await commit()
        if closed:
            log.close(EndReason.STOP, reading(end_s))
        await commit()
        yield PullBox(
            identity=identity, store=store, clock=FixedClock(office.now_s), changed=asyncio.Event(), office=office
        )


def reading(utc_s: float) -> ClockReading:
    """A good clock."""
    return ClockReading(utc_s=utc_s, monotonic_s=utc_s - 1_000_000_000, quality=ClockQuality.NTP)
