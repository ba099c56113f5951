"""A fresh Debian 12 and a fresh Debian 13, with make and nothing else: the README's roads, as people of three kinds.

Needs the network: Debian's archive and the package index.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner import __version__
from tests.support import captures as make
from tests.support import product
from tests.support.debian import machine, source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.debian import Machine

ROOT = Path(__file__).parents[2]
RELEASES = {"bookworm": "Python 3.11.", "trixie": "Python 3.13."}
THE_WAY_OUT = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    *map(str, Path("/usr/local/share/ca-certificates").glob("*.crt")),
)
"""How this machine reaches the network; behind a proxy it has more than the first two."""

pytestmark = pytest.mark.system


@pytest.fixture(params=RELEASES)
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine with make, a user an, and a copy of the sources that is an's."""
    with machine(tmp_path, request.param, size="2g") as target:
        for place in THE_WAY_OUT:
            if Path(place).exists():
                target.path(place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(place, target.path(place))
        target.run("apt-get", "update", "-qq")
        target.run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", "make", "ca-certificates")
        target.run("useradd", "--create-home", "an")
        tree = source(target.path("/home/an/edge_scanner"))
        shutil.copytree(ROOT / "provisioning", tree / "provisioning", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", tree)
        target.run("chown", "--recursive", "an:", "/home/an/edge_scanner")
        assert target.run("python3", "--version").startswith(RELEASES[request.param])
        yield target


def _make(target: Machine, words: str, *, user: str = "an", expect: int = 0) -> str:
    """`make WORDS` in the sources; what both streams said."""
    return target.run("su", user, "-c", f"cd /home/an/edge_scanner && make {words} 2>&1", expect=expect)


def _commands(guide: str) -> list[str]:
    """The lines of the block in a guide that makes /opt/edge."""
    (block,) = re.findall(r"```\n(python3 -m venv /opt/edge\b.*?)```", (ROOT / "docs" / guide).read_text(), re.DOTALL)
    return [line.partition("#")[0].strip() for line in str(block).splitlines()]


def test_the_demo_needs_one_command_of_the_administrator(fresh: Machine) -> None:
    """A user without sudo is told what root has to run; after that the demo comes up and finds itself well."""
    said = _make(fresh, "demo DEMO_ARGS=--check", expect=2)

    (command,) = [line.strip() for line in said.splitlines() if line.startswith("  apt-get")]
    assert "python3-venv mosquitto mosquitto-clients" in command
    fresh.run("sh", "-c", f"{command} >/dev/null")
    _make(fresh, ".venv/.box")
    assert "NOT GOOD" not in _make(fresh, "demo DEMO_ARGS=--check")
    assert not list(fresh.path("/tmp").glob("edge-scanner-demo-*"))


def test_a_user_with_sudo_is_asked_nothing(fresh: Machine) -> None:
    """What is missing comes by itself, no service starts meanwhile, and Debian's switch for that is away afterwards."""
    fresh.run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", "sudo")
    fresh.path("/etc/sudoers.d/an").write_text("an ALL=(ALL) NOPASSWD: ALL\n")
    fresh.path("/etc/apt/apt.conf.d/99look").write_text(
        'DPkg::Pre-Invoke { "/usr/sbin/policy-rc.d mosquitto start; echo $? >/tmp/answer"; };\n'
    )

    _make(fresh, ".venv/.box NEEDS=mosquitto")

    assert fresh.run("mosquitto", "-h", expect=3) is not None
    assert fresh.path("/tmp/answer").read_text() == "101\n"
    assert not fresh.path("/usr/sbin/policy-rc.d").exists()


def test_a_laptop_is_made_from_a_stick(fresh: Machine) -> None:
    """`make laptop` as root, then the guide's commands without a network, and a day with the three programs."""
    _make(fresh, "laptop", user="root")
    shutil.move(fresh.path("/home/an/edge_scanner/dist/laptop"), fresh.path("/root/laptop"))
    shutil.rmtree(fresh.path("/home/an/edge_scanner"))
    desk = fresh.path("/root/desk")
    desk.mkdir()
    adverts = [(make.START_S + second, 0, make.legacy_event(make.legacy_report(make.GAEN))) for second in range(60)]
    (desk / "capture.btsnoop").write_bytes(make.btsnoop(adverts))
    shutil.copy(product.__file__, fresh.path("/root/product.py"))

    fresh.offline("sh", "-ec", "\n".join(["cd /root", *_commands("authority.md")]))

    assert fresh.run("/usr/local/bin/edge-authority", "--version").strip() == __version__
    assert fresh.offline("/opt/edge/bin/python", "/root/product.py", "/root/desk") == "well\n"
    assert _commands("fleet.md")[:-1] == _commands("authority.md")[:-1]
