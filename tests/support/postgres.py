"""A PostgreSQL of a test's own, on a socket in its folder.

with Postgres(folder) as server:
    url = server.new_database()
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.installed import missing

if TYPE_CHECKING:
    from types import TracebackType


class Postgres:
    """One server; leaving the context ends it. `durable` keeps fsync on."""

    def __init__(self, *, options: str = "", durable: bool = False) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            missing("postgresql")
        self._programs = found[-1].parent
        self.folder = Path(tempfile.mkdtemp(prefix="edge-postgres-"))
        self._data = self.folder / "data"
        self._options = f"-k {self.folder} -c listen_addresses= -c fsync={'on' if durable else 'off'} {options}"
        # PostgreSQL refuses to run as root; its package brings the user.
        self._prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        self._names = count(1)

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        if self._prefix:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "edge", "--auth=trust", "--no-sync")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-o", self._options, "-l", log, "-w", "-t", "300", "start")

    def stop(self) -> None:
        """End it at once, as a power cut does; a server that is down stays down."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop", check=False)

    def new_database(self, *options: str) -> str:
        """The URL of an empty database; `options` are createdb's."""
        name = f"edge{next(self._names)}"
        self._run("createdb", "-T", "template0", *options, "-h", str(self.folder), "-U", "edge", name)
        return f"postgresql://edge@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        with (self.folder / "programs.log").open("a+b") as log:  # no pipe: the server would keep it open
            done = subprocess.run(
                [*self._prefix, str(self._programs / program), *arguments],
                check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        if check and done.returncode:
            said = [name.read_text() for name in (self.folder / "programs.log", self.folder / "log") if name.exists()]
            raise AssertionError(f"{program} failed:\n{''.join(said)[-4000:]}")
