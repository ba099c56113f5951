"""SIGKILL at random moments: each acknowledged minute is there, once, and the next process goes on behind it."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_scanner.core.model import MessageKind
from edge_scanner.device.storage import files
from edge_scanner.device.storage.store import open_reader, open_store
from tests.support.batches import SEGMENT_FRAMES, batch, frame, message
from tests.support.tiers import part_and_whole


async def write(path: Path) -> None:
    """Commit minute after minute behind what is there, and say each number once it is committed."""
    async with open_store(path) as store:
        state = await store.log_state()
        done = (state.next_segment - 1) * SEGMENT_FRAMES + len(state.frames) if state.newest else 0
        minute = done or state.next_segment * SEGMENT_FRAMES
        while True:
            await store.commit(batch([minute], messages=[message(MessageKind.HEALTH, minute)]))
            sys.stdout.write(f"{minute}\n")
            sys.stdout.flush()
            minute += 1


async def read(path: Path) -> list[bytes]:
    """Every frame's ciphertext in order."""
    async with open_reader(path) as store:
        return [one.ciphertext for seq, _ in await store.segments() async for one in store.frames(seq)]


@pytest.mark.parametrize("kills", part_and_whole(10, 100))
def test_no_acknowledged_minute_is_lost_at_kills(tmp_path: Path, kills: int) -> None:
    """One database through killed processes: gapless, in order, nothing set aside."""
    path = tmp_path / "state" / "log.db"
    dice = random.Random(7)
    acknowledged = -1
    for _ in range(kills):
        command = [sys.executable, "-m", "tests.integration.device.storage.test_store_sigkill", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(dice.random() * 0.03)
            process.kill()
            said = [int(line) for line in (first + process.stdout.read()).splitlines(keepends=True) if line[-1] == "\n"]
        assert said, "the process said nothing before it was killed"
        assert said[0] in {acknowledged + 1, acknowledged + 2}
        acknowledged = said[-1]

    found = asyncio.run(read(path))
    assert len(found) - 1 in {acknowledged, acknowledged + 1}
    assert found == [frame(minute).ciphertext for minute in range(len(found))]
    assert files.aside(path) == ()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
