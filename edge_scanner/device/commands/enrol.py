"""COMMAND edge-scanner enrol: installation day on the box; finds the bench, runs the steps, shows them, reports them.

Exit code 0 when the box has its name and settings and the self-test finds nothing to mend, 10 when there is something
to look at, 20 when a step or check failed, 69 when no bench was heard and the box has no name yet, or while the bench
waits for a technician to confirm the box, 77 when two benches call. The unit ends well with 0, 10 and 20, which the
bench shows; a crash of Python (1) or a wrong option (2) is none of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files, terminal
from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.enrolment.documents import MAX_DOCUMENT_BYTES, StepResult
from edge_scanner.core.errors import EdgeScannerError, StorageError, UnavailableError
from edge_scanner.device.commands.doctor import as_document, show
from edge_scanner.device.doctor import doctor
from edge_scanner.device.enrolment import set_clock as stepclock
from edge_scanner.device.enrolment.bench_client import BenchLink, find_bench, link_to
from edge_scanner.device.enrolment.card_client import CardLink
from edge_scanner.device.enrolment.move_client import MoveLink
from edge_scanner.device.enrolment.steps import Box, enrol, report

if TYPE_CHECKING:
    from edge_scanner.core.diagnostics.words import Language
    from edge_scanner.device.enrolment.bench_client import Source

EXIT_CODES = {0: 0, 1: 10, 2: 20}
"""By the self-test's verdict: ready, something to look at, a fault."""
WAITING = "PRV-06"
"""The bench's word for a box without the batch's secret whose six words no technician has confirmed yet."""
ASK_AGAIN_S = 2.0
REPORT_S = 300.0
"""How long to offer the report to a bench that has gone."""
MAX_DETAIL = 160
"""A detail that is longer does not fit the bench's screen."""


def run_enrol(
    *,
    etc: Path = Path("/etc/edge-scanner"),
    state: Path = Path("/var/lib/edge-scanner"),
    bench: str = "",
    card: Path | None = None,
    move: Path | None = None,
    wait_s: float = 20.0,
    self_test: bool = True,
    set_clock: bool = True,
    as_json: bool = False,
    language: Language = "vi",
) -> int:
    """Run the steps against the bench at `bench` (an http address), the folder `card`, or the first bench heard.

    Returns the exit code.
    """
    link: Source | None = _order(move) if move else CardLink(card) if card else None
    link = link or (link_to(bench) if bench else find_bench(wait_s))
    box = Box(etc=etc, state=state, serial=board_serial(), set_clock=_set_clock if set_clock else None)
    if link is None and not (state / "assignment.json").exists():
        raise UnavailableError(
            f"no bench was heard for {wait_s:.0f} s",
            hint="plug box and laptop into one switch and run edge-provision bench start",
        )
    findings = tuple(_finding(step) for step in _enrol(box, link, wait_s))
    if isinstance(link, CardLink) and not advice.exit_code(findings):
        link.wipe()
    if self_test and not advice.exit_code(findings):
        place = doctor.open_place(box.settings)
        found = place if isinstance(place, Finding) else replace(place, at_bench=isinstance(link, BenchLink))
        findings += (found,) if isinstance(found, Finding) else asyncio.run(doctor.examine(found))
    if as_json:
        terminal.say_json(as_document(findings) | {"exit": _exit_code(findings)})
    else:
        show(findings, language=language)
    if link is not None and box.assignment is not None:
        _tell(box, link, findings)
    return _exit_code(findings)


def _order(file: Path) -> MoveLink:
    """The order in a file, or on stdin for `-`; raises StorageError."""
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as source:
            return MoveLink(source.read(MAX_DOCUMENT_BYTES))
    except OSError as error:
        raise StorageError(f"cannot read the order: {error.strerror}", where=str(file)) from error


def _enrol(box: Box, link: Source | None, wait_s: float) -> tuple[StepResult, ...]:
    """The steps; asked again for `wait_s` seconds while the bench waits for the technician's word."""
    deadline, told = time.monotonic() + wait_s, False
    while True:
        steps = enrol(box, link)
        if not (steps and steps[-1].code == WAITING) or time.monotonic() > deadline:
            return steps
        if not told:
            words = next((step.detail for step in steps if step.name == "keys"), "")
            fleet = next((step.detail for step in steps if step.name == "fleet"), "")
            terminal.say(f"edge-scanner: {words}", stderr=True)
            terminal.say(f"edge-scanner: fleet {fleet}", stderr=True)
            terminal.say(f"edge-scanner: {advice.FIXES[WAITING].vi} / {advice.FIXES[WAITING].en}", stderr=True)
            told = True
        time.sleep(ASK_AGAIN_S)


def _exit_code(findings: tuple[Finding, ...]) -> int:
    """The service looks again while a technician compares the words; every other fault waits for the plug."""
    waits = any(finding.code == WAITING for finding in findings)
    return UnavailableError.exit_code if waits else EXIT_CODES[advice.exit_code(findings)]


def board_serial() -> str:
    """The board's serial number; a machine that has none is known by its installation's id."""
    for path in (
        Path("/sys/firmware/devicetree/base/serial-number"),
        Path("/sys/class/dmi/id/product_uuid"),
        Path("/etc/machine-id"),
    ):
        try:
            text = small_files.head(path, 256).decode(errors="replace").strip("\0\n ")
        except OSError:
            continue
        if text:
            return text[:64]
    return "unknown"


def _tell(box: Box, link: Source, findings: tuple[Finding, ...]) -> None:
    """The bench's table. A laptop that sleeps or starts anew is waited for: without the report there is no label.

    A bench that does not come back changes nothing about the box.
    """
    steps = tuple(
        StepResult(name=found.check, verdict=found.verdict, code=found.code, detail=found.detail[:MAX_DETAIL])
        for found in findings
    )
    deadline = time.monotonic() + REPORT_S
    while True:
        try:
            return report(box, link, steps)
        except UnavailableError as error:
            if time.monotonic() > deadline:
                return terminal.say(f"edge-scanner: {error}", stderr=True)
        except EdgeScannerError as error:
            return terminal.say(f"edge-scanner: {error}", stderr=True)
        time.sleep(ASK_AGAIN_S)


def _finding(step: StepResult) -> Finding:
    return Finding(check=step.name, verdict=Verdict(step.verdict), code=step.code, detail=step.detail)


def _set_clock(utc_s: float) -> bool:
    """Through the clock's own service in the unit, whose folder systemd names; by hand ourselves."""
    folder = os.environ.get("RUNTIME_DIRECTORY")
    return stepclock.ask(Path(folder), utc_s) if folder else stepclock.set_directly(utc_s)
