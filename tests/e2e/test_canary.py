"""The planted canary: identifiers, addresses and names fed in over the air are in no byte that leaves the process.

The air is org.bluez played on a private bus, so the bytes go through the real radio code; what leaves is the
database with its side files, every MQTT payload, the journal, the snapshot, the kiosk's pages, an export, and what a
crash prints.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.protocols import bluezone
from tests.support.bluez import StandIn
from tests.support.box import Box, Collector
from tests.support.dbus import private_bus
from tests.support.mosquitto import Mosquitto
from tests.support.opened_log import minutes
from tests.support.ports import free_port
from tests.support.schema_check import validate
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

ACL = (Path(__file__).parents[2] / "config" / "broker" / "acl").read_text()
ANDROID = bytes.fromhex("c1a4a27e5eedf00dbeefca5e")
EXPOSURE = bytes.fromhex("c1a4a27e5eedf00dbeefca5e0123456789abcdef")
V1_NAME = b"2K7z9Qz715"
NAME = "Canary of Lan's iPhone"
ADDRESSES = ("4C:A1:4A:27:E5:01", "5D:A1:4A:27:E5:02", "6E:A1:4A:27:E5:03", "7F:A1:4A:27:E5:04")
GAEN_UUID = "0000fd6f-0000-1000-8000-00805f9b34fb"
V1_IPHONE = "e20a39f4-73f5-4bc4-a12f-17d1ad07a667"


def spellings() -> Iterator[tuple[str, bytes]]:
    """Every way in which a canary could be written, by what it is."""
    for what, secret in (("Bluezone identifier", ANDROID), ("exposure identifier", EXPOSURE[:16])):
        yield what, secret
        yield what, secret[::-1]
        yield what, secret.hex().encode()
        yield what, secret.hex().upper().encode()
        yield what, repr(secret)[2:-1].encode()
        for shift in range(3):
            encoded = base64.b64encode(bytes(shift) + secret)
            yield what, encoded[4 if shift else 0 : -4]
        yield what, ", ".join(map(str, secret)).encode()
    for address in ADDRESSES:
        octets = bytes.fromhex(address.replace(":", ""))
        for text in (address, address.replace(":", "_"), address.replace(":", "-"), address.replace(":", "")):
            yield "address", text.encode()
            yield "address", text.lower().encode()
        yield "address", octets
        yield "address", octets[::-1]
    yield "name", NAME.encode()
    yield "name", V1_NAME
    yield "v1 identifier", b"K79Qz1"


async def play(stand_in: StandIn, seconds: float) -> None:
    """Four phones on air."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stand_in.advert(
            ADDRESSES[0],
            rssi=-61,
            uuids=(bluezone.ANDROID_SERVICE,),
            manufacturer_data={0x22B5: ANDROID},
            flags=0x02,
        )
        stand_in.advert(ADDRESSES[1], rssi=-72, uuids=(GAEN_UUID,), service_data={GAEN_UUID: EXPOSURE})
        stand_in.advert(ADDRESSES[2], rssi=-55, uuids=(bluezone.IPHONE_SERVICE,), local_name=NAME)
        stand_in.advert(ADDRESSES[3], rssi=-80, uuids=(V1_IPHONE,), local_name=V1_NAME.decode())
        await asyncio.sleep(0.1)


def frames(box: Box) -> int:
    """How many frames are on the disk; none while there is no database yet."""
    with contextlib.suppress(sqlite3.OperationalError):
        return int(box.rows("SELECT count(*) FROM frame")[0][0])
    return 0


async def test_nothing_fed_in_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four planted phones for a minute: their identifiers are sealed, and found nowhere in the clear."""
    async with private_bus(tmp_path, monkeypatch):
        port = free_port()
        with (
            Mosquitto(tmp_path, listen="mutual", acl=ACL) as broker,
            Collector(broker, tmp_path) as collector,
            Box(tmp_path / "box", broker=broker, extra=f"[kiosk]\nport = {port}\n") as box,
        ):
            async with StandIn() as stand_in:
                stand_in.plug()
                box.start()
                # Until a minute is committed in the ordinary way, and a little into the next one.
                while not frames(box):
                    await play(stand_in, 2)
                await play(stand_in, 3)
                kiosk = start_kiosk(box, tmp_path / "kiosk.txt")
                pages = {
                    path: await asyncio.to_thread(read, port, path) for path in ("/", "/events", "/metrics", "/healthz")
                }
                await play(stand_in, 3)
                # A crash in the middle of hearing: what Python prints of it is a byte that leaves, too.
                box.signal(signal.SIGABRT)
                await asyncio.to_thread(box.wait)
                box.start()
                await play(stand_in, 3)
                code = await asyncio.to_thread(box.stop)
                kiosk.terminate()
                kiosk.wait()
            now = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())
            export = box.command("log", "export", str(tmp_path / "export"), "--from", "2026-01-01T00:00Z", "--to", now)
            messages = collector.messages
            sealed = frames(box)
            status = box.command("log", "status", "--json")

    assert code == 0
    assert export.returncode == 0, export.stderr
    assert sealed >= 3
    assert {validate(topic, payload)["kind"] for topic, payload in messages} >= {"status", "boot", "health"}
    assert json.loads(status.stdout)["frames"] == sealed
    left = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    left |= {f"page {path}": body for path, body in pages.items()}
    left["messages"] = b"\n".join(payload for _, payload in messages)
    assert {"box/state/log.db", "box/run/snapshot.json", "box/journal.txt", "fleet-collector.txt"} <= left.keys()
    for what, secret in spellings():
        for name, content in left.items():
            assert secret not in content, f"{what} in {name}"


async def test_the_canary_was_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same phones reach the log: opened with both keys, the frames hold exactly the planted identifiers."""
    async with private_bus(tmp_path, monkeypatch):
        with Box(tmp_path / "box") as box:
            async with StandIn() as stand_in:
                stand_in.plug()
                box.start()
                await eventually(stand_in.scanning)
                await play(stand_in, 4)
                await asyncio.to_thread(box.stop)
            opened = list(minutes(box.state / "log.db", box.parties))
            heard = {encounter.payload.rstrip(b"\0") for minute in opened for encounter in minute.encounters}

    assert heard == {ANDROID, EXPOSURE, b"K79Qz1"}


def start_kiosk(box: Box, output: Path) -> subprocess.Popen[bytes]:
    """The box's kiosk, whatever it prints going to `output`."""
    with output.open("wb") as file:
        command = [sys.executable, "-m", "edge_scanner.device.cli", "kiosk", "--config", str(box.config)]
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)


def read(port: int, path: str) -> bytes:
    """The first 64 KiB that the kiosk answers; it is asked again until it listens."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
                return bytes(answer.read1(65536))
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the kiosk does not answer {path}")
