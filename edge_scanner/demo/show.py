"""The demo's terminal: what is heard, logged and published, live, and the commands to look at each for oneself.

On a terminal it is one screen that redraws; in a pipe each new message is one line. Everything shown comes from the
outside of the programs: the screen's snapshot, `edge-scanner log status --json`, and a subscriber at the broker.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge_scanner.core import snapshot
from edge_scanner.core.errors import BadDataError, UnavailableError
from edge_scanner.core.wording import counted
from edge_scanner.demo.stage import CENTRE_USER, last_words

if TYPE_CHECKING:
    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.demo.stage import Stage

REFRESH_S = 1.0
STATUS_S = 3.0
"""The log's figures come from a program of its own; a new one every second would be busier than the box."""
_LINES = 8
_LOG_FIGURES = {
    "segments": "segments (an hour each)",
    "frames": "frames (a minute each, 4 kB, also when empty)",
    "bytes": "bytes on the disk",
    "finished": "segments finished: hashed into the tree, its head published",
}
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}


@dataclass(slots=True, kw_only=True)
class View:
    """What was last seen of each side."""

    stage: Stage
    seen: Snapshot | None = None
    log: dict[str, Any] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    position: int = 0
    asked_at: float = 0.0

    def look(self) -> list[str]:
        """Read all sides again; gives the messages that are new. Raises UnavailableError when a program has ended."""
        for name, program in self.stage.programs.items():
            if program.poll() is not None:
                raise UnavailableError(f"{name} has ended", where=last_words(self.stage, name))
        try:
            self.seen = snapshot.from_json((self.stage.folder / "run" / "snapshot.json").read_bytes())
        except (OSError, BadDataError):
            self.seen = None
        if time.monotonic() - self.asked_at > STATUS_S:
            self.asked_at = time.monotonic()
            self.log = _log_status(self.stage)
        with self.stage.log("tail").open("rb") as file:
            file.seek(self.position)
            lines = file.read().split(b"\n")
        self.position += sum(len(line) + 1 for line in lines[:-1])
        new = [line.decode(errors="replace") for line in lines[:-1] if line]
        self.messages = [*self.messages, *new][-_LINES:]
        return new


def run(here: Stage, *, seconds: float | None) -> None:
    """Show the stage until Ctrl-C, or for `seconds`."""
    console = Console()
    view = View(stage=here)
    end = time.monotonic() + seconds if seconds else None
    console.print(_addresses(here), soft_wrap=True)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=2, screen=False) as live:
            while end is None or time.monotonic() < end:
                view.look()
                live.update(_screen(view))
                time.sleep(REFRESH_S)
        return
    while end is None or time.monotonic() < end:
        for line in view.look():
            print(line[:200], flush=True)  # noqa: T201 (a pipe gets plain lines)
        time.sleep(REFRESH_S)


def _log_status(here: Stage) -> dict[str, Any]:
    answer = subprocess.run(here.box("log", "status", "--json"), capture_output=True, check=False, timeout=30)  # noqa: S603 (our own program)
    try:
        status: dict[str, Any] = json.loads(answer.stdout)
    except ValueError:
        return {}
    return status


def _screen(view: View) -> Group:
    return Group(
        Panel(_heard(view.seen), title="heard", title_align="left"),
        Panel(_sealed(view.log), title="logged (sealed; this box cannot open it)", title_align="left"),
        Panel(
            Text("\n".join(map(_sentence, view.messages)) or "waiting for the first message", overflow="ellipsis"),
            title="published (as the broker sees it; times are UTC)",
            title_align="left",
        ),
    )


def _heard(seen: Snapshot | None) -> Table:
    table = Table.grid(padding=(0, 2))
    if seen is None:
        table.add_row("the box is starting")
        return table
    table.add_row("simulated time at the venue", _clock(seen.written_s, seen.venue.utc_offset_s))
    table.add_row("how busy", f"{seen.crowd.level} ({seen.crowd.trend})")
    lights = Text("  ").join(
        Text(f"{name} {light.code or light.light}", style=_COLOURS[light.light])
        for name, light in seen.health.lights.items()
    )
    table.add_row("health", lights)
    return table


def _clock(at_s: float, utc_offset_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at_s + utc_offset_s))


def _sentence(line: str) -> str:
    """A message of the broker in a few words: its kind, when, and what it says."""
    topic, _, payload = line.partition(" ")
    try:
        body = json.loads(payload)
    except ValueError:
        return line[:100]
    at = time.strftime("%H:%M", time.gmtime(body.get("at", 0)))
    says = {
        "counts": lambda: (
            f"{counted(body['minutes_covered'], 'minute')} from "
            f"{time.strftime('%H:%M', time.gmtime(body['bin_start']))}: "
            f"{body['figures']['nearby']:,} device-minutes nearby, {body['figures'].get('bluezone', 0):,} of Bluezone"
            f" (noise of scale {body['scale']:.0f})"
        ),
        "checkpoint": lambda: f"{counted(body['segments'], 'segment')} finished, tree head signed",
        "health": lambda: f"{body['outbox_rows']} waiting",
        "boot": lambda: f"run {body['number']}: a signing key that lives in memory only",
        "status": lambda: str(body["state"]),
    }.get(body.get("kind", ""), lambda: "")()
    return f"{at}  {topic.rsplit('/', 1)[-1]:<11} {says}"


def _sealed(status: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for key, name in _LOG_FIGURES.items():
        if key in status:
            table.add_row(name, f"{status[key]:,}")
    if not status:
        table.add_row("nothing yet")
    return table


def _addresses(here: Stage) -> Text:
    """Where to look, in both languages."""
    scanner = f".venv/bin/edge-scanner log status --config {here.config}"
    rows = (
        ("Trang cho khách · The venue's page", here.kiosk_url),
        ("Trang vận hành · The operator's page", f"{here.kiosk_url}ops   PIN {here.pin}"),
        (
            "Trang trung tâm, của bộ · The centre's page, the ministry's",
            f"{here.centre_url}   tên · user {CENTRE_USER}   mật khẩu · password {here.centre_password}",
        ),
        ("Mọi bản tin · Every message", shlex.join(here.subscribe)),
        ("Nhật ký đã niêm phong · The sealed log", scanner),
        ("Kiểm tra không cần khoá · Check it without keys", scanner.replace("status", "verify")),
        ("Nhật ký chương trình · The daemon's own log", f"tail -f {here.log('scanner')}"),
        ("Kết thúc · End", "Ctrl-C; không để lại gì · nothing is left behind"),
    )
    return Text("\n").join(Text.assemble((name, "bold"), "\n  ", value) for name, value in rows).append("\n")
