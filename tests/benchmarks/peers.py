"""Ours beside its peers on one stream of adverts: cost, memory, loss, recovery, and what a broker sees in the clear.

Subjects, each the whole program as its users start it: a bare bleak callback that counts (the floor), a bare
habluetooth scanner (the engine inside Home Assistant), Theengs Gateway with a broker, our daemon as its unit
starts it, with a broker and recipients. The stand-in bluetoothd (`stream.py`) says what it sent; CPU and memory are the
kernel's, from /proc; PSS counts a share of what several processes map.

`kept` is what arrived where the program puts it, as a share of all that was sent while somebody scanned: what the two
bare ones told their consumer (habluetooth tells only of changes), messages at the broker (Theengs), adverts in the
opened log (ours, which holds 1,683 identifiers a minute). `in the clear` counts distinct Bluetooth addresses that a
subscriber of `#` at the broker can read. `killed`: bluetoothd leaves the bus and returns after three seconds; the time
until somebody scans again is counted from the return, at most `DEAF_S`.

Run: `python -m tests.benchmarks.peers --write`. `make bench-peers` installs the peers first, into a venv of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.benchmarks import document
from tests.support.dbus import PrivateBus
from tests.support.mosquitto import Mosquitto
from tests.support.opened_log import minutes
from tests.support.recipients import Parties, parties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
SUBJECTS = ("bleak", "habluetooth", "theengs", "edge_scanner")
APPEARS_S = 60.0
"""From exec until it scans, on a busy machine."""
WARM_UP_S = 2.0
SECONDS = 10.0
"""Theengs scans for five seconds of every ten by default; what is sent in its pauses is not counted against it."""
DEAF_S = 150.0
"""habluetooth's watchdog looks every 30 s for 90 s of silence; who is not back by then stays deaf."""
KILL_RATE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A stream: adverts a second of so many phones whose addresses and identifiers live so long."""

    name: str
    rate: int
    phones: int
    rotate_s: float


SCENES = (
    Scene(name="500/s", rate=500, phones=200, rotate_s=5),
    Scene(name="2,000/s", rate=2_000, phones=200, rotate_s=5),
    Scene(name="8,000/s", rate=8_000, phones=200, rotate_s=5),
    Scene(name="10,000 addresses, 2,000/s", rate=2_000, phones=10_000, rotate_s=20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One subject in one scene."""

    scene: str
    subject: str
    sent: int
    cpu_us: float
    peak_rss_mb: float
    pss_mb: float
    kept: float
    messages: int
    in_the_clear: int


class Stage:
    """A private bus, the stand-in on it, and an open broker with a subscriber of everything."""

    def __init__(self, folder: Path, broker: Mosquitto, scene: Scene) -> None:
        self.folder = folder
        self.broker = broker
        self._bus = PrivateBus(folder)
        self._bus.start()
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self._bus.address, "HOME": str(folder)}
        self._heard = folder / "heard.txt"
        self._tally = folder / "tally"
        with self._heard.open("wb") as output:
            self._listener = subprocess.Popen(
                ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", "#", "-F", "%t %p"],
                stdout=output,
            )
        self._stand_in = subprocess.Popen(
            [
                sys.executable, "-m", "tests.benchmarks.stream", "--rate", str(scene.rate), "--phones",
                str(scene.phones), "--rotate-s", str(scene.rotate_s), "--tally", str(self._tally),
            ],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._stand_in.stdout is not None
        self._stand_in.stdout.readline()

    def order(self, word: str) -> None:
        """`down` or `up`."""
        assert self._stand_in.stdin is not None
        self._stand_in.stdin.write(f"{word}\n".encode())
        self._stand_in.stdin.flush()

    @property
    def sent(self) -> int:
        """Adverts sent so far."""
        return int(self._tally.read_text().split()[0]) if self._tally.exists() else 0

    @property
    def scanning(self) -> bool:
        """Whether the stand-in has a scanner."""
        return self._tally.exists() and self._tally.read_text().endswith("1")

    @property
    def messages(self) -> list[str]:
        """What everybody may read at the broker."""
        return self._heard.read_text(errors="replace").splitlines()

    def close(self) -> None:
        """End all of it."""
        assert self._stand_in.stdin is not None
        self._stand_in.stdin.close()
        self._stand_in.wait(10)
        self._listener.kill()
        self._listener.wait()
        self._bus.stop()


@contextlib.contextmanager
def staged(scene: Scene) -> Iterator[Stage]:
    """A stage in a folder of its own."""
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name), listen="open") as broker:
        stage = Stage(Path(name), broker, scene)
        try:
            yield stage
        finally:
            stage.close()


def command(subject: str, stage: Stage, who: Parties) -> list[str]:
    """How the subject is started."""
    folder, port = stage.folder, stage.broker.port
    match subject:
        case "bleak":
            return [sys.executable, str(Path(__file__).with_name("bleak_peer.py"))]
        case "habluetooth":
            return [str(PEERS), str(Path(__file__).with_name("habluetooth_peer.py"))]
        case "theengs":
            settings = ["-c", str(folder / "theengs.conf"), "-H", "127.0.0.1", "-P", str(port)]
            return [str(PEERS), "-m", "TheengsGateway", *settings]
        case _:
            who.install(folder)
            (folder / "run").mkdir()
            configuration = folder / "scanner.toml"
            configuration.write_text(
                f'[device]\nstate_dir = "{folder}/state"\nruntime_dir = "{folder}/run"\n'
                f'[log]\nrecipients = "{folder}/recipients.json"\n'
                f'authority_root = "{folder}/authority-root.pem"\ncustodian_root = "{folder}/custodian-root.pem"\n'
                f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\ntls = false\n'
            )
            return [sys.executable, "-m", "edge_scanner.device.unit", "run", str(configuration)]


def measure(subject: str, scene: Scene, who: Parties) -> Figure:
    """One subject in one scene."""
    with staged(scene) as stage:
        with (stage.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                command(subject, stage, who),
                cwd=ROOT,
                env=stage.environment,
                stdout=subprocess.PIPE if subject in {"bleak", "habluetooth"} else output,
                stderr=output,
            )
        try:
            until(lambda: stage.scanning, APPEARS_S, f"{subject} does not scan")
            time.sleep(WARM_UP_S)
            before, cpu_s = stage.sent, _cpu_s(process.pid)
            time.sleep(SECONDS)
            sent, cpu_s = stage.sent - before, _cpu_s(process.pid) - cpu_s
            status = Path(f"/proc/{process.pid}/status").read_text()
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            told, _ = process.communicate(timeout=30)
        total = stage.sent
        time.sleep(1)
        messages = stage.messages
        kept = _kept(subject, stage, who, told, messages)
    return Figure(
        scene=scene.name,
        subject=subject,
        sent=sent,
        cpu_us=round(cpu_s / max(sent, 1) * 1e6, 1),
        peak_rss_mb=round(next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024, 1),
        pss_mb=round(next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024, 1),
        kept=round(kept / max(total, 1), 4),
        messages=len(messages),
        in_the_clear=len(addresses(messages)),
    )


def recovery(subject: str, who: Parties) -> float | None:
    """Seconds from the return of bluetoothd until somebody scans again; None when nobody does within DEAF_S."""
    with staged(replace(SCENES[0], rate=KILL_RATE)) as stage:
        with (stage.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                command(subject, stage, who), cwd=ROOT, env=stage.environment, stdout=output, stderr=output
            )
        try:
            until(lambda: stage.scanning, APPEARS_S, f"{subject} does not scan")
            time.sleep(2 * WARM_UP_S)
            stage.order("down")
            time.sleep(3)
            stage.order("up")
            back_at = time.monotonic()
            time.sleep(0.3)
            with contextlib.suppress(TimeoutError):
                until(lambda: stage.scanning, DEAF_S, "deaf")
                return round(time.monotonic() - back_at, 1)
            return None
        finally:
            process.kill()
            process.wait()


def addresses(messages: list[str]) -> set[str]:
    """The stand-in's addresses that stand in messages, with or without colons."""
    found: set[str] = set()
    for line in messages:
        found.update(re.findall(r"4[0-9A-F]{3}0000[0-9A-F]{4}", line.upper().replace(":", "")))
    return found


def _kept(subject: str, stage: Stage, who: Parties, told: bytes | None, messages: list[str]) -> int:
    if subject in {"bleak", "habluetooth"}:
        return int((told or b"0").split()[-1])
    if subject == "theengs":
        return sum("BTtoMQTT/" in line for line in messages)
    return _logged(stage.folder / "state" / "log.db", who)


def _logged(database: Path, who: Parties) -> int:
    """The sum of the adverts in a log, opened with both private keys."""
    return sum(encounter.adverts for minute in minutes(database, who) for encounter in minute.encounters)


def until(true: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Wait for a fact. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.1)


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows(figures: list[Figure], recoveries: dict[str, float | None]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows: medians over repeats, the ratio to bleak in the same scene."""
    heads = [
        "stream",
        "subject",
        "CPU µs/advert",
        "of bleak's",
        "PSS MB",
        "peak RSS MB",
        "kept",
        "messages",
        "in the clear",
    ]
    made = []
    groups: dict[tuple[str, str], list[Figure]] = {}
    for one in figures:
        groups.setdefault((one.scene, one.subject), []).append(one)
    for (scene, subject), same in groups.items():
        cpu = statistics.median(one.cpu_us for one in same)
        floor = groups.get((scene, SUBJECTS[0]))
        ratio = f"{cpu / statistics.median(one.cpu_us for one in floor):.2f}" if floor else "-"
        made.append(
            [
                scene,
                subject,
                f"{cpu:.1f}",
                ratio,
                f"{max(one.pss_mb for one in same):.0f}",
                f"{max(one.peak_rss_mb for one in same):.0f}",
                f"{min(one.kept for one in same):.1%}",
                f"{max(one.messages for one in same):,}",
                f"{max(one.in_the_clear for one in same):,}",
            ]
        )
    for subject, seconds in recoveries.items():
        again = f"scans again after {seconds} s" if seconds is not None else f"deaf, also {DEAF_S:.0f} s later"
        made.append(["bluetoothd killed, back after 3 s", subject, again, "", "", "", "", "", ""])
    return heads, made


def main() -> None:
    """Parse the command line; measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--scenes", nargs="+", type=int, default=list(range(len(SCENES))), metavar="NUMBER")
    parser.add_argument("--repeats", type=int, default=1, help="medians of so many runs")
    parser.add_argument("--no-kill", action="store_true", help="leave out what happens when bluetoothd dies")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    if not PEERS.exists():
        parser.error("the peers are not installed; run `make bench-peers`")
    who = parties(time.time())
    figures: list[Figure] = []
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=options.json) as progress:
        task = progress.add_task("", total=None)
        for _ in range(options.repeats):
            for scene in (SCENES[number] for number in options.scenes):
                for subject in options.subjects:
                    progress.update(task, description=f"{subject}, {scene.name}")
                    figures.append(measure(subject, scene, who))
        recoveries: dict[str, float | None] = {}
        if not options.no_kill:
            progress.update(task, description="bluetoothd is killed")
            with ThreadPoolExecutor() as pool:
                found = pool.map(lambda subject: recovery(subject, who), options.subjects)
                recoveries = dict(zip(options.subjects, found, strict=True))
    heads, made = rows(figures, recoveries)
    if options.json:
        told = {"figures": [asdict(one) for one in figures], "seconds_until_scanning": recoveries}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        shown = Table(*heads, title="Peers")
        for row in made:
            shown.add_row(*row)
        Console(width=150).print(shown)
    if options.write:
        repeats = f" --repeats {options.repeats}" if options.repeats > 1 else ""
        document.write("peers", f"python -m tests.benchmarks.peers --write{repeats}", document.table(heads, made))


if __name__ == "__main__":
    main()
