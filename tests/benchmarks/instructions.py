"""Instructions per advert of our radio and pipeline against the floor, a bleak callback that does nothing.

Seconds of a busy machine say nothing about a ratio of 1.1; instructions do not change with the load. One process runs
under valgrind, which counts from one mark of that process to its next. The stream is what bluetoothd would send: D-Bus
messages as bytes, which dbus-fast reads and bleak's manager takes, for bleak alone and for ours. Time is simulated, so
that a rate decides how many packets fall into one burst of five seconds, as it would on air. Of bleak, which needs no
bus for this, private methods are called (`_parse_msg`, and for the floor its scanner's `_handle_advertising_data`);
nothing of it is replaced. The second table takes apart what an advert costs that is the first of its device in its five
seconds.

Not counted: the socket, the event loop, which ours lets rest, and the sealing of the minute: they are in the seconds of
`peers.py` and `load.py`, which are of whole processes.

Run: `python -m tests.benchmarks.instructions --write`; it needs valgrind.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections import deque
from itertools import chain, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner.device.radio.bursts import COALESCE_S
from tests.benchmarks import document
from tests.benchmarks.load import PROTOCOLS
from tests.benchmarks.stream import crowd_address
from tests.support.slow_line import SimulatedTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STREAMS = {
    "500/s": (500, 200),
    "2,000/s": (2_000, 200),
    "8,000/s": (8_000, 200),
    "10,000 addresses, 2,000/s": (2_000, 10_000),
}
ROTATE_S = SECONDS = 5.0
PARTS = (
    "is it in a burst already",
    "the burst",
    "held to the edge of the grid",
    "the advert, with its tag",
    "of that the tag",
    "recognised",
    "into the log's minute",
    "counted",
)
"""What the first advert of a device in five seconds goes through, one after the other."""
FOREIGN = 4
"""Of the mixed stream every so many-th packet only is a phone's; the others are of devices that no protocol knows."""
START_S = 1_795_824_000.0
FORGETTING = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
}
"""The unit's environment (systemd/edge-scanner.service)."""


def messages(rate: int, phones: int, *, foreign: bool) -> Iterator[tuple[float, bytes]]:
    """Seconds and marshalled messages: each device is added once in an epoch and changed after that."""
    from dbus_fast import Message, MessageType, Variant  # noqa: PLC0415 (not while the table is made)

    known: set[str] = set()
    for number in range(int(rate * SECONDS)):
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


def bare() -> tuple[Any, Callable[[float], None], Callable[[], int]]:
    """The floor: bleak's own scanner."""
    from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus  # noqa: PLC0415 (see messages)

    heard = 0

    def callback(_device: Any, _advertisement: Any) -> None:
        nonlocal heard
        heard += 1

    scanner = BleakScannerBlueZDBus(callback, None, "active", bluez={})
    return scanner._handle_advertising_data, lambda _at_s: None, lambda: heard


def ours() -> tuple[Any, Callable[[float], None], Callable[[], int]]:
    """Scanner, radio, protocols, encounters and counts; bursts are taken at each edge of their grid."""
    from edge_scanner import protocols  # noqa: PLC0415 (see messages)
    from edge_scanner.core.counts.estimator import Counter  # noqa: PLC0415
    from edge_scanner.core.log.encounters import Encounters  # noqa: PLC0415
    from edge_scanner.device.radio.radio import Radio, RadioSettings  # noqa: PLC0415
    from edge_scanner.device.radio.scanner import Scanner  # noqa: PLC0415

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

    return Scanner(radio._on_change, "hci0").heard, turn, lambda: radio.counters.heard


def feed(
    consumer: Callable[[], Any], stream: list[tuple[float, bytes]]
) -> tuple[Callable[[], None], Callable[[], int]]:
    """What is to be measured, and what it heard."""
    from bleak.backends.bluezdbus.manager import BlueZManager  # noqa: PLC0415 (see messages)
    from dbus_fast._private.unmarshaller import Unmarshaller  # noqa: PLC0415

    manager = BlueZManager()
    callback, turn, heard = consumer()
    manager._advertisement_callbacks["/org/bluez/hci0"].append(callback)

    def run() -> None:
        for at_s, data in stream:
            turn(at_s)
            message = Unmarshaller(io.BytesIO(data)).unmarshall()  # type: ignore[arg-type]
            assert message is not None
            manager._parse_msg(message)
        turn(stream[-1][0] + COALESCE_S)

    return run, heard


def parts(stream: list[tuple[float, bytes]]) -> Iterator[Callable[[], object]]:
    """What `PARTS` names."""
    from edge_scanner import protocols  # noqa: PLC0415 (see messages)
    from edge_scanner.core.address_tags import Tagger  # noqa: PLC0415
    from edge_scanner.core.counts.estimator import Counter  # noqa: PLC0415
    from edge_scanner.core.log.encounters import Encounters  # noqa: PLC0415
    from edge_scanner.device.radio.bursts import Bursts, to_advert  # noqa: PLC0415
    from edge_scanner.device.radio.radio import _burst  # noqa: PLC0415
    from edge_scanner.device.radio.scanner import Scanner  # noqa: PLC0415

    heard: list[tuple[Any, ...]] = []

    def keep(*told: Any) -> None:
        heard.append(told)

    run, _ = feed(lambda: (Scanner(keep, "hci0").heard, lambda _at_s: None, lambda: len(heard)), stream)
    run()
    known = protocols.load(PROTOCOLS)
    tagger, recogniser, counter, encounters = (
        Tagger(lambda: bytes(32)),
        protocols.Recogniser(known),
        Counter(known),
        Encounters(),
    )
    bursts = Bursts()
    made: list[Any] = []
    adverts: list[Any] = []
    found: list[Any] = []

    def look(properties: Any, manufacturer_data: Any, service_data: Any) -> None:
        uuids, rssi = properties["UUIDs"], properties["RSSI"]
        bursts.again(properties["Address"], manufacturer_data, service_data, uuids, rssi, START_S)

    yield lambda: every(starmap(look, heard))
    yield lambda: made.extend(starmap(lambda said, *data: _burst(said, data[0], data[1], START_S), heard))
    yield lambda: every(chain(map(bursts.begin, made), map(bursts.cut, [START_S + COALESCE_S])))
    yield lambda: adverts.extend(to_advert(one, tagger, frozenset()) for one in made)
    yield lambda: every(tagger.tag(one.address, one.last_s) for one in made)
    yield lambda: found.extend(map(recogniser.recognise, adverts))
    yield lambda: every(map(encounters.add, chain.from_iterable(found)))
    yield lambda: every(map(counter.add, adverts, found))


def every(made: Iterable[object]) -> None:
    """Have all of them made."""
    deque(made, maxlen=0)


async def inside(streams: Path) -> None:
    """Under valgrind: between two marks each stream to each consumer, then each part."""

    def mark() -> None:
        sys.stdout.write("mark\n")
        sys.stdout.flush()
        sys.stdin.readline()

    kept = pickle.loads(streams.read_bytes())
    mark()
    for stream in kept:
        for consumer in (bare, ours):
            run, heard = feed(consumer, stream)
            gc.collect()
            mark()
            run()
            mark()
            assert heard() == len(stream), (heard(), len(stream))
    for part in parts(kept[-2]):
        mark()
        part()
        mark()


def measure() -> list[int]:
    """Instructions of each run, then of each part, in order."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [list(messages(*one, foreign=foreign)) for one in STREAMS.values() for foreign in (False, True)]
        (Path(folder) / "streams").write_bytes(pickle.dumps(streams))
        with subprocess.Popen(
            [
                "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out",
                sys.executable, "-m", "tests.benchmarks.instructions", "--inside", f"{folder}/streams",
            ],
            env={**os.environ, **FORGETTING, "PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            order = ["-i", "on"]
            while process.stdout.readline() == "mark\n":
                told = ["callgrind_control", *order, str(process.pid)]
                subprocess.run(told, check=True, stdout=subprocess.DEVNULL)
                order = ["-d"]
                process.stdin.write("\n")
                process.stdin.flush()
        assert process.returncode == 0, "see what it says: run it with --inside"
        files = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        found = [re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE) for file in files]
        return [int(match[1]) for match in found[1::2] if match]


def rows(found: list[int]) -> Iterator[list[str]]:
    """One a stream."""
    at = 0
    for name, (rate, _) in STREAMS.items():
        for foreign in (False, True):
            adverts = int(rate * SECONDS)
            floor, product = found[at : at + 2]
            at += 2
            yield [
                name + (", three in four foreign" if foreign else ""),
                f"{floor / adverts:,.0f}",
                f"{product / adverts:,.0f}",
                f"{product / floor:.2f}",
            ]


def main() -> None:
    """Measure in the unit's environment, print the tables, write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/measurements.md")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        with asyncio.Runner(loop_factory=SimulatedTime) as runner:
            runner.run(inside(arguments.inside))
        return
    found = measure()
    runs = 4 * len(STREAMS)
    rate, _ = list(STREAMS.values())[-1]
    apart = [[name, f"{count / (rate * SECONDS):,.0f}"] for name, count in zip(PARTS, found[runs:], strict=True)]
    heads = ("stream", "bleak: instructions an advert", "ours", "ratio")
    text = document.table(heads, rows(found[:runs])) + "\n\n"
    text += document.table(("of ours, 10,000 addresses", "instructions an advert"), apart)
    document.report("processor", "python -m tests.benchmarks.instructions --write", text, keep=arguments.write)


if __name__ == "__main__":
    main()
