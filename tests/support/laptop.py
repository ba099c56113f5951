"""A person's machine: home, host names, card reader and a cable of its own; commands run as they are typed."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.provision_cli import ENVIRONMENT

if TYPE_CHECKING:
    from types import TracebackType

    from tests.support.booted import Booted

THEIRS = "192.0.2.2"
"""The box's address in the venue's network of its first cable."""
NETWORKS = {"eth0": ("192.0.2.1", THEIRS), "eth1": ("198.51.100.1", "198.51.100.2")}
"""By the box's socket, the addresses that a venue's network would give to us and to it."""


class Laptop:
    """`programs` of its own come first in its PATH; `variables` are what its owner would type or has set."""

    def __init__(self, folder: Path, *, variables: dict[str, str] | None = None) -> None:
        self.home, self.programs = folder / "home", folder / "programs"
        self._name = secrets.token_hex(4)
        self._hosts, self._users, self._media = folder / "hosts", folder / "passwd", folder / "media"
        for place in (self.home / ".ssh", self.programs, self._media):
            place.mkdir(parents=True)
        self._hosts.write_text("127.0.0.1 localhost\n")
        # ssh asks the table of users where home is, not the environment.
        users = Path("/etc/passwd").read_text()
        self._users.write_text(re.sub(r"^(root:.*?):[^:]*:([^:]*)$", rf"\1:{self.home}:\2", users, flags=re.MULTILINE))
        key = self.home / ".ssh" / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        # What a person answers at the first connection.
        (self.home / ".ssh" / "config").write_text(
            "StrictHostKeyChecking accept-new\nUserKnownHostsFile ~/.ssh/known\nLogLevel ERROR\n"
        )
        path = f"{self.programs}:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        root = str(Path(__file__).parents[2])
        self.environment = ENVIRONMENT | {"HOME": str(self.home), "PATH": path, "PYTHONPATH": root} | (variables or {})

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self._name], check=True)
        subprocess.run(["ip", "netns", "exec", self._name, "ip", "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        subprocess.run(["ip", "netns", "del", self._name], check=False)

    def media(self, name: str, folder: Path) -> None:
        """What lies in the card reader, as /media/NAME."""
        (self._media / name).symlink_to(folder)

    def call(self, name: str, *, socket: str = "eth0") -> None:
        """The name that the venue's network knows the box by."""
        with self._hosts.open("a") as hosts:
            hosts.write(f"{NETWORKS[socket][1]} {name}\n")

    def cable(self, box: Booted, *, socket: str = "eth0") -> None:
        """One cable between both, with link-local addresses, and with addresses of the venue's network."""
        ours, theirs = NETWORKS[socket]
        inside = ["ip", "netns", "exec", self._name]
        end = f"e{secrets.token_hex(3)}"
        subprocess.run(
            [
                "ip",
                "link",
                "add",
                end,
                "netns",
                self._name,
                "type",
                "veth",
                "peer",
                "name",
                socket,
                "netns",
                str(box.pid),
            ],
            check=True,
        )
        subprocess.run([*inside, "ip", "link", "set", end, "up"], check=True)
        subprocess.run([*inside, "ip", "address", "add", f"{ours}/24", "dev", end], check=True)
        box.run("ip", "link", "set", socket, "up")
        box.run("ip", "address", "add", f"{theirs}/24", "dev", socket)

    def words(self, line: str) -> list[str]:
        """A line of a guide as a command of this machine."""
        setting = "".join(
            f"mount --bind {given} {place}\n"
            for given, place in ((self._users, "/etc/passwd"), (self._hosts, "/etc/hosts"), (self._media, "/media"))
        )
        script = f"set -e\n{setting}cd {self.home}\n{line}\n"
        return ["ip", "netns", "exec", self._name, "unshare", "--mount", "sh", "-c", script]

    def run(self, line: str, *, expect: int = 0, typed: str = "") -> str:
        """What it says on both outputs; it must end with that exit code."""
        done = subprocess.run(
            self.words(line), input=typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env=self.environment,
        )  # fmt: skip
        assert done.returncode == expect, f"{line}: {done.returncode}\n{done.stdout[-4000:]}"
        return done.stdout

    def start(self, line: str, log: Path) -> subprocess.Popen[bytes]:
        """In a terminal that stays open; what it says goes into `log`."""
        # exec: the signal that ends it must reach the program, not a shell.
        with log.open("wb") as out:
            return subprocess.Popen(
                self.words(f"exec {line}"), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment
            )

    def put(self, file: Path, name: str = "") -> None:
        """A file in its home."""
        shutil.copy(file, self.home / (name or file.name))
