"""A run without a store: the disk is full, read-only, failing or not ours, and the box hears and says so all the same.

What it hears is counted for the screen, its lights are red and reach the centre, nothing is sealed and no count is
published: whether a bin was published before is written on the disk that cannot be read, and noise is drawn once for a
bin. Every minute the store is tried; once it opens this run ends and the next one, which systemd starts, records.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edge_scanner import protocols
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import DamagedError, RestartError, StorageError
from edge_scanner.core.messages import Sender
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device.central.outbox import Deliveries
from edge_scanner.device.daemon import parts
from edge_scanner.device.daemon.committer import Flush, trouble_of
from edge_scanner.device.enrolment.identity import open_id
from edge_scanner.device.health import measure_lag
from edge_scanner.device.settings import DATABASE
from edge_scanner.device.storage.store import open_in_memory, open_store
from edge_scanner.device.system import journal, supervise
from edge_scanner.device.system.clock import SimulatedClock, SystemClock, lateness_s

if TYPE_CHECKING:
    from edge_scanner.device.settings import Settings
    from edge_scanner.device.system.clock import Clock

TRY_S = 60.0
"""Between two tries of the disk: space is freed and a mount comes back by somebody's hand."""

_log = journal.get("standby")


async def stand_by(settings: Settings, simulation: parts.Simulation | None, trouble: StorageError) -> None:
    """Hear, show and report until the store opens; then raises RestartError.

    Raises StorageError for a box whose id is on that disk, too: it has no name to speak under.
    """
    state_dir = Path(settings.device.state_dir)
    device_id = open_id(state_dir, settings.device.id)
    clock: Clock = SystemClock() if simulation is None else SimulatedClock(simulation.speed)
    known = protocols.load(settings.radio.protocols)
    _log.error("the store cannot be opened: nothing is recorded", reason=str(trouble))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_in_memory())
        health = parts.state_of(settings, clock)
        health.standby = trouble_of(trouble)
        health.counter = counter = Counter(known, grace_s=settings.radio.grace_s)
        sender = Sender(device=device_id, site=settings.device.site, boot=0)
        pipeline = Pipeline(
            protocols=known,
            counter=counter,
            ledger=Ledger(
                replace(settings.counts.budget, broker_bin_s=0),
                figures=counter.figures,
                sensitivity=counter.sensitivity,
            ),
            log=None,
            sender=sender,
            clock=clock.reading(),
            lateness_s=lateness_s(clock),
        )
        flush = Flush(pipeline, store, clock, health)
        broker = None
        if settings.mqtt.host:
            broker = await stack.enter_async_context(
                parts.open_link(settings, device_id=device_id, will=None, birth=None, now=clock.now)
            )
        health.source = await stack.enter_async_context(parts.open_source(settings, simulation, clock, known))
        screen = parts.screen_of(settings, device_id, simulation, store=store, flush=flush, clock=clock)
        # What was opened stands on the disk that cannot be read.
        screen.has_trail = False
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.hear(health.source, pipeline), name="hear")
            tasks.create_task(flush.keep(asyncio.Event()), name="flush")
            tasks.create_task(measure_lag(health), name="lag")
            tasks.create_task(parts.show(screen, health, broker, Deliveries()), name="screen")
            if broker is not None:
                # No run has these numbers: a collector must not take them for those of the next one.
                report = parts.report_health(broker, health, sender, clock, seq=int(clock.now()))
                tasks.create_task(report, name="health")
            tasks.create_task(_wait_for_disk(state_dir / DATABASE, clock), name="disk")
            supervise.notify(parts.READY_STATUS)


async def _wait_for_disk(path: Path, clock: Clock) -> NoReturn:
    """Raises RestartError as soon as the store can be opened."""
    while True:
        await asyncio.sleep(TRY_S / clock.speed)
        try:
            async with open_store(path):
                pass
        except DamagedError:
            raise
        except StorageError:
            continue
        raise RestartError("the store can be opened again", where=str(path), hint="restarting to record")
