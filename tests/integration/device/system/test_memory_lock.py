"""Locked memory: the kernel says how much of a process may never go to swap (under systemd: tests/e2e)."""

from __future__ import annotations

import re
import subprocess
import sys

CHILD = """
from pathlib import Path
from edge_scanner.device.system import memory
print(memory.lock())
kept = bytes(50_000_000)
print(Path("/proc/self/status").read_text())
"""


def test_what_is_said_is_what_the_kernel_did() -> None:
    """All mappings are locked, also those that nobody has used yet, which cost nothing; or it is said why not."""
    command = ["sh", "-c", 'ulimit -l unlimited 2>/dev/null; exec "$0" -c "$1"', sys.executable, CHILD]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    said, _, status = answer.partition("\n")
    sizes = {name: int(size) for name, size in re.findall(r"^(Vm\w+):\s+(\d+) kB$", status, re.MULTILINE)}
    if said:
        assert said == "Cannot allocate memory"
        assert sizes["VmLck"] == 0
    else:
        assert sizes["VmLck"] > 50_000
        assert sizes["VmLck"] > sizes["VmRSS"]
