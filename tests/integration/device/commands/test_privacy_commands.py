"""`edge-scanner privacy`, `calibrate` and `adoption` as functions, on a real store and in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.counts import release
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.counts.privacy_budget import BUDGET
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError, StorageError
from edge_scanner.core.model import Batch, Tally
from edge_scanner.device import site_factor
from edge_scanner.device.commands.adoption import run_adoption
from edge_scanner.device.commands.calibrate import run_calibrate, run_forget
from edge_scanner.device.commands.privacy import run_privacy
from edge_scanner.device.commands.statement import PrivacySettings, state
from edge_scanner.device.storage.store import open_store
from tests.support.disks import without_end
from tests.support.installed import program

if TYPE_CHECKING:
    from pathlib import Path

HOUR_S = 1_700_002_800
TRACED = replace(BUDGET, tracing_figures=True)
SETTINGS = PrivacySettings(
    protocols=("bluezone", "gaen"),
    name_vi="Chợ <Bến> Thành & phố",
    name_en="Ben Thanh Market",
    notice_url="https://example.org/thong-bao?site=ben-thanh&lang=vi",
    contact="028 0000 0000",
    retention_days=21,
)


def test_statement_follows_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON names every figure that is released and the price of each stay, for whoever sees everything."""
    run_privacy(replace(SETTINGS, budget=TRACED), as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["figures"] == ["nearby", "bluezone_hint", "bluezone_presence", "bluezone", "gaen", "passing"]
    moved = [(33 * 2 * hours + 2 + 66) / 596 + (33 * 2 * hours + 2) / 530 for hours in (0.5, 2, 8)]
    assert said["epsilons"] == pytest.approx([1.3 * both for both in moved])
    assert said["sensitivity"] == 66
    assert said["retention_days"] == 21


def test_box_without_a_log_promises_no_sealing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Statement and notice of a box that only counts say that no code is kept, and nothing of seals or days."""
    alone = replace(SETTINGS, retention_days=0)

    run_privacy(alone)
    run_privacy(alone, notice_file=tmp_path / "notice.html")

    assert "The box keeps no log." in capsys.readouterr().out
    notice = (tmp_path / "notice.html").read_text()
    assert "No code is kept." in notice
    assert "Không lưu mã nào." in notice
    assert "sealed within" not in notice


def test_statement_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The text has the epsilon of each stay, the expected errors and the retention."""
    run_privacy(SETTINGS)
    text = " ".join(capsys.readouterr().out.split())
    for part in ("0.441", "0.872", "2.6", "adds 0.29", "than 0.86", "4.1", "21 days", "66"):
        assert part in text
    assert "tracing figure" not in text
    run_privacy(replace(SETTINGS, budget=TRACED))
    assert "mean error, a tracing figure" in capsys.readouterr().out


def test_a_slower_radio_costs_accuracy_not_privacy() -> None:
    """With a declared grace of 300 s a device adds up to 90 an hour: the noise grows, a day's price stays."""
    slow = state(PrivacySettings(protocols=("gaen",), grace_s=300.0))
    assert slow.sensitivity == 90
    usual = state(SETTINGS)
    assert all(ledger.scale > plain.scale for ledger, plain in zip(slow.ledgers, usual.ledgers, strict=True))
    assert slow.epsilons[-1] == usual.epsilons[-1] == 2.6


def test_notice_is_escaped_and_fetches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name with markup stays text, and nothing in the files is loaded from anywhere.

    The wall has words that everybody understands; the page behind its code has the numbers.
    """
    file, behind = tmp_path / "notice.html", tmp_path / "page.html"
    run_privacy(SETTINGS, notice_file=file, page_file=behind)
    said = capsys.readouterr().out
    assert "A5" in said
    assert "notice_url" in said
    for html in (file.read_text(encoding="utf-8"), behind.read_text(encoding="utf-8")):
        assert "Chợ &lt;Bến&gt; Thành &amp; phố" in html
        assert "$" not in html
        for loads in ("<script", "src=", "@import", "url(", "<link", "http-equiv"):
            assert loads not in html
        assert "21 ngày" in html
        assert "connects for a moment" not in html
    assert "ε" not in file.read_text(encoding="utf-8")
    assert "không ai\ncó thể nhìn con số mà biết chắc bạn có ở đây" in file.read_text(encoding="utf-8")
    assert "ε ≤ 2.6" in behind.read_text(encoding="utf-8")
    run_privacy(
        PrivacySettings(protocols=("bluezone",), notice_url="https://a.b", reads_iphones=True), notice_file=file
    )
    assert "connects for a moment" in file.read_text(encoding="utf-8")


def test_notice_needs_an_address_and_a_place(tmp_path: Path) -> None:
    """Without an address there is no QR code to print; a folder that is not there is named."""
    with pytest.raises(ConfigurationError, match="notice_url"):
        run_privacy(PrivacySettings(protocols=("bluezone",)), notice_file=tmp_path / "notice.html")
    with pytest.raises(StorageError, match="missing"):
        run_privacy(SETTINGS, notice_file=tmp_path / "missing" / "notice.html")


def test_notice_prints_on_one_page_and_scans(tmp_path: Path) -> None:
    """In Chromium the notice is one A5 page, and its code reads as the address."""
    chromium, zbar = program("chromium"), program("zbarimg")
    file = tmp_path / "notice.html"
    run_privacy(SETTINGS, notice_file=file)
    browser = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run(
        [*browser, f"--print-to-pdf={tmp_path / 'notice.pdf'}", "--no-pdf-header-footer", file.as_uri()],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [*browser, "--window-size=559,794", f"--screenshot={tmp_path / 'notice.png'}", file.as_uri()],
        check=True,
        capture_output=True,
    )
    pdf = (tmp_path / "notice.pdf").read_bytes()
    assert pdf.count(b"/Type /Page\n") == 1
    # A5 is 148 by 210 mm: 419.5 by 595.3 points.
    box = re.search(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", pdf)
    assert box is not None
    assert [float(side) for side in box.groups()] == pytest.approx([419.5, 595.3], abs=1)
    read = subprocess.run([zbar, "-q", "--raw", tmp_path / "notice.png"], check=True, capture_output=True)
    assert read.stdout.decode().strip() == SETTINGS.notice_url


def store_with(database: Path, devices: int) -> None:
    """An hour released to the broker in a real store, this many devices in each minute."""

    async def fill() -> None:
        ledger = Ledger(figures=("other", "passing"))
        for minute in range(60):
            figures = {"other": devices, "passing": 0}
            ledger.add(Tally(minute_s=HOUR_S + minute * 60, listened_s=60.0, figures=figures))
        releases = tuple(release.to_release(report) for report in ledger.due(HOUR_S + 3600))
        async with open_store(database) as store:
            await store.commit(Batch(releases=releases))

    asyncio.run(fill())


def test_calibrate_keeps_the_factor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """300 people where the box released about 1,000 devices: 0.3 with a range around it, kept with its date."""
    assert site_factor.load(tmp_path) == Counted()
    store_with(tmp_path / "log.db", 1000)
    run_calibrate(300, database=tmp_path / "log.db", state_dir=tmp_path, now_s=HOUR_S + 3600.0)
    assert "people per device" in capsys.readouterr().out
    kept = site_factor.load(tmp_path)
    assert kept.full is not None
    assert (kept.full.people, kept.full.measured_s) == (300, HOUR_S + 3600)
    run_calibrate(600, database=tmp_path / "log.db", state_dir=tmp_path, as_json=True, now_s=HOUR_S + 3700.0)
    said = json.loads(capsys.readouterr().out)
    assert said["people_per_device"] == pytest.approx(0.6, abs=0.04)
    assert said["low"] < 0.6 < said["high"]


def test_an_empty_place_and_a_full_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counted with nobody there and with 320 people: slope and offset; forgotten on request; damage is mended."""
    for name in ("empty", "full"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "calibration.json").write_text("{")
    store_with(tmp_path / "empty" / "log.db", 200)
    store_with(tmp_path / "full" / "log.db", 1000)
    now_s = HOUR_S + 3600.0
    run_calibrate(0, database=tmp_path / "empty" / "log.db", state_dir=tmp_path, now_s=now_s)
    said = " ".join(capsys.readouterr().out.split())
    assert "devices are here when nobody is" in said
    assert "Count once more" in said
    run_calibrate(320, database=tmp_path / "full" / "log.db", state_dir=tmp_path, as_json=True, now_s=now_s)
    line = json.loads(capsys.readouterr().out)
    assert line["people_per_device"] == pytest.approx(0.4, abs=0.03)
    assert line["empty"] == pytest.approx(200, abs=40)
    run_forget(state_dir=tmp_path, now_s=now_s)
    assert site_factor.load(tmp_path) == Counted(forgotten_s=now_s)


def test_adoption_of_a_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day with 300 Bluezone phones and 200 iPhones of it among 1,000 devices: about half, with a range around it."""

    async def fill(figures: dict[str, int]) -> None:
        ledger = Ledger(TRACED, figures=tuple(figures))
        for minute in range(1440):
            ledger.add(Tally(minute_s=HOUR_S + minute * 60, listened_s=60.0, figures=figures))
        releases = tuple(release.to_release(report) for report in ledger.due(HOUR_S + 86_400))
        async with open_store(tmp_path / "log.db") as store:
            await store.commit(Batch(releases=releases))

    asyncio.run(fill({"other": 500, "bluezone": 300, "bluezone_presence": 200, "passing": 50}))
    run_adoption(database=tmp_path / "log.db", as_json=True, now_s=HOUR_S + 86_500.0)
    found = json.loads(capsys.readouterr().out)
    assert found["share"] == pytest.approx(0.5, abs=0.015)
    assert 0.01 < found["high"] - found["low"] < 0.03
    run_adoption(database=tmp_path / "log.db", now_s=HOUR_S + 86_500.0)
    assert "24 bins" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(RefusedError, match="noise"):
        run_adoption(database=tmp_path / "log.db", days=1, now_s=HOUR_S + 3 * 86_400.0)


def test_calibrate_refuses_what_noise_explains(tmp_path: Path) -> None:
    """With three devices, and two hours later, there is no factor and no file."""
    store_with(tmp_path / "log.db", 3)
    with pytest.raises(RefusedError) as caught:
        run_calibrate(3, database=tmp_path / "log.db", state_dir=tmp_path, now_s=HOUR_S + 3600.0)
    assert caught.value.code == "too-few"
    with pytest.raises(RefusedError) as caught:
        run_calibrate(3, database=tmp_path / "log.db", state_dir=tmp_path, now_s=HOUR_S + 10_800.0)
    assert caught.value.code == "no-minutes"
    assert site_factor.load(tmp_path) == Counted()


def test_calibration_file_that_cannot_be_used(tmp_path: Path) -> None:
    """A damaged file, a folder in its place, a folder that is missing are named; counting mends what is no file."""
    (tmp_path / "calibration.json").write_text("{")
    with pytest.raises(BadDataError, match=r"calibration\.json"):
        site_factor.load(tmp_path)
    (tmp_path / "calibration.json").unlink()
    (tmp_path / "calibration.json").mkdir()
    with pytest.raises(StorageError, match=r"calibration\.json"):
        site_factor.load(tmp_path)
    (tmp_path / "calibration.json").rmdir()
    store_with(tmp_path / "log.db", 1000)
    for what in ("endless", "pipe"):
        without_end(tmp_path / "calibration.json", what)
        run_calibrate(300, database=tmp_path / "log.db", state_dir=tmp_path, now_s=HOUR_S + 3600.0)
        assert site_factor.load(tmp_path).full is not None
    with pytest.raises(StorageError, match=r"calibration\.json"):
        run_calibrate(300, database=tmp_path / "log.db", state_dir=tmp_path / "missing", now_s=HOUR_S + 3600.0)
