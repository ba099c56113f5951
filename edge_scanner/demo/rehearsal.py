"""Plays the night's steps: files are carried, the real program runs, and what it did is looked at.

Each command runs as it is printed, in the folder of the machine at which a person would type it. Nothing knows more
than a real officer would; the truth about the planted patient is compared afterwards, with the report.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.text import Text

from edge_scanner.core import snapshot
from edge_scanner.core.enrolment.documents import Place, public_text
from edge_scanner.core.errors import BadDataError, UnavailableError
from edge_scanner.demo import evening
from edge_scanner.demo.night import CASE, NIGHT, PASSPHRASE, PREPARATION, Machine, Night, UnexpectedError
from edge_scanner.demo.stage import AUTHORITY, SITE
from edge_scanner.device.enrolment.identity import new_device_id, open_identity
from provisioning.fleet import boxes
from provisioning.inventory import BoxRow, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console

    from edge_scanner.demo.night import Step
    from edge_scanner.demo.stage import Stage

STEP_S = 120.0
"""A command that takes longer hangs; on an idle machine each takes about a second."""
PATIENCE_S = 120.0
"""For the box to publish its evening, and for the venue's page to say that it was asked."""
_FINISHED_HOURS = 2
_SHOWN_LINES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of a step; `code` None when it is none of a command."""

    who: str
    what: str
    code: int | None
    found: str
    well: bool


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """Plays steps and keeps what became of them; tells about each unless `quiet`."""

    console: Console
    quiet: bool
    step_s: float = STEP_S
    rows: list[Row] = field(default_factory=list)
    night: Night | None = None

    def prepare(self, here: Stage) -> None:
        """Keys and mandates, the box's pins, and the evening; `stage` calls it. Raises EdgeScannerError."""
        night = self.night = Night(here=here, evening=evening.plan(time.time()))
        for machine in Machine:
            night.at(machine).mkdir(mode=0o700)
            (night.at(machine) / PASSPHRASE).write_text(f"{new_device_id()} {new_device_id()}\n")
        self._title("Chuẩn bị, một lần / Preparation, once")
        self.play_steps(PREPARATION)
        for machine, name in (
            (Machine.ROOT, "authority-root.pem"),
            (Machine.CUSTODIAN, "custodian-root.pem"),
            (Machine.CUSTODIAN, "recipients.json"),
        ):
            shutil.copy(night.at(machine) / name, here.folder / name)
        night.heard = evening.seal(here.config, here.device_id, night.evening)
        for name, document in night.evening.cases.items():
            (night.at(Machine.OFFICER) / f"{name}.json").write_bytes(document)
        _hand_out(night)

    def play(self) -> None:
        """The night itself, on a box that runs. Raises UnavailableError when a step fails."""
        night = self._night
        self._title("Hai giờ sáng / At two in the morning")
        self._say("(thiết bị đang công bố các giờ đã niêm phong / the box publishes its sealed hours)", style="dim")
        _publish(night)
        self.play_steps(NIGHT)
        self._venue()

    @property
    def passed(self) -> bool:
        """Whether every step was played and did what it must."""
        return len(self.rows) == len(PREPARATION) + len(NIGHT) + 1 and all(row.well for row in self.rows)

    @property
    def report(self) -> str:
        """The report's address on this machine."""
        return (self._night.at(Machine.OFFICER) / "hcm-0417.html").as_uri()

    @property
    def _night(self) -> Night:
        assert self.night is not None, "prepare comes first"  # noqa: S101 (the stage calls it)
        return self.night

    def play_steps(self, steps: tuple[Step, ...]) -> None:
        """One after the other; raises UnavailableError at the first that does not do what it must."""
        for step in steps:
            row = self._step(step)
            self.rows.append(row)
            mark, style = ("✔", "green") if row.well else ("✘", "bold red")
            self._say(f"   {mark} {row.found} (exit {row.code})", style=style)
            if not row.well:
                raise UnavailableError(f"the rehearsal stopped at: {step.en}", where=row.found)

    def _step(self, step: Step) -> Row:
        """Carry what it needs, run it, look at what it did."""
        night = self._night
        folder = night.at(step.at)
        words = night.command(step)
        self._say(f"\n{len(self.rows) + 1:>2} {step.at.vi} / {step.at.en}", style="bold cyan")
        self._say(f"   {step.vi} / {step.en}", style="bold")
        for machine, pattern in step.brings:
            for path in sorted(night.at(machine).glob(pattern)):
                _carry(path, folder / path.name)
            self._say(f"   ← {pattern}  ({machine.vi} / {machine.en})", style="dim")
        self._say(f"   {step.at.folder}$ {shlex.join(words)}", style="yellow")
        row = Row(who=step.at.en, what=f"{step.vi} / {step.en}", code=None, found="", well=False)
        try:
            done = subprocess.run(  # noqa: S603 (our own program, no shell)
                [sys.executable, "-m", "edge_scanner.authority.cli", *words[1:]],
                cwd=folder,
                env=os.environ | {"XDG_STATE_HOME": str(folder / "state")},
                input=f"{night.answer(step)}\n" if step.types else "",
                capture_output=True,
                text=True,
                timeout=self.step_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return replace(row, found=f"no end within {self.step_s:.0f} s")
        for line in done.stdout.splitlines()[-_SHOWN_LINES:]:
            self._say(f"   {line}")
        well, found = _judge(night, step, done)
        return replace(row, code=done.returncode, found=found, well=well)

    def _venue(self) -> None:
        """The venue's page says by itself that its hours were given out."""
        here = self._night.here

        def told() -> bool:
            with contextlib.suppress(OSError, BadDataError):
                seen = snapshot.from_json((here.folder / "run" / "snapshot.json").read_bytes())
                return [pull.case for pull in seen.pulls] == [CASE]
            return False

        well = _wait(told)
        said = "trang của địa điểm đã ghi việc này / the venue's page tells of it" if well else "it says nothing"
        self.rows.append(
            Row(who="venue", what="Địa điểm được biết / The venue is told", code=None, found=said, well=well)
        )
        self._say(f"\n   {'✔' if well else '✘'} {said}: {here.kiosk_url}", style="green" if well else "bold red")

    def _title(self, text: str) -> None:
        self._say(f"\n══ {text} ══", style="bold")

    def _say(self, text: str, *, style: str = "") -> None:
        if not self.quiet:
            self.console.print(Text(text, style=style), soft_wrap=True)


def _judge(night: Night, step: Step, done: subprocess.CompletedProcess[str]) -> tuple[bool, str]:
    """Whether a step did what it must, and what it did."""
    if done.returncode != step.code:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return False, f"exit code {step.code} was expected: {last[0]}"
    try:
        return True, step.finds(night, done.stdout)
    except UnexpectedError as error:
        return False, str(error)
    except OSError as error:
        return False, f"{error.filename}: {error.strerror}"


def _carry(source: Path, target: Path) -> None:
    """A file or folder to another machine, as a stick would; what is there already stays."""
    if source.is_dir():
        shutil.copytree(source, target)
    elif not target.exists():
        shutil.copy(source, target)


def _hand_out(night: Night) -> None:
    """What the fleet's operator gives an authority: the list of its boxes, and its certificate for the broker."""
    here, fleet = night.here, night.at(Machine.FLEET)
    for name in ("ca.pem", f"{AUTHORITY}.crt", f"{AUTHORITY}.key"):
        shutil.copy(here.folder / name, fleet / name)
    identity = open_identity(here.folder / "state", configured_id=here.device_id)
    signer = Ed25519PrivateKey.generate()
    (fleet / "fleet.pub").write_text(public_text(signer.public_key()) + "\n")
    hung = BoxRow(
        device_id=here.device_id,
        batch="",
        place=Place(site=SITE, room="Cửa 1", name_vi="Bến xe Miền Đông", name_en="Eastern Bus Station"),
        state=State.ENROLLED,
        serial="",
        identity=public_text(identity.key.public_key()),
        mqtt_key="",
        enrolled_s=night.evening.start_s,
        reason="",
    )
    boxes.write(fleet / "boxes.csv", [hung], fleet="demo", signer=signer, now_s=time.time())


def _publish(night: Night) -> None:
    """Wait until the box has published the heads of its finished hours; the operator keeps them for the authority."""
    collected = night.here.log("tail")

    def messages() -> list[bytes]:
        lines = collected.read_bytes().split(b"\n")[:-1]
        return [line for line in lines if b"/up/" in line.partition(b" ")[0]]

    def published() -> bool:
        return sum(b"/up/checkpoint " in line for line in messages()) >= _FINISHED_HOURS

    if not _wait(published):
        raise UnavailableError("the box published no finished hours", where=str(collected))
    pairs = (line.partition(b" ") for line in messages())
    kept = b"".join(b"%s %s\n" % (topic, payload.hex().encode()) for topic, _, payload in pairs)
    (night.at(Machine.FLEET) / "published.txt").write_bytes(kept)


def _wait(reached: Callable[[], bool]) -> bool:
    """Whether it came to be within PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
