"""The README's roads on a fresh Debian 12 and a fresh Debian 13, as people of three kinds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from edge_scanner import __version__
from tests.support import captures, product
from tests.support.fresh import INSTALL, RELEASES, SOURCES, commands, fresh, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.debian import Machine

pytestmark = pytest.mark.system


@pytest.fixture(params=RELEASES)
def debian(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A fresh machine."""
    with fresh(tmp_path, request.param) as target:
        yield target


def test_the_demo_needs_one_command_of_the_administrator(debian: Machine) -> None:
    """A user without sudo is told what root has to run; after that the demo comes up and finds itself well."""
    said = make(debian, "demo DEMO_ARGS=--check", expect=2)

    (command,) = [line.strip() for line in said.splitlines() if line.startswith("  apt-get")]
    assert "python3-venv mosquitto mosquitto-clients" in command
    debian.run("sh", "-c", f"{command} >/dev/null")
    make(debian, ".venv/.demo")
    assert "NOT GOOD" not in make(debian, "demo DEMO_ARGS=--check")
    assert not list(debian.path("/tmp").glob("edge-scanner-demo-*"))


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


def test_a_laptop_is_made_from_a_stick(debian: Machine) -> None:
    """`make laptop` as root, then the guide's commands without a network, and a day with the three programs."""
    make(debian, "laptop", user="root")
    shutil.move(debian.path(f"{SOURCES}/dist/laptop"), debian.path("/root/laptop"))
    shutil.rmtree(debian.path(SOURCES))
    desk = debian.path("/root/desk")
    desk.mkdir()
    heard = captures.legacy_event(captures.legacy_report(captures.GAEN))
    adverts = [(captures.START_S + second, 0, heard) for second in range(60)]
    (desk / "capture.btsnoop").write_bytes(captures.btsnoop(adverts))
    shutil.copy(product.__file__, debian.path("/root/product.py"))

    debian.offline("sh", "-ec", "\n".join(["cd /root", *commands("authority.md")]))

    assert debian.run("/usr/local/bin/edge-authority", "--version").strip() == __version__
    assert debian.offline("/opt/edge/bin/python", "/root/product.py", "/root/desk") == "well\n"
    assert commands("fleet.md")[:-1] == commands("authority.md")[:-1]
