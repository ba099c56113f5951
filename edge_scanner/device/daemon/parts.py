"""What a run is put together from, whether it has a store (daemon.py) or stands by without one (standby.py)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.counts.occupancy import Thresholds
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.health import to_message
from edge_scanner.core.snapshot import Venue
from edge_scanner.core.text import only_drawn
from edge_scanner.device import health
from edge_scanner.device.daemon.operator import HandCounts, Operator
from edge_scanner.device.daemon.snapshot import Screen
from edge_scanner.device.health import BoxState, examine
from edge_scanner.device.radio import reset
from edge_scanner.device.radio.radio import RadioSettings, open_radio
from edge_scanner.device.settings import utc_offset_s
from edge_scanner.device.system import journal, unhurried
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState
from edge_scanner.protocols import bluezone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from edge_scanner.core.messages import Sender
    from edge_scanner.core.model import Advert, BeaconProtocol, Message
    from edge_scanner.core.pipeline import Pipeline
    from edge_scanner.device.central.outbox import Deliveries
    from edge_scanner.device.daemon.committer import Flush
    from edge_scanner.device.settings import Mqtt, Settings
    from edge_scanner.device.storage.store import Store
    from edge_scanner.device.system.clock import Clock
    from edge_scanner.mqtt.broker import Broker

BEAT_S = 5.0
"""Between two snapshots for the screen; it calls itself stale after three."""
HEALTH_S = 300.0
"""Between two health messages."""
READY_STATUS = "READY=1\nSTATUS=listening"

_log = journal.get("scanner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A demonstration: about `phones` phones instead of a radio, in time that runs `speed` times as fast.

    `daily`: so many at the busiest hour of a bus station's day, instead of all day.
    """

    phones: int
    speed: float
    daily: bool = False


class Source(health.Source, Protocol):
    """The radio or what stands in for it: adverts, and how it is."""

    def __aiter__(self) -> AsyncIterator[Advert]: ...

    def drain(self) -> Sequence[Advert]:
        """What was heard and not handed on yet."""


def state_of(settings: Settings, clock: Clock) -> BoxState:
    """A box of which nothing is known yet but its settings."""
    return BoxState(
        log=None,
        recipients=None,
        retention_days=settings.log.retention_days,
        state_dir=Path(settings.device.state_dir),
        keeps_log=settings.log.kept,
        certificate=Path(settings.mqtt.certificate) if settings.mqtt.host and settings.mqtt.tls else None,
        started_s=clock.monotonic(),
    )


def open_link(
    settings: Settings,
    *,
    device_id: str,
    will: Message | None,
    birth: Callable[[], Message] | None,
    now: Callable[[], float],
) -> AbstractAsyncContextManager[Broker]:
    """The connection to the centre; certificate files that cannot be used are a light and are read again and again."""
    return open_broker(
        broker_settings(settings.mqtt), client_id=device_id, will=will, birth=birth, now=now, patient=True
    )


async def hear(source: Source, pipeline: Pipeline) -> None:
    """Adverts into the pipeline; none stays in a variable while nothing is heard."""
    async for advert in source:
        pipeline.feed(advert)
        del advert


async def show(screen: Screen, state: BoxState, broker: Broker | None, deliveries: Deliveries) -> None:
    """Keep the screen's snapshot fresh, and the state it shows."""
    told: BrokerState | None = None
    while True:
        state.broker = broker.state if broker else None
        if state.broker is not None and state.broker != told:
            told = state.broker
            say = _log.info if told.connected and not told.trouble else _log.warning
            say("broker", connected=told.connected, code=str(told.trouble), detail=told.detail)
        state.refusing = deliveries.refusing
        state.pubacks = deliveries.pubacks
        state.last_contact_s = deliveries.last_contact_s
        state.outbox_expired = deliveries.expired
        state.trail_full = screen.store.audit_full
        state.outbox_rows = await screen.store.outbox_size()
        await screen.show(examine(state, screen.clock.reading()))
        state.runtime = screen.trouble
        await unhurried.beat(BEAT_S)


async def report_health(broker: Broker, state: BoxState, sender: Sender, clock: Clock, *, seq: int = 0) -> None:
    """A health message every five minutes while there is a broker; an old one helps nobody, so none waits.

    `seq` is the number before the first.
    """
    while True:
        await broker.connected()
        seq += 1
        with contextlib.suppress(UnavailableError):
            await broker.publish(to_message(examine(state, clock.reading()), sender=sender, seq=seq))
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
async def open_source(
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
        reset=partial(reset.ask, Path(settings.device.runtime_dir)),
    ) as radio:
        yield radio


def screen_of(
    settings: Settings,
    device_id: str,
    simulation: Simulation | None,
    *,
    store: Store,
    flush: Flush,
    clock: Clock,
    counted: Counted | None = None,
) -> Screen:
    """The snapshot's writer; `counted` is what was counted by hand."""
    operator = Operator(settings, lambda chosen: venue_of(chosen, device_id, simulation))
    return Screen(
        folder=Path(settings.device.runtime_dir),
        venue=operator.venue,
        store=store,
        flush=flush,
        clock=clock,
        utc_offset_s=lambda at_s: utc_offset_s(settings.device.time_zone, at_s),
        counted=counted or Counted(),
        hand_counts=HandCounts(settings),
    )


def venue_of(settings: Settings, device_id: str, simulation: Simulation | None) -> Venue:
    """What the screen says about the place; a text without what no page shows, for which the kiosk would refuse all."""
    return Venue(
        device=device_id,
        name_vi=only_drawn(settings.device.name_vi),
        name_en=only_drawn(settings.device.name_en),
        thresholds=Thresholds(moderate_from=settings.kiosk.moderate_from, busy_from=settings.kiosk.busy_from),
        notice_url=settings.kiosk.notice_url,
        theme=settings.kiosk.theme,
        opening=settings.kiosk.opening,
        holidays=settings.kiosk.holidays,
        help=only_drawn(settings.kiosk.staff),
        limit=settings.alarm.limit,
        app_url=settings.kiosk.app_url,
        app_name=only_drawn(settings.kiosk.app_name),
        app_vi=only_drawn(settings.kiosk.app_vi),
        app_en=only_drawn(settings.kiosk.app_en),
        word=settings.kiosk.word,
        spoken=settings.kiosk.spoken,
        learns=settings.kiosk.learn_baseline,
        beat_s=BEAT_S,
        simulated=simulation is not None,
        speed=simulation.speed if simulation else 1.0,
    )
