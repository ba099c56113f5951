"""`/ops/gates` of a running kiosk beside others and beside servers that are none: what it shows and believes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core import json_documents
from edge_scanner.device.kiosk import api, certificate
from edge_scanner.device.kiosk.other_boxes import MAX_BYTES
from edge_scanner.device.kiosk.watch import State, View
from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_client import cookies, enter
from tests.support.ports import free_port
from tests.support.snapshots import TUESDAY_S, VENUE
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_scanner.core.snapshot import Snapshot
    from tests.support.kiosk import RunningKiosk

    Answer = Callable[[str, asyncio.StreamWriter], Any]

HOUR_S = TUESDAY_S // 3600 * 3600 - 3600
"""The hour that was released last."""
NAMES = ("K7MP2R9CX4", "M3VQ8T5HZ8", "R4XK9W2NB5")
NEXT_GATE = 'Cửa <7> "b"'


def box(number: int, devices: float, **venue: object) -> Snapshot:
    """The `number`th box of the site: so many phones in the hour that was released last, one in those before."""
    reports = [snapshots.hourly(HOUR_S - 3600 * ago, devices if not ago else 1.0) for ago in range(3)]
    known: Any = {"device": NAMES[number], "beat_s": 3600.0, **venue}
    return replace(snapshots.snapshot(venue=replace(VENUE, **known)), week=tuple(reports))


async def page(kiosk: RunningKiosk, path: str = "/ops/gates", *, silent: int | None = None) -> str:
    """A page that the operator sees; asks again where a machine that is busy has silenced more gates than `silent`."""
    async with cookies() as session, asyncio.timeout(PATIENCE_S):
        assert await enter(session, kiosk) == 303
        while True:
            async with session.get(kiosk.url + path) as answer:
                assert answer.status == 200
                text = await answer.text()
            if silent is None or text.count("Không trả lời") <= silent:
                return text
            await asyncio.sleep(1)


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the page's tables, without markup."""
    return [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", text)
    ]


def newest(text: str) -> list[str]:
    """The row of the hour that was released last without its time, the total behind the gates."""
    return next([*row[2:], row[1]] for row in rows(text) if re.match(r"24/11 \d\d:", row[0]))


def span_of(start_s: int) -> str:
    """An hour as the page writes it, at UTC+7."""
    hour = start_s // 3600 + 7
    return f"{hour % 24:02}:00-{(hour + 1) % 24:02}:00"


def parts(folder: Path, count: int) -> list[Path]:
    """A folder for each box."""
    made = [folder / str(number) for number in range(count)]
    for one in made:
        one.mkdir()
    return made


class Fake:
    """A server in the place of a box: `answer` writes what it likes for a path; `asked` is what it was asked."""

    def __init__(self, answer: Answer, name: str = "Giả") -> None:
        self._answer, self._name = answer, name
        self._open: set[asyncio.Task[None]] = set()
        self.asked: list[str] = []
        self.line = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Fake]:
        """Until the block ends; `line` is the setting that names it."""
        server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.line = f"{self._name} http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            done = self._answer(head.split(" ")[1].rpartition("/")[2], writer)
            if done is not None:
                await done
            await writer.drain()


def json_answer(documents: dict[str, Any], status: str = "200 OK", headers: str = "") -> Answer:
    """Answers with these documents."""

    def answer(what: str, writer: asyncio.StreamWriter) -> None:
        body = documents[what] if isinstance(documents[what], bytes) else json.dumps(documents[what]).encode()
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    return answer


def documents(found: Snapshot) -> dict[str, Any]:
    """What a real box answers."""
    view = View(state=State.FRESH, snapshot=found, age_s=0.0, now_s=found.written_s)
    return {what: json.loads(json_documents.dumps(getattr(api, what)(view))) for what in ("level", "health", "figures")}


async def test_total_of_the_gates_that_answer(tmp_path: Path) -> None:
    """Two boxes answer, one does not: three names, two figures, the sum with its own interval, and what is missing."""
    here, there, _ = parts(tmp_path, 3)
    async with running_kiosk(there, box(1, 60.0)) as other:
        lines = (f"{NEXT_GATE} {other.url}", f"Cửa 9 http://127.0.0.1:{free_port()}")
        async with running_kiosk(here, box(0, 40.0), gates=lines, gate_name="Cửa 3") as kiosk:
            text = await page(kiosk, silent=1)
            assert "/ops/gates" in await page(kiosk, "/ops")
    scale = box(0, 40.0).week[0].scale
    half, both = 2 * 2**0.5 * scale / 60, 2 * 2 * scale / 60
    first, second, third, total = newest(text)
    assert first == f"40 ({round(40 - half)}-{round(40 + half)})"
    assert second == f"60 ({round(60 - half)}-{round(60 + half)})"
    assert third == "thiếu missing"
    assert total == f"100 ({round(100 - both)}-{round(100 + both)}) chỉ 2/3 cửa 2 of 3 gates only"
    assert "Thiếu số liệu của: Cửa 9." in text
    assert 'data-whole="no"' in text
    assert [row[0] for row in rows(text)[1:4]] == ["Cửa 3", "Cửa &lt;7&gt; &quot;b&quot;", "Cửa 9"]
    assert rows(text)[3][3] == "Không trả lời Does not answer"
    assert "<7>" not in text


async def test_one_hall_is_its_largest_gate(tmp_path: Path) -> None:
    """By the rule of one hall the venue's figure is that of the gate that heard most in the week, not a sum."""
    here, there = parts(tmp_path, 2)
    async with running_kiosk(there, box(1, 60.0)) as other:
        lines = (f"B {other.url}",)
        async with running_kiosk(here, box(0, 40.0), gates=lines, hall_rule="same hall") as kiosk:
            text = await page(kiosk, silent=0)
    assert newest(text)[1] == newest(text)[2]
    assert 'data-whole="yes"' in text
    assert "Các cửa cùng một sảnh" in text


async def test_who_has_the_certificate_is_believed(tmp_path: Path) -> None:
    """By HTTPS a box is the one whose certificate the settings name; another's is not asked for anything."""
    here, there, elsewhere = parts(tmp_path, 3)
    ports = free_port(), free_port()
    async with (
        running_kiosk(there, box(1, 60.0), tls_port=ports[0], lan=True),
        running_kiosk(elsewhere, box(2, 60.0), tls_port=ports[1], lan=True),
    ):
        shown = certificate.shown(there / "operator").fingerprint
        lines = tuple(f"{name} https://127.0.0.1:{port} {shown}" for name, port in zip("AB", ports, strict=True))
        async with running_kiosk(here, box(0, 40.0), gates=lines) as kiosk:
            text = await page(kiosk, silent=0)
    assert [row[3] for row in rows(text)[1:4]] == [
        "Đã nhận Received",
        "Đã nhận Received",
        "Chứng chỉ khác với cài đặt: không tin Another certificate than in the settings: not believed",
    ]
    assert newest(text)[2] == "thiếu missing"
    assert newest(text)[3].startswith("100 (")


async def test_what_cannot_be_added(tmp_path: Path) -> None:
    """A box that is this one, one whose clock is unsure and a simulated one are named, and in no total."""
    here, *others = parts(tmp_path, 4)
    unsure = replace(box(1, 60.0), clock_sure=False)
    found = (box(0, 60.0), unsure, box(2, 60.0, simulated=True))
    async with contextlib.AsyncExitStack() as stack:
        kiosks = [
            await stack.enter_async_context(running_kiosk(folder, shown))
            for folder, shown in zip(others, found, strict=True)
        ]
        lines = tuple(f"{name} {one.url}" for name, one in zip("ABC", kiosks, strict=True))
        async with running_kiosk(here, box(0, 40.0), gates=lines) as kiosk:
            text = await page(kiosk, silent=0)
    said = [row[3] for row in rows(text)[2:5]]
    assert [words in one for words, one in zip(("hai lần", "giờ", "mô phỏng"), said, strict=True)] == [True] * 3
    assert newest(text)[3:] == ["thiếu missing", newest(text)[0] + " chỉ 1/4 cửa 1 of 4 gates only"]


async def test_no_scanner_here(tmp_path: Path) -> None:
    """A box without a snapshot is a missing gate itself, and shows the others."""
    here, there = parts(tmp_path, 2)
    now = replace(box(1, 60.0), week=(snapshots.hourly(int(time.time()) // 3600 * 3600 - 3600, 60.0),))
    async with running_kiosk(there, now) as other, running_kiosk(here, gates=(f"B {other.url}",)) as kiosk:
        text = await page(kiosk, silent=0)
    assert rows(text)[1][3] == "Thiết bị này đang dừng This box is not running"
    assert "Thiếu số liệu của: Thiết bị này." in text


def _forever(_: str, writer: asyncio.StreamWriter) -> Any:
    async def drip() -> None:
        while True:
            writer.write(b"HTTP/1.1 200 OK\r\nX: ")
            await writer.drain()
            await asyncio.sleep(1)

    return drip()


def _endless(_: str, writer: asyncio.StreamWriter) -> Any:
    async def pour() -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n[")
        while True:
            writer.write(b" " * 65536)
            await writer.drain()

    return pour()


def _raw(content: bytes) -> Answer:
    return lambda _, writer: writer.write(content)


WRONG: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "nothing": lambda _: _raw(b""),
    "no HTTP": lambda _: _raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "for ever": lambda _: _forever,
    "without end": lambda _: _endless,
    "long head": lambda _: _raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n{}"),
    "refuses": lambda good: json_answer(good, "403 Forbidden"),
    "moved": lambda good: json_answer(good, "302 Found", "Location: http://127.0.0.1:9/\r\n"),
    "no JSON": lambda good: json_answer({**good, "figures": b"<script>"}),
    "compressed": lambda good: json_answer(
        {what: gzip.compress(json.dumps(it).encode()) for what, it in good.items()},
        headers="Content-Encoding: gzip\r\n",
    ),
    "too large": lambda good: json_answer({**good, "figures": b"[" + b" " * MAX_BYTES["figures"] + b"]"}),
    "deep": lambda good: json_answer({**good, "figures": b"[" * 50_000}),
    "older": lambda good: json_answer({**good, "figures": [{**good["figures"][0], "released": "1"}]}),
    "no error": lambda good: json_answer({**good, "figures": [{**good["figures"][0], "error": None}]}),
    "below zero": lambda good: json_answer({**good, "figures": [{**good["figures"][0], "error": -5.0}]}),
    "a crowd": lambda good: json_answer({**good, "figures": [{**good["figures"][0], "released": 1e9}]}),
    "a long bin": lambda good: json_answer({**good, "figures": [{**good["figures"][0], "bin_s": 10**9}]}),
    "no such time": lambda good: json_answer({**good, "figures": [{**good["figures"][0], "start": 10**12}]}),
}


@pytest.mark.parametrize("names", [tuple(WRONG)[:9], tuple(WRONG)[9:]], ids=["lines", "documents"])
async def test_what_is_no_box_is_missing(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Whatever stands at an address: the page comes, that gate is missing, nothing it said is on it, never a zero."""
    good = documents(box(1, 60.0))
    good["level"]["word"]["vi"] = "<img src=x>"
    async with contextlib.AsyncExitStack() as stack:
        fakes = [await stack.enter_async_context(Fake(WRONG[name](good), name).serving()) for name in names]
        lines = tuple(fake.line for fake in fakes)
        kiosk = await stack.enter_async_context(running_kiosk(tmp_path, box(0, 40.0), gates=lines))
        text = await page(kiosk)
        assert all(fake.asked for fake in fakes)
    cells = dict(zip(names, newest(text)[1:-1], strict=True))
    assert cells == dict.fromkeys(names, "thiếu missing")
    assert newest(text)[-1] == newest(text)[0] + f" chỉ 1/{len(names) + 1} cửa 1 of {len(names) + 1} gates only"
    assert "img" not in text


async def test_its_words_are_never_shown(tmp_path: Path) -> None:
    """Of a box that answers well, no text reaches the page: names are the settings', words are ours."""
    good = documents(box(1, 60.0))
    evil = "<img src=x onerror=alert(1)>"
    good["level"]["word"] = good["level"]["site"] = {"vi": evil, "en": evil}
    good["health"]["device"] = evil
    good["health"]["lights"] = {"radio": {"light": evil, "code": evil}}
    async with (
        Fake(json_answer(good, headers="Set-Cookie: ops=stolen\r\n")).serving() as fake,
        running_kiosk(tmp_path, box(0, 40.0), gates=(fake.line,)) as kiosk,
    ):
        text = await page(kiosk, silent=0)
    assert newest(text)[1].startswith("60 (")
    assert "img" not in text
    assert not [head for head in fake.asked if "cookie" in head.lower()]
    assert {head.split(" ")[1] for head in fake.asked} == {f"/api/v1/{what}" for what in ("level", "health", "figures")}


@pytest.mark.parametrize("silent", [False, True], ids=["both", "own"])
async def test_bins_that_one_gate_invents(tmp_path: Path, *, silent: bool) -> None:
    """A gate with two bins for every minute: the hour that this box has stays on the page and in the summary."""
    good = documents(box(1, 60.0))
    last = good["figures"][0]
    minutes = range(HOUR_S + 3600 - 400 * 60, HOUR_S + 3600, 60)
    invented = [{**last, "start": start, "bin_s": bin_s, "minutes": 1} for start in minutes for bin_s in (60, 120)]
    good["figures"] = [*invented, *([] if silent else [last])]
    async with (
        Fake(json_answer(good)).serving() as fake,
        running_kiosk(tmp_path, box(0, 40.0), gates=(fake.line,)) as kiosk,
    ):
        text = await page(kiosk, silent=0)
    shown = next(row for row in rows(text) if row[0].endswith(span_of(HOUR_S)))
    assert shown[2].startswith("40 (")
    assert shown[3].startswith("thiếu" if silent else "60 (")
    assert f"{span_of(HOUR_S)} ngày" in text


async def test_the_summary_is_of_the_most_gates(tmp_path: Path) -> None:
    """One gate is silent and another was restarted within the hour: the summary is the hour of two, no part of one."""
    here, there = parts(tmp_path, 2)
    found = box(1, 60.0)
    part = replace(found.week[0], bin_start_s=HOUR_S + 1200, bin_s=2400, minutes_covered=40)
    async with running_kiosk(there, replace(found, week=(*found.week, part))) as other:
        lines = (f"B {other.url}", f"C http://127.0.0.1:{free_port()}")
        async with running_kiosk(here, box(0, 40.0), gates=lines) as kiosk:
            text = await page(kiosk, silent=1)
    assert f"{span_of(HOUR_S)} ngày" in text
    assert "tính từ 2/3 cửa" in text


async def test_a_box_whose_scanner_never_spoke(tmp_path: Path) -> None:
    """Its page answers, and has nothing to say: that is told, not that something was received."""
    here, there = parts(tmp_path, 2)
    async with running_kiosk(there) as other, running_kiosk(here, box(0, 40.0), gates=(f"B {other.url}",)) as kiosk:
        text = await page(kiosk, silent=0)
    assert rows(text)[2][3] == "Thiết bị này đang dừng This box is not running"


async def test_only_the_operator_asks_and_nobody_waits(tmp_path: Path) -> None:
    """Without the PIN no box is asked; while one is slow the venue's page comes; two looks at once ask once."""
    async with (
        Fake(_forever).serving() as fake,
        running_kiosk(tmp_path, box(0, 40.0), gates=(fake.line,)) as kiosk,
        cookies() as session,
    ):
        async with session.get(kiosk.url + "/ops/gates", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/ops")
        assert not fake.asked
        looking = asyncio.gather(page(kiosk), page(kiosk))
        await eventually(lambda: fake.asked)
        async with session.get(kiosk.url + "/") as answer:
            assert answer.status == 200
        assert not looking.done()
        await looking
        assert len(fake.asked) == 1


async def test_a_single_box_has_no_such_page(tmp_path: Path) -> None:
    """As shipped there is neither the page nor a link to it."""
    async with running_kiosk(tmp_path, box(0, 40.0)) as kiosk, cookies() as session:
        assert await enter(session, kiosk) == 303
        async with session.get(kiosk.url + "/ops/gates") as answer:
            assert answer.status == 404
        async with session.get(kiosk.url + "/ops") as answer:
            assert "/ops/gates" not in await answer.text()
