"""SIGKILL at any moment: whatever was seen of a bin, before and after, is one and the same number."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[4]
KILLS = 8


def test_killed_and_restarted_a_bin_has_one_noise(tmp_path: Path) -> None:
    """Eight runs on one real store, each killed at a random moment: every name that was ever seen has one body.

    With noise of scale 66 and more, a second draw for a name would show in all but one of a hundred cases.
    """
    rng = random.Random(17)
    seen: dict[tuple[str, str], set[str]] = {}
    minute = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.release_loop", str(tmp_path / "log.db"), str(minute)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        # Wait for its first minute, then let it run for a random time.
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("minute"):
                break
        time.sleep(rng.uniform(0, 0.4))
        assert process.poll() is None
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        # The last line may have been cut short by the kill.
        for line in (one for one in lines if one.endswith("\n")):
            first, _, rest = line.rstrip("\n").partition(" ")
            if first == "minute":
                minute = int(rest)
            else:
                start, _, body = rest.partition(" ")
                seen.setdefault((first, start), set()).add(body)
        # The machine takes its time, or its clock comes back up to a quarter of an hour early.
        minute = max(minute + rng.randrange(-15, 3), 0)
    assert len(seen) > KILLS
    assert all(len(bodies) == 1 for bodies in seen.values())
