"""The daemon's event loop: what comes often is read in turns, what is urgent at once; beats fall together."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from edge_scanner.device.system import unhurried
from edge_scanner.device.system.unhurried import ENOUGH_BYTES, OFTEN, REST_S
from tests.support.slow_line import in_simulated_time

MESSAGES = 400


def test_a_crowd_is_read_in_turns_and_nothing_is_lost() -> None:
    """Four hundred messages, a few milliseconds apart, are found in far fewer looks, all of them and in order."""
    looks: list[bytes] = []

    async def listen() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            done = asyncio.Event()

            def read() -> None:
                looks.append(ours.recv(65536))
                if sum(map(len, looks)) == MESSAGES:
                    done.set()

            asyncio.get_running_loop().add_reader(ours, read)

            def speak() -> None:
                for number in range(MESSAGES):
                    theirs.send(bytes([number % 256]))
                    time.sleep(0.002)

            speaker = threading.Thread(target=speak)
            speaker.start()
            await done.wait()
            asyncio.get_running_loop().remove_reader(ours)
            speaker.join()

    with asyncio.Runner(loop_factory=unhurried.new_loop) as runner:
        runner.run(listen())

    assert b"".join(looks) == bytes(number % 256 for number in range(MESSAGES))
    assert len(looks) < MESSAGES / 4


def test_questions_and_answers_do_not_rest() -> None:
    """A few looks in a row, as when the daemon starts, are no crowd."""
    clock = [0.0]
    selector = unhurried.RestingSelector(lambda: clock[0])
    urgent, (ours, theirs) = socket.socketpair(), socket.socketpair()
    selector.register(urgent[0], 1)
    selector.register(ours, 1)
    theirs.send(b"x")

    rested = []
    for _ in range(OFTEN + 2):
        selector.select(REST_S)
        rested.append(selector._rest)

    assert rested == [False] * OFTEN + [True] * 2
    clock[0] += 4 * OFTEN * REST_S
    selector.select(REST_S)
    assert not selector._rest
    selector.close()
    for one in (*urgent, ours, theirs):
        one.close()


def test_a_thread_ends_a_rest() -> None:
    """What a thread reports is taken at once: a rest of ten minutes ends."""

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        selector = loop._selector  # type: ignore[attr-defined]
        done = asyncio.Event()
        selector._rest = True
        threading.Timer(0.05, lambda: loop.call_soon_threadsafe(done.set)).start()
        await done.wait()

    rest_s, unhurried.REST_S = unhurried.REST_S, 600.0
    try:
        with asyncio.Runner(loop_factory=unhurried.new_loop) as runner:
            runner.run(wait())
    finally:
        unhurried.REST_S = rest_s


def test_there_is_no_rest_while_something_waits() -> None:
    """What is not read in one go is read at once, so that no buffer overflows: a rest of ten minutes is none."""
    selector = unhurried.RestingSelector()
    urgent, (ours, theirs) = socket.socketpair(), socket.socketpair()
    selector.register(urgent[0], 1)
    selector.register(ours, 1)
    theirs.send(b"x")
    selector._rest, selector._rest_s = True, 600.0
    ((key, _),) = selector.select(600.0)
    selector.close()
    assert key.fileobj is ours
    for one in (*urgent, ours, theirs):
        one.close()


def test_a_rest_that_found_much_is_followed_by_a_shorter_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest follows what it finds, and grows again as the crowd goes; a socket never fills while the loop rests."""
    selector = unhurried.RestingSelector()
    urgent, (ours, theirs) = socket.socketpair(), socket.socketpair()
    for one in (*urgent, ours, theirs):
        one.setblocking(False)
    selector.register(urgent[0], 1)
    selector.register(ours, 1)

    def rest(found: int, timeout: float | None = None) -> float:
        """How long the loop rests while so many messages of 300 bytes come; all of them are read after it."""
        rests: list[float] = []

        def wait(_r: object, _w: object, _x: object, rest_s: float) -> None:
            rests.append(rest_s)
            for _ in range(found):
                theirs.send(bytes(300))

        selector._rest = True
        monkeypatch.setattr("select.select", wait)
        selector.select(timeout)
        monkeypatch.undo()
        ours.recv(found * 300)
        return rests[0]

    assert rest(50) == REST_S
    assert rest(160) == REST_S
    assert rest(160) == pytest.approx(REST_S * ENOUGH_BYTES / (160 * 300))
    assert rest(1, 0.001) == 0.001
    for _ in range(20):
        last_s = rest(1)
    assert last_s == REST_S
    selector.close()
    for one in (*urgent, ours, theirs):
        one.close()


def test_beats_fall_together() -> None:
    """Whoever beats alike wakes at the same moment, whenever he began."""

    async def scenario() -> list[float]:
        loop, woke = asyncio.get_running_loop(), []

        async def one(after_s: float) -> None:
            await asyncio.sleep(after_s)
            for _ in range(3):
                await unhurried.beat(5.0)
                woke.append(loop.time())

        await asyncio.gather(*(one(0.7 * number) for number in range(7)))
        return woke

    assert sorted(in_simulated_time(scenario())) == pytest.approx([*[5.0] * 7, *[10.0] * 7, *[15.0] * 7])
