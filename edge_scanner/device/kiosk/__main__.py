"""The kiosk's process: its settings as arguments, see `become_kiosk`."""

import sys

# structlog imports rich for tracebacks that our log never prints; without it the process is 7 MB smaller (measured).
sys.modules.setdefault("rich", None)  # type: ignore[arg-type] # None is how import is told that a module is absent

from edge_scanner.device.kiosk.app import run  # noqa: E402 (the line above must come first)
from edge_scanner.device.kiosk.settings import from_arguments  # noqa: E402 (as above)

if __name__ == "__main__":
    sys.exit(run(from_arguments(sys.argv[1:])))
