"""A stand-in bluetoothd as a program: it streams a crowd onto the bus and ends with its standard input.

Run: `DBUS_SYSTEM_BUS_ADDRESS=... python -m tests.bench.stream --rate 2000`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time

from tests.support.bluez import StandIn


def crowd_address(phone: int, epoch: int) -> str:
    """A resolvable private address that changes with the epoch."""
    digits = f"4{epoch & 0xFFF:03X}{phone & 0xFFFFFFFF:08X}"
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


async def stream(rate: float, phones: int, rotate_s: float) -> None:
    """Exposure Notification and Bluezone phones, half each, `rate` adverts/s in all, until standard input ends.

    The stream begins when somebody scans. A payload lives as long as its address; RSSI varies with every packet.
    """
    stand_in = StandIn()
    await stand_in.start()
    stand_in.plug()
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.buffer.read)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sent, start = 0, time.monotonic()
    epoch = 0
    while not ended.done():
        now = time.monotonic()
        if not stand_in.scanning():
            sent, start = 0, now
        if (new_epoch := int(now / rotate_s)) != epoch:
            for phone in range(phones):
                await stand_in.room()
                stand_in.remove(crowd_address(phone, epoch))
            epoch = new_epoch
        due = int((now - start) * rate)
        while sent < due:
            await stand_in.room()
            _one(stand_in, sent % phones, epoch, -45 - (sent * 7 % 30))
            sent += 1
        await asyncio.sleep(0.005)
    stand_in.die()


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
    arguments = parser.parse_args()
    assert os.environ.get("DBUS_SYSTEM_BUS_ADDRESS"), "set DBUS_SYSTEM_BUS_ADDRESS to a private bus"
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(stream(arguments.rate, arguments.phones, arguments.rotate_s))


if __name__ == "__main__":
    main()
