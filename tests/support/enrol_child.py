"""A box that enrols and has its plug pulled at a named moment: `python -m … folder port serial moment count`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from edge_scanner.device.enrolment.bench_client import BenchLink
from edge_scanner.device.enrolment.steps import enrol
from tests.support.fleet import box_in


def main() -> None:
    """Without a moment it runs to its end and prints the moments that it passed."""
    folder, port, serial, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    passed: list[str] = []

    def mark(where: str) -> None:
        passed.append(where)
        if where == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    box = box_in(folder, serial)
    box.mark = mark
    results = enrol(box, BenchLink("127.0.0.1", port))
    sys.stdout.write("\n".join([*passed, ""]))
    sys.exit(any(result.verdict == "FAIL" for result in results))


if __name__ == "__main__":
    main()
