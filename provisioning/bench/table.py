"""The bench's screen: a line for each box, a mark for each step, Vietnamese first, and what to do.

What needs a hand comes first: other benches on the cable, boxes that are not ready, boards that wait for the technician
or were refused, boxes that are being installed; then the boxes that are ready, the latest first. "Ready" is only a box
that reported its steps without a fault.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_scanner.core.diagnostics import advice as checkup
from edge_scanner.core.diagnostics.advice import Verdict
from edge_scanner.core.enrolment.device_id import spelled
from edge_scanner.core.wording import counted
from provisioning.bench.visitors import Visitors
from provisioning.inventory import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from edge_scanner.core.enrolment.documents import StepResult
    from provisioning.bench.batch import Batch
    from provisioning.bench.visitors import Waiting
    from provisioning.inventory import BoxRow, Inventory

_MARKS = {
    Verdict.PASS: ("●", "green"),
    Verdict.WARN: ("▲", "yellow"),
    Verdict.FAIL: ("✖", "red"),
    Verdict.SKIP: ("·", "dim"),
}
MAX_ROWS = 14
"""Rows on the screen, so that head and advice fit on 24 lines; a wave is eight boxes."""
MAX_BOARDS = 4
"""Of each kind of board without a name."""
MAX_ADVICE = 8
"""Sentences below the table; one for each code."""


class Stage(IntEnum):
    """How far a box is, the most urgent first."""

    NOT_READY = 0
    INSTALLING = 1
    READY = 2
    CARD = 3
    """Its id lies on a card (`edge-provision card`); a bench does not hear how it goes on."""


def stage(row: BoxRow, steps: Sequence[StepResult]) -> Stage:
    """Where an enrolled box stands."""
    if not row.identity:
        return Stage.CARD
    if not steps:
        return Stage.INSTALLING
    return Stage.NOT_READY if _worst(steps) is Verdict.FAIL else Stage.READY


def draw(
    batch: Batch, inventory: Inventory, *, port: int, now_s: float, fleet: str = "", visitors: Visitors | None = None
) -> RenderableType:
    """The whole screen at this moment; `fleet` is the six words of the fleet's key."""
    visitors = visitors or Visitors()
    rows = inventory.boxes(batch.manifest.batch)
    reports = inventory.reports(batch.manifest.batch)
    stages = {row.device_id: stage(row, reports.get(row.device_id, ())) for row in rows if row.state is State.ENROLLED}
    installed = sorted(
        (row for row in rows if row.state is State.ENROLLED),
        key=lambda row: (stages[row.device_id], -row.enrolled_s, row.device_id),
    )
    table = Table(box=None, pad_edge=True)
    for heading in ("", "Hộp / Box", "Nơi đặt / Place", "Các bước / Steps", "Kết quả / Result"):
        table.add_column(heading, overflow="fold")
    advice: dict[str, list[str]] = {}
    bad = [row for row in installed if stages[row.device_id] is Stage.NOT_READY][:MAX_ROWS]
    for row in bad:
        _line(table, row, reports.get(row.device_id, ()), stages[row.device_id], advice)
    _boards(table, inventory, visitors.waiting(now_s), advice)
    others = [row for row in installed if row not in bad]
    shown = others[: max(0, MAX_ROWS - table.row_count)]
    for row in shown:
        _line(table, row, reports.get(row.device_id, ()), stages[row.device_id], advice)
    if len(others) > len(shown):
        table.add_row("", f"+ {len(others) - len(shown)}", "", "", "")
    foreign = (("PRV-07", visitors.benches(now_s)), ("PRV-08", visitors.strangers(now_s)))
    machines = [_advice(code, ", ".join(places)) for code, places in foreign if places]
    said = [_advice(code, whats) for code, whats in list(advice.items())[:MAX_ADVICE]]
    head = _head(batch, boxes=len(rows), stages=list(stages.values()), visitors=visitors, port=port, now_s=now_s)
    if fleet:
        head.append(f"\n khoá hệ thống / fleet {fleet}")
    return Group(head, *machines, table, *said)


def as_document(batch: Batch, inventory: Inventory, *, now_s: float) -> dict[str, object]:
    """The same for programs, with every box of the batch; `verdict` is that of the worst step, empty before any."""
    boxes = []
    reports = inventory.reports(batch.manifest.batch)
    for row in inventory.boxes(batch.manifest.batch):
        steps = reports.get(row.device_id, ())
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
    """The gravest verdict; one that we do not know, from an older inventory, is a fault."""
    verdicts = {_verdict(step) for step in steps}
    return next((verdict for verdict in (Verdict.FAIL, Verdict.WARN) if verdict in verdicts), Verdict.PASS)


def _boards(table: Table, inventory: Inventory, waiting: Sequence[Waiting], advice: dict[str, list[str]]) -> None:
    """Add the boards that have no name: those that wait for the technician, and those that were turned away."""
    for board in waiting[:MAX_BOARDS]:
        word = Text("CHỜ / WAITING", "bold yellow")
        table.add_row(Text("?", style="yellow"), f"bo / board …{board.serial[-6:]}", board.words, board.code, word)
        advice.setdefault(board.code, []).append(f"{board.words}  {board.peer}")
    for refusal in inventory.refusals()[:MAX_BOARDS]:
        word = Text("DỪNG / STOP", "bold red")
        table.add_row(Text("✖", style="red"), f"bo / board …{refusal.serial[-6:]}", "", refusal.code, word)
        advice.setdefault(refusal.code, []).append(refusal.detail)


def _verdict(step: StepResult) -> Verdict:
    return Verdict(step.verdict) if step.verdict in set(Verdict) else Verdict.FAIL


def _head(batch: Batch, *, boxes: int, stages: Sequence[Stage], visitors: Visitors, port: int, now_s: float) -> Text:
    """The batch, how many boxes are how far, and what was refused."""
    days = (batch.manifest.not_after_s - now_s) / 86400
    counts = {one: stages.count(one) for one in Stage}
    parts = [f"   đạt / ready {counts[Stage.READY]}/{boxes}"]
    for one, words in (
        (Stage.NOT_READY, "KHÔNG ĐẠT / NOT READY"),
        (Stage.INSTALLING, "đang cài / installing"),
        (Stage.CARD, "thẻ / cards"),
    ):
        parts += [f"   {words} {counts[one]}"] if counts[one] else []
    refused = visitors.refused.total()
    parts.append(f"\n lô còn hạn {days:.0f} ngày / batch: {counted(round(days), 'day')} left")
    parts += [f"   cổng / port {port}"] if port else []
    parts += [f"   từ chối / refused {refused}"] if refused else []
    return Text.assemble((f" {batch.manifest.batch}", "bold"), *parts)


_WORDS = {
    Stage.NOT_READY: ("KHÔNG ĐẠT / NOT READY", "bold red"),
    Stage.INSTALLING: ("đang cài / installing", "yellow"),
    Stage.READY: ("ĐẠT / READY", "bold green"),
    Stage.CARD: ("trên thẻ / on a card", "dim"),
}


def _line(table: Table, row: BoxRow, steps: Sequence[StepResult], where: Stage, advice: dict[str, list[str]]) -> None:
    """Add one box, and under its code what is wrong with it."""
    worst = _worst(steps)
    marks = Text()
    for step in steps:
        marks.append(*_MARKS[_verdict(step)])
    word = Text(*_WORDS[where])
    if where is Stage.READY and worst is Verdict.WARN:
        word = Text("ĐẠT, cần xem lại / READY, look", style="bold yellow")
    mark, style = _MARKS[worst] if steps else ("…", "yellow")
    place = " · ".join(part for part in (row.place.name_vi or row.place.site, row.place.room) if part)
    table.add_row(Text(mark, style=style), spelled(row.device_id), place or "chưa gán / unassigned", marks, word)
    for step in steps:
        if _verdict(step) is Verdict.FAIL:
            what = f"{spelled(row.device_id)} {checkup.name(step.name).vi}: {step.detail}"
            advice.setdefault(step.code, []).append(what)


MAX_NAMED = 3
"""Boxes named under one code; more share its advice."""


def _advice(code: str, whats: Sequence[str] | str) -> Text:
    lines = [whats] if isinstance(whats, str) else list(whats)
    named = f"\n {' ' * len(code)}  ".join(lines[:MAX_NAMED])
    more = f"\n {' ' * len(code)}  + {len(lines) - MAX_NAMED}" if len(lines) > MAX_NAMED else ""
    words = checkup.fix(code)
    fix = f"\n   → {words.vi}\n     {words.en}" if words else ""
    return Text(f" {code}  {named}{more}{fix}", style="red")
