"""The README's roads on a fresh Debian 12 and a fresh Debian 13, as people of three kinds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from edge_scanner import __version__
from tests.support import captures, product
from tests.support.fresh import INSTALL, RELEASES, SOURCES, asked_of_root, commands, fresh, make, used_mb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.debian import Machine

pytestmark = pytest.mark.system

DEMO_MB = 150
"""What README's demonstration may take, without Debian's packages."""


@pytest.fixture(params=RELEASES)
def debian(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A fresh machine."""
    with fresh(tmp_path, request.param) as target:
        yield target


def test_the_demo_needs_one_command_of_the_administrator(debian: Machine) -> None:
    """A user without sudo is told what root has to run; after that the demo comes up and finds itself well."""
    command = asked_of_root(debian, "demo DEMO_ARGS=--check")
    assert command.endswith(" python3-venv mosquitto mosquitto-clients")
    debian.run("sh", "-c", f"{command} >/dev/null")
    make(debian, ".venv/.demo")
    assert "NOT GOOD" not in make(debian, "demo DEMO_ARGS=--check")
    assert not list(debian.path("/tmp").glob("edge-scanner-demo-*"))
    assert used_mb(debian.path(f"{SOURCES}/.venv")) <= DEMO_MB


@pytest.mark.parametrize("tests", ["test", "e2e"])
def test_debian_has_every_package_that_tests_ask_for(debian: Machine, tests: str) -> None:
    """A user without sudo is told all of it before anything is fetched, and apt finds each package."""
    command = asked_of_root(debian, tests)

    assert "mosquitto" in command
    assert not debian.path(f"{SOURCES}/.venv").exists()
    debian.run("sh", "-c", command.replace("apt-get install", "apt-get install --simulate"))


def test_a_user_with_sudo_is_asked_nothing(debian: Machine) -> None:
    """What is missing comes by itself, no service starts meanwhile, and Debian's switch for that is away afterwards."""
    debian.run(*INSTALL, "sudo")
    debian.path("/etc/sudoers.d/an").write_text("an ALL=(ALL) NOPASSWD: ALL\n")
    debian.path("/etc/apt/apt.conf.d/99look").write_text(
        'DPkg::Pre-Invoke { "/usr/sbin/policy-rc.d mosquitto start; echo $? >/tmp/answer"; };\n'
    )

    make(debian, ".venv/.box NEEDS=mosquitto")

    assert debian.path("/usr/sbin/mosquitto").exists()
    assert debian.path("/tmp/answer").read_text() == "101\n"
    assert not debian.path("/usr/sbin/policy-rc.d").exists()


def test_root_rehearses_and_fills_the_folders_of_laptop_and_centre(debian: Machine) -> None:
    """The authority's night; then the guides' commands without a network, and a day with three programs."""
    assert "✘" not in make(debian, "demo-tracing DEMO_ARGS=--check", user="root")
    for name in ("laptop", "central"):
        make(debian, name, user="root")
        shutil.move(debian.path(f"{SOURCES}/dist/{name}"), debian.path(f"/root/{name}"))
    shutil.rmtree(debian.path(SOURCES))
    desk = debian.path("/root/desk")
    desk.mkdir()
    heard = captures.legacy_event(captures.legacy_report(captures.GAEN))
    adverts = [(captures.START_S + second, 0, heard) for second in range(60)]
    (desk / "capture.btsnoop").write_bytes(captures.btsnoop(adverts))
    shutil.copy(product.__file__, debian.path("/root/product.py"))

    for guide in ("authority.md", "central.md"):
        debian.offline("sh", "-ec", "\n".join(["cd /root", *commands(guide)]))

    assert debian.run("/usr/local/bin/edge-authority", "--version").strip() == __version__
    assert debian.offline("/opt/edge/bin/python", "/root/product.py", "/root/desk") == "well\n"
    assert commands("fleet.md")[:-1] == commands("authority.md")[:-1]
    debian.path("/root/central.toml").write_text('[database]\nurl = "sqlite:////root/centre.db"\n')
    debian.offline("/usr/local/bin/edge-central", "database", "--config", "/root/central.toml")
    assert debian.path("/root/centre.db").stat().st_size > 0
