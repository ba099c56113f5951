"""A box on its own: no broker and no health authority. It counts, keeps nothing about anybody, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core import snapshot
from edge_scanner.core.model import ClockQuality
from edge_scanner.device import settings
from edge_scanner.device.doctor import broker, log
from edge_scanner.device.doctor.location import Place
from tests.support.box import Box

if TYPE_CHECKING:
    from pathlib import Path


def _alone(box: Box) -> None:
    """Take the authority away from a test's box, and put it into another zone."""
    text = box.config.read_text().replace('site = "test"', 'site = "test"\ntime_zone = "Asia/Kathmandu"')
    for key in ("recipients.json", "authority-root.pem", "custodian-root.pem"):
        text = text.replace(str(box.folder / key), "")
    box.config.write_text(text)


def test_box_alone_counts_and_lets_nothing_pile_up(tmp_path: Path) -> None:
    """Releases are stored, no message waits for a broker that will never be, no segment exists, no light is red."""
    with Box(tmp_path / "box") as box:
        _alone(box)
        box.start("--simulate", "30", "--speed", "120")
        _until_something_is_released(box)
        shown = snapshot.from_json((box.runtime / "snapshot.json").read_bytes())
        box.stop()
        tables = {name: box.rows(f"SELECT count(*) FROM {name}")[0][0] for name in ("release", "outbox", "segment")}

    assert tables["release"] > 0
    assert (tables["outbox"], tables["segment"]) == (0, 0)
    assert {light.light for light in shown.health.lights.values()} <= {"ok", "unknown"}
    codes = {shown.health.lights[name].code for name in ("log", "broker", "certificate")}
    assert codes == {"LOG-00", "BRK-00", "CRT-00"}
    assert shown.venue.utc_offset_s == 20_700


def _until_something_is_released(box: Box) -> None:
    commits = 1
    while not any(event["reports"] for event in box.until("minute committed", times=commits)):
        commits += 1


async def test_doctor_asks_nothing_of_a_box_alone(tmp_path: Path) -> None:
    """Broker, certificate and recipients are skipped, because this box is meant to have none."""
    with Box(tmp_path / "box") as box:
        _alone(box)
        box.state.mkdir(mode=0o700)
        place = Place(settings=settings.load(box.config), run=box.runtime, quality=lambda: ClockQuality.NTP)

        found = (*await broker.broker(place), log.certificate(place), log.recipients(place))

    assert [finding.verdict for finding in found] == ["SKIP", "SKIP", "SKIP"]
