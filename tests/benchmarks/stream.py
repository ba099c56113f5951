"""A stand-in bluetoothd as a program: it streams a crowd onto the bus and ends with its standard input.

Lines on standard input: `down` leaves the bus as a killed bluetoothd does, `up` starts another one. With `--tally` a
file says, ten times a second, how many adverts were sent since the beginning and whether anybody scans.

Run: `DBUS_SYSTEM_BUS_ADDRESS=... python -m tests.benchmarks.stream --rate 2000`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

from tests.support.bluez import StandIn


def crowd_address(phone: int, epoch: int) -> str:
    """A resolvable private address that changes with the epoch."""
    digits = f"4{epoch & 0xFFF:03X}{phone & 0xFFFFFFFF:08X}"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


async def stream(rate: float, phones: int, rotate_s: float, tally: Path | None = None) -> None:
    """Exposure Notification and Bluezone phones, half each, `rate` adverts/s in all, until standard input ends.

    The stream begins when somebody scans. A payload lives as long as its address; RSSI varies with every packet.
    """
    stand_in = await _start()
    loop = asyncio.get_running_loop()
    orders = loop.run_in_executor(None, sys.stdin.buffer.readline)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    earlier, sent, start = 0, 0, time.monotonic()
    epoch = told = 0
    while True:
        if orders.done() and not (order := orders.result().strip()):
            break
        if orders.done():
            orders = loop.run_in_executor(None, sys.stdin.buffer.readline)
            stand_in = await _obey(order, stand_in)
        now = time.monotonic()
        if not stand_in.scanning() or not stand_in.alive:
            earlier, sent, start = earlier + sent, 0, now
        if (new_epoch := int(now / rotate_s)) != epoch:
            await _remove(stand_in, phones, epoch)
            epoch = new_epoch
        due = int((now - start) * rate) if stand_in.alive else 0
        while sent < due:
            await stand_in.room()
            _one(stand_in, sent % phones, epoch, -45 - (sent * 7 % 30))
            sent += 1
        if tally is not None and int(now * 10) != told:
            told = int(now * 10)
            _write(tally, f"{earlier + sent} {int(stand_in.alive and stand_in.scanning())}")
        await asyncio.sleep(0.005)
    stand_in.die()


async def _obey(order: bytes, stand_in: StandIn) -> StandIn:
    stand_in.die()
    return await _start() if order == b"up" else stand_in


async def _remove(stand_in: StandIn, phones: int, epoch: int) -> None:
    """Every phone of an epoch has changed its address."""
    for phone in range(phones):
        if stand_in.alive:
            await stand_in.room()
        stand_in.remove(crowd_address(phone, epoch))


async def _start() -> StandIn:
    stand_in = StandIn()
    await stand_in.start()
    stand_in.plug()
    return stand_in


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _one(stand_in: StandIn, phone: int, epoch: int, rssi: int) -> None:
    address = crowd_address(phone, epoch)
    token = epoch.to_bytes(4, "big") + phone.to_bytes(4, "big")
    if phone % 2:
        uuid = "0000fd6f-0000-1000-8000-00805f9b34fb"
        stand_in.advert(address, rssi=rssi, uuids=(uuid,), service_data={uuid: token + bytes(12)})
    else:
        uuid = "00004e56-0000-1000-8000-00805f9b34fb"
        stand_in.advert(address, rssi=rssi, uuids=(uuid,), manufacturer_data={0x22B5: token + bytes(4)})


def main() -> None:
    """Parse the command line and stream."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--phones", type=int, default=200)
    parser.add_argument("--rotate-s", type=float, default=5)
    parser.add_argument("--tally", type=Path)
    arguments = parser.parse_args()
    assert os.environ.get("DBUS_SYSTEM_BUS_ADDRESS"), "set DBUS_SYSTEM_BUS_ADDRESS to a private bus"
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(stream(arguments.rate, arguments.phones, arguments.rotate_s, arguments.tally))


if __name__ == "__main__":
    main()
