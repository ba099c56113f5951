"""Keeps a scanner listening: looks at the adapter, asks the sequence, does what it says. The hands of `recovery.py`.

Every level is logged, and counted where a fault was the cause. New scanners are logged at each power of two only, so
that a stick that stays in a drawer for a week leaves twenty lines and not seventy thousand.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from edge_scanner.core.errors import StorageError, UnavailableError
from edge_scanner.device.radio.adapter import Adapter, AdapterFaultError, Bluez
from edge_scanner.device.radio.recovery import Fault, RecoveryLevel, RecoverySequence
from edge_scanner.device.system import journal, unhurried

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Never

PROBE_S = 5.0
"""Between looks at the adapter while all is well: two small D-Bus calls, so a silent restart costs 5 s of hearing."""

FAULT_TICK_S = 1.0
"""Between looks while there is a fault: the shortest back-off of the sequence."""

_log = journal.get("radio")


class Ear(Protocol):
    """What is kept listening."""

    @property
    def silence_s(self) -> float:
        """Seconds since the last advert with data, or since it was opened."""

    @property
    def discovers(self) -> bool:
        """Whether the adapter shows `Discovering` while it listens (it does not for advertisement monitors)."""

    async def start(self, adapter: Adapter) -> tuple[Fault, str] | None:
        """Begin to listen; the fault and its detail if that was refused. Called only after `stop`."""

    async def stop(self) -> None:
        """End listening, whatever is left to end; never raises."""

    def beat(self) -> None:
        """The adapter was just seen to listen."""

    def surplus(self) -> list[str]:
        """The object paths of devices that BlueZ shall forget."""


class RadioSupervisor:
    """Runs one `Ear`. `adapter` is the latest adapter found, `fault` what the latest look saw (None: it listens)."""

    def __init__(self, wanted: str, reset: Callable[[str], None]) -> None:
        self.adapter: Adapter | None = None
        self.fault: Fault | None = Fault.STOPPED
        self.recoveries = dict.fromkeys(RecoveryLevel, 0)
        self._wanted = wanted
        self._reset = reset
        self._owner = ""
        self._refusals: Counter[str] = Counter()
        self._begun = self._running = self._refused = False

    async def run(self, ear: Ear) -> Never:
        """Start, look, recover, for ever; raises UnavailableError at the sequence's end."""
        loop, sequence = asyncio.get_running_loop(), RecoverySequence()
        async with Bluez() as bluez:
            try:
                while True:
                    await self._look(ear, bluez)
                    level = sequence.next_level(
                        loop.time(), fault=self.fault, silence_s=ear.silence_s, start_refused=self._refused
                    )
                    if level is not None:
                        await self._recover(level, ear, bluez)
                    elif self.fault is None:
                        ear.beat()
                        await bluez.forget(self.adapter, ear.surplus())
                        if ear.silence_s >= PROBE_S:
                            bluez.rinse()
                    await unhurried.beat(PROBE_S if self.fault is None else FAULT_TICK_S)
            finally:
                await ear.stop()

    async def _look(self, ear: Ear, bluez: Bluez) -> None:
        """Find out whether the scanner that was started still has an adapter that listens."""
        if not self._running or self.adapter is None:
            return
        try:
            if await bluez.owner() != self._owner:
                self._note(Fault.REPLACED)
                return
            state = await bluez.state(self.adapter)
        except AdapterFaultError as error:
            # A bus that answers late while adverts pour in is busy, and a new scanner would only add to it.
            if error.fault is not Fault.NO_BUS or ear.silence_s >= PROBE_S:
                self._note(error.fault, error.where)
            return
        listens = state.powered and (state.discovering or not ear.discovers)
        self._note(None if listens else Fault.STOPPED)

    async def _recover(self, level: RecoveryLevel, ear: Ear, bluez: Bluez) -> None:
        self._count(level, ear)
        if level is RecoveryLevel.RESTART:
            raise UnavailableError(
                "the Bluetooth adapter will not listen",
                where=self.adapter.name if self.adapter else self._wanted,
                hint="restarting; if this comes back, cut the box's power for a moment or replace the adapter",
            )
        self._running = False
        await ear.stop()
        adapter: Adapter | None = None
        try:
            adapter = await bluez.find(self._wanted, self._refusals)
            if level is RecoveryLevel.RESET:
                self._ask_for_reset(adapter)
                return
            adapter = _unblocked(adapter)
            if level is RecoveryLevel.POWER:
                await bluez.power_cycle(adapter)
            elif not adapter.powered:
                _log.info("radio powers the adapter", adapter=adapter.name)
                await bluez.power_on(adapter)
            owner = await bluez.owner()
        except AdapterFaultError as error:
            self._refused = error.fault is Fault.REFUSED
            if self._refused and adapter is not None:
                self._refusals[adapter.address] += 1
            self._note(error.fault, error.where)
            return
        if self.adapter is not None and adapter.address != self.adapter.address:
            _log.warning("radio takes another adapter", adapter=adapter.name, before=self.adapter.name)
        self.adapter, self._owner = adapter, owner
        refusal = await ear.start(adapter)
        self._running, self._refused = refusal is None, refusal is not None
        self._refusals[adapter.address] += self._refused
        if refusal is None:
            self._refusals.clear()
            self._note(None)
            _log.info("radio listens", adapter=adapter.name, active=ear.discovers)
        else:
            self._note(*refusal)

    def _ask_for_reset(self, adapter: Adapter) -> None:
        """What comes of it the next looks will see: the adapter goes and comes back, or is no longer blocked."""
        try:
            self._reset(adapter.name)
        except StorageError as error:
            _log.warning("radio cannot ask for a reset", reason=str(error))

    def _count(self, level: RecoveryLevel, ear: Ear) -> None:
        """Every level counts but the very first start."""
        if not self._begun:
            self._begun = True
            return
        if self.fault is None:
            # Out of mere silence: were it counted, the health message would say when somebody came.
            _log.info("radio recovery in silence", recovery=str(level))
            return
        self.recoveries[level] += 1
        times = self.recoveries[level]
        if level is not RecoveryLevel.SCANNER or times & (times - 1) == 0:
            _log.warning("radio recovery", recovery=str(level), times=times, silence_s=round(ear.silence_s))

    def _note(self, fault: Fault | None, detail: str = "") -> None:
        if fault is not None and fault is not self.fault:
            _log.warning("radio trouble", fault=str(fault), detail=detail)
        self.fault = fault


def _unblocked(adapter: Adapter) -> Adapter:
    if adapter.blocked:
        raise AdapterFaultError(Fault.BLOCKED, where=adapter.name)
    return adapter
