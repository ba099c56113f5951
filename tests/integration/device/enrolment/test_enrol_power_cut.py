"""Installation day on a real disk whose power is cut: whatever the bench was told stands on the card by then."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device.enrolment.steps import enrol
from tests.support.disks import disk_image, when_power_returns
from tests.support.fleet import box_in, open_bench, workshop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.fleet import OpenBench


class Cut(BaseException):
    """Nothing more happens on this box."""


def run(bench: OpenBench, folder: Path, serial: str, mark: Callable[[str], None]) -> list[str]:
    """What failed of one enrolment of the board `serial` whose files lie in `folder`."""
    box = box_in(folder / "box", serial)
    os.sync()
    box.mark = mark
    return [f"{step.name} {step.code} {step.detail}" for step in enrol(box, bench.link) if step.verdict != "PASS"]


@pytest.mark.system
def test_a_box_cut_off_at_any_moment_goes_on_as_itself(tmp_path: Path) -> None:
    """A board for each moment of an enrolment, with the card that it has then: plugged in again it is named at once."""
    place = workshop(tmp_path, count=80)
    card, cut, folder = tmp_path / "card.img", tmp_path / "cut.img", tmp_path / "mnt"
    folder.mkdir()
    moments: list[str] = []
    refused: dict[str, list[str]] = {}
    with open_bench(place) as bench:
        with disk_image(card, folder, megabytes=6):
            assert run(bench, folder, "10000000abcd0000", moments.append) == []
        for number, moment in enumerate(moments):
            passed: list[str] = []

            def pull(where: str, passed: list[str] = passed, number: int = number) -> None:
                passed.append(where)
                if len(passed) == number + 1:
                    shutil.copy(card, cut)
                    raise Cut

            serial = f"10000000abcd{number + 1:04x}"
            with disk_image(card, folder, megabytes=6), contextlib.suppress(Cut):
                run(bench, folder, serial, pull)
            with when_power_returns(cut, folder):
                if failed := run(bench, folder, serial, lambda _: None):
                    refused[moment] = failed

    assert len(moments) > 40
    assert refused == {}
