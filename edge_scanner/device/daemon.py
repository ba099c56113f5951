"""PROGRAM edge-scanner run: opens the resources, starts the tasks in one group, and nothing else.

The stack unwinds upwards: the radio's last bursts into the pipeline, the last commit, the broker, the store. So the
minute that is open when SIGTERM comes is in the log, and a crash of any task still commits what was heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_scanner import __version__, protocols
from edge_scanner.core import messages
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.occupancy import Thresholds
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import BadDataError, UnavailableError
from edge_scanner.core.messages import Birth, Sender
from edge_scanner.core.pipeline import LATENESS_S, Pipeline
from edge_scanner.core.snapshot import Venue
from edge_scanner.device import health as vitals
from edge_scanner.device import journal, sealing, site_factor, supervise
from edge_scanner.device.central import recipient_sets
from edge_scanner.device.central.downlink import follow
from edge_scanner.device.central.outbox import Deliveries, deliver
from edge_scanner.device.central.pull import Answerer, policy_of
from edge_scanner.device.clock import SimulatedClock, SystemClock
from edge_scanner.device.committer import Flush
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.health import Vitals, examine
from edge_scanner.device.radio.radio import RadioSettings, open_radio
from edge_scanner.device.settings import DATABASE, utc_offset_s
from edge_scanner.device.snapshot import Screen
from edge_scanner.device.storage.store import open_store
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings
from edge_scanner.protocols import bluezone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from edge_scanner.core.messages import Calibration
    from edge_scanner.core.model import Advert, BeaconProtocol, Message
    from edge_scanner.device.clock import Clock
    from edge_scanner.device.enrolment.identity import Identity
    from edge_scanner.device.settings import Mqtt, Settings
    from edge_scanner.device.storage.store import Store
    from edge_scanner.mqtt.broker import Broker

DAY_S = 86_400
BEAT_S = 5.0
"""Between two snapshots for the screen; it calls itself stale after three."""
HEALTH_S = 300.0
"""Between two health messages."""
SIMULATED_LATENESS_S = 0.2
"""How much later than its time a simulated advert may be handed on, in our seconds."""
_READY_STATUS = "READY=1\nSTATUS=listening"

_log = journal.get("scanner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A demonstration: about `phones` phones instead of a radio, in time that runs `speed` times as fast.

    `daily`: so many at the busiest hour of a bus station's day, instead of all day.
    """

    phones: int
    speed: float
    daily: bool = False


class Source(vitals.Source, Protocol):
    """The radio or its twin: adverts, and how it is."""

    def __aiter__(self) -> AsyncIterator[Advert]: ...

    def drain(self) -> Sequence[Advert]:
        """What was heard and not handed on yet."""


def main(settings: Settings, simulation: Simulation | None = None) -> int:
    """Run until a stop signal; the exit code."""
    journal.set_up()
    os.umask(0o077)
    return supervise.run(run(settings, simulation))


async def run(settings: Settings, simulation: Simulation | None = None) -> None:
    """The daemon; ends by cancellation, or by an exception that says whose fault it was."""
    state_dir, runtime_dir = Path(settings.device.state_dir), Path(settings.device.runtime_dir)
    known = protocols.load(settings.radio.protocols)
    if settings.mqtt.host:
        brokerlink.check(broker_settings(settings.mqtt))
    identity = open_identity(state_dir, configured_id=settings.device.id)
    recipients = recipient_sets.read(settings.log, state_dir)
    roots = recipient_sets.pinned_roots(settings.log)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(state_dir / DATABASE))
        state = await store.log_state()
        clock = await _clock(simulation, store)
        if recipients is not None:
            await recipient_sets.put_in_force(recipients, store)
        log = sealing.begin(identity, recipients, state, clock.reading()) if recipients else None
        sender = Sender(device=identity.device_id, site=settings.device.site, boot=state.next_boot)
        counter = Counter(known, grace_s=settings.radio.grace_s)
        ledger = Ledger(settings.counts.budgets, figures=counter.figures, sensitivity=counter.sensitivity)
        # Every bin ever released, whatever the clock says today: noise is drawn once for each.
        ledger.resume(await store.releases(0.0))
        pipeline = Pipeline(
            protocols=known,
            counter=counter,
            ledger=ledger,
            log=log,
            sender=sender,
            clock=clock.reading(),
            calibration=_calibration(state_dir),
            lateness_s=LATENESS_S + (clock.speed - 1) * SIMULATED_LATENESS_S,
        )
        health = Vitals(
            log=log,
            recipients=recipients,
            retention_days=settings.log.retention_days,
            state_dir=state_dir,
            keeps_log=settings.log.kept,
            certificate=Path(settings.mqtt.certificate) if settings.mqtt.host and settings.mqtt.tls else None,
            counter=counter,
            started_s=clock.monotonic(),
        )
        flush = Flush(pipeline, store, clock, health, sends=bool(settings.mqtt.host))
        stack.push_async_callback(flush.last)
        broker = None
        if settings.mqtt.host:
            birth = _birth(settings, identity, sender, clock, store)
            will = messages.will(sender=sender, created_s=clock.now())
            broker = await stack.enter_async_context(
                open_broker(
                    broker_settings(settings.mqtt), client_id=identity.device_id, will=will, birth=birth, now=clock.now
                )
            )
        source = await stack.enter_async_context(_open_source(settings, simulation, clock, known))
        health.source = source
        stack.callback(_drain, source, pipeline)
        await flush.begin()
        screen = Screen(
            folder=runtime_dir,
            venue=_venue(settings, identity, simulation),
            store=store,
            flush=flush,
            clock=clock,
            utc_offset_s=lambda at_s: utc_offset_s(settings.device.time_zone, at_s),
        )
        changed, deliveries = asyncio.Event(), Deliveries()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hear(source, pipeline, health), name="hear")
            tasks.create_task(flush.keep(changed), name="flush")
            tasks.create_task(vitals.measure_lag(health), name="lag")
            tasks.create_task(show(screen, health, broker, deliveries), name="screen")
            if broker is not None:
                tasks.create_task(
                    deliver(store, broker, changed=changed, clock=clock.reading, deliveries=deliveries), name="deliver"
                )
                tasks.create_task(report_health(broker, health, sender, clock), name="health")
                if roots:
                    answerer = Answerer(
                        store,
                        broker,
                        identity=identity,
                        roots=roots,
                        limits=policy_of(settings),
                        sender=sender,
                        clock=clock.reading,
                        changed=changed,
                    )
                    await answerer.begin()
                    receiver = recipient_sets.Receiver(roots=roots, state_dir=state_dir, store=store, health=health)
                    handlers = {
                        answerer.topic: answerer.take,
                        recipient_sets.topic(identity.device_id): receiver.take,
                    }
                    tasks.create_task(follow(broker, handlers), name="downlink")
            _log.info("box is up", device=identity.device_id, boot=sender.boot, sealing=log is not None)
            supervise.notify(_READY_STATUS)


async def hear(source: Source, pipeline: Pipeline, health: Vitals) -> None:
    """Adverts into the pipeline."""
    async for advert in source:
        health.adverts += advert.count
        pipeline.feed(advert)


async def show(screen: Screen, health: Vitals, broker: Broker | None, deliveries: Deliveries) -> None:
    """Keep the screen's snapshot fresh, and the vitals it shows."""
    while True:
        health.broker = broker.state if broker else None
        health.pubacks = deliveries.pubacks
        health.last_contact_s = deliveries.last_contact_s
        health.outbox_rows = await screen.store.outbox_size()
        await screen.show(examine(health, screen.clock.reading()))
        await asyncio.sleep(BEAT_S)


async def report_health(broker: Broker, health: Vitals, sender: Sender, clock: Clock) -> None:
    """A health message every five minutes while there is a broker; an old one helps nobody, so none waits."""
    seq = 0
    while True:
        await broker.connected()
        seq += 1
        with contextlib.suppress(UnavailableError):
            await broker.publish(messages.health(examine(health, clock.reading()), sender=sender, seq=seq))
        await asyncio.sleep(HEALTH_S / clock.speed)


def broker_settings(mqtt: Mqtt) -> BrokerSettings:
    """The broker's slice of the settings; without TLS no certificate is read."""
    return BrokerSettings(
        host=mqtt.host,
        port=mqtt.port,
        tls=mqtt.tls,
        ca=Path(mqtt.ca) if mqtt.tls else None,
        certificate=Path(mqtt.certificate) if mqtt.tls else None,
        key=Path(mqtt.key) if mqtt.tls else None,
        protocol=mqtt.protocol,
    )


@asynccontextmanager
async def _open_source(
    settings: Settings, simulation: Simulation | None, clock: Clock, known: Sequence[BeaconProtocol]
) -> AsyncIterator[Source]:
    """The radio, or the simulated crowd; both feed the same pipeline."""
    if simulation is not None:
        from edge_scanner.device.simulation import crowd  # noqa: PLC0415 (a box never simulates)

        offset_s = utc_offset_s(settings.device.time_zone, clock.now())
        plan = crowd.bus_station(simulation.phones, utc_offset_s=offset_s) if simulation.daily else None
        async with crowd.open_crowd(clock=clock, phones=simulation.phones, plan=plan) as simulated:
            yield simulated
        return
    radio_settings = RadioSettings(
        adapter=settings.radio.adapter, mode=settings.radio.mode, read_iphones=settings.radio.read_iphones
    )
    async with open_radio(
        radio_settings,
        clock=clock.now,
        name_uuids=frozenset[str]().union(*(protocol.name_uuids for protocol in known)),
        new_key=lambda: secrets.token_bytes(32),
        readable=bluezone.readable,
    ) as radio:
        yield radio


async def _clock(simulation: Simulation | None, store: Store) -> Clock:
    if simulation is None:
        return SystemClock()
    newest_s = (await store.summary()).newest_s or 0.0
    released = [anonymise.from_release(release) for release in await store.releases(time.time() - DAY_S)]
    ends = [report.bin_start_s + report.bin_s for report in released]
    return SimulatedClock(simulation.speed, not_before_s=max([newest_s, *ends]))


def _calibration(state_dir: Path) -> Calibration | None:
    """The site factor; a damaged file is said and passed over, because counts are right without it."""
    try:
        return site_factor.load_calibration(state_dir)
    except BadDataError as error:
        _log.error("site factor is damaged, calibrate again", reason=str(error))
        return None


def _drain(source: Source, pipeline: Pipeline) -> None:
    for advert in source.drain():
        pipeline.feed(advert)


def _birth(settings: Settings, identity: Identity, sender: Sender, clock: Clock, store: Store) -> Callable[[], Message]:
    """What is said at every connection; counts the connections of this run."""
    digest = hashlib.sha256(repr(settings).encode()).digest()
    seq = 0

    def birth() -> Message:
        nonlocal seq
        seq += 1
        reading = clock.reading()
        about = Birth(
            software=__version__,
            clock=reading.quality,
            settings_digest=digest,
            key_digest=hashlib.sha256(identity.public_key).digest(),
            audit_head=store.audit_head,
            certificate_expires_s=vitals.certificate_end(Path(settings.mqtt.certificate))
            if settings.mqtt.tls
            else None,
        )
        return messages.status(about, sender=sender, seq=seq, created_s=reading.utc_s)

    return birth


def _venue(settings: Settings, identity: Identity, simulation: Simulation | None) -> Venue:
    """What the screen says about the place."""
    return Venue(
        device=identity.device_id,
        name_vi=settings.device.name_vi,
        name_en=settings.device.name_en,
        thresholds=Thresholds(moderate_from=settings.kiosk.moderate_from, busy_from=settings.kiosk.busy_from),
        notice_url=settings.kiosk.notice_url,
        app_url=settings.kiosk.app_url,
        beat_s=BEAT_S,
        simulated=simulation is not None,
        speed=simulation.speed if simulation else 1.0,
    )
