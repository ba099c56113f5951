"""Every benchmark that fits into some minutes, one after the other: `python -m tests.benchmarks`, or `make bench`.

Names choose some of them; with `--json` each prints one JSON document, under its name, as one object. The long ones
have targets of their own: `make bench-peers`, `endurance`, `fleet`, `mutants`. What a release keeps: `ratios.py`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).parents[2]
BENCHES = {
    "load": ["--seconds", "5"],
    "counting": [],
    "flood": ["--minutes", "4"],
    "seal": [],
    "store": [],
    "kiosk": [],
    "fleet": ["--boxes", "2000", "--tls-boxes", "200"],
    "authority": ["--scale", "0.1"],
    "accuracy": ["--quick"],
}
WITHOUT_JSON = {"kiosk", "accuracy"}
"""They print tables only."""


def main() -> int:
    """Run them; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; none is all")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the tables")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHES.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    told: dict[str, object] = {}
    failed = []
    console = Console(stderr=options.json)
    for name in options.names or BENCHES:
        as_json = options.json and name not in WITHOUT_JSON
        console.rule(f"{name}: python -m tests.benchmarks.{name} {' '.join(BENCHES[name])}")
        done = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{name}", *BENCHES[name], *(["--json"] if as_json else [])],
            cwd=ROOT,
            check=False,
            stdout=subprocess.PIPE if options.json else None,
        )
        if done.returncode:
            failed.append(name)
        elif options.json:
            told[name] = json.loads(done.stdout) if as_json else done.stdout.decode()
    if options.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    for name in failed:
        console.print(f"[red]{name} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
