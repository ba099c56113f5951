"""The technician's guide's pictures, drawn by the programs: `python -m tests.support.fleet_screens`.

Two boxes are enrolled for real at a throw-away bench, one is given a full card, one is a board that comes twice.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.enrolment.documents import StepResult
from edge_scanner.device.commands import doctor
from edge_scanner.device.enrolment.steps import enrol, report
from provisioning import label
from provisioning.bench import table
from provisioning.bench.commands.sync import Outcome, draw
from provisioning.inventory import State, open_inventory
from tests.support.fleet import box_in, open_bench, workshop

if TYPE_CHECKING:
    from rich.console import RenderableType

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FULL = StepResult(name="storage", verdict="FAIL", code="STO-02", detail="0.0 GB free")
LINES = (
    Finding(check="clock", verdict=Verdict.PASS, detail="kept by NTP"),
    Finding(check="storage", verdict=Verdict.PASS, detail="24.1 GB free, ext4"),
    Finding(check="adapter", verdict=Verdict.PASS, detail="hci0 is on"),
    Finding(check="adverts", verdict=Verdict.PASS, detail="1412 packets in 10 s"),
    Finding(check="certificate", verdict=Verdict.WARN, code="CRT-03", detail="boot-K7MP2R9CX4, 90 days left"),
    Finding(check="tcp", verdict=Verdict.FAIL, code="BRK-02", detail="the broker does not answer in time"),
)


def main() -> None:
    """Write the four pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        shop = workshop(Path(scratch), count=50)
        with open_bench(shop) as bench:
            for number, more in enumerate(((), (FULL,))):
                box = box_in(Path(scratch) / str(number), serial=f"10000000abcd000{number}")
                report(box, bench.link, (*enrol(box, bench.link), *more))
            enrol(box_in(Path(scratch) / "again", serial="10000000abcd0000"), bench.link)
            with open_inventory(bench.inventory) as inventory:
                _save(
                    "bench",
                    "edge-provision bench start",
                    table.draw(shop.batch, inventory, port=47111, now_s=time.time()),
                )
                rows = inventory.boxes(shop.batch.manifest.batch)
        installed = next(row for row in rows if row.state is State.ENROLLED)
        picture = label.svg(
            installed, label.Words(address=shop.fleet.label_address, phone=shop.fleet.hotline), date="2026-11-24"
        )
        (IMAGES / "label.svg").write_text(picture)
        states = Counter(row.state for row in rows)
        outcome = Outcome(
            batch=shop.batch.manifest.batch,
            bench=states,
            headquarters=states,
            sent=states[State.ENROLLED],
            taken_out=(),
            differences={},
        )
        _save("sync", "edge-provision bench sync", draw(outcome))
    _save("doctor", "edge-scanner doctor", doctor.lines(LINES, language="vi"))


def _save(name: str, title: str, what: RenderableType) -> None:
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=104, file=nowhere, highlight=False)
        console.print(what)
    svg = console.export_svg(title=title)
    # rich links fonts from the internet; a picture in our guide fetches nothing.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")
    # DejaVu has no slanted Vietnamese vowels: their marks would stand beside them.
    svg = svg.replace("font-style: italic;", "")
    (IMAGES / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    main()
