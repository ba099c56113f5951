"""tools/need on a Debian of the test's own: real apt-get and dpkg, in a folder, with an archive of one package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

NEED = Path(__file__).parents[3] / "tools" / "need"
HOLDER = """
import fcntl, sys
with open(sys.argv[1], "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""
CONTROL = """\
Package: {name}
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.invalid>
Description: one file
"""

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None, reason="apt-get is not here: Debian and Ubuntu have it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Debian:
    """A system in a folder: apt's and dpkg's state, and `bin` for PATH."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """PATH with the system's own programs first; apt works on the folder alone."""
        path = f"{self.root}/usr/bin:{self.root}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "APT_CONFIG": f"{self.root}/apt.conf"}

    def need(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            ["sh", NEED, *words], env=self.environment | more, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Run it in the background; stderr is piped."""
        return subprocess.Popen(
            ["sh", NEED, *words], env=self.environment | more, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def hold(self, lock: str) -> subprocess.Popen[str]:
        """Another program that has the lock until its stdin is closed."""
        held = subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.root / lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        return held


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _package(folder: Path, name: str) -> str:
    """A package with one command of its name, in `folder`; its paragraph for the archive's list."""
    tree = folder / "tree" / name
    control = CONTROL.format(name=name)
    _write(tree / "DEBIAN" / "control", control)
    _write(tree / "usr" / "bin" / name, "#!/bin/sh\nexit 0\n", 0o755)
    file = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, file], check=True, capture_output=True)
    sha = subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout.split()[0]
    return f"{control}Filename: ./{file.name}\nSize: {file.stat().st_size}\nSHA256: {sha}\n\n"


@pytest.fixture
def debian(tmp_path: Path) -> Debian:
    """A system with nothing installed, and an archive with `hello-box` and `other-box`."""
    archive, root = tmp_path / "archive", tmp_path / "root"
    archive.mkdir()
    _write(archive / "Packages", "".join(_package(archive, name) for name in ("hello-box", "other-box")))
    _write(root / "etc/apt/sources.list", f"deb [trusted=yes] file:{archive} ./\n")
    _write(root / "var/lib/dpkg/status", "")
    for folder in (
        "var/lib/dpkg/updates",
        "var/lib/dpkg/info",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/log/apt",
        "etc/apt/preferences.d",
        "etc/apt/apt.conf.d",
    ):
        (root / folder).mkdir(parents=True)  # fmt: skip
    # As an ordinary user: dpkg may neither own files nor look for ldconfig.
    _write(
        root / "apt.conf",
        f'Dir "{root}/";\nDir::State::status "{root}/var/lib/dpkg/status";\nDir::Bin::dpkg "/usr/bin/dpkg";\n'
        f'Dir::Bin::methods "/usr/lib/apt/methods";\nAPT::Sandbox::User "";\nAPT::Architecture "amd64";\n'
        f'DPkg::Options {{ "--root={root}"; "--force-not-root"; "--force-bad-path"; }};\n'
        f'DPkg::Pre-Invoke {{ "env >{root}/seen"; }};\n',
    )
    # As sudo does, the command gets an environment of its own; apt.conf is this test's.
    _write(
        root / "bin/sudo",
        '#!/bin/sh\n[ "$1" = -n ] && shift\nexec env -i PATH="$PATH" APT_CONFIG="$APT_CONFIG" "$@"\n',
        0o755,
    )
    return Debian(root=root)


def _seen(debian: Debian) -> Mapping[str, str]:
    """The environment that dpkg was called with."""
    lines = (debian.root / "seen").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def test_what_is_missing_is_installed_and_nothing_else(debian: Debian) -> None:
    """One command is there, one is missing: one package comes, without questions asked."""
    done = debian.need("sh", "hello-box")

    assert (done.returncode, done.stderr) == (0, "installing: hello-box\n")
    assert (debian.root / "usr/bin/hello-box").exists()
    assert not (debian.root / "usr/bin/other-box").exists()
    assert _seen(debian)["DEBIAN_FRONTEND"] == "noninteractive"


def test_nothing_is_asked_of_apt_when_all_is_there(debian: Debian) -> None:
    """A second call is silent, also for a command whose package has another name."""
    assert debian.need("hello:hello-box", "sh").returncode == 0

    _write(debian.root / "usr/bin/hello", "#!/bin/sh\n", 0o755)
    done = debian.need("hello:hello-box", "sh")

    assert (done.returncode, done.stderr) == (0, "")


def test_a_library_is_looked_up_where_the_loader_does(debian: Debian) -> None:
    """One that every Debian has is there; the package of one that is missing is installed."""
    done = debian.need("libc.so.6:other-box", "libbox.so.1:hello-box")

    assert (done.returncode, done.stderr) == (0, "installing: hello-box\n")


@pytest.mark.parametrize(
    "lock", ["var/lib/apt/lists/lock", "var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/cache/apt/archives/lock"]
)
def test_it_waits_for_who_holds_a_lock(debian: Debian, lock: str) -> None:
    """It says which lock and who, and installs once the lock is free."""
    with debian.hold(lock) as other, debian.start("hello-box") as run:
        assert run.stderr is not None
        first, second = run.stderr.readline(), run.stderr.readline()
        other.communicate("")
        rest = run.stderr.read()

    assert run.returncode == 0
    assert first == "installing: hello-box\n"
    assert second.startswith(f"need: waiting, 300 s at most, for {debian.root / lock}")
    assert f"process {other.pid} " in second
    assert rest == ""
    assert (debian.root / "usr/bin/hello-box").exists()


def test_it_gives_up_with_one_line(debian: Debian) -> None:
    """A lock that nobody lets go ends the waiting, and nothing is changed."""
    with debian.hold("var/lib/dpkg/lock-frontend") as other:
        done = debian.need("hello-box", NEED_PATIENCE_S="2")
        other.communicate("")

    assert done.returncode == 69
    assert done.stderr.count("\n") == 3
    assert done.stderr.splitlines()[-1].startswith("need: gave up waiting for ")
    assert not (debian.root / "usr/bin/hello-box").exists()


def test_a_package_that_nobody_has_is_said(debian: Debian) -> None:
    """Apt's own complaint, and one line of ours."""
    done = debian.need("no-such-box")

    assert done.returncode == 69
    assert "Unable to locate package no-such-box" in done.stderr
    assert done.stderr.splitlines()[-1] == "need: apt-get install no-such-box failed"


def test_an_archive_out_of_reach_is_said_and_the_others_serve(debian: Debian) -> None:
    """A machine often has an archive more that does not answer; what the others have is installed."""
    sources = debian.root / "etc/apt/sources.list"
    sources.write_text(f"{sources.read_text()}deb [trusted=yes] file:{debian.root}/nowhere ./\n")

    done = debian.need("hello-box")

    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "need: apt-get update failed; trying with the lists that are here"
    assert (debian.root / "usr/bin/hello-box").exists()


@pytest.mark.parametrize("sudo", ["", "#!/bin/sh\nexit 1\n"])
def test_without_the_right_it_prints_the_command(debian: Debian, sudo: str) -> None:
    """No sudo, and a sudo that refuses: one command to run as root, and exit code 77."""
    tools = debian.root / "tools"
    tools.mkdir()
    for name in ("sh", "apt-get"):
        (tools / name).symlink_to(shutil.which(name) or name)
    _write(tools / "id", "#!/bin/sh\necho 1000\n", 0o755)
    if sudo:
        _write(tools / "sudo", sudo, 0o755)

    done = debian.need("sh", "hello-box", "other:other-box", PATH=str(tools))

    assert done.returncode == 77
    assert done.stderr.splitlines() == [
        "need: missing: hello-box other-box; run as root:",
        "  apt-get update && apt-get install --yes --no-install-recommends hello-box other-box",
    ]
