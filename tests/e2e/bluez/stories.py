"""What happens in the guest: `python -m tests.e2e.bluez.stories STORY FOLDER`, started by `init`.

Each story writes `truth.json` into the folder, i.e. what was on the air and what happened when; the host compares it
with what the box says (test_real_bluez.py). Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edge_scanner import protocols
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.pipeline import LATENESS_S
from edge_scanner.core.recognition import recognise
from edge_scanner.device.radio.radio import RadioSettings, open_radio
from edge_scanner.device.radio.recovery import Fault
from edge_scanner.device.settings import Radio
from tests.e2e.bluez.clock import clock
from tests.e2e.bluez.helper import helper
from tests.e2e.bluez.phones import Kind, Phone, crowd
from tests.e2e.bluez.stage import DEBIAN, OTHER_STICK, PAUSE_S, STICK, Stage, end, set_clock, stage, until_s
from tests.support.box import Box, Collector
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from edge_scanner.core.model import BeaconProtocol
    from edge_scanner.device.radio.radio import Radio as OpenRadio
    from tests.e2e.bluez.air import Air
    from tests.e2e.bluez.helper import Helper

ACL = (Path(__file__).parents[3] / "config" / "broker" / "acl").read_text()
IPHONE = 99
TO_HOUR_S = 320.0
STEP_TO_HOUR_S = 8.0
"""The hour ends soon after the first read: the box is given a correct clock in the middle of its run, as NTP does."""
HALL_TO_HOUR_S = 610.0
"""Ten minutes and ten seconds: three full minutes far from the quarter hour, when identifiers change."""
RUSH_PHONES, RUSH_RATE = 200, 500
"""150 adverts of a phone in a minute; a record of the log counts to 255."""
LATE_S = 45.0
DRAIN_S = 10.0
"""For what bluetoothd and the bus still hold."""
RUSH_TAIL_S = 3.0
"""The commit of the full minute falls into the rush."""
DOWN_S = 4.0
"""How long a thing that fails stays away."""


def box_of(folder: Path, broker: Mosquitto, extra: str) -> Box:
    """A box whose log is sealed to the recipients that the host put into the folder."""
    box = Box(folder / "box", broker=broker, extra=extra)
    for name in ("recipients.json", "authority-root.pem", "custodian-root.pem"):
        shutil.copy(folder / name, box.folder / name)
    return box


async def station(folder: Path) -> None:
    """An hour ends in a bus station; then bluetoothd dies, another program powers the adapter off, a stick is moved.

    Phones are read in the first run only: Linux 6.1 crashes when a stick is pulled out while somebody waits for a
    connection (docs/real-bluez.md).
    """
    port = free_port()
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(stage(folder))
        set_clock(before_hour_s=TO_HOUR_S)
        broker = stack.enter_context(Mosquitto(folder, listen="mutual", acl=ACL))
        collector = stack.enter_context(Collector(broker, folder))
        extra = f'[kiosk]\nport = {port}\n[radio]\nadapter = "{STICK}"\n'
        box = stack.enter_context(box_of(folder, broker, f"{extra}read_iphones = true\n"))
        here.more["device"] = box.device_id

        await stack.enter_async_context(here.playing(crowd()))
        await listen(here, box)
        iphone = asyncio.create_task(here.air.stand(Phone(number=IPHONE, kind=Kind.BLUEZONE_IPHONE)))
        await read(here.air, times=1)
        set_clock(before_hour_s=STEP_TO_HOUR_S)
        here.note("the clock is set, and soon it is the next hour")
        await read(here.air, times=2)
        await end(iphone)
        here.note("the iphone was read in both hours and leaves")
        here.more["exits"] = [await asyncio.to_thread(box.stop)]
        here.note("box has stopped")

        box.config.write_text(box.config.read_text().replace("read_iphones = true", "read_iphones = false"))
        await listen(here, box)
        await fail(here)
        here.more["pages"] = await asyncio.to_thread(visit, box, port)
        here.note("the kiosk was visited")
        await asyncio.to_thread(collector.until, "counts")
        here.note("counts have arrived")
        here.more["exits"] += [await asyncio.to_thread(box.stop)]
        here.note("box has stopped")
    shutil.copytree(Path(DEBIAN) / "var/lib/bluetooth", folder / "bluetooth-state")


async def listen(here: Stage, box: Box) -> None:
    """Start the box, until it listens."""
    times = len(box.events("radio listens")) if box.journal.exists() else 0
    box.start()
    await asyncio.to_thread(box.until, "radio listens", times=times + 1)
    here.note("box listens")


async def fail(here: Stage) -> None:
    """Three failures. When each ends all phones change, so that the log tells when the box heard again."""
    here.kill_bluetoothd()
    here.note("bluetoothd is killed")
    await asyncio.sleep(DOWN_S)
    await here.start_bluetoothd()
    await here.over("bluetoothd is back")

    command = ["chroot", DEBIAN, "bluetoothctl", "power", "off"]
    power_off = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    await power_off.wait()
    await here.over("another program has powered the adapter off")

    await here.air.unplug("stick")
    here.note("the stick is pulled out")
    await here.air.plug("other", OTHER_STICK)
    await asyncio.sleep(DOWN_S)
    await here.air.plug("stick", STICK)
    here.more["adapters"] = await here.shows(lambda names: len(names) == 2)
    await here.over("the stick is back under another number")


async def read(air: Air, *, times: int) -> None:
    """Wait until the iPhone told so many identifiers, and a little more for the connection to end."""
    deadline = time.monotonic() + PATIENCE_S
    while len(air.reads) < times and time.monotonic() < deadline:  # noqa: ASYNC110 (the phone knows no event of ours)
        await asyncio.sleep(0.5)
    await asyncio.sleep(DOWN_S)


async def hall(folder: Path) -> None:
    """The same hall heard actively and passively at once by two adapters."""
    async with stage(folder, "--experimental") as here:
        await here.air.plug("other", OTHER_STICK)
        await here.shows(lambda names: len(names) == 2)
        here.air.filters = True
        set_clock(before_hour_s=HALL_TO_HOUR_S)
        async with here.playing(crowd(each=4)):
            told = await asyncio.gather(tally(STICK, "active"), tally(OTHER_STICK, "passive"))
        here.more["tallies"] = dict(zip(("active", "passive"), (tallies for tallies, _ in told), strict=True))
        here.more["passive"] = [passive for _, passive in told]
        here.note("the hall was counted")
        await here.air.unplug("other")


async def rush(folder: Path) -> None:
    """Two hundred phones at the design rate, with a controller that filters nothing."""
    # The broker and the box are made first: what blocks this process for two seconds is a controller that hangs.
    with Mosquitto(folder, listen="mutual", acl=ACL) as broker, box_of(folder, broker, "") as box:
        async with stage(folder) as here:
            set_clock(before_hour_s=HALL_TO_HOUR_S)
            await listen(here, box)
            async with here.playing(talkers()):
                await until_s(time.time() // 60 * 60 + 60)
                began_s = idle_s()
                await until_s(time.time() // 60 * 60 + 60)
                here.more["busy"] = 1 - (idle_s() - began_s) / 60
                await asyncio.sleep(RUSH_TAIL_S)
            here.note("the rush is over")
            await asyncio.sleep(DRAIN_S)
            here.more["exits"] = [await asyncio.to_thread(box.stop)]


def idle_s() -> float:
    """Seconds for which this machine's processor had nothing to do: idle and iowait of proc_stat(5).

    Linux measures these; the others it samples at a tick that programs woken by timers dodge.
    """
    ticks = Path("/proc/stat").read_text().split(maxsplit=6)[4:6]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def talkers() -> list[Phone]:
    """Two hundred phones that say something two and a half times a second each."""
    kinds = (Kind.BLUEZONE_ANDROID, Kind.EXPOSURE_IPHONE)
    return [
        Phone(number=1000 + number, kind=kinds[number % 2], interval_s=RUSH_PHONES / RUSH_RATE, rssi=-50 - number % 40)
        for number in range(RUSH_PHONES)
    ]


async def neighbour(folder: Path) -> None:
    """A stick that is blocked at first, as a stock Raspberry Pi OS has it; then a neighbour with a very long advert.

    The radio is asked to scan passively; bluez/bluez#1169 is what the neighbour does to bluetoothd then.
    """
    # Made first: what blocks this process for seconds is a controller that hangs.
    with helper() as unit:
        async with stage(folder, "--experimental", extended=True) as here:
            await disturb(here, unit)
            here.more["unit"] = await asyncio.to_thread(confined, unit)
            here.more["udev"] = await lifted_by_udev()


async def disturb(here: Stage, unit: Helper) -> None:
    """Block, unblock, and let the neighbour come."""
    block()
    known = protocols.load(Radio().protocols)
    phones = [
        Phone(number=number, kind=kind)
        for number, kind in enumerate(
            (Kind.EXPOSURE_ANDROID, Kind.EXPOSURE_IPHONE, Kind.BLUEZONE_ANDROID, Kind.DAMAGED), 1
        )
    ]
    async with open_radio(
        RadioSettings(adapter=STICK, mode="passive"),
        clock=time.time,
        name_uuids=frozenset(),
        new_key=lambda: secrets.token_bytes(32),
        reset=unit.ask,
    ) as radio:
        heard: list[tuple[float, str]] = []
        listening = asyncio.create_task(collect(radio, known, heard))
        await fault(radio, Fault.BLOCKED)
        here.note("the radio says that it is blocked")
        await fault(radio, None)
        here.note("the radio listens")
        async with here.playing(phones):
            await asyncio.sleep(PAUSE_S)
            async with here.playing([Phone(number=90, kind=Kind.LONG)]):
                here.note("the neighbour comes")
                await asyncio.sleep(3 * PAUSE_S)
        await end(listening)
        here.more |= {
            "heard": heard,
            "passive": not radio.discovers,
            "bluetoothd": here.bluetoothd_lives,
            "recoveries": dict(radio.counters.recoveries),
            "granted": await asyncio.to_thread(unit.said),
        }


def confined(unit: Helper) -> dict[str, str]:
    """What the unit says to wishes, as it is and without its devices."""
    usb, rightless = unit.usb_only(), "DeviceAllow="
    said = {"usb": unit.asked("hci0", usb), "usb without right": unit.asked("hci0", f"{usb}\n{rightless}")}
    block()
    return said | {"blocked without right": unit.asked("hci0", rightless), "blocked": unit.asked("hci0")}


def block() -> None:
    """Every Bluetooth switch of rfkill, softly."""
    for switch in Path("/sys/class/rfkill").glob("rfkill*"):
        (switch / "soft").write_text("1")


async def lifted_by_udev() -> bool | None:
    """Whether the package's udev rule lifts a block by itself; None in a tree without udev."""
    udevd = Path(DEBIAN) / "usr/lib/systemd/systemd-udevd"
    if not udevd.exists():
        return None
    rules = Path("/run/udev/rules.d")
    rules.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[3] / "systemd/udev/60-edge-scanner.rules", rules)
    started = await asyncio.create_subprocess_exec("chroot", DEBIAN, "/usr/lib/systemd/systemd-udevd", "--daemon")
    await started.wait()
    block()
    deadline = time.monotonic() + PATIENCE_S
    switches = list(Path("/sys/class/rfkill").glob("rfkill*/soft"))
    while any(switch.read_text().strip() == "1" for switch in switches):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return bool(switches)


async def fault(radio: OpenRadio, want: Fault | None) -> None:
    """Wait until the radio says that it has this fault, or none."""
    deadline = time.monotonic() + PATIENCE_S
    while radio.fault is not want and time.monotonic() < deadline:  # noqa: ASYNC110 (it tells nobody)
        await asyncio.sleep(0.1)


async def collect(radio: OpenRadio, known: Sequence[BeaconProtocol], heard: list[tuple[float, str]]) -> None:
    """Every identifier's payload with the second of its latest advert, for ever."""
    async for advert in radio:
        heard += [(advert.last_s, sighting.payload.hex()) for sighting in recognise(known, advert) if sighting.payload]


async def tally(adapter: str, mode: Literal["active", "passive"]) -> tuple[list[dict[str, int]], bool]:
    """What radio and counter make of three full minutes: each minute's figures without zeros; and whether passively."""
    settings = Radio(adapter=adapter, mode=mode)
    known = protocols.load(settings.protocols)
    counter = Counter(known, grace_s=settings.grace_s)
    async with open_radio(
        RadioSettings(adapter=adapter, mode=mode),
        clock=time.time,
        name_uuids=frozenset(),
        new_key=lambda: secrets.token_bytes(32),
    ) as radio:
        listening = asyncio.create_task(count(radio, known, counter))
        first_s = int(time.time() // 60) * 60 + 60
        tallies = []
        for minute_s in range(first_s - 60, first_s + 180, 60):
            await until_s(minute_s + 60 + LATENESS_S)
            tallies.append(counter.close(minute_s))
        # A passive radio learns 30 s late that somebody is still there.
        await asyncio.sleep(LATE_S)
        await end(listening)
        passive = not radio.discovers
    tallies += counter.finish()
    figures = [
        {name: figure for name, figure in tally.figures.items() if figure}
        for tally in tallies
        if first_s <= tally.minute_s < first_s + 180
    ]
    return figures, passive


async def count(radio: OpenRadio, known: Sequence[BeaconProtocol], counter: Counter) -> None:
    """Adverts into the counter, for ever."""
    async for advert in radio:
        counter.add(advert, recognise(known, advert))


def visit(box: Box, port: int) -> dict[str, str]:
    """The kiosk's pages, as a browser gets them."""
    with (box.folder / "kiosk.txt").open("wb") as output:
        command = [sys.executable, "-m", "edge_scanner.device.cli", "kiosk", "--config", str(box.config)]
        kiosk = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        return {path: fetch(port, path) for path in ("/", "/healthz", "/events", "/metrics")}
    finally:
        kiosk.terminate()
        kiosk.wait()


def fetch(port: int, path: str) -> str:
    """The beginning of one page; asked again until the kiosk listens."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
                return str(answer.read1(65536).decode())
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the kiosk does not answer {path}")


STORIES: dict[str, Callable[[Path], Coroutine[Any, Any, None]]] = {
    "station": station,
    "hall": hall,
    "rush": rush,
    "neighbour": neighbour,
    "clock": clock,
}


if __name__ == "__main__":
    asyncio.run(STORIES[sys.argv[1]](Path(sys.argv[2])))
