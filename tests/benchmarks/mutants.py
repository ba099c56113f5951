"""Mutation testing of `core` and `protocols`: of the small changes made to the code, how many do the unit tests notice.

mutmut works on a copy of the last commit, within a time limit; what was not reached is said. Changes to the words of
errors (their text, `where`, `hint`) are counted apart: tests pin down which error is raised and where, not its prose.
What else survives is printed as a diff, to be looked at.

Run: `python -m tests.benchmarks.mutants --minutes 25 --write`. `make mutants` installs mutmut first, in a folder of its
own.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import document

ROOT = Path(__file__).parents[2]
MUTMUT = ROOT / ".cache" / "mutmut"
CORE = (
    "address_tags", "advertising", "counts/admission", "counts/adoption", "counts/baseline", "counts/calibration",
    "counts/device_class", "counts/difference_noise", "counts/discrete_laplace", "counts/estimator", "counts/intervals",
    "counts/occupancy", "counts/privacy_budget", "counts/release", "enrolment/box_list", "enrolment/device_id",
    "enrolment/documents", "enrolment/proofs", "enrolment/rendezvous", "json_documents", "log/bundle",
    "log/encounters", "log/format", "log/frames", "log/header", "log/hpke", "log/merkle", "log/opener", "log/ratchet",
    "log/recipients", "log/retention", "log/roots", "log/verifier", "log/writer", "messages", "operator_pin",
    "pipeline", "public_keys", "pull/answer", "pull/policy", "pull/request", "pull/revocations", "signed",
    "signed_time", "snapshot", "text", "trusted_clock",
)  # fmt: skip
"""What decides something; left out are the data types, the errors, and the tables of codes and advice."""
TESTED_WITH = {
    "log/frames": ("log/format", "log/writer", "log/opener"),
    "log/header": ("log/writer", "log/opener", "log/format"),
    "log/opener": ("log/opener", "log/writer", "log/format"),
    "json_documents": ("signed", "messages", "snapshot"),
}
"""Modules that the tests named after a neighbour exercise."""
WORDS = re.compile(r"Error\(|where=|where = |hint=|XX|raise |refuse\(|_require\(.*None\)$")


@dataclass(slots=True, kw_only=True)
class Score:
    """One module: mutants killed (a timeout kills), surviving in words or in behaviour, not reached."""

    killed: int = 0
    words: int = 0
    behaviour: list[str] = field(default_factory=list)
    unchecked: int = 0

    @property
    def share(self) -> float:
        """Killed of those that could change behaviour."""
        return self.killed / max(1, self.killed + len(self.behaviour))


def mirrors(module: Path) -> list[Path]:
    """The test files of a module: the tests mirror the rooms."""
    return sorted(module.parent.glob(f"test_{module.name}*.py"))


def prepare(folder: Path, modules: list[str]) -> None:
    """A copy of the last commit with mutmut's settings."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    paths = ["edge_scanner/protocols" if name == "protocols" else f"edge_scanner/core/{name}.py" for name in modules]
    unit = folder / "tests" / "unit"
    tests = sorted(
        {
            str(path.relative_to(folder))
            for name in modules
            for test in TESTED_WITH.get(name, (name,))
            for path in ([unit / name] if name == "protocols" else mirrors(unit / "core" / test))
        }
    )
    with (folder / "pyproject.toml").open("a") as file:
        file.write(
            f"\n[tool.mutmut]\npaths_to_mutate = {paths}\ntests_dir = {tests}\n"
            'also_copy = ["edge_scanner", "tests", "config"]\n'
        )


def mutmut(folder: Path, *words: str, seconds: float | None = None) -> str:
    """One mutmut command in the copy; when its time is up it is interrupted and keeps what it has found."""
    environment = {**os.environ, "PYTHONPATH": str(MUTMUT)}
    with subprocess.Popen(
        [sys.executable, "-m", "mutmut", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            try:
                output, _ = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
    return output.decode(errors="replace")


def judge(folder: Path) -> dict[str, Score]:
    """Every mutant's fate, by module."""
    scores: dict[str, Score] = {}
    for line in mutmut(folder, "results", "--all", "true").splitlines():
        name, _, fate = line.strip().partition(": ")
        module = re.match(r"edge_scanner\.(core\.\w+|protocols)", name)
        if module is None:
            continue
        score = scores.setdefault(module[1], Score())
        if fate in {"killed", "timeout"}:
            score.killed += 1
        elif fate == "survived":
            diff = [
                text
                for text in mutmut(folder, "show", name).splitlines()
                if text[:1] in {"-", "+"} and text[:3] not in {"---", "+++"}
            ]
            before, after = ("".join(text[1:] for text in diff if text[0] == sign).casefold() for sign in "-+")
            if before == after or any(WORDS.search(text) for text in diff):
                score.words += 1
            else:
                score.behaviour.append("\n".join([name, *diff]))
        else:
            score.unchecked += 1
    return scores


def main() -> None:
    """Parse the command line, mutate, print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--modules", nargs="+", default=["protocols", *CORE], help="protocols, or names in core")
    parser.add_argument("--minutes", type=float, default=25, help="time limit")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    if not MUTMUT.exists():
        parser.error("mutmut is not installed; run `make mutants`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.modules)
        with Console(stderr=True).status("mutating"):
            told = mutmut(folder, "run", "--max-children", str(options.jobs), seconds=options.minutes * 60)
            scores = judge(folder)
    if not scores:
        parser.error(f"mutmut made no mutants:\n{told[-2000:]}")
    heads = ("module", "killed", "survive in behaviour", "survive in words", "not reached", "score")
    rows = [
        (module, one.killed, len(one.behaviour), one.words, one.unchecked, f"{one.share:.1%}")
        for module, one in scores.items()
    ]
    total: Counter[str] = Counter()
    for one in scores.values():
        total.update(killed=one.killed, behaviour=len(one.behaviour), words=one.words, unchecked=one.unchecked)
    share = total["killed"] / max(1, total["killed"] + total["behaviour"])
    rows.append(("all", total["killed"], total["behaviour"], total["words"], total["unchecked"], f"{share:.1%}"))
    shown = Table(*heads, title="Mutants")
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    console = Console()
    for one in scores.values():
        for survivor in one.behaviour:
            console.print(survivor, markup=False, highlight=False)
    console.print(shown)
    if options.write:
        command = f"python -m tests.benchmarks.mutants --minutes {options.minutes:g} --write"
        document.write("mutants", command, document.table(heads, rows))


if __name__ == "__main__":
    main()
