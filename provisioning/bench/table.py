"""The bench's screen: a line for each box, a mark for each step, Vietnamese first, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_scanner.core.diagnostics import advice as checkup
from edge_scanner.core.diagnostics.advice import Verdict
from edge_scanner.core.enrolment.device_id import spelled
from provisioning.inventory import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from edge_scanner.core.enrolment.documents import StepResult
    from provisioning.bench.batch import Batch
    from provisioning.inventory import BoxRow, Inventory

_MARKS = {
    Verdict.PASS: ("●", "green"),
    Verdict.WARN: ("▲", "yellow"),
    Verdict.FAIL: ("✖", "red"),
    Verdict.SKIP: ("·", "dim"),
}
MAX_ROWS = 20
"""Boxes on the screen, the latest: a wave is eight."""


def draw(batch: Batch, inventory: Inventory, *, port: int, now_s: float) -> RenderableType:
    """The whole screen at this moment."""
    rows = inventory.boxes(batch.manifest.batch)
    installed = [row for row in rows if row.state is State.ENROLLED]
    days = (batch.manifest.not_after_s - now_s) / 86400
    head = Text.assemble(
        (f" {batch.manifest.batch}  {len(installed)}/{len(rows)}", "bold"),
        f"   lô còn {days:.0f} ngày / batch {days:.0f} days left   cổng / port {port}",
    )
    table = Table(box=None, pad_edge=True)
    for heading in ("", "Hộp / Box", "Nơi đặt / Place", "Các bước / Steps", "Kết quả / Result"):
        table.add_column(heading, overflow="fold")
    advice: list[Text] = []
    for row in sorted(installed, key=lambda row: row.enrolled_s)[-MAX_ROWS:]:
        advice += _line(table, row, inventory)
    for refusal in inventory.refusals()[:MAX_ROWS]:
        table.add_row(
            Text("✖", style="red"),
            f"bo / board …{refusal.serial[-6:]}",
            "",
            refusal.code,
            Text("DỪNG / STOP", "bold red"),
        )
        advice.append(_advice(refusal.code, refusal.detail))
    return Group(head, table, *advice)


def as_document(batch: Batch, inventory: Inventory, *, now_s: float) -> dict[str, object]:
    """The same for programs, with every box of the batch; `verdict` is that of the worst step, empty before any."""
    boxes = []
    for row in inventory.boxes(batch.manifest.batch):
        steps = inventory.steps(row.device_id)
        boxes.append(
            {
                "id": row.device_id,
                "state": row.state,
                "site": row.place.site,
                "room": row.place.room,
                "verdict": _worst(steps) if steps else "",
                "steps": [
                    {"name": step.name, "verdict": step.verdict, "code": step.code, "detail": step.detail}
                    for step in steps
                ],
            }
        )
    return {
        "batch": batch.manifest.batch,
        "not_after_s": batch.manifest.not_after_s,
        "days_left": int((batch.manifest.not_after_s - now_s) / 86400),
        "boxes": boxes,
        "refusals": [
            {"board": refusal.serial[-6:], "code": refusal.code, "detail": refusal.detail}
            for refusal in inventory.refusals()
        ],
    }


def _worst(steps: Sequence[StepResult]) -> Verdict:
    verdicts = {step.verdict for step in steps}
    return next((verdict for verdict in (Verdict.FAIL, Verdict.WARN) if verdict in verdicts), Verdict.PASS)


def _line(table: Table, row: BoxRow, inventory: Inventory) -> list[Text]:
    """Add one box; what to do about it."""
    steps = inventory.steps(row.device_id)
    worst = _worst(steps)
    marks = Text()
    for step in steps:
        mark, style = _MARKS[Verdict(step.verdict)]
        marks.append(mark, style=style)
    if not steps:
        word = Text("đang cài / installing", style="yellow")
    elif worst is Verdict.FAIL:
        word = Text("KHÔNG ĐẠT / NOT READY", style="bold red")
    elif worst is Verdict.WARN:
        word = Text("ĐẠT, xem lại / READY, look", style="bold yellow")
    else:
        word = Text("ĐẠT / READY", style="bold green")
    mark, style = _MARKS[worst] if steps else ("…", "yellow")
    place = " · ".join(part for part in (row.place.name_vi or row.place.site, row.place.room) if part)
    table.add_row(Text(mark, style=style), spelled(row.device_id), place or "chưa gán / unassigned", marks, word)
    bad = [step for step in steps if step.verdict == Verdict.FAIL]
    return [_advice(step.code, f"{spelled(row.device_id)} {checkup.name(step.name).vi}: {step.detail}") for step in bad]


def _advice(code: str, what: str) -> Text:
    words = checkup.fix(code)
    fix = f"\n   → {words.vi}\n     {words.en}" if words else ""
    return Text(f" {code}  {what}{fix}", style="red")
