"""The kiosk's process: its settings as arguments, see `become_kiosk`."""

import sys

from edge_scanner.device.kiosk.app import run
from edge_scanner.device.kiosk.settings import from_arguments

if __name__ == "__main__":
    sys.exit(run(from_arguments(sys.argv[1:])))
