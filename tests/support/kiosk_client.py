"""A client of the kiosk's pages and streams."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.kiosk import PIN, RunningKiosk
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def events(session: aiohttp.ClientSession, url: str) -> AsyncIterator[dict[str, Any]]:
    """The documents of a stream, in order."""
    async with session.get(url) as answer:
        assert answer.status == 200
        kind = ""
        async for line in answer.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            if line.startswith(b"data: ") and kind == "document":
                yield json.loads(line[6:])


async def until(session: aiohttp.ClientSession, url: str, field: str, value: object) -> dict[str, Any]:
    """The first document of a stream whose field has this value."""
    async with asyncio.timeout(PATIENCE_S):
        async for got in events(session, url):
            if got[field] == value:
                return got
    raise AssertionError("the stream ended")


async def enter(session: aiohttp.ClientSession, kiosk: RunningKiosk, guess: str = PIN) -> int:
    """Send a PIN; the status of the answer, 303 when it was right."""
    async with session.post(kiosk.url + "/ops/login", data={"pin": guess}, allow_redirects=False) as answer:
        return answer.status


def cookies() -> aiohttp.ClientSession:
    """A client that keeps cookies of numeric addresses."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


def own_address() -> str:
    """An address of this machine other than loopback; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network but loopback, so nobody can ask from outside")
        address: str = probe.getsockname()[0]
        return address
