"""How right the counts are: tables over crowds of known size, written into docs/counting.md.

Run: `python -m tests.benchmarks.accuracy --write`; without it the tables are printed. `--quick` leaves out 2,000
phones.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from edge_scanner.core.counts.estimator import CONTINUOUS_GRACE_S, Counter
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan
from edge_scanner.device.simulation.phones import Kind
from edge_scanner.protocols import recognise
from tests.support import edge_of_reach
from tests.support.accuracy import PROTOCOLS, Errors, errors, judge
from tests.support.crowd_truth import KINDS, START_S, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCUMENT = Path(__file__).parents[2] / "docs" / "counting.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
PASSIVE_GRACE_S = 90.0
HUGE = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its first cells, and how its errors are found."""

    cells: tuple[str, ...]
    find: Callable[[], dict[str, Errors]]


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the first columns' names and the lines."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def scene_row(scene: Scene, grace_s: float, *cells: str) -> Row:
    """A line about one scene."""
    return Row(cells, lambda: judge(scene, grace_s))


def sizes(*, quick: bool) -> Iterator[Row]:
    """Mixed families under a radio that always listens."""
    for phones in (2, 20, 200, HUGE):
        for stay_s in (600, 1800, 7200):
            for loss in (0.3, 0.8) if phones < HUGE else (0.55,):
                if phones == HUGE and quick:
                    continue
                hours = 4.0 if phones < 200 else 1.5 if phones < HUGE else 1.0
                scene = Scene(phones=phones, stay_s=stay_s, loss=loss, hours=hours)
                yield scene_row(scene, CONTINUOUS_GRACE_S, f"{phones:,}", f"{stay_s // 60} min", f"{loss:.0%}")


def families() -> Iterator[Row]:
    """Each family by itself: 60 phones, half an hour's stay."""
    for kind in KINDS:
        for loss in (0.3, 0.8):
            scene = Scene(phones=60, stay_s=1800, kinds=(kind,), loss=loss)
            yield scene_row(scene, CONTINUOUS_GRACE_S, kind.replace("_", ", "), f"{loss:.0%}")


def radios() -> Iterator[Row]:
    """Radios that do not tell everything, with the grace they would declare."""
    exposure = ("gaen_android", "gaen_iphone")
    bluezone = ("bluezone_android",)
    for name, kinds in (("Exposure Notification", exposure), ("Bluezone Android", bluezone)):
        common = {"phones": 60, "stay_s": 1800, "kinds": kinds, "loss": 0.55}
        yield scene_row(Scene(**common), CONTINUOUS_GRACE_S, "active, always", "60 s", name)  # type: ignore[arg-type]
        yield scene_row(Scene(**common, passive=True), PASSIVE_GRACE_S, "passive (BlueZ)", "90 s", name)  # type: ignore[arg-type]
        for on_s, cycle_s, grace_s in ((15, 60, 120), (5, 240, 300), (5, 240, 600)):
            scene = Scene(**common, on_s=on_s, cycle_s=cycle_s)  # type: ignore[arg-type]
            yield scene_row(scene, grace_s, f"{on_s} s in {cycle_s} s", f"{grace_s} s", name)


def passers() -> Iterator[Row]:
    """People who walk by, 20 to 90 s each, beside 60 who stay."""
    for rate in (0, 2, 10):
        yield scene_row(Scene(phones=60, stay_s=1800, passers=rate), CONTINUOUS_GRACE_S, f"{rate} a minute")


def far() -> Iterator[Row]:
    """Receivers and phones at the edge of reach, which show no identifier."""
    for gap_s in (2, 10, 20, 40, 80):
        for stay_s in (600, 1800, 7200):
            yield Row(
                (f"{gap_s} s", f"{stay_s // 60} min"),
                lambda gap_s=gap_s, stay_s=stay_s: edge_of_reach.judge(gap_s, stay_s),  # type: ignore[misc]
            )


def classes() -> Iterator[Row]:
    """Every class at once; each figure is that of its class alone."""
    found: dict[str, Errors] = {}

    def of(name: str) -> dict[str, Errors]:
        if not found:
            found.update(edge_of_reach.judge_classes(5, 1800))
        return {"ours": found[name]}

    for name in edge_of_reach.SAYS:
        yield Row((f"`{name}`",), lambda name=name: of(name))  # type: ignore[misc]


def neighbours() -> Iterator[Row]:
    """The other simulation, with headphones and laptops: everything nearby."""
    for devices in (20, 60, 200):
        yield Row((f"{devices}",), lambda devices=devices: {"ours": _other_crowd(devices)})  # type: ignore[misc]


def _other_crowd(devices: int) -> Errors:
    crowd = Crowd(CrowdPlan(devices=devices, duration_s=5400.0), seed=5, start_s=START_S)
    counter = Counter(PROTOCOLS)
    minute = START_S
    tallies = []
    for advert in crowd.adverts():
        while advert.last_s >= minute + 60:
            tallies.append(counter.close(minute))
            minute += 60
        counter.add(advert, recognise(PROTOCOLS, advert))
    tallies += [counter.close(minute), *counter.finish()]
    found = {
        tally.minute_s: sum(n for name, n in tally.figures.items() if name != "passing")
        for tally in tallies
        if tally.listened_s
    }
    minutes = sorted(found)[10:-10]
    return errors(found, {m: sum(crowd.present(m + 30).get(kind, 0) for kind in Kind) for m in minutes})


def tables(*, quick: bool) -> tuple[Table, ...]:
    """All of them."""
    return (
        Table("Mixed crowds, a radio that always listens", ("phones", "stay", "loss"), tuple(sizes(quick=quick))),
        Table("Each family by itself, 60 phones, 30 min", ("family", "loss"), tuple(families())),
        Table("Other radios, 60 phones, 30 min, 55 % loss", ("radio", "grace", "phones"), tuple(radios())),
        Table("Passers-by beside 60 who stay", ("passers-by",), tuple(passers())),
        Table("At the edge of reach, 60 phones without identifier", ("heard every", "stay"), tuple(far())),
        Table("All classes at once, 60 of each, heard every 5 s, 30 min", ("class",), tuple(classes())),
        Table("The other simulation (`edge-scanner run --simulate`), all devices", ("devices",), tuple(neighbours())),
    )


def markdown(table: Table, on_row: Callable[[], None]) -> str:
    """One table; errors are per cent of the true number of devices."""
    measured = []
    for row in table.rows:
        measured.append((row.cells, row.find()))
        on_row()
    baselines = [name for name in ("identifiers", "addresses") if name in measured[0][1]]
    heads = [*table.columns, "bias", "mean abs.", "95 %", *(f"{name}: bias, abs." for name in baselines)]
    lines = [f"### {table.title}", "", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for cells, found in measured:
        ours = found["ours"]
        values = [f"{ours.bias:+.1f}", f"{ours.absolute:.1f}", f"{ours.worst:.1f}"]
        values += [f"{found[name].bias:+.0f}, {found[name].absolute:.0f}" for name in baselines]
        lines.append("| " + " | ".join([*cells, *values]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, then print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/counting.md")
    parser.add_argument("--quick", action="store_true", help="leave out 2,000 phones")
    options = parser.parse_args()
    console = Console(stderr=True)
    all_tables = tables(quick=options.quick)
    with Progress(console=console) as progress:
        task = progress.add_task("crowds", total=sum(len(table.rows) for table in all_tables))
        text = "\n\n".join(markdown(table, lambda: progress.advance(task)) for table in all_tables)
    if not options.write:
        print(text)  # noqa: T201 (the answer)
        return
    document = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
