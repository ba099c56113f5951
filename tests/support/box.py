"""A box for one test: its settings, certificates and recipients in a folder, and the real daemon as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from edge_scanner.device.enrolment.identity import new_device_id
from tests.support.recipients import Parties, parties
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tests.support.mosquitto import Mosquitto


class Box:
    """Leaving the context kills the daemon."""

    def __init__(
        self,
        folder: Path,
        *,
        broker: Mosquitto | None = None,
        who: Parties | None = None,
        device_id: str = "",
        extra: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.device_id = device_id or new_device_id()
        self.parties = who or parties(time.time())
        self.config = folder / "scanner.toml"
        self.state = folder / "state"
        self.runtime = folder / "run"
        self.runtime.mkdir(exist_ok=True)
        self.journal = folder / "journal.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self.parties.install(folder)
        mqtt = ""
        if broker is not None:
            files = broker.authority.issue(self.device_id)
            mqtt = (
                f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nca = "{broker.authority.file}"\n'
                f'certificate = "{files.certificate}"\nkey = "{files.key}"\n'
            )
        self.config.write_text(
            f'[device]\nid = "{self.device_id}"\nsite = "test"\nname_vi = "Bến xe"\nname_en = "Bus station"\n'
            f'state_dir = "{self.state}"\nruntime_dir = "{self.runtime}"\n'
            f'[log]\nrecipients = "{folder / "recipients.json"}"\n'
            f'authority_root = "{folder / "authority-root.pem"}"\ncustodian_root = "{folder / "custodian-root.pem"}"\n'
            f"{mqtt}{extra}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def database(self) -> Path:
        """The sealed log's file."""
        return self.state / "log.db"

    def start(self, *options: str, **environment: str) -> None:
        """Start the daemon as its unit does, or the command with options; its journal is appended to `journal`."""
        unit = [sys.executable, "-m", "edge_scanner.device.unit", "run", str(self.config)]
        command = [sys.executable, "-m", "edge_scanner.device.cli", "run", "--config", str(self.config), *options]
        with self.journal.open("ab") as journal:
            self._process = subprocess.Popen(
                command if options else unit,
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
                env=os.environ | {"JOURNAL_STREAM": "8:1"} | environment,
            )

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once the daemon has ended."""
        assert self._process is not None
        return self._process.wait()

    def stop(self, *, times: int = 1) -> int:
        """SIGTERM as often as asked; the exit code."""
        for _ in range(times):
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, as a power cut does to a process."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def running(self) -> bool:
        """Whether the daemon is alive."""
        return self._process is not None and self._process.poll() is None

    def events(self, phrase: str) -> list[dict[str, Any]]:
        """The journal's entries with this phrase, oldest first."""
        entries = [
            json.loads(re.sub(r"^<\d>", "", line)) for line in self.journal.read_text().splitlines() if line[0] == "<"
        ]
        return [entry for entry in entries if entry["event"] == phrase]

    def until(self, phrase: str, *, times: int = 1) -> list[dict[str, Any]]:
        """Wait until the journal has a phrase so often."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.journal.exists() and len(found := self.events(phrase)) >= times:
                return found
            assert self.running, self.journal.read_text()
            time.sleep(0.02)
        raise AssertionError(f"no {phrase!r}:\n{self.journal.read_text()[-3000:]}")

    def light(self, name: str) -> tuple[str, str]:
        """A light of the page and its code, nothing while there is no page."""
        page = self.runtime / "snapshot.json"
        if not page.exists():
            return "", ""
        shown = json.loads(page.read_text())["health"]["lights"][name]
        return shown["light"], shown["code"]

    def until_light(self, name: str, expected: tuple[str, str]) -> None:
        """Wait for a light."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.light(name)) != expected:
            assert self.running, self.journal.read_text()
            assert time.monotonic() < deadline, f"{name} is {found}:\n{self.journal.read_text()[-3000:]}"
            time.sleep(0.1)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database, read as any other program would."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another edge-scanner command on this box's settings."""
        return subprocess.run(
            [sys.executable, "-m", "edge_scanner.device.cli", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
        )


def published(path: Path) -> list[tuple[str, bytes]]:
    """(topic, payload) of a collector's file, in order of arrival; a last line that is not whole is left out."""
    lines = path.read_bytes().rpartition(b"\n")[0].splitlines()
    pairs = [line.split(b" ", 1) for line in lines if line.startswith(b"edge-scanner/")]
    return [(topic.decode(), bytes.fromhex(payload.decode())) for topic, payload in pairs]


class Collector:
    """mosquitto_sub beside the broker, as the guide has it: every message, as topic and payload in hex."""

    def __init__(self, broker: Mosquitto, folder: Path, name: str = "fleet-collector") -> None:
        files = broker.authority.issue(name)
        self.path = folder / f"{name}.txt"
        with self.path.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    "mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", str(broker.port),
                    "--cafile", str(broker.authority.file), "--cert", str(files.certificate), "--key", str(files.key),
                    "-t", "edge-scanner/v1/d/+/up/#", "-q", "1", "-F", "%t %x", "-i", name, "-c", "-x", "3600",
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while f"Sending SUBACK to {name}" not in broker.log.read_text():
            assert time.monotonic() < deadline, broker.log.read_text()
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def messages(self) -> list[tuple[str, bytes]]:
        """(topic, payload) in order of arrival."""
        return published(self.path)

    def keys(self, kind: str) -> list[str]:
        """The idempotent keys of the messages of a kind, in order of arrival."""
        return [json.loads(payload)["key"] for topic, payload in self.messages if topic.endswith(f"/{kind}")]

    def until(self, kind: str, *, times: int = 1) -> None:
        """Wait until so many messages of a kind have arrived."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self.keys(kind)) < times:
            assert time.monotonic() < deadline, f"{len(self.keys(kind))} of {times} {kind} messages"
            time.sleep(0.05)
