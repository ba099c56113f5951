"""A box whose card is damaged on installation day: no file is read whole that has no end, and no pipe is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.enrolment import proofs
from edge_scanner.device import settings
from edge_scanner.device.enrolment.steps import enrol
from tests.support.disks import without_end
from tests.support.fleet import OpenBench, box_in, open_bench, workshop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_scanner.core.enrolment.documents import StepResult


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[OpenBench]:
    """A bench of a batch of five, answering."""
    with open_bench(workshop(tmp_path)) as running:
        yield running


def _failed(steps: tuple[StepResult, ...]) -> list[tuple[str, str]]:
    return [(step.name, step.code) for step in steps if step.verdict != "PASS"]


@pytest.mark.parametrize(
    ("name", "what", "step"),
    [
        ("etc/fleet.pub", "endless", "fleet"),
        ("etc/fleet.pub", "pipe", "fleet"),
        ("state/manifest.json", "endless", "manifest"),
        ("state/manifest.json", "pipe", "manifest"),
        ("state/identity.key", "endless", "keys"),
        ("state/identity.key", "pipe", "keys"),
        ("state/mqtt.key", "endless", "keys"),
        ("state/mqtt.key", "pipe", "keys"),
        ("state/assignment.json", "endless", "name"),
        ("state/assignment.json", "pipe", "name"),
        ("etc/broker-ca.pem", "endless", "trust"),
        ("state/settled", "endless", "settings"),
        # What can be written anew is.
        ("state/mqtt.crt", "endless", ""),
        ("state/mqtt.crt", "pipe", ""),
        ("etc/broker-ca.pem", "pipe", ""),
        ("state/settled", "pipe", ""),
    ],
)
def test_a_file_without_end_is_one_line(bench: OpenBench, tmp_path: Path, name: str, what: str, step: str) -> None:
    """A damaged entry of a terabyte, or a pipe that nobody writes to: not read, not waited for; its step says so."""
    assert _failed(enrol(box_in(tmp_path / "box"), bench.link)) == []

    bad = without_end(tmp_path / "box" / name, what)
    steps = enrol(box_in(tmp_path / "box"), bench.link)

    assert [name for name, _ in _failed(steps)] == ([step] if step else [])
    if step:
        assert "\n" not in steps[-1].detail
    else:
        assert bad.is_file()
        assert bad.stat().st_size < 10_000


@pytest.mark.parametrize("what", ["endless", "pipe"])
def test_settings_and_a_secret_without_end_are_none(bench: OpenBench, tmp_path: Path, what: str) -> None:
    """Settings that cannot be read are set aside; without a readable secret of the batch a technician confirms."""
    box = box_in(tmp_path / "box")
    secret = without_end(box.etc / proofs.FILE, what)
    without_end(box.settings, what)
    assert _failed(enrol(box, bench.link)) == [("name", "PRV-06")]

    secret.unlink()
    box = box_in(tmp_path / "box")
    assert _failed(enrol(box, bench.link)) == []
    assert settings.load(box.settings).device.id == box.assignment.device_id if box.assignment else False
