"""The HTML of the gates: two tables, without a script and without inline styles."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk import pages
from edge_scanner.device.kiosk.figures_page import both, span
from edge_scanner.device.kiosk.translations import say

if TYPE_CHECKING:
    from edge_scanner.core.counts.intervals import Present
    from edge_scanner.device.kiosk.site_gates import GateRow, GatesDocument, Row


def gates_page(document: GatesDocument) -> str:
    """`/ops/gates`."""
    fragments = {
        "gates": "".join(_gate(gate) for gate in document.gates),
        "heads": "".join(f'<th scope="col">{both(gate.name)}</th>' for gate in document.gates),
        "rows": "".join(_row(row) for row in document.rows),
    }
    return pages.fill("gates.html", document, fragments)


def _gate(gate: GateRow) -> str:
    problem = f'<b class="missing">{both(gate.problem)}</b>' if gate.problem.vi else both(say("gates.given"))
    return (
        f'<tr><th scope="row">{both(gate.name)}</th><td class="word" data-level="{html.escape(gate.level)}">'
        f"<b>{both(gate.word)}</b></td><td>{both(gate.lights)}</td><td>{problem}</td><td>{both(gate.proof)}</td></tr>"
    )


def _row(row: Row) -> str:
    cells = "".join(f"<td>{_figure(figure)}</td>" for figure in row.gates)
    part = "" if row.counted == len(row.gates) else _missing(row)
    total = f'<td class="total">{span(row.total)}{part}</td>'
    return f'<tr><th scope="row">{row.day} <span>{row.span}</span></th>{total}{cells}</tr>'


def _figure(figure: Present | None) -> str:
    return f'<span class="missing">{both(say("gates.absent"))}</span>' if figure is None else span(figure)


def _missing(row: Row) -> str:
    """A total without all gates says of how many it is."""
    return f' <span class="missing">{both(say("gates.part", counted=row.counted, gates=len(row.gates)))}</span>'
