"""The radio: Bluetooth Low Energy adverts as bleak hears them, with no address and no name, for as long as it runs.

Promise: whatever happens below (bluetoothd restarts, the bus goes, the stick is replugged as another hciN, discovery is
refused) hearing resumes within 15 s of the cause's end without a restart of the process; `recovery.py` says what to do,
`supervisor.py` has it done, and `scanner.py` is bleak. Memory is bounded by `bursts.py`; drops are counted.

Decision on presence. Active scanning with DuplicateData is the default: BlueZ then signals every packet that carries
manufacturer or service data. It signals nothing for an unchanged packet in passive mode, nor, in either mode, for a
packet of nothing but UUIDs (a Bluezone iPhone) whose RSSI is steady. Such silence is not departure: BlueZ keeps a
device object until `TemporaryTimeout` (30 s by default; it must not be 0) after the last packet. So every
`PRESENCE_S` each device object that still exists and is of the silent kind yields an `Advert` with `count` 0 and no
RSSI. A departure shows 30 s late at worst; it beat "seconds since the last callback", which loses those phones.

Decision on liveness: adverts only. A callback is "a property changed", not "a packet": those without an RSSI and those
of connected devices are ignored, and adverts without any data do not prove that the radio hears (bluez/bluez#1554).

Specifications: BlueZ doc/org.bluez.Adapter.rst, org.bluez.AdvertisementMonitor.rst, org.bluez.Device.rst.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edge_scanner.core.address_tags import Tagger
from edge_scanner.device.radio.adapter import AUTO, Adapter, bluetoothd_version
from edge_scanner.device.radio.bursts import STRONGEST_DBM, Burst, Bursts, Counters, check_size, clear, to_advert
from edge_scanner.device.radio.gatt_reads import ReadPlan
from edge_scanner.device.radio.monitors import Trial
from edge_scanner.device.radio.punctuality import BEAT_S, Punctuality
from edge_scanner.device.radio.scanner import ERRORS, Scanner, fault_of, refuses_passive
from edge_scanner.device.radio.supervisor import RadioSupervisor
from edge_scanner.device.system import journal, unhurried

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from edge_scanner.core.model import Advert
    from edge_scanner.device.radio.recovery import Fault

START_S = 10.0
"""Longest start of a scanner: BlueZ answers in milliseconds, a controller with a full command queue in 2-4 s."""

CLOSE_S = 0.5
"""Longest polite end when the program stops; then we just leave, and bluetoothd notices that our connection is gone."""

PRESENCE_S = 30.0
"""Between statements about silent devices: two in every UTC minute, and no longer than BlueZ remembers a device."""

EDGE_LATE_S = 0.02
"""How long after an edge of the grid its bursts are taken, so that the edge has surely passed."""

FEED_BATCH = 64
"""Adverts handed on before the event loop gets a turn: about a millisecond of pipeline work."""

READ_PAUSE_S = 1.0
"""Between reads: the adapter listens in between."""

_NO_RSSI = -127
"""Core 5.4 Vol 4 Part E 7.7.65.2 has 127; here it also stands for one that BlueZ took back."""

_log = journal.get("radio")


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioSettings:
    """`adapter`: "auto", an address, hciN or an alias. `mode`: passive falls back to active where BlueZ refuses it."""

    adapter: str = AUTO
    mode: Literal["active", "passive"] = "active"
    read_iphones: bool = False


class Radio:
    """An open radio: iterate it for `Advert`s. Made by `open_radio` only."""

    def __init__(
        self,
        settings: RadioSettings,
        *,
        clock: Callable[[], float],
        name_uuids: frozenset[str],
        new_key: Callable[[], bytes],
        readable: Callable[[Advert], str | None] | None,
        reset: Callable[[str], None],
    ) -> None:
        self._supervisor = RadioSupervisor(settings.adapter, reset)
        self._clock = clock
        self._name_uuids = name_uuids
        self._tagger = Tagger(new_key)
        self._readable = readable if settings.read_iphones else None
        self._plan = ReadPlan()
        self._bursts = Bursts()
        self._passive = settings.mode == "passive"
        self._trial = Trial()
        self._scanner: Scanner | None = None
        self._handed = 0
        self._ignored = self._unreadable = self._empty = self._passive_refused = 0
        self._reads = self._reads_failed = 0
        self._loop = asyncio.get_running_loop()
        self._punctuality = Punctuality(self._loop.time())
        self._proofs_seen = 0
        self._heard_at = self._presence_at = self._loop.time()
        self._work: list[asyncio.Task[None]] = []

    def __aiter__(self) -> Radio:
        return self

    async def __anext__(self) -> Advert:
        """The next burst; raises UnavailableError when only a restart of the process can help."""
        self._handed += 1
        if self._handed % FEED_BATCH == 0:
            await asyncio.sleep(0)
        while (burst := self._bursts.take()) is None:
            self._punctuality.idle()
            await self._wait_for_the_edge()
        self._punctuality.busy(self._loop.time())
        return self._advert(burst)

    def drain(self) -> list[Advert]:
        """Everything heard and not handed on yet, the open bursts too; for the last commit after a cancellation."""
        self._bursts.cut(self._clock())
        adverts = []
        while (burst := self._bursts.take()) is not None:
            adverts.append(self._advert(burst))
        return adverts

    @property
    def counters(self) -> Counters:
        """A snapshot."""
        return Counters(
            heard=self._bursts.heard,
            dropped=self._bursts.dropped,
            refused=self._bursts.refused,
            ignored=self._ignored,
            unreadable=self._unreadable,
            recoveries={str(level): count for level, count in self._supervisor.recoveries.items()},
            passive_refused=self._passive_refused,
            reads=self._reads,
            reads_failed=self._reads_failed,
        )

    @property
    def adapter(self) -> Adapter | None:
        """The adapter found last."""
        return self._supervisor.adapter

    @property
    def fault(self) -> Fault | None:
        """What the latest look at the adapter found, None when it listens."""
        return self._supervisor.fault

    @property
    def discovers(self) -> bool:
        """Whether it scans actively; True although passive was asked for means that BlueZ refused passive scanning."""
        return not self._passive

    @property
    def silence_s(self) -> float:
        """Seconds since an advert with data was first noticed to have come, or since the radio was opened."""
        proofs = self._bursts.heard - self._empty
        if proofs != self._proofs_seen:
            self._proofs_seen = proofs
            self._heard_at = self._loop.time()
        return self._loop.time() - self._heard_at

    @property
    def punctual(self) -> bool:
        """Whether what it hands on was heard just now, as far as this machine's load goes (punctuality.py)."""
        return self._punctuality.kept(self._loop.time())

    @property
    def listening(self) -> bool:
        """Whether the adapter listens, by BlueZ's word. By what is heard, a silent place would tell of each visit."""
        return self.fault is None

    def _on_change(
        self, properties: Mapping[str, Any], manufacturer_data: Mapping[int, bytes], service_data: Mapping[str, bytes]
    ) -> None:
        """The scanner's, once per packet; the hot path, and nothing may escape it (bleak would log the device)."""
        try:
            rssi = properties.get("RSSI", _NO_RSSI)
            if rssi == _NO_RSSI or properties.get("Connected"):
                self._ignored += 1
                return
            if not _NO_RSSI < rssi <= STRONGEST_DBM:
                self._unreadable += 1
                return
            uuids = properties.get("UUIDs", ())
            if self._punctuality.doubted(self._loop.time()):
                check_size(service_data, manufacturer_data, uuids)
                self._bursts.drop()
                return
            now_s = self._clock()
            if not self._bursts.again(properties["Address"], manufacturer_data, service_data, uuids, rssi, now_s):
                self._bursts.begin(_burst(properties, manufacturer_data, service_data, now_s))
            if not (manufacturer_data or service_data or uuids):
                self._empty += 1
        except Exception:  # noqa: BLE001 (theirs: a malformed advert is counted, never fatal, and its text may quote it)
            self._unreadable += 1
            clear(properties)

    async def _beats(self) -> None:
        while True:
            await unhurried.beat(BEAT_S)
            self._punctuality.beat(self._loop.time())

    async def _wait_for_the_edge(self) -> None:
        done, _ = await asyncio.wait(
            self._work,
            timeout=self._bursts.due_in(self._clock()) + EDGE_LATE_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            task.result()
        now_s = self._clock()
        if not self._bursts.due_in(now_s):
            self._bursts.cut(now_s)

    def _advert(self, burst: Burst) -> Advert:
        if self._readable is None:
            return to_advert(burst, self._tagger, self._name_uuids)
        known = self._plan.known(burst.address, burst.last_s)
        if known is not None:
            burst.service_data = {**burst.service_data, known[0]: known[1]}
        advert = to_advert(burst, self._tagger, self._name_uuids)
        if known is None and (characteristic := self._readable(advert)) is not None:
            self._plan.wish(burst.address, characteristic, self._clock())
        return advert

    def begin(self) -> None:
        """Begin to listen, in tasks whose failure iteration raises; for `open_radio`."""
        self._work.append(asyncio.create_task(self._beats(), name="radio punctuality"))
        self._work.append(asyncio.create_task(self._supervisor.run(self), name="radio recovery"))
        if self._readable is not None:
            self._work.append(asyncio.create_task(self._read_phones(), name="radio reads"))

    async def end(self) -> None:
        """End the tasks, twice if need be: a hung bluetoothd must not delay the last commit; for `open_radio`."""
        for _ in range(2):
            for task in self._work:
                task.cancel()
            await asyncio.wait(self._work, timeout=CLOSE_S)

    async def start(self, adapter: Adapter) -> tuple[Fault, str] | None:
        """Listen with this adapter; for `supervisor.py`."""
        if self._passive and (why := self._trial.end(await bluetoothd_version(), self._loop.time())):
            self._go_active(why)
        try:
            async with asyncio.timeout(START_S):
                self._scanner = Scanner(self._on_change, adapter.name, passive=self._passive)
                await self._scanner.start()
        except ERRORS as error:
            if self._passive and refuses_passive(error):
                await self.stop()
                self._go_active("bluetoothd refuses passive scanning; start it --experimental")
                return await self.start(adapter)
            return fault_of(error)
        return None

    def _go_active(self, why: str) -> None:
        self._passive = False
        self._passive_refused += 1
        _log.warning("radio scans actively", why=why)

    async def stop(self) -> None:
        """End the scanner, if there is one; for `supervisor.py`."""
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            await scanner.stop()

    def beat(self) -> None:
        """State the presence of each device that is there, of which BlueZ signals nothing; for `supervisor.py`."""
        if self._scanner is None or self._loop.time() - self._presence_at < PRESENCE_S:
            return
        self._presence_at = self._loop.time()
        now_s = self._clock()
        for properties in self._scanner.silent():
            if not self._bursts.pending(properties["Address"]):
                data = properties.get("ManufacturerData", {}), properties.get("ServiceData", {})
                self._bursts.begin(_burst(properties, *data, now_s).presence())
                if self._passive:
                    # BlueZ heard it within TemporaryTimeout and found nothing worth telling: that is not deaf.
                    self._heard_at = self._loop.time()

    def surplus(self) -> list[str]:
        """The object paths of devices that are too many; for `supervisor.py`."""
        return [] if self._scanner is None else self._scanner.surplus()

    async def _read_phones(self) -> None:
        while True:
            read = self._plan.next_read(self._clock())
            if read is not None and self._scanner is not None and self.listening:
                value = await self._scanner.read(read)
                self._plan.done(read, value, self._clock())
                self._reads += 1
                self._reads_failed += value is None
            await asyncio.sleep(READ_PAUSE_S)


@asynccontextmanager
async def open_radio(
    settings: RadioSettings,
    *,
    clock: Callable[[], float],
    name_uuids: frozenset[str],
    new_key: Callable[[], bytes],
    readable: Callable[[Advert], str | None] | None = None,
    reset: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Radio]:
    """A radio that begins to listen at once and does not wait for an adapter: a box without one still runs.

    `clock` gives UTC seconds; `name_uuids` are the service UUIDs whose adverts keep their local name; `new_key` makes
    the tags' keys; `readable` names the GATT characteristic in which this advert's phone tells its identifier, or None,
    and is asked only with `settings.read_iphones`; `reset` asks for the reset of an adapter by its hciN. Iteration
    raises UnavailableError when the sequence is at its end.
    """
    radio = Radio(settings, clock=clock, name_uuids=name_uuids, new_key=new_key, readable=readable, reset=reset)
    radio.begin()
    try:
        yield radio
    finally:
        await radio.end()


def _burst(
    properties: Mapping[str, Any],
    manufacturer_data: Mapping[int, bytes],
    service_data: Mapping[str, bytes],
    now_s: float,
) -> Burst:
    """A new burst from everything BlueZ said; raises what a malformed property raises."""
    uuids, rssi, flags = (
        properties.get("UUIDs", ()),
        properties.get("RSSI", _NO_RSSI),
        properties.get("AdvertisingFlags"),
    )
    check_size(service_data, manufacturer_data, uuids)
    return Burst(
        properties["Address"],
        properties.get("AddressType") == "random",
        flags[0] if flags else None,
        properties.get("Name"),
        uuids,
        service_data,
        manufacturer_data,
        rssi,
        rssi,
        now_s,
        now_s,
    )
