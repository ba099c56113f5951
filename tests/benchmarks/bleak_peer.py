"""The floor, as a program for `tests.benchmarks.peers`: bleak, active scanning with duplicates, a callback that
counts.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from bleak import BleakScanner


async def main() -> None:
    """Count until SIGTERM; print how many adverts came."""
    heard = 0

    def callback(_device: object, _advertisement: object) -> None:
        nonlocal heard
        heard += 1

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with BleakScanner(callback, bluez={"filters": {"DuplicateData": True}}):
        await ended.wait()
    sys.stdout.write(f"{heard}\n")


if __name__ == "__main__":
    asyncio.run(main())
