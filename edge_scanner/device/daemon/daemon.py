"""PROGRAM edge-scanner run: opens the resources, starts the tasks in one group, and nothing else.

The stack unwinds upwards: the radio's last bursts into the pipeline, the last commit, the broker, the store. So the
minute that is open when SIGTERM comes is in the log, and a crash of any task still commits what was heard.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import __version__, protocols
from edge_scanner.core import messages, signed_time
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.errors import BadDataError, DamagedError, InUseError, StorageError
from edge_scanner.core.messages import Birth, Sender
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device import site_factor
from edge_scanner.device.central import centre_time, recipient_sets, revocations
from edge_scanner.device.central.downlink import follow
from edge_scanner.device.central.outbox import Deliveries, deliver
from edge_scanner.device.central.pull import Answerer, policy_of, trail_room
from edge_scanner.device.daemon import alarm, parts, sealing, standby
from edge_scanner.device.daemon.committer import Flush
from edge_scanner.device.daemon.parts import Simulation
from edge_scanner.device.enrolment.identity import open_id, open_key
from edge_scanner.device.health import certificate_end, measure_lag
from edge_scanner.device.settings import DATABASE, zone
from edge_scanner.device.storage import files
from edge_scanner.device.storage.store import StoreLimits, open_store
from edge_scanner.device.system import journal, memory, supervise, unhurried
from edge_scanner.device.system.clock import SimulatedClock, SystemClock, lateness_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.log.roots import Roots
    from edge_scanner.core.model import ClockReading, Message
    from edge_scanner.device.central.downlink import Handler
    from edge_scanner.device.central.recipient_sets import Authority
    from edge_scanner.device.daemon.snapshot import Screen
    from edge_scanner.device.health import BoxState
    from edge_scanner.device.settings import Settings
    from edge_scanner.device.storage.store import Store
    from edge_scanner.device.system.clock import Clock
    from edge_scanner.mqtt.broker import Broker

__all__ = ["Simulation", "main", "run"]

DAY_S = 86_400

_log = journal.get("scanner")


def main(settings: Settings, simulation: Simulation | None = None) -> int:
    """Run until a stop signal; the exit code."""
    journal.set_up()
    os.umask(0o077)
    if why := memory.lock():
        _log.info("memory is not locked", reason=why)
    return supervise.run(run(settings, simulation), unhurried.new_loop)


async def run(settings: Settings, simulation: Simulation | None = None) -> None:
    """The daemon; ends by cancellation, or by an exception that says whose fault it was.

    A disk that cannot be used is no reason to stop hearing: then the box stands by (standby.py).
    """
    state_dir = Path(settings.device.state_dir)
    protocols.load(settings.radio.protocols)
    trouble: StorageError | None = None
    async with AsyncExitStack() as stack:
        try:
            device_id = open_id(state_dir, settings.device.id)
            # Before the store: a database without a key beside it is how a lost key is told from a new box.
            key = _open_key(state_dir)
            store = await stack.enter_async_context(open_store(state_dir / DATABASE, limits=_limits(settings)))
        except (DamagedError, InUseError):
            raise
        except StorageError as error:
            trouble = error
        else:
            await _record(stack, settings, simulation, device_id=device_id, key=key, store=store)
    if trouble is not None:
        await standby.stand_by(settings, simulation, trouble)


async def _record(
    stack: AsyncExitStack,
    settings: Settings,
    simulation: Simulation | None,
    *,
    device_id: str,
    key: Ed25519PrivateKey | None,
    store: Store,
) -> None:
    """Hear, seal, count and publish until cancelled; what is opened goes on `stack`."""
    clock = await _clock(simulation, store)
    sender = Sender(device=device_id, site=settings.device.site, boot=(await store.log_state()).next_boot)
    recorder = await _recorder(settings, simulation, key=key, store=store, clock=clock, sender=sender)
    await recorder.begin_log()
    flush = Flush(recorder.pipeline, store, clock, recorder.health, sends=bool(settings.mqtt.host))
    recorder.reading, recorder.tell_time = flush.reading, flush.tell
    recorder.trusted, recorder.lived = flush.trusted, flush.lived
    stack.push_async_exit(flush.last)
    broker = None
    if settings.mqtt.host:
        will = messages.will(sender=sender, created_s=clock.now())
        broker = await stack.enter_async_context(
            parts.open_link(settings, device_id=device_id, will=will, birth=recorder.birth(), now=clock.now)
        )
    recorder.health.source = source = await stack.enter_async_context(
        parts.open_source(settings, simulation, clock, protocols.load(settings.radio.protocols))
    )
    stack.callback(_drain, source, recorder.pipeline)
    await flush.begin(sender.boot)
    counted = _counted(Path(settings.device.state_dir))
    screen = parts.screen_of(settings, device_id, simulation, store=store, flush=flush, clock=clock, counted=counted)
    screen.lost = bool(files.aside(Path(settings.device.state_dir) / DATABASE))
    await _work(recorder, source, flush, screen, broker)


async def _recorder(
    settings: Settings,
    simulation: Simulation | None,
    *,
    key: Ed25519PrivateKey | None,
    store: Store,
    clock: Clock,
    sender: Sender,
) -> Recorder:
    """The pipeline and what its tasks share, as the store left them; the log is not begun yet."""
    state_dir = Path(settings.device.state_dir)
    health = parts.state_of(settings, clock)
    health.authority = Code.WELL if key is not None else Code.IDENTITY_LOST
    health.pin_file = Path(settings.kiosk.ops_pin_file) if simulation is None else None
    health.passing = simulation is None and files.file_system(state_dir) in files.PASSING
    known = protocols.load(settings.radio.protocols)
    health.counter = counter = Counter(known, grace_s=settings.radio.grace_s)
    ledger = Ledger(settings.counts.budget, figures=counter.figures, sensitivity=counter.sensitivity)
    # Every bin ever released, whatever the clock says today: noise is drawn once for each.
    ledger.resume(await store.releases(0.0))
    return Recorder(
        settings=settings,
        store=store,
        clock=clock,
        sender=sender,
        health=health,
        key=key,
        authority=_authority(settings, health),
        pipeline=Pipeline(
            protocols=known,
            counter=counter,
            ledger=ledger,
            log=None,
            sender=sender,
            clock=clock.reading(),
            lateness_s=lateness_s(clock),
        ),
    )


async def _work(recorder: Recorder, source: parts.Source, flush: Flush, screen: Screen, broker: Broker | None) -> None:
    """Run the tasks of a wired box until one of them ends the process."""
    health, deliveries = recorder.health, Deliveries()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(parts.hear(source, recorder.pipeline), name="hear")
        tasks.create_task(flush.keep(recorder.changed), name="flush")
        tasks.create_task(measure_lag(health), name="lag")
        beside: dict[str, Callable[[], Awaitable[None]]] = {
            "screen": lambda: parts.show(screen, health, broker, deliveries)
        }
        if broker is not None:
            beside |= recorder.talk(broker, deliveries)
        local = zone(recorder.settings.device.time_zone)
        beside |= alarm.watchers(recorder.settings.alarm, zone=local, latest=lambda: screen.latest)
        if recorder.settings.local_mqtt.host:
            from edge_scanner.device.daemon import local_mqtt  # noqa: PLC0415 (most boxes have none)

            beside["local_mqtt"] = local_mqtt.publisher(
                recorder.settings.local_mqtt,
                device=recorder.sender.device,
                latest=lambda: screen.latest,
                now=recorder.clock.now,
            )
        for name, work in beside.items():
            # A side task may fail and is tried again: only radio, pipeline and store end a run.
            tasks.create_task(supervise.keep_going(work, name=name, failing=_noter(health, name)), name=name)
        sender = recorder.sender
        _log.info("box is up", device=sender.device, boot=sender.boot, sealing=health.log is not None)
        supervise.notify(parts.READY_STATUS)


@dataclass(slots=True, kw_only=True)
class Recorder:
    """What the tasks of one run share."""

    settings: Settings
    store: Store
    clock: Clock
    sender: Sender
    health: BoxState
    key: Ed25519PrivateKey | None
    authority: Authority
    pipeline: Pipeline
    reading: Callable[[], ClockReading] | None = None
    trusted: Callable[[], float] = time.time
    lived: Callable[[], float] = time.time
    tell_time: Callable[[float], None] = lambda _: None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    mandates: revocations.Receiver | None = None

    async def begin_log(self) -> None:
        """Seal to the set that the files hold, unless a newer one was in force here."""
        found = self.authority.recipients
        if found is None:
            return
        if await recipient_sets.put_in_force(found, self.store, sender=self.sender, now_s=self.clock.now()):
            self.health.recipients = found
            await self.seal(found)
        else:
            self.health.authority = Code.LOG_RECIPIENTS_OLD

    async def seal(self, found: RecipientSet) -> None:
        """Begin this run's log, under its own number, where the log stands now."""
        if self.key is None:
            return
        now = replace(await self.store.log_state(), next_boot=self.sender.boot)
        self.health.log = sealing.begin(self.sender.device, self.key, found, now, self.clock.reading())
        self.pipeline.seal(self.health.log)

    def talk(self, broker: Broker, deliveries: Deliveries) -> dict[str, Callable[[], Awaitable[None]]]:
        """The side tasks of a box with a broker, by name."""

        async def send() -> None:
            await deliver(
                self.store,
                broker,
                changed=self.changed,
                clock=self.clock.now,
                trusted=self.trusted,
                deliveries=deliveries,
            )

        work: dict[str, Callable[[], Awaitable[None]]] = {
            "deliver": send,
            "health": lambda: parts.report_health(broker, self.health, self.sender, self.clock),
        }
        pinned, fleet = self.authority.pinned, centre_time.fleet_key(self.settings)
        if pinned is not None or fleet is not None:
            work["downlink"] = lambda: self.listen(broker, pinned, fleet)
        return work

    async def listen(self, broker: Broker, pinned: Roots | None, fleet: Ed25519PublicKey | None) -> None:
        """What the authority and the fleet send, each believed by the key that is pinned for it."""
        handlers: dict[str, Handler] = {}
        if fleet is not None:
            handlers[signed_time.topic(self.sender.device)] = centre_time.Receiver(fleet, self.tell_time).take
        if pinned is not None:
            handlers |= await self.obey(broker, pinned)
        await follow(broker, handlers)

    async def obey(self, broker: Broker, pinned: Roots) -> dict[str, Handler]:
        """By topic, what takes requests of the pinned authority and the sets that it and the custodians signed."""
        receiver = recipient_sets.Receiver(
            pinned=pinned,
            state_dir=Path(self.settings.device.state_dir),
            store=self.store,
            health=self.health,
            sender=self.sender,
            now=self.clock.now,
            seal=self.seal,
        )
        mandates = self.mandates = revocations.Receiver(
            roots=pinned.authority,
            state_dir=Path(self.settings.device.state_dir),
            store=self.store,
            sender=self.sender,
            now=self.clock.now,
        )
        await mandates.begin()
        handlers: dict[str, Handler] = {
            recipient_sets.topic(self.sender.device): receiver.take,
            revocations.topic(self.sender.device): mandates.take,
        }
        if self.key is not None:
            answerer = Answerer(
                self.store,
                broker,
                device_id=self.sender.device,
                key=self.key,
                roots=pinned.authority,
                limits=policy_of(self.settings),
                sender=self.sender,
                clock=self.reading or self.clock.reading,
                changed=self.changed,
                lived=self.lived,
                revoked=lambda: mandates.revoked,
            )
            await answerer.begin()
            handlers[answerer.topic] = answerer.take
        return handlers

    def birth(self) -> Callable[[], Message]:
        """What is said at every connection; counts the connections of this run."""
        digest = hashlib.sha256(repr(self.settings).encode()).digest()
        seq = 0

        def birth() -> Message:
            nonlocal seq
            seq += 1
            reading, mqtt, key = self.clock.reading(), self.settings.mqtt, self.key
            about = Birth(
                software=__version__,
                clock=reading.quality,
                settings_digest=digest,
                key_digest=None if key is None else hashlib.sha256(key.public_key().public_bytes_raw()).digest(),
                audit_head=self.store.audit_head,
                revocations_version=(self.mandates.current.version or None) if self.mandates else None,
                recipients_version=self.health.recipients.version if self.health.recipients else None,
                certificate_expires_s=certificate_end(Path(mqtt.certificate)) if mqtt.tls else None,
            )
            return messages.status(about, sender=self.sender, seq=seq, created_s=reading.utc_s)

        return birth


def _noter(health: BoxState, name: str) -> Callable[[bool], None]:
    def note(failing: bool) -> None:
        (health.failing.add if failing else health.failing.discard)(name)

    return note


def _open_key(state_dir: Path) -> Ed25519PrivateKey | None:
    """The identity key, None when it cannot be used: the box counts, seals nothing, and says so everywhere."""
    try:
        return open_key(state_dir)
    except StorageError as error:
        _log.error("identity key cannot be used: nothing is sealed", reason=str(error))
        return None


def _authority(settings: Settings, health: BoxState) -> Authority:
    """The authority's files; what is wrong with them is said and is a light."""
    found = recipient_sets.read(settings.log, Path(settings.device.state_dir))
    if found.reason:
        _log.error("file of the authority is passed over", reason=found.reason)
    health.authority = health.authority or found.code
    return found


def _limits(settings: Settings) -> StoreLimits:
    return StoreLimits(audit_entries=trail_room(settings.pull.requests_per_day))


async def _clock(simulation: Simulation | None, store: Store) -> Clock:
    if simulation is None:
        return SystemClock()
    newest_s = (await store.summary()).newest_s or 0.0
    released = [anonymise.from_release(release) for release in await store.releases(time.time() - DAY_S)]
    ends = [report.bin_start_s + report.bin_s for report in released]
    return SimulatedClock(simulation.speed, not_before_s=max([newest_s, *ends]))


def _counted(state_dir: Path) -> Counted:
    """What was counted by hand; a damaged file is said and passed over, because counts are right without it."""
    try:
        return site_factor.load(state_dir)
    except (BadDataError, StorageError) as error:
        _log.error("site factor is damaged, calibrate again", reason=str(error))
        return Counted()


def _drain(source: parts.Source, pipeline: Pipeline) -> None:
    for advert in source.drain():
        pipeline.feed(advert)
