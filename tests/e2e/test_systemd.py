"""Installation day under Debian's own systemd, every unit in its real sandbox (tests/support/booted.py)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.enrolment import proofs
from tests.support.booted import booted
from tests.support.debian import build, machine, source
from tests.support.fleet import open_bench, workshop

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

ASKER = """\
from pathlib import Path
import time

from edge_scanner.device.enrolment import set_clock

folder = Path("/run/edge-scanner-enrol")


def now():
    return 0.0 if (folder / "clock").exists() else time.time()


try:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    may = True
except PermissionError:
    may = False
Path("/etc/edge-scanner/asked").write_text(f"{may} {set_clock.ask(folder, time.time(), now=now)}")
"""
"""An enrolment whose clock seems to stand in 1970 until the service has been. It asks for the true time, because the
clock is everybody's on this machine."""


def test_the_clock_is_set_for_enrolment_which_may_not(tmp_path: Path) -> None:
    """The request becomes a set clock and then the box is named; afterwards nothing watches for another one."""
    (tmp_path / "shop").mkdir()
    shop = workshop(tmp_path / "shop")
    package = build(source(tmp_path / "source"), tmp_path)
    with machine(tmp_path) as debian, open_bench(shop) as bench:
        debian.install(package)
        shutil.copy(shop.folder / proofs.FILE, debian.path("/etc/edge-scanner") / proofs.FILE)
        debian.run("chown", "edge-scanner:", f"/etc/edge-scanner/{proofs.FILE}")
        debian.path("/opt/ask.py").write_text(ASKER)
        changed = debian.path("/etc/systemd/system/edge-scanner-enrol.service.d")
        changed.mkdir(parents=True)
        (changed / "test.conf").write_text(
            "[Service]\nRestart=no\nExecStart=\nExecStartPost=\nExecStart=/opt/edge-scanner/bin/python3 /opt/ask.py\n"
            "ExecStart=/opt/edge-scanner/bin/edge-scanner enrol --no-self-test"
            f" --bench http://127.0.0.1:{bench.port}\n"
        )
        with booted(debian, tmp_path) as system:
            system.run("systemctl", "start", "--no-block", "edge-scanner-enrol.service")
            enrolled = system.result("edge-scanner-enrol.service")
            clock = system.result("edge-scanner-clock.service")
            watcher = system.result("edge-scanner-clock.path")
            left = system.run("ls", "/run")
            settings = debian.path("/etc/edge-scanner/scanner.toml")
            assert f'id = "{shop.batch.manifest.ids[0]}"' in settings.read_text()
            # A program that cannot even start is no box that is ready or has something to look at.
            settings.unlink()
            (package_folder,) = debian.path("/opt/edge-scanner/lib").rglob("edge_scanner")
            shutil.rmtree(package_folder)
            system.run("systemctl", "start", "--no-block", "edge-scanner-enrol.service")
            crashed = system.result("edge-scanner-enrol.service")

        assert debian.path("/etc/edge-scanner/asked").read_text() == "False True"
        assert [(found["Result"], found["ExecMainStatus"]) for found in (enrolled, clock)] == [("success", "0")] * 2
        assert (crashed["Result"], crashed["ExecMainStatus"]) == ("exit-code", "1")
        assert (watcher["ActiveState"], "edge-scanner-enrol" in left) == ("inactive", False)
