"""Whoever holds connections, asks without end or sends rubbish: bounded, cut, counted, and the own screen goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from edge_scanner.device.kiosk import stream
from tests.support import snapshots
from tests.support.kiosk import PIN, running_kiosk
from tests.support.kiosk_client import own_address
from tests.support.snapshots import VENUE
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from tests.support.kiosk import RunningKiosk

SLOW = replace(VENUE, beat_s=3600.0)
TOO_MANY = 300


async def connect(
    kiosk: RunningKiosk, address: str, said: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare connection that has said so much."""
    reader, writer = await asyncio.open_connection(address, urlsplit(kiosk.url).port)
    writer.write(said)
    return reader, writer


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What is answered until the other side closes."""
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


async def page(kiosk: RunningKiosk) -> int:
    """The status of the venue's page, as the box's own screen asks for it."""
    async with aiohttp.ClientSession() as session, session.get(kiosk.url + "/") as answer:
        return answer.status


def lines(kiosk: RunningKiosk) -> list[str]:
    """The journal's lines about what was turned away."""
    return [line for line in (kiosk.folder / "journal").read_text().splitlines() if "turned away" in line]


async def test_connections_that_say_nothing_are_cut_and_the_own_screen_goes_on(tmp_path: Path) -> None:
    """A telephone with 300 silent connections gets some, each for ten seconds; the page is served meanwhile."""
    address = own_address()
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW), host="0.0.0.0") as kiosk:
        held = [await connect(kiosk, address) for _ in range(TOO_MANY)]
        assert await page(kiosk) == 200
        async with asyncio.timeout(PATIENCE_S):
            assert await asyncio.gather(*(ended(reader) for reader, _ in held)) == [b""] * TOO_MANY
        for _, writer in held:
            writer.close()
        told = lines(kiosk)

    assert len(told) <= 2
    assert re.search(r"no_place=\d+|slow_to_ask=\d+", " ".join(told))


def deaf(kiosk: RunningKiosk, address: str, path: str) -> socket.socket:
    """A client that asks for a page and takes nothing; with segments as small as its the kernel holds little."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
    client.connect((address, urlsplit(kiosk.url).port))
    client.send(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
    return client


def held(kiosk: RunningKiosk, address: str) -> int:
    """How many connections of an address the kernel holds for the page (proc_net_tcp(5))."""
    port, whose = f":{urlsplit(kiosk.url).port:04X}", socket.inet_aton(address)[::-1].hex().upper()
    found = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, ours, theirs, state, *_ = line.split()
        found += ours.endswith(port) and theirs.startswith(whose) and state == "01"
    return found


def cut(kiosk: RunningKiosk) -> int:
    """How many connections the journal calls too slow to take an answer."""
    return sum(int(count) for count in re.findall(r"slow_to_take=(\d+)", " ".join(lines(kiosk))))


async def test_who_does_not_take_the_answer_is_cut(tmp_path: Path) -> None:
    """A request that is whole, and a client that reads none of the 51 kB: the answer's deadline ends it."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        with deaf(kiosk, "127.0.0.1", "/www/vendor/uplot.js"):
            await eventually(lambda: held(kiosk, "127.0.0.1") == 1)
            assert await page(kiosk) == 200
            await eventually(lambda: cut(kiosk) == 1)
            await eventually(lambda: held(kiosk, "127.0.0.1") == 0)


async def test_a_stream_that_stands_still_gives_back_its_place_and_its_connection(tmp_path: Path) -> None:
    """A telephone opens eight streams and reads none: the page changes until nothing more fits; then they are cut."""
    address = own_address()
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW), host="0.0.0.0") as kiosk:
        with contextlib.ExitStack() as stack:
            for _ in range(stream.PER_ADDRESS):
                stack.enter_context(deaf(kiosk, address, "/events"))
            await eventually(lambda: held(kiosk, address) == stream.PER_ADDRESS)
            async with asyncio.timeout(PATIENCE_S):
                for change in itertools.count():
                    kiosk.write(snapshots.snapshot(venue=replace(SLOW, name_en=f"Gate {change}")))
                    await asyncio.sleep(0.5)
                    if not held(kiosk, address):
                        break
            again = kiosk.url.replace("127.0.0.1", address) + "/events"
            async with aiohttp.ClientSession() as session, session.get(again) as answer:
                assert answer.status == 200
            await eventually(lambda: cut(kiosk) == stream.PER_ADDRESS)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        b"POST /ops/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\npin",
    ],
    ids=["half a head", "half a body"],
)
async def test_half_a_request_is_cut(tmp_path: Path, said: bytes) -> None:
    """Whether it goes on a byte now and then or not: the deadline is for the whole."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        reader, writer = await connect(kiosk, "127.0.0.1", said)

        async def trickle() -> None:
            while True:
                await asyncio.sleep(2)
                writer.write(b"x" if b"Content" not in said else b"")

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(PATIENCE_S):
            await ended(reader)
        trickling.cancel()
        writer.close()


async def test_a_connection_carries_one_request(tmp_path: Path) -> None:
    """So that its deadlines are those of that request."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        reader, writer = await connect(kiosk, "127.0.0.1", request * 2)
        async with asyncio.timeout(PATIENCE_S):
            answer = await ended(reader)
        writer.close()

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


async def test_rubbish_is_one_line_of_the_log(tmp_path: Path) -> None:
    """A hundred requests that are none."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        for number in range(100):
            reader, writer = await connect(kiosk, "127.0.0.1", b"GET / HTTP/1.1\r\nbad header %d\r\n\r\n" % number)
            await ended(reader)
            writer.close()
        await eventually(lambda: lines(kiosk))
        journal = (kiosk.folder / "journal").read_text().splitlines()

    assert len(lines(kiosk)) == 1
    assert len(journal) < 6, journal


async def test_one_neighbour_cannot_take_every_stream_nor_ask_without_end(tmp_path: Path) -> None:
    """The venue's own screen has its place; an address has eight streams and three hundred requests a minute."""
    address = own_address()
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW), host="0.0.0.0") as kiosk,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        foreign = kiosk.url.replace("127.0.0.1", address)
        streams = [await session.get(foreign + "/events") for _ in range(stream.PER_ADDRESS + 1)]
        assert [one.status for one in streams] == [200] * stream.PER_ADDRESS + [503]
        async with session.get(kiosk.url + "/events") as own:
            assert own.status == 200
        refused = False
        async with asyncio.timeout(PATIENCE_S):
            while not refused:
                async with session.get(foreign + "/healthz") as answer:
                    refused = answer.status == 429
        assert await page(kiosk) == 200
        for one in streams:
            one.close()


@pytest.mark.parametrize(
    ("origin", "host", "foreign"),
    [
        (None, "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080", "127.0.0.1:8080", False),
        ("http://192.168.1.20", "192.168.1.20", False),
        ("http://192.168.1.20:80", "192.168.1.20", False),
        ("http://BOX.local:8080", "box.local:8080", False),
        ("http://[::1]:8080", "[::1]:8080", False),
        ("http://evil.example", "127.0.0.1:8080", True),
        ("http://127.0.0.1:9090", "127.0.0.1:8080", True),
        ("https://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("null", "127.0.0.1:8080", True),
        ("", "127.0.0.1:8080", True),
    ],
)
async def test_a_form_of_another_origin_changes_nothing(
    tmp_path: Path, origin: str | None, host: str, foreign: bool
) -> None:
    """Over plain HTTP a browser sends no `Sec-Fetch-Site`, but always the page's origin."""
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        form = {"pin": PIN}
        async with session.post(kiosk.url + "/ops/login", data=form, headers=headers, allow_redirects=False) as answer:
            assert answer.status == (403 if foreign else 303)


async def test_a_page_elsewhere_cannot_lock_the_operator_out(tmp_path: Path) -> None:
    """Wrong PINs of another origin are not looked at, so the brake stays open."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        for _ in range(6):
            headers = {"Origin": "http://evil.example"}
            async with session.post(kiosk.url + "/ops/login", data={"pin": "000000"}, headers=headers) as answer:
                assert answer.status == 403
        async with session.post(kiosk.url + "/ops/login", data={"pin": PIN}, allow_redirects=False) as answer:
            assert answer.status == 303


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("[::1]", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
        ("localhost.", 200),
        ("box.local", 200),
        ("box.local.:8080", 200),
        ("box", 200),
        ("local", 200),
        ("evil.example", 421),
        ("box.local.evil.example", 421),
        ("a.b.local", 421),
        ("127.0.0.1.evil.example", 421),
        (".local", 421),
        ("-", 421),
        ("[evil.example]", 421),
    ],
)
async def test_names_that_nobody_outside_can_turn_are_served(tmp_path: Path, host: str, status: int) -> None:
    """Addresses in every spelling, single labels and names of mDNS; a registered name never."""
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk,
        aiohttp.ClientSession() as session,
        session.get(kiosk.url + "/healthz", headers={"Host": host}) as answer,
    ):
        assert answer.status == status
        if status == 200:
            assert json.loads(await answer.text())["alive"]
