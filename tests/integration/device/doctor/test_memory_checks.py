"""Swap that reaches a disk and a kernel that bounds no memory, told from what is harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.device.doctor import machine
from tests.support.box import Box
from tests.support.doctor import place_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("swaps", "backing", "expected"),
    [
        ("", None, ("PASS", "")),
        ("/var/swap file 102396 0 -2\n", None, ("WARN", "SEC-03")),
        ("/dev/mmcblk0p3 partition 102396 0 -2\n", None, ("WARN", "SEC-03")),
        ("/dev/zram0 partition 102396 0 100\n", "none", ("PASS", "")),
        ("/dev/zram0 partition 102396 0 100\n", None, ("PASS", "")),
        ("/dev/zram0 partition 102396 0 100\n", "/dev/loop0", ("WARN", "SEC-03")),
        ("/dev/zram0 partition 1 0 100\n/var/swap file 1 0 -2\n", "none", ("WARN", "SEC-03")),
    ],
)
def test_swap_that_reaches_a_disk(tmp_path: Path, swaps: str, backing: str | None, expected: tuple[str, str]) -> None:
    """Files, partitions and zram that is written back are told; compressed memory alone is not."""
    sys_, proc = tmp_path / "sys", tmp_path / "proc"
    proc.mkdir()
    (proc / "swaps").write_text(f"Filename Type Size Used Priority\n{swaps}")
    if backing is not None:
        (sys_ / "block" / "zram0").mkdir(parents=True)
        (sys_ / "block" / "zram0" / "backing_dev").write_text(f"{backing}\n")

    found = machine.swap(place_of(Box(tmp_path / "box"), sys=sys_, proc=proc))

    assert (str(found.verdict), found.code) == expected


@pytest.mark.parametrize(
    ("controllers", "expected"),
    [("cpu io memory pids\n", ("PASS", "")), ("cpu io pids\n", ("WARN", "SEC-04")), (None, ("SKIP", ""))],
)
def test_a_kernel_without_the_memory_controller(
    tmp_path: Path, controllers: str | None, expected: tuple[str, str]
) -> None:
    """The firmware's `cgroup_disable=memory` leaves the unit without its bounds, which systemd does not say."""
    groups = tmp_path / "sys" / "fs" / "cgroup"
    groups.mkdir(parents=True)
    if controllers is not None:
        (groups / "cgroup.controllers").write_text(controllers)

    found = machine.limits(place_of(Box(tmp_path / "box"), sys=tmp_path / "sys"))

    assert (str(found.verdict), found.code) == expected
