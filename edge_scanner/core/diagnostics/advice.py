"""What people read about a box's condition, vi and en: names of steps, checks and lights, and what to do for each code.

One table for the operator's page, the box's self-test, the bench's screen and the guide (docs/technician.md), so that a
code is explained in the same words everywhere. The texts stand beside each other by subject: hearing_advice.py,
sending_advice.py, box_advice.py. A test holds them to every code that exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_scanner.core.diagnostics import box_advice, hearing_advice, sending_advice
from edge_scanner.core.diagnostics.words import Advice, Words


class Verdict(StrEnum):
    """How a check went; SKIP is what this machine does not have (no Raspberry Pi, no systemd)."""

    PASS = "PASS"  # noqa: S105 (a verdict, no password)
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check-up; `detail` is a short fact in English without secrets, the same in every language."""

    check: str
    verdict: Verdict
    code: str = ""
    detail: str = ""


def exit_code(findings: tuple[Finding, ...]) -> int:
    """0 ok, 1 warning, 2 error."""
    verdicts = {finding.verdict for finding in findings}
    return 2 if Verdict.FAIL in verdicts else 1 if Verdict.WARN in verdicts else 0


def name(check: str) -> Words:
    """What a step or check is called; its own name when it has no other."""
    return NAMES.get(check, Words(vi=check, en=check))


def fix(code: str) -> Advice | None:
    """What to do about a code."""
    return FIXES.get(code)


LIGHTS = {**hearing_advice.LIGHTS, **sending_advice.LIGHTS, **box_advice.LIGHTS}
"""The lights in the order in which people read them; health.py says how each shines."""

NAMES = {**hearing_advice.NAMES, **sending_advice.NAMES, **box_advice.NAMES}
"""The steps of installation day and the checks of the self-test."""

FIXES = {**hearing_advice.ADVICE, **sending_advice.ADVICE, **box_advice.ADVICE}
