"""Instructions per advert of our radio and pipeline against the floor, a bleak callback that does nothing.

Seconds of a busy machine say nothing about a ratio of 1.1; instructions do not change with the load. One process runs
under valgrind, which counts only while a stream is fed. The stream is what bluetoothd would send: D-Bus messages as
bytes, which dbus-fast reads and bleak's manager takes, for bleak alone and for ours. Time is simulated, so that a rate
decides how many packets fall into one burst of five seconds, as it would on air. Of bleak, which needs no bus for
this, a private method is called (`_parse_msg`); nothing of it is replaced.

Not counted: the socket, the event loop and the sealing of the minute, which are in `load.py`'s seconds.

Run: `python -m tests.benchmarks.instructions`.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner.device.radio.bursts import COALESCE_S
from tests.benchmarks import document
from tests.benchmarks.load import PROTOCOLS
from tests.benchmarks.stream import crowd_address
from tests.support.slow_line import SimulatedTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAMS = {
    "500/s": (500, 200),
    "2,000/s": (2_000, 200),
    "8,000/s": (8_000, 200),
    "10,000 addresses, 2,000/s": (2_000, 10_000),
}
ROTATE_S = 5.0
SECONDS = {500: 10.0, 2_000: 5.0, 8_000: 5.0}
FOREIGN = 4
"""Of the mixed stream every so many-th packet only is a phone's; the others are of devices that no protocol knows."""
START_S = 1_795_824_000.0
LEAST = 10_000_000
"""What else sorts (the start of a program) costs less."""
FORGETTING = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
}
"""The unit's environment (systemd/edge-scanner.service)."""


def messages(rate: int, phones: int, *, foreign: bool) -> Iterator[tuple[float, bytes]]:
    """Seconds and marshalled messages: each device is added once in an epoch and changed after that."""
    from dbus_fast import Message, MessageType, Variant  # noqa: PLC0415 (only inside valgrind)

    known: set[str] = set()
    for number in range(int(rate * SECONDS[rate])):
        at_s = number / rate
        phone, epoch, rssi = number % phones, int(at_s // ROTATE_S), -45 - (number * 7 % 30)
        address = crowd_address(phone, epoch)
        path = f"/org/bluez/hci0/dev_{address.replace(':', '_')}"
        token = epoch.to_bytes(4, "big") + phone.to_bytes(4, "big")
        properties: dict[str, Any] = {"RSSI": Variant("n", rssi)}
        if foreign and phone % FOREIGN:
            properties["ManufacturerData"] = Variant("a{qv}", {0x0006: Variant("ay", b"\x01\x09" + token + bytes(17))})
        elif phone % 2:
            uuid = "0000fd6f-0000-1000-8000-00805f9b34fb"
            properties["ServiceData"] = Variant("a{sv}", {uuid: Variant("ay", token + bytes(12))})
            uuids = [uuid]
        else:
            uuids = ["00004e56-0000-1000-8000-00805f9b34fb"]
            properties["ManufacturerData"] = Variant("a{qv}", {0x22B5: Variant("ay", token + bytes(4))})
        if path in known:
            body, signature, member = ["org.bluez.Device1", properties, []], "sa{sv}as", "PropertiesChanged"
            interface, where = "org.freedesktop.DBus.Properties", path
        else:
            known.add(path)
            properties |= {
                "Address": Variant("s", address),
                "AddressType": Variant("s", "random"),
                "Alias": Variant("s", address.replace(":", "-")),
                "Adapter": Variant("o", "/org/bluez/hci0"),
                "Paired": Variant("b", False),
                "Connected": Variant("b", False),
                "UUIDs": Variant("as", [] if foreign and phone % FOREIGN else uuids),
            }
            body, signature, member = [path, {"org.bluez.Device1": properties}], "oa{sa{sv}}", "InterfacesAdded"
            interface, where = "org.freedesktop.DBus.ObjectManager", "/"
        message = Message(
            message_type=MessageType.SIGNAL,
            path=where,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
            sender=":1.1",
            serial=number + 1,
        )
        yield at_s, bytes(message._marshall(False))


def bare() -> tuple[Callable[[Any, Any], None], Callable[[float], None], Callable[[], int]]:
    """The floor."""
    heard = 0

    def callback(_device: Any, _advertisement: Any) -> None:
        nonlocal heard
        heard += 1

    return callback, lambda _at_s: None, lambda: heard


def ours() -> tuple[Callable[[Any, Any], None], Callable[[float], None], Callable[[], int]]:
    """Radio, protocols, encounters and counts; bursts are taken at each edge of their grid."""
    from edge_scanner import protocols  # noqa: PLC0415 (see messages)
    from edge_scanner.core.counts.estimator import Counter  # noqa: PLC0415
    from edge_scanner.core.log.encounters import Encounters  # noqa: PLC0415
    from edge_scanner.device.radio.radio import Radio, RadioSettings  # noqa: PLC0415

    now_s = START_S
    known = protocols.load(PROTOCOLS)
    recogniser, counter, encounters = protocols.Recogniser(known), Counter(known), Encounters()
    radio = Radio(
        RadioSettings(),
        clock=lambda: now_s,
        name_uuids=frozenset(),
        new_key=lambda: bytes(32),
        readable=None,
        reset=lambda _why: None,
    )

    def turn(at_s: float) -> None:
        nonlocal now_s
        edge = int(at_s // COALESCE_S) != int((now_s - START_S) // COALESCE_S)
        now_s = START_S + at_s
        if edge:
            for advert in radio.drain():
                sightings = recogniser.recognise(advert)
                for sighting in sightings:
                    encounters.add(sighting)
                counter.add(advert, sightings)

    return radio._on_change, turn, lambda: radio.counters.heard


def feed(
    consumer: Callable[[], Any], stream: list[tuple[float, bytes]]
) -> tuple[Callable[[], None], Callable[[], int]]:
    """What is to be measured, and what it heard."""
    from bleak.backends.bluezdbus.manager import BlueZManager  # noqa: PLC0415 (see messages)
    from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus  # noqa: PLC0415
    from dbus_fast._private.unmarshaller import Unmarshaller  # noqa: PLC0415

    manager = BlueZManager()
    callback, turn, heard = consumer()
    scanner = BleakScannerBlueZDBus(callback, None, "active", bluez={})
    manager._advertisement_callbacks["/org/bluez/hci0"].append(scanner._handle_advertising_data)

    def run() -> None:
        for at_s, data in stream:
            turn(at_s)
            message = Unmarshaller(io.BytesIO(data)).unmarshall()  # type: ignore[arg-type]
            assert message is not None
            manager._parse_msg(message)
        turn(stream[-1][0] + COALESCE_S)

    return run, heard


async def inside() -> None:
    """Under valgrind: each stream to each consumer, within libc's `qsort`, by which valgrind knows what to count."""
    libc = ctypes.CDLL(None)
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    for rate, phones in STREAMS.values():
        for foreign in (False, True):
            stream = list(messages(rate, phones, foreign=foreign))
            for consumer in (bare, ours):
                run, heard = feed(consumer, stream)
                failed: list[BaseException] = []

                def compare(_one: int, _two: int, run: Any = run, failed: Any = failed) -> int:
                    try:
                        run()
                    except BaseException as error:  # noqa: BLE001 (ctypes would swallow it)
                        failed.append(error)
                    return 0

                gc.collect()
                libc.qsort((ctypes.c_int * 2)(1, 2), 2, 4, compare_type(compare))
                assert not failed, failed
                assert heard() == len(stream), (heard(), len(stream))


def measure(environment: dict[str, str]) -> list[int]:
    """Instructions of each run, in order."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "valgrind", "--tool=callgrind", "--toggle-collect=qsort", "--dump-after=qsort",
                f"--callgrind-out-file={folder}/out", sys.executable, "-m", "tests.benchmarks.instructions", "--inside",
            ],
            env={**os.environ, **environment, "PYTHONHASHSEED": "0"},
            check=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        files = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        found = [re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE) for file in files]
        return [int(match[1]) for match in found if match and int(match[1]) > LEAST]


def rows(found: list[int], plain: list[int]) -> Iterator[list[str]]:
    """One a stream."""
    at = 0
    for name, (rate, _) in STREAMS.items():
        for foreign in (False, True):
            adverts = int(rate * SECONDS[rate])
            floor, product = found[at : at + 2]
            price = sum(found[at : at + 2]) / sum(plain[at : at + 2])
            yield [
                name + (", three in four foreign" if foreign else ""),
                f"{floor / adverts:,.0f}",
                f"{product / adverts:,.0f}",
                f"{product / floor:.2f}",
                f"{plain[at + 1] / plain[at]:.2f}",
                f"{price:.2f}",
            ]
            at += 2


def main() -> None:
    """Measure in the unit's environment and without it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        with asyncio.Runner(loop_factory=SimulatedTime) as runner:
            runner.run(inside())
        return
    found, plain = measure(FORGETTING), measure({})
    heads = ("stream", "bleak: instructions an advert", "ours", "ratio", "ratio, plain malloc", "price of forgetting")
    table = document.table(heads, rows(found, plain))
    sys.stdout.write(table + "\n")


if __name__ == "__main__":
    main()
