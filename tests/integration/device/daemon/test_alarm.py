"""The capacity alarm reaches an address by webhook: once for each change, again after failures, with an end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.daemon import alarm
from tests.support import alarms
from tests.support.alarms import crowd
from tests.support.ports import free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from edge_scanner.core.snapshot import Snapshot


@contextlib.asynccontextmanager
async def told(*answers: int) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An address that gives these answers in turn and then 200, and what it got."""
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        status = answers[len(got) - 1] if len(got) <= len(answers) else 200
        return web.Response(status=status, headers={"Location": "/"} if status == 302 else {})

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/", got
    finally:
        await runner.cleanup()


def watching(url: str, shown: list[Snapshot]) -> AbstractAsyncContextManager[None]:
    """The side task that tells this address."""
    return alarms.watching(alarm.by_webhook(url), shown, deadline_s=0.5)


async def test_begin_and_end_are_told_once_each() -> None:
    """A quiet start says nothing; no figure is in what is sent."""
    async with told() as (url, got):
        shown = [crowd(50)]
        async with watching(url, shown):
            shown.append(crowd(120))
            await eventually(lambda: got)
            await asyncio.sleep(0.1)
            shown.append(crowd(95))
            await asyncio.sleep(0.1)
            shown.append(crowd(50))
            await eventually(lambda: len(got) > 1)
    assert [one["over_limit"] for one in got] == [True, False]
    assert got[0].keys() == {"device", "name_vi", "name_en", "over_limit", "at"}
    assert "120" not in json.dumps(got[0])


async def test_a_failing_address_is_tried_again_and_not_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    """A redirect and a fault are failures; the third try reaches it. One that never takes it is asked five times."""
    async with told(302, 500) as (url, got), watching(url, [crowd(120)]):
        await eventually(lambda: len(got) > 2)
        await asyncio.sleep(0.1)
        assert len(got) == 3
    capsys.readouterr()
    async with told(*[500] * 9) as (url, got), watching(url + "?secret=hush", [crowd(120)]):
        await eventually(lambda: len(got) >= alarm.TRIES)
        await asyncio.sleep(0.2)
        assert len(got) == alarm.TRIES
    said = "".join(capsys.readouterr())
    assert "did not take the alarm" in said
    assert "hush" not in said


@pytest.mark.parametrize("answer", [b"\0\xff\n", b"HTTP/1.1 200", b"HTTP/1.1 204 No Content\r\nA: " + b"a" * 100_000])
async def test_an_address_that_does_not_speak_http_is_a_failing_one(answer: bytes) -> None:
    """Noise, an answer that comes a byte at a time for ever, a header without an end: each try has its end."""
    tries = 0

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        await reader.readuntil(b"}")
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            while answer.startswith(b"HTTP"):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server, watching(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", [crowd(120)]):
        await eventually(lambda: tries == alarm.TRIES)
        await asyncio.sleep(0.6)
    assert tries == alarm.TRIES


def test_only_web_addresses() -> None:
    """A file is none."""
    with pytest.raises(ConfigurationError, match="webhook"):
        settings.parse(b'[alarm]\nwebhook = "file:///etc/passwd"\n', name="s.toml")
