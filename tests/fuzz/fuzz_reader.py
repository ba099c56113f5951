"""Coverage-guided fuzzing of the log's readers: `python -m tests.fuzz.fuzz_reader [libFuzzer options]`.

Without options it runs for SECONDS. It ends with an error at the first input that raises anything but a LogError.
"""

from __future__ import annotations

import sys

import atheris

SECONDS = 20

with atheris.instrument_imports(include=["edge_scanner"]):
    from tests.fuzz import targets


def main() -> None:
    """Fuzz."""
    options = sys.argv[1:] or [f"-max_total_time={SECONDS}", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *options], targets.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
