"""COMMAND edge-scanner doctor: the self-test as a table for people or JSON for programs; exit code 0, 1 or 2."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.text import Text

from edge_scanner import terminal
from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.device.doctor import doctor

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.diagnostics.words import Language

_STYLES = {Verdict.PASS: "bold green", Verdict.WARN: "bold yellow", Verdict.FAIL: "bold red", Verdict.SKIP: "dim"}
_SUMMARY = {
    0: ("ĐẠT: hộp đã sẵn sàng.", "READY: nothing to do."),
    1: ("ĐẠT. Cảnh báo: {count}.", "READY. Warnings: {count}."),
    2: ("KHÔNG ĐẠT. Số việc phải sửa: {count}.", "NOT READY. Problems to fix: {count}."),
}


def run_doctor(config: Path, *, as_json: bool = False, language: Language = "vi") -> int:
    """Look at the box that `config` describes and print the lines; 0 ok, 1 warning, 2 error."""
    place = doctor.open_place(config)
    findings = (place,) if isinstance(place, Finding) else asyncio.run(doctor.examine(place))
    code = advice.exit_code(findings)
    if as_json:
        terminal.say_json(as_document(findings))
    else:
        show(findings, language=language)
    return code


def as_document(findings: tuple[Finding, ...]) -> dict[str, object]:
    """One object: the exit code and every line with its advice in both languages."""
    lines = [asdict(finding) | _advice(finding) for finding in findings]
    return {"v": 1, "exit": advice.exit_code(findings), "findings": lines}


def show(findings: tuple[Finding, ...], *, language: Language) -> None:
    """Print the lines."""
    terminal.console().print(lines(findings, language=language), soft_wrap=True)


def lines(findings: tuple[Finding, ...], *, language: Language) -> Text:
    """Verdict, check in both languages, code, fact; what to do under each line that needs it; the summary."""
    second: Language = "en" if language == "vi" else "vi"
    text = Text()
    for finding in findings:
        names = advice.name(finding.check)
        both = f"{names.of(language)} / {names.of(second)}"
        text.append(f"[{finding.verdict}]", style=_STYLES[finding.verdict])
        text.append(f" {both:<44} {finding.code:<7} {finding.detail}\n")
        if finding.verdict in {Verdict.WARN, Verdict.FAIL} and (words := advice.fix(finding.code)):
            text.append(f"       → {words.of(language)}\n", style="bold")
    code = advice.exit_code(findings)
    wanted = Verdict.FAIL if code == 2 else Verdict.WARN  # noqa: PLR2004 (the exit code for a fault)
    count = sum(finding.verdict is wanted for finding in findings)
    text.append(_SUMMARY[code][0 if language == "vi" else 1].format(count=count), style="bold")
    return text


def _advice(finding: Finding) -> dict[str, str]:
    words = advice.fix(finding.code)
    return {"fix_vi": words.vi, "fix_en": words.en} if words else {"fix_vi": "", "fix_en": ""}
