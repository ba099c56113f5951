"""A bare habluetooth scanner, the engine inside Home Assistant, as a program for `tests.benchmarks.peers`.

It runs in the peers' own virtual environment, so nothing of ours is imported.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import habluetooth  # type: ignore[import-not-found]  # not in our environment
from bluetooth_adapters import (  # type: ignore[import-not-found]  # not in our environment
    DEFAULT_ADDRESS,
    BluetoothAdapters,
)
from habluetooth import BluetoothScanningMode, HaScanner
from habluetooth.central_manager import set_manager  # type: ignore[import-not-found]  # not in our environment


class Adapters(BluetoothAdapters):  # type: ignore[misc]  # its base is unknown here
    """The stand-in's one adapter; there is no kernel to ask."""

    @property
    def default_adapter(self) -> str:
        """The only one."""
        return "hci0"

    @property
    def history(self) -> dict[str, object]:
        """Nothing from before."""
        return {}

    @property
    def adapters(self) -> dict[str, object]:
        """Details that Home Assistant would show."""
        return {}

    async def refresh(self) -> None:
        """Nothing changes."""


class Manager(habluetooth.BluetoothManager):  # type: ignore[misc]  # its base is unknown here
    """A consumer that only counts."""

    heard = 0

    def _discover_service_info(self, _service_info: object) -> None:
        self.heard += 1


async def main() -> None:
    """Scan actively, with habluetooth's watchdog, until SIGTERM; print how many adverts came."""
    manager = Manager(Adapters())
    set_manager(manager)
    await manager.async_setup()
    scanner = HaScanner(BluetoothScanningMode.ACTIVE, "hci0", DEFAULT_ADDRESS)
    scanner.async_setup()
    manager.async_register_scanner(scanner, connection_slots=0)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await scanner.async_start()
    await ended.wait()
    sys.stdout.write(f"{manager.heard}\n")


if __name__ == "__main__":
    asyncio.run(main())
